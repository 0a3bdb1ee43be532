//! Long answers: a canvas's objects, messages or members. Each is sent in pieces as its reader takes them, and is not
//! parsed on the way. There is a bound for what all of them hold at a time. A reader that takes too long is cut off.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::json_response;
use crate::backplane::SharedText;
use crate::limits::{LONG_ANSWER_PIECE, LONG_ANSWER_TIME, LONG_ANSWER_WAIT, LONG_ANSWERS_BYTES};

/// The unit in which room is counted.
const KIB: usize = 1024;

/// What the long answers of a process may hold.
#[derive(Debug, Clone)]
pub struct LongAnswers(Arc<Semaphore>);

impl Default for LongAnswers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LONG_ANSWERS_BYTES / KIB)))
    }
}

/// Room for one answer, which is given back as the answer is read.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

impl LongAnswers {
    /// Room for so many bytes, once there is some; `None` if there is none in time. The largest answer has all of it for itself.
    pub(super) async fn room(&self, bytes: usize) -> Option<Room> {
        self.room_within(bytes, LONG_ANSWER_WAIT).await
    }

    async fn room_within(&self, bytes: usize, wait: Duration) -> Option<Room> {
        let all = LONG_ANSWERS_BYTES / KIB;
        let wanted = u32::try_from(bytes.div_ceil(KIB).clamp(1, all)).ok()?;
        let room = self.0.clone().acquire_many_owned(wanted);
        let room = tokio::time::timeout(wait, room).await;
        room.ok()?.ok().map(Room)
    }
}

impl Room {
    /// Only so many bytes are needed yet.
    fn keep(&mut self, bytes: usize) {
        let over = self.0.num_permits().saturating_sub(bytes.div_ceil(KIB));
        drop(self.0.split(over));
    }
}

/// An answer in JSON: what begins it, items with commas between them, what ends it.
pub(super) fn answer(head: String, items: Vec<SharedText>, tail: &str, room: Room) -> Response {
    let tail = format!("{tail}\n");
    let commas = items.len().saturating_sub(1);
    let bytes: usize = items.iter().map(|item| item.len()).sum();
    let left = head.len() + bytes + commas + tail.len();
    let items = items.into_iter();
    let rest = Rest::Items {
        head,
        items,
        tail,
        begun: false,
    };
    respond(rest, left, room)
}

/// An answer that is JSON already.
pub(super) fn whole(text: String, room: Room) -> Response {
    let left = text.len();
    respond(Rest::Text(text.into()), left, room)
}

/// A short answer is given whole.
fn respond(rest: Rest, left: usize, room: Room) -> Response {
    let mut pieces = Pieces {
        rest,
        left,
        rests: false,
        until: Instant::now() + LONG_ANSWER_TIME,
        room,
    };
    pieces.room.keep(left);
    let mut response = json_response(StatusCode::OK, &Value::Null);
    *response.body_mut() = if left <= LONG_ANSWER_PIECE {
        pieces.next_piece().unwrap_or_default().into()
    } else {
        Body::new(pieces)
    };
    response
}

/// What is left of an answer, and how it is given.
struct Pieces {
    rest: Rest,
    /// Bytes of it.
    left: usize,
    /// Others have their turn before the next piece.
    rests: bool,
    until: Instant,
    room: Room,
}

enum Rest {
    Items {
        head: String,
        items: std::vec::IntoIter<SharedText>,
        tail: String,
        begun: bool,
    },
    Text(Bytes),
}

impl Rest {
    /// Whole items, until the piece is large enough; the last piece ends the answer.
    fn next_piece(&mut self) -> Bytes {
        let (head, items, tail, begun) = match self {
            Self::Text(text) => return text.split_to(text.len().min(LONG_ANSWER_PIECE)),
            Self::Items {
                head,
                items,
                tail,
                begun,
            } => (head, items, tail, begun),
        };
        let mut piece = std::mem::take(head);
        while piece.len() < LONG_ANSWER_PIECE {
            let Some(item) = items.next() else {
                piece.push_str(&std::mem::take(tail));
                break;
            };
            if std::mem::replace(begun, true) {
                piece.push(',');
            }
            piece.push_str(&item);
        }
        piece.into()
    }
}

impl Pieces {
    fn next_piece(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let piece = self.rest.next_piece();
        self.left -= piece.len();
        // A text is held whole until its last piece is read.
        if matches!(self.rest, Rest::Items { .. }) {
            self.room.keep(self.left);
        }
        Some(piece)
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if Instant::now() > self.until {
            // The answer is cut off, and its reader sees that: bytes are missing.
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.rests = true;
        let piece = self.next_piece();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use http_body_util::BodyExt as _;

    use super::*;

    fn free(answers: &LongAnswers) -> usize {
        answers.0.available_permits() * KIB
    }

    async fn answered(answers: &LongAnswers, items: Vec<String>) -> Response {
        let bytes = items.iter().map(|item| item.len() + 1).sum();
        let room = answers.room(bytes).await.unwrap();
        let items = items.into_iter().map(SharedText::from).collect();
        answer("{\"a\":[".to_owned(), items, "],\"b\":1}", room)
    }

    #[tokio::test]
    async fn an_answer_is_the_same_in_pieces_as_whole() {
        let answers = LongAnswers::default();
        for count in [0, 1, 2, 1_000] {
            let items: Vec<String> = (0..count)
                .map(|n| format!("\"{n}{}\"", "x".repeat(300)))
                .collect();
            let whole = format!("{{\"a\":[{}],\"b\":1}}\n", items.join(","));
            let room = answers.room(whole.len()).await.unwrap();
            let same = super::whole(whole.clone(), room);
            for response in [answered(&answers, items).await, same] {
                assert_eq!(response.headers()["content-type"], "application/json");
                let body = response.into_body();
                assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
                let body = to_bytes(body, usize::MAX).await.unwrap();
                assert_eq!(body, whole.as_bytes());
            }
        }
        assert_eq!(free(&answers), LONG_ANSWERS_BYTES);
    }

    #[tokio::test]
    async fn what_is_read_is_room_for_others_again_and_so_is_what_nobody_reads_on() {
        let answers = LongAnswers::default();
        let object = "x".repeat(KIB - 1);
        let items = vec![object; 1024];
        let mut body = answered(&answers, items).await.into_body();
        assert_eq!(body.size_hint().exact(), Some((1 << 20) + 14));
        assert_eq!(free(&answers), LONG_ANSWERS_BYTES - (1 << 20));
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!((LONG_ANSWER_PIECE..LONG_ANSWER_PIECE + KIB).contains(&piece.len()));
        let freed = LONG_ANSWERS_BYTES - free(&answers);
        assert!(freed <= (1 << 20) - LONG_ANSWER_PIECE + KIB, "{freed}");
        drop(body);
        assert_eq!(free(&answers), LONG_ANSWERS_BYTES);
    }

    #[tokio::test]
    async fn all_answers_together_have_a_bound_and_whoever_finds_no_room_waits_only_so_long() {
        let answers = LongAnswers::default();
        let half = LONG_ANSWERS_BYTES / 2;
        let one = answers.room(half).await.unwrap();
        let other = answers.room(half).await.unwrap();
        let soon = Duration::from_millis(10);
        assert!(answers.room_within(1, soon).await.is_none());
        drop(one);
        assert!(answers.room(1).await.is_some());
        drop(other);
        // However large: it can be had alone.
        assert!(answers.room(usize::MAX).await.is_some());
    }

    #[tokio::test]
    async fn others_have_their_turn_between_two_pieces() {
        let answers = LongAnswers::default();
        let items = vec!["x".repeat(LONG_ANSWER_PIECE); 3];
        let mut body = answered(&answers, items).await.into_body();
        let mut pending = 0;
        std::future::poll_fn(|cx| {
            loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Ready(Some(piece)) => assert!(piece.is_ok()),
                    Poll::Pending => {
                        pending += 1;
                        return Poll::Pending;
                    }
                }
            }
        })
        .await;
        assert!(pending >= 3, "{pending}");
    }
}
