//! `GET /ws/{canvas_id}`: from HTTP to a WebSocket. Everything that can be refused is refused before the upgrade, with a status that proxies and logs understand.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

use super::error;
use crate::protocol::SUBPROTOCOL;
use crate::protocol::ids::CanvasId;
use crate::socket::connection::{Hub, serve};
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
        .route("/ws/{canvas_id}", get(upgrade))
        .with_state(state)
}

async fn upgrade(
    State(state): State<UpgradeState>,
    Path(canvas): Path<String>,
    mut request: Request,
) -> Response {
    let canvas = match CanvasId::parse(&canvas) {
        Ok(canvas) => canvas,
        Err(e) => return error(StatusCode::BAD_REQUEST, "bad-canvas", &e.to_string()),
    };
    let key = match websocket_key(request.headers()) {
        Ok(key) => key,
        Err(refusal) => return *refusal,
    };
    if let Some(refusal) = wrong_origin(&state, request.headers()) {
        return refusal;
    }
    let address = request
        .extensions()
        .get::<SocketAddr>()
        .map(|peer| client_address(&state, peer.ip(), request.headers()));
    if state.hub.draining() {
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining",
            "this instance is shutting down",
        );
    }
    let offers_ours = offered(request.headers());
    let upgrade = hyper::upgrade::on(&mut request);
    state.spawner.clone().spawn(async move {
        // The client is gone if it fails: nothing to serve, nothing to say.
        let Ok(upgraded) = upgrade.await else { return };
        if let Some((stream, leftover)) = into_tcp(upgraded) {
            serve(state.hub, canvas, stream, leftover, address).await;
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(&key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if offers_ours {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL),
        );
    }
    response
}

/// Browsers say which page connects, and pages can't make them say another. What says nothing is no browser.
fn wrong_origin(state: &UpgradeState, headers: &HeaderMap) -> Option<Response> {
    let allowed = &state.hub.config.security.allowed_origins;
    let origin = headers.get(header::ORIGIN)?;
    let known = |origin: &str| {
        allowed
            .iter()
            .any(|known| known.eq_ignore_ascii_case(origin))
    };
    if allowed.is_empty() || origin.to_str().is_ok_and(known) {
        return None;
    }
    let message = "pages of this origin may not connect (--allowed-origin)";
    Some(error(StatusCode::FORBIDDEN, "forbidden-origin", message))
}

/// Whose connection it is: the one that the nearest proxy we trust has seen, as long as we trust who told.
fn client_address(state: &UpgradeState, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let trusted = &state.hub.config.limits.trusted_proxies;
    let forwarded = headers.get_all("x-forwarded-for");
    let hops: Vec<&str> = forwarded
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut hops = hops.into_iter().rev();
    let mut address = peer;
    while trusted
        .iter()
        .any(|net| net.contains(address.to_canonical()))
    {
        match hops.next().and_then(|hop| hop.parse().ok()) {
            Some(hop) => address = hop,
            None => break,
        }
    }
    address
}

/// The handshake's key, if the request is a WebSocket handshake of version 13 (RFC 6455, 4.2.1).
fn websocket_key(headers: &HeaderMap) -> Result<Vec<u8>, Box<Response>> {
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
            "this is a WebSocket endpoint",
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
    match headers.get(header::SEC_WEBSOCKET_KEY) {
        Some(key) => Ok(key.as_bytes().to_vec()),
        None => {
            let message = "Sec-WebSocket-Key is missing";
            Err(Box::new(error(
                StatusCode::BAD_REQUEST,
                "bad-handshake",
                message,
            )))
        }
    }
}

fn offered(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|part| part.trim() == SUBPROTOCOL))
}

/// The plain socket under the upgrade, and what came behind the handshake.
fn into_tcp(upgraded: Upgraded) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}
