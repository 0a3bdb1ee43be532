//! The result of a load of clients: the progress line, the summary, the JSON object.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::ledger::Faults;
use super::tally::{Shared, Tally};
use crate::load::report::{self, per_second};

/// Counts per second over the sending part of a run.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    elapsed_s: f64,
    messages: f64,
    deliveries: f64,
    acks: f64,
    cursors: f64,
    bytes: f64,
}

/// Follows a run.
pub struct Progress {
    shared: Arc<Shared>,
    start: Instant,
}

impl Progress {
    /// From `start` on.
    pub fn new(shared: Arc<Shared>, start: Instant) -> Self {
        Self { shared, start }
    }

    /// Counts per second so far.
    pub fn rates(&self) -> Rates {
        let elapsed_s = self.start.elapsed().as_secs_f64();
        let tally = self.shared.tally.lock();
        Rates {
            elapsed_s,
            messages: per_second(tally.messages, elapsed_s),
            deliveries: per_second(tally.deliveries, elapsed_s),
            acks: per_second(tally.acks, elapsed_s),
            cursors: per_second(tally.cursors, elapsed_s),
            bytes: per_second(tally.bytes, elapsed_s),
        }
    }

    /// One line.
    pub fn line(&self) -> String {
        let r = self.rates();
        let tally = self.shared.tally.lock();
        format!(
            "{:.0} s: {:.0} messages/s, {:.0} deliveries/s, {:.0} cursors/s, p50 {:.2} ms, \
             {} reconnects, {} errors",
            r.elapsed_s,
            r.messages,
            r.deliveries,
            r.cursors,
            if tally.cross.count() > 0 {
                tally.cross.ms(0.5)
            } else {
                tally.same.ms(0.5)
            },
            tally.reconnects,
            tally.errors.values().sum::<u64>(),
        )
    }
}

/// What is known at the end beside the tally.
#[derive(Debug)]
pub struct Run {
    /// How many clients there were.
    pub clients: usize,
    /// On how many processes they were.
    pub instances: usize,
    /// Seconds until all had joined.
    pub ramp_s: f64,
    /// Over the sending part.
    pub rates: Rates,
    /// Seconds that were waited for the rest.
    pub drain_s: f64,
    /// What was due and never answered.
    pub unanswered: u64,
    /// What was wrong at the end.
    pub faults: Faults,
}

impl Run {
    /// Nothing was lost, repeated, out of order or left without an answer.
    pub fn is_right(&self) -> bool {
        self.faults == Faults::default() && self.unanswered == 0
    }
}

/// Tells it all.
///
/// # Errors
/// When stdout is closed.
pub fn tell(as_json: bool, tally: &Tally, run: &Run) -> std::io::Result<()> {
    if as_json {
        report::result(true, &json(tally, run), &[])
    } else {
        report::result(false, &json!(null), &lines(tally, run))
    }
}

fn json(t: &Tally, run: &Run) -> serde_json::Value {
    let r = &run.rates;
    let mut value = json!({
        "load": "clients", "clients": run.clients, "instances": run.instances,
        "elapsed_s": report::seconds(r.elapsed_s), "ramp_s": report::seconds(run.ramp_s), "drain_s": report::seconds(run.drain_s),
        "messages": t.messages, "deliveries": t.deliveries, "acks": t.acks,
        "acks_dup": t.acks_dup, "acks_ignored": t.acks_ignored, "refused": t.refused,
        "resent": t.resent, "unanswered": run.unanswered,
        "cursors_sent": t.cursors_sent, "cursors": t.cursors, "cursor_frames": t.cursor_frames,
        "skipped": t.skipped, "snapshots": t.snapshots, "resumes": t.resumes,
        "resyncs": t.resyncs, "reconnects": t.reconnects, "stopped": t.stopped,
        "planned": t.planned, "unreadable": t.unreadable, "errors": t.errors,
    });
    value["messages_per_s"] = json!(r.messages);
    value["deliveries_per_s"] = json!(r.deliveries);
    value["acks_per_s"] = json!(r.acks);
    value["cursors_per_s"] = json!(r.cursors);
    value["bytes"] = json!(t.bytes);
    value["bytes_per_client_s"] = json!(r.bytes / run.clients.max(1) as f64);
    value["latency_ms"] = json!({
        "same": t.same.json(), "cross": t.cross.json(), "ack": t.ack.json(),
        "cursor_same": t.cursor_same.json(), "cursor_cross": t.cursor_cross.json(),
        "send_lag": t.lag.json(),
    });
    value["returns"] = t.returns.json();
    value["lost"] = json!(run.faults.lost);
    value["duplicated"] = json!(run.faults.duplicated);
    value["disordered"] = json!(run.faults.disordered);
    value
}

fn lines(t: &Tally, run: &Run) -> Vec<(&'static str, String)> {
    let r = &run.rates;
    let errors: Vec<String> = t
        .errors
        .iter()
        .map(|(code, n)| format!("{code} {n}"))
        .collect();
    let errors = if errors.is_empty() {
        "none".to_owned()
    } else {
        errors.join(", ")
    };
    let mut lines = vec![
        (
            "clients",
            format!(
                "{} on {} processes, {:.1} s",
                run.clients, run.instances, r.elapsed_s
            ),
        ),
        ("messages", format!("{} ({:.0}/s)", t.messages, r.messages)),
        (
            "deliveries",
            format!("{} ({:.0}/s)", t.deliveries, r.deliveries),
        ),
        (
            "acks",
            format!("{} ({:.0}/s), {} dup", t.acks, r.acks, t.acks_dup),
        ),
        (
            "cursors",
            format!(
                "{} sent, {} received ({:.0}/s) in {} frames",
                t.cursors_sent, t.cursors, r.cursors, t.cursor_frames
            ),
        ),
        (
            "received",
            format!(
                "{} bytes, {:.0} a client and second",
                t.bytes,
                r.bytes / run.clients.max(1) as f64
            ),
        ),
        ("same process", t.same.text()),
        ("cross process", t.cross.text()),
        ("to the ack", t.ack.text()),
        ("cursors, same", t.cursor_same.text()),
        ("cursors, cross", t.cursor_cross.text()),
        ("generator's lag", t.lag.text()),
        (
            "reconnects",
            format!(
                "{}, {} of them resumed, {} resyncs, {} stopped; {} connections ended as planned",
                t.reconnects, t.resumes, t.resyncs, t.stopped, t.planned
            ),
        ),
    ];
    lines.extend(t.returns.lines());
    lines.extend([
        ("errors", errors),
        ("skipped", t.skipped.to_string()),
        ("unanswered", run.unanswered.to_string()),
        ("lost", run.faults.lost.to_string()),
        ("duplicated", run.faults.duplicated.to_string()),
        ("disordered", run.faults.disordered.to_string()),
    ]);
    lines
}
