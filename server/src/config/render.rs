//! The configuration as text: one line for the trace at start, and the tables of keys for
//! `ringkeeper config-keys` and the documentation.

use std::fmt::Write;

use super::{
    Config, FourLetterWords,
    keys::{KEYS, Source, State},
};

impl Config {
    /// What holds, on one line, in ZooKeeper's names. Secrets are left out.
    pub(crate) fn effective_line(&self) -> String {
        let words = match &self.four_letter_words {
            FourLetterWords::All => "*".to_owned(),
            FourLetterWords::These(words) => words.join(","),
        };
        let listen: Vec<String> = self.listen.iter().map(ToString::to_string).collect();
        let mut line = format!(
            "myid={} dataDir={} dataLogDir={} listen={} tickTime={} minSessionTimeout={} \
             maxSessionTimeout={} maxClientCnxns={} maxCnxns={} jute.maxbuffer={} \
             globalOutstandingLimit={} snapCount={} 4lw.commands.whitelist={words}",
            self.replica_id.0,
            self.data_dir.display(),
            self.data_log_dir.display(),
            listen.join(","),
            self.tick_time_ms,
            self.min_session_timeout_ms,
            self.max_session_timeout_ms,
            self.max_client_cnxns,
            self.max_cnxns,
            self.jute_maxbuffer_bytes,
            self.global_outstanding_limit,
            self.snap_count,
        );
        let switches = [
            ("skipACL", self.skip_acl),
            ("enforceQuota", self.enforce_quota),
            ("extendedTypesEnabled", self.extended_types),
            ("emulate353TTLNodes", self.emulate_353_ttl),
            ("reconfigEnabled", self.reconfig_enabled),
            ("readonlymode.enabled", self.read_only_mode),
            ("enableEagerACLCheck", self.eager_acl_check),
            ("sessionRequireClientSASLAuth", self.require_sasl),
            ("enforce.auth.enabled", self.enforce_auth),
            ("superDigest", self.auth.super_digest.is_some()),
            ("connection_throttle_tokens", self.connection_throttle.tokens_max > 0),
            ("request_throttle_max_requests", self.request_throttle.requests_max > 0),
            ("largeRequestThreshold", self.large_requests.threshold_bytes.is_some()),
        ];
        for (name, _) in switches.iter().filter(|(_, is_on)| *is_on) {
            line.push_str(" +");
            line.push_str(name);
        }
        line
    }
}

/// How a key is written: `-D` for those that stand on the command line only.
#[cfg(test)]
fn written(key: &super::keys::Key) -> String {
    match key.source {
        Source::Java => format!("`-D{}`", key.name),
        Source::File => format!("`{}`", key.name),
        Source::Property => format!("`{}` *", key.name),
    }
}

/// Every key with its state, one per line, for a terminal.
pub(crate) fn keys_listing() -> String {
    let mut listing = String::new();
    for key in KEYS {
        let name = match key.source {
            Source::File => key.name.to_owned(),
            Source::Property | Source::Java => format!("-D{}", key.define()),
        };
        let (state, note) = match key.state {
            State::Honoured if key.default.is_empty() => ("honoured", key.meaning.to_owned()),
            State::Honoured => ("honoured", format!("{} [{}]", key.meaning, key.default)),
            State::Accepted(reason) => ("no effect", reason.to_owned()),
            State::NotYet { missing, .. } => ("not yet", format!("needs {missing}")),
        };
        writeln!(listing, "{name:<56} {state:<9} {note}").expect("a String takes everything");
    }
    listing
}

/// The keys that are honoured, as a table of `docs/operations.md`.
#[cfg(test)]
fn operations_table() -> String {
    let mut table = String::from("| Key | Default | Meaning |\n| --- | --- | --- |\n");
    for key in KEYS.iter().filter(|key| key.state == State::Honoured) {
        let default = match key.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        writeln!(table, "| {} | {default} | {} |", written(key), key.meaning)
            .expect("a String takes everything");
    }
    table
}

/// Every key with its state, as a table of `docs/compatibility.md`.
#[cfg(test)]
fn compatibility_table() -> String {
    let mut table = String::from("| Key | State | Note |\n| --- | --- | --- |\n");
    for key in KEYS {
        let (state, note) = match key.state {
            State::Honoured => ("honoured", String::new()),
            State::Accepted(reason) => ("accepted, no effect", reason.to_owned()),
            State::NotYet { missing, .. } => ("not yet, warned about", format!("needs {missing}")),
        };
        writeln!(table, "| {} | {state} | {note} |", written(key))
            .expect("a String takes everything");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use expect_test::expect;

    use super::*;

    /// Compares the part of a document between two marks with what the table says; with
    /// `UPDATE_EXPECT=1`, writes it.
    fn check_document(name: &str, mark: &str, source: &str, table: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        let text = fs::read_to_string(&path).expect("the document is there");
        let begin = format!("<!-- {mark}: from server/src/{source} -->\n");
        let end = format!("<!-- end of {mark} -->\n");
        let start = text.find(&begin).expect("the first mark is there") + begin.len();
        let stop = start + text[start..].find(&end).expect("the last mark is there");
        let wanted = format!("\n{table}\n");
        if text[start..stop] == wanted {
            return;
        }
        assert!(env::var_os("UPDATE_EXPECT").is_some(), "{name}: run with UPDATE_EXPECT=1");
        fs::write(&path, format!("{}{wanted}{}", &text[..start], &text[stop..]))
            .expect("the document can be written");
    }

    #[test]
    fn operations_lists_the_honoured_keys() {
        check_document("operations.md", "keys", "config/keys.rs", &operations_table());
    }

    #[test]
    fn operations_lists_the_exit_codes() {
        let table = crate::exit_code::table();
        check_document("operations.md", "exit codes", "exit_code.rs", &table);
    }

    #[test]
    fn compatibility_lists_every_key() {
        check_document("compatibility.md", "keys", "config/keys.rs", &compatibility_table());
    }

    #[test]
    fn the_effective_line_hides_secrets() {
        let mut config = Config::new("/data".into(), ([127, 0, 0, 1], 2181).into());
        config.auth.super_digest = Some("super:secret".to_owned());
        config.skip_acl = true;
        expect![[r#"
            myid=0 dataDir=/data dataLogDir=/data listen=127.0.0.1:2181
              tickTime=3000 minSessionTimeout=6000 maxSessionTimeout=60000
              maxClientCnxns=60 maxCnxns=0 jute.maxbuffer=1048575
              globalOutstandingLimit=1000 snapCount=100000
              4lw.commands.whitelist=srvr +skipACL +superDigest
        "#]]
        .assert_eq(&crate::config::wrapped(&config.effective_line()));
    }
}
