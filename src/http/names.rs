//! The names in a path, for handlers of both APIs.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;

/// What an API's handlers share. Each API has its own form of an error.
pub(super) trait RefusesPaths {
    /// 400, with what is wrong with the path.
    fn bad_path(message: String) -> Response;
}

/// The names in a path. One that is no text is refused like any other that is wrong.
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: RefusesPaths + Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(S::bad_path(rejection.body_text())),
        }
    }
}
