//! Directories that cannot be used are refused with a line that says what to do.

use std::{fs, path::Path};

use expect_test::{Expect, expect};
use ringkeeper_engine::{ids::ReplicaId, storage::block::BLOCK_BYTES};
use tempfile::TempDir;

use super::harness::{config, session};
use crate::disk::{DiskConfig, names};

/// Opens, and compares the refusal, in which the directory is called DIR and this process PID.
fn check(directory: &Path, config: &DiskConfig, expected: &Expect) {
    let error = session(config, async |_| ()).unwrap_err().to_string();
    let error = error.replace(directory.to_str().unwrap(), "DIR");
    let error = error.replace(&std::process::id().to_string(), "PID");
    expected.assert_eq(&(error + "\n"));
}

#[test]
fn data_of_apache_zookeeper() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let theirs = config.log_dir.join("version-2");
    fs::create_dir_all(&theirs).unwrap();
    fs::write(theirs.join("log.100000001"), b"ZKLG").unwrap();
    check(
        directory.path(),
        &config,
        &expect![[r#"
            DIR/log/version-2 holds data of Apache ZooKeeper, which this version cannot import: choose an empty directory (dataDir, --data-dir)
        "#]],
    );
}

#[test]
fn in_use() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let opened = crate::disk::open::open::<super::harness::Bytes>(&config).unwrap();
    check(
        directory.path(),
        &config,
        &expect![[r#"
            DIR/data is in use by process PID: stop it, or choose another directory (dataDir)
        "#]],
    );
    opened.segments.stop();
}

#[test]
fn missing() {
    let directory = TempDir::new().unwrap();
    let config = DiskConfig { create_dirs: false, ..config(directory.path()) };
    check(
        directory.path(),
        &config,
        &expect![[r#"
            DIR/data does not exist: make it, or allow it to be made (datadir.autocreate=true)
        "#]],
    );
}

#[test]
fn a_file_instead() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    fs::write(&config.data_dir, b"").unwrap();
    check(
        directory.path(),
        &config,
        &expect![[r#"
            DIR/data is not a directory: choose one (dataDir, dataLogDir)
        "#]],
    );
}

#[test]
fn of_another_replica() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    session(&config, async |_| ()).unwrap();
    let config = DiskConfig { replica_id: ReplicaId(2), ..config };
    check(
        directory.path(),
        &config,
        &expect![[r#"
            DIR/data belongs to replica 1, and this is replica 2: correct myid, or choose the right directory
        "#]],
    );
}

#[test]
fn of_a_later_version() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    session(&config, async |_| ()).unwrap();
    for index in 0..2 {
        let path = names::superblock(&config.data_dir, index);
        let mut bytes = fs::read(&path).unwrap();
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..BLOCK_BYTES - 4]);
        bytes[BLOCK_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&path, bytes).unwrap();
    }
    check(
        directory.path(),
        &config,
        &expect![[r#"
            DIR/data has format version 2; this server knows versions up to 1: start the version that wrote it, or a later one
        "#]],
    );
}

#[test]
fn without_superblocks() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    session(&config, async |_| ()).unwrap();
    for index in 0..2 {
        fs::remove_file(names::superblock(&config.data_dir, index)).unwrap();
    }
    check(
        directory.path(),
        &config,
        &expect![[r#"
            both superblocks in DIR/data are missing or damaged, and there is a log: what was promised is not known any more; restore the directory from a copy, or start with an empty one
        "#]],
    );
}

#[test]
fn with_the_log_of_another_cluster() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    session(&config, async |_| ()).unwrap();
    let other = TempDir::new().unwrap();
    let other = super::harness::config(other.path());
    session(&other, async |_| ()).unwrap();
    fs::remove_dir_all(&config.log_dir).unwrap();
    fs::rename(&other.log_dir, &config.log_dir).unwrap();
    check(
        directory.path(),
        &config,
        &expect![[r#"
            DIR/log/segment-00000001 is of another cluster or another data directory: choose the log directory that belongs to this data directory (dataLogDir, --data-log-dir)
        "#]],
    );
}

#[test]
fn with_one_superblock_it_goes_on_and_mends_the_other() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    session(&config, async |appender| appender.append_one_by_one(3, 10).await).unwrap();
    for index in 0..2 {
        fs::write(names::superblock(&config.data_dir, index), [0; BLOCK_BYTES]).unwrap();
        let (recovered, ()) = session(&config, async |_| ()).unwrap();
        assert_eq!(recovered.batches.len(), 3);
    }
}

#[test]
fn segments_too_small_for_a_record() {
    let directory = TempDir::new().unwrap();
    let config = DiskConfig { segment_bytes: 2 << 20, ..config(directory.path()) };
    check(
        directory.path(),
        &config,
        &expect![[r#"
            segments of 2097152 bytes are too small: 3145728 are needed at least
        "#]],
    );
}
