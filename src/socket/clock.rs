//! A connection's deadlines: for the hello, for pings and pongs, for a socket that takes nothing, for the token, and
//! for the close.

use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use humantime::format_duration;

use super::connection::{Hub, Peer, leave};
use super::inbound::Inbound;
use super::outbound::Outbound;
use crate::backplane::End;
use crate::limits::{CLOSE_TIMEOUT, PROGRESS_BYTES};
use crate::protocol::close_code::CloseCode;
use crate::protocol::frame;

/// When what has to happen at the latest.
pub(super) struct Clock {
    began: Instant,
    received: Instant,
    pinged: Option<Instant>,
    closing: Option<Instant>,
    /// A message has begun and not ended: since when that is looked at, and what had come by then.
    coming: Option<(Instant, u64)>,
}

/// Pings are sent at multiples of this: thousands of idle connections then share a wake-up of the process, and a wake-up costs more
/// than a ping.
const PING_GRID: Duration = Duration::from_millis(100);

/// The first multiple of the grid at or after `at`, counted from the start of the process.
fn on_grid(at: Instant) -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = at.saturating_duration_since(*START).as_nanos();
    let late = since.next_multiple_of(PING_GRID.as_nanos()) - since;
    at + Duration::from_nanos(u64::try_from(late).unwrap_or(0))
}

/// Whether it is our doing that a client that has joined is not heard.
fn is_unread(hub: &Hub, out: &Outbound, inbound: &Inbound) -> bool {
    let joined = inbound.peer().is_some_and(|peer| peer.acked_op().is_some());
    hub.draining() || joined && out.paused.load(Ordering::Acquire)
}

impl Clock {
    /// The connection begins.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            received: now,
            pinged: None,
            closing: None,
            coming: None,
        }
    }

    /// The client said something.
    pub(super) fn received(&mut self, now: Instant) {
        self.received = now;
        self.pinged = None;
    }

    /// Does what is due now. `Some` ends the connection.
    pub(super) fn due(
        &mut self,
        hub: &Hub,
        out: &Outbound,
        inbound: &Inbound,
        now: Instant,
    ) -> Option<End> {
        let standing = out.standing();
        if standing.closing.is_some() {
            let since = *self.closing.get_or_insert_with(|| {
                leave(hub, inbound, inbound.end());
                now
            });
            return (now >= since + CLOSE_TIMEOUT).then(|| inbound.end());
        }
        if out.stalled_for(hub.config.write_timeout) {
            // The kernel keeps it for a client that reads on later.
            out.unbound();
            let within = format_duration(hub.config.write_timeout);
            let reason = format!("the socket took next to nothing for {within} (write_timeout)");
            out.close(CloseCode::Timeout, &reason);
            return None;
        }
        if self.pinged.is_some() && (standing.blocked.is_some() || is_unread(hub, out, inbound)) {
            // The ping is behind what the socket has not taken, or its pong behind what is not read: that is not its fault.
            self.pinged = Some(now);
        }
        if self.dawdles(hub, out, inbound, now) {
            let within = format_duration(hub.config.write_timeout);
            let reason = format!("of a message came next to nothing for {within} (write_timeout)");
            out.close(CloseCode::Timeout, &reason);
            return None;
        }
        let deadlines = &hub.config.deadlines;
        if inbound.peer().is_none() && now >= self.began + deadlines.hello {
            let within = format_duration(deadlines.hello);
            let reason = format!("hello must come within {within} (hello_timeout)");
            out.close(CloseCode::Malformed, &reason);
        } else if inbound
            .peer()
            .is_some_and(|peer| peer.session.left() == Some(Duration::ZERO))
        {
            out.close(CloseCode::Unauthorized, "the token has expired");
        } else if self.pinged.is_some_and(|at| now >= at + deadlines.pong) {
            let within = format_duration(deadlines.pong);
            let reason = format!("nothing came within {within} of a ping (pong_timeout)");
            out.close(CloseCode::Timeout, &reason);
        } else if self.pinged.is_none() && now >= self.received + deadlines.ping_interval {
            self.pinged = Some(now);
            out.with(|outbox| outbox.raw(Bytes::from_static(&frame::PING)));
            inbound.flush();
        }
        None
    }

    /// Whether a message that has begun does not go on. Before the hello its own deadline counts.
    fn dawdles(&mut self, hub: &Hub, out: &Outbound, inbound: &Inbound, now: Instant) -> bool {
        let received = inbound.received();
        let stands = inbound.peer().is_some() && inbound.unfinished();
        if !stands || is_unread(hub, out, inbound) {
            self.coming = None;
            return false;
        }
        let (since, before) = *self.coming.get_or_insert((now, received));
        if received - before >= PROGRESS_BYTES as u64 {
            self.coming = Some((now, received));
            return false;
        }
        now >= since + hub.config.write_timeout
    }

    /// When to look again at the latest.
    pub(super) fn next(
        &self,
        hub: &Hub,
        peer: Option<&Arc<Peer>>,
        blocked: Option<Instant>,
    ) -> Instant {
        if let Some(since) = self.closing {
            return since + CLOSE_TIMEOUT;
        }
        let deadlines = &hub.config.deadlines;
        let mut next = match self.pinged {
            Some(at) => at + deadlines.pong,
            None => on_grid(self.received + deadlines.ping_interval),
        };
        match peer {
            None => next = next.min(self.began + deadlines.hello),
            Some(peer) => {
                if let Some(left) = peer.session.left() {
                    next = next.min(Instant::now() + left);
                }
            }
        }
        let coming = self.coming.map(|(since, _)| since);
        for since in coming.into_iter().chain(blocked) {
            next = next.min(since + hub.config.write_timeout);
        }
        next
    }
}
