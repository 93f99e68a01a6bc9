//! The `server.N` lines: who belongs to the ensemble.
//!
//! `host:port:port[:participant|observer][|host:port:port..][;[address:]port[;..]]`, an IPv6
//! address in brackets.

use super::{ConfigError, settings::Settings};

/// What one `server.N` line says, as far as a single server needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Server {
    /// `N`.
    pub(super) id: u16,
    /// Whether it votes.
    pub(super) is_participant: bool,
    /// Where clients connect, if the line says so: address (or empty) and port.
    pub(super) client: Option<(String, u16)>,
}

const FORM: &str = "host:port:port[:participant|observer][;[address:]port]";

/// Highest `N`: it is the first byte of every session id.
pub(super) const ID_MAX: i64 = 255;

/// All servers, in order of `N`.
pub(super) fn read(settings: &Settings) -> Result<Vec<Server>, ConfigError> {
    let mut servers = Vec::new();
    for (number, setting) in settings.numbered("server.N") {
        let key = format!("server.{number}");
        let id = number.parse().ok().filter(|id| i64::from(*id) <= ID_MAX);
        let id = id.ok_or_else(|| {
            setting.refused(&key, format!("server.N with a whole number N from 0 to {ID_MAX}"))
        })?;
        servers.push(parse(id, &setting.value).ok_or_else(|| setting.refused(&key, FORM))?);
    }
    servers.sort_unstable_by_key(|server| server.id);
    Ok(servers)
}

fn parse(id: u16, line: &str) -> Option<Server> {
    let mut parts = line.split(';').map(str::trim);
    let mut is_participant = true;
    for (index, address) in parts.next()?.split('|').enumerate() {
        let (_, rest) = split_host(address)?;
        let mut fields = rest.split(':');
        port(fields.next()?)?;
        port(fields.next()?)?;
        match fields.next().map(str::to_ascii_lowercase).as_deref() {
            None => {}
            Some("participant") => {}
            // The first address carries the role.
            Some("observer") => is_participant = index > 0 && is_participant,
            Some(_) => return None,
        }
        if fields.next().is_some() {
            return None;
        }
    }
    let client = match parts.next() {
        None | Some("") => None,
        Some(client) => Some(match split_host(client) {
            Some((address, number)) => (address.to_owned(), port(number)?),
            None => (String::new(), port(client)?),
        }),
    };
    Some(Server { id, is_participant, client })
}

/// Host and what follows its colon. An IPv6 address stands in brackets.
pub(super) fn split_host(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            Some((host, rest.strip_prefix(':')?))
        }
        None => text.split_once(':').filter(|(host, _)| !host.is_empty()),
    }
}

fn port(text: &str) -> Option<u16> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(line: &str) -> Option<(String, u16)> {
        parse(1, line).expect("well-formed").client
    }

    #[test]
    fn forms_of_a_line() {
        assert!(parse(1, "zoo1:2888:3888").expect("well-formed").is_participant);
        assert!(!parse(1, "zoo1:2888:3888:observer").expect("well-formed").is_participant);
        assert_eq!(client("zoo1:2888:3888"), None);
        assert_eq!(client("zoo1:2888:3888;2181"), Some((String::new(), 2181)));
        assert_eq!(
            client("[::1]:2888:3888:participant;[2001:db8::1]:2181"),
            Some(("2001:db8::1".to_owned(), 2181)),
        );
        assert_eq!(
            client("a:2888:3888:participant|b:2889:3889;0.0.0.0:2181;0.0.0.0:2281"),
            Some(("0.0.0.0".to_owned(), 2181)),
        );
        for wrong in
            ["zoo1", "zoo1:2888", "zoo1:2888:x", "zoo1:1:2:boss", "a:1:2;x", ":1:2", "[::1:1:2"]
        {
            assert_eq!(parse(1, wrong), None, "{wrong}");
        }
    }
}
