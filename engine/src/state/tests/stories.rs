//! Scripts of requests and what they give.

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::fmt::Write as _;

use expect_test::{ExpectFile, expect, expect_file};

use super::world::{World, format_acl, parse_acl};
use crate::{
    ids::{SessionId, WallTime},
    protocol::{
        error_code::ErrorCode,
        records::{Id, Stat},
        reply::Reply,
        request::{Create, CreateVariant, Read, Write},
    },
    shared_bytes::SharedStr,
    state::{
        ChangeKind, Outcome, SessionChange,
        admit::{TtlSupport, admit},
        command::Op,
    },
};

/// Runs a script: the lines that begin with `> `, below a comment that says what it shows. What
/// follows each is its result; `UPDATE_EXPECT=1` rewrites it.
///
/// A line is a session's number and a request, or a setting of the world: `open N`, `close N`,
/// `expire N`, `attach N OWNER PASSWORD`, `auth SCHEME:ID..`, `time MS`, `ttl off|on|emulate`,
/// `enforce`, `reap PATH`, `due`, `counts`, `N REQUEST`. `N eager REQUEST` asks before replication.
fn check(script: &str, expected: &ExpectFile) {
    let mut world = World::new();
    let mut out = String::new();
    for line in script.lines().filter(|line| line.starts_with('#')) {
        writeln!(out, "{line}").unwrap();
    }
    for line in script.lines().filter_map(|line| line.strip_prefix("> ")) {
        writeln!(out, "> {line}").unwrap();
        run(&mut world, line, &mut out);
    }
    expected.assert_eq(&out);
}

fn run(world: &mut World, line: &str, out: &mut String) {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let words: Vec<&str> = rest.split(' ').collect();
    let number = |at: usize| words[at].parse::<i64>().unwrap();
    let result = match verb {
        "open" => world.open(number(0)),
        "close" => world.command(number(0), u64::try_from(number(0)).unwrap(), Op::CloseSession),
        "expire" => world.command(number(0), 0, Op::CloseSession),
        "attach" => {
            let password = [u8::try_from(number(2)).unwrap(); 16];
            let op = Op::AttachSession { timeout_ms: 5000, password };
            world.command(number(0), u64::try_from(number(1)).unwrap(), op)
        }
        "reap" => world.command(0, 0, Op::DeleteContainer { path: SharedStr::new(words[0]) }),
        "auth" => {
            let id = |word: &&str| {
                let (scheme, id) = word.split_once(':').unwrap();
                Id { scheme: scheme.into(), id: id.into() }
            };
            world.auth = words.iter().map(id).collect();
            return;
        }
        "time" => {
            world.time = number(0);
            return;
        }
        "ttl" => {
            world.settings.ttl = match words[0] {
                "off" => TtlSupport::Off,
                "on" => TtlSupport::On,
                _ => TtlSupport::Emulate353,
            };
            return;
        }
        "enforce" => {
            world.enforce_quota = true;
            return;
        }
        "due" => {
            let now = WallTime(world.time);
            let containers = world.state.containers_due(now, 1000);
            writeln!(out, "containers {containers:?} ttl {:?}", world.state.ttl_due(now)).unwrap();
            return;
        }
        "counts" => {
            let state = &world.state;
            let (znodes, bytes) = (state.znode_count(), state.approximate_data_size());
            writeln!(
                out,
                "{znodes} znodes, {bytes} bytes, {} ephemerals",
                state.ephemerals_count()
            )
            .unwrap();
            return;
        }
        session => return request(world, session.parse().unwrap(), rest, out),
    };
    print_result(world, &result, out);
}

fn request(world: &mut World, session: i64, text: &str, out: &mut String) {
    if let Some(read) = parse_read(text) {
        let line = match world.state.read(&world.reader(session), &read) {
            Ok(reply) => format_reply(&reply),
            Err(code) => format!("{code:?}"),
        };
        writeln!(out, "{line}").unwrap();
        return;
    }
    if let Some(text) = text.strip_prefix("eager ") {
        let op = admit(&parse_write(text), &world.auth, world.settings);
        let allowed = world.state.eager_acl_check(&world.reader(session), &op);
        writeln!(out, "{allowed:?}").unwrap();
        return;
    }
    let result = world.write(session, &parse_write(text));
    print_result(world, &result, out);
}

fn parse_read(text: &str) -> Option<Read<'_>> {
    let (verb, path) = text.split_once(' ').unwrap_or((text, ""));
    let path = Cow::Borrowed(path);
    Some(match verb {
        "exists" => Read::Exists { path, watch: false },
        "get" => Read::GetData { path, watch: false },
        "ls" => Read::GetChildren { path, watch: false },
        "ls2" => Read::GetChildren2 { path, watch: false },
        "getacl" => Read::GetAcl { path },
        "ephemerals" => Read::GetEphemerals { prefix: path },
        "descendants" => Read::GetAllChildrenNumber { path },
        _ => return None,
    })
}

/// `create PATH [DATA] [FLAGS]..`, `set PATH DATA [VERSION]`, `delete PATH [VERSION]`,
/// `check PATH VERSION`, `setacl PATH ACL [VERSION]`, `reconfig`, `multi OP | OP | ..`.
fn parse_write(text: &str) -> Write<'_> {
    if let Some(ops) = text.strip_prefix("multi") {
        let ops = ops.split('|').map(str::trim).filter(|op| !op.is_empty());
        return Write::Multi(ops.map(parse_write).collect());
    }
    let words: Vec<&str> = text.split(' ').collect();
    let path = words.get(1).filter(|path| **path != "null").map(|path| Cow::Borrowed(*path));
    let version = |at: usize| words.get(at).map_or(-1, |word| word.parse().unwrap());
    let data = words.get(2).filter(|data| **data != "null").map(|data| data.as_bytes());
    match words[0] {
        "set" => Write::SetData { path, data, version: version(3) },
        "delete" => Write::Delete { path, version: version(2) },
        "check" => Write::Check { path, version: version(2) },
        "setacl" => Write::SetAcl { path, acl: Some(parse_acl(words[2])), version: version(3) },
        "reconfig" => {
            Write::Reconfig { joining: None, leaving: None, new_members: None, config_id: -1 }
        }
        "create" => {
            let mut create = Create {
                variant: CreateVariant::Create,
                path,
                data: Some(data.unwrap_or_default()),
                acl: Some(parse_acl("world:anyone:rwcda")),
                flags: 0,
                ttl: -1,
            };
            words.iter().skip(3).for_each(|word| set_option(&mut create, word));
            Write::Create(create)
        }
        verb => panic!("unknown verb {verb}"),
    }
}

fn set_option(create: &mut Create<'_>, word: &str) {
    let (option, value) = word.split_once('=').unwrap_or((word, ""));
    match option {
        "nulldata" => create.data = None,
        "flags" => create.flags = value.parse().unwrap(),
        "e" => create.flags = 1,
        "s" => create.flags = 2,
        "es" => create.flags = 3,
        "c" => (create.variant, create.flags) = (CreateVariant::Container, 4),
        "container" => create.variant = CreateVariant::Container,
        "createttl" => create.variant = CreateVariant::Ttl,
        "ttl" => {
            (create.variant, create.flags) = (CreateVariant::Ttl, 5);
            create.ttl = value.parse().unwrap();
        }
        "acl" => create.acl = Some(parse_acl(value)),
        _ => panic!("unknown option {word}"),
    }
}

fn print_result(world: &World, result: &Result<Outcome, ErrorCode>, out: &mut String) {
    for change in &world.changes.znodes {
        let kind = match change.kind {
            ChangeKind::Created => "created",
            ChangeKind::Deleted => "deleted",
            ChangeKind::DataChanged => "data of",
            ChangeKind::ChildrenChanged => "children of",
        };
        writeln!(out, "  {kind} {} ({})", change.path.as_str(), format_acl(&change.acl)).unwrap();
    }
    for change in &world.changes.sessions {
        match change {
            SessionChange::Opened { session, owner, .. } => {
                writeln!(out, "  opened {session} of {}", owner.0).unwrap();
            }
            SessionChange::Attached { session, owner, previous_owner, timeout_ms } => {
                writeln!(
                    out,
                    "  attached {session} to {} from {}, {timeout_ms} ms",
                    owner.0, previous_owner.0
                )
                .unwrap();
            }
            SessionChange::Closed { session, owner } => {
                writeln!(out, "  closed {session} of {}", owner.0).unwrap();
            }
        }
    }
    let counter = world.state.last_zxid().counter();
    let line = match result {
        Ok(outcome) => format_outcome(outcome),
        Err(code) => format!("{code:?}"),
    };
    writeln!(out, "{counter}: {line}").unwrap();
}

fn format_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Created { path, stat } => format!("{} {}", path.as_str(), format_stat(stat)),
        Outcome::DataSet { stat } | Outcome::AclSet { stat } => format_stat(stat),
        Outcome::Multi(outcomes) => {
            let outcomes: Vec<String> = outcomes.iter().map(format_outcome).collect();
            format!("[{}]", outcomes.join(", "))
        }
        outcome => format!("{outcome:?}"),
    }
}

fn format_reply(reply: &Reply<'_>) -> String {
    match reply {
        Reply::Stat(stat) => format_stat(stat),
        Reply::Data { data: Some(data), stat } => {
            format!("{:?} {}", core::str::from_utf8(data).unwrap(), format_stat(stat))
        }
        Reply::Data { data: None, stat } => format!("null {}", format_stat(stat)),
        Reply::Acl { acl, stat } => format!("{} a{}", format_acl(acl), stat.aversion),
        Reply::Children { names } => format!("{names:?}"),
        Reply::Children2 { names, stat } => format!("{names:?} {}", format_stat(stat)),
        reply => format!("{reply:?}"),
    }
}

/// zxids without their epoch: `c` and `m` and `p`; times; versions `v`, `cv`, `a`; the rest.
fn format_stat(stat: &Stat) -> String {
    let counter = |zxid: i64| zxid & 0xffff_ffff;
    let (czxid, mzxid, pzxid) = (counter(stat.czxid), counter(stat.mzxid), counter(stat.pzxid));
    let mut text = format!(
        "c{czxid} m{mzxid} p{pzxid} @{}/{} v{} cv{} a{} len{} kids{}",
        stat.ctime,
        stat.mtime,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.data_length,
        stat.num_children
    );
    if stat.ephemeral_owner != 0 {
        write!(text, " of {}", SessionId(stat.ephemeral_owner)).unwrap();
    }
    text
}

/// A test for each file of `testscripts`.
macro_rules! stories {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                const FILE: &str = concat!("../testscripts/", stringify!($name), ".txt");
                let script = include_str!(concat!("../testscripts/", stringify!($name), ".txt"));
                check(script, &expect_file![FILE]);
            }
        )*
    };
}

stories! {
    a_fresh_tree
    versions_and_stats
    sequential_names
    errors_of_create_in_their_order
    errors_of_delete_in_their_order
    what_the_edge_decides
    a_multi_sees_its_own_changes
    a_failed_multi_changes_nothing
    ephemerals_die_with_their_session
    a_session_moves
    containers_and_ttl_znodes
    permissions
    quotas_are_counted
    reads_take_any_path
    acls_are_checked_before_replication_if_asked
}

#[test]
fn the_counter_of_sequential_names_wraps() {
    let mut world = World::new();
    world.open(1).unwrap();
    let mut out = String::new();
    run(&mut world, "1 create /q x", &mut out);
    let found = world.state.tree.find("/q").unwrap();
    world.state.tree.get_mut(found.id).creates = i32::MAX;
    for _ in 0..2 {
        run(&mut world, "1 create /q/n x s", &mut out);
    }
    world.state.tree.get_mut(found.id).creates = -1;
    run(&mut world, "1 create /q/n x s", &mut out);
    run(&mut world, "1 ls /q", &mut out);
    expect![[r#"
          created /q (world:anyone:rwcda)
          children of / (world:anyone:rwcda)
        2: /q c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
          created /q/n2147483647 (world:anyone:rwcda)
          children of /q (world:anyone:rwcda)
        3: /q/n2147483647 c3 m3 p3 @1000/1000 v0 cv0 a0 len1 kids0
          created /q/n-2147483648 (world:anyone:rwcda)
          children of /q (world:anyone:rwcda)
        4: /q/n-2147483648 c4 m4 p4 @1000/1000 v0 cv0 a0 len1 kids0
          created /q/n-000000001 (world:anyone:rwcda)
          children of /q (world:anyone:rwcda)
        5: /q/n-000000001 c5 m5 p5 @1000/1000 v0 cv0 a0 len1 kids0
        ["n2147483647", "n-2147483648", "n-000000001"]
    "#]]
    .assert_eq(&out);
}

#[test]
fn versions_skip_minus_one() {
    let mut world = World::new();
    world.open(1).unwrap();
    let mut out = String::new();
    run(&mut world, "1 create /a x", &mut out);
    let found = world.state.tree.find("/a").unwrap();
    world.state.tree.get_mut(found.id).version = -2;
    run(&mut world, "1 set /a y -2", &mut out);
    world.state.tree.get_mut(found.id).version = i32::MAX;
    run(&mut world, "1 set /a y 2147483647", &mut out);
    expect![[r#"
          created /a (world:anyone:rwcda)
          children of / (world:anyone:rwcda)
        2: /a c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
          data of /a (world:anyone:rwcda)
        3: c2 m3 p2 @1000/1000 v0 cv0 a0 len1 kids0
          data of /a (world:anyone:rwcda)
        4: c2 m4 p2 @1000/1000 v-2147483648 cv0 a0 len1 kids0
    "#]]
    .assert_eq(&out);
}
