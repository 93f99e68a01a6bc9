//! Fills the corpora with what the recorded exchanges say: `cargo +nightly run --bin seed`.

use std::{fs, path::Path, sync::Arc};

use ringkeeper_engine::{
    batch::{self, Base, Batch, BatchHeader, BatchKind, CommandEnd, Commands},
    consensus::message::{LogEnd, Message, Offer},
    ids::{Ballot, Epoch, Incarnation, Life, ReplicaId, SessionId, Slot, WallTime, Zxid},
    replica::{
        Config, ReadId, Voter,
        codec::encode,
        forwards::{Forward, Forwarded},
        message::{Chunk, Envelope, PeerMessage},
    },
};
use ringkeeper_engine_fuzz::requests;

/// A message of every shape.
fn peer_messages() -> Vec<(&'static str, PeerMessage)> {
    let (slot, life, epoch) = (Slot(7), Life(5), Epoch(1));
    let ballot = Ballot { round: 2, replica: ReplicaId(1) };
    let end = LogEnd { origin: ballot, slot };
    let commands = Commands {
        bytes: b"ab".to_vec(),
        ends: [1, 2].map(|end| CommandEnd { end, takes_zxid: end == 1 }).to_vec(),
    };
    let mut header = BatchHeader {
        slot,
        origin: ballot,
        kind: BatchKind::Commands,
        epoch,
        first_zxid: Zxid::new(epoch, 1),
        zxid_count: 1,
        command_count: 2,
        time: WallTime(1),
        previous_hash: 0,
        hash: 0,
    };
    let payload = commands.payload(life);
    header.hash = batch::hash(&header, &payload);
    let voter = Voter { id: ReplicaId(1), incarnation: Incarnation(1) };
    let config = Arc::new(Config::new(vec![voter]));
    let base = Base::of(&header);
    let batches = vec![Arc::new(Batch { header, payload })];
    let accept = Message::Accept { ballot, previous: end, batches, commit: slot };
    let heartbeat =
        Message::Heartbeat { ballot, commit: slot, round: 1, has_quorum: true, must_fetch: false };
    let answer = Message::ReadAnswer { life, id: ReadId(1), slot };
    let commands = vec![Arc::new(commands)];
    let chunk = Chunk { slot, number: 0, is_last: true, bytes: Arc::from(&b"chunk"[..]) };
    vec![
        ("accept", PeerMessage::Consensus(accept)),
        ("heartbeat", PeerMessage::Consensus(heartbeat)),
        ("offer", PeerMessage::Consensus(Message::Offer(Offer { ballot, base, config }))),
        ("answer", PeerMessage::Consensus(answer)),
        ("forward", PeerMessage::Forward(Forward { epoch, life, first: 1, commands })),
        ("forwarded", PeerMessage::Forwarded(Forwarded { epoch, life, next: 2 })),
        ("touched", PeerMessage::Touched { sessions: vec![SessionId(1)] }),
        ("pull", PeerMessage::Pull { slot, number: 0 }),
        ("chunk", PeerMessage::Chunk(chunk)),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = |target: &str, name: &str, bytes: &[u8]| {
        let folder = fuzz.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    for (name, message) in peer_messages() {
        let mut frame = Vec::new();
        encode(1, &Envelope { from: Voter::default(), to: Voter::default(), message }, &mut frame);
        corpus("peer", name, &frame)?;
    }
    for entry in fs::read_dir(fuzz.join("../testdata/wire"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (mut connection, mut count) = (Vec::new(), 0);
        for line in fs::read_to_string(&path)?.lines().chain(["== end"]) {
            if line.starts_with("== ") && !connection.is_empty() {
                let served = requests::serve(&connection);
                corpus("requests", &format!("{name}-{count}"), &connection)?;
                let snapshot = [&[200][..], &served.snapshot()].concat();
                corpus("snapshot", &format!("{name}-{count}"), &snapshot)?;
                let commands = [&[1, 1][..], served.payloads.last().ok_or("no batch")?].concat();
                corpus("commands", &format!("{name}-{count}"), &commands)?;
                connection.clear();
                count += 1;
            }
            let Some(hex) = line.strip_prefix("> ") else { continue };
            let digits: String = hex.split_whitespace().collect();
            let frame = digits
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16));
            let frame: Vec<u8> = frame.collect::<Result<_, _>>()?;
            // A handshake has no opcode; no request is 44 to 46 bytes with a zero xid.
            if frame.get(4..8) == Some(&[0; 4]) {
                corpus("connect", &format!("{name}-{count}"), &frame)?;
            } else {
                connection.extend(frame);
            }
        }
    }
    Ok(())
}
