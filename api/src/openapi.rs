//! The OpenAPI document, generated from the types and handlers themselves.

use utoipa::OpenApi;

use crate::routes::{batches, info, matrix, pairs, select, tries};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Assize",
        description = "Runs programs written by models in cells they cannot leave, and judges them.",
        license(name = "Apache-2.0")
    ),
    paths(
        tries::runs,
        tries::judgements,
        batches::batches,
        matrix::matrix,
        select::select,
        pairs::pairs,
        info::runtimes,
        info::policies,
        info::capabilities,
        info::receipts_key,
        info::healthz,
        info::readyz,
        info::metrics,
        info::openapi,
    )
)]
struct Document;

/// The document as JSON.
#[must_use]
pub fn document() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
