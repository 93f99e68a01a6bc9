//! Damage to a real directory: exactly what was acknowledged comes back, or a refusal.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::harness::{config, session};
use crate::disk::DiskConfig;

/// A small generator, so that every run damages the same places.
struct Places(u64);

impl Places {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// All files that are not empty, and their lengths.
fn files(config: &DiskConfig) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for directory in [&config.data_dir, &config.log_dir] {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let bytes = entry.metadata().unwrap().len();
            if !entry.path().ends_with("ringkeeper.lock") {
                files.push((entry.path(), bytes));
            }
        }
    }
    files.sort();
    files
}

fn harm(path: &Path, bytes: u64, places: &mut Places) -> String {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    // Half of the places are where records are.
    let reach = if places.next(2) == 0 { bytes } else { bytes.min(200_000) };
    let place = places.next(reach);
    match places.next(3) {
        0 => {
            let byte = fs::read(path).unwrap()[usize::try_from(place).unwrap()];
            file.seek(SeekFrom::Start(place)).unwrap();
            file.write_all(&[byte ^ 1 << places.next(8)]).unwrap();
            format!("a bit at {place} of {}", path.display())
        }
        1 => {
            let length = (1 + places.next(9000)).min(bytes - place);
            file.seek(SeekFrom::Start(place)).unwrap();
            file.write_all(&vec![0; usize::try_from(length).unwrap()]).unwrap();
            format!("{length} zeros at {place} of {}", path.display())
        }
        _ => {
            file.set_len(place).unwrap();
            format!("{} cut to {place}", path.display())
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for part in ["data", "log"] {
        fs::create_dir_all(to.join(part)).unwrap();
        for entry in fs::read_dir(from.join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(part).join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn damage_is_reported_or_harmless() {
    let original = TempDir::new().unwrap();
    let original_config = config(original.path());
    let mut last = None;
    for _ in 0..2 {
        let (_, appended) = session(&original_config, async |appender| {
            appender.append_one_by_one(12, 300).await;
            appender.append_one_by_one(2, 9000).await;
            appender.last
        })
        .unwrap();
        last = Some(appended);
    }
    let mut places = Places(1);
    let (mut refused, mut whole) = (0, 0);
    for _ in 0..100 {
        let directory = TempDir::new().unwrap();
        let config = config(directory.path());
        copy(original.path(), directory.path());
        let files = files(&config);
        let (path, bytes) = &files[usize::try_from(places.next(files.len() as u64)).unwrap()];
        let harm = harm(path, *bytes, &mut places);
        match session(&config, async |_| ()) {
            Ok((recovered, ())) => {
                whole += 1;
                assert_eq!(Some(recovered.last()), last, "{harm}");
                assert_eq!(recovered.batches.len(), 28, "{harm}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(10 < refused && 10 < whole, "{refused} refused, {whole} whole");
}
