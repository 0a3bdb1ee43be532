//! Samples of all instances, kept by the engine. While it does not answer, this process has only its own.
//!
//! Each host has a clock of its own. Samples are stored with times of the relay's clock, and shifted back when they are
//! read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{ReplicatedBackplane, Shared};
use crate::analytics::ring::Ring;
use crate::analytics::{Grain, Kept, Note, Now, Sample, Store};
use crate::log::{Fault, Sampled, SampledSpan};
use crate::protocol::ids::InstanceNumber;
use crate::time::wall_ms;

/// Notes that wait for the engine: some minutes of a busy process. The oldest are lost.
const WAITING: usize = 64;
/// Processes whose samples are kept whole. Of more, the oldest samples go early.
const PROCESSES: i64 = 64;
/// A process speaks once a minute; what it said counts for three.
const SILENT_MS: i64 = 180_000;
/// How long one put may take.
const PUT_WAIT: Duration = Duration::from_secs(5);
/// How long a reader waits for the engine: what a page waits for in all is longer.
const READ_WAIT: Duration = Duration::from_millis(700);

/// Notes that wait.
#[derive(Default)]
pub(super) struct Lane {
    waiting: Mutex<VecDeque<Note>>,
    work: Notify,
}

/// The samples of a relay over a log.
#[must_use]
pub fn samples(backplane: &Arc<ReplicatedBackplane>) -> Arc<dyn Store> {
    let shared = backplane.shared.clone();
    let own = Ring::new(shared.config.instance_id.to_string());
    Arc::new(LogSamples { shared, own })
}

struct LogSamples {
    shared: Arc<Shared>,
    /// What this process said, for as long as the engine does not answer.
    own: Ring,
}

impl Store for LogSamples {
    fn put(&self, note: Note) {
        self.own.put(note.clone());
        let lane = &self.shared.samples;
        let mut waiting = lane.waiting.lock();
        if waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(note);
        drop(waiting);
        lane.work.notify_one();
    }

    fn read(&self, grain: Grain, since_ms: i64) -> BoxFuture<'_, Result<Kept, String>> {
        async move {
            let all = tokio::time::timeout(READ_WAIT, self.all(grain, since_ms));
            match all.await {
                Ok(Ok(kept)) => Ok(kept),
                Ok(Err(_)) | Err(_) => {
                    let mut kept = self.own.read(grain, since_ms).await?;
                    let engine = self.shared.engine();
                    kept.lacks = Some(format!(
                        "{engine} does not answer: only the numbers of this process are here"
                    ));
                    Ok(kept)
                }
            }
        }
        .boxed()
    }
}

impl LogSamples {
    async fn all(&self, grain: Grain, since_ms: i64) -> Result<Kept, Fault> {
        let gone = || Fault::Link("there is no link".to_owned());
        let session = self.shared.link.now().ok_or_else(gone)?;
        let series = grain.step_ms();
        // On whose clock the reader counts.
        let ahead_ms = self.shared.now_ms() - wall_ms();
        let since = since_ms.saturating_add(ahead_ms) - series / 2;
        let (now, spans) = futures::future::try_join(
            session.log.samples_now(),
            session.log.samples_since(series, since),
        )
        .await
        .inspect_err(|fault| self.shared.link.failed(session.id, fault))?;
        // What another version wrote may not be readable here.
        let said = |(name, text): (String, String)| {
            let mut now: Now = serde_json::from_str(&text).ok()?;
            now.at_ms -= ahead_ms;
            now.started_ms -= ahead_ms;
            Some((name, now))
        };
        let span = |(at, number, text): (i64, InstanceNumber, String)| {
            let sample: Sample = serde_json::from_str(&text).ok()?;
            let at = to_step(at - ahead_ms, series);
            (at >= since_ms).then(|| (at, i64::from(number.0), sample))
        };
        Ok(Kept {
            now: now.into_iter().filter_map(said).collect(),
            spans: spans.into_iter().filter_map(span).collect(),
            lacks: None,
        })
    }
}

/// Puts what waits, for as long as the instance lives.
pub(super) async fn run(shared: Arc<Shared>) -> String {
    loop {
        let Some(note) = shared.samples.waiting.lock().front().cloned() else {
            shared.samples.work.notified().await;
            continue;
        };
        let session = shared.link.session().await;
        let sampled = sampled(&note, shared.now_ms() - wall_ms());
        let put = tokio::time::timeout(PUT_WAIT, session.log.put_samples(&sampled)).await;
        if let Ok(Err(fault @ Fault::Link(_))) = &put {
            // It is put through the next link, again if need be.
            shared.link.failed(session.id, fault);
            tokio::time::sleep(PUT_WAIT / 10).await;
            continue;
        }
        // Others may have pushed it out meanwhile.
        let mut waiting = shared.samples.waiting.lock();
        if waiting.front() == Some(&note) {
            waiting.pop_front();
        }
    }
}

/// A note as it is kept.
fn sampled(note: &Note, ahead_ms: i64) -> Sampled {
    let text = |value: serde_json::Result<String>| value.unwrap_or_else(|_| "{}".to_owned());
    let now = Now {
        at_ms: note.now.at_ms + ahead_ms,
        started_ms: note.now.started_ms + ahead_ms,
        ..note.now.clone()
    };
    let span = |(grain, at, sample): &(Grain, i64, Sample)| SampledSpan {
        series: grain.step_ms(),
        at_ms: to_step(at + ahead_ms, grain.step_ms()),
        text: text(serde_json::to_string(sample)),
        kept_since_ms: now.at_ms - grain.kept_ms(),
        most: usize::try_from(PROCESSES * grain.kept_ms() / grain.step_ms()).unwrap_or(0),
        ends_in_ms: grain.kept_ms() + grain.step_ms(),
    };
    let spans = note.spans.iter().map(span).collect();
    Sampled {
        at_ms: now.at_ms,
        silent_since_ms: now.at_ms - SILENT_MS,
        now: text(serde_json::to_string(&now)),
        spans,
    }
}

/// The beginning of the nearest span: clocks of hosts differ by less than half of one, and by whole spans where they are wrong.
fn to_step(at_ms: i64, step_ms: i64) -> i64 {
    (at_ms + step_ms / 2).div_euclid(step_ms) * step_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shifted_and_shifted_back_is_where_it_was() {
        let step = Grain::Fine.step_ms();
        let note = Note {
            now: Now {
                at_ms: 100_003,
                ..Now::default()
            },
            spans: vec![(Grain::Fine, 95_000, Sample::default())],
        };
        // Clocks that are off by a little, by an hour, and by nothing.
        for ahead in [0, 7, -7, 2_400, 3_600_007, -3_600_007] {
            let put = sampled(&note, ahead);
            assert_eq!(put.at_ms, 100_003 + ahead);
            let [span] = &put.spans[..] else {
                panic!("{put:?}")
            };
            assert_eq!(span.at_ms % step, 0, "{ahead}");
            // A reader of the same host, a moment later.
            let back = to_step(span.at_ms - (ahead + 3), step);
            assert_eq!(back, 95_000, "{ahead}");
        }
    }
}
