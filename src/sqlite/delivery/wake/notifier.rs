//! How the poller is notified within its process.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::backplane::CanvasKey;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;

/// What the poller has to look for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sqlite) enum WakeHint {
    /// Nobody said anything.
    #[default]
    Nothing,
    /// Rows that came along, and are delivered.
    Delivered,
    /// Rows of these canvases.
    Rows(Vec<CanvasKey>),
    /// Rows of any canvas.
    Any,
}

impl WakeHint {
    /// And this, too.
    pub(in crate::sqlite) fn and(&mut self, more: Self) {
        match (&mut *self, more) {
            (_, Self::Nothing) | (Self::Rows(_), Self::Delivered) | (Self::Any, _) => {}
            (Self::Rows(keys), Self::Rows(more)) => keys.extend(more),
            (_, more) => *self = more,
        }
    }
}

/// Wakes the poller, whatever else it waits for.
#[derive(Debug)]
pub(in crate::sqlite) struct Notifier {
    hints: Mutex<WakeHint>,
    sender: UnixStream,
    receiver: UnixStream,
}

impl Notifier {
    /// Silent.
    pub(in crate::sqlite) fn new() -> io::Result<Self> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        let hints = Mutex::default();
        Ok(Self {
            hints,
            sender,
            receiver,
        })
    }

    /// Has the poller look.
    pub(in crate::sqlite) fn notify(&self, hints: WakeHint) {
        self.hints.lock().and(hints);
        // Full: it is about to be woken anyway.
        let _ = (&self.sender).write(&[0]);
    }

    /// Waits until it rings or `also` can be read, at most for `limit`; gives what was said.
    pub(in crate::sqlite) fn wait(
        &self,
        also: Option<impl AsFd>,
        limit: Duration,
    ) -> io::Result<WakeHint> {
        let timeout = Timespec::try_from(limit).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        let mut fds = vec![PollFd::new(&self.receiver, PollFlags::IN)];
        fds.extend(also.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if fds[0].revents().contains(PollFlags::IN) {
            // Before what was said is taken: a notification that comes in between wakes once in vain.
            let _ = (&self.receiver).read(&mut [0; 64]);
        }
        Ok(std::mem::take(&mut *self.hints.lock()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_heard_once() {
        let notifier = Notifier::new().unwrap();
        let rows = |keys: &[i64]| WakeHint::Rows(keys.iter().copied().map(CanvasKey).collect());
        let wait = |limit| notifier.wait(None::<&UnixStream>, limit).unwrap();
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(5));
        assert_eq!(wait(short), WakeHint::Nothing);
        notifier.notify(rows(&[7]));
        notifier.notify(rows(&[-1]));
        assert_eq!(wait(long), rows(&[7, -1]));
        assert_eq!(wait(short), WakeHint::Nothing);
        (0..100_000).for_each(|_| notifier.notify(WakeHint::Any));
        notifier.notify(rows(&[7]));
        assert_eq!(
            wait(long),
            WakeHint::Any,
            "a full notifier wakes all the same"
        );
    }
}
