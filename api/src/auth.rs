//! API keys. Only their SHA-256 digests are ever stored.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// Known keys: digest (hex) to tenant. Empty means open, and then the server
/// listens on loopback only.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    tenants: BTreeMap<String, String>,
}

impl Keys {
    /// From (tenant, SHA-256 of the key in hex) pairs. Says which is malformed.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let mut tenants = BTreeMap::new();
        for (tenant, digest) in pairs {
            let digest = digest.trim_start_matches("sha256:").to_ascii_lowercase();
            if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(format!("key of {tenant:?} is not a SHA-256 digest in hex"));
            }
            tenants.insert(digest, tenant);
        }
        Ok(Self { tenants })
    }

    /// Whether anybody may ask anything.
    #[must_use]
    pub fn open(&self) -> bool {
        self.tenants.is_empty()
    }

    /// The tenant a request belongs to. Looking a digest up leaks nothing of
    /// the key by its timing: an attacker cannot choose prefixes of a hash.
    pub(crate) fn tenant(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        if self.open() {
            return Ok("anonymous".to_owned());
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
        self.tenants
            .get(&digest)
            .cloned()
            .ok_or_else(|| refused("this key is not known here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_key_names_a_tenant() {
        // printf secret | sha256sum
        let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let keys = Keys::new([("lab".to_owned(), digest.to_owned())]).unwrap();
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            keys.tenant(&headers).map_err(|e| e.status.as_u16())
        };
        assert_eq!(with("authorization", "Bearer secret"), Ok("lab".into()));
        assert_eq!(with("x-api-key", "secret"), Ok("lab".into()));
        assert_eq!(with("x-api-key", "wrong"), Err(401));
        assert_eq!(with("accept", "x"), Err(401));
        assert!(Keys::new([("x".to_owned(), "secret".to_owned())]).is_err());
    }
}
