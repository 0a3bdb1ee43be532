//! When messages are sent: open loop, closed loop, or never; and the wait for the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use anyhow::ensure;

use crate::args::Mode;
use crate::generator::Generator;
use crate::peer::Lane;
use crate::process;

/// A closed loop's sender that gets nothing for this long goes on without.
const STALL_NS: u64 = 1_000_000_000;
/// Messages that are sent before sockets are read again.
const BURST: usize = 256;
/// A drain in which nothing comes for this long is over: more than a busy machine makes a server wait.
const QUIET_NS: u64 = 3_000_000_000;

/// What the CPUs have done up to a moment.
pub struct Sample {
    pub at: u64,
    pub own: f64,
    pub servers: Vec<f64>,
    pub machine: (f64, f64),
}

/// Seconds in nanoseconds.
fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

impl Generator {
    fn sample(&self) -> Sample {
        Sample {
            at: self.now(),
            own: process::own_cpu_s(),
            servers: self
                .args
                .server_pid
                .iter()
                .map(|pid| process::cpu_s(*pid))
                .collect(),
            machine: process::machine_s(),
        }
    }

    /// What must be there before load begins: objects, if any are updated; and quiet.
    pub fn prepare(&mut self) -> anyhow::Result<()> {
        self.listen(500_000_000);
        if self.args.mode == Mode::Idle || !self.args.uses(Lane::Object) {
            return Ok(());
        }
        self.create_objects();
        let give_up = self.now() + 10_000_000_000;
        while self.own.pending > 0 && self.now() < give_up {
            self.resend(self.now());
            self.poll(10_000_000);
        }
        ensure!(
            self.own.pending == 0,
            "{} objects were never acknowledged",
            self.own.pending
        );
        self.listen(300_000_000);
        Ok(())
    }

    fn listen(&mut self, ns: u64) {
        let end = self.now() + ns;
        while self.now() < end {
            self.poll(50_000_000);
        }
    }

    /// Warm-up and measured time. Returns the samples at both ends of the latter.
    pub fn load(&mut self) -> (Sample, Sample) {
        let begin = self.now();
        let start = begin + ns(self.args.warmup);
        self.measured = (start, start + ns(self.args.duration));
        let mut beats = self.beats(begin);
        let mut first = None;
        loop {
            let now = self.now();
            if first.is_none() && now >= self.measured.0 {
                first = Some(self.sample());
            }
            if now >= self.measured.1 {
                let last = self.sample();
                return (first.unwrap_or_else(|| self.sample()), last);
            }
            let edge = if first.is_none() {
                self.measured.0
            } else {
                self.measured.1
            };
            let mut until = edge.min(self.resend(now));
            match self.args.mode {
                Mode::Fixed => until = until.min(self.send_due(&mut beats)),
                Mode::Saturate => {
                    self.fill_windows();
                    until = until.min(now + 200_000_000);
                }
                Mode::Idle => {}
            }
            self.poll(until.saturating_sub(self.now()));
        }
    }

    fn beats(&self, begin: u64) -> BinaryHeap<Reverse<(u64, usize, usize)>> {
        let mut beats = BinaryHeap::new();
        if self.args.mode != Mode::Fixed {
            return beats;
        }
        for sender in 0..self.senders.len() {
            for stream in 0..2 {
                let Some(gap) = self.gap(stream) else {
                    continue;
                };
                // Phases are spread by Fibonacci hashing, the same for every peer.
                let n = (sender * 2 + stream + 1) as u64;
                let phase = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % gap;
                beats.push(Reverse((begin + phase, sender, stream)));
            }
        }
        beats
    }

    fn gap(&self, stream: usize) -> Option<u64> {
        let rate = [self.args.rate, self.args.rate2][stream];
        (rate > 0.0).then(|| (1e9 / rate) as u64)
    }

    /// Sends what is due. Returns when the next is.
    fn send_due(&mut self, beats: &mut BinaryHeap<Reverse<(u64, usize, usize)>>) -> u64 {
        for _ in 0..BURST {
            let Some(&Reverse((due, sender, stream))) = beats.peek() else {
                return u64::MAX;
            };
            let now = self.now();
            if due > now {
                return due;
            }
            beats.pop();
            self.latencies.send_lag.record_ns(now - due);
            self.publish(sender, stream, due);
            let gap = self.gap(stream).unwrap_or(u64::MAX / 2);
            beats.push(Reverse((due + gap, sender, stream)));
        }
        0
    }

    /// Sends one message for each that came back whole.
    fn fill_windows(&mut self) {
        let owed = self.owed(0);
        let window = u64::from(self.args.window) * owed;
        for sender in 0..self.senders.len() {
            let now = self.now();
            let x = &mut self.senders[sender];
            if x.owed > x.paid && x.last_progress > 0 && now > x.last_progress + STALL_NS {
                // Given up: it counts as lost unless it still comes.
                x.owed = x.paid;
                x.last_progress = now;
                self.count.stalls += 1;
            }
            while self.senders[sender].owed + owed <= self.senders[sender].paid + window {
                let now = self.now();
                let x = &mut self.senders[sender];
                if x.last_progress == 0 {
                    x.last_progress = now;
                }
                self.publish(sender, 0, now);
            }
        }
    }

    /// Waits for what is under way. Returns the seconds that took.
    pub fn drain(&mut self) -> f64 {
        let end = self.now();
        // Cursors have no end to wait for, only a tick.
        let at_least = end
            + if self.args.uses(Lane::Cursor) {
                300_000_000
            } else {
                0
            };
        let give_up = end + ns(self.args.drain);
        let mut last = (0, end);
        loop {
            let now = self.now();
            let missing =
                self.count.delivered_all < self.count.expected_all || self.own.pending > 0;
            let progress = self.count.delivered_all + self.own.acks;
            if progress != last.0 {
                last = (progress, now);
            }
            if now >= at_least && (!missing || now > give_up || now > last.1 + QUIET_NS) {
                return (now - end) as f64 / 1e9;
            }
            self.resend(now);
            self.poll(20_000_000);
        }
    }
}
