//! Access to the server API.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::super::forwarded::client_address;
use super::super::{HttpState, error};
use crate::auth::api_tokens::{ApiToken, Scope};
use crate::auth::refusals;
use crate::config::Config;

/// Headers that tell of a proxy: the real caller is somebody else. So do all that begin with `x-forwarded-`.
const FORWARDED: [&str; 9] = [
    "forwarded",
    "forwarded-for",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "cf-connecting-ip",
    "true-client-ip",
];

/// Lets a request through that has a token of the right scope; without tokens, one of this host's own processes.
pub(in crate::http) async fn guard(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let scope = needed(request.method(), request.uri().path());
    match refusal(&state, &request, scope) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// The same for the work queue. There a `GET` takes messages away as well (a pop), so all of it is one scope.
pub(in crate::http) async fn guard_jobs(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    match refusal(&state, &request, Scope::Jobs) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Why a request may not do what needs that scope; `None` if it may.
fn refusal(state: &HttpState, request: &Request, needed: Scope) -> Option<Response> {
    match &state.config.security.api_tokens {
        Some(tokens) => {
            let given = bearer(request.headers());
            let tell = |why: &str| refusals::tell("server API", caller_address(state, request), why);
            match given.and_then(|given| tokens.find(given)) {
                None => {
                    tell(given.map_or("there is none", |_| "it is none of --api-token-file"));
                    Some(unauthorized())
                }
                Some(token) => {
                    let message = out_of_scope(token, needed)?;
                    tell(&message);
                    Some(error(StatusCode::FORBIDDEN, "forbidden", &message))
                }
            }
        }
        None => (!is_local(request)).then(|| {
            let message = "without --api-token-file the server API answers only processes of the relay's own host that ask for \
                           a loopback name such as localhost, not proxies and not pages: ask so, or give the relay tokens";
            error(StatusCode::FORBIDDEN, "forbidden", message)
        }),
    }
}

/// What a request needs the token to be for.
fn needed(method: &Method, path: &str) -> Scope {
    match *method {
        _ if path.starts_with("/api/v1/admin") => Scope::Admin,
        Method::GET | Method::HEAD => Scope::Read,
        Method::POST if path.ends_with("/messages") => Scope::Publish,
        _ => Scope::Manage,
    }
}

/// Whom the canvases count for that a request makes: its token, or all processes of this host together.
pub(super) fn caller(config: &Config, headers: &HeaderMap) -> String {
    let tokens = config.security.api_tokens.as_ref();
    let token = tokens.and_then(|tokens| tokens.find(bearer(headers)?));
    token.map_or_else(
        || "this host".to_owned(),
        |token| format!("api {}", token.name),
    )
}

/// Why the token is not enough; `None` if it is.
fn out_of_scope(token: &ApiToken, needed: Scope) -> Option<String> {
    let name = &token.name;
    let scope = needed.word();
    let told = || format!("the token {name} has no scope {scope} (--api-token-file)");
    (!token.allows(needed)).then(told)
}

/// Who asks, as far as the proxies that are trusted tell.
fn caller_address(state: &HttpState, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<SocketAddr>()?;
    let trusted = &state.config.limits.trusted_proxies;
    Some(client_address(peer.ip(), trusted, request.headers()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized() -> Response {
    let message = "send the token of --api-token-file as Authorization: Bearer";
    let mut response = error(StatusCode::UNAUTHORIZED, "unauthorized", message);
    let challenge = HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// From a process of this host, as far as can be seen: over loopback, to a name of loopback (a page that had its own name
/// resolve to this host would say that name), through no proxy, and not by a page in a browser.
fn is_local(request: &Request) -> bool {
    let headers = request.headers();
    is_straight(request)
        && !headers.contains_key(header::ORIGIN)
        && !headers.contains_key(header::REFERER)
        && !headers.contains_key("sec-fetch-site")
}

/// Over loopback, to a name of loopback, through no proxy. A page in a browser may have sent it.
pub(in crate::http) fn is_straight(request: &Request) -> bool {
    let peer = request.extensions().get::<SocketAddr>();
    let headers = request.headers();
    let uri = request.uri();
    let forwarded = |name: &HeaderName| {
        let name = name.as_str().replace('_', "-");
        name.starts_with("x-forwarded-") || FORWARDED.contains(&name.as_str())
    };
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && !headers.keys().any(forwarded)
        && headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .is_some_and(is_loopback_name)
        // Where the request line names a host, it is that one which is asked (RFC 9112, 3.2.2).
        && uri.authority().is_none_or(|host| is_loopback_name(host.as_str()))
}

fn is_loopback_name(host: &str) -> bool {
    if host.contains('@') {
        return false;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_loopback() {
        for good in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback_name(good), "{good}");
        }
        for bad in [
            "",
            "evil.test",
            "localhost.evil.test",
            "10.0.0.1:80",
            "127.0.0.1.evil.test",
            "[2001:db8::1]",
            "localhost@evil.test",
            "localhost:80@evil.test",
        ] {
            assert!(!is_loopback_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_bearer_is_read_whatever_the_case() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("abc", None),
        ] {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            assert_eq!(bearer(&headers), token, "{value}");
        }
    }
}
