//! Receives and drops bodies that are too large.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;

use crate::limits::HTTP_BODY_TIMEOUT;

/// Reads a body that is too large and keeps nothing of it, because a sender that still sends does not hear the answer.
/// It reads twice the allowed bytes, and no longer than a body may take.
pub(super) async fn pass(mut body: Body, allowed: usize) {
    let passing = async {
        let mut left = 2 * allowed;
        while let Some(Ok(frame)) = body.frame().await {
            let len = frame.data_ref().map_or(0, Bytes::len);
            if len > left {
                return;
            }
            left -= len;
        }
    };
    // Late or not: the answer is the same.
    let _ = tokio::time::timeout(HTTP_BODY_TIMEOUT, passing).await;
}
