//! Stories: a file, properties and flags, and what becomes of them.

use std::fs;

use expect_test::{Expect, expect};

use super::{
    Config, ConfigError, Flags, Place, Sources, Warning,
    keys::{KEYS, Source, State},
    load::put_together,
    properties,
};

/// Reads `file` with `-D` properties, in a world with IPv6.
fn parse(
    file: &str,
    defines: &[(&str, &str)],
    flags: Flags,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let entries = properties::parse(file).expect("well-formed").into_iter();
    let place = |entry: properties::Entry| {
        let line = entry.line;
        (entry, Place::File(line))
    };
    let define = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let sources = Sources {
        arguments: vec!["zoo.cfg".to_owned()],
        defines: defines.iter().map(define).collect(),
        flags,
        is_autocreate_disabled: false,
    };
    put_together(&sources, entries.map(place).collect(), true)
}

const MINIMAL: &str = "dataDir=/data\nclientPort=2181\n";

/// Breaks long lines, with the rest indented.
pub(crate) fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0;
        for (index, word) in line.split(' ').enumerate() {
            if index > 0 && column + word.len() > 70 {
                out.push_str("\n ");
                column = 0;
            }
            if index > 0 {
                out.push(' ');
            }
            out.push_str(word);
            column += word.len() + 1;
        }
        out.push('\n');
    }
    out
}

/// What a minimal file and `lines` come to: warnings, and what of the effective line is not as
/// the minimal file alone has it; or the error.
fn check(lines: &str, defines: &[(&str, &str)], expected: &Expect) {
    let (minimal, _) = parse(MINIMAL, &[], Flags::default()).expect("valid");
    let minimal = minimal.effective_line();
    let shown = match parse(&format!("{MINIMAL}{lines}"), defines, Flags::default()) {
        Ok((config, warnings)) => {
            let warnings: String = warnings.iter().map(|w| format!("warning: {w}\n")).collect();
            let line = config.effective_line();
            let is_new = |word: &&str| minimal.split(' ').all(|old| old != *word);
            let changes: Vec<&str> = line.split(' ').filter(is_new).collect();
            format!("{warnings}{}\n", changes.join(" "))
        }
        Err(error) => format!("error: {error}\n"),
    };
    expected.assert_eq(&wrapped(&shown));
}

/// The error of a file.
fn check_error(file: &str, expected: &Expect) {
    let error = parse(file, &[], Flags::default()).expect_err("an error");
    expected.assert_eq(&wrapped(&error.to_string()));
}

#[test]
fn a_sample_file_starts_without_a_word() {
    check(
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\nautopurge.purgeInterval=1\nforceSync=no",
        &[],
        &expect![[r#"
            tickTime=2000 minSessionTimeout=4000 maxSessionTimeout=40000
        "#]],
    );
}

#[test]
fn defaults_of_the_table_are_those_of_the_struct() {
    let (config, warnings) = parse(MINIMAL, &[], Flags::default()).expect("valid");
    assert_eq!(warnings, []);
    assert_eq!(config, Config::new("/data".into(), "[::]:2181".parse().expect("an address")));
}

#[test]
fn defaults_may_be_written_out() {
    let (unset, _) = parse(MINIMAL, &[], Flags::default()).expect("valid");
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        let file = format!("{MINIMAL}{}={}\n", key.name, key.default);
        let define = [(key.name, key.default)];
        let (file, defines) = match key.source {
            Source::Java => (MINIMAL, define.as_slice()),
            Source::File | Source::Property => (file.as_str(), [].as_slice()),
        };
        let (config, warnings) = parse(file, defines, Flags::default()).expect(key.name);
        assert_eq!((config, warnings), (unset.clone(), vec![]), "{}", key.name);
    }
}

#[test]
fn every_honoured_key_is_read_and_no_other() {
    let promised = KEYS.iter().filter(|key| key.state == State::Honoured).map(|key| key.name);
    let mut promised: std::collections::BTreeSet<&str> = promised.collect();
    // Read before the rest: they say which file to read, and what stands in for the port.
    promised.remove("dynamicConfigFile");
    promised.insert("secureClientPort");
    let (settings, _) = super::settings::Settings::gather(&[], std::iter::empty());
    let flags = Flags::default();
    let around = super::resolve::Surroundings {
        flags: &flags,
        is_autocreate_disabled: false,
        has_ipv6: false,
        has_file: false,
    };
    super::resolve::resolve(&settings, around, &mut Vec::new()).expect("valid");
    let mut asked = settings.asked.borrow().clone();
    // Asked for only when they are needed.
    asked.insert("enforce.auth.schemes");
    assert_eq!(asked, promised);
}

#[test]
fn no_key_is_twice_in_the_table() {
    for (index, key) in KEYS.iter().enumerate() {
        assert!(KEYS[..index].iter().all(|earlier| earlier.name != key.name), "{}", key.name);
    }
}

#[test]
fn one_warning_names_all_that_is_not_honoured() {
    check(
        "secureClientPort=2281\nssl.keyStore.location=/k.jks\nadmin.enableServer=true\n\
         audit.enable=false\n\
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        &[("java.security.auth.login.config", "/jaas.conf")],
        &expect![[r#"
            warning: not honoured yet: admin.enableServer (the HTTP admin server),
              java.security.auth.login.config (SASL), secureClientPort (TLS),
              ssl.keyStore.location (TLS), authProvider.1 (SASL)

        "#]],
    );
}

#[test]
fn unknown_keys_come_with_the_nearest_one() {
    check(
        "tickTimes=1\nmaxClientConnections=2\nzookeeper.snapCount=3\ncolour=blue",
        &[("zookeeper.snapcount", "5"), ("jute.maxbufer", "9"), ("com.sun.jmx", "x")],
        &expect![[r#"
            warning: unknown keys, ignored: -Dzookeeper.snapcount (did you mean
              -Dzookeeper.snapCount?), -Djute.maxbufer (did you mean
              -Djute.maxbuffer?), tickTimes (did you mean tickTime?),
              maxClientConnections, zookeeper.snapCount (did you mean snapCount?),
              colour

        "#]],
    );
}

#[test]
fn keys_where_zookeeper_does_not_look_are_named() {
    check(
        "jute.maxbuffer=4194304",
        &[("zookeeper.tickTime", "5")],
        &expect![[r#"
        warning: ignored here, as ZooKeeper does: -Dzookeeper.tickTime (write
          tickTime in the file), jute.maxbuffer (write -Djute.maxbuffer=4194304)

    "#]],
    );
}

#[test]
fn the_file_wins_over_a_property() {
    check(
        "snapCount=500",
        &[
            ("zookeeper.snapCount", "700"),
            ("zookeeper.maxCnxns", "8"),
            ("jute.maxbuffer", "0xfffff"),
        ],
        &expect![[r#"
            maxCnxns=8 snapCount=500
        "#]],
    );
}

#[test]
fn wrong_values_say_what_is_allowed() {
    for (lines, expected) in [
        (
            "tickTime=2s",
            expect![[r#"
            error: tickTime=2s (line 3 of the configuration file): must be a whole
              number from 1 to 107374182
        "#]],
        ),
        (
            "maxClientCnxns=many",
            expect![[r#"
            error: maxClientCnxns=many (line 3 of the configuration file): must be
              a whole number from -2147483648 to 2147483647
        "#]],
        ),
        (
            "reconfigEnabled=yes",
            expect![[r#"
            error: reconfigEnabled=yes (line 3 of the configuration file): must be
              true or false
        "#]],
        ),
        (
            "skipACL=true",
            expect![[r#"
            error: skipACL=true (line 3 of the configuration file): must be yes or
              no
        "#]],
        ),
        (
            "electionAlg=0",
            expect![[r#"
            error: electionAlg=0 (line 3 of the configuration file): must be 3
        "#]],
        ),
        (
            "peerType=witness",
            expect![[r#"
            error: peerType=witness (line 3 of the configuration file): must be
              participant or observer
        "#]],
        ),
        (
            "DigestAuthenticationProvider.digestAlg=ROT13",
            expect![[r#"
            error: DigestAuthenticationProvider.digestAlg=ROT13 (line 3 of the
              configuration file): must be MD5, SHA1, SHA-224, SHA-256, SHA-384,
              SHA-512, SHA-512/224, SHA-512/256, SHA3-224, SHA3-256, SHA3-384 or
              SHA3-512
        "#]],
        ),
    ] {
        check(lines, &[], &expected);
    }
}

#[test]
fn wrong_combinations_and_server_lines() {
    for (lines, expected) in [
        (
            "enforce.auth.enabled=true",
            expect![[r#"
            error: enforce.auth.schemes= (the default): must be a comma list of
              digest, ip, sasl, x509 and ensemble, not empty (enforce.auth.enabled
              asks for it)
        "#]],
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest,face",
            expect![[r#"
            error: enforce.auth.schemes=digest,face (line 4 of the configuration
              file): must be a comma list of digest, ip, sasl, x509 and ensemble,
              not empty (enforce.auth.enabled asks for it)
        "#]],
        ),
        (
            "minSessionTimeout=5000\nmaxSessionTimeout=4000",
            expect![[r#"
            error: minSessionTimeout (5000 ms) must not be more than
              maxSessionTimeout (4000 ms); -1 stands for 2 and 20 times tickTime
        "#]],
        ),
        (
            "maxSessionTimeout=4000",
            expect![[r#"
            error: minSessionTimeout (6000 ms) must not be more than
              maxSessionTimeout (4000 ms); -1 stands for 2 and 20 times tickTime
        "#]],
        ),
        (
            "server.1=zoo1",
            expect![[r#"
            error: server.1=zoo1 (line 3 of the configuration file): must be
              host:port:port[:participant|observer][;[address:]port]
        "#]],
        ),
        (
            "server.900=zoo1:2888:3888",
            expect![[r#"
            error: server.900=zoo1:2888:3888 (line 3 of the configuration file):
              must be server.N with a whole number N from 0 to 255
        "#]],
        ),
    ] {
        check(lines, &[], &expected);
    }
}

#[test]
fn an_ensemble_is_refused_and_one_server_is_not() {
    check(
        "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888",
        &[],
        &expect![[r#"
        error: the configuration describes an ensemble (3 server.N lines):
          this version runs as a single server, ensembles come with a later one;
          keep one server.N line, of a participant, or none
    "#]],
    );
    check(
        "server.1=a:2888:3888:observer",
        &[],
        &expect![[r#"
        error: the configuration describes an ensemble (1 server.N lines):
          this version runs as a single server, ensembles come with a later one;
          keep one server.N line, of a participant, or none
    "#]],
    );
    check(
        "server.7=a:2888:3888\nstandaloneEnabled=false",
        &[],
        &expect![[r#"
        warning: not honoured yet: standaloneEnabled (a quorum of one (it runs
          alone))
        myid=7
    "#]],
    );
}

#[test]
fn acls_are_checked_eagerly_in_ensembles_only() {
    let eager = |more: &str| {
        let text = format!("{MINIMAL}enableEagerACLCheck=true\n{more}");
        let (config, _) = parse(&text, &[], Flags::default()).expect("valid");
        config.eager_acl_check
    };
    assert!(!eager(""));
    assert!(!eager("server.7=a:2888:3888"));
    assert!(eager("server.7=a:2888:3888\nstandaloneEnabled=false"));
}

#[test]
fn what_must_be_there() {
    check_error(
        "clientPort=2181",
        &expect![[r#"
        dataDir is not set: set it in the configuration file, or give
          --data-dir
    "#]],
    );
    check_error(
        "dataDir=/data",
        &expect![[r#"
        clientPort is not set: set it in the configuration file, or give
          --listen
    "#]],
    );
    check_error(
        "dataDir=/data\nsecureClientPort=2281",
        &expect![[r#"
        secureClientPort is set and clientPort is not: this version has no TLS
          yet, so nobody could connect; set clientPort
    "#]],
    );
}

#[test]
fn the_port_may_stand_in_the_server_line() {
    let file = "dataDir=/data\nserver.3=zoo:2888:3888;127.0.0.1:2182";
    let (config, _) = parse(file, &[], Flags::default()).expect("valid");
    assert_eq!(config.listen, ["127.0.0.1:2182".parse().expect("an address")]);
    assert_eq!(config.replica_id.0, 3);
}

#[test]
fn an_address_may_be_that_of_one_interface() {
    // The loopback interface is the first one everywhere.
    let file = "dataDir=/data\nclientPort=2181\nclientPortAddress=";
    for (address, expected) in [
        ("fe80::1%lo", "[fe80::1%1]:2181"),
        ("[fe80::1%1]", "[fe80::1%1]:2181"),
        ("0:0:0:0:0:0:0:1%lo", "[::1]:2181"),
    ] {
        let (config, _) = parse(&format!("{file}{address}"), &[], Flags::default()).expect("valid");
        let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, [expected], "{address}");
    }
    parse(&format!("{file}fe80::1%nowhere"), &[], Flags::default()).expect_err("not an interface");
}

#[test]
fn flags_win_over_the_file() {
    let flags = Flags {
        data_dir: Some("/elsewhere".into()),
        listen: vec!["127.0.0.1:0".to_owned(), "[::1]:7".to_owned(), "8".to_owned()],
        segment_mib: Some(8),
        cores: Some(1),
        ..Flags::default()
    };
    let (config, _) = parse("dataDir=/data\ndataLogDir=/log", &[], flags).expect("valid");
    assert_eq!(config.data_dir.to_str(), Some("/elsewhere"));
    assert_eq!(config.data_log_dir.to_str(), Some("/elsewhere"));
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:0", "[::1]:7", "[::]:8"]);
    assert_eq!(config.client_port, 0);
    assert_eq!((config.segment_bytes, config.cores.count), (8 << 20, Some(1)));
}

#[test]
fn flags_that_cannot_be_meant() {
    for (flags, expected) in [
        (
            Flags { listen: vec!["here:".to_owned()], ..Flags::default() },
            expect![
                "--listen here:: must be a port, or address:port (an IPv6 address in brackets)"
            ],
        ),
        (
            Flags { segment_mib: Some(2), ..Flags::default() },
            expect!["--segment-mib 2: must be at least 3 with this jute.maxbuffer"],
        ),
    ] {
        let error = parse(MINIMAL, &[], flags).expect_err("an error");
        expected.assert_eq(&error.to_string());
    }
}

#[test]
fn a_request_is_never_longer_than_a_command() {
    check(
        "",
        &[("jute.maxbuffer", "104857600")],
        &expect![[r#"
        warning: jute.maxbuffer=104857600 is more than a request can be:
          33554432 holds
        jute.maxbuffer=33554432
    "#]],
    );
}

#[test]
fn words_of_the_whitelist() {
    let (config, _) = parse(MINIMAL, &[], Flags::default()).expect("valid");
    assert!(config.allows_word("srvr") && !config.allows_word("stat"));
    let file = format!("{MINIMAL}4lw.commands.whitelist=ruok, stat,");
    let (config, _) =
        parse(&file, &[("readonlymode.enabled", "true")], Flags::default()).expect("valid");
    for word in ["srvr", "ruok", "stat", "isro"] {
        assert!(config.allows_word(word), "{word}");
    }
    assert!(!config.allows_word("conf"));
    let file = format!("{MINIMAL}4lw.commands.whitelist=*");
    let (config, _) = parse(&file, &[], Flags::default()).expect("valid");
    assert!(config.allows_word("wchp"));
}

#[test]
fn files_are_found_and_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(dir.path().join("myid"), "5\n").expect("writable");
    let dynamic = "server.4=a:1:2;127.0.0.1:2185\n";
    fs::write(dir.path().join("dynamic"), dynamic).expect("writable");
    let file = format!("dataDir={}\ndynamicConfigFile={}", path(""), path("dynamic"));
    fs::write(dir.path().join("zoo.cfg"), file).expect("writable");
    let sources = Sources { arguments: vec![path("zoo.cfg")], ..Sources::default() };
    let (config, warnings) = super::load(&sources).expect("valid");
    assert_eq!(config.replica_id.0, 5);
    assert_eq!(config.listen[0].port(), 2185);
    assert_eq!(warnings, [Warning::OtherId { myid: 5, listed: 4 }]);

    fs::write(dir.path().join("myid"), "five").expect("writable");
    let error = super::load(&sources).expect_err("an error").to_string();
    assert!(error.ends_with(r#"myid holds "five": must be one whole number from 0 to 255"#));

    let sources = Sources { arguments: vec![path("missing.cfg")], ..Sources::default() };
    let error = super::load(&sources).expect_err("an error").to_string();
    assert!(error.starts_with("cannot read "), "{error}");
}

#[test]
fn the_short_form_is_port_directory_tick_connections() {
    let dir = tempfile::tempdir().expect("a directory");
    let words = ["2199", dir.path().to_str().expect("UTF-8"), "1500", "7"];
    let sources = Sources { arguments: words.map(str::to_owned).to_vec(), ..Sources::default() };
    let (config, _) = super::load(&sources).expect("valid");
    assert_eq!((config.client_port, config.tick_time_ms, config.max_client_cnxns), (2199, 1500, 7));
    assert_eq!(config.min_session_timeout_ms, 3000);
    for count in [2, 3] {
        let arguments = words[..count].iter().map(|word| (*word).to_owned()).collect();
        let (config, _) = super::load(&Sources { arguments, ..Sources::default() }).expect("valid");
        assert_eq!(config.max_client_cnxns, 0, "no limit, unlike a file without the key");
    }
}

#[test]
fn without_anything_only_this_machine_is_served() {
    let (config, _) = put_together(&Sources::default(), Vec::new(), true).expect("valid");
    assert_eq!(config.listen, ["127.0.0.1:2181".parse().expect("an address")]);
    assert!(config.data_dir.ends_with("data"));
}

#[test]
fn odd_numbers_that_zookeeper_takes() {
    check(
        "snapCount=0\nmaxClientCnxns=-3\nmaxCnxns=-3\npeerType=OBSERVER",
        &[],
        &expect![[r#"
        maxClientCnxns=0 snapCount=2
    "#]],
    );
    let file = format!("{MINIMAL}snapSizeLimitInKb=-1\nclientPortListenBacklog=7");
    let (config, _) = parse(&file, &[], Flags::default()).expect("valid");
    assert_eq!((config.snap_log_bytes, config.listen_backlog), (None, Some(7)));
    let file = format!("{MINIMAL}snapCount=-5\nclientPortListenBacklog=-7");
    let (config, _) = parse(&file, &[], Flags::default()).expect("valid");
    assert_eq!((config.snap_count, config.listen_backlog), (2, None));
}

/// What `lines` make of the connection throttle: tokens, what comes back, new and renewed sessions.
fn check_tokens(lines: &str, expected: [u64; 4]) {
    let file = format!("{MINIMAL}connection_throttle_tokens=10\n{lines}");
    let (config, warnings) = parse(&file, &[], Flags::default()).expect("valid");
    assert_eq!(warnings, []);
    let throttle = config.connection_throttle;
    let found =
        [throttle.tokens_max, throttle.fill_count, throttle.new_session, throttle.renewed_session];
    assert_eq!(found, expected, "{lines}");
}

#[test]
fn connection_tokens_are_counted_in_new_sessions() {
    let on = "connection_throttle_weight_enabled=true\n";
    let weight = |kind, weight| format!("connection_throttle_{kind}_session_weight={weight}\n");
    check_tokens("", [10, 1, 1, 1]);
    check_tokens(&weight("global", 5), [10, 1, 1, 1]);
    check_tokens(on, [30, 3, 3, 2]);
    check_tokens(&format!("{on}{}", weight("global", 5)), [50, 5, 5, 2]);
    check_tokens(&format!("{on}{}", weight("global", 0)), [30, 3, 3, 2]);
    check_tokens(&format!("{on}{}", weight("renew", -1)), [30, 3, 3, 2]);
    check_tokens(&format!("{on}{}", weight("local", 7)), [70, 7, 7, 7]);
}

#[test]
fn what_is_stale_is_dropped_only_where_dropping_is_on() {
    let stale = |lines: &str| {
        let file = format!("{MINIMAL}request_stale_latency_check=true\n{lines}");
        let (config, _) = parse(&file, &[], Flags::default()).expect("valid");
        (config.request_throttle.drops_of_closed, config.request_throttle.drops_late)
    };
    assert_eq!(stale(""), (true, true));
    assert_eq!(stale("request_stale_connection_check=false"), (false, true));
    assert_eq!(stale("request_throttle_drop_stale=false"), (false, false));
}

#[test]
fn large_requests_without_a_positive_number_are_as_unset() {
    for lines in ["largeRequestThreshold=0\nlargeRequestMaxBytes=-5", "largeRequestThreshold=-7"] {
        let file = format!("{MINIMAL}{lines}");
        let (config, _) = parse(&file, &[], Flags::default()).expect("valid");
        assert_eq!(config.large_requests, super::LargeRequestLimit::default(), "{lines}");
    }
}
