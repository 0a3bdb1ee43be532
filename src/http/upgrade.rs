//! `GET /ws/{canvas_id}`: from HTTP to a WebSocket. A wrong request is refused before the upgrade, with a status that
//! proxies and logs understand. A page of an origin that may not connect is refused after it, because it would not see
//! a status.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

use super::error;
use super::forwarded::client_address;
use super::patient::Patient;
use crate::auth::Denied;
use crate::protocol::close_code::CloseCode;
use crate::protocol::encoding::Encoding;
use crate::protocol::ids::CanvasId;
use crate::socket::connection::{Hub, Upgraded as Socket, serve, turn_away};
use crate::tasks::Spawner;

/// What the upgrade needs.
#[derive(Clone)]
pub struct UpgradeState {
    /// What connections share.
    pub hub: Arc<Hub>,
    /// Runs them.
    pub spawner: Spawner,
}

/// The route of the WebSocket.
pub fn router(state: UpgradeState) -> Router {
    Router::new()
        .route("/ws/", get(upgrade))
        .route("/ws/{*canvas_id}", get(upgrade))
        .with_state(state)
}

async fn upgrade(
    State(state): State<UpgradeState>,
    canvas: Result<Path<String>, PathRejection>,
    mut request: Request,
) -> Response {
    // Whatever is behind /ws/ is meant as a name, slashes and broken escapes too.
    let name = canvas.map_or(String::new(), |Path(id)| id);
    let canvas = match CanvasId::parse(&name) {
        Ok(canvas) => canvas,
        Err(bad) => return error(StatusCode::BAD_REQUEST, "bad-canvas", &bad.to_string()),
    };
    let key = match websocket_key(&request) {
        Ok(key) => key,
        Err(refusal) => return *refusal,
    };
    let denied = wrong_origin(&state.hub, request.headers());
    let address = address(&state.hub, request.headers(), request.extensions());
    if state.hub.draining() {
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining",
            "this instance is shutting down",
        );
    }
    let chosen = chosen(request.headers());
    let upgrade = hyper::upgrade::on(&mut request);
    state.spawner.clone().spawn(async move {
        // The client is gone if it fails: nothing to serve, nothing to say.
        let Ok(upgraded) = upgrade.await else { return };
        if let Some((stream, leftover)) = into_tcp(upgraded) {
            let upgraded = Socket {
                stream,
                leftover,
                address,
                encoding: chosen.unwrap_or_default(),
            };
            match denied {
                Some(denied) => turn_away(state.hub, upgraded, denied).await,
                None => serve(state.hub, canvas, upgraded).await,
            }
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(&key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(encoding) = chosen {
        let subprotocol = HeaderValue::from_static(encoding.subprotocol());
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}

/// Whose connection it is.
pub(super) fn address(hub: &Hub, headers: &HeaderMap, known: &Extensions) -> Option<IpAddr> {
    let peer = known.get::<SocketAddr>()?;
    let trusted = &hub.config.limits.trusted_proxies;
    Some(client_address(peer.ip(), trusted, headers))
}

/// Browsers say which page connects, and pages can't make them say another. What says nothing is no browser.
pub(super) fn wrong_origin(hub: &Hub, headers: &HeaderMap) -> Option<Denied> {
    let allowed = &hub.config.security.allowed_origins;
    let origin = headers.get(header::ORIGIN)?;
    let known = |origin: &str| {
        allowed
            .iter()
            .any(|known| known.eq_ignore_ascii_case(origin))
    };
    if allowed.is_empty() || origin.to_str().is_ok_and(known) {
        return None;
    }
    Some(Denied {
        code: CloseCode::Forbidden,
        message: "pages of this origin may not connect (--allowed-origin)".to_owned(),
    })
}

/// The handshake's key, if the request is a WebSocket handshake of version 13 (RFC 6455, 4.2.1).
fn websocket_key(request: &Request) -> Result<Vec<u8>, Box<Response>> {
    let headers = request.headers();
    let has = |name: header::HeaderName, word: &str| {
        headers
            .get_all(&name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| {
                value
                    .split(',')
                    .any(|part| part.trim().eq_ignore_ascii_case(word))
            })
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        let mut response = error(
            StatusCode::UPGRADE_REQUIRED,
            "upgrade-required",
            "this address takes WebSockets only: send a handshake (Upgrade: websocket)",
        );
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(response));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        let mut response = error(
            StatusCode::BAD_REQUEST,
            "bad-version",
            "Sec-WebSocket-Version must be 13",
        );
        let headers = response.headers_mut();
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return Err(Box::new(response));
    }
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err(bad_handshake("the handshake must be a GET of HTTP/1.1"));
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes);
    key.filter(|key| is_nonce(key))
        .map(<[u8]>::to_vec)
        .ok_or_else(|| bad_handshake("Sec-WebSocket-Key must be 16 bytes in base64"))
}

fn bad_handshake(message: &str) -> Box<Response> {
    Box::new(error(StatusCode::BAD_REQUEST, "bad-handshake", message))
}

/// 16 bytes in base64: 22 characters of its alphabet, and what fills up.
fn is_nonce(key: &[u8]) -> bool {
    let letter = |c: &u8| c.is_ascii_alphanumeric() || b"+/".contains(c);
    key.strip_suffix(b"==")
        .is_some_and(|key| key.len() == 22 && key.iter().all(letter))
}

fn chosen(headers: &HeaderMap) -> Option<Encoding> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offers = offers.filter_map(|value| value.to_str().ok());
    Encoding::chosen(offers.flat_map(|value| value.split(',').map(str::trim)))
}

/// The plain socket under the upgrade, and what came behind the handshake.
fn into_tcp(upgraded: Upgraded) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgraded.downcast::<TokioIo<Patient>>().ok()?;
    let stream = parts.io.into_inner().into_inner();
    Some((stream, parts.read_buf.to_vec()))
}
