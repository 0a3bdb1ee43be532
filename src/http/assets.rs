//! The demo and the client library, embedded in the binary, with an `ETag` each, and compressed where that is understood.
//!
//! The files are built from `web/` and committed, so that building the server needs no Node.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::error;
use crate::protocol::ids::CanvasId;

/// A file of the binary's.
pub(super) struct Asset {
    /// Where it is served.
    pub path: &'static str,
    content_type: &'static str,
    plain: &'static [u8],
    /// Made at the first request: a process nobody looks at pays nothing.
    gzipped: LazyLock<Vec<u8>>,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// One file, named once for both of its forms.
macro_rules! asset {
    ($path:literal, $content_type:expr, $file:literal) => {
        Asset {
            path: $path,
            content_type: $content_type,
            plain: include_bytes!($file),
            gzipped: LazyLock::new(|| gzip(include_bytes!($file))),
        }
    };
}

static PAGE: Asset = asset!(
    "/",
    "text/html; charset=utf-8",
    "../../web/demo/dist/index.html"
);

/// Everything but the page itself.
pub(super) static FILES: [Asset; 3] = [
    asset!("/demo.js", JAVASCRIPT, "../../web/demo/dist/demo.js"),
    asset!(
        "/demo.css",
        "text/css; charset=utf-8",
        "../../web/demo/dist/demo.css"
    ),
    asset!("/client.js", JAVASCRIPT, "../../web/client/dist/client.js"),
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
pub(super) fn answer(asset: &'static Asset, asked: &HeaderMap) -> Response {
    let gzipped = items(asked, header::ACCEPT_ENCODING).any(takes_gzip);
    let etag = etag(asset.plain, gzipped);
    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, asset.content_type);
    set(header::CACHE_CONTROL, "no-cache");
    set(header::VARY, "accept-encoding");
    set(header::ETAG, &etag);
    if items(asked, header::IF_NONE_MATCH).any(|tag| tag.trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    if !gzipped {
        return (headers, asset.plain).into_response();
    }
    set(header::CONTENT_ENCODING, "gzip");
    (headers, asset.gzipped.as_slice()).into_response()
}

/// The members of a comma-separated header.
fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Whether one member of `Accept-Encoding` asks for gzip; `gzip;q=0` forbids it.
fn takes_gzip(item: &str) -> bool {
    let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
    let weight = weight.trim().trim_start_matches("q=").parse();
    coding.trim().eq_ignore_ascii_case("gzip") && weight.unwrap_or(1.0_f32) > 0.0
}

/// Writing into memory does not fail; were it to, an empty file would say so louder than a wrong one.
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// The two forms are two representations: a cache must not take one for the other.
fn etag(plain: &[u8], gzipped: bool) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(plain);
    let form = if gzipped { "-gzip" } else { "" };
    format!("\"{:016x}{form}\"", hasher.finish())
}
