//! Who votes: changes of the configuration, data directories that are lost, the first formation.

use expect_test::expect;

use super::{Story, check, check_rule, run, some_vote};
use crate::{
    consensus::{config::Voter, message::Message},
    ids::Incarnation,
    mutant::Mutant,
};

/// Two voters become three, and then the first leaves.
#[test]
fn the_voters_change() {
    check(
        some_vote(3, 2),
        "elect 1 2
         settle 1 2
         run 100 1-2 1-3 2-3
         voters 1 1 2 3
         run 100 1-2 1-3 2-3
         voters 1 2 3
         run 1500 1-2 1-3 2-3
         crash 1
         run 1000 2-3
         propose 2 a
         propose 3 a
         settle 2 3",
        &expect![[r#"
            1 is down
            2: 5 of 5 decided, round 2, leads
            3: 5 of 5 decided, round 2
        "#]],
    );
}

/// With the configuration of 1 and 2 in force, that of 3, 4 and 5 is proposed, and has a quorum
/// of its own: both are needed.
#[test]
fn a_change_needs_both_quorums() {
    check_rule(
        some_vote(5, 2),
        Mutant::OldConfigOnly,
        "elect 1 2
         settle 1 2
         run 200 1-2 1-3 1-4 1-5
         voters 1 3 4 5
         settle 1 2",
        &expect![[r#"
            1: 1 of 2 decided, round 1, leads
            2: 1 of 2 decided, round 1
            3: 0 of 0 decided, round 0
            4: 0 of 0 decided, round 0
            5: 0 of 0 decided, round 0
        "#]],
    );
}

/// A wiped replica comes back as somebody else, learns what is decided, and gets its vote back: it
/// replaces another one that is lost.
#[test]
fn a_wiped_replica_is_admitted() {
    check(
        3,
        "elect 1 2
         settle 1 2 3
         propose 1 a
         settle 1 2 3
         wipe 3
         restart 3
         run 400 1-2 1-3 2-3
         crash 2
         propose 1 b
         run 300 1-3",
        &expect![[r#"
            1: 4 of 4 decided, round 1, leads
            2 is down
            3: 4 of 4 decided, round 1
        "#]],
    );
}

/// What a directory said that was lost since comes late: whoever has its place by now keeps it.
#[test]
fn a_voter_that_is_heard_keeps_its_place() {
    let mut story = run(
        3,
        "elect 1 2
         settle 1 2 3
         wipe 3
         restart 3
         run 600 1-2 1-3 2-3
         wipe 3
         restart 3
         run 600 1-2 1-3 2-3",
    );
    let [leader, member] = [0, 2].map(|index| story.world.nodes[index].voter);
    let lost = Voter { incarnation: Incarnation(1003), ..member };
    let end = |story: &Story| story.world.nodes[0].core.as_ref().unwrap().log_end().slot;
    let commit = end(&story);
    assert!(story.world.nodes[0].knows(member), "admitted");
    story.world.step(0, |core, now, ready| {
        core.receive(now, (lost, leader), Message::Newcomer { commit }, ready);
    });
    story.line("run 600 1-2 1-3 2-3");
    assert_eq!(end(&story), commit, "no configuration is proposed");
}

/// Three founders form the cluster when all three are there.
#[test]
fn founders_wait_for_each_other() {
    check_rule(
        some_vote(3, 0),
        Mutant::FormedByMinority,
        "run 1000 1-2",
        &expect![[r#"
        1: 0 of 0 decided, round 0
        2: 0 of 0 decided, round 0
        3: 0 of 0 decided, round 0
    "#]],
    );
    check(
        some_vote(3, 0),
        "run 1000 1-2 1-3 2-3",
        &expect![[r#"
        1: 2 of 2 decided, round 1, leads
        2: 2 of 2 decided, round 1
        3: 2 of 2 decided, round 1
    "#]],
    );
}

/// Replica 2 comes back with an empty directory: with it alone, 3 does not lead, and cannot lose
/// what 1 and 2 have decided.
#[test]
fn a_wiped_replica_does_not_vote() {
    check_rule(
        3,
        Mutant::StrangerVotes,
        "elect 1 2
         settle 1 2
         propose 1 a
         settle 1 2
         drop
         crash 1
         wipe 2
         restart 2
         elect 3 2
         settle 3 2",
        &expect![[r#"
            1 is down
            2: 0 of 0 decided, round 0
            3: 0 of 0 decided, round 1
        "#]],
    );
}
