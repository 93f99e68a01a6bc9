//! Histories by hand: one that is right, and for every rule some that break it and nothing else.

use alloc::{borrow::ToOwned, string::String, sync::Arc, vec, vec::Vec};

use super::{
    super::{Evidence, Findings, Report, Rule, check, connections, replay::answer_to},
    batch_behind,
};
use crate::{
    batch::{Base, Batch, BatchKind, Commands},
    ids::{Epoch, Instant, Owner, SessionId, WallTime, Xid, Zxid},
    protocol::{error_code::ErrorCode, event::EventKind, request::SetWatches},
    sim::{
        ask::{Answer, Ask},
        check::{history::registers, reference::Reference},
        history::{Entry, History, Record},
    },
    state::command::{Command, CreateKind, Op, encode},
};

/// A log and what clients say of it. Client `n` speaks for session `n`, owner `n`; each command is
/// a batch of its own, so that zxids count from 1 in the order of the story.
struct Story {
    log: Vec<Arc<Batch>>,
    decided_at: Vec<Instant>,
    end: Base,
    tree: Reference,
    history: History,
    calm: Vec<(Instant, Instant)>,
}

fn zxid(counter: u32) -> Zxid {
    Zxid::new(Epoch(1), counter)
}

fn ms(millis: u64) -> Instant {
    Instant(0).plus_millis(millis)
}

fn session_of(client: usize) -> SessionId {
    SessionId(i64::try_from(client).unwrap())
}

impl Story {
    /// Clients 1 and 2 have sessions of 1000 ms, opened by zxids 1 and 2 in the first 20 ms.
    fn new() -> Self {
        let record = |client| Record { client, entries: Vec::new() };
        let mut story = Self {
            log: Vec::new(),
            decided_at: Vec::new(),
            end: Base::default(),
            tree: Reference::new(),
            history: History { records: (0..3).map(record).collect() },
            calm: vec![(Instant(0), ms(1_000_000))],
        };
        story.append(0, BatchKind::NewEpoch, &Commands::default());
        for client in 1..3 {
            let at = 10 * client as u64 - 9;
            story.note(client, at, Entry::Connecting { server: 0 });
            story.note(client, at, Entry::Greeted { session: SessionId(0), seen: Zxid::NONE });
            let op = Op::CreateSession { timeout_ms: 1000, password: [7; 16] };
            story.command(at + 1, client, client as u64, 0, op).unwrap();
            let session = session_of(client);
            story.note(client, at + 2, Entry::Opened { session, timeout_ms: 1000 });
        }
        story
    }

    fn note(&mut self, client: usize, at: u64, entry: Entry) {
        self.history.records[client].entries.push((ms(at), entry));
    }

    fn append(&mut self, at: u64, kind: BatchKind, commands: &Commands) {
        let time = WallTime(i64::try_from(at).unwrap());
        let batch = batch_behind(&self.end, kind, time, commands);
        self.end = Base::of(&batch.header);
        self.tree.begin_batch(&batch.header);
        self.log.push(batch);
        self.decided_at.push(ms(at));
    }

    /// Puts a command into the log, and says what comes of it.
    fn command(
        &mut self,
        at: u64,
        client: usize,
        owner: u64,
        xid: i32,
        op: Op,
    ) -> Result<crate::state::Outcome, ErrorCode> {
        let command = Command {
            session: session_of(client),
            owner: Owner(owner),
            cxid: Xid(xid),
            auth: Vec::new(),
            skip_acl: false,
            enforce_quota: false,
            op,
        };
        let mut commands = Commands::default();
        encode(&command, &mut commands);
        self.append(at, BatchKind::Commands, &commands);
        self.tree.apply(self.end.last_zxid, &command)
    }

    fn invoked(&mut self, client: usize, at: u64, xid: i32, ask: &Ask) {
        self.note(client, at, Entry::Invoked { xid: Xid(xid), ask: ask.clone() });
    }

    fn replied(
        &mut self,
        client: usize,
        at: u64,
        xid: i32,
        zxid: Zxid,
        answer: Result<Answer, ErrorCode>,
    ) {
        self.note(client, at, Entry::Replied { xid: Xid(xid), zxid, answer });
    }

    /// A write gets into the log, and nobody is told.
    fn logged(&mut self, client: usize, at: u64, xid: i32, ask: &Ask) -> Result<Answer, ErrorCode> {
        let op = ask.op().expect("a write");
        let outcome = self.command(at, client, client as u64, xid, op);
        answer_to(ask, &outcome)
    }

    /// A write that is asked for and answered rightly within 2 ms.
    fn wrote(&mut self, client: usize, at: u64, xid: i32, ask: &Ask) {
        self.invoked(client, at, xid, ask);
        let answer = self.logged(client, at + 1, xid, ask);
        self.replied(client, at + 2, xid, self.end.last_zxid, answer);
    }

    /// Something else that is answered rightly at the end of the log.
    fn read(&mut self, client: usize, at: u64, xid: i32, ask: &Ask) {
        self.invoked(client, at, xid, ask);
        let answer = match ask {
            Ask::Sync { path } => Ok(Answer::Synced { path: path.clone() }),
            Ask::AddWatch { .. } => Ok(Answer::Watching),
            Ask::SetWatches(_) | Ask::Ping => Ok(Answer::Empty),
            ask => self.tree.read(ask).expect("a read"),
        };
        self.replied(client, at + 2, xid, self.end.last_zxid, answer);
    }

    fn told(&mut self, client: usize, at: u64, zxid: Zxid, kind: EventKind, path: &str) {
        self.note(client, at, Entry::Told { zxid, kind, path: path.to_owned() });
    }

    /// A client comes again on another connection.
    fn resumed(&mut self, client: usize, at: u64) {
        let session = session_of(client);
        self.note(client, at, Entry::Lost);
        self.note(client, at, Entry::Connecting { server: 1 });
        self.note(client, at, Entry::Greeted { session, seen: Zxid::NONE });
        let op = Op::AttachSession { timeout_ms: 1000, password: [7; 16] };
        // It may be closed.
        drop(self.command(at, client, client as u64, 0, op));
        self.note(client, at, Entry::Opened { session, timeout_ms: 1000 });
    }

    fn findings(&self) -> Findings {
        let Self { log, history, decided_at, calm, .. } = self;
        check(&Evidence { log, history, decided_at, calm })
    }

    /// The rules that are broken.
    fn broken(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> =
            self.findings().violations.iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The last entry of a client.
    fn last(&mut self, client: usize) -> &mut Entry {
        &mut self.history.records[client].entries.last_mut().unwrap().1
    }
}

fn create(path: &str, kind: CreateKind) -> Ask {
    let (path, data) = (path.to_owned(), path.as_bytes().to_vec());
    Ask::Create { path, data, kind, is_sequential: false, has_stat: true }
}

fn set(path: &str, data: &str, version: i32) -> Ask {
    Ask::SetData { path: path.to_owned(), data: data.as_bytes().to_vec(), version }
}

fn get(path: &str, watch: bool) -> Ask {
    Ask::GetData { path: path.to_owned(), watch }
}

fn sync() -> Ask {
    Ask::Sync { path: "/".to_owned() }
}

fn a() -> Ask {
    create("/a", CreateKind::Persistent)
}

/// Client 1 has created `/a` by zxid 3 at 32 ms.
fn with_a() -> Story {
    let mut story = Story::new();
    story.wrote(1, 30, 1, &a());
    story
}

/// Client 2 has a watch on `/a`, which client 1 sets by zxid 4; the event came.
fn with_event() -> Story {
    let mut story = with_a();
    story.read(2, 40, 1, &get("/a", true));
    story.wrote(1, 50, 2, &set("/a", "new", 0));
    story.told(2, 53, zxid(4), EventKind::DataChanged, "/a");
    story
}

const NONE: [Rule; 0] = [];

#[test]
fn a_right_story_breaks_nothing() {
    let mut story = with_event();
    story.read(2, 60, 2, &get("/a", false));
    story.read(2, 65, 3, &sync());
    story.wrote(1, 70, 3, &create("/e", CreateKind::Ephemeral));
    story.read(1, 80, 4, &Ask::Exists { path: "/e".to_owned(), watch: true });
    story.wrote(1, 90, 5, &set("/a", "no", 7));
    story.resumed(2, 100);
    story.read(2, 110, 4, &sync());
    story.wrote(1, 120, 6, &Ask::Multi(vec![a(), set("/a", "never", -1)]));
    story.told(1, 131, zxid(8), EventKind::Deleted, "/e");
    story.wrote(1, 130, 7, &Ask::Close);
    let found = story.findings();
    assert_eq!(found.violations, []);
    let counts = found.counts;
    assert_eq!((counts.answered_writes, counts.reads, counts.syncs, counts.events), (6, 3, 2, 2));
    assert_eq!((counts.connections, counts.resumed_sessions), (3, 1));
}

#[test]
fn answers_to_writes_are_those_of_the_log() {
    let mut story = with_a();
    let Entry::Replied { answer: Ok(Answer::Created { stat: Some(stat), .. }), .. } = story.last(1)
    else {
        panic!("the last is the answer")
    };
    stat.ctime += 1;
    assert_eq!(story.broken(), [Rule::Replay], "another Stat");

    let mut story = with_a();
    *story.last(1) =
        Entry::Replied { xid: Xid(1), zxid: zxid(3), answer: Err(ErrorCode::NodeExists) };
    assert_eq!(story.broken(), [Rule::Replay], "another outcome");

    let mut story = with_a();
    story.invoked(1, 40, 2, &set("/a", "mine", -1));
    let answer = story.logged(1, 41, 2, &set("/a", "your", -1));
    story.replied(1, 42, 2, zxid(4), answer);
    assert_eq!(story.broken(), [Rule::Replay], "another command");
}

#[test]
fn what_was_told_before_something_was_asked_comes_before_it() {
    let mut story = Story::new();
    // In the log first, asked for last.
    let answer = story.logged(2, 30, 1, &create("/b", CreateKind::Persistent));
    story.wrote(1, 40, 1, &a());
    story.invoked(2, 41, 1, &create("/b", CreateKind::Persistent));
    story.replied(2, 50, 1, zxid(3), answer.clone());
    assert_eq!(story.broken(), NONE, "they overlap");

    let entries = &mut story.history.records[2].entries;
    let invoked = entries.len() - 2;
    entries[invoked].0 = ms(43);
    assert_eq!(story.broken(), [Rule::RealTime]);
}

#[test]
fn what_is_asked_comes_behind_what_somebody_has_read() {
    let story = |asked: u64| {
        let mut story = Story::new();
        let answer = story.logged(2, 39, 1, &create("/b", CreateKind::Persistent));
        story.read(1, 40, 1, &get("/b", false));
        story.invoked(2, asked, 1, &create("/b", CreateKind::Persistent));
        story.replied(2, 52, 1, zxid(3), answer);
        story.broken()
    };
    assert_eq!(story(39), NONE);
    assert_eq!(story(43), [Rule::RealTime]);
}

#[test]
fn writes_of_a_session_are_in_the_log_once_and_in_order() {
    let mut story = with_a();
    story.logged(1, 33, 1, &a()).unwrap_err();
    assert_eq!(story.broken(), [Rule::SessionOrder], "twice");

    let mut story = with_a();
    story.logged(1, 33, 9, &a()).unwrap_err();
    assert_eq!(story.broken(), [Rule::SessionOrder], "nobody asked");

    let mut story = with_a();
    for xid in [2, 3] {
        story.invoked(1, 40, xid, &set("/a", "x", -1));
    }
    story.logged(1, 41, 3, &set("/a", "x", -1)).unwrap();
    assert_eq!(story.broken(), [Rule::SessionOrder], "a gap");
    story.logged(1, 41, 2, &set("/a", "x", -1)).unwrap();
    assert_eq!(story.broken(), [Rule::SessionOrder], "out of order");

    let mut story = with_a();
    for xid in [2, 3] {
        story.invoked(1, 40, xid, &set("/a", "x", -1));
    }
    story.logged(1, 41, 2, &set("/a", "x", -1)).unwrap();
    assert_eq!(story.broken(), NONE, "the last ones may be lost");

    let mut story = with_a();
    story.log.pop();
    story.decided_at.pop();
    assert_eq!(story.broken(), [Rule::SessionOrder], "acknowledged and lost");
}

#[test]
fn what_an_old_connection_sent_has_no_effect_behind_the_new_one() {
    // Client 1 asks on an old connection, goes on elsewhere, and the log has both.
    let story = |late_owner: u64| {
        let mut story = with_a();
        story.invoked(1, 40, 2, &set("/a", "old", -1));
        story.resumed(1, 50);
        let op = Op::AttachSession { timeout_ms: 1000, password: [7; 16] };
        story.command(49, 1, 11, 0, op).unwrap();
        story.invoked(1, 60, 3, &set("/a", "new", -1));
        let op = set("/a", "new", -1).op().unwrap();
        let outcome = story.command(61, 1, 11, 3, op);
        let answer = answer_to(&set("/a", "new", -1), &outcome);
        story.replied(1, 62, 3, zxid(4), answer);
        let op = set("/a", "old", -1).op().unwrap();
        // Whether it works depends on who it says it is.
        drop(story.command(63, 1, late_owner, 2, op));
        story
    };
    assert_eq!(story(1).broken(), NONE);
    assert_eq!(story(1).findings().counts.moved_writes, 1);
    assert_eq!(story(11).broken(), [Rule::SessionOrder]);
}

#[test]
fn reads_are_of_one_zxid_and_never_go_back() {
    let mut story = with_a();
    story.read(2, 40, 1, &get("/a", false));
    let Entry::Replied { answer: Ok(Answer::Data { data, .. }), .. } = story.last(2) else {
        panic!("the last is the answer")
    };
    *data = Some(b"/b".to_vec());
    assert_eq!(story.broken(), [Rule::Reads], "other data");

    let mut story = with_a();
    story.read(2, 40, 1, &get("/a", false));
    let Entry::Replied { zxid: seen, .. } = story.last(2) else { panic!("the answer") };
    *seen = zxid(9);
    assert_eq!(story.broken(), [Rule::Reads], "a zxid that is none");

    // As of zxid 2 there is no `/a`: an old read is right, but not after a newer one.
    let mut story = with_a();
    story.invoked(2, 40, 1, &get("/a", false));
    story.replied(2, 42, 1, zxid(2), Err(ErrorCode::NoNode));
    assert_eq!(story.broken(), NONE);
    let mut story = with_a();
    story.read(2, 40, 1, &get("/a", false));
    story.invoked(2, 46, 2, &get("/a", false));
    story.replied(2, 48, 2, zxid(2), Err(ErrorCode::NoNode));
    assert_eq!(story.broken(), [Rule::Reads], "back to the past");
    let at = story.history.records[2].entries.len() - 2;
    let old = story.history.records[2].entries.split_off(at);
    story.resumed(2, 45);
    story.history.records[2].entries.extend(old);
    let broken = [Rule::Reads, Rule::Sessions];
    assert_eq!(story.broken(), broken, "back to the past at another server");
}

#[test]
fn a_sync_sees_what_anybody_was_told_before() {
    let old = |synced_at: u64, asked: u64| {
        let mut story = with_a();
        story.invoked(2, asked, 1, &sync());
        story.replied(2, 45, 1, zxid(2), Ok(Answer::Synced { path: "/".to_owned() }));
        story.invoked(2, synced_at, 2, &get("/a", false));
        story.replied(2, 48, 2, zxid(2), Err(ErrorCode::NoNode));
        story.broken()
    };
    assert_eq!(old(46, 31), NONE, "asked before it was told");
    assert_eq!(old(46, 33), [Rule::Sync], "asked after it was told");
}

#[test]
fn events_come_once_in_order_and_in_time() {
    assert_eq!(with_event().broken(), NONE);

    let mut story = with_event();
    story.history.records[2].entries.pop();
    assert_eq!(story.broken(), NONE, "it may still be under way");
    story.read(2, 60, 2, &Ask::Ping);
    assert_eq!(story.broken(), [Rule::Watches], "lost");

    let mut story = with_event();
    story.history.records[2].entries.pop();
    story.read(2, 54, 2, &get("/a", false));
    story.told(2, 57, zxid(4), EventKind::DataChanged, "/a");
    assert_eq!(story.broken(), [Rule::Watches], "late");

    let mut story = with_event();
    story.told(2, 57, zxid(4), EventKind::DataChanged, "/a");
    assert_eq!(story.broken(), [Rule::Watches], "twice");

    let mut story = with_event();
    story.wrote(1, 60, 3, &set("/a", "newer", -1));
    assert_eq!(story.broken(), NONE);
    story.told(2, 63, zxid(5), EventKind::DataChanged, "/a");
    assert_eq!(story.broken(), [Rule::Watches], "once is once");

    let mut story = with_event();
    let Entry::Told { kind, .. } = story.last(2) else { panic!("the event") };
    *kind = EventKind::Created;
    assert_eq!(story.broken(), [Rule::Watches], "of another kind");
}

#[test]
fn a_recursive_watch_is_told_of_everything_below_in_order() {
    let tell = |is_swapped: bool| {
        let mut story = with_a();
        let path = "/a".to_owned();
        story.read(2, 40, 1, &Ask::AddWatch { path, is_recursive: true });
        let both = vec![create("/a/x", CreateKind::Persistent), set("/a", "new", 0)];
        story.wrote(1, 50, 2, &Ask::Multi(both));
        let mut events = [(EventKind::Created, "/a/x"), (EventKind::DataChanged, "/a")];
        if is_swapped {
            events.swap(0, 1);
        }
        for (kind, path) in events {
            story.told(2, 53, zxid(4), kind, path);
        }
        story.broken()
    };
    assert_eq!(tell(false), NONE);
    assert_eq!(tell(true), [Rule::Watches]);
}

#[test]
fn watches_that_are_set_again_tell_what_was_missed() {
    let restore = |seen: Zxid, told: &[EventKind]| {
        let mut story = with_a();
        story.read(2, 40, 1, &get("/a", true));
        story.resumed(2, 45);
        story.wrote(1, 50, 2, &set("/a", "new", 0));
        for kind in told {
            story.told(2, 62, Zxid(-1), *kind, "/a");
        }
        let data: Vec<String> = vec!["/a".to_owned()];
        let watches = SetWatches { relative_zxid: seen, data, ..SetWatches::default() };
        story.read(2, 60, -8, &Ask::SetWatches(watches));
        story.wrote(1, 70, 3, &set("/a", "newer", 1));
        story.told(2, 73, zxid(5), EventKind::DataChanged, "/a");
        story.broken()
    };
    let missed = [EventKind::DataChanged];
    assert_eq!(restore(zxid(4), &[]), NONE, "nothing was missed, and the watch is there again");
    assert_eq!(restore(zxid(3), &missed), [Rule::Watches], "used up, and told again");
    assert_eq!(restore(zxid(4), &missed), [Rule::Watches], "told what was seen");
    assert_eq!(restore(zxid(3), &[]), [Rule::Watches], "not told");
}

#[test]
fn sessions_end_when_the_log_says_so() {
    let mut story = Story::new();
    story.note(1, 30, Entry::Opened { session: SessionId(9), timeout_ms: 1000 });
    assert_eq!(story.broken(), [Rule::Sessions], "opened by nobody");

    let gone = |told_at: u64| {
        let mut story = Story::new();
        story.resumed(1, 30);
        story.history.records[1].entries.pop();
        story.note(1, told_at, Entry::Expired { session: SessionId(1) });
        story.command(2000, 1, 0, 0, Op::CloseSession).unwrap();
        story.broken()
    };
    assert_eq!(gone(2001), NONE);
    assert_eq!(gone(1999), [Rule::Sessions], "told before it is so");
}

#[test]
fn a_session_is_resumed_by_the_log() {
    let resume = |moved: u64, seen: Zxid| {
        let mut story = with_a();
        story.resumed(2, 40);
        *story.decided_at.last_mut().unwrap() = ms(40 + moved);
        story.invoked(2, 50, 1, &Ask::Ping);
        story.replied(2, 52, 1, seen, Ok(Answer::Empty));
        story.broken()
    };
    assert_eq!(resume(0, zxid(3)), NONE);
    assert_eq!(resume(1, zxid(3)), [Rule::Sessions], "before the log said so");
    assert_eq!(resume(0, zxid(2)), [Rule::Sessions], "by a server that has not applied it");
}

#[test]
fn what_the_protocol_does_not_allow_is_told() {
    let mut story = with_a();
    story.replied(1, 40, 7, zxid(3), Ok(Answer::Empty));
    assert_eq!(story.broken(), [Rule::Protocol], "an answer to nothing");
    *story.last(1) = Entry::Broken { what: "an answer out of order" };
    assert_eq!(story.broken(), [Rule::Protocol]);
}

#[test]
fn nobody_is_answered_for_a_session_that_was_closed() {
    let mut story = Story::new();
    story.command(30, 1, 0, 0, Op::CloseSession).unwrap();
    story.calm.clear();
    assert_eq!(story.broken(), NONE);
    story.read(1, 40, 1, &get("/", false));
    assert_eq!(story.broken(), [Rule::Sessions], "answered");
    story.history.records[1].entries.truncate(3);
    story.resumed(1, 40);
    assert_eq!(story.broken(), [Rule::Sessions], "resumed");
}

#[test]
fn a_state_that_differs_is_told_apart() {
    let mut state = crate::state::State::new();
    let story = with_a();
    for batch in &story.log {
        let committed = crate::state::command::Committed::decode(batch).unwrap();
        state.begin_batch(&committed.header);
        let mut changes = crate::state::Changes::default();
        for (zxid, command) in committed.with_zxids() {
            state.apply(zxid, command, &mut changes).unwrap();
        }
    }
    assert_eq!(story.tree.differs_from(&state), None);
    let changed = |change: fn(&mut Reference)| {
        let mut tree = story.tree.clone();
        change(&mut tree);
        assert!(tree.differs_from(&state).is_some());
    };
    changed(|tree| tree.nodes.get_mut("/a").unwrap().data = None);
    changed(|tree| tree.nodes.get_mut("/a").unwrap().acl.clear());
    changed(|tree| drop(tree.nodes.remove("/a")));
    changed(|tree| tree.sessions.retain(|id, _| *id != SessionId(1)));
    changed(|tree| tree.sessions.get_mut(&SessionId(2)).unwrap().owner = Owner(9));
    changed(|tree| tree.zxid = zxid(9));
}

#[test]
fn no_session_expires_that_was_heard() {
    let expire_after = |heard: u64, at: u64| {
        let mut story = with_a();
        story.read(1, heard, 2, &Ask::Ping);
        story.command(at, 1, 0, 0, Op::CloseSession).unwrap();
        story
    };
    let expire = |at| expire_after(500, at);
    assert_eq!(expire(1501).broken(), NONE);
    assert_eq!(expire(1501).findings().counts.judged_expiries, 1);
    assert_eq!(expire(1499).broken(), [Rule::Sessions]);
    assert_eq!(expire(600).broken(), [Rule::Sessions], "there was a write, too");
    let young = expire_after(1100, 1200);
    assert_eq!(young.broken(), NONE, "the leader may not know of the ping yet");

    let mut story = expire(1499);
    story.calm = vec![(Instant(0), ms(1000)), (ms(1001), ms(9000))];
    assert_eq!(story.broken(), NONE, "a fault explains it");
    let counts = story.findings().counts;
    assert_eq!((counts.expiries, counts.judged_expiries), (1, 0), "and nothing was judged");
}

#[test]
fn ephemerals_go_with_their_session() {
    let mut story = Story::new();
    story.wrote(1, 30, 1, &create("/e", CreateKind::Ephemeral));
    story.read(2, 40, 1, &get("/e", false));
    assert_eq!(story.broken(), NONE);
    let entry = story.last(2).clone();
    story.wrote(1, 50, 2, &Ask::Close);
    story.invoked(2, 60, 2, &get("/e", false));
    let Entry::Replied { answer, .. } = entry else { panic!("the answer") };
    story.replied(2, 62, 2, zxid(4), answer);
    assert_eq!(story.broken(), [Rule::Reads, Rule::Sessions]);
}

/// Checks the registers alone: no other rule looks.
fn registers_of(story: &Story) -> (usize, Vec<Rule>) {
    let mut report = Report::default();
    let connections = connections::collect(&story.history, &mut report);
    registers::check(&connections, &mut report);
    let rules = report.violations.iter().map(|violation| violation.rule).collect();
    (report.counts.register_operations, rules)
}

/// Client 1 creates `/r0` and sets it to version 1; client 2 does the same thing at `at`, and is
/// told what `answer` says.
fn two_writers(at: u64, expected: i32, answer: Option<Result<i32, ErrorCode>>) -> Story {
    let mut story = Story::new();
    story.wrote(1, 30, 1, &create("/r0", CreateKind::Persistent));
    story.wrote(1, 40, 2, &set("/r0", "one", 0));
    story.invoked(2, at, 1, &set("/r0", "two", expected));
    let stat = crate::protocol::records::Stat::default();
    let answer = answer.map(|answer| {
        answer.map(|version| Answer::Stat(crate::protocol::records::Stat { version, ..stat }))
    });
    if let Some(answer) = answer {
        // The zxid means nothing here.
        story.replied(2, 45, 1, zxid(99), answer);
    }
    story
}

#[test]
fn registers_are_linearizable_without_a_look_at_zxids() {
    let rules = |at, expected, answer| registers_of(&two_writers(at, expected, answer)).1;
    assert_eq!(rules(41, 1, Some(Ok(2))), NONE, "the second one");
    assert_eq!(rules(41, 0, Some(Ok(1))), [Rule::Registers], "both from version 0");
    assert_eq!(rules(41, 0, Some(Err(ErrorCode::BadVersion))), NONE);
    assert_eq!(rules(41, 1, Some(Err(ErrorCode::BadVersion))), NONE, "it came first");
    assert_eq!(rules(43, 1, Some(Err(ErrorCode::BadVersion))), [Rule::Registers], "it did not");
    assert_eq!(rules(41, 1, Some(Err(ErrorCode::NoNode))), [Rule::Registers], "it was there");
    assert_eq!(rules(41, 0, None), NONE, "nobody knows");
}

#[test]
fn a_register_that_is_read_after_a_sync_is_not_old() {
    let read = |data: &str, version: i32, is_synced: bool| {
        let mut story = two_writers(41, 1, None);
        if is_synced {
            story.read(1, 50, 3, &sync());
        }
        story.read(1, 50, 4, &get("/r0", false));
        let Entry::Replied { answer: Ok(Answer::Data { data: seen, stat }), .. } = story.last(1)
        else {
            panic!("the answer")
        };
        *seen = Some(data.as_bytes().to_vec());
        stat.version = version;
        registers_of(&story).1
    };
    assert_eq!(read("one", 1, true), NONE, "the other one may not have happened");
    assert_eq!(read("two", 2, true), NONE, "or it has");
    assert_eq!(read("/r0", 0, true), [Rule::Registers], "too old");
    assert_eq!(read("/r0", 0, false), NONE, "a read alone may be");
    assert_eq!(read("three", 2, true), [Rule::Registers], "what nobody wrote");
    assert_eq!(registers_of(&two_writers(41, 1, Some(Ok(2)))).0, 3);
}
