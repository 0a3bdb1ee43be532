//! How the poller is told within its process.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;

/// What the poller has to look for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::queue) enum Heard {
    /// Nobody said anything.
    #[default]
    Nothing,
    /// Rows that came along, and are delivered.
    Told,
    /// Rows of these canvases.
    Rows(Vec<i64>),
    /// Rows of any canvas.
    Any,
}

impl Heard {
    /// And this, too.
    pub(in crate::queue) fn and(&mut self, more: Self) {
        match (&mut *self, more) {
            (_, Self::Nothing) | (Self::Rows(_), Self::Told) | (Self::Any, _) => {}
            (Self::Rows(keys), Self::Rows(more)) => keys.extend(more),
            (_, more) => *self = more,
        }
    }
}

/// Wakes the poller, whatever else it waits for.
#[derive(Debug)]
pub(in crate::queue) struct Bell {
    heard: Mutex<Heard>,
    ring: UnixStream,
    rung: UnixStream,
}

impl Bell {
    /// Silent.
    pub(in crate::queue) fn new() -> io::Result<Self> {
        let (ring, rung) = UnixStream::pair()?;
        ring.set_nonblocking(true)?;
        rung.set_nonblocking(true)?;
        let heard = Mutex::default();
        Ok(Self { heard, ring, rung })
    }

    /// Has the poller look.
    pub(in crate::queue) fn ring(&self, heard: Heard) {
        self.heard.lock().and(heard);
        // Full: it is about to be woken anyway.
        let _ = (&self.ring).write(&[0]);
    }

    /// Waits until it rings or `also` can be read, at most for `limit`; gives what was said.
    pub(in crate::queue) fn wait(
        &self,
        also: Option<impl AsFd>,
        limit: Duration,
    ) -> io::Result<Heard> {
        let timeout = Timespec::try_from(limit).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        let mut fds = vec![PollFd::new(&self.rung, PollFlags::IN)];
        fds.extend(also.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if fds[0].revents().contains(PollFlags::IN) {
            // Before what was said is taken: a ring that comes in between wakes once in vain.
            let _ = (&self.rung).read(&mut [0; 64]);
        }
        Ok(std::mem::take(&mut *self.heard.lock()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_heard_once() {
        let bell = Bell::new().unwrap();
        let wait = |limit| bell.wait(None::<&UnixStream>, limit).unwrap();
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(5));
        assert_eq!(wait(short), Heard::Nothing);
        bell.ring(Heard::Rows(vec![7]));
        bell.ring(Heard::Rows(vec![-1]));
        assert_eq!(wait(long), Heard::Rows(vec![7, -1]));
        assert_eq!(wait(short), Heard::Nothing);
        (0..100_000).for_each(|_| bell.ring(Heard::Any));
        bell.ring(Heard::Rows(vec![7]));
        assert_eq!(wait(long), Heard::Any, "a full bell is rung all the same");
    }
}
