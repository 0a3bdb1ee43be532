//! The demo and the client library, embedded in the binary. Each file has an `ETag`, and is compressed for clients that
//! accept that.
//!
//! The files are built from `web/` and committed, so that building the server needs no Node.

use std::borrow::Cow;
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
    /// Whether pages of other origins may import it: module scripts need to be told so.
    for_all: bool,
    plain: LazyLock<Cow<'static, [u8]>>,
    /// Made at the first request: a process nobody looks at pays nothing.
    gzipped: LazyLock<Vec<u8>>,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// Source maps, for the developer tools of browsers.
const JSON: &str = "application/json";

/// One file, named once for both of its forms.
macro_rules! asset {
    ($path:literal, $content_type:expr, $bytes:expr) => {
        asset!($path, $content_type, $bytes, false)
    };
    ($path:literal, $content_type:expr, $bytes:expr, $for_all:literal) => {
        Asset {
            path: $path,
            content_type: $content_type,
            for_all: $for_all,
            plain: LazyLock::new(|| Cow::from($bytes)),
            gzipped: LazyLock::new(|| gzip(&$bytes)),
        }
    };
}

/// The page at `/`, at `/c/{canvas}` and at `/c/{canvas}/`: it names its files by the way from where it stands, so that
/// it works below any path that a proxy takes away before it asks here.
static PAGES: [Asset; 3] = [
    asset!("/", HTML, page_from("./")),
    asset!("/c/{canvas}", HTML, page_from("../")),
    asset!("/c/{canvas}/", HTML, page_from("../../")),
];

fn page_from(way: &str) -> Vec<u8> {
    let page = include_str!("../../web/demo/dist/index.html");
    page.replace("=\"./", &format!("=\"{way}")).into_bytes()
}

/// Of these an application with pages of its own needs the library only.
pub(super) static LIBRARY: [Asset; 2] = [
    asset!(
        "/client.js",
        JAVASCRIPT,
        &include_bytes!("../../web/client/dist/client.js")[..],
        true
    ),
    asset!(
        "/client.js.map",
        JSON,
        &include_bytes!("../../web/client/dist/client.js.map")[..],
        true
    ),
];

/// What the page needs besides the library.
pub(super) static DEMO: [Asset; 3] = [
    asset!(
        "/demo.js",
        JAVASCRIPT,
        &include_bytes!("../../web/demo/dist/demo.js")[..]
    ),
    asset!(
        "/demo.js.map",
        JSON,
        &include_bytes!("../../web/demo/dist/demo.js.map")[..]
    ),
    asset!(
        "/demo.css",
        "text/css; charset=utf-8",
        &include_bytes!("../../web/demo/dist/demo.css")[..]
    ),
];

/// The dashboard.
pub(super) static ADMIN: [Asset; 5] = [
    asset!("/admin", HTML, admin_page("./admin/")),
    asset!("/admin/", HTML, admin_page("./")),
    asset!(
        "/admin/admin.js",
        JAVASCRIPT,
        &include_bytes!("../../web/admin/dist/admin.js")[..]
    ),
    asset!(
        "/admin/admin.js.map",
        JSON,
        &include_bytes!("../../web/admin/dist/admin.js.map")[..]
    ),
    asset!(
        "/admin/admin.css",
        "text/css; charset=utf-8",
        &include_bytes!("../../web/admin/dist/admin.css")[..]
    ),
];

fn admin_page(way: &str) -> Vec<u8> {
    let page = include_str!("../../web/admin/dist/index.html");
    page.replace("=\"./", &format!("=\"{way}")).into_bytes()
}

/// The page at `/`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    answer(&PAGES[0], &headers)
}

/// The same page at `/c/{canvas}`, if that can be a canvas.
pub(super) async fn canvas_page(canvas: Path<String>, headers: HeaderMap) -> Response {
    page_of(&canvas, &PAGES[1], &headers)
}

/// And with a slash at the end, as some people and proxies write it.
pub(super) async fn canvas_folder(canvas: Path<String>, headers: HeaderMap) -> Response {
    page_of(&canvas, &PAGES[2], &headers)
}

fn page_of(canvas: &str, page: &'static Asset, headers: &HeaderMap) -> Response {
    match CanvasId::parse(canvas) {
        Ok(_) => answer(page, headers),
        Err(bad) => error(StatusCode::BAD_REQUEST, "bad-canvas", &bad.to_string()),
    }
}

/// Browsers keep the file but ask each time: a new binary shows at the next reload, for a 304 otherwise.
pub(super) fn answer(asset: &'static Asset, asked: &HeaderMap) -> Response {
    let gzipped = items(asked, header::ACCEPT_ENCODING).any(takes_gzip);
    let plain: &'static [u8] = &asset.plain;
    let etag = etag(plain, gzipped);
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
    if asset.for_all {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        );
        set(HeaderName::from_static("timing-allow-origin"), "*");
    }
    if items(asked, header::IF_NONE_MATCH).any(|tag| tag.trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    if !gzipped {
        return (headers, plain).into_response();
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
