//! Schedules that are worth telling: each is right, and goes wrong with the rule broken that it is
//! about. Lines are
//!
//! - `campaign 1`, `ask 1` (pre-vote), `heartbeat 1`, `propose 1 abc` (one batch each), `read 1`,
//! - `flush 1` (everything), `crash 1 2` (keeps what was flushed, and 2 more records), `restart 1`,
//!   `wipe 1`,
//! - `deliver 1>2` (what is under way now, in order), `deliver 1>2 Promise` (only these),
//!   `repeat 1>2 Promise` (delivers and keeps), `drop` (everything under way),
//! - `run 500 1-2 2-3`: so many milliseconds pass, with only these links; `close 2 1`: 2 sees its
//!   link to 1 closed,
//! - `snapshot 1`, `install 1` (what was offered), `voters 1 2 3` (leader 1 proposes that 2 and 3
//!   be the voters), `hand-over 1`,
//! - `elect 1 2 3`: 1 campaigns and hears 2 and 3; `settle 1 2 3`: they talk until all is said.

use alloc::{format, string::String, vec::Vec};

use expect_test::{Expect, expect};

use super::world::{Plan, World};
use crate::{
    consensus::{config::Voter, message::Message},
    ids::{Incarnation, ReplicaId, WallTime},
    mutant::{Mutant, set_broken},
};

impl From<u16> for Plan {
    fn from(count: u16) -> Self {
        Self::of(count)
    }
}

/// Followers that decide for themselves (R11).
fn all_to_all(count: u16) -> Plan {
    let mut plan = Plan::of(count);
    plan.settings.all_to_all = true;
    plan
}

/// The first `voters` of the replicas vote.
fn some_vote(count: u16, voters: u16) -> Plan {
    Plan { voters, ..Plan::of(count) }
}

struct Story {
    world: World,
    out: String,
}

fn kind(message: &Message) -> String {
    let text = format!("{message:?}");
    text.split([' ', '{']).next().unwrap().into()
}

fn index(word: &str) -> usize {
    word.parse::<usize>().unwrap() - 1
}

impl Story {
    fn new(plan: Plan) -> Self {
        Self { world: World::new(plan), out: String::new() }
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["campaign", who] => {
                self.world.step(index(who), |core, _, ready| core.campaign(ready));
            }
            ["ask", who] => {
                self.world.step(index(who), |core, _, ready| core.ask_before_campaign(ready));
            }
            ["heartbeat", who] => {
                self.world.step(index(who), |core, now, ready| core.heartbeat(now, ready));
            }
            ["propose", who, what] => {
                what.bytes().for_each(|byte| self.world.propose(index(who), byte));
            }
            ["read", who] => self.world.read(index(who)),
            ["flush", who] => self.flush(index(who)),
            ["crash", who] => self.world.crash(index(who), 0),
            ["crash", who, kept] => self.world.crash(index(who), kept.parse().unwrap()),
            ["wipe", who] => self.world.wipe(index(who)),
            ["snapshot", who] => self.world.snapshot(index(who)),
            ["install", who] => self.world.install(index(who)),
            ["voters", who, ref voters @ ..] => {
                let voters = voters.iter().map(|id| self.world.nodes[index(id)].voter).collect();
                self.world.reconfigure(index(who), voters);
            }
            ["hand-over", who] => {
                self.world.step(index(who), |core, now, _| core.hand_over(now));
            }
            ["restart", who] => self.world.restart(index(who)),
            ["deliver", link] => self.deliver(link, None, false),
            ["deliver", link, kind] => self.deliver(link, Some(kind), false),
            ["repeat", link, kind] => self.deliver(link, Some(kind), true),
            ["drop"] => self.world.network.clear(),
            ["elect", who, ref others @ ..] => self.elect(who, others),
            ["settle", ref all @ ..] => self.settle(all),
            ["run", millis, ref links @ ..] => self.run(millis.parse().unwrap(), links),
            ["close", who, peer] => {
                let peer = ReplicaId(peer.parse().unwrap());
                self.world.step(index(who), |core, now, _| core.link_closed(now, peer, 7));
            }
            _ => panic!("not a line: {line}"),
        }
    }

    fn flush(&mut self, index: usize) {
        self.world.flush(index, self.world.nodes[index].unflushed_count());
    }

    fn deliver(&mut self, link: &str, wanted: Option<&str>, is_kept: bool) {
        let (from, to) = link.split_once('>').unwrap();
        let under_way = self.world.network.clone();
        for packet in under_way {
            let is_here = usize::from(packet.from.id.0) - 1 == index(from)
                && usize::from(packet.to.id.0) - 1 == index(to);
            if is_here && wanted.is_none_or(|wanted| kind(&packet.message) == wanted) {
                if !is_kept {
                    let place = self.world.network.iter().position(|other| *other == packet);
                    self.world.network.remove(place.unwrap());
                }
                self.world.deliver(&packet);
            }
        }
    }

    fn elect(&mut self, who: &str, others: &[&str]) {
        self.line(&format!("campaign {who}"));
        self.line(&format!("flush {who}"));
        for other in others {
            self.line(&format!("deliver {who}>{other} Prepare"));
            self.line(&format!("flush {other}"));
            self.line(&format!("deliver {other}>{who} Reject"));
            self.line(&format!("deliver {other}>{who} Promise"));
        }
    }

    fn run(&mut self, millis: u64, links: &[&str]) {
        for _ in 0..millis / 10 {
            self.world.now = self.world.now.plus_millis(10);
            for index in 0..self.world.nodes.len() {
                // The first waits shortest.
                let random = 50 * index as u64;
                self.world
                    .step(index, |core, now, ready| core.tick(now, WallTime(0), random, ready));
            }
            let ends = links.iter().map(|link| link.split_once('-').unwrap());
            ends.for_each(|(one, other)| self.settle(&[one, other]));
            self.world.network.clear();
        }
    }

    fn settle(&mut self, all: &[&str]) {
        for _ in 0..8 {
            all.iter().for_each(|who| self.flush(index(who)));
            for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (from, to))) {
                self.deliver(&format!("{from}>{to}"), None, false);
            }
        }
    }

    /// How everybody stands: commit slot, end of the log, the round of the promise.
    fn report(&mut self) {
        for (node, who) in self.world.nodes.iter().zip(1..) {
            let Some(core) = &node.core else {
                self.out.push_str(&format!("{who} is down\n"));
                continue;
            };
            let role = if core.is_established() { ", leads" } else { "" };
            let (commit, end) = (core.commit_slot().0, core.log_end().slot.0);
            let round = core.promised().round;
            self.out.push_str(&format!("{who}: {commit} of {end} decided, round {round}{role}\n"));
        }
    }
}

fn run(plan: impl Into<Plan>, script: &str) -> Story {
    let mut story = Story::new(plan.into());
    script.lines().map(str::trim).for_each(|line| story.line(line));
    story
}

fn check(plan: impl Into<Plan>, script: &str, expected: &Expect) {
    expected.assert_eq(&report(run(plan, script)));
}

/// `script` goes well, and stops or ends otherwise with the rule broken.
fn check_rule(plan: impl Into<Plan>, mutant: Mutant, script: &str, expected: &Expect) {
    let plan = plan.into();
    check(plan.clone(), script, expected);
    set_broken(Some(mutant));
    let outcome = std::panic::catch_unwind(|| report(run(plan.clone(), script)));
    set_broken(None);
    let is_same = outcome.is_ok_and(|told| told == report(run(plan.clone(), script)));
    assert!(!is_same, "{mutant:?} goes unnoticed");
}

fn report(mut story: Story) -> String {
    story.report();
    story.out
}

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
