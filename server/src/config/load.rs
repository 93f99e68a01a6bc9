//! Reads the files that a configuration comes from, and puts it together.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ringkeeper_engine::ids::ReplicaId;

use super::{
    Config, ConfigError, Sources, Warning,
    properties::{self, Entry},
    resolve::{Surroundings, resolve},
    servers::ID_MAX,
    settings::{Place, Settings},
};

/// Puts a configuration together. Warnings are for the trace, one line each.
pub(crate) fn load(sources: &Sources) -> Result<(Config, Vec<Warning>), ConfigError> {
    let mut entries = match sources.arguments.as_slice() {
        [path] => read(Path::new(path), Place::File)?,
        words => short_form(words),
    };
    let dynamic = entries.iter().rev().find(|(entry, _)| entry.key == "dynamicConfigFile");
    if let Some((entry, _)) = dynamic {
        let path = PathBuf::from(entry.value.trim());
        entries.extend(read(&path, Place::Dynamic)?);
    }
    // Without IPv6 in the kernel there is nothing to bind `[::]` to.
    let has_ipv6 = fs::read("/proc/net/if_inet6").is_ok_and(|text| !text.is_empty());
    let (mut config, mut warnings) = put_together(sources, entries, has_ipv6)?;
    let path = config.data_dir.join("myid");
    if let Some(myid) = read_myid(&path)? {
        if config.replica_id != ReplicaId(0) && config.replica_id != myid {
            warnings.push(Warning::OtherId { myid: myid.0, listed: config.replica_id.0 });
        }
        config.replica_id = myid;
    }
    Ok((config, warnings))
}

/// What can be told without a look at the disk.
pub(super) fn put_together(
    sources: &Sources,
    entries: Vec<(Entry, Place)>,
    has_ipv6: bool,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let around = Surroundings {
        flags: &sources.flags,
        is_autocreate_disabled: sources.is_autocreate_disabled,
        has_ipv6,
        has_file: !sources.arguments.is_empty(),
    };
    let (settings, mut warnings) = Settings::gather(&sources.defines, entries.into_iter());
    let config = resolve(&settings, around, &mut warnings)?;
    Ok((config, warnings))
}

fn read(path: &Path, place: fn(usize) -> Place) -> Result<Vec<(Entry, Place)>, ConfigError> {
    let bytes = fs::read(path)
        .map_err(|error| ConfigError::Read { path: path.to_owned(), error: error.into() })?;
    let entries = properties::parse(&properties::decode(bytes))
        .map_err(|error| ConfigError::Syntax { path: path.to_owned(), error })?;
    let placed = |entry: Entry| {
        let line = entry.line;
        (entry, place(line))
    };
    Ok(entries.into_iter().map(placed).collect())
}

/// `port dataDir [tickTime] [maxClientCnxns]`, as ZooKeeper's standalone main class takes it.
fn short_form(words: &[String]) -> Vec<(Entry, Place)> {
    let keys = ["clientPort", "dataDir", "tickTime", "maxClientCnxns"];
    let entry = |(key, value): (&str, &str)| {
        let entry = Entry { key: key.to_owned(), value: value.to_owned(), line: 0 };
        (entry, Place::Argument)
    };
    let mut entries: Vec<_> =
        keys.into_iter().zip(words.iter().map(String::as_str)).map(entry).collect();
    if words.len() < keys.len() {
        // Without the last word connections have no limit: the default belongs to files.
        entries.push(entry(("maxClientCnxns", "0")));
    }
    entries
}

/// The first line of `myid`; `None` without the file.
fn read_myid(path: &Path) -> Result<Option<ReplicaId>, ConfigError> {
    let text = match fs::read(path) {
        Ok(bytes) => properties::decode(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A file where a directory should be: opening the directory says it better.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => {
            return Err(ConfigError::Read { path: path.to_owned(), error: error.into() });
        }
    };
    let line = text.lines().next().unwrap_or_default().trim();
    let id = line.parse::<u16>().ok().filter(|id| i64::from(*id) <= ID_MAX);
    let wrong = || ConfigError::MyId { path: path.to_owned(), text: line.to_owned() };
    id.map(ReplicaId).map(Some).ok_or_else(wrong)
}
