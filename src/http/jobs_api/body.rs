//! Bodies of requests: bounded in bytes and in time, and parsed beside the event loop if they are large.

use axum::body::Body;
use serde::de::DeserializeOwned;

use crate::http::body::{self, Announced, CROWDED, NoBody, Whole};
use crate::http::named_json;
use crate::jobs::op::Refusal;
use crate::limits::{HTTP_BODY_TIMEOUT, JOB_REQUEST_BYTES};

/// Bodies up to this are parsed where they are: it takes less than the way to another thread.
const SMALL: usize = 64 * 1024;

fn too_large() -> Refusal {
    let message = format!("a request is at most {JOB_REQUEST_BYTES} bytes: send it in parts");
    Refusal::new(413, "too-large", message)
}

/// All of a body.
async fn whole(body: Body) -> Result<Whole, Refusal> {
    let whole = body::whole(body, JOB_REQUEST_BYTES, HTTP_BODY_TIMEOUT, Announced::Pass);
    whole.await.map_err(|why| match why {
        NoBody::TooLarge => too_large(),
        NoBody::Broken => Refusal::bad("the body could not be read"),
        NoBody::Late => {
            let seconds = HTTP_BODY_TIMEOUT.as_secs();
            let message = format!("the body must come within {seconds} s");
            Refusal::new(408, "timeout", message)
        }
        NoBody::Crowded => Refusal::new(503, "overloaded", CROWDED),
    })
}

/// The body as what it should be; an empty one is an empty object.
pub(super) async fn parsed<T: DeserializeOwned + Send + 'static>(body: Body) -> Result<T, Refusal> {
    let bytes = whole(body).await?;
    if bytes.len() <= SMALL {
        return parse(&bytes);
    }
    let parsing = tokio::task::spawn_blocking(move || parse(&bytes));
    parsing
        .await
        .map_err(|_| Refusal::new(503, "overloaded", "the body could not be parsed"))?
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    named_json::parse(bytes).map_err(|wrong| Refusal::bad(format!("the body is wrong: {wrong}")))
}
