//! The bytes of version 1: golden files that every later version must still read, and that today's
//! code still writes. `engine/tests/disk_format` compares the offsets with the document.
//!
//! `UPDATE_EXPECT=1` writes them anew. That is right only as long as version 1 is not released; a
//! change then needs version 2 beside it.

use alloc::{vec, vec::Vec};
use std::{env, fs, path::PathBuf};

use super::model::{Files, Log, OWNER, recover};
use crate::{
    ids::{ReplicaId, Slot},
    storage::{
        Base,
        block::BLOCK_BYTES,
        snapshot_file::{Decoder, Encoder, FRAME_BYTES_MAX, SnapshotMeta, Trailer},
        superblock::Superblock,
    },
};

/// A small log, a superblock and a snapshot.
struct Golden {
    files: Files,
    superblock: Vec<u8>,
    snapshot: Vec<u8>,
    log: Log,
}

fn golden() -> Golden {
    let mut log = Log::new(12, 1);
    log.append(5);
    log.flush();
    let base = log.snapshot();
    log.append(9000);
    log.install(base);
    log.append(5);
    log.flush();
    log.witness();
    let superblock = Superblock {
        sequence: 5,
        owner: OWNER,
        replica: ReplicaId(1),
        promised: log.ballot,
        snapshot: base,
        tail: log.tail,
    };
    let (mut encoder, header) = Encoder::start(OWNER);
    let mut frame = vec![0; FRAME_BYTES_MAX];
    let frame_bytes = encoder.chunk(b"the State as bytes", &mut frame);
    let mut snapshot = header.to_vec();
    snapshot.extend_from_slice(&frame[..frame_bytes]);
    let config = b"the configuration".as_slice().into();
    let meta = SnapshotMeta { base, znode_count: 4, session_count: 1, is_received: true, config };
    snapshot.extend_from_slice(&encoder.finish(&meta));
    Golden { files: log.files.clone(), superblock: superblock.encode().to_vec(), snapshot, log }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn golden_path(name: &str) -> PathBuf {
    root().join("engine/testdata/storage/version-1").join(name)
}

fn is_updating() -> bool {
    env::var_os("UPDATE_EXPECT").is_some()
}

fn check_file(name: &str, bytes: &[u8]) {
    let path = golden_path(name);
    if is_updating() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    assert!(fs::read(&path).unwrap() == bytes, "{name} is not what version 1 writes");
}

#[test]
fn version_1_is_written_as_ever() {
    let golden = golden();
    check_file("segment-00000001", &golden.files[&1]);
    check_file("superblock-1", &golden.superblock);
    check_file("snapshot-0000000000000002", &golden.snapshot);
}

#[test]
fn version_1_is_read_as_ever() {
    let read = |name| fs::read(golden_path(name)).unwrap();
    let superblock = read("superblock-1");
    let superblock = Superblock::decode(superblock.first_chunk().unwrap()).unwrap();
    assert_eq!(superblock.file_index(), 1);

    let snapshot = read("snapshot-0000000000000002");
    let trailer = Trailer::decode(snapshot.last_chunk().unwrap()).unwrap();
    assert_eq!(trailer.meta.base.slot, Slot(2));
    assert!(trailer.meta.is_received);
    assert_eq!(*trailer.meta.config, *b"the configuration");
    let mut decoder = Decoder::start(snapshot.first_chunk().unwrap(), trailer).unwrap();
    let frames = &snapshot[BLOCK_BYTES..snapshot.len() - BLOCK_BYTES];
    let chunk = decoder.chunk(frames).unwrap().unwrap();
    assert_eq!(chunk.bytes, b"the State as bytes");
    assert_eq!(decoder.chunk(&frames[chunk.frame_bytes..]), Ok(None));

    let golden = golden();
    let files = Files::from([(1, read("segment-00000001"))]);
    let outcome = recover(&files, golden.log.options(Base::default())).unwrap();
    assert_eq!(outcome.recovered.batches, golden.log.batches);
    assert_eq!(outcome.snapshot, Some(superblock.snapshot));
    assert_eq!(outcome.continuation.end, superblock.tail);
}
