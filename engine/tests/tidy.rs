//! Guard rails that no compiler checks: which module may name which, which crates are depended on,
//! a header in every file, lines that fit a screen, and documents that can be found.
//!
//! Grow it by one check at a time; an offender that must stay goes into a list with its reason.
#![expect(clippy::unwrap_used, reason = "a test of files: what cannot be read is the report")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which of the engine's modules a module may name. `shared_bytes` and `batch` are leaves that the
/// others meet in: payloads that all States share, and what consensus and storage see of commands.
const MODULE_USES: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("mutant", &[]),
    ("ids", &[]),
    ("shared_bytes", &[]),
    ("batch", &["ids"]),
    ("protocol", &["ids", "limits", "shared_bytes"]),
    ("state", &["protocol", "ids", "limits", "shared_bytes", "batch"]),
    ("watch", &["state", "protocol", "ids", "shared_bytes"]),
    ("session_order", &["ids"]),
    ("storage", &["ids", "limits", "batch", "mutant"]),
    ("consensus", &["ids", "limits", "batch", "mutant"]),
    ("replica", &["consensus", "storage", "ids", "limits", "batch", "mutant"]),
    // The simulator drives everything, as the server does.
    (
        "sim",
        &[
            "batch",
            "consensus",
            "ids",
            "limits",
            "mutant",
            "protocol",
            "replica",
            "session_order",
            "shared_bytes",
            "state",
            "storage",
            "watch",
        ],
    ),
];

/// Folders of the server that do not know each other, nor the cores that put them together.
const SERVER_FOLDERS: &[&str] = &["client", "disk", "config"];

/// Modules of the server that only the cores and those who assemble them may name.
const SERVER_CORES: &[&str] = &["shard_core", "replica_core", "archivist"];

/// Those who may: they put the parts together.
const SERVER_ASSEMBLERS: &[&str] = &["main", "serve"];

/// Direct dependencies, tests' included. Each has its reason in the root `Cargo.toml`.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    (
        "engine",
        &[
            "base64",
            "crc32c",
            "foldhash",
            "hashbrown",
            "md-5",
            "mimalloc",
            "sha1",
            "sha2",
            "sha3",
            "thiserror",
            "tracing",
            "triomphe",
            "xxhash-rust",
            "zerocopy", // tests:
            "expect-test",
            "proptest",
        ],
    ),
    (
        "server",
        &[
            "ringkeeper-engine",
            "atomic-waker",
            "clap",
            "core_affinity",
            "crc32c",
            "crossbeam-queue",
            "futures-lite",
            "getrandom",
            "glommio",
            "hdrhistogram",
            "io-uring",
            "mimalloc",
            "rustix",
            "serde",
            "serde_json",
            "signal-hook",
            "socket2",
            "thiserror",
            "tracing",
            "tracing-subscriber", // tests:
            "expect-test",
            "loom",
            "proptest",
            "tempfile",
        ],
    ),
    (
        "bench",
        &[
            "clap",
            "hdrhistogram",
            "rustix",
            "serde",
            "serde_json", // tests:
            "spawns-core",
            "tokio",
            "zookeeper-client",
        ],
    ),
];

/// Longest line, in characters. rustfmt wraps code, but neither comments nor strings.
const LINE_CHARS_MAX: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Files below `folder` whose names end in one of `endings`, with their paths from the root.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    ["engine", "server", "bench"].iter().flat_map(|folder| files(folder, &[".rs"])).collect()
}

fn report(offenders: &[String]) {
    assert!(offenders.is_empty(), "\n{}\n", offenders.join("\n"));
}

/// The code before a file's tests, without comments.
fn code(text: &str) -> String {
    let before_tests = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let uncommented = before_tests.lines().map(|line| line.split("//").next().unwrap());
    uncommented.collect::<Vec<_>>().join("\n")
}

/// The crate's modules that `code` names: `x` and `y` of `crate::x::..` and `crate::{x::.., y}`.
fn named_modules(code: &str) -> Vec<&str> {
    let mut named = Vec::new();
    for (start, path) in code.match_indices("crate::") {
        let rest = &code[start + path.len()..];
        match rest.strip_prefix('{') {
            None => named.push(first_word(rest)),
            Some(list) => named.extend(items(list).into_iter().map(first_word)),
        }
    }
    named
}

/// The items of a list in braces, of which the opening one is already read.
fn items(list: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (position, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[start..position]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

fn first_word(text: &str) -> &str {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.trim_start().split(|character| !is_word(character)).next().unwrap()
}

/// The first part of a file's path below `src`.
fn module_of<'a>(path: &'a str, sources: &str) -> &'a str {
    let inside = path.strip_prefix(sources).unwrap();
    inside.split(['/', '.']).next().unwrap()
}

#[test]
fn named_modules_are_found() {
    let code = "use crate::ids::Slot; use crate::{batch::{Batch, Commands}, state::State, watch,};
        fn f(x: crate::limits::X) {}";
    assert_eq!(named_modules(code), ["ids", "batch", "state", "watch", "limits"]);
}

#[test]
fn modules_name_only_modules_below_them() {
    let mut offenders = Vec::new();
    for (path, text) in files("engine/src", &[".rs"]) {
        let module = module_of(&path, "engine/src/");
        if module == "lib" || path.contains("/tests") || path.ends_with("tests.rs") {
            continue;
        }
        let Some((_, uses)) = MODULE_USES.iter().find(|(name, _)| *name == module) else {
            offenders.push(format!("{path}: no line in MODULE_USES for `{module}`"));
            continue;
        };
        for named in named_modules(&code(&text)) {
            if named != module && !uses.contains(&named) {
                offenders.push(format!("{path}: `{module}` must not name `{named}`"));
            }
        }
    }
    report(&offenders);
}

#[test]
fn parts_of_the_server_do_not_know_each_other() {
    let mut offenders = Vec::new();
    for (path, text) in files("server/src", &[".rs"]) {
        let module = module_of(&path, "server/src/");
        let is_core = SERVER_ASSEMBLERS.contains(&module) || SERVER_CORES.contains(&module);
        for named in named_modules(&code(&text)) {
            let is_stranger = SERVER_FOLDERS.contains(&module)
                && SERVER_FOLDERS.contains(&named)
                && named != module
                && named != "config";
            let is_above = !is_core && SERVER_CORES.contains(&named);
            if is_stranger || is_above {
                offenders.push(format!("{path}: `{module}` must not name `{named}`"));
            }
        }
    }
    report(&offenders);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut offenders = Vec::new();
    for (path, text) in sources() {
        if !text.starts_with("//! ") {
            offenders.push(format!("{path}: starts without a `//!` line"));
        }
    }
    report(&offenders);
}

#[test]
fn lines_fit() {
    let mut offenders = Vec::new();
    for (path, text) in sources() {
        let mut expectation_end = None;
        for (number, line) in text.lines().enumerate() {
            // What a program printed is as long as it is.
            if expectation_end.is_none() && line.contains("expect![") {
                expectation_end = Some(if line.contains("r#") { "#]]" } else { "]" });
            }
            if let Some(end) = expectation_end {
                if line.contains(end) && !line.ends_with("expect![[r#\"") {
                    expectation_end = None;
                }
                continue;
            }
            if line.chars().count() > LINE_CHARS_MAX {
                offenders.push(format!("{path}:{}: longer than {LINE_CHARS_MAX}", number + 1));
            }
            if line.ends_with(char::is_whitespace) {
                offenders.push(format!("{path}:{}: space at the end", number + 1));
            }
        }
    }
    report(&offenders);
}

#[test]
fn dependencies_are_the_listed_ones() {
    for (name, listed) in DEPENDENCIES {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let mut found = Vec::new();
        let mut is_inside = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                is_inside = line.ends_with("dependencies]");
            } else if is_inside && let Some((dependency, _)) = line.split_once(['.', ' ', '=']) {
                found.push(dependency);
            }
        }
        found.retain(|dependency| !dependency.starts_with('#'));
        found.sort_unstable();
        let mut listed = listed.to_vec();
        listed.sort_unstable();
        assert_eq!(found, listed, "dependencies of {name}");
    }
}

#[test]
fn every_document_is_listed() {
    let index = root().join("docs/README.md");
    let Ok(index) = fs::read_to_string(&index) else { return };
    let mut offenders = Vec::new();
    let documents = files("docs", &[".md"]);
    for (path, text) in &documents {
        let name = path.strip_prefix("docs/").unwrap();
        if name != "README.md" && !index.contains(&format!("({name})")) {
            offenders.push(format!("{path}: not linked from docs/README.md"));
        }
        let titles = text.lines().filter(|line| line.starts_with("# ")).count();
        let in_blocks = text.contains("```");
        if !text.starts_with("# ") || (titles != 1 && !in_blocks) {
            offenders.push(format!("{path}: must start with its only title"));
        }
    }
    // What is listed exists.
    for link in index.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let is_local = !link.contains("://") && !link.starts_with('#');
        if is_local && !root().join("docs").join(link).exists() {
            offenders.push(format!("docs/README.md: {link} does not exist"));
        }
    }
    report(&offenders);
}

/// Names in the text that stand for what is in the code: between backticks, outside of blocks.
fn named_symbols(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let symbols = prose.flat_map(|part| part.split('`').skip(1).step_by(2));
    symbols.filter(|symbol| symbol.contains(char::is_alphanumeric)).collect()
}

#[test]
fn documents_name_what_exists() {
    let mut code = String::new();
    for (path, text) in sources() {
        code.push_str(&path);
        code.push_str(&text);
    }
    let mut offenders = Vec::new();
    for document in ["docs/architecture.md", "docs/glossary.md", "CONTRIBUTING.md"] {
        let Ok(text) = fs::read_to_string(root().join(document)) else { continue };
        for symbol in named_symbols(&text) {
            let is_path = symbol.contains('/') && !symbol.contains(' ');
            let exists = if is_path {
                let places = ["", "engine/src", "server/src"];
                places.iter().any(|place| root().join(place).join(symbol).exists())
            } else {
                let is_word = |character: char| character.is_alphanumeric() || character == '_';
                symbol
                    .split(|character| !is_word(character))
                    .filter(|word| word.len() > 3)
                    .all(|word| code.contains(word))
            };
            if !exists {
                offenders.push(format!("{document}: `{symbol}` is not in the code"));
            }
        }
    }
    report(&offenders);
}
