//! Four-letter words: texts that exporters, client libraries and launch scripts parse.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ringkeeper_bench::{
    servers::{Settings, four_letter},
    tour::Tour,
    wire::{
        Connection, Failure,
        records::{self, flags, op},
    },
};

/// Far less than what a connection without a session is granted.
const PROMPT: Duration = Duration::from_secs(5);

fn ask(tour: &Tour, word: &str) -> Result<String, Failure> {
    four_letter(tour.address(), word)
}

/// `key<separator>value` lines.
fn table(text: &str, separator: char) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once(separator)).collect()
}

pub(crate) fn short_words_have_fixed_answers(tour: &Tour) -> Result<(), Failure> {
    assert_eq!(ask(tour, "ruok")?, "imok");
    assert_eq!(ask(tour, "isro")?, "rw");
    assert_eq!(ask(tour, "crst")?, "Connection stats reset.\n");
    assert_eq!(ask(tour, "srst")?, "Server stats reset.\n");
    ask(tour, "gtmk")?.trim().parse::<i64>()?;
    Ok(())
}

pub(crate) fn srvr_and_stat_say_how_it_is(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/srvr", b"", flags::EPHEMERAL)?;
    for word in ["srvr", "stat"] {
        let text = ask(tour, word)?;
        let version = text.lines().next().unwrap_or_default();
        assert!(version.starts_with("Zookeeper version: 3."), "{text}");
        assert!(version.contains(", built on "), "{text}");
        let lines = table(&text, ':');
        let latency = lines.get("Latency min/avg/max").ok_or("no latency")?.trim();
        let numbers: Vec<f64> = latency.split('/').map(str::parse).collect::<Result<_, _>>()?;
        assert_eq!(numbers.len(), 3, "{latency}");
        for key in ["Received", "Sent", "Connections", "Outstanding", "Node count"] {
            lines
                .get(key)
                .ok_or(key)?
                .trim()
                .parse::<u64>()
                .map_err(|_| format!("{key}: {text}"))?;
        }
        assert!(lines.get("Zxid").ok_or("no zxid")?.trim().starts_with("0x"), "{text}");
        assert_eq!(lines.get("Mode").map(|mode| mode.trim()), Some("standalone"));
        assert_eq!(text.contains("\nClients:\n /127.0.0.1:"), word == "stat", "{text}");
        assert_eq!(text.contains("(queued=0,recved="), word == "stat", "{text}");
    }
    client.close()?.ok()
}

pub(crate) fn conf_lists_the_settings(tour: &Tour) -> Result<(), Failure> {
    let text = ask(tour, "conf")?;
    let lines = table(&text, '=');
    assert_eq!(lines.get("clientPort"), Some(&tour.address().port().to_string().as_str()));
    assert_eq!(lines.get("tickTime"), Some(&"500"));
    assert_eq!(lines.get("minSessionTimeout"), Some(&"1000"));
    assert_eq!(lines.get("maxSessionTimeout"), Some(&"20000"));
    assert_eq!(lines.get("maxClientCnxns"), Some(&"0"));
    for key in ["dataDir", "dataDirSize", "dataLogDir", "dataLogSize", "serverId"] {
        assert!(lines.contains_key(key), "{key}: {text}");
    }
    assert!(lines.contains_key("clientPortListenBacklog"), "{text}");
    for line in ask(tour, "dirs")?.lines() {
        let (key, size) = line.split_once(": ").ok_or("a line of dirs")?;
        assert!(["datadir_size", "logdir_size"].contains(&key), "{line}");
        size.trim().parse::<u64>()?;
    }
    Ok(())
}

pub(crate) fn mntr_has_what_dashboards_read(tour: &Tour) -> Result<(), Failure> {
    let text = ask(tour, "mntr")?;
    let lines = table(&text, '\t');
    assert_eq!(lines.get("zk_server_state"), Some(&"standalone"));
    assert!(lines.get("zk_version").is_some_and(|version| version.starts_with("3.")), "{text}");
    for key in [
        "zk_avg_latency",
        "zk_max_latency",
        "zk_min_latency",
        "zk_packets_received",
        "zk_packets_sent",
        "zk_num_alive_connections",
        "zk_outstanding_requests",
        "zk_znode_count",
        "zk_watch_count",
        "zk_ephemerals_count",
        "zk_approximate_data_size",
        "zk_open_file_descriptor_count",
        "zk_max_file_descriptor_count",
        "zk_uptime",
        "zk_global_sessions",
    ] {
        let value = lines.get(key).ok_or_else(|| format!("no {key} in\n{text}"))?;
        value.parse::<f64>().map_err(|_| format!("{key} is {value}"))?;
    }
    Ok(())
}

pub(crate) fn cons_and_dump_list_sessions(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/dumped", b"", flags::EPHEMERAL)?;
    let session = format!("0x{:x}", client.session.session);
    let cons = ask(tour, "cons")?;
    let line = cons.lines().find(|line| line.contains(&session)).ok_or("no line in cons")?;
    assert!(line.starts_with(" /127.0.0.1:"), "{line}");
    for part in [
        "queued=", "recved=", "sent=", "lop=CREA", "est=", "to=10000", "lcxid=0x", "lzxid=0x",
        "lresp=", "llat=", "minlat=", "avglat=", "maxlat=",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let dump = ask(tour, "dump")?;
    assert!(dump.starts_with("SessionTracker dump:\nSession Sets ("), "{dump}");
    assert!(dump.contains("expire at "), "{dump}");
    assert!(dump.contains("ephemeral nodes dump:\nSessions with Ephemerals ("), "{dump}");
    assert!(dump.contains(&format!("{session}:\n\t/dumped")), "{dump}");
    client.close()?.ok()
}

pub(crate) fn watches_are_listed_by_session_and_by_path(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.call(op::EXISTS, &records::path_watch("/watched", true))?;
    let session = format!("0x{:x}", client.session.session);
    let summary = ask(tour, "wchs")?;
    assert!(summary.contains(" connections watching "), "{summary}");
    assert!(summary.contains("Total watches:"), "{summary}");
    let by_session = ask(tour, "wchc")?;
    assert!(by_session.contains(&format!("{session}\n\t/watched\n")), "{by_session}");
    let by_path = ask(tour, "wchp")?;
    assert!(by_path.contains(&format!("/watched\n\t{session}\n")), "{by_path}");
    client.close()?.ok()
}

pub(crate) fn envi_and_hash_answer(tour: &Tour) -> Result<(), Failure> {
    let text = ask(tour, "envi")?;
    assert!(text.starts_with("Environment:\nzookeeper.version="), "{text}");
    for key in ["host.name", "os.name", "os.arch", "os.version", "user.name", "user.dir"] {
        assert!(text.contains(&format!("\n{key}=")), "{key}: {text}");
    }
    let text = ask(tour, "hash")?;
    for line in text.lines() {
        let (zxid, digest) = line.split_once(": ").ok_or("a line of hash")?;
        i64::from_str_radix(zxid.trim_start_matches("0x"), 16)?;
        digest.parse::<i128>().map_err(|_| format!("{digest} in {text}"))?;
    }
    Ok(())
}

pub(crate) fn a_mask_is_not_waited_for(tour: &Tour) -> Result<(), Failure> {
    for start in ["stmk", "stmk\0\0\0\0", "stmk\n"] {
        let begin = Instant::now();
        assert_eq!(ask(tour, start)?, "");
        assert!(begin.elapsed() < PROMPT, "{start:?}");
    }
    let server = tour.private(Settings::new())?;
    let begin = Instant::now();
    let text = four_letter(server.address(), "stmk")?;
    assert_eq!(text, "stmk is not executed because it is not in the whitelist.\n");
    assert!(begin.elapsed() < PROMPT);
    Ok(())
}

pub(crate) fn only_listed_words_are_answered(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new())?;
    for word in ["ruok", "stat", "mntr", "isro", "conf", "wchc", "dump"] {
        let expected = format!("{word} is not executed because it is not in the whitelist.\n");
        assert_eq!(four_letter(server.address(), word)?, expected);
    }
    assert!(four_letter(server.address(), "srvr")?.starts_with("Zookeeper version: "));
    assert_eq!(four_letter(server.address(), "abcd")?, "", "an unknown word is a bad length");
    let mut client = Connection::new_session(server.address())?;
    client.send_raw(b"ruok")?;
    client.expect_closed()?;
    let listed = tour.private(Settings::new().line("4lw.commands.whitelist", "ruok, mntr"))?;
    assert_eq!(four_letter(listed.address(), "ruok")?, "imok");
    assert!(four_letter(listed.address(), "mntr")?.contains("zk_version\t"));
    assert!(four_letter(listed.address(), "stat")?.contains("not in the whitelist"));
    Ok(())
}
