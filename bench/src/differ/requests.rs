//! Random requests, valid and not, over few paths, so that they meet each other.

use crate::{
    rng::Rng,
    wire::{
        jute::Writer,
        records::{self, Acl, flags, op},
    },
};

use super::{
    act::{Body, Request, Since},
    profile::Profile,
};

/// The usual paths first, then the system's, then those that no znode can have.
const PATHS: [&str; 40] = [
    "/a",
    "/a",
    "/a/b",
    "/a/b",
    "/a/b/c",
    "/a/c",
    "/b",
    "/b/x",
    "/c",
    "/c/d",
    "/e",
    "/e/f",
    "/ü/ß",
    "/ü",
    "/",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper/quota/a",
    "/zookeeper/x",
    "/none/x",
    "",
    "a",
    "a/b",
    "//",
    "/a/",
    "/a//b",
    "/a/.",
    "/a/..",
    "/./a",
    "/a/../b",
    "/...",
    "/a/\u{0}",
    "/a/\u{1}",
    "/a/\u{1f}",
    "/a/\u{7f}",
    "/a/\u{9f}",
    "/a/\u{e000}",
    "/a/\u{fff0}",
    EMOJI,
];
/// Of [`PATHS`], how many any znode can have.
const USUAL: usize = 14;
/// No znode can have it, and Apache would send it back as bytes that are no UTF-8 (decision 11).
const EMOJI: &str = "/a/\u{1f600}";
/// Where quotas are kept that a client may set.
const QUOTA_PATHS: [&str; 6] = [
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/b",
    "/zookeeper/quota/b/zookeeper_limits",
    "/zookeeper/quota/b/zookeeper_stats",
];
/// Texts of quotas that Apache can read: what it cannot read stops it (decision 5).
const QUOTA_TEXTS: [&[u8]; 7] = [
    b"count=3,bytes=100",
    b"count=-1,bytes=-1",
    b"count=5,bytes=-1=;byteHardLimit=60;countHardLimit=4",
    b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2",
    b"count=-1,bytes=20=;byteHardLimit=40;countHardLimit=-1",
    b"count=0,bytes=0",
    b"count=2,bytes=0=;byteHardLimit=0;countHardLimit=0",
];
/// Addresses of ACLs, good and bad.
const ADDRESSES: [&str; 18] = [
    "127.0.0.1/33",
    "127.0.0.1/32",
    "127.0.0.1/-1",
    "127.0.0.1/-0",
    "127.0.0.1/+8",
    "127.0.0.1/",
    "127.0.0.1/8/9",
    "127.0.0.1/x",
    "+127.0.0.01",
    "127..0.1",
    "127.0.0.1.",
    "127.0.0.256",
    "0.0.0.0/0",
    "::1",
    "::1/64",
    "::/129",
    "::ffff:127.0.0.1",
    "x",
];
/// What `u:p` hashes to.
const USER: &str = "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=";

/// A request that leaves the connection open.
pub(super) fn ordinary(rng: &mut Rng, profile: &Profile) -> Request {
    if profile.name == "quotas" && rng.percent(12) {
        return quota(rng);
    }
    let mut request = chosen(rng);
    let Body::Bytes(body) = &mut request.body else { return request };
    match rng.below(1000) {
        0..=24 => body.truncate(rng.index(body.len() + 1)),
        // A flipped bit in a time to live could make the one createTTL that stops Apache for good.
        25..=39 if request.opcode != op::CREATE_TTL && request.opcode != op::MULTI => {
            let index = rng.index(body.len() + 1);
            if let Some(byte) = body.get_mut(index) {
                *byte ^= 1 << rng.below(8);
            }
        }
        40..=49 => body.extend_from_slice(b"and more"),
        50..=64 => request.xid = Some([0, -3, -4, -8, i32::MIN, i32::MAX, 5][rng.index(7)]),
        _ => {}
    }
    request
}

/// A request that Apache answers out of turn, so that it comes alone. Most close the connection.
pub(super) fn out_of_turn(rng: &mut Rng) -> Request {
    let unknown = [op::NOTIFICATION, 10, 23, 99, 108, 500, -2, i32::MAX, i32::MIN];
    match rng.below(4) {
        0 => Request::new(op::CHECK, records::path_version(path(rng), version(rng))),
        1 => {
            let token = [(-1_i32).to_be_bytes().to_vec(), vec![0; 4]];
            Request::new(op::SASL, token[rng.index(2)].clone())
        }
        _ => Request::new(unknown[rng.index(unknown.len())], vec![0; rng.index(20)]),
    }
}

/// A setData whose frame has `frame_bytes` behind its length.
pub(super) fn of_size(rng: &mut Rng, frame_bytes: usize) -> Request {
    let path = path(rng);
    let overhead = 8 + records::set_data(path, Some(b""), -1).len();
    let data = vec![b'y'; frame_bytes - overhead];
    Request::new(op::SET_DATA, records::set_data(path, Some(&data), version(rng)))
}

fn chosen(rng: &mut Rng) -> Request {
    let (opcode, body) = match rng.below(100) {
        0..=53 => write(rng),
        54..=63 => (op::MULTI, multi(rng)),
        64..=66 => {
            let parts: Vec<_> = (0..rng.below(4)).map(|_| multi_read_part(rng)).collect();
            (op::MULTI_READ, records::multi(&parts))
        }
        67..=80 => read(rng),
        81..=87 => return watch(rng),
        88..=89 => (op::WHO_AM_I, Vec::new()),
        90..=91 => (op::SYNC, records::path_only(echoed_path(rng))),
        92..=93 => (op::GET_EPHEMERALS, records::path_only(path(rng))),
        94..=95 => (op::PING, Vec::new()),
        96..=97 => (op::RECONFIG, reconfig(rng)),
        _ => (op::GET_ALL_CHILDREN_NUMBER, records::path_only(path(rng))),
    };
    Request::new(opcode, body)
}

fn write(rng: &mut Rng) -> (i32, Vec<u8>) {
    match rng.below(100) {
        0..=36 => create(rng),
        37..=59 => set(rng),
        60..=82 => (op::DELETE, records::path_version(path(rng), version(rng))),
        _ => (op::SET_ACL, records::set_acl(path(rng), &acl(rng), version(rng))),
    }
}

/// Parts that mostly succeed, with one that fails at a random place, or none.
fn multi(rng: &mut Rng) -> Vec<u8> {
    let count = rng.index(7);
    let mut parts: Vec<_> = (0..count).map(|_| part(rng)).collect();
    if count != 0 && rng.percent(60) {
        let failing = match rng.below(5) {
            0 => (op::CHECK, records::path_version("/", 77)),
            1 => (op::DELETE, records::path_version("/none", -1)),
            2 => (op::CREATE, records::create("/zookeeper", None, &Acl::open(), 0)),
            3 => (op::SET_DATA, records::set_data("/none", None, 3)),
            _ => (op::CREATE, records::create("/n/o", None, &[], flags::SEQUENTIAL)),
        };
        parts[rng.index(count)] = failing;
    }
    records::multi(&parts)
}

fn part(rng: &mut Rng) -> (i32, Vec<u8>) {
    match rng.below(100) {
        0..=24 => {
            let sequence = [flags::SEQUENTIAL, flags::EPHEMERAL_SEQUENTIAL][rng.index(2)];
            let parent = ["/a/s-", "/s-", "/b/"][rng.index(3)];
            (op::CREATE, records::create(parent, data(rng).as_deref(), &Acl::open(), sequence))
        }
        25..=44 => create(rng),
        45..=60 => set(rng),
        61..=74 => (op::DELETE, records::path_version(path(rng), version(rng))),
        75..=85 => (op::CHECK, records::path_version("/", -1)),
        86..=97 => (op::CHECK, records::path_version(path(rng), version(rng))),
        // Reads do not belong here.
        98 => multi_read_part(rng),
        _ => (op::SET_ACL, records::set_acl(path(rng), &acl(rng), -1)),
    }
}

fn multi_read_part(rng: &mut Rng) -> (i32, Vec<u8>) {
    let opcode = if rng.percent(50) { op::GET_DATA } else { op::GET_CHILDREN };
    (opcode, records::path_watch(path(rng), rng.percent(20)))
}

fn create(rng: &mut Rng) -> (i32, Vec<u8>) {
    let (path, acl) = (path(rng), acl(rng));
    let data = data(rng);
    match rng.below(10) {
        0 => {
            let flags = [flags::TTL, flags::TTL, flags::TTL_SEQUENTIAL, 0, 7, -1][rng.index(6)];
            // A negative one without a TTL mode stops Apache for good (decision 11).
            let least = if flags == 0 { 0 } else { -5 };
            let ttl = [1_000_000, 1, 0, least, 1 << 40, (1 << 40) - 1, i64::MAX][rng.index(7)];
            (op::CREATE_TTL, records::create_ttl(path, data.as_deref(), flags, ttl))
        }
        1 => {
            // Not ephemeral: Apache takes such a container for one while it is on its way.
            let flags = [flags::CONTAINER, flags::CONTAINER, 0, 2][rng.index(4)];
            (op::CREATE_CONTAINER, records::create(path, data.as_deref(), &acl, flags))
        }
        kind => {
            let opcode = if kind < 6 { op::CREATE } else { op::CREATE2 };
            let chosen = [0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 9, -1, i32::MIN];
            let flags = chosen[rng.index(chosen.len())];
            (opcode, records::create(path, data.as_deref(), &acl, flags))
        }
    }
}

fn set(rng: &mut Rng) -> (i32, Vec<u8>) {
    let data = data(rng);
    (op::SET_DATA, records::set_data(path(rng), data.as_deref(), version(rng)))
}

fn read(rng: &mut Rng) -> (i32, Vec<u8>) {
    let opcodes =
        [op::EXISTS, op::GET_DATA, op::GET_CHILDREN, op::GET_CHILDREN2, op::GET_DATA, op::EXISTS];
    if rng.percent(15) {
        return (op::GET_ACL, records::path_only(path(rng)));
    }
    (opcodes[rng.index(opcodes.len())], records::path_watch(path(rng), rng.percent(40)))
}

fn watch(rng: &mut Rng) -> Request {
    let kind = i32::try_from(rng.below(8)).expect("below 8") - 1;
    let (opcode, value) = match rng.below(10) {
        0..=3 => (op::ADD_WATCH, kind % 3),
        4..=5 => (op::CHECK_WATCHES, kind),
        6..=7 => (op::REMOVE_WATCHES, kind),
        _ => return set_watches(rng, None),
    };
    Request::new(opcode, records::path_int(path(rng), value))
}

/// setWatches or setWatches2, of the lists given or of random ones.
pub(super) fn set_watches(rng: &mut Rng, known: Option<&[Vec<&'static str>; 5]>) -> Request {
    let since = [Since::Seen, Since::Seen, Since::Beginning, Since::Future][rng.index(4)];
    let (opcode, count) =
        if rng.percent(60) { (op::SET_WATCHES2, 5) } else { (op::SET_WATCHES, 3) };
    let lists = match known {
        Some(known) => known[..count].to_vec(),
        None => (0..count).map(|_| (0..rng.index(3)).map(|_| echoed_path(rng)).collect()).collect(),
    };
    Request { opcode, xid: Some(-8), body: Body::Watches { since, lists } }
}

fn quota(rng: &mut Rng) -> Request {
    let path = QUOTA_PATHS[rng.index(QUOTA_PATHS.len())];
    let text = QUOTA_TEXTS[rng.index(QUOTA_TEXTS.len())];
    let (opcode, body) = match rng.below(10) {
        0..=4 => (op::CREATE, records::create(path, Some(text), &Acl::open(), 0)),
        5..=6 => (op::SET_DATA, records::set_data(path, Some(text), -1)),
        7 => (op::DELETE, records::path_version(path, -1)),
        _ => (op::GET_DATA, records::path_watch(path, rng.percent(30))),
    };
    Request::new(opcode, body)
}

/// A path that may come back in a reply or an event.
fn echoed_path(rng: &mut Rng) -> &'static str {
    Some(path(rng)).filter(|path| *path != EMOJI).unwrap_or("/a")
}

/// A path, mostly one that a znode can have.
fn path(rng: &mut Rng) -> &'static str {
    let end = if rng.percent(82) { USUAL } else { PATHS.len() };
    PATHS[rng.index(end)]
}

fn version(rng: &mut Rng) -> i32 {
    [-1, -1, -1, -1, 0, 0, 1, 2, -2, i32::MAX, i32::MIN][rng.index(11)]
}

fn data(rng: &mut Rng) -> Option<Vec<u8>> {
    match rng.below(10) {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(vec![0xff; 3]),
        _ => Some(vec![b'x'; rng.index(40)]),
    }
}

fn reconfig(rng: &mut Rng) -> Vec<u8> {
    let servers = ["server.1=127.0.0.1:1:2;3", "", "nonsense"][rng.index(3)];
    let mut writer = Writer::new();
    for _ in 0..3 {
        writer = if rng.percent(50) { writer.buffer(None) } else { writer.string(servers) };
    }
    writer.long(-1).into_bytes()
}

fn acl(rng: &mut Rng) -> Vec<Acl> {
    let all = |scheme, id| Acl::new(31, scheme, id);
    match rng.below(48) {
        0..=26 => Acl::open(),
        27 => vec![Acl::new(1, "world", "anyone")],
        28 => vec![Acl::new(30, "world", "anyone")],
        29 => vec![all("world", "anyone"), all("world", "anyone")],
        30..=31 => vec![all("auth", "")],
        32 => vec![Acl::new(27, "digest", USER), Acl::new(9, "world", "anyone")],
        33 => vec![all("ip", "127.0.0.1")],
        34 => vec![all("ip", "10.1.0.0/16"), Acl::new(5, "world", "anyone")],
        35 => vec![all("ip", "10.1.0/16")],
        36 => vec![all("ip", ADDRESSES[rng.index(ADDRESSES.len())])],
        37 => Vec::new(),
        38 => vec![all("nonsense", "x")],
        39 => vec![all("world", "x")],
        40 => vec![all("digest", ["nocolon", "a:b:c", "u:", ":p", ""][rng.index(5)])],
        41 => vec![Acl::new([0, 64, -1][rng.index(3)], "world", "anyone")],
        42 => vec![all("super", ""), Acl::new(16, "world", "anyone")],
        43 => vec![all(["sasl", "x509", "ensemble", ""][rng.index(4)], "u")],
        44 => vec![all("digest", "v:hash"), Acl::new(17, "digest", USER)],
        45 => vec![Acl::new(12, "world", "anyone"), Acl::new(3, "auth", "ignored")],
        _ => vec![all("digest", USER), all("auth", "x")],
    }
}

/// The constant that is this path, unless no server should be asked to send it back.
pub(super) fn known(path: &str) -> Option<&'static str> {
    PATHS.into_iter().find(|known| *known == path && *known != EMOJI)
}
