//! The link to the log, and how it is made again after it broke.
//!
//! A link that fails in any part is given up, because nobody knows what became of its open requests. The copies of
//! canvases get what they missed before anybody uses the new link. An error that the engine answers with is not such a
//! failure: see [`Fault`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::Shared;
use super::start::StartError;
use crate::backplane::Unavailable;
use crate::limits::{BUSY_TIMEOUT, HEARTBEAT_STALE, MAX_QUEUE_WAIT};
use crate::log::{ConnectError, Fault, Listener, Log, Published};
use crate::time;

/// The pause before the next try: it doubles from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// So long an instance that was in asks again that the engine refuses for good. What is there may have been overwritten, and the
/// others, if they live, say within that time what it was.
const REFUSED: Duration = HEARTBEAT_STALE;

/// A link, in use.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) log: Arc<dyn Log>,
}

/// Where the link is kept.
pub(super) struct Link {
    /// What messages call the engine.
    engine: &'static str,
    current: watch::Sender<Option<Session>>,
    /// The link whose messages are taken.
    current_id: AtomicU64,
    /// The last link that failed.
    broken: watch::Sender<u64>,
    trouble: Mutex<Option<String>>,
    /// Why the engine, which answers, does not take what is to be committed.
    refused: Mutex<Option<String>>,
}

impl Link {
    pub(super) fn new(engine: &'static str) -> Self {
        Self {
            engine,
            current: watch::Sender::new(None),
            current_id: AtomicU64::new(0),
            broken: watch::Sender::new(0),
            trouble: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// The link, if there is one.
    pub(super) fn now(&self) -> Option<Session> {
        self.current.borrow().clone()
    }

    /// Whether it is that link whose messages are taken.
    pub(super) fn is_current(&self, id: u64) -> bool {
        self.current_id.load(Ordering::Acquire) == id
    }

    /// The link, as soon as there is one.
    pub(super) async fn session(&self) -> Session {
        let mut current = self.current.subscribe();
        let found = current.wait_for(Option::is_some).await.ok();
        match found.and_then(|session| session.clone()) {
            Some(session) => session,
            // Its sender is a field of ours: it can't be gone.
            None => std::future::pending().await,
        }
    }

    /// The link, waiting as long for it as a client may wait.
    ///
    /// # Errors
    /// [`Unavailable`] says why there is none.
    pub(super) async fn session_soon(&self) -> Result<Session, Unavailable> {
        let session = time::timeout(MAX_QUEUE_WAIT, self.session()).await;
        session.map_err(|_| self.unavailable())
    }

    /// Why there is no link, or why it is of no use.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().clone();
        trouble.or_else(|| self.refused.lock().clone())
    }

    /// The engine takes what is to be committed, or answers with an error to it. Logged when it changes.
    pub(super) fn commits(&self, refused: Option<&Fault>) {
        let engine = self.engine;
        let mut now = self.refused.lock();
        match (refused, now.as_ref()) {
            (Some(fault), None) => {
                tracing::warn!(reason = %fault, "{engine} accepts nothing: messages wait for their commit");
            }
            (None, Some(_)) => tracing::info!("{engine} accepts messages again"),
            _ => {}
        }
        *now = refused.map(|fault| format!("{engine} accepts nothing: {fault}"));
    }

    /// What is to be done where a request failed: a link that broke is made anew.
    pub(super) fn failed(&self, id: u64, fault: &Fault) {
        if let Fault::Link(why) = fault {
            self.broke(id, why);
        }
    }

    pub(super) fn unavailable(&self) -> Unavailable {
        let trouble = self.trouble();
        Unavailable::NotNow(trouble.unwrap_or_else(|| format!("{} does not answer", self.engine)))
    }

    /// Why a request has no answer, for whoever asked for it.
    pub(super) fn without(&self, fault: &Fault) -> Unavailable {
        Unavailable::NotNow(format!("{}: {fault}", self.engine))
    }

    /// A link failed: it is made anew, unless that has happened since.
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
            let why = format!("the connection to {} broke: {why}", self.engine);
            *self.trouble.lock() = Some(why);
        }
    }

    /// Whether the engine answers now.
    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        let Some(session) = self.now() else {
            return Err(self.unavailable());
        };
        if let Some(why) = self.trouble() {
            return Err(Unavailable::NotNow(why));
        }
        match time::timeout(BUSY_TIMEOUT, session.log.ping()).await {
            Ok(answer) => answer.map_err(|fault| self.without(&fault)),
            Err(_) => {
                let why = format!("{} does not answer in time", self.engine);
                Err(Unavailable::NotNow(why))
            }
        }
    }
}

/// Keeps a link for as long as the instance lives. Ends with the reason if there can be none any more.
pub(super) async fn keep(shared: Arc<Shared>) -> String {
    let engine = shared.engine();
    let mut broken = shared.link.broken.subscribe();
    loop {
        let id = shared.link.current_id.load(Ordering::Acquire);
        // Its sender is a field of the link's.
        let _ = broken.wait_for(|broken| *broken >= id).await;
        tracing::warn!(
            reason = shared.link.trouble().unwrap_or_default(),
            "{engine} is gone"
        );
        let mut pause = PAUSES.0;
        let mut refused_since = None::<Instant>;
        let session = loop {
            let why = match connect(&shared).await {
                Ok(session) => break session,
                Err(ConnectError::Now(why)) => {
                    refused_since = None;
                    format!("{engine} can't be reached: {why}")
                }
                Err(ConnectError::ForGood(error)) => {
                    let since = *refused_since.get_or_insert_with(time::now);
                    if time::since(since) >= REFUSED {
                        return error;
                    }
                    error
                }
            };
            *shared.link.trouble.lock() = Some(why);
            time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        };
        tracing::info!("{engine} is back");
        *shared.link.trouble.lock() = None;
        shared.link.current.send_replace(Some(session));
    }
}

/// The first link.
pub(super) async fn begin(shared: &Arc<Shared>) -> Result<(), StartError> {
    match connect(shared).await {
        Ok(session) => {
            shared.link.current.send_replace(Some(session));
            Ok(())
        }
        Err(ConnectError::Now(why)) => Err(StartError::unreachable(shared, why)),
        Err(ConnectError::ForGood(error)) => Err(StartError::Engine(error)),
    }
}

async fn connect(shared: &Arc<Shared>) -> Result<Session, ConnectError> {
    let id = shared.link.current_id.load(Ordering::Acquire) + 1;
    let listener = Arc::new(LinkListener(Arc::downgrade(shared)));
    let log = shared
        .engine
        .connect(id, shared.number.get().copied(), listener)
        .await?;
    // It is the same on every link: a later one asks for the number of the first.
    let _ = shared.number.set(log.number());
    let session = Session { id, log };
    // From here on the old link's messages, if there are any left, are taken no more: they may be of another era.
    shared.canvases.set_era(session.log.era().clone());
    shared.link.current_id.store(id, Ordering::Release);
    shared.resume(&session).await.map_err(|fault| {
        shared.link.broke(id, "it broke at once");
        ConnectError::Now(fault.to_string())
    })?;
    Ok(session)
}

/// Receives for as long as the instance lives.
struct LinkListener(std::sync::Weak<Shared>);

impl Listener for LinkListener {
    fn received(&self, link: u64, canvas: &str, published: Published) {
        if let Some(shared) = self.0.upgrade()
            && shared.link.is_current(link)
        {
            shared.receive(canvas, published);
        }
    }

    fn received_rows(&self, link: u64, message: &[u8]) {
        if let Some(shared) = self.0.upgrade()
            && shared.link.is_current(link)
        {
            shared.receive_rows(message);
        }
    }

    fn broke(&self, link: u64, why: &str) {
        if let Some(shared) = self.0.upgrade() {
            shared.link.broke(link, why);
        }
    }
}

/// Leaves a log that is to be left though it still answers.
pub(super) async fn follow(shared: Arc<Shared>) -> String {
    loop {
        let session = shared.link.session().await;
        let mut current = shared.link.current.subscribe();
        let other = |now: &Option<Session>| now.as_ref().is_none_or(|now| now.id != session.id);
        tokio::select! {
            biased;
            why = shared.engine.moved(&session.log) => shared.link.broke(session.id, &why),
            _ = current.wait_for(other) => {}
        }
    }
}
