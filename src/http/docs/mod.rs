//! What the API says of itself: its OpenAPI document, a reference page that needs no other network,
//! and the pages of the error codes.

mod errors;
mod openapi;
mod operation;
mod operations;

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

pub use errors::ERRORS;
pub(super) use errors::{error, place};
pub use openapi::document;

pub(super) async fn openapi() -> Json<&'static Value> {
    Json(openapi::once())
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
