//! The event loop: every socket non-blocking on one edge-triggered epoll.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
};

use super::{
    Measured, Plan, Workload,
    template::{Creates, Template},
};
use crate::{
    rng::Rng,
    wire::{Connect, Connection, Failure, records::op},
};

/// Bytes taken from a socket at once.
const READ_BYTES: usize = 64 << 10;
/// Longest silence of all connections before the run is given up.
const SILENCE: Duration = Duration::from_secs(20);

pub(super) struct Engine {
    epoll: OwnedFd,
    lanes: Vec<Lane>,
    in_flight: usize,
    tally: Tally,
}

/// One connection.
struct Lane {
    stream: TcpStream,
    source: Source,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// When each unanswered request was handed to the kernel, oldest first.
    sent: VecDeque<Instant>,
    next_xid: i32,
}

/// Where a lane's requests come from.
enum Source {
    One(Template),
    Two { get: Template, set: Template, read_percent: u64, rng: Rng },
    Creates(Creates),
}

struct Tally {
    ops: u64,
    errors: u64,
    latencies: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1_000, 60_000_000_000, 3);
        Self { ops: 0, errors: 0, latencies: latencies.expect("bounds that hdrhistogram takes") }
    }
}

impl Engine {
    /// Opens every connection with a session of its own, and makes what the load needs.
    pub(super) fn connect(address: SocketAddr, plan: &Plan) -> Result<Self, Failure> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let value = vec![b'v'; plan.value_bytes];
        let mut lanes = Vec::new();
        for index in 0..plan.connections {
            let connect = Connect { timeout_ms: 30_000, ..Connect::default() };
            let mut connection = Connection::open(address, &connect)?;
            if connection.session.session == 0 {
                return Err("a session was refused".into());
            }
            let source = prepare(&mut connection, plan, index, &value)?;
            let stream = connection.stream().try_clone()?;
            stream.set_nonblocking(true)?;
            let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(u64::try_from(index)?);
            epoll::add(&epoll, &stream, data, flags)?;
            lanes.push(Lane::new(stream, source));
        }
        Ok(Self { epoll, lanes, in_flight: plan.in_flight, tally: Tally::new() })
    }

    /// Keeps the load up until `deadline`, or until `ops_max` answers were counted.
    pub(super) fn drive(&mut self, deadline: Instant, ops_max: u64) -> Result<(), Failure> {
        self.prime(u64::MAX)?;
        while Instant::now() < deadline && self.tally.ops < ops_max {
            self.wait(u64::MAX, Some(deadline))?;
        }
        Ok(())
    }

    /// Creates `count` znodes in all, and returns when the last is acknowledged.
    pub(super) fn fill(&mut self, count: u64) -> Result<(), Failure> {
        let lanes = u64::try_from(self.lanes.len())?;
        let each = count.div_ceil(lanes);
        self.prime(each)?;
        while self.lanes.iter().any(|lane| !lane.sent.is_empty() || lane.asked() < each) {
            self.wait(each, None)?;
        }
        Ok(())
    }

    /// Fills every lane up to its requests in flight.
    fn prime(&mut self, asks_max: u64) -> Result<(), Failure> {
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            while lane.sent.len() < self.in_flight && lane.asked() < asks_max {
                lane.request();
            }
            // Edge-triggered: what is ready now may never be announced again.
            self.turn(index, asks_max)?;
        }
        Ok(())
    }

    /// Forgets what was counted: the warm-up is over.
    pub(super) fn reset(&mut self) {
        self.tally = Tally::new();
    }

    /// Ends the load.
    pub(super) fn finish(&self, took: Duration) -> Measured {
        let ops = u32::try_from(self.tally.ops).map_or(f64::MAX, f64::from);
        Measured {
            ops_per_second: ops / took.as_secs_f64(),
            ops: self.tally.ops,
            errors: self.tally.errors,
            latencies: self.tally.latencies.clone(),
        }
    }

    fn wait(&mut self, asks_max: u64, deadline: Option<Instant>) -> Result<(), Failure> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(64);
        let left = deadline.map_or(SILENCE, |deadline| {
            deadline.saturating_duration_since(Instant::now()).min(SILENCE)
        });
        let timeout = Timespec::try_from(left)?;
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
        if events.is_empty() && left == SILENCE {
            return Err(format!("no answer for {SILENCE:?}").into());
        }
        for event in events {
            let data = event.data;
            self.turn(usize::try_from(data.u64())?, asks_max)?;
        }
        Ok(())
    }

    /// Reads what came, asks for as much again, writes.
    fn turn(&mut self, index: usize, asks_max: u64) -> Result<(), Failure> {
        let lane = &mut self.lanes[index];
        let answers = lane.read(&mut self.tally)?;
        for _ in 0..answers {
            if lane.asked() < asks_max {
                lane.request();
            }
        }
        lane.write()
    }
}

fn prepare(
    connection: &mut Connection,
    plan: &Plan,
    index: usize,
    value: &[u8],
) -> Result<Source, Failure> {
    if plan.workload == Workload::Create {
        connection.create("/fill", b"", 0).ok();
        // Never the same path twice: a session number is never given again.
        let root = format!("/fill/{:x}", connection.session.session);
        connection.create(&root, b"", 0)?;
        return Ok(Source::Creates(Creates::new(&root, value)));
    }
    connection.create("/bench", b"", 0).ok();
    let path = format!("/bench/{index:06}");
    connection.create(&path, value, 0).ok();
    connection.set(&path, value, -1)?;
    let (get, set) = (Template::get(&path), Template::set(&path, value));
    Ok(match plan.workload {
        Workload::Get => Source::One(get),
        Workload::Mixed { read_percent } => {
            Source::Two { get, set, read_percent, rng: Rng::new(u64::try_from(index)?) }
        }
        Workload::Set | Workload::Create => Source::One(set),
    })
}

impl Lane {
    fn new(stream: TcpStream, source: Source) -> Self {
        Self {
            stream,
            source,
            input: Vec::with_capacity(2 * READ_BYTES),
            output: Vec::new(),
            written: 0,
            sent: VecDeque::new(),
            next_xid: 1,
        }
    }

    /// Znodes that a fill has asked for; 0 for every other load.
    fn asked(&self) -> u64 {
        match &self.source {
            Source::Creates(creates) => creates.asked(),
            Source::One(_) | Source::Two { .. } => 0,
        }
    }

    /// Queues one more request.
    fn request(&mut self) {
        let (xid, output) = (self.next_xid, &mut self.output);
        self.next_xid = self.next_xid.wrapping_add(1).max(1);
        match &mut self.source {
            Source::One(template) => template.append(xid, 0, output),
            Source::Two { get, set, read_percent, rng } => {
                let template = if rng.percent(*read_percent) { get } else { set };
                template.append(xid, 0, output);
            }
            Source::Creates(creates) => creates.append(xid, output),
        }
        self.sent.push_back(Instant::now());
    }

    fn write(&mut self) -> Result<(), Failure> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(cause) => return Err(cause.into()),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Takes what the socket has; returns how many answers were among it.
    fn read(&mut self, tally: &mut Tally) -> Result<usize, Failure> {
        let mut answers = 0;
        loop {
            let start = self.input.len();
            self.input.resize(start + READ_BYTES, 0);
            let outcome = self.stream.read(&mut self.input[start..]);
            let count = match outcome {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(count) => count,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => 0,
                Err(cause) => return Err(cause.into()),
            };
            self.input.truncate(start + count);
            answers += self.take_answers(tally)?;
            // A short read has emptied the socket; only then may the edge come again.
            if count < READ_BYTES {
                return Ok(answers);
            }
        }
    }

    fn take_answers(&mut self, tally: &mut Tally) -> Result<usize, Failure> {
        let now = Instant::now();
        let (mut at, mut answers) = (0, 0);
        while let Some(head) = self.input.get(at..at + 4) {
            let length = usize::try_from(i32::from_be_bytes(head.try_into()?))?;
            let Some(payload) = self.input.get(at + 4..at + 4 + length) else { break };
            // Header: xid, zxid, err.
            let err = payload.get(12..16).ok_or("an answer without a header")?;
            if err != [0; 4] {
                tally.errors += 1;
            }
            at += 4 + length;
            let sent = self.sent.pop_front().ok_or("an answer to nothing")?;
            let took = u64::try_from(now.duration_since(sent).as_nanos())?;
            tally.latencies.saturating_record(took);
            tally.ops += 1;
            answers += 1;
        }
        self.input.drain(..at);
        Ok(answers)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Sessions end with the load, so that the next one starts on an idle server.
        for lane in &mut self.lanes {
            lane.stream.set_nonblocking(false).ok();
            let close = [0, 0, 0, 8, 0, 0, 0, 1];
            lane.stream.write_all(&close).ok();
            lane.stream.write_all(&op::CLOSE_SESSION.to_be_bytes()).ok();
        }
    }
}
