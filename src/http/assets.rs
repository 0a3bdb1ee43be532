//! The page and its files, embedded in the binary, with an `ETag` each.

use std::hash::{DefaultHasher, Hasher};

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error;
use crate::protocol::ids::CanvasId;

/// A file of the binary's.
pub(super) struct Asset {
    /// Where it is served.
    pub path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

static PAGE: Asset = Asset {
    path: "/",
    content_type: "text/html; charset=utf-8",
    bytes: include_bytes!("page.html"),
};

/// Everything but the page itself.
pub(super) static FILES: &[Asset] = &[
    Asset {
        path: "/page.js",
        content_type: JAVASCRIPT,
        bytes: include_bytes!("page.js"),
    },
    Asset {
        path: "/page.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("page.css"),
    },
];

/// The page at `/`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    answer(&PAGE, &headers)
}

/// The same page at `/c/{canvas}`, if that can be a canvas.
pub(super) async fn canvas_page(Path(canvas): Path<String>, headers: HeaderMap) -> Response {
    match CanvasId::parse(&canvas) {
        Ok(_) => answer(&PAGE, &headers),
        Err(bad) => error(StatusCode::BAD_REQUEST, "bad-canvas", &bad.to_string()),
    }
}

/// Browsers keep the file but ask each time: a new binary shows at the next reload, for a 304 otherwise.
pub(super) fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let etag = etag(asset.bytes);
    let cached = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().trim_start_matches("W/") == etag);
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, etag.as_str()),
    ];
    if cached {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, asset.bytes).into_response()
}

fn etag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("\"{:016x}\"", hasher.finish())
}
