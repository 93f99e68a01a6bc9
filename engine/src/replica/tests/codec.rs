//! Messages as bytes, and back.

use proptest::{prelude::*, strategy::Union};

use super::{
    super::{
        codec::{CodecError, FRAME_HEADER_BYTES, PEER_VERSION, decode, encode, frame_bytes},
        forwards::{Forward, Forwarded},
        message::{Chunk, Envelope, PeerMessage},
    },
    *,
};
use crate::{
    batch::{self, BatchHeader},
    consensus::message::{LogEnd, Message, Offer},
    ids::{Epoch, Zxid},
    limits::PEER_FRAME_BYTES_MAX,
};

const CLUSTER: u128 = 0x0123;

fn slots() -> impl Strategy<Value = Slot> + Clone {
    (0..u64::MAX / 2).prop_map(Slot)
}

fn ballots() -> impl Strategy<Value = Ballot> + Clone {
    (0..1_u64 << 47, any::<u16>())
        .prop_map(|(round, replica)| Ballot { round, replica: ReplicaId(replica) })
}

fn voters() -> impl Strategy<Value = Voter> + Clone {
    any::<(u16, u128)>().prop_map(|(id, incarnation)| Voter {
        id: ReplicaId(id),
        incarnation: Incarnation(incarnation),
    })
}

fn bytes() -> impl Strategy<Value = Arc<[u8]>> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Arc::from)
}

fn ends() -> impl Strategy<Value = LogEnd> {
    (ballots(), slots()).prop_map(|(origin, slot)| LogEnd { origin, slot })
}

fn bases() -> impl Strategy<Value = Base> {
    let zxid = 0..1_i64 << 62;
    (slots(), ballots(), any::<u128>(), 0..1_u32 << 30, zxid, any::<i64>()).prop_map(
        |(slot, origin, hash, epoch, zxid, time)| Base {
            slot,
            origin,
            hash,
            epoch: Epoch(epoch),
            last_zxid: Zxid(zxid),
            time: WallTime(time),
        },
    )
}

fn configs() -> impl Strategy<Value = Arc<Config>> {
    (prop::collection::vec(any::<u128>(), 1..6), any::<u128>(), 0..6_usize).prop_map(
        |(incarnations, cluster, votes)| {
            let member = |(id, incarnation)| Voter {
                id: ReplicaId(id),
                incarnation: Incarnation(incarnation),
            };
            let members: Vec<Voter> = (1..).zip(incarnations).map(member).collect();
            let (voters, observers) = members.split_at(votes.min(members.len()));
            let mut config = Config::unformed();
            config.cluster = cluster;
            Arc::new(config.with_members(voters.to_vec(), observers.to_vec()))
        },
    )
}

fn batches() -> impl Strategy<Value = Vec<Arc<Batch>>> {
    let kind = prop::sample::select(&[BatchKind::Commands, BatchKind::NewEpoch, BatchKind::Config]);
    let batch = (bases(), kind, any::<(u32, u32, u128)>(), bytes()).prop_map(
        |(base, kind, (zxid_count, command_count, previous_hash), payload)| {
            let mut header = BatchHeader {
                slot: base.slot,
                origin: base.origin,
                kind,
                epoch: base.epoch,
                first_zxid: base.last_zxid,
                zxid_count,
                command_count,
                time: base.time,
                previous_hash,
                hash: 0,
            };
            header.hash = batch::hash(&header, &payload);
            Arc::new(Batch { header, payload })
        },
    );
    prop::collection::vec(batch, 0..4)
}

/// Messages of consensus that carry no batch.
fn short_messages() -> Vec<BoxedStrategy<Message>> {
    let (ballot, slot) = (ballots(), slots());
    let pair = (ballot.clone(), slot.clone());
    let number = 0..u64::MAX / 2;
    let id = (0..u64::MAX / 2).prop_map(ReadId);
    let life = any::<u64>().prop_map(Life);
    vec![
        pair.clone().prop_map(|(ballot, commit)| Message::PreVote { ballot, commit }).boxed(),
        (pair.clone(), any::<bool>(), ballot.clone())
            .prop_map(|((ballot, commit), is_granted, promised)| Message::PreVoteAnswer {
                ballot,
                is_granted,
                promised,
                commit,
            })
            .boxed(),
        (pair.clone(), ends())
            .prop_map(|((ballot, commit), end)| Message::Prepare { ballot, end, commit })
            .boxed(),
        pair.clone().prop_map(|(promised, commit)| Message::Reject { promised, commit }).boxed(),
        pair.clone().prop_map(|(ballot, stored)| Message::Accepted { ballot, stored }).boxed(),
        pair.clone().prop_map(|(ballot, commit)| Message::Mismatch { ballot, commit }).boxed(),
        pair.clone().prop_map(|(ballot, commit)| Message::Commit { ballot, commit }).boxed(),
        (pair.clone(), number.clone(), any::<(bool, bool)>())
            .prop_map(|((ballot, commit), round, (has_quorum, must_fetch))| Message::Heartbeat {
                ballot,
                commit,
                round,
                has_quorum,
                must_fetch,
            })
            .boxed(),
        (pair, number, any::<u16>())
            .prop_map(|((ballot, commit), round, feature_level)| Message::HeartbeatAck {
                ballot,
                round,
                commit,
                feature_level,
            })
            .boxed(),
        ballot.clone().prop_map(|ballot| Message::TakeOver { ballot }).boxed(),
        slot.clone().prop_map(|first| Message::Fetch { first }).boxed(),
        (ballot, bases(), configs())
            .prop_map(|(ballot, base, config)| Message::Offer(Offer { ballot, base, config }))
            .boxed(),
        slot.clone().prop_map(|commit| Message::Newcomer { commit }).boxed(),
        (life.clone(), id.clone()).prop_map(|(life, id)| Message::AskRead { life, id }).boxed(),
        (life, id, slot)
            .prop_map(|(life, id, slot)| Message::ReadAnswer { life, id, slot })
            .boxed(),
    ]
}

fn consensus_messages() -> Vec<BoxedStrategy<Message>> {
    let mut all = short_messages();
    let log = || (ballots(), slots(), batches());
    all.extend([
        (log(), ends())
            .prop_map(|((ballot, commit, tail), end)| Message::Promise {
                ballot,
                end,
                commit,
                tail,
            })
            .boxed(),
        (log(), ends())
            .prop_map(|((ballot, commit, batches), previous)| Message::Accept {
                ballot,
                previous,
                batches,
                commit,
            })
            .boxed(),
        log()
            .prop_map(|(ballot, commit, batches)| Message::Fetched { ballot, batches, commit })
            .boxed(),
    ]);
    all
}

fn submitted() -> impl Strategy<Value = Arc<Commands>> {
    prop::collection::vec(("~?[a-z]{1,5}", any::<bool>()), 1..4)
        .prop_map(|words| Arc::new(commands(words.iter().map(|(word, _)| word.as_str()))))
}

fn messages() -> Vec<BoxedStrategy<PeerMessage>> {
    let consensus = consensus_messages().into_iter();
    let mut all: Vec<_> =
        consensus.map(|message| message.prop_map(PeerMessage::Consensus).boxed()).collect();
    let ids = (0..1_u32 << 30, any::<u64>(), 0..u64::MAX / 2);
    let ids = ids.prop_map(|(epoch, life, number)| (Epoch(epoch), Life(life), number));
    let sessions = prop::collection::vec(any::<i64>().prop_map(SessionId), 0..4);
    all.extend([
        (ids.clone(), prop::collection::vec(submitted(), 0..3))
            .prop_map(|((epoch, life, first), commands)| {
                PeerMessage::Forward(Forward { epoch, life, first, commands })
            })
            .boxed(),
        ids.prop_map(|(epoch, life, next)| PeerMessage::Forwarded(Forwarded { epoch, life, next }))
            .boxed(),
        sessions.prop_map(|sessions| PeerMessage::Touched { sessions }).boxed(),
        (slots(), any::<u32>())
            .prop_map(|(slot, number)| PeerMessage::Pull { slot, number })
            .boxed(),
        (slots(), any::<(u32, bool)>(), bytes())
            .prop_map(|(slot, (number, is_last), bytes)| {
                PeerMessage::Chunk(Chunk { slot, number, is_last, bytes })
            })
            .boxed(),
    ]);
    all
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    (voters(), voters(), Union::new(messages())).prop_map(|(from, to, message)| Envelope {
        from,
        to,
        message,
    })
}

fn frame(envelope: &Envelope) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(CLUSTER, envelope, &mut bytes);
    bytes
}

/// Makes the checksum right, so that what is behind it is looked at.
fn seal(frame: &mut [u8]) {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&frame[..8]), &frame[12..]);
    frame[8..12].copy_from_slice(&sum.to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn messages_come_back(envelopes in prop::collection::vec(envelopes(), 1..4)) {
        let mut stream = Vec::new();
        envelopes.iter().for_each(|envelope| encode(CLUSTER, envelope, &mut stream));
        let mut rest = stream.as_slice();
        for envelope in envelopes {
            let bytes = frame_bytes(*rest.first_chunk().expect("one more")).expect("a frame");
            let (frame, behind) = rest.split_at(bytes);
            prop_assert_eq!(decode(frame), Ok((CLUSTER, envelope)));
            rest = behind;
        }
        prop_assert_eq!(rest, &[] as &[u8]);
    }

    #[test]
    fn damage_is_noticed(
        envelope in envelopes(),
        at in any::<prop::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        let mut frame = frame(&envelope);
        let at = at.index(frame.len());
        prop_assert!(decode(&frame[..at]).is_err(), "cut");
        frame[at] ^= flip;
        prop_assert!(decode(&frame).is_err());
        frame[at] ^= flip;
        frame.push(0);
        prop_assert!(decode(&frame).is_err(), "with something behind it");
    }

    /// What a program that knows the checksum could send.
    #[test]
    fn whatever_is_taken_is_what_is_sent_for_it(
        envelope in envelopes(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = frame(&envelope);
        for (at, value) in changes {
            let at = FRAME_HEADER_BYTES + at.index(frame.len() - FRAME_HEADER_BYTES);
            frame[at] = value;
        }
        seal(&mut frame);
        if let Ok((cluster, envelope)) = decode(&frame) {
            let mut again = Vec::new();
            encode(cluster, &envelope, &mut again);
            prop_assert_eq!(again, frame);
        }
    }

    #[test]
    fn any_message_is_read_or_refused(body in prop::collection::vec(0..20_u8, 1..80)) {
        let envelope = Envelope {
            from: Voter::default(),
            to: Voter::default(),
            message: PeerMessage::Touched { sessions: Vec::new() },
        };
        let mut frame = frame(&envelope);
        frame.truncate(FRAME_HEADER_BYTES);
        frame.extend(body);
        let length = u32::try_from(frame.len()).expect("short");
        frame[4..8].copy_from_slice(&length.to_le_bytes());
        seal(&mut frame);
        if let Ok((cluster, envelope)) = decode(&frame) {
            let mut again = Vec::new();
            encode(cluster, &envelope, &mut again);
            prop_assert_eq!(again, frame);
        }
    }
}

fn envelope(message: PeerMessage) -> Envelope {
    let voter = |id| Voter { id: ReplicaId(id), incarnation: Incarnation(u128::from(id) << 64) };
    Envelope { from: voter(1), to: voter(2), message }
}

#[test]
fn another_version_and_other_protocols_are_told_apart() {
    let mut frame = frame(&envelope(PeerMessage::Pull { slot: Slot(1), number: 2 }));
    frame[12] += 1;
    assert_eq!(decode(&frame), Err(CodecError::Version(PEER_VERSION + 1)), "whatever is in it");
    frame[12] -= 1;
    frame[20] += 1;
    assert_eq!(decode(&frame), Err(CodecError::Checksum));
    assert_eq!(frame_bytes(*b"GET / HT"), Err(CodecError::Magic));
    let length = |bytes: u32| {
        let mut start = *b"RKm1\0\0\0\0";
        start[4..].copy_from_slice(&bytes.to_le_bytes());
        frame_bytes(start)
    };
    let max = u32::try_from(PEER_FRAME_BYTES_MAX).expect("32 bits");
    assert_eq!(length(max), Ok(PEER_FRAME_BYTES_MAX));
    assert_eq!(length(max + 1), Err(CodecError::Length(max + 1)));
    assert_eq!(length(0), Err(CodecError::Length(0)));
}

/// The message with these bytes of it changed is none.
fn refuses(message: PeerMessage, at: usize, bytes: &[u8]) {
    let mut frame = frame(&envelope(message));
    let at = FRAME_HEADER_BYTES + at;
    assert_ne!(&frame[at..at + bytes.len()], bytes);
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut frame);
    assert_eq!(decode(&frame), Err(CodecError::Content));
}

#[test]
fn numbers_that_never_occur_are_refused() {
    let pull = || PeerMessage::Pull { slot: Slot(1), number: 2 };
    refuses(pull(), 1, &u64::MAX.to_le_bytes());
    refuses(pull(), 0, &[0]);
    refuses(pull(), 0, &[7]);
    let ballot = Ballot { round: 1, replica: ReplicaId(1) };
    let vote = || PeerMessage::Consensus(Message::TakeOver { ballot });
    refuses(vote(), 1, &[0]);
    refuses(vote(), 1, &[19]);
    refuses(vote(), 2, &(1_u64 << 47).to_le_bytes());
    let forwarded =
        || PeerMessage::Forwarded(Forwarded { epoch: Epoch(1), life: Life(1), next: 1 });
    refuses(forwarded(), 1, &(1_u32 << 30).to_le_bytes());
    refuses(forwarded(), 13, &u64::MAX.to_le_bytes());
    let config = Arc::new(Config::unformed());
    let offer = Offer { ballot, base: Base::default(), config };
    refuses(PeerMessage::Consensus(Message::Offer(offer)), 34, &(-1_i64).to_le_bytes());
    // A count of more than is there.
    refuses(PeerMessage::Touched { sessions: Vec::new() }, 1, &u32::MAX.to_le_bytes());
}

#[test]
fn commands_end_where_they_can() {
    let forward = |ends: &[u32]| {
        let ends = ends.iter().map(|end| CommandEnd { end: *end, takes_zxid: true }).collect();
        let commands = vec![Arc::new(Commands { bytes: b"abc".to_vec(), ends })];
        let forward = Forward { epoch: Epoch(1), life: Life(1), first: 1, commands };
        decode(&frame(&envelope(PeerMessage::Forward(forward)))).map(drop)
    };
    assert_eq!(forward(&[1, 3]), Ok(()));
    for ends in [&[][..], &[0, 3], &[1, 1, 3], &[2, 1, 3], &[1, 2], &[1, 4]] {
        assert_eq!(forward(ends), Err(CodecError::Content), "{ends:?}");
    }
}

#[test]
fn a_batch_that_is_not_what_was_proposed_is_refused() {
    let header = BatchHeader {
        slot: Slot(5),
        origin: Ballot::default(),
        kind: BatchKind::Commands,
        epoch: Epoch(1),
        first_zxid: Zxid(1),
        zxid_count: 0,
        command_count: 0,
        time: WallTime(0),
        previous_hash: 0,
        hash: 7,
    };
    let fetched = |header: BatchHeader| {
        let batches = vec![Arc::new(Batch { header, payload: [].into() })];
        let message = Message::Fetched { ballot: Ballot::default(), batches, commit: Slot(5) };
        decode(&frame(&envelope(PeerMessage::Consensus(message)))).map(drop)
    };
    let hashed =
        |header: BatchHeader| BatchHeader { hash: batch::hash(&header, &[]), ..header.clone() };
    assert_eq!(fetched(header.clone()), Err(CodecError::Batch(Slot(5))));
    assert_eq!(fetched(hashed(header.clone())), Ok(()));
    let impossible = BatchHeader { epoch: Epoch(1 << 30), ..header };
    assert_eq!(fetched(hashed(impossible)), Err(CodecError::Content));
}

/// What is written to a link by one version is read by another one: the bytes are the contract.
#[test]
fn a_frame_has_its_layout() {
    let envelope = envelope(PeerMessage::Pull { slot: Slot(0x0a), number: 0x0b });
    let frame = frame(&envelope);
    let (one, two) = ((1_u128 << 64).to_le_bytes(), (2_u128 << 64).to_le_bytes());
    let expected = [
        &b"RKm1\x4f\0\0\0"[..],
        &frame[8..12],
        &PEER_VERSION.to_le_bytes(),
        &CLUSTER.to_le_bytes(),
        &[1, 0],
        &one,
        &[2, 0],
        &two,
        &[5, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0, 0, 0],
    ];
    assert_eq!(frame, expected.concat());
}
