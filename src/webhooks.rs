//! Webhooks: the relay itself pops the queue of each hook, and posts the events to the hook's address.
//!
//! Events of one canvas go out in order, one request after the other. Each attempt is signed anew. A failed event is
//! sent again after longer and longer pauses, for three days; then it goes to the dead-letter queue. A receiver that is
//! dead delays no other: each hook has a task of its own, and the canvases of one hook don't wait for each other.

mod attempt;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::hooks::{Hook, HookStore, Stored, Target};
use crate::jobs::Jobs;
use crate::jobs::op::{
    AckItem, Configure, Delivered, Op, PopRequest, Popped, Source, Start, Verdict,
};
use crate::jobs::work::partition_id;
use crate::limits::{WEBHOOK_AT_ONCE, WEBHOOK_LEASE};
use crate::tasks::Spawner;
use attempt::{Client, Ended};

/// One wait for events: a poll that finds nothing costs nothing.
const POP_WAIT: Duration = Duration::from_secs(30);
/// After an error of the queue itself.
const PAUSE: Duration = Duration::from_secs(1);
/// How a failed delivery comes again: 5 s, 10 s, 20 s, and so on up to ten hours; three days in all.
const RETRY_DELAY_MS: u64 = 5_000;
const RETRY_MAX_DELAY_MS: u64 = 36_000_000;
const RETRY_LIMIT: u64 = 19;

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

    /// Posts what was popped, and says what became of it.
    async fn deliver(&self, popped: Popped) {
        let Target::Webhook(webhook) = &self.hook.target else {
            return;
        };
        let messages = &popped.messages;
        let ended = self
            .client
            .post(webhook, &id_of(messages), body_of(messages))
            .await;
        let name = &self.hook.name;
        let verdicts: Vec<(&Delivered, Verdict, Option<String>)> = match ended {
            Ended::Taken => {
                let taken = messages
                    .iter()
                    .map(|message| (message, Verdict::Completed, None));
                taken.collect()
            }
            Ended::Gone => {
                tracing::warn!(
                    hook = name,
                    "the receiver says that it is gone (410): the hook is off"
                );
                let why = "the receiver answered 410 Gone";
                if let Err(error) = self.store.turn_off(name, why).await {
                    tracing::warn!(hook = name, error, "the hook could not be turned off");
                }
                failed(messages, why.to_owned())
            }
            Ended::Failed { why, pause } => {
                metrics::counter!("scumble_webhook_failures_total").increment(1);
                tracing::info!(hook = name, why, "a webhook was not taken; it comes again");
                if let Some(pause) = pause {
                    *self.pause.lock() = Some(Instant::now() + pause);
                }
                failed(messages, why)
            }
        };
        let acks = verdicts
            .into_iter()
            .map(|(message, verdict, error)| AckItem {
                partition_id: partition_id(message.partition, message.partition_tag),
                name: message.name.clone(),
                verdict,
                error,
                lease: popped.lease,
                group: name.clone(),
            });
        // If it can't be told, the lease runs out and the same comes again: receivers know it by its id.
        if let Err(refusal) = self.jobs.run(Op::Ack(acks.collect())).await {
            tracing::warn!(hook = name, error = %refusal.message, "a delivery could not be acknowledged");
        }
    }
}

/// The first has failed; those behind it come back with it, without having used an attempt.
fn failed(messages: &[Delivered], why: String) -> Vec<(&Delivered, Verdict, Option<String>)> {
    let first = messages.iter().take(1);
    first
        .map(|message| (message, Verdict::Failed, Some(why.clone())))
        .collect()
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
