//! Stories of a leader's count of votes. What one voter does with a disk is told in `replica`.

mod explorer;
mod random;
mod stories;
mod world;

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use expect_test::{Expect, expect};

use super::*;
use crate::ids::{Incarnation, ReplicaId};

fn voter(id: u16) -> Voter {
    Voter { id: ReplicaId(id), incarnation: Incarnation(u128::from(id)) }
}

fn voters(count: u16) -> Config {
    Config::new((1..=count).map(voter).collect())
}

fn nothing() -> Remembered {
    Remembered {
        promised: Ballot::default(),
        appended: LogPos(0),
        base: Base::default(),
        config: None,
        batches: Vec::new(),
        commit: Slot(0),
    }
}

/// Replica 1 leads `count` voters, and its ballot begins with slot 5. Lines are `voter slot`.
fn check(count: u16, script: &str, expected: &Expect) {
    let ballot = Ballot { round: 3, replica: ReplicaId(1) };
    let base = Base { slot: Slot(4), ..Base::default() };
    let log = Log::new(base, Arc::new(voters(count)), LogPos(0));
    let mut leader = Leader::new(voter(1), ballot, &log, Instant(0));
    let mut out = String::new();
    for line in script.lines().map(str::trim) {
        let words: Vec<&str> = line.split(' ').collect();
        let [who, slot] = words[..] else { panic!("voter and slot: {line}") };
        let id: u16 = who.parse().expect("a number");
        leader.record_stored(voter(id), Slot(slot.parse().expect("a number")));
        let commit = leader.committable(&log);
        let commit = commit.map_or("nothing".to_string(), |slot| slot.0.to_string());
        out.push_str(&format!("{id} has {slot}: {commit}\n"));
    }
    expected.assert_eq(&out);
}

#[test]
fn commits_without_own_disk() {
    check(
        3,
        "2 5
         3 6
         2 6",
        &expect![[r#"
            2 has 5: nothing
            3 has 6: 5
            2 has 6: 6
        "#]],
    );
}

#[test]
fn own_disk_is_one_vote_and_no_more() {
    check(
        3,
        "1 9
         2 7
         3 8",
        &expect![[r#"
            1 has 9: nothing
            2 has 7: 7
            3 has 8: 8
        "#]],
    );
}

#[test]
fn an_earlier_ballots_batch_is_not_decided_by_counting() {
    check(
        3,
        "1 4
         2 4
         3 4
         3 5
         1 5",
        &expect![[r#"
            1 has 4: nothing
            2 has 4: nothing
            3 has 4: nothing
            3 has 5: nothing
            1 has 5: 5
        "#]],
    );
}

#[test]
fn late_answers_and_strangers_change_nothing() {
    check(
        3,
        "2 6
         1 6
         1 5
         9 99
         2 5",
        &expect![[r#"
            2 has 6: nothing
            1 has 6: 6
            1 has 5: 6
            9 has 99: 6
            2 has 5: 6
        "#]],
    );
}

#[test]
fn a_candidate_counts_itself_when_its_promise_is_durable() {
    let mut consensus = Consensus::recover(Settings::new(voter(1), Life(1), voters(1)), nothing());
    let mut ready = Ready::default();
    consensus.campaign(&mut ready);
    consensus.lead_and_decide(Instant(0), WallTime(0), &mut ready);
    assert_eq!(consensus.leader_ballot(), None, "its own promise may still be forgotten");
    consensus.record_durable(LogPos(1));
    consensus.lead_and_decide(Instant(0), WallTime(0), &mut ready);
    assert!(consensus.leader_ballot().is_some());
}

#[test]
fn a_stranger_with_the_name_of_a_voter_does_not_campaign() {
    let own = Voter { id: ReplicaId(1), incarnation: Incarnation(99) };
    let mut consensus = Consensus::recover(Settings::new(own, Life(1), voters(1)), nothing());
    let mut ready = Ready::default();
    consensus.campaign_alone(&mut ready);
    assert_eq!(ready, Ready::default());
}

#[test]
fn a_full_counter_starts_an_epoch_without_an_election() {
    let settings = Settings::new(voter(1), Life(1), voters(1));
    let mut consensus = Consensus::recover(settings, nothing());
    let mut ready = Ready::default();
    consensus.campaign_alone(&mut ready);
    consensus.record_durable(LogPos(1));
    consensus.lead_and_decide(Instant(0), WallTime(0), &mut ready);
    // No batch has so many commands; a counter gets there by many batches.
    let proposal = |zxid_count| Proposal { payload: Arc::from([0]), command_count: 1, zxid_count };
    consensus.propose(proposal(COUNTER_MAX - 1), WallTime(0), &mut ready);
    assert!(!consensus.needs_new_epoch(), "there is room for the largest batch");
    consensus.propose(proposal(1), WallTime(0), &mut ready);
    assert!(consensus.needs_new_epoch());
    consensus.renew_epoch(WallTime(0), &mut ready);
    consensus.propose(proposal(1), WallTime(0), &mut ready);
    let text = ready.appends.iter().map(|append| match &append.record {
        Record::Promise(ballot) => format!("promise round {}", ballot.round),
        Record::Install(base) => format!("installed {}", base.slot.0),
        Record::Batch(ballot, batch) => {
            format!("round {} up to {}", ballot.round, batch.header.last_zxid())
        }
    });
    expect![[r#"
        [
            "promise round 1",
            "round 1 up to 0x100000000",
            "round 1 up to 0x1fdeffffe",
            "round 1 up to 0x1fdefffff",
            "round 1 up to 0x200000000",
            "round 1 up to 0x200000001",
        ]
    "#]]
    .assert_debug_eq(&text.collect::<Vec<_>>());
}
