//! Bodies of requests. Each is bounded in bytes and in time, whoever reads it.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};

use super::passing::pass;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBody {
    /// It has more bytes than it may have.
    TooLarge,
    /// It did not come in time.
    Late,
    /// Its sender broke off, or did not keep to HTTP.
    Broken,
}

/// What becomes of a body whose sender announces that it is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    /// It is not waited for.
    Refuse,
    /// It is read and thrown away, because a sender that still sends does not hear the answer.
    Pass,
}

/// All of a body.
pub(super) async fn whole(
    body: Body,
    most: usize,
    within: Duration,
    announced: Announced,
) -> Result<Bytes, NoBody> {
    if body.size_hint().lower() > most as u64 {
        if announced == Announced::Pass {
            pass(body, most).await;
        }
        return Err(NoBody::TooLarge);
    }
    match tokio::time::timeout(within, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(failed)) if is_over(&failed) => Err(NoBody::TooLarge),
        Ok(Err(_)) => Err(NoBody::Broken),
        Err(_) => Err(NoBody::Late),
    }
}

/// Whether a body was longer than it may be.
fn is_over(failed: &axum::Error) -> bool {
    std::error::Error::source(failed)
        .is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn pieces(count: usize) -> Body {
        let piece = || Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789"));
        Body::from_stream(stream::iter((0..count).map(move |_| piece())))
    }

    #[tokio::test]
    async fn a_body_has_a_bound_whether_it_is_announced_or_not() {
        let second = Duration::from_secs(1);
        for announced in [Announced::Refuse, Announced::Pass] {
            for (body, read) in [
                (pieces(10), Ok(100)),
                (pieces(11), Err(NoBody::TooLarge)),
                (Body::from("x".repeat(100)), Ok(100)),
                (Body::from("x".repeat(101)), Err(NoBody::TooLarge)),
            ] {
                let body = whole(body, 100, second, announced).await;
                assert_eq!(body.map(|bytes| bytes.len()), read);
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let body = whole(never, 100, Duration::from_millis(10), Announced::Pass).await;
        assert_eq!(body, Err(NoBody::Late));
        let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
        let broken = Body::from_stream(broken);
        let body = whole(broken, 100, Duration::from_secs(10), Announced::Pass).await;
        assert_eq!(body, Err(NoBody::Broken));
    }
}
