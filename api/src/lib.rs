//! The HTTP server: admission, queue, auth, metrics, OpenAPI.
//!
//! A request is read within bounds, parsed into [`types`], checked into a
//! case (`admit`: every refusal names its field), queued (`queue`: fair per
//! tenant, bounded), tried by the judge, and answered. This process never
//! forks and starts nothing but jails.
//!
//! Deliberately absent: system calls, knowledge of languages, comparison of
//! anything with an expected value.

mod admit;
mod auth;
#[doc(hidden)]
pub mod counted;
mod error;
mod extract;
mod metrics;
mod ndjson;
mod openapi;
mod queue;
pub mod receipt;
mod rights;
mod routes;
mod server;
pub mod types;

pub use admit::{Refusal, RefusalKind, admit_judgement, admit_run};
pub use auth::{Key, Keys};
pub use openapi::document as openapi;
pub use rights::Rights;
pub use routes::{matrix, pairs, present, select, sweeps};
pub use server::{App, Options, router, serve};

/// What reads bytes that a client wrote, for the fuzz targets.
#[doc(hidden)]
pub mod fuzz {
    /// What receipts digest. A document has a canonical form, which is a
    /// document, and is its own.
    pub fn canonical(data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else {
            return;
        };
        let form = crate::receipt::canonical(text);
        if serde_json::from_str::<&serde_json::value::RawValue>(text).is_err() {
            return;
        }
        let depth = text.bytes().filter(|b| matches!(b, b'[' | b'{')).count();
        let Some(form) = form else {
            assert!(depth > 1000, "{text:?} has no form");
            return;
        };
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(&form).is_ok());
        assert_eq!(crate::receipt::canonical(&form).as_ref(), Some(&form));
    }

    /// An NDJSON body, cut where its first byte says: lines must not depend on
    /// how the bytes arrive.
    pub fn lines(data: &[u8]) {
        let (cut, body) = data.split_first().unwrap_or((&0, &[]));
        let (a, b) = body.split_at(usize::from(*cut).min(body.len()));
        assert_eq!(crate::ndjson::split(&[body]), crate::ndjson::split(&[a, b]));
    }
}
