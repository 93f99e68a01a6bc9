//! What is decided stays: promises, logs that are adopted, batches that are fetched, snapshots.

use expect_test::expect;

use super::{Story, all_to_all, check, check_rule, run};
use crate::mutant::Mutant;

#[test]
fn a_quorum_decides() {
    check(
        3,
        "elect 1 2
         settle 1 2
         propose 1 ab
         settle 1 2",
        &expect![[r#"
            1: 3 of 3 decided, round 1, leads
            2: 3 of 3 decided, round 1
            3: 0 of 0 decided, round 0
        "#]],
    );
}

#[test]
fn a_promise_waits_for_the_disk() {
    let mut story = run(3, "campaign 1\nflush 1\ndeliver 1>2 Prepare");
    let answers =
        |story: &Story| story.world.network.iter().filter(|packet| packet.from.id.0 == 2).count();
    assert_eq!(answers(&story), 0);
    story.line("flush 2");
    assert_eq!(answers(&story), 1);
}

/// (Raft's figure 8.) Batch a, of ballot 1.1, gets to a quorum under ballot 3.1, whose own first
/// batch does not: it is not decided, because ballot 2.2 has another batch at its slot.
#[test]
fn an_old_batch_on_a_quorum_is_not_decided() {
    check_rule(
        3,
        Mutant::CommitEarlierBallot,
        "elect 1 2
         settle 1 2 3
         propose 1 a
         flush 1
         drop
         crash 1
         elect 2 3
         flush 2
         drop
         crash 2
         restart 1
         elect 1 3
         elect 1 3
         deliver 1>3 Accept
         deliver 3>1 Mismatch
         deliver 1>3 Accept
         flush 3
         deliver 3>1 Accepted
         drop
         crash 1
         restart 2
         elect 2 3
         elect 2 3
         settle 2 3",
        &expect![[r#"
            1 is down
            2: 4 of 4 decided, round 4, leads
            3: 4 of 4 decided, round 4
        "#]],
    );
}

/// The same with followers that count for themselves (R11): 3, 4 and 5 have batch a, under ballot
/// 3.1, and tell each other.
#[test]
fn followers_do_not_decide_an_old_batch() {
    check_rule(
        all_to_all(5),
        Mutant::OthersEarlierBallot,
        "elect 1 2 3
         settle 1 2 3 4 5
         propose 1 a
         flush 1
         drop
         crash 1
         elect 2 3 4
         flush 2
         drop
         crash 2
         restart 1
         elect 1 3 4
         elect 1 3 4
         deliver 1>3 Accept
         deliver 3>1 Mismatch
         deliver 1>3 Accept
         deliver 1>4 Accept
         deliver 4>1 Mismatch
         deliver 1>4 Accept
         deliver 1>5 Accept
         deliver 5>1 Mismatch
         deliver 1>5 Accept
         flush 3
         flush 4
         flush 5
         deliver 3>4 Accepted
         deliver 5>4 Accepted
         drop
         crash 1
         restart 2
         elect 2 3 4
         elect 2 3 4
         settle 2 3 4 5",
        &expect![[r#"
            1 is down
            2: 4 of 4 decided, round 4, leads
            3: 4 of 4 decided, round 4
            4: 4 of 4 decided, round 4
            5: 4 of 4 decided, round 4
        "#]],
    );
}

/// Replica 3 is far behind; the log that it lacks is gone, and it takes a snapshot.
#[test]
fn a_snapshot_takes_the_place_of_a_log_that_is_gone() {
    check(
        3,
        "elect 1 2
         settle 1 2
         propose 1 a
         settle 1 2
         propose 1 b
         settle 1 2
         propose 1 c
         settle 1 2
         propose 1 d
         settle 1 2
         snapshot 1
         snapshot 2
         drop
         heartbeat 1
         settle 1 3
         heartbeat 1
         settle 1 3
         install 3
         heartbeat 1
         settle 1 3
         crash 3
         restart 3",
        &expect![[r#"
            1: 5 of 5 decided, round 1, leads
            2: 5 of 5 decided, round 1
            3: 5 of 5 decided, round 1
        "#]],
    );
}

/// The longer log is the older one: batch 2 of ballot 2.2 is decided.
#[test]
fn the_fresher_log_is_adopted_not_the_longer() {
    check_rule(
        3,
        Mutant::LongestLogAdopted,
        "elect 1 2
         settle 1 2 3
         propose 1 ab
         flush 1
         drop
         crash 1
         elect 2 3
         settle 2 3
         drop
         restart 1
         elect 1 3
         elect 1 3
         settle 1 3",
        &expect![[r#"
            1: 3 of 3 decided, round 3, leads
            2: 2 of 2 decided, round 2, leads
            3: 3 of 3 decided, round 3
        "#]],
    );
}

/// Candidate 4 holds promises of 3 and 5 on their way while 1 decides under a higher ballot what 5
/// has not; 4 fetches it. A candidate that knew it and went on would lead with 5's log.
#[test]
fn who_fetches_a_decision_promises_its_ballot() {
    check_rule(
        5,
        Mutant::FetchedWithoutBallot,
        "elect 1 2 3
         settle 1 2 3 4 5
         propose 1 abc
         flush 1
         drop
         elect 5 3 4
         flush 5
         drop
         ask 4
         campaign 4
         flush 4
         deliver 4>3 Prepare
         flush 3
         deliver 4>5 Prepare
         flush 5
         elect 1 2 3
         elect 1 2 3
         settle 1 2 3
         deliver 4>1 PreVote
         deliver 1>4 PreVoteAnswer
         deliver 4>1 Fetch
         deliver 1>4 Fetched
         deliver 3>4 Promise
         deliver 5>4 Promise",
        &expect![[r#"
            1: 5 of 5 decided, round 4, leads
            2: 5 of 5 decided, round 4
            3: 5 of 5 decided, round 4
            4: 4 of 4 decided, round 4
            5: 1 of 2 decided, round 3
        "#]],
    );
}

/// Replica 1 has a batch at slot 2 that lost, and fetches the one that was decided: a promise, the
/// batch and its decision in one step. The crash keeps only the promise: what it says of the commit
/// slot must not be about the batch that is lost.
#[test]
fn a_record_knows_only_the_decisions_before_it() {
    check_rule(
        3,
        Mutant::CommitStampedLate,
        "elect 1 2
         settle 1 2 3
         propose 1 a
         flush 1
         drop
         crash 1
         elect 2 3
         settle 2 3
         drop
         restart 1
         ask 1
         deliver 1>2 PreVote
         deliver 2>1 PreVoteAnswer
         deliver 1>2 Fetch
         deliver 2>1 Fetched
         crash 1 1
         restart 1",
        &expect![[r#"
            1: 1 of 2 decided, round 2
            2: 2 of 2 decided, round 2, leads
            3: 2 of 2 decided, round 2
        "#]],
    );
}

/// Schedule A: a follower that is far behind catches up by what is fetched, crashes in the middle,
/// and loses nothing that was decided.
#[test]
fn a_lagging_follower_keeps_what_is_decided() {
    check(
        3,
        "elect 1 2
         settle 1 2 3
         propose 1 a
         settle 1 2
         propose 1 b
         settle 1 2
         propose 1 c
         settle 1 2
         propose 1 d
         settle 1 2
         drop
         heartbeat 1
         settle 1 3
         heartbeat 1
         deliver 1>3
         deliver 3>1
         deliver 1>3
         crash 3
         restart 3
         heartbeat 1
         settle 1 3
         heartbeat 1
         settle 1 3
         heartbeat 1
         settle 1 3",
        &expect![[r#"
            1: 5 of 5 decided, round 1, leads
            2: 5 of 5 decided, round 1
            3: 5 of 5 decided, round 1
        "#]],
    );
}

/// Schedule B: the same replica leads next, with the help of the only other one that is up.
#[test]
fn a_lagging_replica_that_leads_keeps_what_is_decided() {
    check(
        3,
        "elect 1 2
         settle 1 2 3
         propose 1 a
         settle 1 2
         propose 1 b
         settle 1 2
         propose 1 c
         settle 1 2
         drop
         crash 1
         elect 3 2
         settle 3 2
         elect 3 2
         settle 3 2
         propose 3 x
         settle 3 2",
        &expect![[r#"
            1 is down
            2: 6 of 6 decided, round 3
            3: 6 of 6 decided, round 3, leads
        "#]],
    );
}

/// Schedule C: a message of batches is lost and a promise arrives twice: the later batch does not
/// take the earlier one's place.
#[test]
fn a_lost_batch_and_a_repeated_promise() {
    check(
        3,
        "campaign 1
         flush 1
         deliver 1>2 Prepare
         flush 2
         repeat 2>1 Promise
         flush 1
         drop
         propose 1 a
         repeat 2>1 Promise
         deliver 1>2
         deliver 1>3
         flush 2
         flush 3
         deliver 2>1
         heartbeat 1
         settle 1 2 3
         heartbeat 1
         settle 1 2 3",
        &expect![[r#"
            1: 2 of 2 decided, round 1, leads
            2: 2 of 2 decided, round 1
            3: 2 of 2 decided, round 1
        "#]],
    );
}
