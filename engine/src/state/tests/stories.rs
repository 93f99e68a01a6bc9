//! Scripts of requests and what they give.

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::fmt::Write as _;

use expect_test::{Expect, expect};

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
    state::{ChangeKind, Outcome, SessionChange, admit::TtlSupport, command::Op},
};

/// Runs a script. A line is a session's number and a request, or a setting of the world:
/// `open N`, `close N`, `expire N`, `attach N OWNER PASSWORD`, `auth SCHEME:ID..`, `time MS`,
/// `ttl off|on|emulate`, `enforce`, `reap PATH`, `due`, `counts`, `N REQUEST`.
fn check(script: &str, expected: &Expect) {
    let mut world = World::new();
    let mut out = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
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

#[test]
fn a_fresh_tree() {
    check(
        "open 1
         1 ls2 /
         1 ls2 /zookeeper
         1 get /zookeeper/config
         1 getacl /zookeeper/config
         1 exists /zookeeper/quota
         1 descendants /
         1 descendants
         counts",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 ls2 /
            ["zookeeper"] c0 m0 p0 @0/0 v0 cv-1 a0 len0 kids1
            > 1 ls2 /zookeeper
            ["quota", "config"] c0 m0 p0 @0/0 v0 cv-2 a0 len0 kids2
            > 1 get /zookeeper/config
            "" c0 m0 p0 @0/0 v0 cv0 a-1 len0 kids0
            > 1 getacl /zookeeper/config
            world:anyone:r a-1
            > 1 exists /zookeeper/quota
            c0 m0 p0 @0/0 v0 cv0 a0 len0 kids0
            > 1 descendants /
            Count(3)
            > 1 descendants
            Count(4)
            > counts
            5 znodes, 44 bytes, 0 ephemerals
        "#]],
    );
}

#[test]
fn versions_and_stats() {
    check(
        "open 1
         1 create /a x
         time 2000
         1 create /a/b y
         1 set /a xyz
         1 set /a w 0
         1 set /a w 1
         1 set /a null 2
         1 get /a
         1 delete /a/b 1
         1 delete /a/b 0
         1 ls2 /a
         1 setacl /a world:anyone:r 1
         1 setacl /a world:anyone:ra 0
         1 getacl /a
         1 exists /a
         1 set /a x
         1 create /n null nulldata
         1 get /n
         1 ls /
         counts",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create /a x
              created /a (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            2: /a c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
            > time 2000
            > 1 create /a/b y
              created /a/b (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
            3: /a/b c3 m3 p3 @2000/2000 v0 cv0 a0 len1 kids0
            > 1 set /a xyz
              data of /a (world:anyone:rwcda)
            4: c2 m4 p3 @1000/2000 v1 cv1 a0 len3 kids1
            > 1 set /a w 0
            5: BadVersion
            > 1 set /a w 1
              data of /a (world:anyone:rwcda)
            6: c2 m6 p3 @1000/2000 v2 cv1 a0 len1 kids1
            > 1 set /a null 2
              data of /a (world:anyone:rwcda)
            7: c2 m7 p3 @1000/2000 v3 cv1 a0 len0 kids1
            > 1 get /a
            null c2 m7 p3 @1000/2000 v3 cv1 a0 len0 kids1
            > 1 delete /a/b 1
            8: BadVersion
            > 1 delete /a/b 0
              deleted /a/b (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
            9: Deleted
            > 1 ls2 /a
            [] c2 m7 p9 @1000/2000 v3 cv2 a0 len0 kids0
            > 1 setacl /a world:anyone:r 1
            10: BadVersion
            > 1 setacl /a world:anyone:ra 0
            11: c2 m7 p9 @1000/2000 v3 cv2 a1 len0 kids0
            > 1 getacl /a
            world:anyone:ra a1
            > 1 exists /a
            c2 m7 p9 @1000/2000 v3 cv2 a1 len0 kids0
            > 1 set /a x
            12: NoAuth
            > 1 create /n null nulldata
              created /n (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            13: /n c13 m13 p13 @2000/2000 v0 cv0 a0 len0 kids0
            > 1 get /n
            null c13 m13 p13 @2000/2000 v0 cv0 a0 len0 kids0
            > 1 ls /
            ["zookeeper", "a", "n"]
            > counts
            7 znodes, 48 bytes, 0 ephemerals
        "#]],
    );
}

#[test]
fn sequential_names() {
    check(
        "open 1
         1 create /q x
         1 create /q/n x s
         1 create /q/plain x
         1 create /q/n x s
         1 delete /q/n0000000000
         1 create /q/n x es
         1 create /q/ x s
         1 create / x s
         1 create / x
         1 create /q// x s
         1 ls /q
         1 ls2 /",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create /q x
              created /q (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            2: /q c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /q/n x s
              created /q/n0000000000 (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            3: /q/n0000000000 c3 m3 p3 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /q/plain x
              created /q/plain (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            4: /q/plain c4 m4 p4 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /q/n x s
              created /q/n0000000002 (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            5: /q/n0000000002 c5 m5 p5 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 delete /q/n0000000000
              deleted /q/n0000000000 (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            6: Deleted
            > 1 create /q/n x es
              created /q/n0000000003 (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            7: /q/n0000000003 c7 m7 p7 @1000/1000 v0 cv0 a0 len1 kids0 of 0x1
            > 1 create /q/ x s
              created /q/0000000004 (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            8: /q/0000000004 c8 m8 p8 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create / x s
              created /0000000001 (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            9: /0000000001 c9 m9 p9 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create / x
            10: NodeExists
            > 1 create /q// x s
            11: NoNode
            > 1 ls /q
            ["plain", "n0000000002", "n0000000003", "0000000004"]
            > 1 ls2 /
            ["zookeeper", "q", "0000000001"] c0 m0 p9 @0/0 v0 cv1 a0 len0 kids3
        "#]],
    );
}

#[test]
fn errors_of_create_in_their_order() {
    check(
        "open 1
         1 create nothing x flags=9
         1 create nothing x
         1 create /absent/z x acl=
         1 create /absent/z/ x
         1 create /e x e
         1 create /e/child/ x
         1 create /e/child x
         1 create /e x
         1 create /p x acl=digest:a:x:rwcda
         1 create /p/.. x
         1 create /zookeeper/config/c x
         1 create /s x s acl=digest:nocolon:r
         1 create /s x s acl=world:somebody:r
         1 create null x
         1 ls /",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create nothing x flags=9
            2: BadArguments
            > 1 create nothing x
            3: BadArguments
            > 1 create /absent/z x acl=
            4: InvalidAcl
            > 1 create /absent/z/ x
            5: NoNode
            > 1 create /e x e
              created /e (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            6: /e c6 m6 p6 @1000/1000 v0 cv0 a0 len1 kids0 of 0x1
            > 1 create /e/child/ x
            7: NoNode
            > 1 create /e/child x
            8: NoChildrenForEphemerals
            > 1 create /e x
            9: NodeExists
            > 1 create /p x acl=digest:a:x:rwcda
              created /p (digest:a:x:rwcda)
              children of / (world:anyone:rwcda)
            10: /p c10 m10 p10 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /p/.. x
            11: NoAuth
            > 1 create /zookeeper/config/c x
            12: NoAuth
            > 1 create /s x s acl=digest:nocolon:r
            13: InvalidAcl
            > 1 create /s x s acl=world:somebody:r
            14: InvalidAcl
            > 1 create null x
            15: MarshallingError
            > 1 ls /
            ["zookeeper", "e", "p"]
        "#]],
    );
}

#[test]
fn errors_of_delete_in_their_order() {
    check(
        "open 1
         1 delete a
         1 delete
         1 delete null
         1 delete /
         1 delete /zookeeper
         1 delete /zookeeper/quota
         1 delete /zookeeper/config
         1 delete /absent/z
         1 create /p x acl=world:anyone:rwca
         1 delete /p/absent
         1 create /p/c x
         1 delete /p/c 9
         1 delete /p 9
         1 delete /p 0
         1 delete /a/
         1 delete //p",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 delete a
            2: BadArguments
            > 1 delete
            3: MarshallingError
            > 1 delete null
            4: MarshallingError
            > 1 delete /
            5: BadArguments
            > 1 delete /zookeeper
            6: BadArguments
            > 1 delete /zookeeper/quota
            7: BadArguments
            > 1 delete /zookeeper/config
            8: BadArguments
            > 1 delete /absent/z
            9: NoNode
            > 1 create /p x acl=world:anyone:rwca
              created /p (world:anyone:rwca)
              children of / (world:anyone:rwcda)
            10: /p c10 m10 p10 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 delete /p/absent
            11: NoAuth
            > 1 create /p/c x
              created /p/c (world:anyone:rwcda)
              children of /p (world:anyone:rwca)
            12: /p/c c12 m12 p12 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 delete /p/c 9
            13: NoAuth
            > 1 delete /p 9
            14: BadVersion
            > 1 delete /p 0
            15: NotEmpty
            > 1 delete /a/
            16: NoNode
            > 1 delete //p
            17: NoNode
        "#]],
    );
}

#[test]
fn what_the_edge_decides() {
    check(
        "open 1
         1 create /t x flags=5
         1 create /t x createttl
         1 create /t x ttl=0
         1 create /t x ttl=1099511627776
         ttl emulate
         1 create /t x ttl=1099511627776
         ttl off
         1 create /u x ttl=5
         1 create /u x flags=6
         1 create /container-without-its-flag x container flags=1
         1 create /flag-without-its-opcode x flags=4
         time 5000
         1 create /flag-without-its-opcode/c x
         1 delete /flag-without-its-opcode/c
         1 create /container-without-its-flag/c x
         1 delete /container-without-its-flag/c
         due
         1 set null x
         1 set a x
         1 set /a/ x
         1 setacl /a/ world:anyone:r
         1 setacl /absent digest:x:r
         1 setacl /absent world:anyone:r
         1 check / -1
         1 reconfig",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create /t x flags=5
            2: BadArguments
            > 1 create /t x createttl
            3: BadArguments
            > 1 create /t x ttl=0
            4: BadArguments
            > 1 create /t x ttl=1099511627776
            5: BadArguments
            > ttl emulate
            > 1 create /t x ttl=1099511627776
              created /t (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            6: /t c6 m6 p6 @1000/1000 v0 cv0 a0 len1 kids0
            > ttl off
            > 1 create /u x ttl=5
            7: Unimplemented
            > 1 create /u x flags=6
            8: Unimplemented
            > 1 create /container-without-its-flag x container flags=1
              created /container-without-its-flag (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            9: /container-without-its-flag c9 m9 p9 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /flag-without-its-opcode x flags=4
              created /flag-without-its-opcode (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            10: /flag-without-its-opcode c10 m10 p10 @1000/1000 v0 cv0 a0 len1 kids0
            > time 5000
            > 1 create /flag-without-its-opcode/c x
              created /flag-without-its-opcode/c (world:anyone:rwcda)
              children of /flag-without-its-opcode (world:anyone:rwcda)
            11: /flag-without-its-opcode/c c11 m11 p11 @5000/5000 v0 cv0 a0 len1 kids0
            > 1 delete /flag-without-its-opcode/c
              deleted /flag-without-its-opcode/c (world:anyone:rwcda)
              children of /flag-without-its-opcode (world:anyone:rwcda)
            12: Deleted
            > 1 create /container-without-its-flag/c x
              created /container-without-its-flag/c (world:anyone:rwcda)
              children of /container-without-its-flag (world:anyone:rwcda)
            13: /container-without-its-flag/c c13 m13 p13 @5000/5000 v0 cv0 a0 len1 kids0
            > 1 delete /container-without-its-flag/c
              deleted /container-without-its-flag/c (world:anyone:rwcda)
              children of /container-without-its-flag (world:anyone:rwcda)
            14: Deleted
            > due
            containers ["/container-without-its-flag"] ttl []
            > 1 set null x
            15: BadArguments
            > 1 set a x
            16: BadArguments
            > 1 set /a/ x
            17: BadArguments
            > 1 setacl /a/ world:anyone:r
            18: BadArguments
            > 1 setacl /absent digest:x:r
            19: InvalidAcl
            > 1 setacl /absent world:anyone:r
            20: NoNode
            > 1 check / -1
            21: Unimplemented
            > 1 reconfig
            22: ReconfigDisabled
        "#]],
    );
}

#[test]
fn a_multi_sees_its_own_changes() {
    check(
        "open 1
         1 multi create /a x | create /a/s x s | create /a/s x s | set /a y 0 | check /a 1 | delete /a/s0000000000 0
         1 ls2 /a
         1 multi
         1 multi delete /a/s0000000001 | delete /a
         1 ls2 /",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 multi create /a x | create /a/s x s | create /a/s x s | set /a y 0 | check /a 1 | delete /a/s0000000000 0
              created /a (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
              created /a/s0000000000 (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
              created /a/s0000000001 (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
              data of /a (world:anyone:rwcda)
              deleted /a/s0000000000 (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
            2: [/a c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0, /a/s0000000000 c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0, /a/s0000000001 c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0, c2 m2 p2 @1000/1000 v1 cv2 a0 len1 kids2, Checked, Deleted]
            > 1 ls2 /a
            ["s0000000001"] c2 m2 p2 @1000/1000 v1 cv3 a0 len1 kids1
            > 1 multi
            3: []
            > 1 multi delete /a/s0000000001 | delete /a
              deleted /a/s0000000001 (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
              deleted /a (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            4: [Deleted, Deleted]
            > 1 ls2 /
            ["zookeeper"] c0 m0 p4 @0/0 v0 cv1 a0 len0 kids1
        "#]],
    );
}

#[test]
fn a_failed_multi_changes_nothing() {
    check(
        "open 1
         1 create /a x
         1 create /a/old x e
         1 create /a/last x
         1 ls2 /a
         1 ls2 /
         1 multi create /b x | delete /a/old | create /a/s x s | create /a/s x es | set /a y 0 | check /a 0 | create /c x
         1 multi delete /a/old | delete /a/last | delete /a | create /a z | create /a/c z c | create /nowhere/x x
         1 ls2 /a
         1 get /a
         1 ls2 /
         1 ephemerals
         1 create /a/s x s
         1 multi create /b x flags=9 | create /c x
         1 multi create /b x | create /c x acl= | create nothing x
         1 multi create /c x | set null y
         counts",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create /a x
              created /a (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            2: /a c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /a/old x e
              created /a/old (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
            3: /a/old c3 m3 p3 @1000/1000 v0 cv0 a0 len1 kids0 of 0x1
            > 1 create /a/last x
              created /a/last (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
            4: /a/last c4 m4 p4 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 ls2 /a
            ["old", "last"] c2 m2 p4 @1000/1000 v0 cv2 a0 len1 kids2
            > 1 ls2 /
            ["zookeeper", "a"] c0 m0 p2 @0/0 v0 cv0 a0 len0 kids2
            > 1 multi create /b x | delete /a/old | create /a/s x s | create /a/s x es | set /a y 0 | check /a 0 | create /c x
            5: MultiFailed { failed: 5, code: BadVersion, op_count: 7 }
            > 1 multi delete /a/old | delete /a/last | delete /a | create /a z | create /a/c z c | create /nowhere/x x
            6: MultiFailed { failed: 5, code: NoNode, op_count: 6 }
            > 1 ls2 /a
            ["old", "last"] c2 m2 p4 @1000/1000 v0 cv2 a0 len1 kids2
            > 1 get /a
            "x" c2 m2 p4 @1000/1000 v0 cv2 a0 len1 kids2
            > 1 ls2 /
            ["zookeeper", "a"] c0 m0 p2 @0/0 v0 cv0 a0 len0 kids2
            > 1 ephemerals
            Paths(["/a/old"])
            > 1 create /a/s x s
              created /a/s0000000002 (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
            7: /a/s0000000002 c7 m7 p7 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 multi create /b x flags=9 | create /c x
            8: MarshallingError
            > 1 multi create /b x | create /c x acl= | create nothing x
            9: MultiFailed { failed: 1, code: InvalidAcl, op_count: 3 }
            > 1 multi create /c x | set null y
            10: MultiFailed { failed: 1, code: BadArguments, op_count: 2 }
            > counts
            9 znodes, 77 bytes, 1 ephemerals
        "#]],
    );
}

#[test]
fn ephemerals_die_with_their_session() {
    check(
        "open 1
         open 2
         1 create /b x e
         1 create /a x
         1 create /a/e x e
         2 create /mine x e
         1 create /b/c x
         1 ephemerals
         1 ephemerals /a
         1 ephemerals /
         2 ephemerals
         counts
         close 1
         1 create /late x
         1 exists /a
         2 ls2 /
         expire 2
         expire 2
         counts",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > open 2
              opened 0x2 of 2
            2: SessionCreated { timeout_ms: 30000 }
            > 1 create /b x e
              created /b (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            3: /b c3 m3 p3 @1000/1000 v0 cv0 a0 len1 kids0 of 0x1
            > 1 create /a x
              created /a (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            4: /a c4 m4 p4 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /a/e x e
              created /a/e (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
            5: /a/e c5 m5 p5 @1000/1000 v0 cv0 a0 len1 kids0 of 0x1
            > 2 create /mine x e
              created /mine (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            6: /mine c6 m6 p6 @1000/1000 v0 cv0 a0 len1 kids0 of 0x2
            > 1 create /b/c x
            7: NoChildrenForEphemerals
            > 1 ephemerals
            Paths(["/a/e", "/b"])
            > 1 ephemerals /a
            Paths(["/a/e"])
            > 1 ephemerals /
            Paths(["/a/e", "/b"])
            > 2 ephemerals
            Paths(["/mine"])
            > counts
            9 znodes, 61 bytes, 3 ephemerals
            > close 1
              deleted /a/e (world:anyone:rwcda)
              children of /a (world:anyone:rwcda)
              deleted /b (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
              closed 0x1 of 1
            8: SessionClosed
            > 1 create /late x
            9: SessionExpired
            > 1 exists /a
            c4 m4 p8 @1000/1000 v0 cv2 a0 len1 kids0
            > 2 ls2 /
            ["zookeeper", "a", "mine"] c0 m0 p8 @0/0 v0 cv3 a0 len0 kids3
            > expire 2
              deleted /mine (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
              closed 0x2 of 2
            10: SessionClosed
            > expire 2
            11: SessionExpired
            > counts
            6 znodes, 47 bytes, 0 ephemerals
        "#]],
    );
}

#[test]
fn a_session_moves() {
    check(
        "open 1
         open 1
         attach 1 5 9
         1 create /a x
         attach 1 5 7
         1 create /b x
         close 1
         attach 2 5 7
         1 ls /",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > open 1
            2: SystemError
            > attach 1 5 9
            2: SessionExpired
            > 1 create /a x
              created /a (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            3: /a c3 m3 p3 @1000/1000 v0 cv0 a0 len1 kids0
            > attach 1 5 7
              attached 0x1 to 5 from 1, 5000 ms
            3: SessionAttached { timeout_ms: 5000 }
            > 1 create /b x
            4: SessionMoved
            > close 1
            5: SessionMoved
            > attach 2 5 7
            5: SessionExpired
            > 1 ls /
            ["zookeeper", "a"]
        "#]],
    );
}

#[test]
fn containers_and_ttl_znodes() {
    check(
        "open 1
         1 create /c x c
         1 create /t x ttl=500
         1 create /t/child x
         1 exists /t
         due
         1 create /c/x x
         time 1500
         due
         1 delete /c/x
         1 delete /t/child
         due
         time 1501
         due
         reap /t
         reap /t
         1 create /unused x c
         1 create /u x ttl=5
         1 create /c/x x
         reap /c
         reap /u
         reap /zookeeper
         time 2600
         1 delete /c/x
         due
         reap /c
         reap /u
         due",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create /c x c
              created /c (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            2: /c c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /t x ttl=500
              created /t (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            3: /t c3 m3 p3 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /t/child x
              created /t/child (world:anyone:rwcda)
              children of /t (world:anyone:rwcda)
            4: /t/child c4 m4 p4 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 exists /t
            c3 m3 p4 @1000/1000 v0 cv1 a0 len1 kids1
            > due
            containers [] ttl []
            > 1 create /c/x x
              created /c/x (world:anyone:rwcda)
              children of /c (world:anyone:rwcda)
            5: /c/x c5 m5 p5 @1000/1000 v0 cv0 a0 len1 kids0
            > time 1500
            > due
            containers [] ttl []
            > 1 delete /c/x
              deleted /c/x (world:anyone:rwcda)
              children of /c (world:anyone:rwcda)
            6: Deleted
            > 1 delete /t/child
              deleted /t/child (world:anyone:rwcda)
              children of /t (world:anyone:rwcda)
            7: Deleted
            > due
            containers ["/c"] ttl []
            > time 1501
            > due
            containers ["/c"] ttl ["/t"]
            > reap /t
              deleted /t (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            8: Deleted
            > reap /t
            9: NoNode
            > 1 create /unused x c
              created /unused (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            10: /unused c10 m10 p10 @1501/1501 v0 cv0 a0 len1 kids0
            > 1 create /u x ttl=5
              created /u (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            11: /u c11 m11 p11 @1501/1501 v0 cv0 a0 len1 kids0
            > 1 create /c/x x
              created /c/x (world:anyone:rwcda)
              children of /c (world:anyone:rwcda)
            12: /c/x c12 m12 p12 @1501/1501 v0 cv0 a0 len1 kids0
            > reap /c
            13: NotEmpty
            > reap /u
            14: BadVersion
            > reap /zookeeper
            15: NotEmpty
            > time 2600
            > 1 delete /c/x
              deleted /c/x (world:anyone:rwcda)
              children of /c (world:anyone:rwcda)
            16: Deleted
            > due
            containers ["/c", "/unused"] ttl ["/u"]
            > reap /c
              deleted /c (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            17: Deleted
            > reap /u
              deleted /u (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            18: Deleted
            > due
            containers ["/unused"] ttl []
        "#]],
    );
}

#[test]
fn permissions() {
    check(
        "open 1
         1 create /p x acl=digest:bob:hash:rw,ip:10.0.0.0/8:r,world:anyone:a
         1 get /p
         1 exists /p
         1 ls /p
         1 set /p y
         1 create /p/c x
         1 delete /p/c
         1 getacl /p
         auth digest:bob:hash
         1 getacl /p
         1 get /p
         1 set /p y
         1 create /p/c x
         1 setacl /p digest:bob:hash:cr,digest:bob:hash:cr
         1 getacl /p
         1 create /p/c x
         1 delete /p/c
         auth ip:10.1.2.3
         1 get /p
         1 getacl /p
         1 descendants /p
         1 multi check /p -1
         auth super:
         1 setacl /p world:anyone:rwcda
         1 delete /p/c
         1 set /zookeeper/config x
         1 create /x x acl=auth::r
         auth digest:a:b digest:c:d ip:1.2.3.4
         1 create /x x acl=auth::r
         1 getacl /x",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create /p x acl=digest:bob:hash:rw,ip:10.0.0.0/8:r,world:anyone:a
              created /p (digest:bob:hash:rw,ip:10.0.0.0/8:r,world:anyone:a)
              children of / (world:anyone:rwcda)
            2: /p c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 get /p
            NoAuth
            > 1 exists /p
            NoAuth
            > 1 ls /p
            NoAuth
            > 1 set /p y
            3: NoAuth
            > 1 create /p/c x
            4: NoAuth
            > 1 delete /p/c
            5: NoAuth
            > 1 getacl /p
            digest:bob:hash:rw,ip:10.0.0.0/8:r,world:anyone:a a0
            > auth digest:bob:hash
            > 1 getacl /p
            digest:bob:hash:rw,ip:10.0.0.0/8:r,world:anyone:a a0
            > 1 get /p
            "x" c2 m2 p2 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 set /p y
              data of /p (digest:bob:hash:rw,ip:10.0.0.0/8:r,world:anyone:a)
            6: c2 m6 p2 @1000/1000 v1 cv0 a0 len1 kids0
            > 1 create /p/c x
            7: NoAuth
            > 1 setacl /p digest:bob:hash:cr,digest:bob:hash:cr
            8: c2 m6 p2 @1000/1000 v1 cv0 a1 len1 kids0
            > 1 getacl /p
            digest:bob:x:rc a1
            > 1 create /p/c x
              created /p/c (world:anyone:rwcda)
              children of /p (digest:bob:hash:rc)
            9: /p/c c9 m9 p9 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 delete /p/c
            10: NoAuth
            > auth ip:10.1.2.3
            > 1 get /p
            NoAuth
            > 1 getacl /p
            NoAuth
            > 1 descendants /p
            NoAuth
            > 1 multi check /p -1
            11: MultiFailed { failed: 0, code: NoAuth, op_count: 1 }
            > auth super:
            > 1 setacl /p world:anyone:rwcda
            12: c2 m6 p9 @1000/1000 v1 cv1 a2 len1 kids1
            > 1 delete /p/c
              deleted /p/c (world:anyone:rwcda)
              children of /p (world:anyone:rwcda)
            13: Deleted
            > 1 set /zookeeper/config x
              data of /zookeeper/config (world:anyone:r)
            14: c0 m14 p0 @0/1000 v1 cv0 a-1 len1 kids0
            > 1 create /x x acl=auth::r
            15: InvalidAcl
            > auth digest:a:b digest:c:d ip:1.2.3.4
            > 1 create /x x acl=auth::r
              created /x (digest:a:b:r,digest:c:d:r)
              children of / (world:anyone:rwcda)
            16: /x c16 m16 p16 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 getacl /x
            digest:a:x:r,digest:c:x:r a0
        "#]],
    );
}

#[test]
fn quotas_are_counted() {
    check(
        "open 1
         1 create /q abc
         1 create /q/a abcd
         1 create /zookeeper/quota/q x
         1 create /zookeeper/quota/q/zookeeper_limits count=4,bytes=-1=;byteHardLimit=20;countHardLimit=4
         1 create /zookeeper/quota/q/zookeeper_stats count=0,bytes=0
         1 get /zookeeper/quota/q/zookeeper_stats
         1 create /q/b 12345
         1 get /zookeeper/quota/q/zookeeper_stats
         1 set /q/b 1
         1 delete /q/a
         1 get /zookeeper/quota/q/zookeeper_stats
         1 multi create /q/c 12345 | delete /q/absent
         1 get /zookeeper/quota/q/zookeeper_stats
         1 create /qq x
         1 set /q/b 12345678901234567890
         1 create /q/c x
         1 create /q/d x
         1 get /zookeeper/quota/q/zookeeper_stats
         enforce
         1 create /q/e x
         1 delete /q/d
         1 delete /q/c
         1 create /q/c x
         1 set /q/b 1
         1 set /q/b 123456789012345678901
         1 multi delete /zookeeper/quota/q/zookeeper_limits | check /absent 0
         1 set /q/b 123456789012345678901
         1 delete /zookeeper/quota/q/zookeeper_limits
         1 set /q/b 123456789012345678901
         1 get /zookeeper/quota/q/zookeeper_stats",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 create /q abc
              created /q (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            2: /q c2 m2 p2 @1000/1000 v0 cv0 a0 len3 kids0
            > 1 create /q/a abcd
              created /q/a (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            3: /q/a c3 m3 p3 @1000/1000 v0 cv0 a0 len4 kids0
            > 1 create /zookeeper/quota/q x
              created /zookeeper/quota/q (world:anyone:rwcda)
              children of /zookeeper/quota (world:anyone:rwcda)
            4: /zookeeper/quota/q c4 m4 p4 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /zookeeper/quota/q/zookeeper_limits count=4,bytes=-1=;byteHardLimit=20;countHardLimit=4
              created /zookeeper/quota/q/zookeeper_limits (world:anyone:rwcda)
              children of /zookeeper/quota/q (world:anyone:rwcda)
            5: /zookeeper/quota/q/zookeeper_limits c5 m5 p5 @1000/1000 v0 cv0 a0 len51 kids0
            > 1 create /zookeeper/quota/q/zookeeper_stats count=0,bytes=0
              created /zookeeper/quota/q/zookeeper_stats (world:anyone:rwcda)
              children of /zookeeper/quota/q (world:anyone:rwcda)
            6: /zookeeper/quota/q/zookeeper_stats c6 m6 p6 @1000/1000 v0 cv0 a0 len15 kids0
            > 1 get /zookeeper/quota/q/zookeeper_stats
            "count=2,bytes=7" c6 m6 p6 @1000/1000 v0 cv0 a0 len15 kids0
            > 1 create /q/b 12345
              created /q/b (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            7: /q/b c7 m7 p7 @1000/1000 v0 cv0 a0 len5 kids0
            > 1 get /zookeeper/quota/q/zookeeper_stats
            "count=3,bytes=12" c6 m6 p6 @1000/1000 v0 cv0 a0 len16 kids0
            > 1 set /q/b 1
              data of /q/b (world:anyone:rwcda)
            8: c7 m8 p7 @1000/1000 v1 cv0 a0 len1 kids0
            > 1 delete /q/a
              deleted /q/a (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            9: Deleted
            > 1 get /zookeeper/quota/q/zookeeper_stats
            "count=2,bytes=4" c6 m6 p6 @1000/1000 v0 cv0 a0 len15 kids0
            > 1 multi create /q/c 12345 | delete /q/absent
            10: MultiFailed { failed: 1, code: NoNode, op_count: 2 }
            > 1 get /zookeeper/quota/q/zookeeper_stats
            "count=2,bytes=4" c6 m6 p6 @1000/1000 v0 cv0 a0 len15 kids0
            > 1 create /qq x
              created /qq (world:anyone:rwcda)
              children of / (world:anyone:rwcda)
            11: /qq c11 m11 p11 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 set /q/b 12345678901234567890
              data of /q/b (world:anyone:rwcda)
            12: c7 m12 p7 @1000/1000 v2 cv0 a0 len20 kids0
            > 1 create /q/c x
              created /q/c (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            13: /q/c c13 m13 p13 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 create /q/d x
              created /q/d (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            14: /q/d c14 m14 p14 @1000/1000 v0 cv0 a0 len1 kids0
            > 1 get /zookeeper/quota/q/zookeeper_stats
            "count=4,bytes=25" c6 m6 p6 @1000/1000 v0 cv0 a0 len16 kids0
            > enforce
            > 1 create /q/e x
            15: QuotaExceeded
            > 1 delete /q/d
              deleted /q/d (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            16: Deleted
            > 1 delete /q/c
              deleted /q/c (world:anyone:rwcda)
              children of /q (world:anyone:rwcda)
            17: Deleted
            > 1 create /q/c x
            18: QuotaExceeded
            > 1 set /q/b 1
              data of /q/b (world:anyone:rwcda)
            19: c7 m19 p7 @1000/1000 v3 cv0 a0 len1 kids0
            > 1 set /q/b 123456789012345678901
            20: QuotaExceeded
            > 1 multi delete /zookeeper/quota/q/zookeeper_limits | check /absent 0
            21: MultiFailed { failed: 1, code: NoNode, op_count: 2 }
            > 1 set /q/b 123456789012345678901
            22: QuotaExceeded
            > 1 delete /zookeeper/quota/q/zookeeper_limits
              deleted /zookeeper/quota/q/zookeeper_limits (world:anyone:rwcda)
              children of /zookeeper/quota/q (world:anyone:rwcda)
            23: Deleted
            > 1 set /q/b 123456789012345678901
              data of /q/b (world:anyone:rwcda)
            24: c7 m24 p7 @1000/1000 v4 cv0 a0 len21 kids0
            > 1 get /zookeeper/quota/q/zookeeper_stats
            "count=2,bytes=4" c6 m6 p6 @1000/1000 v0 cv0 a0 len15 kids0
        "#]],
    );
}

#[test]
fn reads_take_any_path() {
    check(
        "open 1
         1 get
         1 get a
         1 exists /a/
         1 get /a//b
         1 ls
         1 descendants /zookeeper
         1 descendants /absent",
        &expect![[r#"
            > open 1
              opened 0x1 of 1
            1: SessionCreated { timeout_ms: 30000 }
            > 1 get
            "" c0 m0 p0 @0/0 v0 cv-1 a0 len0 kids1
            > 1 get a
            NoNode
            > 1 exists /a/
            NoNode
            > 1 get /a//b
            NoNode
            > 1 ls
            ["zookeeper"]
            > 1 descendants /zookeeper
            Count(2)
            > 1 descendants /absent
            NoNode
        "#]],
    );
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
