//! Reading JSON so that every refusal names what is wrong and where.

use std::sync::Arc;
use std::time::Duration;

use assize_executor::Fault;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::server::App;

/// Largest body of one JSON request, in bytes.
pub(crate) const MAX_BODY: usize = 32 << 20;

/// Memory that bodies of requests in progress may take together, in units of
/// [`UNIT`] bytes: as many slow clients as there are ports must not be able to
/// fill the host's memory with half-sent requests.
pub(crate) const BODY_UNITS: usize = 8192;
const UNIT: usize = 64 << 10;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// A JSON body, and its share of the memory for bodies, which is given back
/// when the request has been answered.
pub(crate) struct Json<T>(pub(crate) T, pub(crate) Share);

/// A part of the memory for bodies.
pub(crate) type Share = OwnedSemaphorePermit;

impl<T: DeserializeOwned + Send + 'static> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        // Who has no key gets no memory.
        app.keys.caller(request.headers())?;
        let (body, share) = read_json(app, request, MAX_BODY).await?;
        let parsed = aside(body.len(), move || parse(&body, "")).await?;
        Ok(Self(parsed, share))
    }
}

/// Most bytes that are worked on where requests are served.
const SHORT: usize = 256 << 10;

/// Does `work` on so many bytes of a request. What takes long is done on a
/// thread of its own: on one of the few that serve requests it would make
/// everybody's wait.
pub(crate) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if bytes <= SHORT {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(ApiError::from(Fault::Host(e.to_string()))))
}

/// The whole body of a request that says it is JSON.
///
/// Saying so is required: a web page may send anything to a server on its
/// visitor's loopback, but not with this content type unless the server agrees.
pub(crate) async fn read_json(
    app: &App,
    request: Request,
    most: usize,
) -> Result<(Bytes, Share), ApiError> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let essence = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let message = "send the header content-type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "unsupported_media_type", message).field("content-type"));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let reading = read_body(&app.bodies, request.into_body(), most);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap_or_else(|_| {
            let message = "the request body took too long to arrive";
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message).field("body"))
        })
}

/// Reads a body of at most `most` bytes. Its share of the memory grows with
/// what has arrived, never with what was announced: a client that stalls after
/// one byte holds one unit.
async fn read_body(
    budget: &Arc<Semaphore>,
    body: Body,
    most: usize,
) -> Result<(Bytes, Share), ApiError> {
    let full = || {
        let message = "too much is being uploaded at once; try again later";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "uploads_full", message).retry_after(1)
    };
    let take = |units: usize| {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        Arc::clone(budget)
            .try_acquire_many_owned(units)
            .map_err(|_| full())
    };
    let mut share = take(1)?;
    let mut stream = body.into_data_stream();
    let mut data = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            let message = "the request body broke off before its end";
            ApiError::new(StatusCode::BAD_REQUEST, "body_incomplete", message)
        })?;
        if data.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        data.extend_from_slice(&chunk);
        // Parsed JSON takes about as much again.
        let needed = (2 * data.len()).div_ceil(UNIT);
        if needed > share.num_permits() {
            share.merge(take(needed - share.num_permits())?);
        }
    }
    Ok((data.into(), share))
}

pub(crate) fn too_large(most: usize) -> ApiError {
    let message = format!("the request body is larger than {most} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).field("body")
}

/// Parses one document; `prefix` is put before the path of a field at fault.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8], prefix: &str) -> Result<T, ApiError> {
    let bad = |code, message: String, field: String| {
        ApiError::new(StatusCode::BAD_REQUEST, code, message).field(field)
    };
    let text = std::str::from_utf8(body).map_err(|e| {
        let message = format!("the body is not UTF-8 (byte {})", e.valid_up_to());
        bad("invalid_utf8", message, "body".into())
    })?;
    // Keeping track of where one is costs a third of the parsing, and only who
    // is refused wants to know.
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|e| {
        let path = e.path().to_string();
        let error = e.into_inner();
        if !error.is_data() {
            return bad(
                "invalid_json",
                format!("the body is not JSON: {error}"),
                "body".into(),
            );
        }
        let message = error.to_string();
        let mut field = format!("{prefix}{}", if path == "." { "" } else { &path });
        let code = match quoted(&message, "unknown field `") {
            Some(name) => {
                // The path already ends with the name where serde got so far.
                if !field.ends_with(name) {
                    field = join(&field, name);
                }
                "unknown_field"
            }
            None => match quoted(&message, "missing field `") {
                Some(name) => {
                    field = join(&field, name);
                    "missing_field"
                }
                None => "invalid_field",
            },
        };
        bad(code, format!("{field}: {message}"), field)
    })?;
    deserializer.end().map_err(|e| {
        bad(
            "invalid_json",
            format!("there is more after the JSON document: {e}"),
            "body".into(),
        )
    })?;
    Ok(value)
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(before)?;
    rest.split('`').next()
}

fn join(path: &str, name: &str) -> String {
    let path = path.trim_end_matches('.');
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::JudgementRequest;

    fn field(body: &str) -> (String, &'static str) {
        let error = parse::<JudgementRequest>(body.as_bytes(), "").unwrap_err();
        (error.field.unwrap_or_default(), error.code)
    }

    #[test]
    fn every_refusal_names_its_field() {
        let known = |f: &str, c| (f.to_owned(), c);
        assert_eq!(field("{\"language\":\"c\""), known("body", "invalid_json"));
        assert_eq!(
            field("{\"language\":\"c\"}"),
            known("tests", "missing_field")
        );
        assert_eq!(
            field("{\"language\":\"c\",\"tests\":[],\"nope\":1}"),
            known("nope", "unknown_field")
        );
        assert_eq!(
            field("{\"language\":\"c\",\"tests\":[],\"limits\":{\"cpu\":1}}"),
            known("limits.cpu", "unknown_field")
        );
        assert_eq!(
            field("{\"language\":\"c\",\"tests\":[],\"limits\":{\"cpu_ms\":-5}}"),
            known("limits.cpu_ms", "invalid_field")
        );
        assert_eq!(
            field("{\"language\":\"c\",\"tests\":[{\"call\":{}}]}"),
            known("tests[0].call.function", "missing_field")
        );
        assert_eq!(
            field("{\"language\":\"c\",\"tests\":[]} x"),
            known("body", "invalid_json")
        );
    }
}
