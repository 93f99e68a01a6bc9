//! Torture: pipelined writers, `kill -9` at random moments, restart, and a ledger outside the
//! server that knows exactly what must be there.
//!
//! Each lane is one session that writes to its own part of the tree, so the answer to every request
//! is known before it is sent, and after a crash the tree must be what some prefix of the
//! unacknowledged requests makes of what was acknowledged: every Stat, every zxid, nothing twice.
//! Besides: zxids never go back and leave no gaps, sessions are resumed by id and password,
//! ephemerals of silent sessions go all at once, and not before their time.

mod audit;
mod lane;
mod model;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use self::{
    audit::Reading,
    lane::{Lane, Life, SESSION_TIMEOUT_MS},
};
use crate::{
    rng::Rng,
    servers::{Product, Server, Settings},
    wire::{
        Connection, Failure,
        records::{self, op},
    },
};

/// A torture, as asked for on the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub product: Product,
    /// Kills.
    pub rounds: usize,
    /// Repeats a run, as far as threads and disks let it.
    pub seed: u64,
    /// Writers.
    pub lanes: usize,
    /// Where the server's data goes; kept when something is wrong.
    pub dir: PathBuf,
}

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Kills survived.
    pub rounds: usize,
    /// Writes acknowledged.
    pub acknowledged: usize,
    /// Requests that a kill left without an answer.
    pub unanswered: usize,
    /// Longest time from the start of the process to the first answer.
    pub slowest_start: Duration,
}

/// Runs the torture. `progress` gets a line now and then.
pub fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Summary, Failure> {
    let mut torture = Torture::new(options)?;
    let started = Instant::now();
    for round in 1..=options.rounds {
        let outcome = torture.round(round);
        outcome.map_err(|cause| {
            let dir = options.dir.display();
            format!("round {round}, seed {}: {cause}\n(the data is kept in {dir})", options.seed)
        })?;
        if round % 10 == 0 || round == options.rounds {
            let Summary { acknowledged, unanswered, slowest_start, .. } = torture.summary;
            let seconds = started.elapsed().as_secs();
            progress(&format!(
                "{round} of {} rounds, {seconds} s: {acknowledged} writes acknowledged, \
                 {unanswered} left unanswered by a kill, slowest start {} ms",
                options.rounds,
                slowest_start.as_millis()
            ));
        }
    }
    torture.start(0)?;
    torture.audit()?;
    Ok(torture.summary)
}

struct Torture {
    server: Server,
    lanes: Vec<Lane>,
    rng: Rng,
    summary: Summary,
    last_zxid: i64,
}

impl Torture {
    fn new(options: &Options) -> Result<Self, Failure> {
        let mut rng = Rng::new(options.seed);
        let settings = Settings::new()
            .line("tickTime", "200")
            .line("maxSessionTimeout", "60000")
            .line("maxClientCnxns", "0")
            // Small, so that snapshots and trimming happen under way.
            .line("snapCount", "2000")
            .line("preAllocSize", "4096");
        let mut server = Server::prepare(&options.product, &options.dir, settings)?;
        server.run()?;
        let mut connection = Connection::new_session(server.address())?;
        connection.create("/t", b"", 0)?;
        connection.create("/e", b"", 0)?;
        let mut lanes = Vec::new();
        for index in 0..options.lanes {
            let lane = Lane::new(index, rng.fork(u64::try_from(index)?));
            connection.create(&lane.root, b"", 0)?;
            lanes.push(lane);
        }
        connection.close()?.ok()?;
        server.kill()?;
        Ok(Self { server, lanes, rng, summary: Summary::default(), last_zxid: 0 })
    }

    fn round(&mut self, round: usize) -> Result<(), Failure> {
        self.start(round)?;
        self.audit()?;
        for lane in &mut self.lanes {
            if self.rng.percent(8) {
                lane.abandon();
            }
        }
        let long = round % 12 == 6;
        let life = Life {
            address: self.server.address(),
            ends: AtomicBool::new(false),
            takeover_is_ordered: self.server.product().name() == "ringkeeper",
        };
        let wait = if long {
            Duration::from_millis(u64::try_from(SESSION_TIMEOUT_MS)? + 1400)
        } else {
            Duration::from_millis(5 + self.rng.below(400))
        };
        let terminates = self.rng.percent(8);
        let (lanes, server) = (&mut self.lanes, &mut self.server);
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                lanes.iter_mut().map(|lane| scope.spawn(|| lane.run(&life))).collect();
            std::thread::sleep(wait);
            let ended = server.exited()?;
            life.ends.store(true, Ordering::SeqCst);
            if terminates {
                server.terminate(Duration::from_secs(20))?;
            } else {
                server.kill()?;
            }
            for thread in threads {
                thread.join().map_err(|_| "a lane panicked")??;
            }
            match ended {
                None => Ok(()),
                Some(status) => Err(Failure::from(format!("the server ended itself: {status}"))),
            }
        })?;
        self.tally(long)
    }

    /// Starts the server, sometimes killing it once more before it serves.
    fn start(&mut self, round: usize) -> Result<(), Failure> {
        if 0 < round && self.rng.percent(15) {
            self.server.spawn()?;
            std::thread::sleep(Duration::from_millis(self.rng.below(150)));
            self.server.kill()?;
        }
        let started = Instant::now();
        self.server.run()?;
        self.summary.slowest_start = self.summary.slowest_start.max(started.elapsed());
        Ok(())
    }

    /// Compares everything with what the lanes know.
    fn audit(&mut self) -> Result<(), Failure> {
        let mut connection = Connection::new_session(self.server.address())?;
        let before = connection.call(op::EXISTS, &records::path_watch("/", false))?;
        before.ok()?;
        if before.zxid <= self.last_zxid {
            return Err(format!("zxid {:#x} after {:#x}", before.zxid, self.last_zxid).into());
        }
        let mut reading = Reading::of_everything(&mut connection)?;
        for lane in &mut self.lanes {
            let seen = reading.take_lane(lane);
            lane.resolve(seen)?;
        }
        if let Some(path) = reading.nodes.keys().next() {
            return Err(format!("{path} belongs to nobody").into());
        }
        connection.close()?.ok()
    }

    /// After a life: what all lanes saw together.
    fn tally(&mut self, long: bool) -> Result<(), Failure> {
        let mut zxids = BTreeSet::new();
        // The probe and the audit open and close a session each; a kill may leave each lane with a
        // session that it does not know of, and that expires in a later life.
        let mut hidden = 4 + self.lanes.len();
        for lane in &mut self.lanes {
            for zxid in &lane.acknowledged {
                if !zxids.insert(*zxid) {
                    return Err(format!("zxid {zxid:#x} was given twice").into());
                }
            }
            hidden += lane.hidden_zxids + lane.pending_count() + lane.dying.len();
            if long {
                lane.dying.iter_mut().for_each(|dying| dying.may_expire = true);
            }
            self.last_zxid = self.last_zxid.max(lane.last_zxid());
            self.summary.acknowledged += lane.acknowledged.len();
            self.summary.unanswered += lane.pending_count();
        }
        self.summary.rounds += 1;
        let (Some(first), Some(last)) = (zxids.first(), zxids.last()) else { return Ok(()) };
        let gaps = usize::try_from(last - first)? + 1 - zxids.len();
        if hidden < gaps {
            return Err(format!("{gaps} zxids went to nobody, {hidden} are explained").into());
        }
        Ok(())
    }
}
