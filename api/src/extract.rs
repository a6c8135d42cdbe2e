//! Reading JSON so that every refusal names what is wrong and where.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// Largest body of one JSON request, in bytes.
pub(crate) const MAX_BODY: usize = 32 << 20;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = read_body(request.into_body(), MAX_BODY).await?;
        parse(&body, "").map(Json)
    }
}

/// The whole body, at most `most` bytes.
pub(crate) async fn read_body(body: Body, most: usize) -> Result<Bytes, ApiError> {
    to_bytes(body, most).await.map_err(|error| {
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        while let Some(e) = source {
            if e.to_string().contains("length limit exceeded") {
                return too_large(most);
            }
            source = e.source();
        }
        let message = "the request body broke off before its end";
        ApiError::new(StatusCode::BAD_REQUEST, "body_incomplete", message)
    })
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
