//! The registers without a look at any zxid: is there an order of their operations that explains
//! every answer, and in which what ended before something else began comes first? (The search of
//! Wing and Gong, with the memory that Lowe added.)

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format, vec,
    vec::Vec,
};

use super::{
    Report, Rule,
    connections::{Connection, Operation, Reply},
};
use crate::{
    ids::Instant,
    protocol::error_code::ErrorCode,
    sim::{
        ask::{Answer, Ask},
        workload::REGISTERS,
    },
};

/// Most configurations that are tried for one register. Beyond: it is counted as undecided.
const STEPS_MAX: usize = 50_000;

/// A register: absent, or who wrote it last (an operation's place) and which version it has.
type Register = Option<(usize, i32)>;

/// One operation, as far as a register is concerned.
#[derive(Debug)]
struct Step {
    from: Instant,
    /// `None`: nobody knows whether it happened at all.
    to: Option<Instant>,
    what: What,
    /// How it is named in a report.
    text: alloc::string::String,
}

#[derive(Debug)]
enum What {
    /// What came of it: whether it was created, if that is known.
    Create { is_created: Option<bool> },
    /// The expected version, and what came of it, if that is known.
    Set { version: i32, result: Option<Result<i32, ErrorCode>> },
    /// Who wrote what was read, and its version.
    Read { seen: Register },
}

pub(super) fn check(connections: &[Connection<'_>], report: &mut Report) {
    for path in REGISTERS {
        match steps(path, connections) {
            Ok(steps) => check_register(path, &steps, report),
            Err(text) => report.broken(Rule::Registers, text),
        }
    }
}

fn check_register(path: &str, steps: &[Step], report: &mut Report) {
    match search(steps) {
        Found::Order => {
            let known = steps.iter().filter(|step| step.to.is_some());
            report.counts.register_operations += known.count();
        }
        Found::TooMany => report.counts.undecided_registers += 1,
        Found::None { most } => {
            let known: Vec<&str> = steps
                .iter()
                .enumerate()
                .filter(|(index, _)| !is_in(&most, *index))
                .take(10)
                .map(|(_, step)| step.text.as_str())
                .collect();
            let text = format!("{path}: no order explains\n{}", known.join("\n"));
            report.broken(Rule::Registers, text);
        }
    }
}

/// Everything that was asked of one register, by time.
fn steps(path: &str, connections: &[Connection<'_>]) -> Result<Vec<Step>, alloc::string::String> {
    let mut all: Vec<(&Connection<'_>, Option<&Operation<'_>>, &Operation<'_>)> = Vec::new();
    for connection in connections {
        let mut before = None;
        for operation in &connection.operations {
            all.push((connection, before, operation));
            before = Some(operation);
        }
    }
    all.retain(|(_, _, operation)| path_of(operation.ask) == Some(path));
    all.sort_by_key(|(_, _, operation)| operation.invoked);
    let mut writers: BTreeMap<&[u8], usize> = BTreeMap::new();
    for (index, (_, _, operation)) in all.iter().enumerate() {
        if let Ask::Create { data, .. } | Ask::SetData { data, .. } = operation.ask {
            writers.insert(data, index);
        }
    }
    // Places are those among all; steps that say nothing stay as reads that are never taken.
    all.iter()
        .map(|(connection, before, operation)| {
            let text = super::name(connection, operation);
            step(operation, *before, &writers, text)
        })
        .collect()
}

fn path_of(ask: &Ask) -> Option<&str> {
    match ask {
        Ask::Create { path, .. } | Ask::SetData { path, .. } | Ask::GetData { path, .. } => {
            Some(path)
        }
        _ => None,
    }
}

fn step(
    operation: &Operation<'_>,
    before: Option<&Operation<'_>>,
    writers: &BTreeMap<&[u8], usize>,
    text: alloc::string::String,
) -> Result<Step, alloc::string::String> {
    let reply = operation.reply;
    let mut from = operation.invoked;
    let unknown = |what| Step { from, to: None, what, text: text.clone() };
    let nothing = || unknown(What::Read { seen: None });
    let what = match (operation.ask, reply.map(|reply| reply.answer)) {
        (Ask::Create { .. }, None) => return Ok(unknown(What::Create { is_created: None })),
        (Ask::SetData { version, .. }, None) => {
            return Ok(unknown(What::Set { version: *version, result: None }));
        }
        (Ask::Create { .. }, Some(Ok(_))) => What::Create { is_created: Some(true) },
        (Ask::Create { .. }, Some(Err(ErrorCode::NodeExists))) => {
            What::Create { is_created: Some(false) }
        }
        (Ask::SetData { version, .. }, Some(Ok(Answer::Stat(stat)))) => {
            What::Set { version: *version, result: Some(Ok(stat.version)) }
        }
        (
            Ask::SetData { version, .. },
            Some(Err(code @ (ErrorCode::BadVersion | ErrorCode::NoNode))),
        ) => What::Set { version: *version, result: Some(Err(*code)) },
        (Ask::GetData { .. }, Some(answer)) => {
            // A read alone may be old. One behind a sync is as new as when that was asked for.
            let Some((Ask::Sync { .. }, Some(_))) = before.map(|one| (one.ask, one.reply)) else {
                return Ok(nothing());
            };
            from = before.map_or(from, |one| one.invoked);
            What::Read {
                seen: seen(answer, writers)
                    .ok_or_else(|| format!("read what nobody wrote: {text}"))?,
            }
        }
        _ => return Ok(nothing()),
    };
    let to = reply.map(|Reply { at, .. }| at);
    Ok(Step { from, to, what, text })
}

/// What a read saw. `None`: what nobody wrote.
fn seen(answer: &Result<Answer, ErrorCode>, writers: &BTreeMap<&[u8], usize>) -> Option<Register> {
    match answer {
        Ok(Answer::Data { data, stat }) => {
            let writer = writers.get(data.as_deref().unwrap_or_default())?;
            Some(Some((*writer, stat.version)))
        }
        _ => Some(None),
    }
}

enum Found {
    /// There is an order.
    Order,
    /// There is none. The operations of the longest one.
    None { most: Vec<u64> },
    /// The search was given up.
    TooMany,
}

fn is_in(set: &[u64], index: usize) -> bool {
    set[index / 64] >> (index % 64) & 1 == 1
}

fn search(steps: &[Step]) -> Found {
    let known = steps.iter().filter(|step| step.to.is_some()).count();
    let start = (vec![0_u64; steps.len().div_ceil(64)], 0, None);
    let mut tried = BTreeSet::new();
    let mut most = (0, start.0.clone());
    let mut stack = vec![start];
    while let Some((done, known_done, register)) = stack.pop() {
        if known_done == known {
            return Found::Order;
        }
        if known_done > most.0 {
            most = (known_done, done.clone());
        }
        if !tried.insert((done.clone(), register)) {
            continue;
        }
        if tried.len() > STEPS_MAX {
            return Found::TooMany;
        }
        let undone = || steps.iter().enumerate().filter(|(index, _)| !is_in(&done, *index));
        // What began after another one ended comes after it.
        let limit = undone().filter_map(|(_, step)| step.to).min();
        let mut next: Vec<(usize, &Step)> =
            undone().filter(|(_, step)| limit.is_none_or(|limit| step.from <= limit)).collect();
        // The last one is tried first: those that ended first, and what nobody knows at the end.
        next.sort_by_key(|(_, step)| core::cmp::Reverse(step.to.map_or(u64::MAX, |to| to.0)));
        for (index, step) in next {
            if let Some(after) = take(step, index, register) {
                let mut done = done.clone();
                done[index / 64] |= 1 << (index % 64);
                stack.push((done, known_done + usize::from(step.to.is_some()), after));
            }
        }
    }
    Found::None { most: most.1 }
}

/// The register after a step, if its answer fits. What nobody knows is taken only if it does
/// something.
fn take(step: &Step, index: usize, register: Register) -> Option<Register> {
    match (&step.what, register) {
        (What::Create { is_created: None | Some(true) }, None) => Some(Some((index, 0))),
        (What::Create { is_created: Some(false) }, Some(_)) => Some(register),
        (What::Set { version, result: None }, Some((_, now))) => {
            (*version == -1 || *version == now).then_some(Some((index, now + 1)))
        }
        (What::Set { version, result: Some(Ok(after)) }, Some((_, now))) => {
            let fits = (*version == -1 || *version == now) && *after == now + 1;
            fits.then_some(Some((index, now + 1)))
        }
        (What::Set { version, result: Some(Err(ErrorCode::BadVersion)) }, Some((_, now))) => {
            (*version != -1 && *version != now).then_some(register)
        }
        (What::Set { result: Some(Err(ErrorCode::NoNode)), .. }, None) => Some(None),
        (What::Read { seen }, _) => (step.to.is_some() && *seen == register).then_some(register),
        _ => None,
    }
}
