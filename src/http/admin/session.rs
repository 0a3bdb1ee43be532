//! Login and logout of the dashboard. A cookie proves a login ([`crate::auth::sessions`]).

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::body::{Announced, NoBody, whole};
use super::super::forwarded::client_address;
use super::super::json_response;
use super::{AdminState, LOGIN_BYTES, error};
use crate::auth::api_tokens::{ApiToken, ApiTokens, Scope};
use crate::auth::sessions;
use crate::counts;
use crate::limits::{ADMIN_LOGIN_DELAY, ADMIN_SESSION, HTTP_BODY_TIMEOUT};

/// The cookie's name. It has no path of its own: a browser sends it to `/admin/api/` and below only, wherever a proxy put that.
const COOKIE: &str = "scumble_admin";

/// Cookies of that name that are looked at: checking one takes signatures. A browser has one of a path, of a domain and of those above it.
const MOST_COOKIES: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Whose session a request has.
pub(super) fn of<'a>(tokens: &'a ApiTokens, headers: &HeaderMap) -> Option<&'a ApiToken> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .take(MOST_COOKIES)
        .find_map(|(_, value)| sessions::check(tokens, value, now_s()))
}

/// Whether somebody is logged in, and what the dashboard may do.
pub(super) async fn show(State(state): State<AdminState>, headers: HeaderMap) -> Response {
    let tokens = state.http.config.security.api_tokens.as_ref();
    let token = tokens.and_then(|tokens| of(tokens, &headers));
    let body = json!({
        "open": tokens.is_none() || token.is_some(),
        "name": token.map(|token| &token.name),
        "tokens": tokens.is_some(),
        "writes": state.http.config.admin_writes,
        "version": env!("CARGO_PKG_VERSION"),
    });
    json_response(StatusCode::OK, &body)
}

/// Takes a token of scope `admin`, and gives a session for it. One that is wrong is answered late.
pub(super) async fn log_in(State(state): State<AdminState>, request: Request) -> Response {
    let Some(tokens) = &state.http.config.security.api_tokens else {
        let message = "there are no tokens (--api-token-file): browsers on this host need no login";
        return error(StatusCode::CONFLICT, "no-tokens", message);
    };
    let (parts, body) = request.into_parts();
    let body = whole(body, LOGIN_BYTES, HTTP_BODY_TIMEOUT, Announced::Refuse).await;
    if matches!(body, Err(NoBody::Late)) {
        let seconds = HTTP_BODY_TIMEOUT.as_secs();
        let message = format!("the body must come within {seconds} s");
        return error(StatusCode::REQUEST_TIMEOUT, "timeout", &message);
    }
    let Some(login) = body.ok().and_then(|body| read(&body)) else {
        let message = r#"right would be {"token":"…"}"#;
        return error(StatusCode::BAD_REQUEST, "bad-request", message);
    };
    match tokens.find(login.token.trim()) {
        Some(token) if token.allows(Scope::Admin) => {
            tracing::info!(token = token.name, "somebody logged in at the dashboard");
            let until = now_s() + ADMIN_SESSION.as_secs();
            let cookie = sessions::issue(token, until);
            let body = json!({ "open": true, "name": token.name });
            with_cookie(body, &cookie, ADMIN_SESSION.as_secs(), &parts.headers)
        }
        found => {
            let peer = parts.extensions.get::<SocketAddr>();
            let trusted = &state.http.config.limits.trusted_proxies;
            let from = peer.map(|peer| client_address(peer.ip(), trusted, &parts.headers));
            refused(&state, found, from.map(|ip| ip.to_string())).await
        }
    }
}

fn read(body: &[u8]) -> Option<Login> {
    serde_json::from_slice(body).ok()
}

/// Guessing is slow: only so many wait at once, and those beyond them are told so at once. A right token never waits.
async fn refused(state: &AdminState, found: Option<&ApiToken>, from: Option<String>) -> Response {
    counts::ADMIN_LOGIN_FAILURES.add(1);
    let Ok(_waits) = state.waiting.try_acquire() else {
        let message = "too many logins were refused just now: try again in a second";
        let mut response = error(StatusCode::TOO_MANY_REQUESTS, "rate-limited", message);
        let second = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, second);
        return response;
    };
    let name = found.map(|token| token.name.as_str());
    tracing::warn!(from, token = name, "a login at the dashboard was refused");
    tokio::time::sleep(ADMIN_LOGIN_DELAY).await;
    match name {
        Some(name) => {
            let message = format!("the token {name} has no scope admin (--api-token-file)");
            error(StatusCode::FORBIDDEN, "forbidden", &message)
        }
        None => {
            let message = "this is no token of --api-token-file";
            error(StatusCode::UNAUTHORIZED, "unauthorized", message)
        }
    }
}

/// Forgets the cookie. A copy of it is good until it ends, or its token is taken out of the file.
pub(super) async fn log_out(headers: HeaderMap) -> Response {
    with_cookie(json!({ "open": false }), "", 0, &headers)
}

fn with_cookie(
    body: serde_json::Value,
    value: &str,
    max_age_s: u64,
    headers: &HeaderMap,
) -> Response {
    let secure = if over_tls(headers) { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}");
    let mut response = json_response(StatusCode::OK, &body);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Whether the browser came over TLS, which a proxy may have ended: it tells itself where its page is from.
fn over_tls(headers: &HeaderMap) -> bool {
    let begins = |name: &str, word: &[u8]| {
        let value = headers.get(name);
        value.is_some_and(|value| value.as_bytes().starts_with(word))
    };
    begins("origin", b"https:") || begins("x-forwarded-proto", b"https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_cookies_of_a_request_are_looked_at() {
        use crate::auth::secret::Secret;
        let tokens = ApiTokens::single(Secret::new("a".repeat(32))).unwrap();
        let right = sessions::issue(tokens.find(&"a".repeat(32)).unwrap(), u64::MAX);
        let with = |wrong: usize| {
            let mut pairs = vec![format!("{COOKIE}=api.9.x"); wrong];
            pairs.push(format!("other=1; {COOKIE}={right}"));
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(&pairs.join("; ")).unwrap();
            headers.insert(header::COOKIE, value);
            of(&tokens, &headers).is_some()
        };
        assert!(with(0) && with(MOST_COOKIES - 1));
        assert!(!with(MOST_COOKIES) && !with(500));
    }

    #[test]
    fn a_browser_over_tls_gets_a_cookie_for_tls_only() {
        let mut headers = HeaderMap::new();
        let set = |headers: &HeaderMap| {
            let response = with_cookie(json!({}), "x", 5, headers);
            let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
            cookie.to_owned()
        };
        let plain = "scumble_admin=x; HttpOnly; SameSite=Strict; Max-Age=5";
        assert_eq!(set(&headers), plain);
        headers.insert("origin", HeaderValue::from_static("https://a.test"));
        assert_eq!(set(&headers), format!("{plain}; Secure"));
    }
}
