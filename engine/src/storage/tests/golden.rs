//! The bytes of version 1: golden files that every later version must still read, and the tables of
//! `docs/disk-format.md`, which are made from them.
//!
//! `UPDATE_EXPECT=1` writes both anew. For the files that is right only as long as version 1 is not
//! released; a change then needs version 2 beside it.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use std::{env, fs, path::PathBuf};

use super::model::{Files, Log, OWNER, recover};
use crate::{
    ids::{ReplicaId, Slot},
    storage::{
        Base, Lsn,
        block::{BLOCK_BYTES, DATA_BYTES, LOCAL_HEADER_BYTES},
        snapshot_file::{Decoder, Encoder, FRAME_BYTES_MAX, SnapshotMeta, Trailer},
        superblock::Superblock,
    },
};

/// What stands where: a name, a length, and what it means.
type Field = (&'static str, usize, &'static str);

const STANDALONE: [Field; 3] =
    [("magic", 8, "which kind of block"), ("version", 4, "1"), ("reserved", 4, "0")];

const OWNER_FIELDS: [Field; 2] = [
    ("cluster", 16, "random, one per cluster"),
    ("incarnation", 16, "random, one per data directory"),
];

const BASE_FIELDS: [Field; 8] = [
    ("slot", 8, "the last slot"),
    ("origin.round", 8, "the ballot under which it was proposed"),
    ("origin.replica", 2, ""),
    ("reserved", 2, "0"),
    ("epoch", 4, "its epoch"),
    ("hash", 16, "xxh3-128 of the log up to it"),
    ("last_zxid", 8, "the last zxid given out"),
    ("time", 8, "milliseconds since 1970, as the leader stamped it"),
];

const CHECKSUM: Field = ("checksum", 4, "crc32c of everything before it");

fn segment_header() -> Vec<Field> {
    let own = [
        ("generation", 8, "random, one per use of the file"),
        ("number", 4, "which segment, from 1"),
        ("block_count", 4, "length of the file in blocks"),
    ];
    standalone(&[&OWNER_FIELDS, &own])
}

fn superblock() -> Vec<Field> {
    let first = [("sequence", 8, "grows with every write; its lowest bit names the file")];
    let own = [
        ("promised.round", 8, "the highest ballot that was promised"),
        ("promised.replica", 2, ""),
        ("replica", 2, "which member this is"),
        ("reserved", 4, "0"),
        ("tail", 8, "the log was durable up to here; 0: there is none"),
    ];
    standalone(&[&first, &OWNER_FIELDS, &own, &BASE_FIELDS])
}

fn local_header() -> Vec<Field> {
    vec![
        ("magic", 4, "`RKr1`"),
        ("checksum", 4, "crc32c of the 56 bytes behind it"),
        ("generation", 8, "that of the segment"),
        ("lsn", 8, "where the record is: segment << 32 | block"),
        ("block_count", 4, "how many blocks it has"),
        ("kind", 1, "1 batch, 2 promise, 3 seal, 4 pad, 5 snapshot"),
        ("reserved", 1, "0"),
        ("ballot.replica", 2, "accepted under, promised, or the highest promised so far"),
        ("ballot.round", 8, ""),
        ("durable", 8, "everything before this place was durable then"),
        ("commit", 8, "the commit slot as known then: a hint"),
        ("reserved", 8, "0"),
    ]
}

fn trailer() -> Vec<Field> {
    vec![
        ("index, number", 8, "lower 40 bits: of the slot or lsn; upper 24: which block, from 0"),
        ("tag", 4, "crc32c of the origin, or of generation and kind"),
        ("checksum", 4, "crc32c of the block before it, without a local header"),
    ]
}

fn batch_header() -> Vec<Field> {
    vec![
        ("slot", 8, "position in the replicated log"),
        ("origin.round", 8, "the ballot under which it was proposed"),
        ("origin.replica", 2, ""),
        ("kind", 2, "1 commands, 2 new epoch"),
        ("epoch", 4, ""),
        ("first_zxid", 8, ""),
        ("zxid_count", 4, "commands that take a zxid"),
        ("command_count", 4, "commands"),
        ("time", 8, "milliseconds since 1970"),
        ("previous_hash", 16, "`hash` of the batch at the slot before"),
        ("hash", 16, "xxh3-128 of this header with zeros here, and the payload"),
        ("payload_bytes", 4, "length of the payload behind the header"),
        ("reserved", 12, "0"),
    ]
}

fn seal() -> Vec<Field> {
    let mut fields = vec![
        ("previous_end", 8, "where the log ended before this segment"),
        ("appended", 8, "the last append before this segment"),
    ];
    fields.extend(BASE_FIELDS);
    fields
}

fn chunk_header() -> Vec<Field> {
    vec![
        ("magic", 4, "`RKc1`"),
        ("number", 4, "which chunk, from 0"),
        ("chunk_bytes", 4, "its length, at most 1 MiB; zeros follow up to a whole block"),
        ("checksum", 4, "crc32c of number, length and bytes"),
    ]
}

fn snapshot_header() -> Vec<Field> {
    standalone(&[&OWNER_FIELDS])
}

fn snapshot_trailer() -> Vec<Field> {
    let own = [
        ("znode_count", 8, ""),
        ("session_count", 8, ""),
        ("payload_bytes", 8, "length of all chunks"),
        ("hash", 16, "xxh3-128 of every byte of the file before this block"),
        ("chunk_count", 4, ""),
    ];
    standalone(&[&OWNER_FIELDS, &BASE_FIELDS, &own])
}

/// A block that stands alone: these fields, zeros, a checksum.
fn standalone(parts: &[&[Field]]) -> Vec<Field> {
    let mut fields = STANDALONE.to_vec();
    parts.iter().for_each(|part| fields.extend_from_slice(part));
    let used: usize = fields.iter().map(|(_, length, _)| length).sum();
    fields.push(("zeros", BLOCK_BYTES - used - CHECKSUM.1, ""));
    fields.push(CHECKSUM);
    fields
}

/// A table with the bytes of the golden files as examples.
fn table(fields: &[Field], bytes: &[u8]) -> String {
    let mut text = String::from("| Offset | Bytes | Field | Meaning | Example |\n");
    text += "| ---: | ---: | --- | --- | --- |\n";
    let mut offset = 0;
    for (name, length, meaning) in fields {
        let example = &bytes[offset..offset + length];
        let hex: String = example.iter().map(|byte| format!("{byte:02x}")).collect();
        let example = if *length <= 16 { format!("`{hex}`") } else { String::new() };
        assert!(*name != "zeros" || example.is_empty());
        assert!(*name != "reserved" || bytes[offset..offset + length].iter().all(|b| *b == 0));
        text += &format!("| {offset} | {length} | {name} | {meaning} | {example} |\n");
        offset += length;
    }
    assert_eq!(offset, bytes.len(), "the fields fill what is there");
    text
}

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
    let meta = SnapshotMeta { base, znode_count: 4, session_count: 1 };
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

#[test]
fn the_document_has_the_tables() {
    let golden = golden();
    let segment = &golden.files[&1];
    let block = |number: usize| &segment[number * BLOCK_BYTES..][..BLOCK_BYTES];
    let snapshot = &golden.snapshot;
    // Blocks: 0 header, 1 seal, 2 promise, 3 new epoch, 4 a batch of one block.
    let content = LOCAL_HEADER_BYTES;
    let batch_bytes = batch_header().iter().map(|field| field.1).sum::<usize>();
    let seal_bytes = seal().iter().map(|field| field.1).sum::<usize>();
    let tables = [
        ("segment header", table(&segment_header(), block(0))),
        ("superblock", table(&superblock(), &golden.superblock)),
        ("local header", table(&local_header(), &block(4)[..LOCAL_HEADER_BYTES])),
        ("block trailer", table(&trailer(), &block(4)[DATA_BYTES..])),
        ("batch header", table(&batch_header(), &block(4)[content..][..batch_bytes])),
        ("seal", table(&seal(), &block(1)[content..][..seal_bytes])),
        ("snapshot header", table(&snapshot_header(), &snapshot[..BLOCK_BYTES])),
        ("chunk header", table(&chunk_header(), &snapshot[BLOCK_BYTES..][..16])),
        ("snapshot trailer", table(&snapshot_trailer(), &snapshot[2 * BLOCK_BYTES..])),
    ];
    let path = root().join("docs/disk-format.md");
    let mut document = fs::read_to_string(&path).unwrap();
    let original = document.clone();
    for (name, table) in tables {
        let start = format!("<!-- table: {name} -->\n");
        let (before, rest) = document.split_once(&start).expect(name);
        let (_, after) = rest.split_once("<!-- end -->").expect(name);
        document = [before, &start, &table, "<!-- end -->", after].concat();
    }
    if is_updating() {
        fs::write(&path, &document).unwrap();
    } else {
        assert!(document == original, "UPDATE_EXPECT=1 writes the tables of docs/disk-format.md");
    }
    assert_eq!(Lsn::new(1, 4).to_string(), "1:4", "places are written as in the document");
}
