//! Who may read or add assets: holders of a token for the canvas.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Refused, refusal, whole_s};
use crate::auth::claims::Access;
use crate::protocol::close_code::CloseCode;
use crate::protocol::ids::CanvasId;
use crate::socket::connection::Hub;

/// Lets a request through whose token allows that. Gives when the token ends, in seconds since 1970.
pub(super) fn granted(
    hub: &Hub,
    headers: &HeaderMap,
    canvas: &CanvasId,
    needed: Access,
) -> Result<u64, Refused> {
    let token = bearer(headers);
    if token.is_none() && hub.gate.asks() {
        return Err(unauthorized(
            "send the canvas's token as Authorization: Bearer",
        ));
    }
    let grant = hub.gate.admit(token, canvas).map_err(|denied| {
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
