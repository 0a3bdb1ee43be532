//! `scumble stats`: the numbers of a running relay, for people.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::base::base_of;
use crate::config::StatsArgs;

/// How long the relay may take to answer; it gives up on its queue sooner.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the relay and prints the answer.
///
/// # Errors
/// When nobody answers at the address, or something that is not a relay.
pub fn run(args: &StatsArgs) -> anyhow::Result<ExitCode> {
    let url = format!("{}/api/v1/stats", base_of(&args.url)?);
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build();
    let mut response = ureq::Agent::new_with_config(config)
        .get(&url)
        .call()
        .with_context(|| format!("{url}: is a relay running there?"))?;
    let status = response.status();
    let body = response
        .body_mut()
        .read_to_string()
        .with_context(|| url.clone())?;
    let answer: Value = serde_json::from_str(&body)
        .with_context(|| format!("{url}: answered {status}, but not in JSON: is it a relay?"))?;
    if !status.is_success() {
        bail!(
            "{url}: {status}: {}",
            answer["message"].as_str().unwrap_or("no reason given")
        );
    }
    let text = if args.json { body } else { table(&answer) };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// The fields in the order of interest, with what they mean.
const ROWS: &[(&str, &str)] = &[
    ("instance", "instance_id"),
    ("version", "version"),
    ("up, ms", "uptime_ms"),
    ("draining", "draining"),
    ("connections", "connections"),
    ("rooms", "rooms"),
    ("event-loop lag, ms", "event_loop_lag_ms"),
    ("messages/s committed here", "messages_per_second"),
    ("queue health", "queue_health"),
    ("queue size, unprocessed", "queue_size"),
    ("oldest unprocessed, ms", "oldest_unprocessed_ms"),
    ("rows kept", "rows"),
    ("waiting for the writer", "writer_depth"),
    ("in the spill file", "spilled"),
    ("committed here", "committed"),
    ("commits here", "commits"),
    ("overloaded here", "overloaded"),
    ("poll p50, ms", "poll_p50_ms"),
    ("poll p99, ms", "poll_p99_ms"),
    ("write p50, ms", "write_p50_ms"),
    ("write p99, ms", "write_p99_ms"),
    ("active poll tasks", "active_poll_tasks"),
    ("write-ahead log, bytes", "wal_bytes"),
    ("database, bytes", "db_bytes"),
];

fn table(answer: &Value) -> String {
    let mut text = String::new();
    for (label, field) in ROWS {
        text += &format!("{label:<26} {}\n", cell(&answer[field]));
    }
    let instances = answer["instances"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if !instances.is_empty() {
        text += &format!(
            "\n{:<38} {:>8} {:>14} {:>8}\n",
            "instance", "pid", "heartbeat, ms", "lag"
        );
    }
    for one in instances {
        let [id, pid, age_ms, lag] =
            ["instance_id", "pid", "heartbeat_age_ms", "lag"].map(|field| cell(&one[field]));
        text += &format!("{id:<38} {pid:>8} {age_ms:>14} {lag:>8}\n");
    }
    text + &jobs(&answer["jobs"])
}

/// The queues of jobs: the first hundred have names.
fn jobs(rows: &Value) -> String {
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{:<38} {:>8} {:>10} {:>8} {:>12} {:>14}\n",
        "queue of jobs", "depth", "in flight", "dead", "oldest, s", "bytes"
    );
    for one in rows {
        let fields = [
            "queue",
            "depth",
            "inFlight",
            "dead",
            "oldestAgeSeconds",
            "bytes",
        ];
        let [queue, depth, out, dead, oldest, bytes] = fields.map(|field| cell(&one[field]));
        text += &format!("{queue:<38} {depth:>8} {out:>10} {dead:>8} {oldest:>12} {bytes:>14}\n");
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(n) if n.is_f64() => format!("{:.2}", n.as_f64().unwrap_or(0.0)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_what_came_and_a_dash_for_what_did_not() {
        let answer = serde_json::json!({
            "instance_id": "one", "connections": 3, "write_p50_ms": 0.125,
            "instances": [{ "instance_id": "one", "pid": 12, "heartbeat_age_ms": 4, "lag": 0 }],
        });
        let text = table(&answer);
        for line in [
            "connections                3",
            "write p50, ms              0.12",
            "rooms                      -",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(
            text.trim_end().ends_with("12              4        0"),
            "{text}"
        );
        let answer = serde_json::json!({"jobs": [
            { "queue": "mails", "depth": 7, "inFlight": 2, "dead": 1, "bytes": 900, "oldestAgeSeconds": 1.5 },
        ]});
        let text = table(&answer);
        let last = text.lines().last().unwrap();
        let cells: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(cells, ["mails", "7", "2", "1", "1.50", "900"]);
    }
}
