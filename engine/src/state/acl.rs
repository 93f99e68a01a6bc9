//! Access control lists: who may do what to a znode, and which lists a client may set.
//!
//! Which schemes a server offers decides what may be set, before a command is made; it does not
//! decide what matches, because applying a command must not depend on settings.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::outcome::Change;
use crate::protocol::{
    error_code::ErrorCode,
    records::{Acl, Id, perms},
};

/// The schemes that an operator can switch on and off. `world`, `ip` and `auth` are always there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schemes {
    /// `DigestAuthenticationProvider.enabled`: on unless switched off.
    pub digest: bool,
    /// `authProvider.N` names a SASL provider.
    pub sasl: bool,
    /// `authProvider.N` names an X.509 provider, or clients may come over TLS.
    pub x509: bool,
}

impl Default for Schemes {
    fn default() -> Self {
        Self { digest: true, sasl: false, x509: false }
    }
}

/// The `ip` identity of a connection, as Java writes addresses: IPv6 with all of its eight groups.
/// An IPv4 client of an IPv6 socket is an IPv4 client.
#[must_use]
pub fn ip_id(address: IpAddr) -> Id {
    let id = match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:x}")).join(":"),
    };
    Id { scheme: "ip".to_owned(), id }
}

/// The list that anybody may use in any way: `world:anyone` with all permissions.
#[must_use]
pub fn open() -> Vec<Acl> {
    let id = Id { scheme: "world".to_owned(), id: "anyone".to_owned() };
    Vec::from([Acl { perms: perms::ALL, id }])
}

/// Whether one of the identities `auth` has one of the permissions `needed` under `acl`. An empty
/// list permits everything.
#[must_use]
pub fn permitted(acl: &[Acl], needed: i32, auth: &[Id], skip_acl: bool) -> bool {
    skip_acl
        || acl.is_empty()
        || auth.iter().any(|id| id.scheme == "super")
        || acl.iter().any(|entry| entry.perms & needed != 0 && matches_any(&entry.id, auth))
}

/// Whether a watcher with the identities `auth` may be told of `change`: it must be allowed to read
/// the znode, or it would learn what a read would not tell it.
#[must_use]
pub fn may_be_told(change: &Change, auth: &[Id], skip_acl: bool) -> bool {
    permitted(&change.acl, perms::READ, auth, skip_acl)
}

/// The list that a create or setACL stores for what the client sent: without duplicates, `auth`
/// entries replaced by the connection's authenticated identities, permissions as they came.
///
/// # Errors
///
/// `InvalidAcl`: nothing is left, or an entry means nothing under `schemes`.
pub fn resolve(acl: Option<&[Acl]>, auth: &[Id], schemes: Schemes) -> Result<Vec<Acl>, ErrorCode> {
    let sent = acl.unwrap_or_default();
    let mut resolved = Vec::with_capacity(sent.len());
    for (index, entry) in sent.iter().enumerate() {
        if sent.iter().take(index).any(|earlier| earlier == entry) {
            continue;
        }
        if entry.id.scheme == "auth" {
            // The id that came with the entry means nothing. Identities that a client has without
            // proving anything (its address) and the super user do not count.
            let count_before = resolved.len();
            let proven = auth.iter().filter(|id| is_proven(id, schemes)).cloned();
            resolved.extend(proven.map(|id| Acl { perms: entry.perms, id }));
            if resolved.len() == count_before {
                return Err(ErrorCode::InvalidAcl);
            }
        } else if is_valid(&entry.id, schemes) {
            resolved.push(entry.clone());
        } else {
            return Err(ErrorCode::InvalidAcl);
        }
    }
    if resolved.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(resolved) }
}

/// `acl` for readers without ADMIN: hashes of passwords are replaced by `x`.
#[must_use]
pub fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mut acl = acl.to_vec();
    for entry in acl.iter_mut().filter(|entry| entry.id.scheme == "digest") {
        if let Some((user, _)) = entry.id.id.split_once(':') {
            entry.id.id = format!("{user}:x");
        }
    }
    acl
}

fn matches_any(wanted: &Id, auth: &[Id]) -> bool {
    if wanted.scheme == "world" {
        return wanted.id == "anyone";
    }
    auth.iter().any(|id| id.scheme == wanted.scheme && matches(id, wanted))
}

/// Whether somebody with the identity `id` is meant by `wanted`, of the same scheme.
fn matches(id: &Id, wanted: &Id) -> bool {
    match wanted.scheme.as_str() {
        "ip" => match (Network::parse(&id.id), Network::parse(&wanted.id)) {
            (Some(host), Some(network)) => network.contains(host.address),
            _ => false,
        },
        "sasl" => id.id == wanted.id || id.id == "super",
        "digest" | "x509" => id.id == wanted.id,
        _ => false,
    }
}

fn is_proven(id: &Id, schemes: Schemes) -> bool {
    match id.scheme.as_str() {
        "digest" => schemes.digest,
        "sasl" => schemes.sasl,
        "x509" => schemes.x509,
        _ => false,
    }
}

fn is_valid(id: &Id, schemes: Schemes) -> bool {
    match id.scheme.as_str() {
        "world" => id.id == "anyone",
        "ip" => Network::parse(&id.id).is_some(),
        "digest" => schemes.digest && is_digest_id(&id.id),
        "sasl" => schemes.sasl && is_principal(&id.id),
        "x509" => schemes.x509 && is_distinguished_name(&id.id),
        _ => false,
    }
}

/// `user:hash`: two parts, of which the first may be empty. Colons at the end do not count.
fn is_digest_id(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// A Kerberos principal, `service/host@REALM` with host and realm optional: a name with an `@`
/// must have that shape, one without may be anything.
fn is_principal(id: &str) -> bool {
    match id.split_once('@') {
        None => true,
        Some((name, realm)) => name.split('/').count() <= 2 && !realm.contains(['@', '/']),
    }
}

/// A distinguished name as of RFC 2253: `key=value` pairs between commas, semicolons or pluses;
/// a backslash or quotes protect a separator. Which keys exist is not checked.
fn is_distinguished_name(id: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let separated = id.split(|character| {
        let is_separator = !quoted && !escaped && matches!(character, ',' | ';' | '+');
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        is_separator
    });
    let is_pair = |pair: &str| {
        let key = pair.split_once('=').map_or("", |(key, _)| key).trim();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ' ');
        !key.is_empty() && key.chars().all(is_word)
    };
    let mut separated = separated;
    // The empty name is a name: the one of nobody.
    id.trim().is_empty() || separated.all(is_pair)
}

/// An address and how many of its bits must agree: all of them where no `/bits` follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(u32::try_from(java_int(bits)?).ok()?)),
            None => (text, None),
        };
        let address = if address.contains(':') {
            // Apache knows no IPv4 address at the end of an IPv6 one.
            let is_pure = !address.contains('.');
            IpAddr::V6(address.parse::<Ipv6Addr>().ok().filter(|_| is_pure)?)
        } else {
            IpAddr::V4(parse_v4(address)?)
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// A number as Java reads it: with a sign or without, so that `-0` is one, too.
fn java_int(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// Four decimal numbers. Unlike Rust's own parser, and like Java's, it takes leading zeros.
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = u8::try_from(java_int(parts.next()?)?).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// An entry written as clients' shells do, `scheme:id:permissions`: for tests and messages.
#[must_use]
pub fn describe(entry: &Acl) -> String {
    let Acl { perms, id: Id { scheme, id } } = entry;
    let letters = [
        (perms::CREATE, 'c'),
        (perms::DELETE, 'd'),
        (perms::READ, 'r'),
        (perms::WRITE, 'w'),
        (perms::ADMIN, 'a'),
    ];
    let letters = letters.iter().filter(|(bit, _)| perms & bit != 0);
    format!("{scheme}:{id}:{}", letters.map(|(_, letter)| letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    const ALL_SCHEMES: Schemes = Schemes { digest: true, sasl: true, x509: true };

    fn id(text: &str) -> Id {
        let (scheme, id) = text.split_once(':').expect("scheme:id");
        Id { scheme: scheme.to_owned(), id: id.to_owned() }
    }

    /// `scheme:id=permissions`, the permissions as a number.
    fn entries(text: &str) -> Vec<Acl> {
        let entry = |word: &str| {
            let (name, perms) = word.rsplit_once('=').expect("entry=permissions");
            Acl { perms: perms.parse().expect("a number"), id: id(name) }
        };
        text.split_whitespace().map(entry).collect()
    }

    fn check_resolve(sent: &str, auth: &[&str], schemes: Schemes, expected: &Expect) {
        let auth: Vec<Id> = auth.iter().map(|text| id(text)).collect();
        let shown = match resolve(Some(&entries(sent)), &auth, schemes) {
            Ok(acl) => {
                let show =
                    |entry: &Acl| format!("{}:{}={}", entry.id.scheme, entry.id.id, entry.perms);
                acl.iter().map(show).collect::<Vec<_>>().join(" ")
            }
            Err(code) => format!("{code:?}"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn auth_stands_for_every_proven_identity() {
        check_resolve(
            "auth:ignored=31",
            &["ip:10.0.0.1", "super:", "digest:a:hash", "sasl:b@R"],
            ALL_SCHEMES,
            &expect!["digest:a:hash=31 sasl:b@R=31"],
        );
        check_resolve("auth:=31", &["ip:10.0.0.1"], ALL_SCHEMES, &expect!["InvalidAcl"]);
        check_resolve("auth:=1", &["sasl:b"], Schemes::default(), &expect!["InvalidAcl"]);
    }

    #[test]
    fn duplicates_go_and_permissions_stay_as_they_came() {
        check_resolve(
            "world:anyone=1 world:anyone=1 world:anyone=0 world:anyone=64 world:anyone=-1",
            &[],
            Schemes::default(),
            &expect!["world:anyone=1 world:anyone=0 world:anyone=64 world:anyone=-1"],
        );
    }

    #[test]
    fn lists_that_mean_nothing_are_refused() {
        assert_eq!(resolve(None, &[], ALL_SCHEMES), Err(ErrorCode::InvalidAcl));
        assert_eq!(resolve(Some(&[]), &[], ALL_SCHEMES), Err(ErrorCode::InvalidAcl));
        let bad = [
            "world:somebody",
            "super:",
            "unknown:x",
            "ensemble:x",
            "digest:user",
            "digest:user:",
            "digest::",
            "digest:a:b:c",
            "ip:1.2.3",
            "ip:1.2.3.4.5",
            "ip:1.2.3.256",
            "ip:1.2.3.4/33",
            "ip:1.2.3.4/-1",
            "ip:1.2.3.4/",
            "ip:localhost",
            "ip:::1/129",
            "ip:1:2",
            "sasl:a/b/c@R",
            "sasl:a@b@c",
            "sasl:a@b/c",
            "x509:no pair",
        ];
        let good = [
            "world:anyone",
            "digest:user:hash",
            "digest::hash",
            "digest:a:b:",
            "ip:1.2.3.4",
            "ip:01.2.3.4/0",
            "ip:::1/128",
            "ip:fe80::/10",
            "sasl:anything/at/all",
            "sasl:a/b@R",
            "sasl:a@R",
            "x509:CN=a, O=\"b, c\", OU=d\\, e",
            "x509:",
        ];
        for text in bad.iter().chain(&good) {
            let entry = Acl { perms: 31, id: id(text) };
            let is_good = resolve(Some(&[entry]), &[], ALL_SCHEMES).is_ok();
            assert_eq!(is_good, good.contains(text), "{text}");
        }
    }

    #[test]
    fn a_scheme_that_is_off_is_unknown() {
        check_resolve("sasl:a=31", &[], Schemes::default(), &expect!["InvalidAcl"]);
        check_resolve("x509:CN=a=31", &[], Schemes::default(), &expect!["InvalidAcl"]);
        let no_digest = Schemes { digest: false, ..ALL_SCHEMES };
        check_resolve("digest:a:b=31", &[], no_digest, &expect!["InvalidAcl"]);
    }

    fn may(acl: &str, needed: i32, auth: &[&str]) -> bool {
        let auth: Vec<Id> = auth.iter().map(|text| id(text)).collect();
        permitted(&entries(acl), needed, &auth, false)
    }

    #[test]
    fn who_may_do_what() {
        assert!(may("", perms::ALL, &[]), "an empty list permits everything");
        assert!(may("digest:a:h=1", perms::ADMIN, &["super:"]), "the super user may do anything");
        assert!(may("world:anyone=1", perms::READ, &[]));
        assert!(!may("world:anyone=1", perms::WRITE, &[]));
        assert!(may("world:anyone=1", perms::READ | perms::ADMIN, &[]), "one of them is enough");
        assert!(may("world:anyone=-1", perms::DELETE, &[]));
        assert!(!may("world:other=31", perms::READ, &["world:other"]));
        assert!(may("digest:a:h=31", perms::READ, &["digest:b:x", "digest:a:h"]));
        assert!(!may("digest:a:h=31", perms::READ, &["sasl:a:h"]), "the scheme must agree");
        assert!(may("sasl:a=31", perms::READ, &["sasl:super"]));
        assert!(may("x509:CN=a=31", perms::READ, &["x509:CN=a"]));
        assert!(!may("unknown:a=31", perms::READ, &["unknown:a"]));
        assert!(permitted(&entries("digest:a:h=31"), perms::READ, &[], true), "skipACL");
    }

    #[test]
    fn addresses_match_networks() {
        let matches = |acl: &str, host: &str| {
            may(&format!("ip:{acl}=31"), perms::READ, &[&format!("ip:{host}")])
        };
        assert!(matches("10.1.2.3", "10.1.2.3"));
        assert!(!matches("10.1.2.3", "10.1.2.4"));
        assert!(matches("10.1.2.3/24", "10.1.2.255"));
        assert!(!matches("10.1.2.3/24", "10.1.3.3"));
        assert!(matches("10.1.2.3/0", "200.1.1.1"));
        assert!(!matches("0.0.0.0/0", "::2"), "families do not mix");
        assert!(matches("fe80::/10", "fe80::1"));
        assert!(!matches("fe80::/10", "fd80::1"));
        assert!(matches("::/0", "fd80::1"));
        assert!(!matches("::ffff:10.1.2.3", "10.1.2.3"), "no form of Apache's");
        assert!(!matches("::ffff:a01:203", "10.1.2.3"), "another kind of address");
    }

    #[test]
    fn connections_are_known_by_their_plain_address() {
        let shown = |text: &str| ip_id(text.parse().expect("an address")).id;
        assert_eq!(shown("10.1.2.3"), "10.1.2.3");
        assert_eq!(shown("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(shown("fe80::1"), "fe80:0:0:0:0:0:0:1");
    }

    #[test]
    fn hashes_are_masked() {
        let acl = entries("digest:user:hash=31 digest:strange=1 ip:::1=1 sasl:a:b=1");
        let masked: Vec<_> = masked(&acl).iter().map(describe).collect();
        expect!["digest:user:x:cdrwa digest:strange:r ip:::1:r sasl:a:b:r"]
            .assert_eq(&masked.join(" "));
    }

    proptest! {
        /// A network is the addresses that agree with it in its first bits, bit by bit.
        #[test]
        fn networks_are_prefixes(network: u32, bits in 0..=32u32, flipped in 0..33u32) {
            let flip = if flipped == 32 { 0 } else { 1_u32 << flipped };
            let host = Ipv4Addr::from(network ^ flip);
            let network = format!("{}/{bits}", Ipv4Addr::from(network));
            let network = Network::parse(&network).expect("a network");
            let is_within = flipped == 32 || flipped < 32 - bits;
            prop_assert_eq!(network.contains(IpAddr::V4(host)), is_within);
        }

        /// Nothing that a client can send as an id stops the server, and whoever is allowed to be
        /// named is allowed what is said.
        #[test]
        fn any_id_is_valid_or_not(text in ".{0,20}") {
            for scheme in ["world", "ip", "digest", "sasl", "x509", "auth"] {
                let id = Id { scheme: scheme.to_owned(), id: text.clone() };
                let acl = [Acl { perms: 31, id }];
                if let Ok(acl) = resolve(Some(&acl), &[], ALL_SCHEMES) {
                    prop_assert!(permitted(&acl, perms::READ, &[acl[0].id.clone()], false));
                }
            }
        }
    }
}
