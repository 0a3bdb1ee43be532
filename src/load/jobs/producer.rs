//! A connection that pushes.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::Shared;

/// Pushes until its time is over.
pub async fn produce(shared: Arc<Shared>, n: usize) -> anyhow::Result<()> {
    let args = &shared.args;
    let mut http = shared.connect(n).await?;
    let until = shared.began + Duration::from_secs(args.seconds);
    let every = (args.rate > 0).then(|| {
        let pushes = f64::from(args.rate) / args.batch as f64 / args.producers as f64;
        Duration::from_secs_f64(1.0 / pushes)
    });
    // Each at a phase of its own.
    let phase = every.map(|every| every.mul_f64(n as f64 / args.producers as f64));
    let mut due = Instant::now() + phase.unwrap_or_default();
    let mut next = 0;
    let mut turn = n;
    while Instant::now() < until && due < until {
        if every.is_some() {
            tokio::time::sleep_until(due.into()).await;
        } else {
            due = Instant::now();
        }
        let partition = turn % args.partitions;
        turn += 1;
        let body = body(&shared, n, next, partition, due);
        let (status, answer) = http.call("POST", "/api/v1/push", &body).await?;
        let us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        shared.pushed.lock().record(us);
        let mut ledger = shared.ledger.lock();
        match status {
            201 => ledger.pushed += args.batch as u64,
            429 | 503 => ledger.refused += args.batch as u64,
            _ => bail!(
                "the relay answers {status}: {}",
                String::from_utf8_lossy(&answer)
            ),
        }
        drop(ledger);
        next += args.batch;
        if let Some(every) = every {
            due += every;
        }
    }
    Ok(())
}

fn body(shared: &Shared, producer: usize, first: usize, partition: usize, due: Instant) -> String {
    let args = &shared.args;
    let due_ns = u64::try_from((due - shared.began).as_nanos()).unwrap_or(u64::MAX);
    let mut body = String::with_capacity(args.batch * (args.bytes + 128) + 32);
    body.push_str("{\"items\":[");
    for i in 0..args.batch {
        let n = first + i;
        let head = format!("{{\"s\":{producer},\"n\":{n},\"due\":{due_ns},\"x\":\"");
        let fill = args.bytes.saturating_sub(head.len() + 2);
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(
            body,
            "{comma}{{\"queue\":\"{}\",\"partition\":\"p{partition}\",\"payload\":{head}{:x<fill$}\"}}}}",
            shared.queue, ""
        );
    }
    body.push_str("]}");
    body
}
