//! Cuts a run that ends in a difference down to few acts that still show one.

use std::time::{Duration, Instant};

use crate::wire::Failure;

use super::act::{Act, Request};

/// The shortest run found within `time` that still differs at its end, by leaving out acts and
/// then single requests. `differs` plays a run on fresh servers and says where it differs first.
pub(super) fn shrink(
    acts: Vec<Act>,
    time: Duration,
    mut differs: impl FnMut(&[Act]) -> Result<Option<usize>, Failure>,
) -> Result<Vec<Act>, Failure> {
    let deadline = Instant::now() + time;
    let mut best = acts;
    // Most differences need little history: try ends of the run first, from the shortest.
    let mut tail = 1;
    while tail < best.len() && Instant::now() < deadline {
        let candidate = &best[best.len() - tail..];
        if let Some(at) = differs(candidate)? {
            best = candidate[..=at].to_vec();
            break;
        }
        tail *= 4;
    }
    let mut chunk = best.len() / 2;
    while 0 < chunk && Instant::now() < deadline {
        let mut start = 0;
        while start < best.len() && Instant::now() < deadline {
            let end = (start + chunk).min(best.len());
            let candidate = [&best[..start], &best[end..]].concat();
            match differs(&candidate)? {
                Some(at) => best = candidate[..=at].to_vec(),
                None => start = end,
            }
        }
        chunk /= 2;
    }
    for index in 0..best.len() {
        thin(&mut best, index, deadline, &mut differs)?;
    }
    Ok(best)
}

/// Leaves out single requests of one act.
fn thin(
    best: &mut Vec<Act>,
    index: usize,
    deadline: Instant,
    differs: &mut impl FnMut(&[Act]) -> Result<Option<usize>, Failure>,
) -> Result<(), Failure> {
    let count = best.get_mut(index).and_then(requests).map_or(0, |requests| requests.len());
    for position in (0..count).rev() {
        if deadline < Instant::now() || best.len() <= index {
            return Ok(());
        }
        let mut candidate = best.clone();
        let Some(requests) = requests(&mut candidate[index]) else { return Ok(()) };
        if requests.len() == 1 {
            return Ok(());
        }
        requests.remove(position);
        if let Some(at) = differs(&candidate)? {
            candidate.truncate(at + 1);
            *best = candidate;
        }
    }
    Ok(())
}

fn requests(act: &mut Act) -> Option<&mut Vec<Request>> {
    match act {
        Act::Burst { requests, .. } => Some(requests),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::records::op;

    fn burst(client: usize, opcodes: &[i32]) -> Act {
        let requests = opcodes.iter().map(|opcode| Request::new(*opcode, Vec::new())).collect();
        Act::Burst { client, requests }
    }

    /// A made-up difference: a delete somewhere behind a create.
    fn differs(acts: &[Act]) -> Option<usize> {
        let mut is_created = false;
        for (index, act) in acts.iter().enumerate() {
            let Act::Burst { requests, .. } = act else { continue };
            for request in requests {
                is_created |= request.opcode == op::CREATE;
                if is_created && request.opcode == op::DELETE {
                    return Some(index);
                }
            }
        }
        None
    }

    #[test]
    fn what_does_not_matter_goes() {
        let noise = [op::PING, op::SYNC, op::EXISTS];
        let mut acts: Vec<Act> = (0..100).map(|index| burst(index % 4, &noise)).collect();
        acts[20] = burst(1, &[op::PING, op::CREATE, op::PING]);
        acts.push(burst(2, &[op::SYNC, op::DELETE]));
        let mut plays = 0;
        let shortest = shrink(acts, Duration::from_secs(60), |acts| {
            plays += 1;
            Ok(differs(acts))
        });
        let shortest = format!("{:?}", shortest.expect("no play failed"));
        let expected = [burst(1, &[op::CREATE]), burst(2, &[op::DELETE])];
        assert_eq!(shortest, format!("{expected:?}"));
        assert!(plays < 60, "{plays} plays");
    }
}
