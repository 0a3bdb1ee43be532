//! The guard of the dashboard. It lets the dashboard's own page through with a session; without tokens, it lets
//! browsers of this host through.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::super::server_api::is_straight;
use super::{AdminState, error, session};

/// The page says that it asks. Pages of other origins can't say so: a browser would ask this server first, which never agrees.
const OWN_HEADER: &str = "x-scumble-admin";

/// What everybody is told whose request does not come from the page.
const NOT_OURS: &str =
    "only the page /admin of this very server may ask for this; programs use /api/v1 with a token";

/// Lets the page's own requests through, whoever looks at it.
pub(super) async fn own_page(
    State(state): State<AdminState>,
    request: Request,
    next: Next,
) -> Response {
    match refusal_of_place(&state, &request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Lets those through who are logged in; who may change nothing may look.
pub(super) async fn guard(
    State(state): State<AdminState>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(refusal) = refusal_of_place(&state, &request) {
        return refusal;
    }
    let name = match &state.http.config.security.api_tokens {
        None => "this host".to_owned(),
        Some(tokens) => match session::of(tokens, request.headers()) {
            Some(token) => token.name.clone(),
            None => {
                let message = "log in at /admin: there is no session, or it has ended";
                return error(StatusCode::UNAUTHORIZED, "unauthorized", message);
            }
        },
    };
    if reads(request.method()) {
        return next.run(request).await;
    }
    if !state.http.config.admin_writes {
        let message = "the dashboard is read-only: start the server with --admin-writes to change anything here";
        return error(StatusCode::FORBIDDEN, "read-only", message);
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::info!(token = name, %method, path, status, "changed through the dashboard");
    response
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Why a request is not from the page, or not from where it may come from.
fn refusal_of_place(state: &AdminState, request: &Request) -> Option<Response> {
    let refused = |message: &str| Some(error(StatusCode::FORBIDDEN, "forbidden", message));
    if !from_own_page(request.headers(), request.method()) {
        return refused(NOT_OURS);
    }
    if state.http.config.security.api_tokens.is_none() && !is_straight(request) {
        return refused(
            "without --api-token-file the dashboard is for browsers on this very host, at a name like localhost and \
             through no proxy: give the server --api-token-file with a token of scope admin",
        );
    }
    None
}

/// Whether the request comes from a page of this server.
fn from_own_page(headers: &HeaderMap, method: &Method) -> bool {
    if !headers.contains_key(OWN_HEADER) || headers.get_all(header::HOST).iter().count() > 1 {
        return false;
    }
    // Browsers tell it where the connection is trustworthy: over TLS, and on this host.
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match headers.get(header::ORIGIN) {
        Some(origin) => origin
            .to_str()
            .is_ok_and(|origin| is_of_host(origin, headers)),
        // Browsers send none with what reads only.
        None => reads(method) || site.is_some(),
    }
}

/// Whether an origin is the host that was asked. A proxy may have left the port out of `Host`.
fn is_of_host(origin: &str, headers: &HeaderMap) -> bool {
    let Some((_, origin)) = origin.split_once("://") else {
        return false;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let (Some(host), Ok(origin)) = (
        host.and_then(|host| host.parse::<Authority>().ok()),
        origin.parse::<Authority>(),
    ) else {
        return false;
    };
    host.host().eq_ignore_ascii_case(origin.host())
        && (host.port_u16().is_none() || host.port_u16() == origin.port_u16())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn only_the_own_page_is_let_through() {
        let own = (OWN_HEADER, "1");
        let host = ("host", "a.test:8080");
        let (get, post) = (Method::GET, Method::POST);
        for (given, method) in [
            (&[own, host][..], &get),
            (&[own, host, ("origin", "http://a.test:8080")], &post),
            (&[own, host, ("sec-fetch-site", "same-origin")], &post),
            (
                &[own, ("host", "a.test"), ("origin", "https://a.test:8443")],
                &post,
            ),
        ] {
            assert!(from_own_page(&headers(given), method), "{given:?}");
        }
        for (given, method) in [
            (&[host][..], &get),
            (&[own, host], &post),
            (&[host, ("origin", "http://a.test:8080")], &post),
            (&[own, host, ("origin", "http://a.test:9090")], &post),
            (&[own, host, ("origin", "http://b.test:8080")], &get),
            (&[own, host, ("origin", "null")], &post),
            (&[own, host, ("sec-fetch-site", "same-site")], &get),
            (&[own, host, ("sec-fetch-site", "cross-site")], &post),
            (&[own, host, ("sec-fetch-site", "none")], &get),
        ] {
            assert!(!from_own_page(&headers(given), method), "{given:?}");
        }
    }
}
