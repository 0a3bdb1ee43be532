//! Who may read or add assets: holders of a token for the canvas.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::super::upgrade::address;
use super::{Refused, refusal, whole_s};
use crate::auth::claims::Access;
use crate::auth::refusals;
use crate::protocol::close_code::CloseCode;
use crate::protocol::ids::CanvasId;
use crate::socket::connection::Hub;

/// Who asks, and with what.
#[derive(Clone)]
pub(super) struct Asking {
    pub headers: HeaderMap,
    /// As far as the proxies that are trusted tell.
    pub from: Option<IpAddr>,
}

impl Asking {
    pub(super) fn of(hub: &Hub, request: &Request) -> Self {
        Self {
            headers: request.headers().clone(),
            from: address(hub, request.headers(), request.extensions()),
        }
    }
}

/// Lets a request through whose token allows that. Gives when the token ends, in seconds since 1970.
pub(super) fn granted(
    hub: &Hub,
    asking: &Asking,
    canvas: &CanvasId,
    needed: Access,
) -> Result<u64, Refused> {
    let tell = |why: &str| refusals::tell("assets", asking.from, why);
    let token = bearer(&asking.headers);
    if token.is_none() && hub.gate.asks() {
        tell("there is none");
        return Err(unauthorized(
            "send the canvas's token as Authorization: Bearer",
        ));
    }
    let grant = hub.gate.admit(token, canvas).map_err(|denied| {
        tell(&denied.message);
        if denied.code == CloseCode::Forbidden {
            return refusal(StatusCode::FORBIDDEN, "forbidden", &denied.message);
        }
        unauthorized(&denied.message)
    })?;
    let Some(grant) = grant else {
        return Ok(u64::MAX);
    };
    if needed == Access::Write && grant.access == Access::Read {
        let message = format!("the token allows to read {canvas}, not to write");
        tell(&message);
        return Err(refusal(StatusCode::FORBIDDEN, "forbidden", &message));
    }
    Ok(whole_s(grant.expires_at_s))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(message: &str) -> Refused {
    let mut response = refusal(StatusCode::UNAUTHORIZED, "unauthorized", message);
    let challenge = HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}
