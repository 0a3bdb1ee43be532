//! Webhooks: the relay itself pops the queue of each hook, and posts the events to the hook's address.
//!
//! Events of one canvas go out in order, one request after the other. Each attempt has a new signature. A failed event
//! is sent again after longer and longer pauses, for three days; then it goes to the dead-letter queue. A receiver that
//! is dead delays no other: each hook has a task of its own, and the canvases of one hook don't wait for each other.

mod attempt;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::hooks::{Hook, HookStore, Stored, Target};
use crate::jobs::Jobs;
use crate::jobs::op::{
    AckItem, Configure, Delivered, Note, Op, PopRequest, Popped, Settle, Source, Start, Verdict,
};
use crate::jobs::work::partition_id;
use crate::limits::{WEBHOOK_AT_ONCE, WEBHOOK_LEASE};
use crate::tasks::Spawner;
use crate::time::millis;
use attempt::{Client, Ended};

/// One wait for events: a poll that finds nothing costs nothing.
const POP_WAIT: Duration = Duration::from_secs(30);
/// After an error of the queue itself.
const PAUSE: Duration = Duration::from_secs(1);
/// How a failed delivery comes again: 5 s, 10 s, 20 s, and so on up to ten hours; three days in all.
const RETRY_DELAY_MS: u64 = 5_000;
const RETRY_MAX_DELAY_MS: u64 = 36_000_000;
const RETRY_LIMIT: u64 = 19;
/// Characters of an event's type that are kept: no type of the relay's own has more.
const MAX_KIND_CHARS: usize = 64;

/// Delivers the events of all webhooks, as the hooks change, until `end`.
pub async fn run(
    jobs: Arc<Jobs>,
    store: Arc<dyn HookStore>,
    spawner: Spawner,
    end: CancellationToken,
) {
    let mut hooks = store.watch();
    let mut running: HashMap<String, (Hook, CancellationToken)> = HashMap::new();
    let client = match Client::new() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "webhooks can't be delivered");
            return;
        }
    };
    loop {
        let stored = hooks.borrow_and_update().clone();
        running.retain(|name, (hook, stop)| {
            let stays = stored
                .webhooks()
                .any(|new| new.name == *name && new == hook);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for hook in stored.webhooks() {
            if running.contains_key(&hook.name) {
                continue;
            }
            let stop = end.child_token();
            let courier = Courier {
                hook: hook.clone(),
                jobs: jobs.clone(),
                store: store.clone(),
                client: client.clone(),
                spawner: spawner.clone(),
                stop: stop.clone(),
                pause: Mutex::default(),
            };
            spawner.spawn(Arc::new(courier).run());
            running.insert(hook.name.clone(), (hook.clone(), stop));
        }
        if !changed(&mut hooks, &end).await {
            return;
        }
    }
}

/// Waits for other hooks; `false` at the end.
async fn changed(hooks: &mut watch::Receiver<Arc<Stored>>, end: &CancellationToken) -> bool {
    tokio::select! {
        changed = hooks.changed() => changed.is_ok(),
        () = end.cancelled() => false,
    }
}

/// Delivers one hook's events.
struct Courier {
    hook: Hook,
    jobs: Arc<Jobs>,
    store: Arc<dyn HookStore>,
    client: Client,
    spawner: Spawner,
    stop: CancellationToken,
    /// The receiver asked for a pause until then.
    pause: Mutex<Option<Instant>>,
}

impl Courier {
    async fn run(self: Arc<Self>) {
        self.configure().await;
        let places = Arc::new(Semaphore::new(WEBHOOK_AT_ONCE));
        loop {
            let pause = self.pause.lock().take_if(|until| *until > Instant::now());
            if let Some(until) = pause {
                self.sleep(until.saturating_duration_since(Instant::now()))
                    .await;
            }
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let popped = tokio::select! {
                popped = self.jobs.pop(self.request(), Some(Instant::now() + POP_WAIT)) => popped,
                () = self.stop.cancelled() => return,
            };
            match popped {
                Ok(popped) if popped.messages.is_empty() => {
                    // While the process ends, nothing is given out any more.
                    if self.stop.is_cancelled() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                Ok(popped) => {
                    let courier = self.clone();
                    self.spawner.spawn(async move {
                        courier.deliver(popped).await;
                        drop(place);
                    });
                }
                Err(refusal) => {
                    tracing::warn!(hook = self.hook.name, error = %refusal.message, "a hook's queue can't be read");
                    self.sleep(PAUSE).await;
                }
            }
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn request(&self) -> PopRequest {
        PopRequest {
            from: Source::Queue {
                queue: self.hook.queue(),
                partition: None,
            },
            group: self.hook.name.clone(),
            batch: self.hook.batch as usize,
            partitions: 1,
            auto_ack: false,
            start: Start::All,
        }
    }

    /// The hook's queue waits as webhooks do.
    async fn configure(&self) {
        let options = json!({
            "leaseTime": WEBHOOK_LEASE.as_secs(),
            "retryLimit": RETRY_LIMIT,
            "retryDelay": RETRY_DELAY_MS,
            "retryMaxDelay": RETRY_MAX_DELAY_MS,
        });
        let configure = Configure {
            queue: self.hook.queue(),
            namespace: None,
            task: None,
            options: options.as_object().cloned().unwrap_or_default(),
        };
        while let Err(refusal) = self.jobs.run(Op::Configure(configure.clone())).await {
            tracing::warn!(hook = self.hook.name, error = %refusal.message, "a hook's queue can't be made");
            self.sleep(PAUSE).await;
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// Posts what was popped, says what became of it, and keeps it in the history.
    async fn deliver(&self, popped: Popped) {
        let Target::Webhook(webhook) = &self.hook.target else {
            return;
        };
        let messages = &popped.messages;
        let mut note = note_of(messages);
        note.at = self.jobs.now_ms();
        let began = Instant::now();
        let made = self
            .client
            .post(webhook, &note.name, body_of(messages))
            .await;
        note.took_ms = millis(began.elapsed());
        note.status = made.status.map(i64::from);
        let name = &self.hook.name;
        let (told, verdict) = match made.ended {
            Ended::Taken => (messages.as_slice(), Verdict::Completed),
            Ended::Gone => {
                tracing::warn!(
                    hook = name,
                    "the receiver says that it is gone (410): the hook is off"
                );
                let why = "the receiver answered 410 Gone";
                if let Err(error) = self.store.turn_off(name, why).await {
                    tracing::warn!(hook = name, error, "the hook could not be turned off");
                }
                note.error = Some(why.to_owned());
                note.off = true;
                (first(messages), Verdict::Failed)
            }
            Ended::Failed { why, pause } => {
                metrics::counter!("scumble_webhook_failures_total").increment(1);
                tracing::info!(hook = name, why, "a webhook was not taken; it comes again");
                if let Some(pause) = pause {
                    *self.pause.lock() = Some(Instant::now() + pause);
                    note.pause_until = Some(self.jobs.now_ms() + millis(pause));
                }
                note.error = Some(why);
                (first(messages), Verdict::Failed)
            }
        };
        let acks = told.iter().map(|message| AckItem {
            partition_id: partition_id(message.partition, message.partition_tag),
            name: message.name.clone(),
            verdict,
            error: note.error.clone(),
            lease: popped.lease,
            group: name.clone(),
        });
        let settle = Settle {
            queue: self.hook.queue(),
            acks: acks.collect(),
            note,
        };
        // If it can't be told, the lease runs out and the same comes again: receivers know it by its id.
        if let Err(refusal) = self.jobs.run(Op::Settle(Box::new(settle))).await {
            tracing::warn!(hook = name, error = %refusal.message, "a delivery could not be acknowledged");
        }
    }
}

/// The first has failed; those behind it come back with it, without having used an attempt.
fn first(messages: &[Delivered]) -> &[Delivered] {
    &messages[..messages.len().min(1)]
}

/// What is known of an attempt before it is made.
fn note_of(messages: &[Delivered]) -> Note {
    /// As the relay made it.
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
    }
    let Some(one) = messages.first() else {
        return Note::default();
    };
    let kind = match messages {
        // Whoever pushes into the queue by hand may push anything.
        [one] => serde_json::from_str(&one.payload)
            .map_or_else(|_| String::new(), |event: Event| event.kind),
        _ => "batch".to_owned(),
    };
    Note {
        name: id_of(messages),
        partition: one.partition_name.clone(),
        kind: kind.chars().take(MAX_KIND_CHARS).collect(),
        messages: i64::try_from(messages.len()).unwrap_or(i64::MAX),
        attempt: one.retries + 1,
        ..Note::default()
    }
}

/// What the receiver knows a delivery by, however often it is made.
fn id_of(messages: &[Delivered]) -> String {
    match messages {
        [one] => one.name.clone(),
        [first, .., last] => format!("{}..{}", first.name, last.name),
        [] => String::new(),
    }
}

fn body_of(messages: &[Delivered]) -> String {
    match messages {
        [one] => one.payload.clone(),
        several => {
            let events: Vec<&str> = several.iter().map(|message| &*message.payload).collect();
            format!("{{\"type\":\"batch\",\"events\":[{}]}}", events.join(","))
        }
    }
}
