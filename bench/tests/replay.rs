//! Replays what real clients sent to Apache ZooKeeper (`engine/testdata/wire/client-*.hex`), frame
//! by frame, and compares the answers with those that Apache gave: xids, errors, zxids, bodies and
//! events. Session ids, passwords and times are the run's own, zxids count from its start, and
//! lists that have no order are sorted. `BENCH_SERVER=apache` replays against the original.

use std::{collections::VecDeque, fs};

use ringkeeper_bench::{
    cases,
    servers::{Settings, root},
    tour::{self, Tour},
    wire::{Connected, Connection, Failure, jute::Reader, records::op},
};

#[expect(clippy::useless_vec, reason = "the macro is one for longer lists, too")]
fn main() -> std::process::ExitCode {
    tour::main(&cases![
        client::c,
        client::curator,
        client::go,
        client::java_3_3,
        client::java_3_4,
        client::java_3_5,
        client::java_3_9,
        client::kazoo,
        client::node,
        client::rust,
        client::zkcli,
    ])
}

/// One case for each capture.
mod client {
    use super::{Failure, Tour, replay};

    macro_rules! captures {
        ($($name:ident: $file:literal,)*) => {
            $(pub(crate) fn $name(tour: &Tour) -> Result<(), Failure> {
                replay(tour, $file)
            })*
        };
    }

    captures! {
        c: "client-c",
        curator: "client-curator",
        go: "client-go",
        java_3_3: "client-java-3.3.6",
        java_3_4: "client-java-3.4.10",
        java_3_5: "client-java-3.5.10",
        java_3_9: "client-java-3.9.5",
        kazoo: "client-kazoo",
        node: "client-node",
        rust: "client-rust",
        zkcli: "client-zkcli",
    }
}

/// A Stat's bytes.
const STAT_BYTES: usize = 68;

/// What differs between the capture and this run.
#[derive(Default)]
struct Run {
    session: Connected,
    /// This run's zxids minus the captured ones.
    zxid_shift: Option<i64>,
}

/// One connection of a capture.
struct Replayed {
    connection: Connection,
    is_greeted: bool,
    asked: Vec<(i32, i32)>,
    /// Answers to authentication that came early: Apache gives them out of order.
    early: VecDeque<Vec<u8>>,
}

fn replay(tour: &Tour, file: &str) -> Result<(), Failure> {
    let path = root().join("engine/testdata/wire").join(format!("{file}.hex"));
    let text = fs::read_to_string(path)?;
    let server = tour
        .private(Settings::new().line("extendedTypesEnabled", "true").line("tickTime", "2000"))?;
    let mut run = Run::default();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with("==") {
            // What was open is cut, as the capture's connection was.
            current = Some(Replayed {
                connection: Connection::dial(server.address())?,
                is_greeted: false,
                asked: Vec::new(),
                early: VecDeque::new(),
            });
        }
        let Some(replayed) = current.as_mut() else { continue };
        let outcome = match line.split_at_checked(1) {
            Some((">", hex)) => replayed.ask(&mut run, &bytes(hex)?),
            Some(("<", hex)) => replayed.compare(&mut run, &bytes(hex)?[4..]),
            _ => Ok(()),
        };
        outcome.map_err(|cause| format!("{file}: {cause}, at {line}"))?;
    }
    Ok(())
}

fn bytes(hex: &str) -> Result<Vec<u8>, Failure> {
    let digits: String = hex.split_whitespace().collect();
    let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2).ok_or("half a byte"));
    pairs.map(|pair| Ok(u8::from_str_radix(pair?, 16)?)).collect()
}

fn int_at(bytes: &[u8], at: usize) -> Result<i32, Failure> {
    Ok(i32::from_be_bytes(bytes.get(at..at + 4).ok_or("too short")?.try_into()?))
}

fn long_at(bytes: &[u8], at: usize) -> Result<i64, Failure> {
    Ok(i64::from_be_bytes(bytes.get(at..at + 8).ok_or("too short")?.try_into()?))
}

impl Replayed {
    /// Sends a captured frame, with this run's session and zxids in it.
    fn ask(&mut self, run: &mut Run, captured: &[u8]) -> Result<(), Failure> {
        let mut frame = captured.to_vec();
        if !self.is_greeted && self.asked.is_empty() {
            if long_at(&frame, 20)? != 0 {
                frame[20..28].copy_from_slice(&run.session.session.to_be_bytes());
                frame[32..48].copy_from_slice(&run.session.password);
            }
            shift(&mut frame[8..16], run)?;
            self.asked.push((0, 0));
            return self.connection.send_raw(&frame);
        }
        let (xid, opcode) = (int_at(&frame, 4)?, int_at(&frame, 8)?);
        if matches!(opcode, op::SET_WATCHES | op::SET_WATCHES2) {
            shift(&mut frame[12..20], run)?;
        }
        self.asked.push((xid, opcode));
        self.connection.send_raw(&frame)
    }

    /// Reads an answer and compares it with the captured one.
    fn compare(&mut self, run: &mut Run, captured: &[u8]) -> Result<(), Failure> {
        if !self.is_greeted {
            self.is_greeted = true;
            self.connection.read_connected()?;
            let session = &self.connection.session;
            let has_read_only = captured.len() == 37;
            assert_eq!(session.timeout_ms, int_at(captured, 4)?, "session timeout");
            assert_eq!(session.read_only.is_some(), has_read_only, "read-only byte");
            assert_ne!(session.session, 0, "the session is gone");
            if run.session.session != 0 {
                assert_eq!(session.session, run.session.session, "resumed");
            }
            run.session = session.clone();
            return Ok(());
        }
        let xid = int_at(captured, 0)?;
        let seen = self.receive(xid)?;
        let shift = match run.zxid_shift {
            Some(shift) => shift,
            None if long_at(captured, 4)? > 0 => {
                *run.zxid_shift.insert(long_at(&seen, 4)? - long_at(captured, 4)?)
            }
            None => 0,
        };
        let opcode = if xid == -1 { op::NOTIFICATION } else { self.opcode_of(xid)? };
        let expected = normalized(opcode, captured, 0)?;
        let seen = normalized(opcode, &seen, shift)?;
        if expected == seen {
            return Ok(());
        }
        Err(format!("opcode {opcode}:\nexpected {expected:02x?}\nseen     {seen:02x?}").into())
    }

    /// The next frame; that with this xid where it is of authentication.
    fn receive(&mut self, xid: i32) -> Result<Vec<u8>, Failure> {
        const AUTH: i32 = -4;
        if xid == AUTH
            && let Some(frame) = self.early.pop_front()
        {
            return Ok(frame);
        }
        let mut late = Vec::new();
        loop {
            let frame = self.connection.receive_frame()?;
            let is_auth = int_at(&frame, 0)? == AUTH;
            if is_auth == (xid == AUTH) {
                assert!(late.is_empty(), "an answer to auth behind {late:02x?}");
                return Ok(frame);
            }
            if is_auth { self.early.push_back(frame) } else { late.push(frame) }
        }
    }

    fn opcode_of(&mut self, xid: i32) -> Result<i32, Failure> {
        let place = self.asked.iter().skip(1).position(|(asked, _)| *asked == xid);
        Ok(self.asked.remove(place.ok_or("nobody asked")? + 1).1)
    }
}

/// Makes a captured zxid one of this run; 0 stays.
fn shift(field: &mut [u8], run: &Run) -> Result<(), Failure> {
    let zxid = long_at(field, 0)?;
    if zxid != 0 {
        let zxid = zxid + run.zxid_shift.ok_or("a zxid before the first answer")?;
        field.copy_from_slice(&zxid.to_be_bytes());
    }
    Ok(())
}

/// A reply or an event without what is a run's own.
fn normalized(opcode: i32, payload: &[u8], shift: i64) -> Result<Vec<u8>, Failure> {
    let mut out = payload.to_vec();
    unshift(&mut out[4..12], shift)?;
    if int_at(&out, 12)? != 0 {
        return Ok(out);
    }
    let end = out.len();
    match opcode {
        op::EXISTS
        | op::SET_DATA
        | op::SET_ACL
        | op::GET_DATA
        | op::GET_ACL
        | op::CREATE2
        | op::CREATE_CONTAINER
        | op::CREATE_TTL => stat(&mut out[end - STAT_BYTES..], shift)?,
        op::GET_CHILDREN => sort_names(&mut out[16..])?,
        op::GET_CHILDREN2 => {
            stat(&mut out[end - STAT_BYTES..], shift)?;
            sort_names(&mut out[16..end - STAT_BYTES])?;
        }
        op::GET_EPHEMERALS => sort_names(&mut out[16..])?,
        op::MULTI | op::MULTI_READ => results(&mut out[16..], shift)?,
        _ => {}
    }
    Ok(out)
}

fn unshift(field: &mut [u8], shift: i64) -> Result<(), Failure> {
    let zxid = long_at(field, 0)?;
    if zxid > 0 {
        field.copy_from_slice(&(zxid - shift).to_be_bytes());
    }
    Ok(())
}

/// zxids count from the run's start, times are gone, an owner is somebody or nobody.
fn stat(bytes: &mut [u8], shift: i64) -> Result<(), Failure> {
    for zxid in [0, 8, 60] {
        unshift(&mut bytes[zxid..zxid + 8], shift)?;
    }
    bytes[16..32].fill(0);
    let has_owner = long_at(bytes, 44)? != 0;
    bytes[44..52].fill(u8::from(has_owner));
    Ok(())
}

fn sort_names(bytes: &mut [u8]) -> Result<(), Failure> {
    let mut names = Reader::new(bytes).strings()?;
    names.sort_unstable();
    let mut at = 4;
    for name in names {
        bytes[at..at + 4].copy_from_slice(&u32::try_from(name.len())?.to_be_bytes());
        bytes[at + 4..at + 4 + name.len()].copy_from_slice(name.as_bytes());
        at += 4 + name.len();
    }
    Ok(())
}

/// The results of a multi, whose Stats are wherever the parts before them end.
fn results(bytes: &mut [u8], shift: i64) -> Result<(), Failure> {
    let mut at = 0;
    loop {
        let (kind, is_done) = (int_at(bytes, at)?, bytes[at + 4] != 0);
        at += 9;
        if is_done {
            return Ok(());
        }
        match kind {
            op::CREATE => at += 4 + usize::try_from(int_at(bytes, at)?)?,
            op::CREATE2 | op::GET_DATA => {
                at += 4 + usize::try_from(int_at(bytes, at)?.max(0))?;
                stat(&mut bytes[at..at + STAT_BYTES], shift)?;
                at += STAT_BYTES;
            }
            op::SET_DATA => {
                stat(&mut bytes[at..at + STAT_BYTES], shift)?;
                at += STAT_BYTES;
            }
            op::GET_CHILDREN => {
                let mut reader = Reader::new(&bytes[at..]);
                reader.strings()?;
                let names_end = bytes.len() - reader.rest().len();
                sort_names(&mut bytes[at..names_end])?;
                at = names_end;
            }
            -1 => at += 4,
            _ => {}
        }
    }
}
