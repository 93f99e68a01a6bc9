//! Random requests, valid and not, over few paths, so that they meet each other.

use crate::{
    rng::Rng,
    wire::records::{self, Acl, flags, op},
};

/// How many clients take part.
pub(super) const CLIENTS: usize = 3;

/// What one client does next, on both servers.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A request and its reply.
    Call { client: usize, opcode: i32, body: Vec<u8> },
    /// addauth, which is not ordered with requests.
    Authenticate { client: usize, scheme: &'static str, auth: &'static [u8] },
    /// Drops the connection and takes the session up again.
    Resume { client: usize },
    /// Closes the session and opens another one.
    Renew { client: usize },
}

impl Act {
    /// Whose turn it is.
    pub(super) fn client(&self) -> usize {
        match self {
            Self::Call { client, .. }
            | Self::Authenticate { client, .. }
            | Self::Resume { client }
            | Self::Renew { client } => *client,
        }
    }
}

const PATHS: [&str; 26] = [
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
    "/ü",
    "/",
    "",
    "a",
    "//",
    "/a/",
    "/a//b",
    "/a/..",
    "/a/\u{1}",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper/quota/a",
    "/none/x",
];

/// The next act.
pub(super) fn choose(rng: &mut Rng) -> Act {
    let client = rng.index(CLIENTS);
    match rng.below(200) {
        0..=2 => return Act::Resume { client },
        3 => return Act::Renew { client },
        4..=6 => {
            let auths: [(&str, &[u8]); 4] =
                [("digest", b"u:p"), ("digest", b"v:p"), ("digest", b"nocolon"), ("ip", b"x")];
            let (scheme, auth) = auths[rng.index(auths.len())];
            return Act::Authenticate { client, scheme, auth };
        }
        _ => {}
    }
    let (opcode, mut body) = request(rng);
    if rng.percent(3) {
        body.truncate(rng.index(body.len() + 1));
    } else if rng.percent(2) {
        let index = rng.index(body.len() + 1);
        if let Some(byte) = body.get_mut(index) {
            *byte ^= 1 << rng.below(8);
        }
    }
    // Decided otherwise than by Apache, which dies of it or obeys anybody.
    let kills = opcode == op::CREATE_TTL && body.ends_with(&(-1_i64).to_be_bytes());
    if kills {
        return Act::Call { client, opcode: op::WHO_AM_I, body: Vec::new() };
    }
    Act::Call { client, opcode, body }
}

fn request(rng: &mut Rng) -> (i32, Vec<u8>) {
    match rng.below(100) {
        0..=59 => write(rng),
        60..=67 => {
            let parts: Vec<_> = (0..rng.below(5)).map(|_| part(rng)).collect();
            (op::MULTI, records::multi(&parts))
        }
        68..=70 => {
            let parts: Vec<_> = (0..rng.below(4)).map(|_| multi_read_part(rng)).collect();
            (op::MULTI_READ, records::multi(&parts))
        }
        71..=85 => read(rng),
        86..=91 => watch(rng),
        92..=93 => (op::WHO_AM_I, Vec::new()),
        94..=95 => (op::SYNC, records::path_only(path(rng))),
        96..=97 => (op::GET_EPHEMERALS, records::path_only(path(rng))),
        _ => (op::GET_ALL_CHILDREN_NUMBER, records::path_only(path(rng))),
    }
}

fn write(rng: &mut Rng) -> (i32, Vec<u8>) {
    match rng.below(100) {
        0..=34 => create(rng),
        35..=59 => set(rng),
        60..=82 => (op::DELETE, records::path_version(path(rng), version(rng))),
        _ => (op::SET_ACL, records::set_acl(path(rng), &acl(rng), version(rng))),
    }
}

fn part(rng: &mut Rng) -> (i32, Vec<u8>) {
    match rng.below(100) {
        0..=39 => create(rng),
        40..=64 => set(rng),
        65..=79 => (op::DELETE, records::path_version(path(rng), version(rng))),
        80..=97 => (op::CHECK, records::path_version(path(rng), version(rng))),
        // Reads do not belong here.
        _ => multi_read_part(rng),
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
            let flags = [flags::TTL, flags::TTL_SEQUENTIAL, 7, -1][rng.index(4)];
            let ttl = [1_000_000, 1, 0, -5, 1 << 40, (1 << 40) - 1][rng.index(6)];
            (op::CREATE_TTL, records::create_ttl(path, data.as_deref(), flags, ttl))
        }
        1 => (op::CREATE_CONTAINER, records::create(path, data.as_deref(), &acl, flags::CONTAINER)),
        kind => {
            let opcode = if kind < 6 { op::CREATE } else { op::CREATE2 };
            let chosen = [0, 0, 0, 0, 1, 1, 2, 2, 3, 5, 9];
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

fn watch(rng: &mut Rng) -> (i32, Vec<u8>) {
    let kind = i32::try_from(rng.below(7)).expect("below 7");
    match rng.below(10) {
        0..=3 => (op::ADD_WATCH, records::path_int(path(rng), kind % 3)),
        4..=6 => (op::CHECK_WATCHES, records::path_int(path(rng), kind)),
        7..=8 => (op::REMOVE_WATCHES, records::path_int(path(rng), kind)),
        _ => {
            // Relative to the beginning of time: whatever exists has changed since.
            let lists: [&[&str]; 5] =
                [&[path(rng)], &[path(rng)], &[path(rng)], &[path(rng)], &[path(rng)]];
            if rng.percent(50) {
                (op::SET_WATCHES, records::set_watches(0, &lists[..3]))
            } else {
                (op::SET_WATCHES2, records::set_watches(i64::MAX, &lists))
            }
        }
    }
}

fn path(rng: &mut Rng) -> &'static str {
    // The usual ones come first in the list, and more often.
    let end = if rng.percent(80) { 13 } else { PATHS.len() };
    PATHS[rng.index(end)]
}

fn version(rng: &mut Rng) -> i32 {
    [-1, -1, -1, 0, 0, 1, 2, -2][rng.index(8)]
}

fn data(rng: &mut Rng) -> Option<Vec<u8>> {
    match rng.below(10) {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(b"count=3,bytes=100".to_vec()),
        _ => Some(vec![b'x'; rng.index(40)]),
    }
}

fn acl(rng: &mut Rng) -> Vec<Acl> {
    // What `u:p` hashes to.
    let user = "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=";
    match rng.below(40) {
        0..=24 => Acl::open(),
        25..=26 => vec![Acl::new(1, "world", "anyone")],
        27 => vec![Acl::new(31, "world", "anyone"), Acl::new(31, "world", "anyone")],
        28..=29 => vec![Acl::new(31, "auth", "")],
        30 => vec![Acl::new(27, "digest", user), Acl::new(9, "world", "anyone")],
        31 => vec![Acl::new(31, "ip", "127.0.0.1")],
        32 => vec![Acl::new(31, "ip", "10.1.0.0/16"), Acl::new(5, "world", "anyone")],
        33 => vec![Acl::new(31, "ip", "10.1.0/16")],
        34 => Vec::new(),
        35 => vec![Acl::new(31, "nonsense", "x")],
        36 => vec![Acl::new(31, "world", "x")],
        37 => vec![Acl::new(31, "digest", "nocolon")],
        38 => vec![Acl::new(0, "world", "anyone")],
        _ => vec![Acl::new(31, "digest", user), Acl::new(31, "auth", "x")],
    }
}
