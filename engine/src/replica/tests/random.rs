//! Random schedules of commands, flushes, crashes and restarts: what was shown to anybody
//! stays, whatever the disk had in flight.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    /// A submitter sends so many commands.
    Propose(u8, u8),
    /// So many more appends reach the disk, and the replica is told.
    Flush(usize),
    /// So many more appends reach the disk, and the replica is not told yet.
    FlushQuietly(usize),
    /// The process dies; so many of the appends that were on their way made it.
    Crash(usize),
    /// The archivist has a snapshot of what was committed.
    Snapshot,
    /// Somebody asks for a read index.
    Read,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_u8, 1..5_u8).prop_map(|(submitter, count)| Event::Propose(submitter, count)),
        4 => (0..4_usize).prop_map(Event::Flush),
        1 => (0..4_usize).prop_map(Event::FlushQuietly),
        1 => (0..3_usize).prop_map(Event::Crash),
        1 => Just(Event::Snapshot),
        1 => Just(Event::Read),
    ]
}

#[derive(Clone)]
struct World {
    in_flight_max: usize,
    life: u64,
    replica: Replica,
    input: Input,
    output: Output,
    /// Everything appended since the first start and not lost.
    disk: Vec<Append>,
    durable_count: usize,
    /// What survives as a snapshot.
    base: Base,
    /// Everything that was ever reported as committed, by slot from 1 on.
    reported: Vec<Arc<Batch>>,
    /// What this life of the process has applied.
    applied: Base,
    /// The next number of each submitter.
    next: [u16; 3],
    reads: u64,
}

impl World {
    fn new(in_flight_max: usize) -> Self {
        let recovered = Recovered::default();
        Self {
            in_flight_max,
            life: 1,
            replica: Replica::recover(config(in_flight_max, 1), recovered, Instant(0)),
            input: Input::default(),
            output: Output::default(),
            disk: Vec::new(),
            durable_count: 0,
            base: Base::default(),
            reported: Vec::new(),
            applied: Base::default(),
            next: [0; 3],
            reads: 0,
        }
    }

    fn run(&mut self, event: &Event) {
        match *event {
            Event::Propose(submitter, count) => {
                let next = &mut self.next[usize::from(submitter)];
                let mut commands = Commands::default();
                for _ in 0..count {
                    commands.bytes.push(submitter);
                    commands.bytes.extend_from_slice(&next.to_be_bytes());
                    let end = u32::try_from(commands.bytes.len()).expect("short");
                    commands.ends.push(CommandEnd { end, takes_zxid: true });
                    *next += 1;
                }
                self.input.commands.push(commands);
            }
            Event::Flush(count) => {
                self.durable_count = (self.durable_count + count).min(self.disk.len());
                let durable = self.disk[..self.durable_count].last();
                self.input.durable = durable.map_or(LogPos(0), |append| append.pos);
            }
            Event::FlushQuietly(count) => {
                self.durable_count = (self.durable_count + count).min(self.disk.len());
                return;
            }
            Event::Crash(survivors) => self.crash(survivors),
            Event::Snapshot => {
                self.base = self.applied;
                self.input.snapshot = Some(self.base);
            }
            Event::Read => {
                self.reads += 1;
                self.input.read = Some(ReadId(self.reads));
            }
        }
        self.step();
    }

    fn crash(&mut self, survivors: usize) {
        self.durable_count = (self.durable_count + survivors).min(self.disk.len());
        self.disk.truncate(self.durable_count);
        let recovered = recover(self.base, &self.disk);
        self.life += 1;
        let config = config(self.in_flight_max, self.life);
        self.replica = Replica::recover(config, recovered, Instant(0));
        self.input = Input::default();
        self.output = Output::default();
        self.applied = self.base;
    }

    fn step(&mut self) {
        self.replica.step(&mut self.input, &mut self.output);
        self.disk.append(&mut self.output.appends);
        for batch in core::mem::take(&mut self.output.committed) {
            self.report(batch);
        }
        if let Some(read) = self.output.read.take() {
            assert_eq!(read.id, ReadId(self.reads));
            let shown = self.reported.last().map_or(Slot(0), |batch| batch.header.slot);
            assert!(shown <= read.slot, "a read must see what was shown: {shown:?}");
        }
    }

    fn report(&mut self, batch: Arc<Batch>) {
        let header = &batch.header;
        assert_eq!(header.slot, self.applied.slot.next(), "committed without a gap");
        assert_eq!(header.previous_hash, self.applied.hash);
        self.applied = Base::of(header);
        let index = usize::try_from(header.slot.0 - 1).expect("small");
        if let Some(before) = self.reported.get(index) {
            assert_eq!(**before, *batch, "a slot is decided once");
            return;
        }
        let is_durable = self.disk[..self.durable_count].iter().any(|append| {
            matches!(&append.kind, AppendKind::Batch { batch: stored, .. } if *stored == batch)
        });
        assert!(is_durable, "slot {:?} was shown before it was durable", header.slot);
        if let Some(last) = self.reported.last() {
            let (last, zxid) = (last.header.last_zxid(), header.first_zxid);
            assert!(last < zxid, "zxids grow: {last} then {zxid}");
        }
        self.reported.push(batch);
    }

    /// Lets everything reach the disk, and compares with all that was ever shown.
    fn settle(&mut self) {
        let mut end = Base::default();
        for _ in 0..100 {
            self.run(&Event::Flush(usize::MAX / 2));
            end = self.replica.status().end;
            let has_settled = self.replica.waiting_bytes() == 0 && self.applied == end;
            if has_settled && self.replica.status().leading.is_some() {
                break;
            }
        }
        assert_eq!(self.applied, end, "everything appended is decided in the end");
        assert_eq!(self.replica.waiting_bytes(), 0);
        let shown = self.reported.last().expect("at least the new epoch");
        assert_eq!(Base::of(&shown.header), end, "nothing that was shown is lost");
        let mut last: [Option<u16>; 3] = [None; 3];
        let batches = self.reported.iter().filter(|batch| !batch.payload.is_empty());
        let payloads = batches.map(|batch| decode_runs(&batch.payload).expect("a table of runs"));
        for command in payloads.flat_map(|(_, commands)| commands.chunks_exact(3)) {
            let last = &mut last[usize::from(command[0])];
            let number = u16::from_be_bytes([command[1], command[2]]);
            assert!(*last < Some(number), "once, and in its submitter's order");
            *last = Some(number);
        }
    }
}

/// Every schedule of six events from a fresh leader on.
#[test]
fn all_short_schedules() {
    let events = [
        Event::Propose(0, 2),
        Event::Flush(1),
        Event::FlushQuietly(1),
        Event::Crash(0),
        Event::Crash(1),
        Event::Snapshot,
    ];
    for in_flight_max in [1, 2] {
        let mut fresh = World::new(in_flight_max);
        for event in [Event::Flush(0), Event::Flush(1), Event::Flush(1)] {
            fresh.run(&event);
        }
        let mut worlds = vec![(fresh, 0)];
        while let Some((mut world, depth)) = worlds.pop() {
            if depth == 6 {
                world.settle();
                continue;
            }
            for event in &events {
                let mut next = world.clone();
                next.run(event);
                worlds.push((next, depth + 1));
            }
        }
    }
}

/// What a model checker needs of it.
#[test]
fn a_replica_is_a_value() {
    fn is_value<T: Clone + Eq + core::hash::Hash + Send>(_: &T) {}
    is_value(&World::new(1).replica);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_shown_stays(
        in_flight_max in 1..4_usize,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(in_flight_max);
        for event in &events {
            world.run(event);
        }
        world.settle();
        world.run(&Event::Crash(0));
        world.settle();
    }
}
