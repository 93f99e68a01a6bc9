//! Authentication by the `auth` request: which identities a client's proof gives its connection.
//!
//! `sasl` and `x509` identities do not come this way: the one is negotiated in requests of its own,
//! the other comes with the TLS handshake.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha1::Digest;

use super::acl::Schemes;
use crate::protocol::{records::Id, reply::ClientInfo};

/// What an operator decided about authentication.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuthPolicy {
    /// Which schemes there are.
    pub schemes: Schemes,
    /// `DigestAuthenticationProvider.digestAlg`.
    pub digest_algorithm: DigestAlgorithm,
    /// `DigestAuthenticationProvider.superDigest`: the digest identity, `user:hash`, that is also
    /// the super user.
    pub super_digest: Option<String>,
    /// `authProvider.N` names the ensemble provider: `ensembleAuthName`'s names, none of which
    /// means that every name will do. `None`: there is no such scheme.
    pub ensemble_names: Option<Vec<String>>,
}

/// Why a proof was not accepted, and what the client is told. Its connection is closed either way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthError {
    /// Answered with `AuthFailed`.
    #[error("authentication failed")]
    Refused,
    /// The client looks for another ensemble. It gets no answer: it would stop trying.
    #[error("the client expects another ensemble")]
    OtherEnsemble,
}

/// Adds to `ids` the identities that `auth` proves under `scheme`, those that are new.
///
/// # Errors
///
/// See [`AuthError`]. `ids` is as it was.
pub fn authenticate(
    policy: &AuthPolicy,
    scheme: Option<&str>,
    auth: Option<&[u8]>,
    ids: &mut Vec<Id>,
) -> Result<(), AuthError> {
    match (scheme, auth) {
        (Some("digest"), Some(auth)) if policy.schemes.digest => {
            let proof = String::from_utf8_lossy(auth);
            let id = digest_id(policy.digest_algorithm, &proof);
            if policy.super_digest.as_ref() == Some(&id) {
                add("super", String::new(), ids);
            }
            add("digest", id, ids);
            Ok(())
        }
        // The connection has its address as an identity since it was accepted.
        (Some("ip"), _) => Ok(()),
        (Some("ensemble"), auth) => match &policy.ensemble_names {
            None => Err(AuthError::Refused),
            Some(names) => {
                let name = String::from_utf8_lossy(auth.unwrap_or_default());
                let is_listed = names.iter().any(|listed| *listed == name);
                let is_ours = name.is_empty() || names.is_empty() || is_listed;
                if is_ours { Ok(()) } else { Err(AuthError::OtherEnsemble) }
            }
        },
        _ => Err(AuthError::Refused),
    }
}

/// The `digest` identity of `user:password`: `user:` and the hash of the whole. Without a colon it
/// is all user.
#[must_use]
pub fn digest_id(algorithm: DigestAlgorithm, proof: &str) -> String {
    let user = proof.split_once(':').map_or(proof, |(user, _)| user);
    format!("{user}:{}", BASE64.encode(algorithm.hash(proof.as_bytes())))
}

/// What `whoAmI` and the audit log call somebody: never a password's hash.
#[must_use]
pub fn user_name(id: &Id) -> &str {
    match id.scheme.as_str() {
        "digest" => id.id.split_once(':').map_or(&*id.id, |(user, _)| user),
        _ => &id.id,
    }
}

/// An identity as `whoAmI` shows it.
#[must_use]
pub fn client_info(id: &Id) -> ClientInfo<'_> {
    ClientInfo { scheme: &id.scheme, user: user_name(id) }
}

fn add(scheme: &str, id: String, ids: &mut Vec<Id>) {
    let id = Id { scheme: scheme.to_owned(), id };
    if !ids.contains(&id) {
        ids.push(id);
    }
}

/// How digest identities hash a password.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names of the algorithms say everything")]
pub enum DigestAlgorithm {
    Md5,
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of224,
    Sha512Of256,
    Sha3Of224,
    Sha3Of256,
    Sha3Of384,
    Sha3Of512,
}

impl DigestAlgorithm {
    /// The algorithm that a Java virtual machine knows by this name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5,
            "SHA" | "SHA1" | "SHA-1" => Self::Sha1,
            "SHA224" | "SHA-224" => Self::Sha224,
            "SHA256" | "SHA-256" => Self::Sha256,
            "SHA384" | "SHA-384" => Self::Sha384,
            "SHA512" | "SHA-512" => Self::Sha512,
            "SHA512/224" | "SHA-512/224" => Self::Sha512Of224,
            "SHA512/256" | "SHA-512/256" => Self::Sha512Of256,
            "SHA3-224" => Self::Sha3Of224,
            "SHA3-256" => Self::Sha3Of256,
            "SHA3-384" => Self::Sha3Of384,
            "SHA3-512" => Self::Sha3Of512,
            _ => return None,
        })
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => md5::Md5::digest(bytes).to_vec(),
            Self::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Self::Sha224 => sha2::Sha224::digest(bytes).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
            Self::Sha512Of224 => sha2::Sha512_224::digest(bytes).to_vec(),
            Self::Sha512Of256 => sha2::Sha512_256::digest(bytes).to_vec(),
            Self::Sha3Of224 => sha3::Sha3_224::digest(bytes).to_vec(),
            Self::Sha3Of256 => sha3::Sha3_256::digest(bytes).to_vec(),
            Self::Sha3Of384 => sha3::Sha3_384::digest(bytes).to_vec(),
            Self::Sha3Of512 => sha3::Sha3_512::digest(bytes).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use expect_test::{Expect, expect};

    use super::*;

    fn check(policy: &AuthPolicy, scheme: Option<&str>, auth: Option<&str>, expected: &Expect) {
        let mut ids = vec![Id { scheme: "ip".to_owned(), id: "10.0.0.1".to_owned() }];
        let result = authenticate(policy, scheme, auth.map(str::as_bytes), &mut ids);
        let mut shown = format!("{result:?}");
        for id in &ids[1..] {
            shown.push_str(&format!(" {}|{}", id.scheme, id.id));
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn digest_makes_an_identity_of_user_and_password() {
        let policy = AuthPolicy::default();
        let digest = Some("digest");
        check(
            &policy,
            digest,
            Some("super:test"),
            &expect!["Ok(()) digest|super:D/InIHSb7yEEbrWz8b9l71RjZJU="],
        );
        check(
            &policy,
            digest,
            Some("nocolon"),
            &expect!["Ok(()) digest|nocolon:Ra+cHr2ZoHvBjtNArFGNGlVie4g="],
        );
        check(&policy, digest, Some(""), &expect!["Ok(()) digest|:2jmj7l5rSw0yVb/vlWAYkK/YBwk="]);
        check(
            &policy,
            digest,
            Some("user:with:colon"),
            &expect!["Ok(()) digest|user:NJ8sRh4p5eRVtdjorfBhifnJmCY="],
        );
        check(&policy, digest, None, &expect!["Err(Refused)"]);
    }

    #[test]
    fn the_super_digest_gives_the_super_user_too() {
        let policy = AuthPolicy {
            super_digest: Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".to_owned()),
            ..AuthPolicy::default()
        };
        check(
            &policy,
            Some("digest"),
            Some("super:test"),
            &expect!["Ok(()) super| digest|super:D/InIHSb7yEEbrWz8b9l71RjZJU="],
        );
    }

    #[test]
    fn other_schemes_cannot_be_had_by_asking() {
        let policy = AuthPolicy::default();
        check(&policy, Some("ip"), None, &expect!["Ok(())"]);
        for scheme in ["world", "auth", "sasl", "x509", "super", "ensemble", "Digest", ""] {
            check(&policy, Some(scheme), Some("super:test"), &expect!["Err(Refused)"]);
        }
        check(&policy, None, Some("super:test"), &expect!["Err(Refused)"]);
        let mut policy = policy;
        policy.schemes.digest = false;
        check(&policy, Some("digest"), Some("super:test"), &expect!["Err(Refused)"]);
    }

    #[test]
    fn a_client_of_another_ensemble_goes_elsewhere() {
        let names = vec!["one".to_owned(), "two".to_owned()];
        let mut policy = AuthPolicy { ensemble_names: Some(names), ..AuthPolicy::default() };
        let ensemble = Some("ensemble");
        check(&policy, ensemble, Some("two"), &expect!["Ok(())"]);
        check(&policy, ensemble, Some("three"), &expect!["Err(OtherEnsemble)"]);
        check(&policy, ensemble, Some(""), &expect!["Ok(())"]);
        check(&policy, ensemble, None, &expect!["Ok(())"]);
        policy.ensemble_names = Some(Vec::new());
        check(&policy, ensemble, Some("three"), &expect!["Ok(())"]);
    }

    #[test]
    fn the_same_proof_twice_is_one_identity() {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let proof = Some(&b"a:b"[..]);
            assert_eq!(
                authenticate(&AuthPolicy::default(), Some("digest"), proof, &mut ids),
                Ok(())
            );
        }
        assert_eq!(ids.len(), 1);
        assert_eq!(user_name(&ids[0]), "a");
    }

    /// The hashes of `a` are those that the algorithms' standards and every other tool give.
    #[test]
    fn algorithms_go_by_the_names_that_java_gives_them() {
        let mut shown = String::new();
        let names = [
            "md5",
            "SHA",
            "sha-1",
            "SHA-224",
            "SHA-256",
            "SHA-384",
            "SHA-512",
            "SHA-512/224",
            "SHA-512/256",
            "SHA3-224",
            "SHA3-256",
            "SHA3-384",
            "SHA3-512",
        ];
        for name in names {
            let algorithm = DigestAlgorithm::from_name(name).expect("a name that Java knows");
            let hash = algorithm.hash(b"a");
            let start: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            shown.push_str(&format!("{name} {start} {}\n", hash.len() * 8));
        }
        expect![[r#"
            md5 0cc175b9 128
            SHA 86f7e437 160
            sha-1 86f7e437 160
            SHA-224 abd37534 224
            SHA-256 ca978112 256
            SHA-384 54a59b9f 384
            SHA-512 1f40fc92 512
            SHA-512/224 d5cdb9cc 224
            SHA-512/256 455e5188 256
            SHA3-224 9e86ff69 224
            SHA3-256 80084bf2 256
            SHA3-384 1815f774 384
            SHA3-512 697f2d85 512
        "#]]
        .assert_eq(&shown);
        assert_eq!(DigestAlgorithm::from_name("MD2"), None);
    }
}
