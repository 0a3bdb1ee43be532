//! The JSON object at the end.

use serde_json::{Value, json};

use crate::generator::Generator;
use crate::pace::Sample;
use crate::peer::{Lane, Protocol};

/// What is known beside the generator's own state.
pub struct Around {
    pub connect_s: f64,
    pub repeats: u64,
    pub drain_s: f64,
    pub rss_before: u64,
    pub rss_after: u64,
}

/// Everything about a run.
pub fn summary(g: &Generator, from: &Sample, to: &Sample, around: &Around) -> Value {
    let (c, a) = (&g.count, &g.args);
    let span = (to.at - from.at) as f64 / 1e9;
    let cpu: f64 = to
        .servers
        .iter()
        .zip(&from.servers)
        .map(|(to, from)| to - from)
        .sum();
    let grown = around.rss_after as f64 - around.rss_before as f64;
    let per_delivery = if c.in_time > 0 {
        cpu * 1e6 / c.in_time as f64
    } else {
        0.0
    };
    let mut value = json!({
        "protocol": format!("{:?}", a.protocol).to_lowercase(),
        "mode": format!("{:?}", a.mode).to_lowercase(),
        "rooms": a.rooms, "clients_per_room": a.clients_per_room, "senders_per_room": a.senders(),
        "payload": a.payload, "duration_s": span, "connect_s": around.connect_s,
        "drain_s": around.drain_s, "join_repeats": around.repeats,
        "sent": c.sent, "sent_per_s": c.sent as f64 / span, "deliveries_per_s": c.in_time as f64 / span,
        "lost": c.expected_all as i64 - c.delivered_all as i64, "expected": c.expected_all,
        "duplicated": c.duplicated, "disordered": c.disordered, "echo": c.echo,
        "other_frames": c.other_frames, "disconnects": c.disconnects, "stalls": c.stalls,
        "blocked_writes": c.blocked_writes,
        "bytes_per_read": c.bytes_in as f64 / c.reads.max(1) as f64,
    });
    let latency = json!({
        "all": g.latencies.all.json(), "second": g.latencies.second.json(),
        "cross": g.latencies.cross.json(), "ack": g.latencies.ack.json(),
        "send_lag": g.latencies.send_lag.json(),
    });
    value["latency_ms"] = latency;
    value["generator_cpu"] = json!((to.own - from.own) / span);
    value["server_cpu"] = json!(cpu / span);
    value["server_us_per_delivery"] = json!(per_delivery);
    value["machine_busy"] = json!((to.machine.0 - from.machine.0) / span);
    value["steal"] = json!((to.machine.1 - from.machine.1) / span);
    value["server_rss_kib"] = json!(around.rss_after);
    value["rss_kib_per_client"] = json!(grown / g.connections.len() as f64);
    if a.protocol == Protocol::Scumble {
        value["scumble"] = own(g, span);
    }
    value
}

fn own(g: &Generator, span: f64) -> Value {
    let o = &g.own;
    json!({
        "lane": g.args.lane.word(),
        "lane2": (g.args.rate2 > 0.0).then(|| Lane::word(g.args.lane2)),
        "acks": o.acks, "acks_per_s": o.acks_in_time as f64 / span, "acks_missing": o.pending,
        "acks_dup": o.acks_dup, "acks_ignored": o.acks_ignored, "resent": o.resent,
        "seq_gaps": o.seq_gaps, "seq_repeats": o.seq_repeats, "resyncs": o.resyncs,
        "cursors_sent": o.cursors_sent, "cursors": o.cursors, "cursor_frames": o.cursor_frames,
        "cursors_superseded": o.cursors_superseded, "errors": o.errors,
    })
}
