//! Bodies of requests. Each is bounded in bytes and in time, whoever reads it, and all of them together in bytes.

mod held;

use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use http_body_util::BodyExt;

use self::held::{Held, Hold};
use super::passing::pass;

/// Of this process.
static HELD: LazyLock<Arc<Held>> = LazyLock::new(Arc::default);

/// A body, all of it. What it holds counts until this is dropped.
#[derive(Debug)]
pub(super) struct Whole {
    bytes: Vec<u8>,
    _hold: Hold,
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Whole {
    /// The bytes alone, which count no more.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBody {
    /// It has more bytes than it may have.
    TooLarge,
    /// It did not come in time.
    Late,
    /// Its sender broke off, or did not keep to HTTP.
    Broken,
    /// Others needed the room that it took, or there was no room for it.
    Crowded,
}

/// What is said then.
pub(super) const CROWDED: &str = "other large requests are still coming: send it again later";

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
) -> Result<Whole, NoBody> {
    if body.size_hint().lower() > most as u64 {
        if announced == Announced::Pass {
            pass(body, most).await;
        }
        return Err(NoBody::TooLarge);
    }
    let whole = collected(body, most, HELD.begin());
    let whole = tokio::time::timeout(within, whole).await;
    whole.unwrap_or(Err(NoBody::Late))
}

/// It is copied as it comes: pieces of a few bytes, kept each, would take many times as much as they have.
async fn collected(mut body: Body, most: usize, mut hold: Hold) -> Result<Whole, NoBody> {
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::select! {
            biased;
            () = hold.gives_way() => return Err(NoBody::Crowded),
            frame = body.frame() => frame,
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| NoBody::Broken)?;
        // What is behind the body says nothing here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = bytes.len() + data.len();
        if length > most {
            return Err(NoBody::TooLarge);
        }
        if length > bytes.capacity() {
            let room = (2 * length).min(most);
            if !hold.grow(room).await {
                return Err(NoBody::Crowded);
            }
            bytes.reserve_exact(room - bytes.len());
        }
        bytes.extend_from_slice(&data);
        hold.come(length);
    }
    hold.is_whole();
    Ok(Whole { bytes, _hold: hold })
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures::{StreamExt as _, stream};

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
                assert_eq!(body.map(|whole| whole.len()), read);
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let body = whole(never, 100, Duration::from_millis(10), Announced::Pass).await;
        assert_eq!(body.err(), Some(NoBody::Late));
        let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
        let broken = Body::from_stream(broken);
        let body = whole(broken, 100, Duration::from_secs(10), Announced::Pass).await;
        assert_eq!(body.err(), Some(NoBody::Broken));
    }

    #[tokio::test]
    async fn a_body_in_pieces_of_a_byte_takes_what_it_has() {
        let piece = || Ok::<_, std::io::Error>(Bytes::from_static(b"x"));
        let pieces = stream::iter((0..100_000).map(move |_| piece()));
        let body = Body::from_stream(pieces);
        let second = Duration::from_secs(1);
        let whole = whole(body, 1 << 20, second, Announced::Pass).await;
        let bytes = whole.unwrap().into_bytes();
        assert_eq!(bytes.len(), 100_000);
        assert!(bytes.capacity() <= 200_000, "{}", bytes.capacity());
    }

    #[tokio::test]
    async fn large_bodies_that_stall_give_way_to_one_that_comes() {
        let held = Held::for_tests(true);
        let size = 8 << 20;
        let mut stalled = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let begun = vec![Ok::<_, std::io::Error>(Bytes::from(vec![b' '; size - 1]))];
            let body = Body::from_stream(stream::iter(begun).chain(stream::pending()));
            stalled.spawn(collected(body, size, held.begin()));
        }
        tokio::task::yield_now().await;
        let come = || collected(Body::from(vec![b' '; size]), size, held.begin());
        let ends = [come().await, come().await];
        let ends = ends.map(|end| end.map(|whole| whole.len()));
        assert_eq!(ends, [Ok(size), Ok(size)]);
        tokio::task::yield_now().await;
        for _ in 0..2 {
            let gone = stalled.try_join_next().unwrap().unwrap();
            assert_eq!(gone.err(), Some(NoBody::Crowded));
        }
        assert!(stalled.try_join_next().is_none());
    }
}
