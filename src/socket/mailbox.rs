//! The post of a stream's client, until the connection has read it. Pure.
//!
//! A client numbers its posts 1, 2, 3, …. It sends one only when its stream has said that the one before was taken. So
//! at most one waits, whichever process it came to. A post that comes twice or too late changes nothing.

use std::sync::Arc;

use crate::backplane::Post;

/// See the module's head.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// The last one that was read to its end.
    taken: u64,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    /// `None` once they are being read.
    messages: Option<Arc<str>>,
}

/// A post that is not the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfOrder {
    /// Which number is.
    pub next: u64,
}

impl Mailbox {
    /// Puts the next post. One that is known already is nothing new.
    ///
    /// # Errors
    /// It is another one, or the one before was not taken yet.
    pub fn put(&mut self, post: Post) -> Result<(), OutOfOrder> {
        let Some(number) = post.number else {
            return self.put_next(post.messages).map(drop);
        };
        let last = self.waiting.as_ref().map_or(self.taken, |one| one.number);
        if number.get() <= last {
            return Ok(());
        }
        if number.get() != last + 1 {
            return Err(OutOfOrder { next: last + 1 });
        }
        self.put_next(post.messages).map(drop)
    }

    /// Puts messages that have no number of a post as the next one, and gives it.
    ///
    /// # Errors
    /// The one before was not taken yet.
    pub fn put_next(&mut self, messages: Arc<str>) -> Result<u64, OutOfOrder> {
        let number = self.taken + 1;
        if self.is_full() {
            return Err(OutOfOrder { next: number + 1 });
        }
        self.waiting = Some(Waiting {
            number,
            messages: Some(messages),
        });
        Ok(number)
    }

    /// Whether there is a post that was not read to its end.
    pub fn is_full(&self) -> bool {
        self.waiting.is_some()
    }

    /// The messages of the post to read, once.
    pub fn take(&mut self) -> Option<Arc<str>> {
        self.waiting.as_mut()?.messages.take()
    }

    /// It was read to its end: its number, to be told.
    pub fn done(&mut self) -> Option<u64> {
        let number = self.waiting.take()?.number;
        self.taken = number;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn post(number: u64) -> Post {
        Post {
            number: NonZeroU64::new(number),
            messages: messages(number),
        }
    }

    fn messages(number: u64) -> Arc<str> {
        format!("[{number}]").into()
    }

    #[test]
    fn posts_are_read_once_and_in_their_order() {
        let mut posts = Mailbox::default();
        assert_eq!(posts.put(post(2)), Err(OutOfOrder { next: 1 }));
        assert_eq!(posts.take(), None);
        assert_eq!(posts.put(post(1)), Ok(()));
        assert_eq!(posts.put(post(1)), Ok(()), "again, on its way");
        assert_eq!(posts.put(post(2)), Err(OutOfOrder { next: 2 }), "too early");
        assert_eq!(posts.take(), Some(messages(1)));
        assert_eq!(posts.take(), None, "it is being read");
        assert_eq!(posts.put(post(1)), Ok(()));
        assert_eq!(posts.take(), None);
        assert_eq!(posts.done(), Some(1));
        assert_eq!(posts.put(post(1)), Ok(()), "again, after the end");
        assert!(!posts.is_full());
        assert_eq!(posts.put(post(2)), Ok(()));
        assert_eq!(posts.take(), Some(messages(2)));
    }

    #[test]
    fn a_post_without_a_number_is_the_next_one() {
        let mut posts = Mailbox::default();
        let next = |posts: &mut Mailbox| posts.put_next(messages(9));
        assert_eq!(next(&mut posts), Ok(1));
        assert_eq!(
            next(&mut posts),
            Err(OutOfOrder { next: 2 }),
            "one at a time"
        );
        assert_eq!(posts.take(), Some(messages(9)));
        assert_eq!(posts.done(), Some(1));
        assert_eq!(next(&mut posts), Ok(2));
        assert_eq!(posts.put(post(2)), Ok(()), "the same one");
        assert_eq!((posts.take(), posts.done()), (Some(messages(9)), Some(2)));
        let unnumbered = Post {
            number: None,
            messages: messages(3),
        };
        assert_eq!(posts.put(unnumbered), Ok(()), "from another process");
        assert_eq!((posts.take(), posts.done()), (Some(messages(3)), Some(3)));
    }
}
