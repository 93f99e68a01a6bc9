//! Who leads, who gives up, and up to where a leader says that everybody has decided.

use expect_test::expect;

use super::{all_to_all, check, check_rule};
use crate::mutant::Mutant;

/// Followers 2 and 3 decide and show batch a before their leader hears of it; who asks the leader
/// afterwards must see it.
#[test]
fn a_leader_answers_for_those_that_decide_alone() {
    check_rule(
        all_to_all(3),
        Mutant::ReadBehindOthers,
        "elect 1 2
         settle 1 2 3
         propose 1 a
         deliver 1>2 Accept
         deliver 1>3 Accept
         flush 2
         flush 3
         deliver 2>3 Accepted
         drop
         read 1
         deliver 1>2 Heartbeat
         deliver 2>1 HeartbeatAck",
        &expect![[r#"
            1: 1 of 2 decided, round 1, leads
            2: 1 of 2 decided, round 1
            3: 2 of 2 decided, round 1
        "#]],
    );
}

/// Replica 2 asks, stops, and asks again in its next life when more is decided; the answer to the
/// first question comes late.
#[test]
fn an_answer_belongs_to_the_life_that_asked() {
    check_rule(
        3,
        Mutant::ReadOfEarlierLife,
        "elect 1 2
         settle 1 2 3
         read 2
         deliver 2>1 AskRead
         deliver 1>3 Heartbeat
         deliver 3>1 HeartbeatAck
         crash 2
         restart 2
         propose 1 a
         settle 1 3
         heartbeat 1
         deliver 1>2 Heartbeat
         read 2
         deliver 1>2 ReadAnswer",
        &expect![[r#"
            1: 2 of 2 decided, round 1, leads
            2: 0 of 1 decided, round 1
            3: 2 of 2 decided, round 1
        "#]],
    );
}

/// A leader that is about to stop is succeeded without a timeout, by one that has everything.
#[test]
fn a_leader_hands_over() {
    check(
        3,
        "elect 1 2
         settle 1 2 3
         propose 1 a
         settle 1 2 3
         hand-over 1
         settle 1 2 3",
        &expect![[r#"
            1: 3 of 3 decided, round 2
            2: 3 of 3 decided, round 2, leads
            3: 3 of 3 decided, round 2
        "#]],
    );
}

/// A deposed leader that has heard of nothing is asked for a read index.
#[test]
fn a_leader_asks_a_quorum_before_it_answers() {
    check_rule(
        3,
        Mutant::ReadUnconfirmed,
        "elect 1 2
         settle 1 2 3
         drop
         elect 3 2
         settle 3 2
         read 1",
        &expect![[r#"
            1: 1 of 1 decided, round 1, leads
            2: 2 of 2 decided, round 2
            3: 2 of 2 decided, round 2, leads
        "#]],
    );
}

#[test]
fn who_comes_back_does_not_disturb() {
    check_rule(
        3,
        Mutant::PreVoteDisturbs,
        "run 400 1-2 1-3 2-3
         run 2000 1-2
         ask 3
         deliver 3>2 PreVote
         deliver 2>3 PreVoteAnswer
         run 300 1-2 1-3 2-3",
        &expect![[r#"
            1: 1 of 1 decided, round 1, leads
            2: 1 of 1 decided, round 1
            3: 1 of 1 decided, round 1
        "#]],
    );
}

#[test]
fn a_leader_without_a_quorum_gives_up() {
    check_rule(
        3,
        Mutant::LeaderNeverGivesUp,
        "run 400 1-2 1-3 2-3
         run 800 2-3",
        &expect![[r#"
            1: 1 of 1 decided, round 1
            2: 2 of 2 decided, round 2, leads
            3: 2 of 2 decided, round 2
        "#]],
    );
}

/// The leader is 1, and then only 3 hears everybody.
#[test]
fn who_hears_a_quorum_takes_over() {
    check(
        5,
        "run 400 1-2 1-3 1-4 1-5
         run 1500 3-1 3-2 3-4 3-5",
        &expect![[r#"
            1: 2 of 2 decided, round 2
            2: 2 of 2 decided, round 2
            3: 2 of 2 decided, round 2, leads
            4: 2 of 2 decided, round 2
            5: 2 of 2 decided, round 2
        "#]],
    );
}

/// A chain: 1 leads, and the link from 1 to 3 breaks. 2 hears both, so nobody else is needed.
#[test]
fn a_broken_link_in_a_triangle_changes_nothing() {
    check(
        3,
        "run 400 1-2 1-3 2-3
         run 2000 1-2 2-3",
        &expect![[r#"
            1: 1 of 1 decided, round 1, leads
            2: 1 of 1 decided, round 1
            3: 1 of 1 decided, round 1
        "#]],
    );
}

#[test]
fn a_closed_link_is_news_at_once() {
    check(
        3,
        "run 400 1-2 1-3 2-3
         crash 1
         close 2 1
         close 3 1
         run 30 2-3",
        &expect![[r#"
            1 is down
            2: 2 of 2 decided, round 2
            3: 2 of 2 decided, round 2, leads
        "#]],
    );
}
