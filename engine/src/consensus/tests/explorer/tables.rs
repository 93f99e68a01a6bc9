//! The explorations: of the rules as they are, and for each broken rule one that is about it.

use super::limits::{Limits, ONE_LEADER};
use crate::mutant::Mutant;

const TWO: Limits = Limits { name: "two leaders", campaigns: [1, 1, 0, 0, 0], ..ONE_LEADER };

/// Two leaders and no slow disk: for what needs no crash.
const FAST: Limits = Limits { name: "two, fast", has_fast_disks: true, ..TWO };

const PROPOSAL: Limits = Limits { name: "two, proposal, fast", proposals: 1, ..FAST };
const CRASH: Limits = Limits { name: "two, crash", crashes: 1, ..TWO };
const PROPOSAL_SLOW: Limits = Limits { name: "two, proposal", proposals: 1, ..TWO };
const PROPOSAL_CRASH: Limits =
    Limits { name: "two, proposal, crash", proposals: 1, crashes: 1, ..TWO };
const THREE: Limits =
    Limits { name: "three, fast", campaigns: [1, 1, 1, 0, 0], has_fast_disks: true, ..TWO };
const TWICE: Limits =
    Limits { name: "first twice, proposal, fast", campaigns: [2, 1, 0, 0, 0], ..PROPOSAL };
const TWICE_SECOND: Limits =
    Limits { name: "second twice, fast", campaigns: [1, 2, 0, 0, 0], proposals: 0, ..PROPOSAL };
const THREE_PROPOSAL: Limits = Limits { name: "three, proposal, fast", proposals: 1, ..THREE };
const THREE_CRASH: Limits =
    Limits { name: "three, crash", has_fast_disks: false, crashes: 1, ..THREE };
const FOUR: Limits = Limits { name: "twice each, fast", campaigns: [2, 2, 0, 0, 0], ..FAST };
const REORDERED: Limits =
    Limits { name: "two, two proposals, fast", proposals: 2, window: 3, ..FAST };
/// A follower that has more than the leader of the next ballot is told the log from its beginning,
/// batch by batch.
const AGAIN: Limits =
    Limits { name: "two, heartbeat, two proposals, fast", heartbeats: 1, ..REORDERED };
const WINDOW: Limits = Limits {
    name: "one, two proposals, window 1, fast",
    proposals: 2,
    window: 1,
    has_fast_disks: true,
    ..ONE_LEADER
};
const READ: Limits = Limits { name: "two, read, fast", reads: 1, ..FAST };
const READ_ALONE: Limits = Limits { name: "one, read, fast", campaigns: [1, 0, 0, 0, 0], ..READ };
const READ_PROPOSAL: Limits = Limits { name: "two, read, proposal, fast", proposals: 1, ..READ };
const READ_AGAIN: Limits = Limits {
    name: "one of two, two reads, crash, proposal, fast",
    replicas: 2,
    voters: 2,
    campaigns: [1, 0, 0, 0, 0],
    reads: 2,
    crashes: 1,
    proposals: 1,
    ..READ
};
const SNAPSHOT: Limits = Limits {
    name: "two, snapshot, proposal, rejects, fast",
    proposals: 1,
    snapshots: 1,
    kept: 0,
    has_rejects: true,
    ..FAST
};
const SNAPSHOT_CRASH: Limits = Limits {
    name: "two, snapshot, crash, rejects",
    snapshots: 1,
    crashes: 1,
    kept: 0,
    has_rejects: true,
    ..TWO
};
const HEARTBEAT: Limits = Limits { name: "two, heartbeat, fast", heartbeats: 1, ..FAST };
const HEARTBEAT_PROPOSAL: Limits =
    Limits { name: "two, heartbeat, proposal, fast", proposals: 1, ..HEARTBEAT };
const HEARTBEATS: Limits = Limits {
    name: "one, proposal, two heartbeats, fast",
    campaigns: [1, 0, 0, 0, 0],
    heartbeats: 2,
    proposals: 1,
    kept: 0,
    ..FAST
};
const REJECTS: Limits = Limits { name: "two, rejects, fast", has_rejects: true, ..FAST };
const ALL_TO_ALL: Limits =
    Limits { name: "two, R11, proposal, fast", all_to_all: true, ..PROPOSAL };
const ALL_TO_ALL_CRASH: Limits = Limits { name: "two, R11, crash", all_to_all: true, ..CRASH };
const ALL_TO_ALL_TWICE: Limits =
    Limits { name: "first twice, R11, fast", all_to_all: true, proposals: 0, ..TWICE };
const ALL_TO_ALL_READ: Limits = Limits {
    name: "one, R11, read, proposal, fast",
    campaigns: [1, 0, 0, 0, 0],
    all_to_all: true,
    proposals: 1,
    ..READ
};
const JOIN: Limits = Limits {
    name: "two voters, a third joins, fast",
    voters: 2,
    campaigns: [1, 1, 0, 0, 0],
    reconfigurations: 1,
    wanted: &[&[1, 2, 3]],
    ..FAST
};
const REPLACED: Limits = Limits {
    name: "two voters, one is replaced, fast",
    campaigns: [1, 0, 1, 0, 0],
    wanted: &[&[1, 3]],
    ..JOIN
};
const REPLACED_BOTH: Limits = Limits {
    name: "two voters, both are replaced, fast",
    campaigns: [1, 1, 1, 0, 0],
    wanted: &[&[3]],
    ..JOIN
};
const LEFT_ALONE: Limits = Limits {
    name: "three voters, two leave, fast",
    voters: 3,
    reconfigurations: 2,
    wanted: &[&[1]],
    ..JOIN
};
const WIPED: Limits = Limits { name: "two, wiped, fast", wipes: 1, ..FAST };
const ADMITTED: Limits =
    Limits { name: "two, wiped and admitted, fast", asks: 2, tends: 1, ..WIPED };
const FORMED: Limits = Limits {
    name: "formation, wiped, fast",
    voters: 0,
    campaigns: [0, 1, 0, 0, 0],
    asks: 3,
    wipes: 1,
    ..FAST
};

/// So small that it is explored without the reductions, too.
pub(super) const TINY: Limits = Limits { name: "two of two", replicas: 2, voters: 2, ..FAST };

/// What every build explores.
pub(super) const SMALL: [Limits; 13] = [
    ONE_LEADER,
    FAST,
    TWO,
    CRASH,
    WINDOW,
    READ_ALONE,
    REJECTS,
    ALL_TO_ALL_CRASH,
    JOIN,
    REPLACED,
    LEFT_ALONE,
    WIPED,
    FORMED,
];

/// What a long run explores, too.
pub(super) const LARGE: [Limits; 24] = [
    PROPOSAL,
    PROPOSAL_SLOW,
    PROPOSAL_CRASH,
    THREE,
    THREE_CRASH,
    TWICE_SECOND,
    TWICE,
    THREE_PROPOSAL,
    FOUR,
    REORDERED,
    HEARTBEAT,
    HEARTBEATS,
    HEARTBEAT_PROPOSAL,
    AGAIN,
    READ,
    READ_PROPOSAL,
    READ_AGAIN,
    SNAPSHOT,
    SNAPSHOT_CRASH,
    ALL_TO_ALL,
    ALL_TO_ALL_READ,
    ALL_TO_ALL_TWICE,
    REPLACED_BOTH,
    ADMITTED,
];

/// The bounds within which a broken rule of consensus shows; `None` if it is about progress only
/// (or about something else than consensus).
#[expect(clippy::wildcard_enum_match_arm, reason = "every rule of safety is named")]
pub(super) fn about(mutant: Mutant) -> Option<Limits> {
    let limits = match mutant {
        Mutant::StoredAtAppend
        | Mutant::PromiseNotDurable
        | Mutant::PrepareNotDurable
        | Mutant::BallotNotDurable => TWO,
        Mutant::LeaderCountsAppended | Mutant::PromiseForgotten => CRASH,
        Mutant::AcceptLowerBallot
        | Mutant::PreviousNotChecked
        | Mutant::ConflictKept
        | Mutant::CommitByMinority
        | Mutant::LeadByMinority
        | Mutant::OwnLogAdopted
        | Mutant::TailOmitted => PROPOSAL,
        Mutant::WholeLogMatches => AGAIN,
        Mutant::CommitUnmatched => HEARTBEAT,
        Mutant::CutWithoutConflict => REORDERED,
        Mutant::CommitEarlierBallot | Mutant::LongestLogAdopted => TWICE,
        Mutant::FetchedWithoutBallot | Mutant::CommitStampedLate => REJECTS,
        Mutant::InstalledWithoutBallot => SNAPSHOT,
        Mutant::ReadUnconfirmed | Mutant::ReadBeforeEstablished => READ,
        Mutant::ReadOfEarlierLife => READ_AGAIN,
        Mutant::ReadBehindOthers => ALL_TO_ALL_READ,
        Mutant::OthersEarlierBallot => ALL_TO_ALL_TWICE,
        Mutant::StrangerVotes => WIPED,
        Mutant::WindowUnbounded => WINDOW,
        Mutant::OldConfigOnly => REPLACED_BOTH,
        Mutant::ConfigUnestablished => LEFT_ALONE,
        Mutant::FormedByMinority | Mutant::FormedByHearsay => FORMED,
        _ => return None,
    };
    Some(limits)
}
