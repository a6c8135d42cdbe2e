//! API keys and what each may ask for. Only their SHA-256 digests are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use assize_policies::{LimitsRequest, Profile};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::rights::Rights;

/// A key as a configuration file names it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Whose it is.
    pub tenant: String,
    /// `printf %s KEY | sha256sum`
    pub sha256: String,
    /// Profiles it may name; all that are requestable when absent.
    #[serde(default)]
    pub profiles: Option<BTreeSet<String>>,
    /// Limits it gets no more than, on top of what profiles say.
    #[serde(default)]
    pub ceiling: LimitsRequest,
}

impl From<(String, String)> for Key {
    /// A tenant and a digest, without restrictions.
    fn from((tenant, sha256): (String, String)) -> Self {
        Self {
            tenant,
            sha256,
            ..Self::default()
        }
    }
}

/// Who asks, and what they may ask for.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: String,
    pub(crate) rights: Rights,
}

/// Known keys by digest (hex). Empty means open, and then the server listens
/// on loopback only.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    callers: BTreeMap<String, Arc<Caller>>,
}

impl Keys {
    /// From keys, or (tenant, SHA-256 of the key in hex) pairs. Says which is
    /// malformed.
    pub fn new<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Result<Self, String> {
        let mut callers = BTreeMap::new();
        for key in keys {
            let Key {
                tenant,
                sha256,
                profiles,
                ceiling,
            } = key.into();
            let digest = sha256.trim_start_matches("sha256:").to_ascii_lowercase();
            if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(format!("key of {tenant:?} is not a SHA-256 digest in hex"));
            }
            if let Err(e) = ceiling.check_ceiling() {
                let field = e.field();
                let limit = field.trim_start_matches("limits.");
                return Err(format!("key of {tenant:?}: ceiling.{limit}: {e}"));
            }
            let rights = Rights::limited(profiles, ceiling).of(&tenant);
            let caller = Arc::new(Caller { tenant, rights });
            if callers.insert(digest, Arc::clone(&caller)).is_some() {
                return Err(format!("key of {:?} is listed twice", caller.tenant));
            }
        }
        Ok(Self { callers })
    }

    /// Whether anybody may ask anything.
    #[must_use]
    pub fn open(&self) -> bool {
        self.callers.is_empty()
    }

    /// Checks that every profile a key is limited to exists and may be named:
    /// a misspelt one would lock its tenant out without a word.
    pub(crate) fn check<'a>(
        &self,
        profiles: impl Iterator<Item = &'a Arc<Profile>>,
    ) -> Result<(), String> {
        let requestable: BTreeSet<&str> = profiles
            .filter(|p| p.requestable)
            .map(|p| p.name.as_str())
            .collect();
        for caller in self.callers.values() {
            for name in caller.rights.named() {
                if !requestable.contains(name) {
                    let tenant = &caller.tenant;
                    return Err(format!(
                        "key of {tenant:?}: profiles: {name:?} is not a profile that requests may name"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Who sends a request. Looking a digest up leaks nothing of the key by
    /// its timing: an attacker cannot choose prefixes of a hash.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, ApiError> {
        if self.open() {
            if !names_this_machine(headers) {
                let message = "without API keys only this machine is served, by its own name: \
                               use 127.0.0.1, [::1] or localhost";
                return Err(
                    ApiError::new(StatusCode::FORBIDDEN, "foreign_host", message).field("host"),
                );
            }
            return Ok(Arc::new(Caller {
                tenant: "anonymous".to_owned(),
                rights: Rights::all(),
            }));
        }
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.strip_prefix("Bearer "));
        let key = bearer.or_else(|| headers.get("x-api-key").and_then(|v| v.to_str().ok()));
        let refused = |message: &str| {
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).field("authorization")
        };
        let key = key.ok_or_else(|| {
            refused("send your key as `Authorization: Bearer <key>` or `X-API-Key: <key>`")
        })?;
        let digest: String = Sha256::digest(key.trim())
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.callers
            .get(&digest)
            .cloned()
            .ok_or_else(|| refused("this key is not known here"))
    }
}

/// Whether a request calls us by a loopback name. A page in somebody's browser
/// may be served from a name that its owner points at 127.0.0.1 later (DNS
/// rebinding); the browser then lets the page talk to us, under that name.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let loopback = address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    loopback || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use assize_policies::Profiles;

    use super::*;

    // printf secret | sha256sum
    const DIGEST: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    #[test]
    fn only_a_known_key_names_a_tenant() {
        let keys = Keys::new([("lab".to_owned(), DIGEST.to_owned())]).unwrap();
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let caller = keys.caller(&headers).map_err(|e| e.status.as_u16())?;
            assert_eq!(caller.rights, Rights::all().of("lab"));
            Ok(caller.tenant.clone())
        };
        assert_eq!(with("authorization", "Bearer secret"), Ok("lab".into()));
        assert_eq!(with("x-api-key", "secret"), Ok("lab".into()));
        assert_eq!(with("x-api-key", "wrong"), Err(401));
        assert_eq!(with("accept", "x"), Err(401));
        assert!(Keys::new([("x".to_owned(), "secret".to_owned())]).is_err());
    }

    #[test]
    fn without_keys_only_loopback_names_are_served() {
        let served = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("host", host.parse().unwrap());
            Keys::default().caller(&headers).is_ok()
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "localhost:80",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(served(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "10.0.0.1",
        ] {
            assert!(!served(host), "{host}");
        }
        assert!(Keys::default().caller(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_key_can_be_limited_to_profiles_that_exist() {
        let key = |profile: &str| Key {
            profiles: Some([profile.to_owned()].into()),
            ..Key::from(("lab".to_owned(), DIGEST.to_owned()))
        };
        let shipped = Profiles::shipped().unwrap();
        let keys = Keys::new([key("strict")]).unwrap();
        keys.check(shipped.iter()).unwrap();
        let rights = &keys.callers[DIGEST].rights;
        let grants = |name: &str| rights.grants(shipped.get(name).unwrap());
        assert!(grants("strict") && !grants("default"));
        for wrong in ["strickt", "worker"] {
            let said = Keys::new([key(wrong)])
                .unwrap()
                .check(shipped.iter())
                .unwrap_err();
            assert!(said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn a_ceiling_under_which_nothing_runs_and_a_key_given_twice_are_refused() {
        let mut key = Key::from(("lab".to_owned(), DIGEST.to_owned()));
        assert!(
            Keys::new([key.clone(), key.clone()])
                .unwrap_err()
                .contains("twice")
        );
        key.ceiling.memory_bytes = Some(1);
        let said = Keys::new([key]).unwrap_err();
        assert!(said.contains("ceiling.memory_bytes"), "{said}");
    }
}
