//! Properties: what the naive half encodes, the engine decodes, and the other way round; and no
//! bytes at all make a decoder panic or take more memory than they are worth.

use std::borrow::Cow;

use proptest::{collection::vec, option, prelude::*, sample::Index};
use ringkeeper_engine::{
    ids::{SessionId, Xid, Zxid},
    protocol::{
        connect::{ConnectRequest, ConnectResponse},
        error_code::ErrorCode,
        frame,
        opcode::OpCode,
        records::{Acl, Id, Stat},
        reply::{self, ClientInfo, MultiResult, Reply},
        request::{self, Create, CreateVariant, Read, Request, SetWatches, Write},
    },
};

use crate::naive::{Bytes, DecodedReply, decode_reply, request_bytes};

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    "\\PC{0,12}".prop_map(Cow::Owned)
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec("\\PC{0,6}", 0..4)
}

/// Bytes that live as long as the test: a request borrows them.
fn bytes() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![
        Just(&[][..]),
        Just(&[0_u8][..]),
        Just(&[0xff; 9][..]),
        Just(&b"some bytes of data"[..])
    ]
}

fn acls() -> impl Strategy<Value = Vec<Acl>> {
    let acl = (any::<i32>(), "[a-z0-9]{0,6}", "\\PC{0,6}")
        .prop_map(|(perms, scheme, id)| Acl { perms, id: Id { scheme, id } });
    vec(acl, 0..4)
}

fn variant() -> impl Strategy<Value = CreateVariant> {
    prop_oneof![
        Just(CreateVariant::Create),
        Just(CreateVariant::Create2),
        Just(CreateVariant::Container),
        Just(CreateVariant::Ttl)
    ]
}

fn create() -> impl Strategy<Value = Create<'static>> {
    let fields = (option::of(text()), option::of(bytes()), option::of(acls()));
    (variant(), fields, any::<i32>(), any::<i64>()).prop_map(
        |(variant, (path, data, acl), flags, ttl)| {
            let ttl = if variant == CreateVariant::Ttl { ttl } else { -1 };
            Create { variant, path, data, acl, flags, ttl }
        },
    )
}

/// A create that a multi does not rebuild.
fn plain_create() -> impl Strategy<Value = Create<'static>> {
    (variant(), text(), option::of(bytes()), acls(), 0..=3).prop_map(
        |(variant, path, data, acl, mode)| {
            let (flags, ttl) = match variant {
                CreateVariant::Container => (4, -1),
                CreateVariant::Ttl => (5, 1000),
                CreateVariant::Create | CreateVariant::Create2 => (mode, -1),
            };
            Create { variant, path: Some(path), data, acl: Some(acl), flags, ttl }
        },
    )
}

/// The writes that a multi may hold, with paths.
fn multi_write() -> impl Strategy<Value = Write<'static>> {
    prop_oneof![
        plain_create().prop_map(Write::Create),
        (text(), any::<i32>())
            .prop_map(|(path, version)| Write::Delete { path: Some(path), version }),
        (text(), option::of(bytes()), any::<i32>()).prop_map(|(path, data, version)| {
            Write::SetData { path: Some(path), data, version }
        }),
        (text(), any::<i32>())
            .prop_map(|(path, version)| Write::Check { path: Some(path), version }),
    ]
}

fn write() -> impl Strategy<Value = Write<'static>> {
    let path = || option::of(text());
    prop_oneof![
        create().prop_map(Write::Create),
        (path(), any::<i32>()).prop_map(|(path, version)| Write::Delete { path, version }),
        (path(), option::of(bytes()), any::<i32>())
            .prop_map(|(path, data, version)| Write::SetData { path, data, version }),
        (path(), option::of(acls()), any::<i32>()).prop_map(|(path, acl, version)| Write::SetAcl {
            path,
            acl,
            version
        }),
        vec(multi_write(), 0..6).prop_map(Write::Multi),
        (path(), path(), path(), any::<i64>()).prop_map(
            |(joining, leaving, new_members, config_id)| Write::Reconfig {
                joining,
                leaving,
                new_members,
                config_id
            }
        ),
    ]
}

fn multi_read() -> impl Strategy<Value = Read<'static>> {
    prop_oneof![
        text().prop_map(|path| Read::GetData { path, watch: false }),
        text().prop_map(|path| Read::GetChildren { path, watch: false }),
    ]
}

fn read() -> impl Strategy<Value = Read<'static>> {
    let watched = || (text(), any::<bool>());
    prop_oneof![
        watched().prop_map(|(path, watch)| Read::Exists { path, watch }),
        watched().prop_map(|(path, watch)| Read::GetData { path, watch }),
        watched().prop_map(|(path, watch)| Read::GetChildren { path, watch }),
        watched().prop_map(|(path, watch)| Read::GetChildren2 { path, watch }),
        text().prop_map(|path| Read::GetAcl { path }),
        text().prop_map(|prefix| Read::GetEphemerals { prefix }),
        text().prop_map(|path| Read::GetAllChildrenNumber { path }),
        vec(multi_read(), 0..6).prop_map(Read::MultiRead),
    ]
}

fn set_watches() -> impl Strategy<Value = SetWatches> {
    (any::<i64>(), texts(), texts(), texts(), texts(), texts()).prop_map(
        |(zxid, data, exist, child, persistent, persistent_recursive)| SetWatches {
            relative_zxid: Zxid(zxid),
            data,
            exist,
            child,
            persistent,
            persistent_recursive,
        },
    )
}

fn request() -> impl Strategy<Value = Request<'static>> {
    let path = || option::of(text());
    prop_oneof![
        4 => write().prop_map(Request::Write),
        4 => read().prop_map(Request::Read),
        1 => set_watches().prop_map(Request::SetWatches),
        1 => (path(), any::<i32>()).prop_map(|(path, mode)| Request::AddWatch { path, mode }),
        1 => (path(), any::<i32>())
            .prop_map(|(path, watcher_type)| Request::CheckWatches { path, watcher_type }),
        1 => (path(), any::<i32>())
            .prop_map(|(path, watcher_type)| Request::RemoveWatches { path, watcher_type }),
        1 => path().prop_map(|path| Request::Sync { path }),
        1 => (any::<i32>(), path(), option::of(bytes()))
            .prop_map(|(auth_type, scheme, auth)| Request::Auth { auth_type, scheme, auth }),
        1 => option::of(bytes()).prop_map(|token| Request::Sasl { token }),
        1 => prop_oneof![Just(Request::Ping), Just(Request::WhoAmI), Just(Request::CloseSession)],
    ]
}

fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(longs, ints)| Stat {
        czxid: longs[0],
        mzxid: longs[1],
        ctime: longs[2],
        mtime: longs[3],
        version: ints[0],
        cversion: ints[1],
        aversion: ints[2],
        ephemeral_owner: longs[4],
        data_length: ints[3],
        num_children: ints[4],
        pzxid: longs[5],
    })
}

/// Names that live as long as the test: a reply borrows them.
fn names() -> impl Strategy<Value = Vec<&'static str>> {
    vec(prop_oneof![Just(""), Just("zookeeper"), Just("n-0000000001"), Just("名前")], 0..5)
}

fn error_code() -> impl Strategy<Value = ErrorCode> {
    any::<Index>().prop_map(|index| *index.get(&ErrorCode::ALL))
}

fn multi_result() -> impl Strategy<Value = MultiResult<'static>> {
    prop_oneof![
        text().prop_map(|path| MultiResult::Created { path }),
        (text(), stat()).prop_map(|(path, stat)| MultiResult::Created2 { path, stat }),
        Just(MultiResult::Deleted),
        stat().prop_map(|stat| MultiResult::DataSet { stat }),
        Just(MultiResult::Checked),
        (option::of(bytes()), stat()).prop_map(|(data, stat)| MultiResult::Data { data, stat }),
        names().prop_map(|names| MultiResult::Children { names }),
        option::of(error_code()).prop_map(MultiResult::Error),
    ]
}

/// A reply, and the opcode it answers.
fn opcode_and_reply() -> impl Strategy<Value = (i32, Reply<'static>)> {
    let infos = |names: Vec<&'static str>| {
        names.into_iter().map(|user| ClientInfo { scheme: "digest", user }).collect()
    };
    prop_oneof![
        Just((2, Reply::Empty)),
        text().prop_map(|path| (1, Reply::Created { path })),
        (text(), stat()).prop_map(|(path, stat)| (15, Reply::Created2 { path, stat })),
        stat().prop_map(|stat| (3, Reply::Stat(stat))),
        (option::of(bytes()), stat()).prop_map(|(data, stat)| (4, Reply::Data { data, stat })),
        (acls(), stat()).prop_map(|(acl, stat)| (6, Reply::Acl { acl: Cow::Owned(acl), stat })),
        names().prop_map(|names| (8, Reply::Children { names })),
        (names(), stat()).prop_map(|(names, stat)| (12, Reply::Children2 { names, stat })),
        option::of(text()).prop_map(|path| (9, Reply::Sync { path })),
        names().prop_map(|names| (103, Reply::Paths(names))),
        any::<i32>().prop_map(|count| (104, Reply::Count(count))),
        Just((106, Reply::AddWatch)),
        names().prop_map(move |names| (107, Reply::WhoAmI(infos(names)))),
        vec(multi_result(), 0..5).prop_map(|results| (14, Reply::Multi(results))),
        option::of(bytes()).prop_map(|token| (102, Reply::Sasl { token })),
    ]
}

/// How to damage a frame.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Truncate(Index),
    Insert(Index, u8),
    /// A number in the place of four bytes: lengths and counts are such.
    Number(Index, i32),
}

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![
        any::<i32>(),
        -3..=40,
        Just(i32::MAX),
        Just(i32::MIN),
        any::<Index>().prop_map(|index| index.get(&OpCode::ALL).number()),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        any::<Index>().prop_map(Damage::Truncate),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        (any::<Index>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = bytes.len();
        match damage {
            _ if length == 0 => {}
            Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Truncate(at) => bytes.truncate(at.index(length)),
            Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Damage::Number(at, number) => {
                let places = bytes[at.index(length)..].iter_mut();
                for (place, byte) in places.zip(number.to_be_bytes()) {
                    *place = byte;
                }
            }
        }
    }
    bytes
}

/// Decodes bytes as everything that they could be.
fn decode_as_all(payload: &[u8]) {
    let decoded = request::decode(payload);
    assert_eq!(decoded.is_err(), payload.len() < 8, "a header is all that a request must have");
    if ConnectRequest::decode(payload).is_ok() {
        assert!(payload.len() >= 28, "what a null password needs");
    }
    for max in [0, 10, usize::MAX] {
        if let Ok(Some(frame)) = frame::next(payload, max) {
            assert!(frame.payload.len() <= max);
            assert_eq!(frame.consumed_bytes, frame.payload.len() + 4);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_come_back(xid in any::<i32>(), request in request()) {
        let payload = request_bytes(Xid(xid), &request);
        let (header, decoded) = request::decode(&payload).unwrap();
        prop_assert_eq!(header.xid, Xid(xid));
        prop_assert_eq!(decoded, Ok(request));
    }

    #[test]
    fn bytes_beyond_a_request_are_ignored(request in request(), more in vec(any::<u8>(), 0..9)) {
        let mut payload = request_bytes(Xid(1), &request);
        payload.extend(more);
        prop_assert_eq!(request::decode(&payload).unwrap().1, Ok(request));
    }

    #[test]
    fn a_request_that_ends_early_is_malformed(request in request(), at in any::<Index>()) {
        let payload = request_bytes(Xid(1), &request);
        prop_assume!(payload.len() > 8);
        let cut = 8 + at.index(payload.len() - 8);
        prop_assert!(request::decode(&payload[..cut]).unwrap().1.is_err());
    }

    #[test]
    fn any_bytes_decode_or_fail(payload in vec(any::<u8>(), 0..200)) {
        decode_as_all(&payload);
    }

    #[test]
    fn any_record_decodes_or_fails(opcode in any::<Index>(), record in vec(any::<u8>(), 0..80)) {
        let mut payload = Bytes::default();
        payload.int(1).int(opcode.get(&OpCode::ALL).number());
        payload.0.extend(record);
        decode_as_all(&payload.0);
    }

    #[test]
    fn damaged_requests_decode_or_fail(request in request(), damages in vec(damage(), 1..6)) {
        decode_as_all(&damaged(request_bytes(Xid(1), &request), &damages));
    }

    #[test]
    fn handshakes_come_back(
        numbers in (any::<i32>(), any::<i64>(), any::<i32>(), any::<i64>()),
        password in option::of(bytes()),
        read_only in option::of(any::<bool>()),
    ) {
        let (protocol_version, zxid, timeout_ms, session) = numbers;
        let mut payload = Bytes::default();
        payload.int(protocol_version).long(zxid).int(timeout_ms).long(session).buffer(password);
        if let Some(read_only) = read_only {
            payload.boolean(read_only);
        }
        let request = ConnectRequest {
            protocol_version,
            last_zxid_seen: Zxid(zxid),
            timeout_ms,
            session: SessionId(session),
            password,
            read_only,
        };
        prop_assert_eq!(ConnectRequest::decode(&payload.0), Ok(request));
        let mut out = Vec::new();
        ConnectResponse::expired(&request).encode(&mut out);
        prop_assert_eq!(out.len(), 4 + 36 + usize::from(read_only.is_some()));
    }

    #[test]
    fn replies_come_back(
        xid in any::<i32>(),
        zxid in any::<i64>(),
        (opcode, reply) in opcode_and_reply(),
        code in error_code(),
    ) {
        let (xid, zxid) = (Xid(xid), Zxid(zxid));
        // Frames are appended: what was there stays.
        let mut out = vec![7];
        reply::encode(&mut out, xid, zxid, Ok(&reply));
        reply::encode(&mut out, xid, zxid, Err(code));
        let first = frame::next(&out[1..], usize::MAX).unwrap().unwrap();
        let expected = DecodedReply { xid, zxid, outcome: Ok(reply) };
        prop_assert_eq!(decode_reply(opcode, first.payload), expected);
        let rest = &out[1 + first.consumed_bytes..];
        let second = frame::next(rest, usize::MAX).unwrap().unwrap();
        let expected = DecodedReply { xid, zxid, outcome: Err(code) };
        prop_assert_eq!(decode_reply(opcode, second.payload), expected);
        prop_assert_eq!(second.consumed_bytes, rest.len());
    }
}
