//! One suite for every engine: each sentence of the contract in `src/log.rs` has a test here that is named for it.

mod gone;
mod looking;
mod quotas;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use scumble::config::{RedisTls, RedisUrl};
use scumble::limits::Quotas;
use scumble::log::memory::MemoryEngine;
use scumble::log::{
    ANOTHER_CANVAS, Appended, Asks, Changes, Clock, Committed, Counts, DispatchedUpto, Engine,
    Fault, How, Introduction, Left, Listener, Log, LogEnd, LoggedBatch, MessageChunk, Opening,
    Piece, Proof, Published, RowCommit, RowRange, Sampled, SampledSpan, StoredSnapshot, Summary,
    Why,
};
use scumble::protocol::ids::{CanvasId, Epoch, InstanceNumber};
use scumble::redis::{Redis, RedisConfig};

use crate::redis_server::RedisServer;
use gone::{
    a_heartbeat_says_how_many_canvases_the_instance_has, another_canvas_in_its_place_takes_nothing,
    for_a_dead_instance_nobody_waits, what_another_instance_has_is_not_begun_anew,
    what_is_behind_a_copy_takes_nothing, what_is_gone_is_not_published_late,
};
use looking::who_looks_sees_a_canvas_and_changes_nothing;
use quotas::{
    a_log_has_room_by_the_rule_of_quotas, one_canvas_too_many_is_not_made, parting,
    what_is_charged_since_a_count_comes_on_top, what_is_over_ends_where_nobody_has_it,
    what_may_grow_too_much_is_told_how_much_is_left,
};

const PATIENCE: Duration = Duration::from_secs(20);
const PLAIN: How = How {
    even_if_full: false,
    publish: true,
};

/// An engine of the test's own.
trait Kind {
    fn start() -> Self;

    fn engine(&self, me: Introduction) -> Arc<dyn Engine>;

    /// It runs anew, and has lost nothing.
    fn run_anew(&mut self);

    /// Somebody removes a canvas.
    fn lose(&self, name: &str);

    /// Nothing was heard of an instance for so much longer.
    fn forget_beats(&self, number: InstanceNumber, longer_ms: i64);
}

struct InMemory(Arc<MemoryEngine>);

impl Kind for InMemory {
    fn start() -> Self {
        Self(MemoryEngine::new(1))
    }

    fn engine(&self, me: Introduction) -> Arc<dyn Engine> {
        self.0.member(me)
    }

    fn run_anew(&mut self) {
        self.0.fail_over();
    }

    fn lose(&self, name: &str) {
        self.0.lose(name, true);
    }

    fn forget_beats(&self, number: InstanceNumber, longer_ms: i64) {
        self.0.forget_beats(number, longer_ms);
    }
}

struct OverRedis(RedisServer);

impl Kind for OverRedis {
    fn start() -> Self {
        Self(RedisServer::start())
    }

    fn engine(&self, me: Introduction) -> Arc<dyn Engine> {
        let config = RedisConfig {
            url: RedisUrl::parse(&self.0.url()).expect("an address"),
            prefix: "scumble".to_owned(),
            tls: RedisTls::default(),
        };
        Arc::new(Redis::new(&config, me).expect("an engine"))
    }

    fn run_anew(&mut self) {
        self.0.kill();
        self.0.run();
    }

    fn lose(&self, name: &str) {
        let keys = ["canvas", "log"].map(|kind| format!("scumble:{kind}:{name}"));
        self.0.ask(&["DEL", &keys[0], &keys[1]]);
    }

    fn forget_beats(&self, number: InstanceNumber, longer_ms: i64) {
        let (by, number) = (format!("-{longer_ms}"), number.to_string());
        self.0.ask(&["ZINCRBY", "scumble:instances", &by, &number]);
    }
}

/// Keeps what it hears.
#[derive(Default)]
struct Received(Mutex<Vec<(String, Published)>>, Mutex<Vec<Vec<u8>>>);

impl Listener for Received {
    fn received(&self, _link: u64, canvas: &str, published: Published) {
        self.0.lock().push((canvas.to_owned(), published));
    }

    fn received_rows(&self, _link: u64, message: &[u8]) {
        self.1.lock().push(message.to_vec());
    }

    fn broke(&self, _link: u64, _why: &str) {}
}

impl Received {
    fn batches(&self) -> Vec<LoggedBatch> {
        let heard = self.0.lock();
        let batches = heard.iter().filter_map(|(_, published)| match published {
            Published::Batch(batch) => Some(batch.clone()),
            _ => None,
        });
        batches.collect()
    }

    async fn until(&self, wanted: impl Fn(&Published) -> bool) {
        let began = Instant::now();
        while !self.0.lock().iter().any(|(_, it)| wanted(it)) {
            assert!(began.elapsed() < PATIENCE, "heard {:?}", self.0.lock());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// An instance, as far as the log knows one.
struct Instance {
    engine: Arc<dyn Engine>,
    received: Arc<Received>,
    log: Arc<dyn Log>,
}

fn introduction(name: &str) -> Introduction {
    Introduction {
        token: format!("token of {name}"),
        instance_id: name.to_owned(),
        relay_rules: "--a 1".to_owned(),
        canvas_rules: "--b 2".to_owned(),
        message_ttl_ms: 60_000,
        presence_grace_ms: 60_000,
        quotas: Quotas::default(),
        clock: Arc::new(Clock::default()),
    }
}

impl Instance {
    async fn enter(kind: &impl Kind, name: &str) -> Self {
        Self::introduced(kind, introduction(name)).await
    }

    async fn introduced(kind: &impl Kind, me: Introduction) -> Self {
        let engine = kind.engine(me);
        let received = Arc::new(Received::default());
        let log = engine
            .connect(1, None, received.clone())
            .await
            .expect("a log");
        let me = Self {
            engine,
            received,
            log,
        };
        assert_eq!(me.proof(true).await, Proof::Kept);
        me
    }

    async fn proof(&self, whole: bool) -> Proof {
        let began = Instant::now();
        loop {
            match self.log.prove(whole, 0).await.expect("an answer") {
                Proof::Pending => tokio::time::sleep(Duration::from_millis(20)).await,
                proof => return proof,
            }
            assert!(began.elapsed() < PATIENCE);
        }
    }

    /// After its link broke.
    async fn come_back(&mut self) {
        let began = Instant::now();
        let number = self.log.number();
        loop {
            match self
                .engine
                .connect(2, Some(number), self.received.clone())
                .await
            {
                Ok(log) => {
                    self.log = log;
                    return;
                }
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn open(&self, canvas: &CanvasId) -> scumble::log::CanvasHead {
        let opening = Opening {
            epoch: Epoch::random(),
            anew: b"anew".to_vec(),
        };
        let opened = self.log.open(canvas, opening, true).await;
        opened.expect("a canvas")
    }

    async fn subscribe(&self, canvas: &CanvasId) {
        let canvas = std::slice::from_ref(canvas);
        self.log.subscribe(canvas).await.expect("subscribed");
    }

    async fn append(&self, canvas: &CanvasId, bytes: &[u8]) -> (u64, i64) {
        let piece = piece(canvas, bytes);
        let (_, ends) = self.log.append(&[&piece], PLAIN).await.expect("an answer");
        match ends[..] {
            [Appended::At(n, at_ms, _)] => (n, at_ms),
            _ => panic!("{ends:?}"),
        }
    }

    async fn all(&self, canvas: &CanvasId) -> Vec<LoggedBatch> {
        let all = self.log.batches_after(canvas, 0, usize::MAX >> 12).await;
        all.expect("batches")
    }
}

fn id(name: &str) -> CanvasId {
    CanvasId::parse(name).expect("a name")
}

fn piece(canvas: &CanvasId, bytes: &[u8]) -> Piece {
    Piece {
        canvas: canvas.clone(),
        kept: true,
        bytes: bytes.to_vec(),
        asks: Asks::default(),
    }
}

fn whole(n: u64, bytes: &[u8]) -> StoredSnapshot {
    StoredSnapshot {
        n,
        name: String::new(),
        parts: 0,
        whole: bytes.to_vec(),
    }
}

async fn batches_have_one_order_for_all<K: Kind>() {
    let kind = K::start();
    let (ada, ben) = (
        Instance::enter(&kind, "ada").await,
        Instance::enter(&kind, "ben").await,
    );
    assert_ne!(ada.log.number(), ben.log.number());
    let board = id("board");
    ada.open(&board).await;
    ben.open(&board).await;
    let write = async |instance: &Instance| {
        for n in 0..20_u8 {
            instance.append(&board, &[n]).await;
        }
    };
    tokio::join!(write(&ada), write(&ben));
    let all = ada.all(&board).await;
    assert_eq!(all, ben.all(&board).await);
    let numbers: Vec<u64> = all.iter().map(|batch| batch.n).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    assert!(all.is_sorted_by_key(|batch| batch.at_ms));
    let chain = all.iter().fold(String::new(), |c, batch| batch.chained(&c));
    let ends = ben.log.ends(&[board.clone(), id("none")]).await;
    let ends = ends.expect("an answer");
    assert_eq!(
        (ends[0].n, ends[0].chain.as_ref()),
        (Some(40), Some(&chain))
    );
    assert_eq!(ends[1], LogEnd::default());
}

async fn a_refused_piece_harms_no_other<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let (here, nowhere) = (id("here"), id("nowhere"));
    ada.open(&here).await;
    let pieces = [piece(&nowhere, b"x"), piece(&here, b"y")];
    let pieces: Vec<&Piece> = pieces.iter().collect();
    let (commits, ends) = ada.log.append(&pieces, PLAIN).await.expect("an answer");
    assert!(commits > 0);
    assert!(matches!(ends[0], Appended::Refused(_)), "{ends:?}");
    assert!(matches!(ends[1], Appended::At(1, ..)), "{ends:?}");
    assert_eq!(ada.all(&nowhere).await, []);
}

async fn what_is_committed_is_published_to_those_who_subscribed<K: Kind>() {
    let kind = K::start();
    let (ada, ben) = (
        Instance::enter(&kind, "ada").await,
        Instance::enter(&kind, "ben").await,
    );
    let (board, other) = (id("board"), id("other"));
    for canvas in [&board, &other] {
        ada.open(canvas).await;
    }
    ben.subscribe(&board).await;
    ada.append(&other, b"not for ben").await;
    let quiet = How {
        publish: false,
        ..PLAIN
    };
    let late = piece(&board, b"late");
    let (_, ends) = ada.log.append(&[&late], quiet).await.expect("an answer");
    let mut passing = piece(&board, b"passing");
    passing.kept = false;
    let (_, told) = ada.log.append(&[&passing], PLAIN).await.expect("an answer");
    assert_eq!(told, [Appended::Published]);
    let heard = |it: &Published| *it == Published::Ephemeral(b"passing".to_vec());
    ben.received.until(heard).await;
    let nothing = ada.log.publish(&[&passing], &told).await;
    nothing.expect("nothing is left to be told");
    // It is committed, and not published yet.
    assert_eq!(ben.received.batches(), []);
    ada.log.publish(&[&late], &ends).await.expect("published");
    ben.received
        .until(|it| matches!(it, Published::Batch(_)))
        .await;
    assert_eq!(ben.received.batches(), ada.all(&board).await);
    ben.log.unsubscribe(&board).await.expect("an answer");
    ada.append(&board, b"unheard").await;
    ben.subscribe(&other).await;
    ada.append(&other, b"heard").await;
    let heard = |it: &Published| matches!(it, Published::Batch(batch) if batch.bytes == b"heard");
    ben.received.until(heard).await;
    assert_eq!(ben.received.batches().len(), 2);
}

async fn reads_are_bounded_and_give_at_least_one<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    ada.open(&board).await;
    for n in 0..10_u8 {
        ada.append(&board, &[n; 1_000]).await;
    }
    let (mut n, mut reads) = (0, 0);
    loop {
        let some = ada.log.batches_after(&board, n, 3_000).await;
        let some = some.expect("batches");
        let Some(last) = some.last() else { break };
        assert_eq!(some[0].n, n + 1);
        assert!(some.len() <= 3, "{} of 3,000 bytes", some.len());
        (n, reads) = (last.n, reads + 1);
    }
    assert_eq!((n, reads), (10, 5));
    let one = ada.log.batches_after(&board, 9, 1).await.expect("batches");
    assert_eq!(one.len(), 1);
}

async fn an_older_snapshot_takes_no_newer_ones_place<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    assert_eq!(ada.open(&board).await.saved, 0);
    ada.subscribe(&board).await;
    for n in 0..9_u8 {
        ada.append(&board, &[n]).await;
    }
    for (n, bytes) in [(3, b"three"), (7, b"seven"), (5, b"fifth")] {
        let snapshot = whole(n, bytes);
        let saved = ada.log.save(&board, &snapshot, "7 summary", false).await;
        saved.expect("an answer");
    }
    let head = ada.open(&board).await;
    assert_eq!((head.n, head.saved, &head.whole[..]), (9, 7, &b"seven"[..]));
    assert_eq!(head.snapshot_id(), "7 ");
    assert_eq!(head.rules, "--b 2");
    ada.received.until(|it| *it == Published::Saved(7)).await;
    // Only what is older than the one before may go, also where several instances say the same.
    let again = whole(7, b"seven");
    let saved = ada.log.save(&board, &again, "7 summary", false).await;
    saved.expect("an answer");
    let left: Vec<u64> = ada.all(&board).await.iter().map(|b| b.n).collect();
    assert!(left.ends_with(&[4, 5, 6, 7, 8, 9]), "{left:?}");
    let last = whole(9, b"nine");
    let saved = ada.log.save(&board, &last, "9 summary", true).await;
    saved.expect("an answer");
    assert_eq!(ada.all(&board).await, []);
    assert_eq!(ada.append(&board, b"on").await.0, 10);
}

async fn a_large_snapshot_comes_in_parts<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    ada.open(&board).await;
    ada.append(&board, b"x").await;
    for which in [1, 0] {
        let part = [u8::try_from(which).expect("small"); 10];
        let put = ada.log.put_part(&board, "name", which, &part).await;
        put.expect("an answer");
    }
    let snapshot = StoredSnapshot {
        n: 1,
        name: "name".to_owned(),
        parts: 2,
        whole: Vec::new(),
    };
    ada.log
        .save(&board, &snapshot, "1 s", false)
        .await
        .expect("an answer");
    let head = ada.open(&board).await;
    assert_eq!((head.parts, &*head.snapshot), (2, "name"));
    let part = async |name, which| ada.log.part(&board, name, which).await;
    assert_eq!(part("name", 1).await, Ok(Some(vec![1; 10])));
    assert_eq!(part("name", 2).await, Ok(None));
    assert_eq!(part("other", 0).await, Ok(None));
}

async fn messages_follow_those_that_are_kept<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    ada.open(&board).await;
    let epoch = Epoch::random();
    let chunk = |after: &str, last_seq, first_seq| MessageChunk {
        after: after.to_owned(),
        epoch,
        last_seq,
        bytes: vec![b'm'; 100],
        first_seq,
    };
    let put = async |chunk| {
        let put = ada.log.put_messages(&board, &chunk).await;
        put.expect("an answer")
    };
    let first = put(chunk("", 4, 1)).await;
    assert_eq!(first, format!("{epoch} 4"));
    // Somebody was faster.
    assert_eq!(put(chunk("", 6, 1)).await, first);
    let second = put(chunk(&first, 8, 1)).await;
    assert_eq!(ada.open(&board).await.messages_end, second);
    let seqs = async |after, bytes| {
        let some = ada.log.messages_after(&board, after, bytes).await;
        let some = some.expect("messages");
        some.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(0, 10_000).await, [4, 8]);
    assert_eq!(seqs(4, 10_000).await, [8]);
    assert_eq!(seqs(0, 1).await, [4]);
    put(chunk(&second, 9, 5)).await;
    assert_eq!(seqs(0, 10_000).await, [8, 9]);
}

async fn a_new_era_breaks_every_link<K: Kind>() {
    let mut kind = K::start();
    let mut ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    let epoch = ada.open(&board).await.epoch;
    ada.append(&board, b"x").await;
    let (era, number) = (ada.log.era().clone(), ada.log.number());
    kind.run_anew();
    let asked = ada.log.batches_after(&board, 0, 1).await;
    assert!(matches!(asked, Err(Fault::Link(_))), "{asked:?}");
    ada.come_back().await;
    assert_ne!(*ada.log.era(), era);
    assert_eq!(ada.log.number(), number);
    assert_eq!(ada.proof(true).await, Proof::Kept);
    let head = ada.open(&board).await;
    assert_eq!((head.n, head.epoch), (1, epoch));
}

async fn where_something_was_lost_every_canvas_begins_anew<K: Kind>() {
    let mut kind = K::start();
    let mut ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    ada.open(&board).await;
    ada.append(&board, b"x").await;
    kind.run_anew();
    ada.come_back().await;
    assert_eq!(ada.proof(false).await, Proof::Lost);
    assert_eq!(ada.open(&board).await.n, 2);
    assert_eq!(ada.all(&board).await[1].bytes, b"anew");
    // Once.
    assert_eq!(ada.open(&board).await.n, 2);
}

async fn a_dead_instance_is_leased_to_one<K: Kind>() {
    let kind = K::start();
    let (ada, ben, eve) = (
        Instance::enter(&kind, "ada").await,
        Instance::enter(&kind, "ben").await,
        Instance::enter(&kind, "eve").await,
    );
    let board = id("board");
    ada.open(&board).await;
    ada.append(&board, b"x").await;
    let dead = ada.log.number();
    drop(ada);
    let began = Instant::now();
    let beat = loop {
        let beaten = ben.log.beat().await.expect("a heartbeat");
        assert!(beaten.known);
        let other = beaten.others.iter().find(|other| other.number == dead);
        let other = *other.expect("ada is in the registry");
        if !other.connected {
            break other.beat;
        }
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(ben.log.lease(dead).await, Ok(true));
    assert_eq!(eve.log.lease(dead).await, Ok(false));
    let names = ben.log.canvases_of(dead).await.expect("names");
    assert_eq!(names, ["board"]);
    let lost = "lost".to_owned();
    let names = [names[0].clone(), lost.clone()];
    let failed = ben.log.reap(dead, &names, b"gone").await;
    assert_eq!(failed, Ok(vec![lost]));
    assert_eq!(ben.all(&board).await[1].bytes, b"gone");
    assert_eq!(ben.log.canvases_of(dead).await, Ok(vec![]));
    // It was heard since: it stays.
    ben.log
        .leave(dead, Some(beat - 1))
        .await
        .expect("an answer");
    let numbers = async || {
        let members = eve.log.members().await.expect("members");
        members.iter().map(|it| it.number).collect::<Vec<_>>()
    };
    assert!(numbers().await.contains(&dead));
    ben.log.leave(dead, Some(beat)).await.expect("an answer");
    assert!(!numbers().await.contains(&dead));
    // Somebody is away there.
    let names = ben.log.names_in_use().await.expect("names");
    assert!(names.contains("board"), "{names:?}");
}

async fn what_was_never_used_leaves_nothing<K: Kind>() {
    let kind = K::start();
    let (ada, ben) = (
        Instance::enter(&kind, "ada").await,
        Instance::enter(&kind, "ben").await,
    );
    let board = id("board");
    ada.open(&board).await;
    ben.open(&board).await;
    let there = async || {
        let summaries = ben.log.summaries(std::slice::from_ref(&board)).await;
        summaries.expect("summaries")[0].is_some()
    };
    let give_up = async |instance: &Instance| {
        let log = &instance.log;
        let parting = parting(0, Left::Nothing, Counts::default());
        let released = log.release(&board, parting).await;
        released.expect("an answer");
    };
    give_up(&ada).await;
    assert!(there().await, "another instance has it");
    give_up(&ben).await;
    assert!(!there().await);
}

async fn an_older_summary_takes_no_newer_ones_place<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    ada.open(&board).await;
    ada.append(&board, b"x").await;
    for n in [1, 0] {
        let note = Summary {
            canvas: board.clone(),
            n,
            text: format!("{n} what is on it"),
            counts: Counts::default(),
        };
        ada.log.put_summaries(&[note]).await.expect("an answer");
    }
    let known = ada.log.summaries(&[board.clone(), id("none")]).await;
    let one = Some((1, "1 what is on it".to_owned()));
    assert_eq!(known, Ok(vec![one, None]));
    ada.subscribe(&board).await;
    let asked = ada.log.ask_for_summaries(&[board]).await;
    asked.expect("an answer");
    ada.received
        .until(|it| *it == Published::SummaryWanted)
        .await;
}

async fn what_was_lost_is_put_back_far_from_where_it_was<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    ada.open(&board).await;
    ada.append(&board, b"x").await;
    let copy = whole(1, b"all of it");
    // It is whole: nobody needs to put it back.
    assert_eq!(
        ada.log.restore(&board, &copy, "", Why::Lost).await,
        Ok(None)
    );
    ada.log.remove(&board).await.expect("an answer");
    let at = ada.log.restore(&board, &copy, "", Why::Lost).await;
    let at = at.expect("an answer").expect("it was put back");
    assert!(at > 1_000, "{at}");
    let head = ada.open(&board).await;
    assert_eq!((head.saved, &head.whole[..]), (at, &b"all of it"[..]));
    assert_eq!(ada.append(&board, b"y").await.0, head.n + 1);
    ada.subscribe(&board).await;
    let told = ada.log.report_unreadable(&board, "name").await;
    told.expect("an answer");
    let unreadable = Published::Unreadable("name".to_owned());
    ada.received.until(|it| *it == unreadable).await;
}

async fn rows_are_committed_by_whoever_comes_first<K: Kind>() {
    let kind = K::start();
    let (ada, ben) = (
        Instance::enter(&kind, "ada").await,
        Instance::enter(&kind, "ben").await,
    );
    let commit = async |instance: &Instance, by: &str, changes: &[(&[u8], Option<&[u8]>)]| {
        let changes = changes
            .iter()
            .map(|(key, row)| ((3, key.to_vec()), row.map(<[u8]>::to_vec)));
        let changes: Changes = changes.collect();
        let (at_ms, message) = (7, &b"wakes"[..]);
        let commit = RowCommit {
            by,
            at_ms,
            changes: &changes,
            message,
            dispatched: &[],
            hooks: None,
        };
        instance.log.commit_rows(commit).await.expect("an answer")
    };
    let (first, _) = ada.log.last_commit().await.expect("an answer");
    let both: [(&[u8], Option<&[u8]>); 2] = [(b"a", Some(b"1")), (b"b", Some(b"2"))];
    let Committed::Done(second) = commit(&ada, &first, &both).await else {
        panic!("nobody else has committed");
    };
    assert_eq!(ben.log.last_commit().await, Ok((second.clone(), 7)));
    // It goes by what was before.
    assert_eq!(commit(&ben, &first, &both).await, Committed::Moved);
    assert_eq!(ben.log.row(&first, 3, b"a").await, Ok(None));
    let row = async |key: &'static [u8]| ben.log.row(&second, 3, key).await;
    assert_eq!(row(b"a").await, Ok(Some(Some(b"1".to_vec()))));
    assert_eq!(row(b"c").await, Ok(Some(None)));
    for (downwards, limit, expected) in [(false, 9, "ab"), (true, 9, "ba"), (true, 1, "b")] {
        let (table, from, to) = (3, &b"a"[..], &b"c"[..]);
        let range = RowRange {
            table,
            from,
            to,
            downwards,
            limit,
        };
        let rows = ada.log.rows(&second, range).await.expect("an answer");
        let keys = rows.expect("of that moment").into_iter();
        let keys: Vec<u8> = keys.flat_map(|(key, _)| key).collect();
        assert_eq!(keys, expected.as_bytes());
    }
    // Ben commits next.
    assert_eq!(ben.log.lock_rows(60_000).await, Ok(true));
    assert_eq!(ada.log.lock_rows(60_000).await, Ok(false));
    let gone: [(&[u8], Option<&[u8]>); 1] = [(b"a", None)];
    assert_eq!(commit(&ada, &second, &gone).await, Committed::Locked);
    let Committed::Done(third) = commit(&ben, &second, &gone).await else {
        panic!("it is ben's turn");
    };
    assert_eq!(ada.log.row(&third, 3, b"a").await, Ok(Some(None)));
    assert_eq!(ada.log.lock_rows(60_000).await, Ok(true));
    let began = Instant::now();
    while ada.received.1.lock().len() < 2 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ada.received.1.lock()[0], b"wakes");
}

async fn hooks_are_told_of_a_batch_by_whoever_comes_first<K: Kind>() {
    let kind = K::start();
    let (ada, ben) = (
        Instance::enter(&kind, "ada").await,
        Instance::enter(&kind, "ben").await,
    );
    let board = id("board");
    ada.open(&board).await;
    let undispatched = async || ben.log.undispatched(0).await.expect("an answer").1;
    // The last commit, what is told of the canvas with the next one, and the hooks from there on.
    let commit = async |by: &str, (from, upto): (u64, u64), hooks: Option<u64>| {
        let canvas = board.clone();
        let dispatched = [DispatchedUpto { canvas, from, upto }];
        let dispatched = if upto > 0 { &dispatched[..] } else { &[] };
        let commit = RowCommit {
            by,
            at_ms: 7,
            changes: &Changes::new(),
            message: b"",
            dispatched,
            hooks,
        };
        match ada.log.commit_rows(commit).await.expect("an answer") {
            Committed::Done(name) => Ok(name),
            not => Err(not),
        }
    };
    ada.append(&board, b"unheard").await;
    assert!(undispatched().await.is_empty());
    let (first, _) = ada.log.last_commit().await.expect("an answer");
    let second = commit(&first, (0, 0), Some(3)).await.expect("done");
    ada.append(&board, b"heard").await;
    let versions = ada.all(&board).await.into_iter().map(|batch| batch.hooks);
    assert_eq!(versions.collect::<Vec<_>>(), [0, 3]);
    assert!(undispatched().await.is_empty(), "ada has it");
    let third = commit(&second, (0, 1), None).await.expect("done");
    assert_eq!(ada.open(&board).await.dispatched, 1);
    let again = commit(&third, (0, 2), None).await;
    assert_eq!(again, Err(Committed::DispatchedBefore(0, 1)));
    let (last, _) = ada.log.last_commit().await.expect("an answer");
    assert_eq!(last, third, "nothing was done");
    ada.log
        .release(&board, parting(1, Left::Much, Counts::default()))
        .await
        .expect("released");
    assert_eq!(undispatched().await, ["board"], "nobody has it");
    let others = [(board.clone(), 1)];
    ada.log.all_dispatched(&others).await.expect("an answer");
    assert_eq!(undispatched().await, ["board"], "there is one batch more");
    let fourth = commit(&third, (1, 2), None).await.expect("done");
    assert!(undispatched().await.is_empty());
    ada.append(&board, b"more").await;
    assert_eq!(undispatched().await, ["board"]);
    ada.log
        .all_dispatched(&[(board.clone(), 3)])
        .await
        .expect("an answer");
    assert!(undispatched().await.is_empty());
    commit(&fourth, (0, 0), Some(0)).await.expect("done");
    ada.append(&board, b"unheard").await;
    assert!(undispatched().await.is_empty());
    let chain = ada.all(&board).await;
    let chain = chain.iter().fold(String::new(), |c, b| b.chained(&c));
    assert_eq!(ada.open(&board).await.chain, chain);
}

/// Samples: what is given twice is kept once, what is old or too much goes, and whoever is silent is forgotten.
async fn samples_of_all_are_kept_for_a_while<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let ben = Instance::enter(&kind, "ben").await;
    let span = |at_ms: i64, text: &str| SampledSpan {
        series: 5_000,
        at_ms,
        text: text.to_owned(),
        kept_since_ms: at_ms - 20_000,
        most: 4,
        ends_in_ms: 60_000,
    };
    let said = |at_ms: i64, spans: Vec<SampledSpan>| Sampled {
        now: format!("{{\"at\":\"{at_ms} : x\"}}"),
        at_ms,
        silent_since_ms: at_ms - 60_000,
        spans,
    };
    let first = said(10_000, vec![span(5_000, "{\"a\":1}")]);
    ada.log.put_samples(&first).await.expect("kept");
    ada.log.put_samples(&first).await.expect("kept");
    let second = said(11_000, vec![span(5_000, "{\"a\":1}"), span(10_000, "{}")]);
    ben.log.put_samples(&second).await.expect("kept");
    let (one, two) = (ada.log.number(), ben.log.number());
    let all = ben.log.samples_since(5_000, 0).await.expect("read");
    let expected = [
        (5_000, one, "{\"a\":1}".to_owned()),
        (5_000, two, "{\"a\":1}".to_owned()),
        (10_000, two, "{}".to_owned()),
    ];
    assert_eq!(all, expected);
    let since = ada.log.samples_since(5_000, 5_001).await.expect("read");
    assert_eq!(since, expected[2..]);
    assert_eq!(ada.log.samples_since(60_000, 0).await.expect("read"), []);
    let mut now = ada.log.samples_now().await.expect("read");
    now.sort();
    let texts = [("ada", &first.now), ("ben", &second.now)];
    assert_eq!(
        now,
        texts.map(|(name, text)| (name.to_owned(), text.clone()))
    );

    // What is too old, and what is too much.
    let third = said(30_000, vec![span(26_000, "third")]);
    ada.log.put_samples(&third).await.expect("kept");
    assert_eq!(
        ada.log.samples_since(5_000, 0).await.expect("read").len(),
        2
    );
    let many = (0..9).map(|n| span(30_000 + n, "many")).collect();
    ada.log
        .put_samples(&said(31_000, many))
        .await
        .expect("kept");
    let all = ada.log.samples_since(5_000, 0).await.expect("read");
    let beginnings: Vec<i64> = all.iter().map(|(at, _, _)| *at).collect();
    assert_eq!(beginnings, [30_005, 30_006, 30_007, 30_008]);

    // Whoever says nothing for too long.
    ada.log
        .put_samples(&said(80_000, vec![]))
        .await
        .expect("kept");
    let now = ada.log.samples_now().await.expect("read");
    let names: Vec<&str> = now.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ada"]);
}

async fn instances_of_other_rules_are_refused<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let mut other = introduction("ben");
    other.relay_rules = "--a 2".to_owned();
    let other = kind.engine(other);
    let refused = other.connect(1, None, Arc::new(Received::default())).await;
    let refused = refused.err().expect("refused").to_string();
    assert!(
        refused.contains("--a 1") && refused.contains("--a 2"),
        "{refused}"
    );
    assert_ne!(ada.log.number(), InstanceNumber(0));
}

macro_rules! suite {
    ($kind:ty; $($name:ident)*) => {
        $(#[tokio::test] async fn $name() { super::$name::<$kind>().await; })*
    };
}

macro_rules! engines {
    ($($engine:ident: $kind:ident;)*) => {
        $(mod $engine {
            suite! { crate::log::$kind;
                batches_have_one_order_for_all a_refused_piece_harms_no_other
                what_is_committed_is_published_to_those_who_subscribed
                reads_are_bounded_and_give_at_least_one
                an_older_snapshot_takes_no_newer_ones_place a_large_snapshot_comes_in_parts
                messages_follow_those_that_are_kept a_new_era_breaks_every_link
                where_something_was_lost_every_canvas_begins_anew
                a_dead_instance_is_leased_to_one what_was_never_used_leaves_nothing
                an_older_summary_takes_no_newer_ones_place
                what_was_lost_is_put_back_far_from_where_it_was
                what_another_instance_has_is_not_begun_anew for_a_dead_instance_nobody_waits
                another_canvas_in_its_place_takes_nothing what_is_behind_a_copy_takes_nothing what_is_gone_is_not_published_late
                a_heartbeat_says_how_many_canvases_the_instance_has
                rows_are_committed_by_whoever_comes_first
                hooks_are_told_of_a_batch_by_whoever_comes_first
                samples_of_all_are_kept_for_a_while
                instances_of_other_rules_are_refused
                a_log_has_room_by_the_rule_of_quotas what_is_charged_since_a_count_comes_on_top
                what_may_grow_too_much_is_told_how_much_is_left one_canvas_too_many_is_not_made
                what_is_over_ends_where_nobody_has_it
                who_looks_sees_a_canvas_and_changes_nothing
            }
        })*
    };
}

engines! {
    in_memory: InMemory;
    over_redis: OverRedis;
}
