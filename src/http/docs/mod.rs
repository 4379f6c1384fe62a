//! What the API says of itself: its OpenAPI document, a reference page that needs no other network,
//! and the pages of the error codes.

mod errors;
mod log;
mod openapi;
mod operation;
mod operations;
mod work;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};

pub use errors::ERRORS;
pub(super) use errors::{error, place};
pub use openapi::document;

/// Written once: whoever asks may be a stranger, and ask often.
pub(super) async fn openapi() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| openapi::once().to_string().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}

pub(super) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("page.html"))
}

pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("page.js"))
}

pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("page.css"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
