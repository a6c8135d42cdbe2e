//! Errors on the wire: one shape, stable codes, whose failure it is.

use std::collections::BTreeMap;

use assize_executor::Fault;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::admit::{Refusal, RefusalKind};
use crate::types::{ErrorBody, ErrorDetail};

/// An error on its way out. The request id is put in by the outermost layer,
/// which is the only place that knows it for every kind of failure.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            field: None,
            retry_after: None,
        }
    }

    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body, once the request id is known.
    pub(crate) fn body(&self, request_id: &str) -> ErrorBody {
        let mut details = BTreeMap::new();
        if let Some(field) = &self.field {
            details.insert("field", field.clone());
        }
        ErrorBody {
            error: ErrorDetail {
                code: self.code.to_owned(),
                message: self.message.clone(),
                request_id: request_id.to_owned(),
                details,
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            RefusalKind::Unenforceable => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        };
        Self::new(status, refusal.code, refusal.to_string()).field(refusal.field)
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        let message = fault.to_string();
        let code = fault.code();
        match fault {
            Fault::Unenforceable { limit, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
                    .field(format!("limits.{limit}"))
            }
            Fault::NoBackend(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).field("backend")
            }
            Fault::ShuttingDown => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(5)
            }
            Fault::CellNotBuilt(_) | Fault::CellLost(_) | Fault::NotStarted(_) | Fault::Host(_) => {
                tracing::error!(%message, "fault");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, message)
            }
        }
    }
}

/// How an endpoint that tries programs says no, for the OpenAPI document.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` sends; never made")]
pub(crate) enum Refusals {
    /// The request; `details.field` says where
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// This key does not grant the policy
    #[response(status = 403)]
    Forbidden(ErrorBody),
    /// More bytes than are taken
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// Not JSON
    #[response(status = 415)]
    MediaType(ErrorBody),
    /// This host cannot hold to what is asked
    #[response(status = 422)]
    Unenforceable(ErrorBody),
    /// Full; see Retry-After
    #[response(status = 429)]
    Full(ErrorBody),
    /// Our failure; the code begins with fault.
    #[response(status = 500)]
    Fault(ErrorBody),
    /// Starting or stopping
    #[response(status = 503)]
    Unready(ErrorBody),
}
