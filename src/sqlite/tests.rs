//! Tests of the whole queue, and what they share.

mod alike;
mod clients;
mod deletions;
mod instances;
mod jobs;
mod log;
mod resends;
mod sweeps;
mod unseen;
mod wakes;
mod work;

use super::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) use crate::backplane::intake::tests::{author, durable};
use crate::backplane::{
    Author, CanvasKey, Carrier, Delivery, End, Entry, Instance, Lifecycle, Member, Outcome,
    PresenceChange, PresenceEvent, PresenceTable, Read, Reader, Snapshot, Together,
};
use crate::canvas::Rules;
use crate::config::{SqliteConfig, SqliteSettings, Synchronous};
use crate::limits::{CanvasRules, ObjectBounds, Quotas};
use crate::protocol::ids::{ClientId, ConnId, InstanceId, InstanceNumber};
use crate::protocol::server_message::{AckStatus, ErrorCode, LeaveReason};

/// The objects of a snapshot.
pub(super) fn texts(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.objects.iter().map(|object| &**object).collect()
}

/// A configuration of defaults over a file in `dir`.
pub(super) fn config(dir: &Path, instance: &str) -> SqliteConfig {
    SqliteConfig {
        instance_id: InstanceId::parse(instance).unwrap(),
        file: SqliteSettings {
            db: dir.join("queue.db"),
            poll_interval: Duration::from_millis(50),
            poll_idle: Duration::from_millis(200),
            max_messages_per_poll: 100,
            cursor_ttl: Duration::from_secs(5),
            cleanup_interval: Duration::from_secs(30),
            synchronous: Synchronous::Normal,
            spill_dir: None,
            spill_max_bytes: 1 << 20,
        },
        rules: CanvasRules {
            message_ttl: Duration::from_secs(60),
            presence_grace: Duration::from_secs(10),
            bounds: ObjectBounds {
                max_objects: 10_000,
                max_bytes: 1 << 20,
            },
            quotas: Quotas::default(),
        },
        auth: crate::config::AuthMode::None,
        jobs: crate::limits::JobLimits::default(),
        local_broadcast: true,
        fail_points: Vec::new(),
    }
}

/// Rules of a canvas that is soon full.
pub(super) const SMALL: Rules = Rules {
    message_ttl_ms: 60_000,
    presence_grace_ms: 10_000,
    bounds: ObjectBounds {
        max_objects: 5,
        max_bytes: 3_000,
    },
};

/// What transactions of an instance go by.
pub(super) fn setup(instance: &str, number: u32, rules: Rules) -> apply::Setup {
    apply::Setup {
        instance_id: instance.to_owned(),
        number: InstanceNumber(number),
        cursor_ttl_ms: 5_000,
        rules,
        quotas: Quotas::default(),
        counted: apply::Counted::default(),
    }
}

/// Records what it is given.
#[derive(Default)]
pub(super) struct Recorder {
    got: std::sync::Mutex<Vec<Delivery>>,
    notifier: std::sync::Condvar,
}

impl Sink for Recorder {
    fn deliver(&self, delivery: Delivery) {
        self.got.lock().unwrap().push(delivery);
        self.notifier.notify_all();
    }
}

impl Recorder {
    /// Waits until `enough` of what was delivered, at most 10 s.
    pub(super) fn wait(&self, enough: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let got = self.got.lock().unwrap();
        let limit = Duration::from_secs(10);
        let (got, _) = self
            .notifier
            .wait_timeout_while(got, limit, |got| !enough(got))
            .unwrap();
        assert!(enough(&got), "not enough: {got:#?}");
        got.clone()
    }

    /// Waits for the log up to `seq`, and checks that it came in one order without gap or repeat.
    pub(super) fn log_to(&self, seq: u64) -> Vec<(u64, u64)> {
        let got = self.wait(|got| seqs(got).last().is_some_and(|(last, _)| *last >= seq));
        let seqs = seqs(&got);
        for pair in seqs.windows(2) {
            assert_eq!(pair[0].0 + 1, pair[1].0, "{seqs:?}");
        }
        seqs
    }
}

/// `(seq, op)` of what came.
fn seqs(got: &[Delivery]) -> Vec<(u64, u64)> {
    let batch = |d: &Delivery| match d {
        Delivery::Log(batch) => {
            let op =
                |(i, mark): (usize, &crate::backplane::Mark)| (batch.first_seq + i as u64, mark.op);
            batch.marks.iter().enumerate().map(op).collect()
        }
        _ => Vec::new(),
    };
    got.iter().flat_map(batch).collect()
}

fn outcomes(got: &[Delivery]) -> Vec<(u64, Outcome)> {
    let outcome = |d: &Delivery| match d {
        Delivery::Outcome { op, outcome, .. } => Some((*op, outcome.clone())),
        _ => None,
    };
    got.iter().filter_map(outcome).collect()
}

fn presence(got: &[Delivery]) -> Vec<PresenceEvent> {
    let event = |d: &Delivery| {
        if let Delivery::Presence(e) = d {
            Some(e.clone())
        } else {
            None
        }
    };
    got.iter().filter_map(event).collect()
}

fn joined(got: &[Delivery]) -> Vec<Result<u64, ErrorCode>> {
    let one = |d: &Delivery| match d {
        Delivery::Joined { acked_op, .. } => Some(acked_op.clone().map_err(|r| r.code)),
        _ => None,
    };
    got.iter().filter_map(one).collect()
}

/// What a client would send.
fn message(author: &Arc<Author>, text: &str) -> Entry {
    match crate::protocol::client_message::parse(text).unwrap() {
        crate::protocol::client_message::ClientMessage::Durable(message) => Entry::Durable {
            author: author.clone(),
            message,
        },
        other => panic!("{other:?}"),
    }
}

fn on(queue: &SqliteBackplane, n: u64, subject: &str) -> Arc<Author> {
    let client = ClientId::parse(&format!("client-{n:04}")).unwrap();
    Arc::new(Author::new(
        queue.new_conn(),
        client,
        r#"{"name":"N"}"#.into(),
        subject.into(),
    ))
}

async fn room(queue: &SqliteBackplane, name: &str) -> (Opened, Arc<Recorder>) {
    let sink = Arc::new(Recorder::default());
    let opened = Carrier::open(queue, &CanvasId::parse(name).unwrap(), sink.clone()).await;
    (opened.unwrap(), sink)
}

fn start(dir: &Path, name: &str) -> Arc<SqliteBackplane> {
    SqliteBackplane::start(config(dir, name)).unwrap()
}

/// A store of jobs over a file of an older version that this SQL makes, once it is opened.
pub(crate) fn of_older(sql: &str, play: impl FnOnce(super::jobs::store::SqlStore<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let older = rusqlite::Connection::open(dir.path().join("queue.db")).unwrap();
    older.execute_batch(sql).unwrap();
    drop(older);
    let config = config(dir.path(), "one");
    let conn = super::storage::schema::prepare(&config).unwrap().conn;
    conn.set_prepared_statement_cache_capacity(192);
    play(super::jobs::store::SqlStore(&conn));
}
