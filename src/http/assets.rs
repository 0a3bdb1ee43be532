//! `/assets/{canvas}/{sha256}`: the images and files of canvases. [`upload`] takes them, [`answer`] gives them.
//!
//! A client that may read a canvas may read its assets, and a client that may write on it may add some. The token comes
//! in `Authorization`. A signed link can take its place, because `<img>` sends no headers. Pages of other origins may
//! ask if their origin may open a WebSocket.

mod access;
mod answer;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::json;

use self::access::Asking;
use self::upload::Uploads;
use super::upgrade::wrong_origin;
use super::{error, json_response};
use crate::assets::link::Link;
use crate::assets::named::is_hash;
use crate::assets::{AssetError, Assets, BlobError};
use crate::auth::claims::Access;
use crate::auth::now_s;
use crate::config::AssetPlace;
use crate::protocol::ids::CanvasId;
use crate::socket::connection::Hub;
use crate::tasks::Spawner;

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: &str = "600";
/// What pages of other origins may do.
const METHODS: &str = "GET, HEAD, PUT, POST, OPTIONS";
/// The headers that they may send, and see.
const ASKED: &str = "authorization, content-type, range, if-none-match, if-range";
const SEEN: &str = "content-length, content-range, accept-ranges, etag, retry-after";

type Refused = Box<Response>;

/// What the handlers share.
#[derive(Clone)]
pub struct AssetState {
    hub: Arc<Hub>,
    assets: Option<Arc<Assets>>,
    spawner: Spawner,
    uploads: Arc<Uploads>,
}

/// One asset, as the path names it.
struct Place {
    canvas: CanvasId,
    sha256: String,
}

/// The routes. Without assets they say why there are none.
pub fn router(hub: Arc<Hub>, assets: Option<Arc<Assets>>, spawner: Spawner) -> Router {
    let uploads = Uploads::new();
    let state = AssetState {
        hub,
        assets,
        spawner,
        uploads,
    };
    Router::new()
        .route("/assets/{canvas}/{sha256}", any(asset))
        .route("/assets/{canvas}/{sha256}/link", any(link))
        .with_state(state)
}

type Names = Result<Path<(String, String)>, PathRejection>;

async fn asset(State(state): State<AssetState>, names: Names, request: Request) -> Response {
    let asking = Asking::of(&state.hub, &request);
    let method = request.method().clone();
    let answered = match method {
        Method::GET | Method::HEAD => {
            let query = request.uri().query().unwrap_or_default().to_owned();
            given(&state, names, &asking, &query).await
        }
        Method::PUT => upload::put(&state, names, request).await,
        Method::OPTIONS => Ok(preflight()),
        _ => Err(other_method(
            "an asset is put with PUT, and got with GET",
            "GET, HEAD, PUT, OPTIONS",
        )),
    };
    finished(&state, &asking.headers, answered)
}

async fn link(State(state): State<AssetState>, names: Names, request: Request) -> Response {
    let asking = Asking::of(&state.hub, &request);
    let answered = match *request.method() {
        Method::POST => linked(&state, names, &asking).await,
        Method::OPTIONS => Ok(preflight()),
        _ => Err(other_method("a link is made with POST", "POST, OPTIONS")),
    };
    finished(&state, &asking.headers, answered)
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    say(header::ACCESS_CONTROL_ALLOW_HEADERS, ASKED);
    say(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    response
}

fn other_method(message: &str, allow: &'static str) -> Refused {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = refusal(status, "method-not-allowed", message);
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// What every answer has. Pages may read it that may open a WebSocket; the others get their refusal in words, too.
fn finished(
    state: &AssetState,
    asked: &HeaderMap,
    answered: Result<Response, Refused>,
) -> Response {
    let mut response = answered.unwrap_or_else(|refused| *refused);
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::REFERRER_POLICY, "no-referrer");
    say(
        header::CONTENT_SECURITY_POLICY,
        answer::CONTENT_SECURITY_POLICY,
    );
    let Some(origin) = asked.get(header::ORIGIN) else {
        return response;
    };
    // Nothing that a browser adds by itself counts here: no cookie and no login.
    let anybody = state.hub.config.security.allowed_origins.is_empty();
    let who = if anybody {
        HeaderValue::from_static("*")
    } else {
        origin.clone()
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, who);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(SEEN),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    response
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Refused {
    Box::new(error(status, code, message))
}

impl AssetState {
    /// The assets; without them, why not.
    fn assets(&self) -> Result<&Arc<Assets>, Refused> {
        self.assets.as_ref().ok_or_else(|| {
            let message = match self.hub.config.assets.place {
                AssetPlace::Nowhere => {
                    "there are no assets: over Redis they need --assets-url, a bucket, or --assets-dir, a folder that all hosts share"
                }
                _ => "there are no assets: they are switched off (--assets-dir off)",
            };
            refusal(StatusCode::NOT_FOUND, "no-assets", message)
        })
    }

    /// What the path names, for a page that may ask.
    fn place(&self, names: Names, headers: &HeaderMap) -> Result<Place, Refused> {
        if let Some(denied) = wrong_origin(&self.hub, headers) {
            return Err(refusal(StatusCode::FORBIDDEN, "forbidden", &denied.message));
        }
        let bad = |message: &str| refusal(StatusCode::BAD_REQUEST, "bad-request", message);
        let Path((canvas, sha256)) = names.map_err(|wrong| bad(&wrong.body_text()))?;
        let canvas = CanvasId::parse(&canvas).map_err(|wrong| bad(&wrong.to_string()))?;
        if !is_hash(&sha256) {
            let message = "an asset is named by its SHA-256: /assets/{canvas}/ and 64 hexadecimal digits in lower case";
            return Err(bad(message));
        }
        Ok(Place { canvas, sha256 })
    }
}

/// 503, and when to ask again.
fn later(code: &str, message: &str) -> Refused {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, code, message);
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, soon);
    response
}

fn failed(error: &AssetError) -> Refused {
    let message = error.to_string();
    match error {
        AssetError::Index(refused) if refused.status == 413 => {
            refusal(StatusCode::PAYLOAD_TOO_LARGE, refused.code, &message)
        }
        AssetError::Index(_) => later("overloaded", &message),
        AssetError::OtherHash { .. } => {
            refusal(StatusCode::UNPROCESSABLE_ENTITY, "wrong-hash", &message)
        }
        AssetError::TooLarge(_) => refusal(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &message),
        AssetError::Blob(BlobError::Gone) => refusal(StatusCode::NOT_FOUND, "not-found", &message),
        AssetError::Blob(BlobError::Full(_)) => {
            tracing::error!(error = message, "an asset could not be kept");
            refusal(StatusCode::INSUFFICIENT_STORAGE, "no-space", &message)
        }
        AssetError::Blob(BlobError::Failed(_)) => {
            tracing::error!(error = message, "the place of assets can't be used");
            // What the disk says is for the operator.
            later(
                "overloaded",
                "assets can't be kept or read at the moment: see the log of the relay",
            )
        }
    }
}

/// Seconds since 1970.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of this century"
)]
fn whole_s(seconds: f64) -> u64 {
    seconds.max(0.0) as u64
}

async fn given(
    state: &AssetState,
    names: Names,
    asking: &Asking,
    query: &str,
) -> Result<Response, Refused> {
    let place = state.place(names, &asking.headers)?;
    let assets = state.assets()?;
    let bad = |message| refusal(StatusCode::BAD_REQUEST, "bad-request", message);
    match Link::parse(query).map_err(bad)? {
        Some(link) => {
            let links = assets.links().await.map_err(|e| failed(&e))?;
            if !links.check(&place.canvas, &place.sha256, &link, whole_s(now_s())) {
                let message =
                    "the link has ended, or is of another asset: ask for one with POST …/link";
                return Err(refusal(StatusCode::FORBIDDEN, "forbidden", message));
            }
        }
        None => {
            access::granted(&state.hub, asking, &place.canvas, Access::Read)?;
        }
    }
    let found = assets.find(&place.canvas, &place.sha256).await;
    let asset = found.map_err(|e| failed(&e))?.ok_or_else(no_asset)?;
    answer::give(assets, &asset, &asking.headers).await
}

fn no_asset() -> Refused {
    let message =
        "the canvas has no such asset: it was never put, or no object named it for too long";
    refusal(StatusCode::NOT_FOUND, "not-found", message)
}

async fn linked(state: &AssetState, names: Names, asking: &Asking) -> Result<Response, Refused> {
    let place = state.place(names, &asking.headers)?;
    let assets = state.assets()?;
    let latest_s = access::granted(&state.hub, asking, &place.canvas, Access::Read)?;
    let found = assets.find(&place.canvas, &place.sha256).await;
    found.map_err(|e| failed(&e))?.ok_or_else(no_asset)?;
    let body = told(assets, &place, latest_s).await?;
    Ok(json_response(StatusCode::OK, &body))
}

/// A link, as it is told: relative to where the relay is.
async fn told(assets: &Assets, place: &Place, latest_s: u64) -> Result<serde_json::Value, Refused> {
    let links = assets.links().await.map_err(|e| failed(&e))?;
    let now_s = whole_s(now_s());
    let link = links.sign(&place.canvas, &place.sha256, now_s, latest_s);
    let Place { canvas, sha256 } = place;
    let path = ["/assets", canvas.as_str(), sha256].join("/");
    Ok(json!({
        "id": format!("asset:{sha256}"),
        "url": format!("{path}?{}", link.query()),
        "expires_in_ms": link.until_s.saturating_sub(now_s) * 1_000,
    }))
}
