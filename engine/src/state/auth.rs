//! Authentication by the `auth` request: which identities a client's proof gives its connection.
//!
//! `sasl` and `x509` identities do not come this way: the one is negotiated in requests of its own,
//! the other comes with the TLS handshake.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha1::Digest;

use super::acl::Schemes;
use crate::protocol::records::Id;

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
