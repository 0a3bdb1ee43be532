//! The dashboard at `/admin`: a page, and below `/admin/api/` what it reads and does.
//!
//! The page is for everybody and contains no data. Its requests go through a guard of its own ([`access`]), not through
//! that of the server API. A browser's cookie is good here and nowhere else, and reaches only the handlers that are
//! listed here.

mod access;
mod canvases;
mod session;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;

use super::{HttpState, embedded, error, jobs_api, server_api};
use crate::limits::ADMIN_LOGINS_WAITING;

/// Bytes of a login: a token and its quotes.
const LOGIN_BYTES: usize = 16 * 1024;

/// What the guard and the login share.
#[derive(Clone)]
struct AdminState {
    http: HttpState,
    /// Refused logins that wait for their answer.
    waiting: Arc<Semaphore>,
}

/// The page and all that it needs.
pub(super) fn router(http: &HttpState) -> Router<HttpState> {
    let state = AdminState {
        http: http.clone(),
        waiting: Arc::new(Semaphore::new(ADMIN_LOGINS_WAITING)),
    };
    let session = get(session::show)
        .post(session::log_in)
        .delete(session::log_out)
        .layer(DefaultBodyLimit::max(LOGIN_BYTES))
        .layer(from_fn_with_state(state.clone(), access::own_page))
        .with_state(state.clone());
    let api = server_api::for_dashboard(http.clone())
        .merge(jobs_api::for_dashboard(http))
        .route("/all-canvases", get(canvases::list))
        .layer(from_fn_with_state(state, access::guard));
    let mut router = Router::new()
        .route("/admin/api/session", session)
        .nest("/admin/api", api);
    for asset in &embedded::ADMIN {
        let serve = move |headers: HeaderMap| async move { page(asset, &headers) };
        router = router.route(asset.path, get(serve));
    }
    router
}

/// Nothing from elsewhere, no frames, no sockets, and no window of another page that holds on to this one.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn page(asset: &'static embedded::Asset, asked: &HeaderMap) -> Response {
    let mut response = embedded::answer(asset, asked);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
