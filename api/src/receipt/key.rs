//! The key that signs, and the one that everybody may have.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde_json::Value;

use super::digests::sha256;

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no private key.
    #[error("not an Ed25519 private key in PKCS#8 PEM (openssl genpkey -algorithm ed25519)")]
    Private,
    /// The text is no public key.
    #[error("not an Ed25519 public key: PEM, 32 bytes in base64, or what /v1/receipts/key answers")]
    Public,
    /// The host has no randomness.
    #[error("no randomness: {0}")]
    Random(String),
}

/// What signs receipts. Its secret half is wiped when it is dropped.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
    ephemeral: bool,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// A new key, which lives as long as this process unless it is stored.
    ///
    /// # Errors
    /// When the host has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| KeyError::Random(e.to_string()))?;
        Ok(Self::new(SigningKey::from_bytes(&seed), true))
    }

    /// A stored key: PKCS#8 in PEM.
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = SigningKey::from_pkcs8_pem(text.trim()).map_err(|_| KeyError::Private)?;
        Ok(Self::new(key, false))
    }

    /// To be stored, readable by nobody else.
    ///
    /// # Errors
    /// Never, as far as is known.
    pub fn to_pem(&self) -> Result<impl AsRef<[u8]> + use<>, KeyError> {
        // Without the public half, which openssl does not read.
        let bytes = KeypairBytes {
            secret_key: self.key.to_bytes(),
            public_key: None,
        };
        // It wipes itself.
        bytes
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::Private)
    }

    fn new(key: SigningKey, ephemeral: bool) -> Self {
        let public = PublicKey::new(key.verifying_key());
        Self {
            key,
            public,
            ephemeral,
        }
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether it is forgotten when the server stops.
    #[must_use]
    pub fn ephemeral(&self) -> bool {
        self.ephemeral
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> String {
        STANDARD.encode(self.key.sign(bytes).to_bytes())
    }
}

/// What receipts are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: String,
}

impl PublicKey {
    fn new(key: VerifyingKey) -> Self {
        let digest = sha256(key.as_bytes());
        let short = digest.trim_start_matches("sha256:").get(..32);
        let id = format!("ed25519:{}", short.unwrap_or_default());
        Self { key, id }
    }

    /// From PEM, from 32 bytes in base64, or from what `GET /v1/receipts/key`
    /// answers.
    ///
    /// # Errors
    /// When the text is none of them.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.starts_with("-----") {
            let key = VerifyingKey::from_public_key_pem(text);
            return key.map(Self::new).map_err(|_| KeyError::Public);
        }
        let answer: Option<Value> = serde_json::from_str(text).ok();
        let named = answer.as_ref().and_then(|a| a["public_key"].as_str());
        let bytes = STANDARD.decode(named.unwrap_or(text)).ok();
        let bytes = bytes.and_then(|b| <[u8; 32]>::try_from(b).ok());
        let key = bytes.and_then(|b| VerifyingKey::from_bytes(&b).ok());
        // With such a key a signature can be made for any message.
        let key = key.filter(|k| !k.is_weak());
        key.map(Self::new).ok_or(KeyError::Public)
    }

    /// Its name in receipts: the beginning of its SHA-256.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its 32 bytes in base64.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(self.key.as_bytes())
    }

    /// In PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.key
            .to_public_key_pem(LineEnding::LF)
            .unwrap_or_default()
    }

    /// Whether this key signed these bytes. Strictly: no second signature can
    /// be made from a first.
    pub(super) fn signed(&self, bytes: &[u8], signature: &str) -> bool {
        let signature = STANDARD.decode(signature).ok();
        let signature = signature.and_then(|s| Signature::from_slice(&s).ok());
        signature.is_some_and(|s| self.key.verify_strict(bytes, &s).is_ok())
    }
}
