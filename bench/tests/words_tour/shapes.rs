//! The shape of each word's answer.

use ringkeeper_bench::{
    servers::{Settings, four_letter},
    tour::{self, Tour},
    wire::Failure,
};

use crate::{
    shape::{shape, sorted},
    talk::Talk,
};

/// The names of `mntr` without an ensemble, in Apache's order, and the format of each.
const MNTR: &str = include_str!("mntr.txt");

#[track_caller]
fn same(text: &str, expected: &str) {
    assert_eq!(shape(text), expected, "of\n{text}");
}

pub(crate) fn conf(tour: &Tour) -> Result<(), Failure> {
    let text = four_letter(tour.address(), "conf")?;
    let keys: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let names: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
    let expected = [
        "clientPort",
        "secureClientPort",
        "dataDir",
        "dataDirSize",
        "dataLogDir",
        "dataLogSize",
        "tickTime",
        "maxClientCnxns",
        "minSessionTimeout",
        "maxSessionTimeout",
        "clientPortListenBacklog",
        "serverId",
    ];
    assert_eq!(names, expected, "{text}");
    for (key, value) in keys {
        match key {
            "dataDir" | "dataLogDir" => assert!(value.starts_with('/'), "{key}: {value}"),
            _ => drop(value.parse::<i64>().map_err(|_| format!("{key}: {value}"))?),
        }
    }
    for line in ["secureClientPort=-1", "tickTime=500", "clientPortListenBacklog=-1", "serverId=0"]
    {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    Ok(())
}

pub(crate) fn cons(tour: &Tour) -> Result<(), Failure> {
    let text = Talk::hold(tour)?.ask("cons")?;
    assert!(text.ends_with(")\n\n"), "an empty line ends it: {text:?}");
    let session = " /IP:N[N](queued=N,recved=N,sent=N,sid=0xH,lop=LOP,est=N,to=N,lcxid=0xH,\
                   lzxid=0xH,lresp=N,llat=N,minlat=N,avglat=N,maxlat=N)";
    let shape = shape(&text).replace("lop=DELE", "lop=LOP").replace("lop=PING", "lop=LOP");
    let expected = ["", " /IP:N[N](queued=N,recved=N,sent=N)", session, session];
    assert_eq!(sorted(&shape), expected, "of\n{text}");
    Ok(())
}

pub(crate) fn crst(tour: &Tour) -> Result<(), Failure> {
    assert_eq!(four_letter(tour.address(), "crst")?, "Connection stats reset.\n");
    Ok(())
}

pub(crate) fn dirs(tour: &Tour) -> Result<(), Failure> {
    same(&four_letter(tour.address(), "dirs")?, "datadir_size: N\nlogdir_size: N\n");
    Ok(())
}

pub(crate) fn dump(tour: &Tour) -> Result<(), Failure> {
    let text = Talk::hold(tour)?.ask("dump")?;
    let shape = shape(&text);
    let (sessions, rest) = shape.split_once("ephemeral nodes dump:\n").ok_or(text.as_str())?;
    let (ephemerals, connections) = rest.split_once("Connections dump:\n").ok_or(text.as_str())?;
    // How many are due together depends on the moment.
    let (head, sets) = sessions.split_once("(N)/(N):\n").ok_or(text.as_str())?;
    assert_eq!(head, "SessionTracker dump:\nSession Sets ");
    let mut lines = sorted(sets);
    lines.dedup();
    assert_eq!(lines, ["\t0xH", "N expire at DATE:"], "{text}");
    assert_eq!(sets.matches("\t0xH\n").count(), 2, "{text}");
    assert_eq!(ephemerals, "Sessions with Ephemerals (N):\n0xH:\n\t/talk/e\n", "{text}");
    let (head, sets) = connections.split_once("(N)/(N):\n").ok_or(text.as_str())?;
    assert_eq!(head, "Connections Sets ");
    let mut lines = sorted(sets);
    lines.dedup();
    assert_eq!(lines, ["\tip: /IP:N sessionId: 0xH", "N expire at DATE:"], "{text}");
    assert_eq!(sets.matches("\tip: ").count(), 3, "{text}");
    Ok(())
}

pub(crate) fn envi(tour: &Tour) -> Result<(), Failure> {
    let text = four_letter(tour.address(), "envi")?;
    let (head, lines) = text.split_once('\n').ok_or(text.as_str())?;
    assert_eq!(head, "Environment:");
    let pairs: Vec<_> = lines.lines().filter_map(|line| line.split_once('=')).collect();
    let names: Vec<_> = pairs.iter().map(|(key, _)| *key).collect();
    let expected = [
        "zookeeper.version",
        "host.name",
        "java.version",
        "java.vendor",
        "java.home",
        "java.class.path",
        "java.library.path",
        "java.io.tmpdir",
        "java.compiler",
        "os.name",
        "os.arch",
        "os.version",
        "user.name",
        "user.home",
        "user.dir",
        "os.memory.free",
        "os.memory.max",
        "os.memory.total",
    ];
    assert_eq!(names, expected, "{text}");
    for (key, value) in pairs {
        assert!(!value.is_empty(), "{key} in {text}");
        match key {
            "zookeeper.version" => {
                assert!(value.starts_with("3.9.5-") && value.contains(", built on "), "{text}");
            }
            "os.memory.free" | "os.memory.max" | "os.memory.total" => same(value, "NMB"),
            "os.name" => assert_eq!(value, "Linux"),
            "java.io.tmpdir" | "user.home" | "user.dir" => {
                assert!(value.starts_with('/'), "{key}: {value}");
            }
            "user.name" => assert_ne!(value, "<NA>"),
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn gtmk_and_stmk(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tour::shared_settings())?;
    let ask = |word: &str| four_letter(server.address(), word);
    assert_eq!(ask("gtmk")?, "306");
    assert_eq!(ask("stmk\0\0\0\0\0\0\x01\x02")?, "258");
    assert_eq!(ask("gtmk")?, "258");
    Ok(())
}

pub(crate) fn hash(tour: &Tour) -> Result<(), Failure> {
    let mut talk = Talk::hold(tour)?;
    assert_eq!(talk.ask("hash")?, "", "none yet");
    for _ in 0..300 {
        talk.writer.set("/talk", b"", -1)?;
    }
    let text = talk.ask("hash")?;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "one for 128 changes: {text}");
    let mut last = 0;
    for line in lines {
        let (zxid, digest) = line.split_once(": ").ok_or(line)?;
        let zxid = i64::from_str_radix(zxid, 16)?;
        assert!(last < zxid && zxid % 128 == 0, "{text}");
        last = zxid;
        digest.parse::<i64>()?;
    }
    Ok(())
}

pub(crate) fn isro(tour: &Tour) -> Result<(), Failure> {
    assert_eq!(four_letter(tour.address(), "isro")?, "rw");
    Ok(())
}

/// Which lines of `mntr` differ from the list of names: none should, but those after it.
fn check_names(text: &str) -> Vec<&str> {
    let mut lines = text.lines();
    let version = lines.next().unwrap_or_default();
    assert!(version.starts_with("zk_version\t3.9.5-") && version.contains(", built on "), "{text}");
    assert_eq!(lines.next(), Some("zk_server_state\tstandalone"), "{text}");
    for expected in MNTR.lines() {
        let (name, format) = expected.split_once(' ').expect("a name and a format");
        let line = lines.next().unwrap_or_default();
        let (found, value) = line.split_once('\t').unwrap_or((line, ""));
        assert_eq!(found, name, "in its place");
        let shape = shape(value);
        assert_eq!(shape, if format == "real" { "R" } else { "N" }, "{line}");
    }
    lines.collect()
}

pub(crate) fn mntr(tour: &Tour) -> Result<(), Failure> {
    let text = Talk::hold(tour)?.ask("mntr")?;
    let rest = check_names(&text);
    let mut namespaces = Vec::new();
    for name in ["talk_read", "talk_write", "ttl_write"] {
        for number in ["avg", "min", "max", "cnt", "sum"] {
            namespaces.push(format!("zk_{number}_{name}_per_namespace"));
        }
    }
    let names: Vec<_> = rest.iter().filter_map(|line| line.split('\t').next()).collect();
    let (theirs, ours) = names.split_at(namespaces.len().min(names.len()));
    // Apache's order of namespaces is that of a hash table.
    let (mut theirs, mut expected) = (theirs.to_vec(), namespaces);
    theirs.sort_unstable();
    expected.sort_unstable();
    assert_eq!(theirs, expected, "{text}");
    let are_ours = ours.iter().all(|name| name.contains("ringkeeper_"));
    assert!(are_ours && tour.is_ringkeeper() != ours.is_empty(), "{ours:?}");
    Ok(())
}

pub(crate) fn mntr_of_a_fresh_server(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tour::shared_settings())?;
    let text = four_letter(server.address(), "mntr")?;
    let rest = check_names(&text);
    assert!(rest.iter().all(|line| line.contains("ringkeeper_")), "{rest:?}");
    Ok(())
}

pub(crate) fn ruok(tour: &Tour) -> Result<(), Failure> {
    assert_eq!(four_letter(tour.address(), "ruok")?, "imok");
    Ok(())
}

pub(crate) fn srst(tour: &Tour) -> Result<(), Failure> {
    assert_eq!(four_letter(tour.address(), "srst")?, "Server stats reset.\n");
    Ok(())
}

const STATUS: &str = "Latency min/avg/max: N/R/N\nReceived: N\nSent: N\nConnections: N\n\
                      Outstanding: N\nZxid: 0xH\nMode: standalone\nNode count: N\n";

/// The first line of `srvr` and `stat`, which has the version, and the others.
fn version_and_rest(text: &str) -> Result<&str, Failure> {
    let (version, rest) = text.split_once('\n').ok_or(text)?;
    let version = version.strip_prefix("Zookeeper version: 3.9.5-").ok_or(version)?;
    let (_, date) = version.split_once(", built on ").ok_or(version)?;
    same(date, "N-N-N N:N UTC");
    Ok(rest)
}

pub(crate) fn srvr(tour: &Tour) -> Result<(), Failure> {
    let text = Talk::hold(tour)?.ask("srvr")?;
    same(version_and_rest(&text)?, STATUS);
    Ok(())
}

pub(crate) fn stat(tour: &Tour) -> Result<(), Failure> {
    let text = Talk::hold(tour)?.ask("stat")?;
    let client = " /IP:N[N](queued=N,recved=N,sent=N)\n";
    same(version_and_rest(&text)?, &format!("Clients:\n{client}{client}{client}\n{STATUS}"));
    Ok(())
}

pub(crate) fn wchs(tour: &Tour) -> Result<(), Failure> {
    let text = Talk::hold(tour)?.ask("wchs")?;
    assert_eq!(text, "1 connections watching 3 paths\nTotal watches:3\n");
    Ok(())
}

pub(crate) fn wchc(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let text = talk.ask("wchc")?;
    let session = format!("0x{:x}\n", talk.reader.session.session);
    let paths = text.strip_prefix(&session).ok_or(text.as_str())?;
    assert_eq!(sorted(paths), ["", "\t/none", "\t/persistent", "\t/recursive"], "{text}");
    assert!(paths.ends_with("\n\n"), "an empty line ends it: {text:?}");
    Ok(())
}

pub(crate) fn wchp(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let text = talk.ask("wchp")?;
    let session = format!("\n\t0x{:x}\n", talk.reader.session.session);
    let paths = text.replace(&session, " of the reader\n");
    let expected =
        ["", "/none of the reader", "/persistent of the reader", "/recursive of the reader"];
    assert_eq!(sorted(&paths), expected, "{text}");
    assert!(paths.ends_with("\n\n"), "an empty line ends it: {text:?}");
    Ok(())
}

pub(crate) fn an_unknown_word(tour: &Tour) -> Result<(), Failure> {
    for word in ["abcd", "RUOK", "kill", "reqs"] {
        assert_eq!(four_letter(tour.address(), word)?, "", "{word} is a length that is too large");
    }
    Ok(())
}

pub(crate) fn a_word_that_is_not_listed(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().line("4lw.commands.whitelist", "ruok"))?;
    for word in [
        "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "srst",
        "stat", "wchc", "wchp", "wchs",
    ] {
        let expected = format!("{word} is not executed because it is not in the whitelist.\n");
        assert_eq!(four_letter(server.address(), word)?, expected);
    }
    let text = four_letter(server.address(), "stmk\0\0\0\0\0\0\0\x01")?;
    assert_eq!(text, "stmk is not executed because it is not in the whitelist.\n");
    same(version_and_rest(&four_letter(server.address(), "srvr")?)?, STATUS);
    Ok(())
}
