//! Chooses the acts of a run from a seed, without looking at any answer.

use crate::{
    rng::Rng,
    wire::{
        Connect,
        records::{self, op},
    },
};

use super::{
    act::{Act, Body, CLIENTS, Request, Resumption},
    profile::Profile,
    requests,
};

/// A client without a connection comes back after this many acts at the latest: long before its
/// session could expire.
const ACTS_WITHOUT_CONNECTION_MAX: u32 = 12;
/// Znodes with numbers pile up: everything is swept after this many creates.
const CREATES_BETWEEN_SWEEPS: usize = 400;

/// An endless run.
pub(super) struct Generator {
    rng: Rng,
    profile: &'static Profile,
    /// Acts since a client's connection was dropped; `None` while it has one.
    dropped: [Option<u32>; CLIENTS],
    /// Paths that each client has left watches on: data, exist, child, persistent, recursive.
    watched: [[Vec<&'static str>; 5]; CLIENTS],
    creates: usize,
}

impl Generator {
    pub(super) fn new(seed: u64, profile: &'static Profile) -> Self {
        let watched = std::array::from_fn(|_| std::array::from_fn(|_| Vec::new()));
        Self { rng: Rng::new(seed), profile, dropped: [None; CLIENTS], watched, creates: 0 }
    }

    /// The next act.
    pub(super) fn act(&mut self) -> Act {
        if CREATES_BETWEEN_SWEEPS <= self.creates {
            self.creates = 0;
            return Act::Sweep { path: "/" };
        }
        for dropped in self.dropped.iter_mut().flatten() {
            *dropped += 1;
        }
        let client = self.rng.index(CLIENTS);
        match self.dropped[client] {
            Some(acts) if ACTS_WITHOUT_CONNECTION_MAX <= acts || self.rng.percent(25) => {
                return self.resume(client);
            }
            Some(_) => return Act::Look,
            None => {}
        }
        match self.rng.below(2000) {
            0..=1739 => self.burst(client),
            1740..=1779 => self.authenticate(client),
            1780..=1799 => {
                self.dropped[client] = Some(0);
                Act::Drop { client }
            }
            1800..=1814 => self.resume(client),
            1815..=1824 => Act::Steal { client },
            1825..=1839 => self.renew(client),
            1840..=1854 => {
                Act::Burst { client, requests: vec![requests::out_of_turn(&mut self.rng)] }
            }
            1855..=1869 => self.raw(client),
            1870..=1879 => Act::Stranger { bytes: self.stranger() },
            1880..=1894 => self.handshake(),
            1895 => self.expire(),
            1896..=1911 => self.frame_at_the_limit(client),
            _ => Act::Look,
        }
    }

    fn burst(&mut self, client: usize) -> Act {
        let count = 1 + self.rng.index(self.profile.burst_max);
        let mut requests = Vec::new();
        while requests.len() < count {
            let request = self.request(client);
            // While it is on its way, Apache still checks later requests against the old ACL.
            let is_last = request.opcode == op::SET_ACL;
            requests.push(request);
            if is_last {
                break;
            }
        }
        Act::Burst { client, requests }
    }

    fn request(&mut self, client: usize) -> Request {
        let request = requests::ordinary(&mut self.rng, self.profile);
        match request.opcode {
            op::CREATE | op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => self.creates += 1,
            op::MULTI => self.creates += 2,
            _ => {}
        }
        if let Some((list, path)) = watch_of(&request) {
            let known = &mut self.watched[client][list];
            if !known.contains(&path) && known.len() < 6 {
                known.push(path);
            }
        }
        request
    }

    fn authenticate(&mut self, client: usize) -> Act {
        let auths: [(&str, &[u8]); 12] = [
            ("digest", b"u:p"),
            ("digest", b"u:p"),
            ("digest", b"v:p"),
            ("digest", b"u:wrong"),
            ("digest", b"super:test"),
            ("digest", b"super:wrong"),
            ("digest", b"nocolon"),
            ("digest", b""),
            ("ip", b"x"),
            ("world", b"anyone"),
            ("x509", b"x"),
            ("nonsense", b"x"),
        ];
        let (scheme, auth) = auths[self.rng.index(auths.len())];
        Act::Authenticate { client, scheme, auth }
    }

    fn resume(&mut self, client: usize) -> Act {
        self.dropped[client] = None;
        let how = [
            Resumption::Plain,
            Resumption::Pipelined,
            Resumption::Pipelined,
            Resumption::Old,
            Resumption::WrongPasswordFirst,
            Resumption::AheadFirst,
            Resumption::OtherTimeout,
        ];
        let how = how[self.rng.index(how.len())];
        let mut rearm = Vec::new();
        if self.rng.percent(70) {
            rearm.push(requests::set_watches(&mut self.rng, Some(&self.watched[client])));
        } else {
            self.watched[client] = Default::default();
        }
        Act::Resume { client, how, rearm }
    }

    fn renew(&mut self, client: usize) -> Act {
        self.watched[client] = Default::default();
        Act::Renew { client }
    }

    /// Frames that end early, have no header, or have impossible lengths.
    fn raw(&mut self, client: usize) -> Act {
        let rng = &mut self.rng;
        let length = |value: i32| value.to_be_bytes().to_vec();
        let limit = i32::try_from(self.profile.frame_bytes_max).expect("a frame's length");
        let bytes = match rng.below(5) {
            0 => length([-1, i32::MIN, i32::MAX, limit + 1, limit + 1000][rng.index(5)]),
            1 => [length(0), vec![1; rng.index(9)]].concat(),
            2 => {
                let short = rng.index(8);
                [length(i32::try_from(short).expect("below 8")), vec![0; short]].concat()
            }
            3 => [length(60), vec![0; rng.index(60)]].concat(),
            _ => vec![0xff; rng.index(4)],
        };
        Act::Raw { client, bytes }
    }

    /// What no server takes for a connect request.
    fn stranger(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let whole = Connect::default().body();
        match rng.below(6) {
            0 => Vec::new(),
            1 => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            2 => vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
            3 => (0..rng.index(60)).map(|_| 0x80 | rng.next().to_be_bytes()[0]).collect(),
            // Without its last byte, the read-only one, it is still a whole request.
            4 => {
                let cut = rng.index(whole.len() - 1);
                let length = i32::try_from(cut).expect("short").to_be_bytes();
                [&length[..], &whole[..cut]].concat()
            }
            _ => {
                let length = i32::try_from(whole.len()).expect("short").to_be_bytes();
                let mut frame = [&length[..], &whole[..]].concat();
                frame.truncate(rng.index(frame.len()));
                frame
            }
        }
    }

    fn handshake(&mut self) -> Act {
        let rng = &mut self.rng;
        let connect = Connect {
            protocol: [0, 0, 0, 1, -1, i32::MAX][rng.index(6)],
            last_zxid: [0, 0, 1, -1, i64::MIN][rng.index(5)],
            timeout_ms: [0, -1, 1, 999, 1000, 1001, 10_000, 300_000, 300_001, i32::MAX]
                [rng.index(10)],
            session: [0, 0, 0, 1, -1, 0x0100_0000_0000_0001][rng.index(6)],
            password: [None, Some(Vec::new()), Some(vec![0; 16]), Some(vec![7; 40])][rng.index(4)]
                .clone(),
            read_only: [None, Some(false), Some(true)][rng.index(3)],
        };
        Act::Handshake { connect, ahead: rng.percent(10) }
    }

    fn expire(&mut self) -> Act {
        let rng = &mut self.rng;
        let mut requests = Vec::new();
        for path in ["/a/m", "/m", "/b/m-"] {
            let flags = if path.ends_with('-') { 3 } else { 1 };
            let body = records::create(path, Some(b"mayfly"), &records::Acl::open(), flags);
            requests.push(Request::new(op::CREATE, body));
        }
        requests.push(Request::new(op::EXISTS, records::path_watch("/a", true)));
        Act::Expire { requests, connected: rng.percent(50) }
    }

    fn frame_at_the_limit(&mut self, client: usize) -> Act {
        // A megabyte takes its time: now and then is enough.
        if 100_000 < self.profile.frame_bytes_max && self.rng.percent(90) {
            return Act::Look;
        }
        let bytes = self.profile.frame_bytes_max + self.rng.index(4) - 2;
        Act::Burst { client, requests: vec![requests::of_size(&mut self.rng, bytes)] }
    }
}

/// The watch that a request leaves, as the list of setWatches2 that it belongs to. Clients know
/// more (which came true); what a server is told after a reconnect may be anything.
fn watch_of(request: &Request) -> Option<(usize, &'static str)> {
    let Body::Bytes(bytes) = &request.body else { return None };
    let length = usize::try_from(i32::from_be_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let path = std::str::from_utf8(bytes.get(4..4 + length)?).ok()?;
    let rest = bytes.get(4 + length..)?;
    let list = match (request.opcode, rest) {
        (op::GET_DATA, [1]) => 0,
        (op::EXISTS, [1]) => 1,
        (op::GET_CHILDREN | op::GET_CHILDREN2, [1]) => 2,
        (op::ADD_WATCH, [0, 0, 0, 0]) => 3,
        (op::ADD_WATCH, [0, 0, 0, 1]) => 4,
        _ => return None,
    };
    requests::known(path).map(|path| (list, path))
}
