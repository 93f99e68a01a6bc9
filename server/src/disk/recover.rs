//! The newest State that the directory has: a snapshot that is whole, and the log behind it.

use std::{collections::BTreeMap, fs, path::PathBuf, thread, time::Instant};

use ringkeeper_engine::{
    ids::Slot,
    storage::{
        Base,
        recovery::{DamageKind, Options, Outcome},
        snapshot_file::SnapshotMeta,
        superblock::Superblock,
    },
};

use super::{
    DiskConfig,
    open::{LoadSnapshot, OpenError},
    scan::{ScanError, scan},
    snapshot_reader::{SnapshotError, SnapshotFile},
};

/// What a directory has.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) superblock: Superblock,
    pub(super) segments: BTreeMap<u32, PathBuf>,
    pub(super) snapshots: BTreeMap<Slot, PathBuf>,
    pub(super) atomic_bytes: usize,
}

/// A recovered directory.
pub(super) struct Recovery<S> {
    pub(super) outcome: Outcome,
    pub(super) snapshot: Option<(SnapshotMeta, S)>,
    /// Snapshots that are kept, oldest first.
    pub(super) snapshots: Vec<Slot>,
}

/// Tries the snapshots from the newest on: the log reaches back to the older of two, so a rotten
/// newest one costs nothing but time.
pub(super) fn recover<L: LoadSnapshot>(
    config: &DiskConfig,
    contents: &Contents,
) -> Result<Recovery<L::State>, OpenError> {
    let mut unused = Unused::default();
    for (slot, path) in contents.snapshots.iter().rev() {
        let attempt = SnapshotFile::open(path, *slot).and_then(|file| {
            file.check_owner(&contents.superblock.owner)?;
            with_snapshot::<L>(contents, &file)
        });
        match attempt {
            Ok((Err(ScanError::Damage(damage)), (meta, _)))
                if meta.is_received && damage.is_without_snapshot() =>
            {
                tracing::info!(%damage, path = %path.display(), "a snapshot was not in use yet");
                unused.not_installed.push(path);
            }
            Ok((outcome, snapshot)) => {
                let kept = contents.snapshots.range(..=slot).map(|(slot, _)| *slot).collect();
                let mut outcome = outcome.map_err(|error| scan_error(config, error))?;
                outcome.recovered.config = snapshot.0.config.clone();
                unused.clear_away();
                return Ok(Recovery { outcome, snapshot: Some(snapshot), snapshots: kept });
            }
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a snapshot cannot be used");
                unused.rotten.push(path);
            }
        }
    }
    let outcome = scan(&contents.segments, contents.options(Base::default()), &mut |_| {})
        .map_err(|error| scan_error(config, error))?;
    unused.clear_away();
    Ok(Recovery { outcome, snapshot: None, snapshots: Vec::new() })
}

type WithSnapshot<S> = (Result<Outcome, ScanError>, (SnapshotMeta, S));

/// Loads the snapshot and reads the log at the same time.
fn with_snapshot<L: LoadSnapshot>(
    contents: &Contents,
    file: &SnapshotFile,
) -> Result<WithSnapshot<L::State>, SnapshotError> {
    let start = Instant::now();
    let meta = file.trailer.meta.clone();
    let options = contents.options(meta.base);
    thread::scope(|scope| {
        let log = scope.spawn(move || scan(&contents.segments, options, &mut |_| {}));
        let state = file.load::<L>();
        let outcome = log.join().expect("a scan does not panic");
        let state = state?;
        let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(slot = meta.base.slot.0, znodes = meta.znode_count, took_ms, "loaded");
        Ok((outcome, (meta, state)))
    })
}

impl Contents {
    fn options(&self, base: Base) -> Options {
        Options {
            owner: Some(self.superblock.owner),
            base,
            tail: self.superblock.tail,
            promised: self.superblock.promised,
            atomic_bytes: self.atomic_bytes,
        }
    }
}

/// Snapshots that are newer than the one that is used.
#[derive(Default)]
struct Unused<'a> {
    /// Those that cannot be used.
    rotten: Vec<&'a PathBuf>,
    /// Those that were received, before the log was told to go on behind them.
    not_installed: Vec<&'a PathBuf>,
}

impl Unused<'_> {
    /// Keeps the rotten ones out of the way, for whoever wants to look into them. Others are not
    /// missed: the replica asks for what it needs.
    fn clear_away(&self) {
        for path in &self.rotten {
            if let Err(error) = fs::rename(path, path.with_extension("damaged")) {
                tracing::warn!(%error, path = %path.display(), "a rotten snapshot stays in place");
            }
        }
        for path in &self.not_installed {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(%error, path = %path.display(), "an unused snapshot stays in place");
            }
        }
    }
}

fn scan_error(config: &DiskConfig, error: ScanError) -> OpenError {
    match error {
        ScanError::Io { path, source } => OpenError::io("read", &path, source),
        ScanError::Damage(damage) => {
            let path = super::names::segment(&config.log_dir, damage.lsn.segment());
            if damage.kind == DamageKind::ForeignSegment {
                return OpenError::ForeignLog { path };
            }
            OpenError::Damage { path, damage, directories: directories(config) }
        }
    }
}

/// The directories as `ringkeeper repair` wants them.
fn directories(config: &DiskConfig) -> String {
    let data_dir = config.data_dir.display();
    if config.log_dir == config.data_dir {
        return data_dir.to_string();
    }
    format!("{data_dir} --data-log-dir {}", config.log_dir.display())
}
