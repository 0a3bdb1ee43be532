//! The one connection to Redis, for commands and for what is told, and coming back after it broke.
//!
//! A connection that fails in any way is given up and made anew, since what became of a request under way is not known. The
//! copies of canvases then get what they missed before anybody uses the new connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value};
use tokio::sync::watch;

use super::scripts::{self, Entered, FORMAT};
use super::start::StartError;
use super::{Shared, keys, rules};
use crate::backplane::Unavailable;
use crate::limits::{BUSY_TIMEOUT, MAX_QUEUE_WAIT};

/// For a connection to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// For an answer. A snapshot of the largest canvas takes a fraction of it.
const ANSWER: Duration = Duration::from_secs(5);
/// The pause before the next try: it doubles from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Requests that may wait for the connection; those who ask then wait.
const PIPELINE: usize = 64;

/// A connection, and the relay as it was found through it.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) conn: MultiplexedConnection,
    pub(super) relay: Arc<str>,
    /// Names the relay, too.
    pub(super) era: Arc<str>,
}

/// Where the connection is kept.
pub(super) struct Link {
    client: Client,
    host: String,
    current: watch::Sender<Option<Session>>,
    /// The connection whose messages are heard.
    heard: AtomicU64,
    /// The last connection that failed.
    broken: watch::Sender<u64>,
    trouble: Mutex<Option<String>>,
}

/// Why a connection did not come about.
pub(super) enum Failed {
    /// It may work a moment later.
    Now(String),
    /// It never will.
    ForGood(StartError),
}

impl From<RedisError> for Failed {
    fn from(error: RedisError) -> Self {
        Self::Now(error.to_string())
    }
}

impl Link {
    pub(super) fn new(client: Client, host: String) -> Self {
        Self {
            client,
            host,
            current: watch::Sender::new(None),
            heard: AtomicU64::new(0),
            broken: watch::Sender::new(0),
            trouble: Mutex::default(),
        }
    }

    /// This machine's name.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The connection, if there is one.
    pub(super) fn now(&self) -> Option<Session> {
        self.current.borrow().clone()
    }

    /// Whether it is that connection whose messages are heard.
    pub(super) fn hears(&self, id: u64) -> bool {
        self.heard.load(Ordering::Acquire) == id
    }

    /// The connection, as soon as there is one.
    pub(super) async fn session(&self) -> Session {
        let mut current = self.current.subscribe();
        let found = current.wait_for(Option::is_some).await.ok();
        match found.and_then(|session| session.clone()) {
            Some(session) => session,
            // Its sender is a field of ours: it can't be gone.
            None => std::future::pending().await,
        }
    }

    /// The connection, waiting as long for it as a client may wait.
    ///
    /// # Errors
    /// [`Unavailable`] says why there is none.
    pub(super) async fn session_soon(&self) -> Result<Session, Unavailable> {
        let session = tokio::time::timeout(MAX_QUEUE_WAIT, self.session()).await;
        session.map_err(|_| self.unavailable())
    }

    /// Why there is no connection.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    pub(super) fn unavailable(&self) -> Unavailable {
        let trouble = self.trouble();
        Unavailable(trouble.unwrap_or_else(|| "Redis does not answer".to_owned()))
    }

    /// A connection failed: it is made anew, unless that has happened since.
    pub(super) fn broke(&self, id: u64, why: &str) {
        self.current.send_if_modified(|current| {
            let this = current.as_ref().is_some_and(|session| session.id == id);
            if this {
                *current = None;
            }
            this
        });
        let news = self.broken.send_if_modified(|broken| {
            let news = id > *broken;
            *broken = id.max(*broken);
            news
        });
        if news {
            *self.trouble.lock() = Some(format!("the connection to Redis broke: {why}"));
        }
    }

    /// Whether Redis answers now.
    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        let Some(mut session) = self.now() else {
            return Err(self.unavailable());
        };
        let ping = redis::cmd("PING");
        let answer = ping.query_async::<String>(&mut session.conn);
        match tokio::time::timeout(BUSY_TIMEOUT, answer).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Unavailable(format!("Redis: {error}"))),
            Err(_) => Err(Unavailable("Redis does not answer in time".to_owned())),
        }
    }
}

/// Keeps a connection for as long as the instance lives. Ends with the reason if there can be none any more.
pub(super) async fn keep(shared: Arc<Shared>) -> String {
    let mut broken = shared.link.broken.subscribe();
    loop {
        let id = shared.link.heard.load(Ordering::Acquire);
        // Its sender is a field of the link's.
        let _ = broken.wait_for(|broken| *broken >= id).await;
        tracing::warn!(
            reason = shared.link.trouble().unwrap_or_default(),
            "Redis is gone"
        );
        let mut pause = PAUSES.0;
        loop {
            match connect(&shared).await {
                Ok(session) => {
                    tracing::info!("Redis is back");
                    *shared.link.trouble.lock() = None;
                    shared.link.current.send_replace(Some(session));
                    break;
                }
                Err(Failed::Now(why)) => {
                    *shared.link.trouble.lock() = Some(format!("Redis can't be reached: {why}"));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(Failed::ForGood(error)) => return error.to_string(),
            }
        }
    }
}

/// The first connection.
pub(super) async fn begin(shared: &Arc<Shared>) -> Result<(), StartError> {
    match connect(shared).await {
        Ok(session) => {
            shared.link.current.send_replace(Some(session));
            Ok(())
        }
        Err(Failed::Now(why)) => Err(StartError::Unreachable(shared.config.url.clone(), why)),
        Err(Failed::ForGood(error)) => Err(error),
    }
}

async fn connect(shared: &Arc<Shared>) -> Result<Session, Failed> {
    let id = shared.link.heard.load(Ordering::Acquire) + 1;
    let hears = Arc::downgrade(shared);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER))
        .set_pipeline_buffer_size(PIPELINE)
        .set_push_sender(move |info: PushInfo| {
            if let Some(shared) = hears.upgrade() {
                heard(&shared, id, info);
            }
            Ok::<(), redis::aio::SendError>(())
        });
    let client = &shared.link.client;
    let mut conn = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let server: String = redis::cmd("INFO").query_async(&mut conn).await?;
    // Each run of the server is an era of its own.
    let run_id = info(&server, "run_id").filter(|id| !id.is_empty());
    let run_id = run_id.ok_or(Failed::ForGood(StartError::NoRunId))?;
    let rules = rules::text(&shared.rules);
    let entered = scripts::enter(&mut conn, shared, run_id, &rules, shared.link.host()).await?;
    let (relay, era) = match entered {
        Entered::In {
            relay,
            era,
            number,
            now_ms,
        } => {
            shared.number.store(number, Ordering::Relaxed);
            shared.set_clock(now_ms);
            (relay, era)
        }
        Entered::Format(format) => return Err(Failed::ForGood(StartError::Format(format, FORMAT))),
        Entered::Rules(theirs) => {
            return Err(Failed::ForGood(StartError::Rules {
                theirs,
                ours: rules,
            }));
        }
        Entered::Taken => return Err(Failed::ForGood(StartError::NumberTaken)),
    };
    if id == 1 {
        super::start::advise(&server);
    }
    let session = Session {
        id,
        conn: conn.clone(),
        relay: relay.into(),
        era: era.into(),
    };
    conn.subscribe(keys::sign_of_life(&session.relay, shared.number()))
        .await?;
    // From here on the old connection's messages, if there are any left, are heard no more: they may be of another era.
    shared.canvases.set_heard(&session);
    shared.link.heard.store(id, Ordering::Release);
    shared
        .resume(&session)
        .await
        .inspect_err(|_| shared.link.broke(id, "it broke at once"))?;
    Ok(session)
}

/// A field of what `INFO` tells.
pub(super) fn info<'a>(server: &'a str, field: &str) -> Option<&'a str> {
    server
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
}

/// Called by the connection for each message, in its order: must not block.
fn heard(shared: &Shared, id: u64, info: PushInfo) {
    match info.kind {
        PushKind::Disconnection => shared.link.broke(id, "it was closed"),
        PushKind::Message if shared.link.heard.load(Ordering::Acquire) == id => {
            if let [Value::BulkString(channel), Value::BulkString(message)] = &info.data[..] {
                shared.hear(channel, message);
            }
        }
        _ => {}
    }
}
