//! Stories of a replica that is its own quorum.

mod codec;
mod forwarding;
mod random;
mod transfer;

use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use core::fmt::Write as _;

use expect_test::{Expect, expect};

use super::{queue::CommandQueue, *};
use crate::{
    batch::{Batch, BatchKind, CommandEnd, Commands, decode_runs},
    consensus::Proposal,
    ids::{Incarnation, ReplicaId},
};

/// A replica, and a disk that has what it was told to have.
struct Story {
    replica: Replica,
    input: Input,
    output: Output,
    /// What is on the disk or on its way there.
    appends: Vec<Append>,
    /// Which of them survive a crash.
    durable: LogPos,
    life: u64,
    out: String,
}

/// As it is told at a start: each has a life of its own.
fn config(appends_in_flight_max: usize, life: u64) -> ReplicaConfig {
    let own = Voter { id: ReplicaId(1), incarnation: Incarnation(7) };
    let consensus = Settings::new(own, Life(life), Config::new(vec![own]));
    ReplicaConfig { consensus, appends_in_flight_max, tick_ms: 1000 }
}

/// What a disk that holds `appends` says after a restart.
fn recover(base: Base, appends: &[Append]) -> Recovered {
    let mut recovered = Recovered { base, ..Recovered::default() };
    for append in appends {
        recovered.appended = append.pos;
        recovered.commit_hint = recovered.commit_hint.max(append.commit);
        match &append.kind {
            AppendKind::Promise { ballot } => {
                recovered.promised = recovered.promised.max(*ballot);
            }
            AppendKind::Batch { ballot, batch } => {
                recovered.promised = recovered.promised.max(*ballot);
                let slot = batch.header.slot;
                recovered.batches.retain(|kept| kept.header.slot < slot);
                if base.slot < slot {
                    recovered.batches.push(batch.clone());
                }
            }
            AppendKind::Snapshot { .. } | AppendKind::Install { .. } => {}
        }
    }
    recovered
}

/// One command per word; a word that starts with `~` takes no zxid.
fn commands<'a>(words: impl Iterator<Item = &'a str>) -> Commands {
    let mut commands = Commands::default();
    for word in words {
        commands.bytes.extend_from_slice(word.as_bytes());
        let end = u32::try_from(commands.bytes.len()).expect("short");
        commands.ends.push(CommandEnd { end, takes_zxid: !word.starts_with('~') });
    }
    commands
}

impl Story {
    fn new(appends_in_flight_max: usize, base: Base) -> Self {
        let recovered = recover(base, &[]);
        Self {
            replica: Replica::recover(config(appends_in_flight_max, 1), recovered, Instant(0)),
            input: Input::default(),
            output: Output::default(),
            appends: Vec::new(),
            durable: LogPos(0),
            life: 1,
            out: String::new(),
        }
    }

    /// Understands one line of a script. A line that is not about time is one step.
    fn run(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let verb = words.next().expect("not empty");
        let number = |word: Option<&str>| word.expect("a number").parse::<i64>().expect("a number");
        let unsigned = |value: i64| u64::try_from(value).expect("not negative");
        match verb {
            "start" | "step" => {}
            "propose" => self.input.commands.push(commands(words)),
            "durable" => self.input.durable = LogPos(unsigned(number(words.next()))),
            "wall" => self.input.wall = WallTime(number(words.next())),
            "read" => self.input.read = Some(ReadId(unsigned(number(words.next())))),
            "snapshot" => self.input.snapshot = Some(self.replica.status().end),
            "open" => {
                let session = SessionId(number(words.next()));
                let timeout_ms = i32::try_from(number(words.next())).expect("32 bits");
                self.input.opened.push((session, timeout_ms));
            }
            "touch" => {
                let session = SessionId(number(words.next()));
                self.input.touched.push((session, self.input.now));
            }
            "close" => self.input.closed.push(SessionId(number(words.next()))),
            // Everybody reports as often as agreed.
            "wait" => {
                for _ in 0..number(words.next()) / 100 {
                    self.input.now = self.input.now.plus_millis(100);
                    self.input.heard_until = self.input.now;
                    self.step();
                }
                return;
            }
            // Nobody reports for so long.
            "stall" => {
                self.input.now = self.input.now.plus_millis(unsigned(number(words.next())));
            }
            // Everybody reports again.
            "report" => self.input.heard_until = self.input.now,
            // Loses what is not durable.
            "crash" => {
                self.appends.retain(|append| append.pos <= self.durable);
                let recovered = recover(Base::default(), &self.appends);
                self.life += 1;
                let config = config(1, self.life);
                self.replica = Replica::recover(config, recovered, self.input.now);
                self.input.durable = LogPos(0);
                return;
            }
            other => panic!("no such verb: {other}"),
        }
        self.step();
    }

    fn step(&mut self) {
        self.durable = self.durable.max(self.input.durable);
        self.replica.step(&mut self.input, &mut self.output);
        for append in self.output.appends.drain(..) {
            let what = match &append.kind {
                AppendKind::Promise { ballot } => format!("promise {}", ballot.round),
                AppendKind::Batch { batch, .. } => batch_text(batch),
                AppendKind::Snapshot { base } => format!("snapshot of slot {}", base.slot.0),
                AppendKind::Install { base } => format!("install of slot {}", base.slot.0),
            };
            writeln!(self.out, "append {} {what}", append.pos.0).expect("a string takes all");
            self.appends.push(append);
        }
        for batch in self.output.committed.drain(..) {
            writeln!(self.out, "commit slot {}", batch.header.slot.0).expect("a string takes all");
        }
        if let Some(ReadIndex { id, slot }) = self.output.read.take() {
            writeln!(self.out, "read {} at slot {}", id.0, slot.0).expect("a string takes all");
        }
        for session in self.output.expired.drain(..) {
            let at_ms = self.input.now.0 / 1_000_000;
            writeln!(self.out, "expired {} at {at_ms} ms", session.0).expect("a string takes all");
        }
    }
}

fn batch_text(batch: &Batch) -> String {
    let header = &batch.header;
    let content = match header.kind {
        BatchKind::NewEpoch => format!("epoch {}", header.epoch.0),
        BatchKind::Config => "a configuration".into(),
        BatchKind::Commands => {
            let (runs, words) = decode_runs(&batch.payload).expect("a table of runs");
            let counts = runs.iter().map(|run| run.command_count);
            assert_eq!(counts.sum::<u32>(), header.command_count);
            let text = core::str::from_utf8(words).expect("words").chars().take(12);
            format!("{:?} zxid {}..={}", text.collect::<String>(), header.first_zxid, {
                header.last_zxid()
            })
        }
    };
    format!("slot {} {content} time {}", header.slot.0, header.time.0)
}

fn check_with(mut story: Story, script: &str, expected: &Expect) {
    for line in script.lines().map(str::trim) {
        writeln!(story.out, "> {line}").expect("a string takes all");
        story.run(line);
    }
    expected.assert_eq(&story.out);
}

fn check(script: &str, expected: &Expect) {
    check_with(Story::new(1, Base::default()), script, expected);
}

#[test]
fn leads_only_after_its_promise_is_durable() {
    check(
        "start
         propose a
         durable 1
         durable 2
         durable 3",
        &expect![[r#"
            > start
            append 1 promise 1
            > propose a
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            append 3 slot 2 "a" zxid 0x100000001..=0x100000001 time 0
            commit slot 1
            > durable 3
            commit slot 2
        "#]],
    );
}

#[test]
fn what_comes_while_the_disk_is_busy_makes_one_batch() {
    check(
        "start
         durable 1
         durable 2
         propose a
         propose b c
         propose ~d
         durable 3
         durable 4",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > propose a
            append 3 slot 2 "a" zxid 0x100000001..=0x100000001 time 0
            > propose b c
            > propose ~d
            > durable 3
            append 4 slot 3 "bc~d" zxid 0x100000002..=0x100000003 time 0
            commit slot 2
            > durable 4
            commit slot 3
        "#]],
    );
}

#[test]
fn two_in_flight_do_not_wait_for_each_other() {
    check_with(
        Story::new(2, Base::default()),
        "start
         durable 1
         durable 2
         propose a
         propose b
         propose c
         durable 4
         durable 5",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > propose a
            append 3 slot 2 "a" zxid 0x100000001..=0x100000001 time 0
            > propose b
            append 4 slot 3 "b" zxid 0x100000002..=0x100000002 time 0
            > propose c
            > durable 4
            append 5 slot 4 "c" zxid 0x100000003..=0x100000003 time 0
            commit slot 2
            commit slot 3
            > durable 5
            commit slot 4
        "#]],
    );
}

#[test]
fn a_restart_keeps_what_was_durable_and_starts_an_epoch() {
    check(
        "start
         durable 1
         durable 2
         propose a
         durable 3
         propose b
         crash
         start
         durable 4
         durable 5
         propose c
         durable 6",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > propose a
            append 3 slot 2 "a" zxid 0x100000001..=0x100000001 time 0
            > durable 3
            commit slot 2
            > propose b
            append 4 slot 3 "b" zxid 0x100000002..=0x100000002 time 0
            > crash
            > start
            append 4 promise 2
            commit slot 1
            > durable 4
            append 5 slot 3 epoch 2 time 0
            > durable 5
            commit slot 2
            commit slot 3
            > propose c
            append 6 slot 4 "c" zxid 0x200000001..=0x200000001 time 0
            > durable 6
            commit slot 4
        "#]],
    );
}

#[test]
fn a_durable_batch_that_was_not_seen_durable_survives() {
    check(
        "start
         durable 1
         durable 2
         propose a
         durable 3
         crash
         start
         crash
         start
         durable 4
         durable 5",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > propose a
            append 3 slot 2 "a" zxid 0x100000001..=0x100000001 time 0
            > durable 3
            commit slot 2
            > crash
            > start
            append 4 promise 2
            commit slot 1
            > crash
            > start
            append 4 promise 2
            commit slot 1
            > durable 4
            append 5 slot 3 epoch 2 time 0
            > durable 5
            commit slot 2
            commit slot 3
        "#]],
    );
}

#[test]
fn time_does_not_go_back() {
    check(
        "wall 100
         durable 1
         durable 2
         wall 50
         propose a
         wall 120
         durable 3
         propose b",
        &expect![[r#"
            > wall 100
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 100
            > durable 2
            commit slot 1
            > wall 50
            > propose a
            append 3 slot 2 "a" zxid 0x100000001..=0x100000001 time 100
            > wall 120
            > durable 3
            commit slot 2
            > propose b
            append 4 slot 3 "b" zxid 0x100000002..=0x100000002 time 120
        "#]],
    );
}

#[test]
fn a_read_waits_until_the_ballot_has_decided_something() {
    check(
        "start
         read 1
         durable 1
         read 3
         durable 2
         propose a
         read 4
         durable 3
         read 5",
        &expect![[r#"
            > start
            append 1 promise 1
            > read 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > read 3
            > durable 2
            commit slot 1
            read 3 at slot 1
            > propose a
            append 3 slot 2 "a" zxid 0x100000001..=0x100000001 time 0
            > read 4
            read 4 at slot 1
            > durable 3
            commit slot 2
            > read 5
            read 5 at slot 2
        "#]],
    );
}

#[test]
fn a_snapshot_is_noted_in_the_log() {
    check(
        "start
         durable 1
         durable 2
         snapshot
         propose a
         durable 4",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > snapshot
            append 3 snapshot of slot 1
            > propose a
            append 4 slot 2 "a" zxid 0x100000001..=0x100000001 time 0
            > durable 4
            commit slot 2
        "#]],
    );
}

#[test]
fn a_session_expires_at_the_end_of_its_bucket() {
    check(
        "start
         durable 1
         durable 2
         open 7 2500
         open 8 2500
         wait 1500
         touch 8
         wait 3000
         touch 7
         wait 1000",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > open 7 2500
            > open 8 2500
            > wait 1500
            > touch 8
            > wait 3000
            expired 7 at 3000 ms
            > touch 7
            > wait 1000
            expired 8 at 5000 ms
        "#]],
    );
}

#[test]
fn after_a_long_silence_every_session_has_time_to_be_heard() {
    check(
        "start
         durable 1
         durable 2
         open 7 2500
         open 8 60000
         wait 2000
         stall 90000
         step
         report
         wait 20000
         wait 12000",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > open 7 2500
            > open 8 60000
            > wait 2000
            > stall 90000
            > step
            > report
            > wait 20000
            expired 7 at 94000 ms
            > wait 12000
            expired 8 at 123000 ms
        "#]],
    );
}

#[test]
fn a_short_silence_changes_nothing() {
    check(
        "start
         durable 1
         durable 2
         open 7 2500
         wait 2300
         stall 400
         report
         wait 2000",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > open 7 2500
            > wait 2300
            > stall 400
            > report
            > wait 2000
            expired 7 at 3000 ms
        "#]],
    );
}

#[test]
fn a_report_ahead_of_the_others_counts_from_when_it_was_heard() {
    check(
        "start
         durable 1
         durable 2
         open 7 2500
         stall 600
         touch 7
         report
         wait 4000",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > open 7 2500
            > stall 600
            > touch 7
            > report
            > wait 4000
            expired 7 at 4000 ms
        "#]],
    );
}

#[test]
fn a_closed_session_does_not_expire() {
    check(
        "start
         durable 1
         durable 2
         open 7 2500
         close 7
         wait 10000",
        &expect![[r#"
            > start
            append 1 promise 1
            > durable 1
            append 2 slot 1 epoch 1 time 0
            > durable 2
            commit slot 1
            > open 7 2500
            > close 7
            > wait 10000
        "#]],
    );
}

/// Bytes of a table with one run.
const TABLE: usize = 16;

/// The runs of a batch, as lives and counts, and its commands as text.
fn content(batch: &Proposal) -> (Vec<(u64, u32)>, String) {
    let (runs, words) = decode_runs(&batch.payload).expect("a table of runs");
    let command_count: u32 = runs.iter().map(|run| run.command_count).sum();
    assert_eq!(batch.command_count, command_count);
    let text = String::from_utf8(words.to_vec()).expect("words");
    (runs.iter().map(|run| (run.life.0, run.command_count)).collect(), text)
}

#[test]
fn a_turns_commands_are_split_and_a_command_never_is() {
    let mut queue = CommandQueue::default();
    queue.push(Life(9), commands(["aaa", "bb", "~c"].into_iter()).into());
    queue.push(Life(9), commands(["dddddddd", "e"].into_iter()).into());
    let mut batches = Vec::new();
    while let Some(batch) = queue.take_batch(TABLE + 5) {
        batches.push((content(&batch).1, batch.command_count, batch.zxid_count));
    }
    let expected = [("aaabb", 2, 2), ("~c", 1, 0), ("dddddddd", 1, 1), ("e", 1, 1)];
    assert_eq!(batches, expected.map(|(text, count, zxids)| (String::from(text), count, zxids)));
    assert!(queue.is_empty() && queue.bytes() == 0);
}

#[test]
fn a_batch_takes_from_several_messages() {
    let mut queue = CommandQueue::default();
    for words in [["a", "b"], ["c", "d"], ["e", "f"]] {
        queue.push(Life(9), commands(words.into_iter()).into());
    }
    let mut next = |bytes_max| content(&queue.take_batch(bytes_max).expect("waiting"));
    assert_eq!(next(TABLE + 3), (vec![(9, 3)], "abc".into()));
    assert_eq!(next(100), (vec![(9, 3)], "def".into()));
}

#[test]
fn a_batch_says_who_submitted_what() {
    let mut queue = CommandQueue::default();
    for (life, words) in [(1, &["a", "b"][..]), (2, &["c"]), (2, &["d", "e"]), (1, &["f"])] {
        queue.push(Life(life), commands(words.iter().copied()).into());
    }
    let mut all = queue.clone();
    let all = all.take_batch(100).expect("waiting");
    assert_eq!(content(&all), (vec![(1, 2), (2, 3), (1, 1)], "abcdef".into()));
    // The table counts: with 11 bytes less there is no room for another run.
    let mut next = |bytes_max| content(&queue.take_batch(bytes_max).expect("waiting"));
    assert_eq!(next(TABLE + 2 + 12), (vec![(1, 2)], "ab".into()));
    assert_eq!(next(TABLE + 2), (vec![(2, 2)], "cd".into()));
    assert_eq!(next(TABLE + 12 + 2), (vec![(2, 1), (1, 1)], "ef".into()));
    assert!(queue.is_empty() && queue.bytes() == 0);
}

#[test]
fn many_touches_move_a_session_once() {
    let mut expiry = Expiry::new(1000, Instant(0));
    let mut expired = Vec::new();
    expiry.register(SessionId(1), 2000, Instant(0));
    let mut now = Instant(0);
    for _ in 0..600 {
        now = now.plus_millis(100);
        expiry.pass(now, true);
        expiry.touch(SessionId(1), now);
        expiry.take_expired(&mut expired);
        let listed = expiry.buckets();
        let (left_ms, sessions) = listed.first().expect("it lives");
        assert!((2000..=3000).contains(left_ms) && *sessions == [SessionId(1)], "{listed:?}");
    }
    assert_eq!(expired, []);
}
