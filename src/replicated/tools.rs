//! A relay over a log, as tools see it that are no instance. They read canvases without opening them, and write them
//! where no relay is yet.
//!
//! - [`rows`]: the rows of the work queue.

pub(crate) mod rows;

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::loading::{PART, PARTS, Turns};
use super::rules;
use crate::canvas::codec::{decode_batch, encode_batch};
use crate::canvas::{CanvasState, Command, Rules};
use crate::limits::{CanvasRules, ObjectBounds, Quotas};
use crate::log::{
    Appended, Asks, CanvasHead, Clock, Counts, Fault, How, Introduction, Left, Log, LoggedBatch,
    MessageChunk, Opening, Parting, Piece,
};
use crate::protocol::ids::{CanvasId, Epoch, Position};

/// Times that a canvas is read again because it was kept anew meanwhile.
const TRIES: usize = 16;

/// What stands behind the rules of a relay while a tool is an instance of it.
const TOOL: &str = " --tool ";

/// How a tool makes itself known. While it is an instance, its rules are nobody else's: nobody else can enter. `relay`: the rules that
/// the relay had before.
pub(crate) fn introduction(name: &str, rules: &Rules, relay: Option<&str>) -> Introduction {
    let canvas_rules = rules::text(rules);
    let before = relay.unwrap_or(&canvas_rules);
    let before = before.split(TOOL).next().unwrap_or_default();
    Introduction {
        token: uuid::Uuid::new_v4().simple().to_string(),
        instance_id: name.to_owned(),
        relay_rules: format!("{before}{TOOL}{name}"),
        canvas_rules,
        message_ttl_ms: rules.message_ttl_ms,
        presence_grace_ms: rules.presence_grace_ms,
        quotas: Quotas {
            canvas_log_bytes: u64::MAX,
            log_bytes: u64::MAX,
            total_bytes: None,
            canvases: None,
            idle_ttl: None,
        },
        clock: Arc::new(Clock::default()),
    }
}

/// The rules of a relay's canvases, from the words that its instances agree on; `None` if they say nothing about it.
pub(crate) fn rules_of(relay: &str) -> Option<Rules> {
    let words: Vec<&str> = relay.split(' ').take(8).collect();
    rules::parse(&words.join(" "))
}

/// Rules with such a time to live, the defaults otherwise: what is read by them is not held to them.
pub(crate) fn rules_with(message_ttl: std::time::Duration, grace: std::time::Duration) -> Rules {
    Rules::from(&CanvasRules {
        message_ttl,
        presence_grace: grace,
        bounds: ObjectBounds {
            max_objects: usize::MAX,
            max_bytes: usize::MAX,
        },
        quotas: Quotas::default(),
    })
}

/// A canvas, as the log has it.
pub(crate) struct Copy {
    /// Its last batch.
    pub(crate) n: u64,
    /// What that is chained to.
    pub(crate) chain: String,
    /// What it is after that.
    pub(crate) state: CanvasState,
    /// When somebody last wrote, came or went, ms since the epoch.
    pub(crate) used_at_ms: i64,
    /// The engine lost something: it begins a new epoch when an instance opens it.
    pub(crate) lost: bool,
}

/// What the first batch of a canvas that is put there is charged with, until it is counted a moment later.
const CHARGE: u64 = 1;

/// Reads a canvas; `None` if there is none.
pub(crate) async fn read(log: &dyn Log, id: &CanvasId) -> Result<Option<Copy>, Fault> {
    let mut missing = None;
    for _ in 0..TRIES {
        let Some(looked) = log.look(id).await? else {
            return Ok(None);
        };
        let snapshot = looked.head.snapshot_id();
        match parts(log, id, looked.head).await? {
            Ok(mut copy) => {
                copy.lost = looked.lost;
                return Ok(Some(copy));
            }
            // The same snapshot again: it is not that another one took its place.
            Err(what) if missing.as_ref() == Some(&snapshot) => return Err(Fault::Canvas(what)),
            Err(_) => missing = Some(snapshot),
        }
    }
    let why = "it changes faster than it can be read".to_owned();
    Err(Fault::NotNow(why))
}

/// Puts a canvas together of its parts; or says what was not there.
async fn parts(
    log: &dyn Log,
    id: &CanvasId,
    mut head: CanvasHead,
) -> Result<Result<Copy, String>, Fault> {
    let mut snapshot = std::mem::take(&mut head.whole);
    if !head.snapshot.is_empty() {
        let reads = (0..head.parts).map(|which| log.part(id, &head.snapshot, which));
        let reads = stream::iter(reads).buffered(PARTS);
        let parts: Vec<Option<Vec<u8>>> = reads.try_collect().await?;
        let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(Err("a part of its snapshot is missing".to_owned()));
        };
        snapshot = parts.concat();
    }
    let mut messages = Vec::new();
    let mut seq = 0;
    while !head.messages_end.is_empty() {
        let more = log.messages_after(id, seq, PART).await?;
        let Some((last_seq, _)) = more.last() else {
            break;
        };
        seq = *last_seq;
        messages.extend(more.into_iter().map(|(_, chunk)| chunk));
    }
    let mut copy = match begun(&head, &snapshot, &messages) {
        Ok(state) => Copy {
            n: head.saved,
            chain: String::new(),
            state,
            used_at_ms: head.used_at_ms,
            lost: false,
        },
        Err(why) => return Ok(Err(why)),
    };
    while copy.n < head.n {
        let before = copy.n;
        for kept in log.batches_after(id, copy.n, PART).await? {
            if kept.n == copy.n + 1 && kept.n <= head.n {
                copy.run(&kept);
            }
        }
        if copy.n == before {
            return Ok(Err(format!("batch {} is missing", copy.n + 1)));
        }
    }
    copy.chain = head.chain;
    Ok(Ok(copy))
}

/// The canvas at its snapshot.
fn begun(head: &CanvasHead, snapshot: &[u8], messages: &[Vec<u8>]) -> Result<CanvasState, String> {
    let by = rules::parse(&head.rules).ok_or("its rules can't be read")?;
    let mut state = if head.saved == 0 {
        let epoch = Epoch::parse(&head.epoch).ok_or("its epoch can't be read")?;
        CanvasState::new(epoch, by)
    } else {
        CanvasState::decode(snapshot, by).map_err(|e| e.to_string())?
    };
    // Without them, who comes back gets a snapshot.
    state.adopt_rows(messages);
    Ok(state)
}

impl Copy {
    /// Runs the next batch. Gives what it tells.
    pub(crate) fn run(&mut self, kept: &LoggedBatch) -> Vec<crate::backplane::Delivery> {
        self.n = kept.n;
        self.chain = kept.chained(&self.chain);
        match decode_batch(&kept.bytes) {
            Ok(batch) => self.state.apply_batch(batch, kept.at_ms),
            // Every instance leaves it out.
            Err(_) => Vec::new(),
        }
    }
}

/// Puts a canvas into a log where there is none of that name; this is an instance that nobody else enters beside.
pub(crate) async fn put(log: &dyn Log, id: &CanvasId, state: &CanvasState) -> Result<(), Fault> {
    let opening = Opening {
        epoch: state.head().epoch,
        anew: encode_batch(None, 0, None, &[Command::Tick]),
    };
    let head = log.open(id, opening, false).await?;
    if head.n > 0 {
        return Err(Fault::Canvas("it is there already".to_owned()));
    }
    // A snapshot is at a batch. It counts as one that somebody has written: where nobody ever did, the engine lets a canvas go.
    let asks = Asks {
        charge: CHARGE,
        last: CHARGE,
        uses: true,
        ..Asks::default()
    };
    let piece = Piece {
        canvas: id.clone(),
        kept: true,
        bytes: encode_batch(None, 0, None, &[Command::Tick]),
        asks,
    };
    let how = How {
        even_if_full: false,
        publish: false,
    };
    let (_, ends) = log.append(&[&piece], how).await?;
    let n = match ends.first() {
        Some(Appended::At(n, ..)) => *n,
        Some(Appended::Refused(why)) => return Err(Fault::Canvas(why.clone())),
        _ => return Err(Fault::Canvas("it was not taken".to_owned())),
    };
    put_messages(log, id, state).await?;
    let parts = stream::iter(state.freeze().pieces(PART).map(Ok));
    let (snapshot, _) = Turns::default().store(log, id, n, parts).await?;
    let Position { epoch, seq } = state.head();
    let note = format!("{n} {epoch} {seq} {} 0", state.objects());
    log.save(id, &snapshot, &note, true).await?;
    let parting = Parting {
        n,
        left: match state.is_blank() {
            true => Left::Deleted,
            false => Left::Much,
        },
        away_until_ms: None,
        log_ends_ms: state.log_ends_ms(),
        counts: Counts {
            n,
            log: state.log_bytes(),
            stored: state.stored_bytes(),
            charged: CHARGE,
            grown: 0,
        },
    };
    log.release(id, parting).await
}

async fn put_messages(log: &dyn Log, id: &CanvasId, state: &CanvasState) -> Result<(), Fault> {
    let mut after = String::new();
    let mut seq = 0;
    while let Some((last_seq, bytes)) = state.rows_after(seq, PART) {
        let chunk = MessageChunk {
            after,
            epoch: state.head().epoch,
            last_seq,
            bytes,
            first_seq: state.first_seq(),
        };
        after = chunk.end();
        seq = last_seq;
        if log.put_messages(id, &chunk).await? != after {
            return Err(Fault::Canvas("somebody else writes to it".to_owned()));
        }
    }
    Ok(())
}
