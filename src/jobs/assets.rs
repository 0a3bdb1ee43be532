//! The index of assets: which files a canvas has, how much room they take, and since when no object names them.
//!
//! It is in the tables of the work queue, because they have transactions on every store. The bytes are elsewhere
//! (`crate::assets`), each blob under a name that is never given twice. So every row has its bytes. Bytes without a row
//! are the rest of an upload or a deletion that did not end.

use std::collections::HashSet;
use std::sync::Arc;

use super::op::{Answer, Refusal};
use super::rows::{Asset, AssetCanvas, AssetTotals};
use super::store::Store;
use super::work::{Res, Work};
use crate::limits::{ASSET_CHARGE, ASSETS_AT_ONCE};

/// Something to be done with the index.
#[derive(Debug, Clone)]
pub(crate) enum AssetOp {
    /// Gives the relay a name and a key, if it has none.
    Begin,
    /// The bytes of an asset are kept: from here on it is there.
    Add(Box<NewAsset>),
    /// Somebody has uploaded again what is there already.
    Refresh { canvas: String, sha256: String },
    /// `holder` sweeps for so long, unless somebody else does.
    Lease { holder: String, ms: i64 },
    /// What is not named goes, if that is long enough ago.
    Judge(Judge),
}

/// An asset, and what there may be.
#[derive(Debug, Clone)]
pub(crate) struct NewAsset {
    pub(crate) canvas: String,
    pub(crate) sha256: String,
    pub(crate) blob: String,
    pub(crate) kind: String,
    pub(crate) bytes: i64,
    pub(crate) canvas_bytes: i64,
    /// `None`: no limit.
    pub(crate) total_bytes: Option<i64>,
    /// Bytes that are known to be lost: a row that names them gets the new ones.
    pub(crate) lost: Option<String>,
}

/// Which assets of a canvas are named, and how long the others stay.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    pub(crate) canvas: String,
    /// The canvas's head at which that was so.
    pub(crate) seen: String,
    /// What was noted of the canvas when the look began.
    pub(crate) before: String,
    /// Those that are named; `None`: as it was at the last look.
    pub(crate) used: Option<Arc<HashSet<String>>>,
    /// Begins behind that one.
    pub(crate) after: String,
    pub(crate) ttl_ms: i64,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub(crate) enum AssetQuery {
    Find {
        canvas: String,
        sha256: String,
    },
    Totals,
    /// Canvases that have assets, behind that name.
    Canvases {
        after: String,
    },
    /// Which of these bytes no row names: `(canvas, sha256, blob)`.
    Orphans(Arc<Vec<(String, String, String)>>),
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AssetAnswer {
    Begun {
        relay: String,
        link_key: Vec<u8>,
    },
    /// As it is kept; `None`: there is none.
    Found(Option<Asset>),
    Leased(bool),
    Judged {
        /// Those that went.
        gone: Vec<Asset>,
        /// Where to go on.
        next: Option<String>,
    },
    Canvases(Vec<AssetCanvas>),
    Totals {
        assets: i64,
        bytes: i64,
    },
    /// Their names.
    Orphans(Vec<String>),
}

pub(crate) fn apply<S: Store>(w: &mut Work<'_, S>, op: &AssetOp) -> Res<Answer, S> {
    let told = match op {
        AssetOp::Begin => begin(w)?,
        AssetOp::Add(new) => match add(w, new)? {
            Ok(row) => AssetAnswer::Found(Some(row)),
            Err(refusal) => return Ok(Answer::Refused(refusal)),
        },
        AssetOp::Refresh { canvas, sha256 } => AssetAnswer::Found(refresh(w, canvas, sha256)?),
        AssetOp::Lease { holder, ms } => AssetAnswer::Leased(lease(w, holder, *ms)?),
        AssetOp::Judge(judge) => judged(w, judge)?,
    };
    Ok(Answer::Assets(told))
}

pub(crate) fn answer<S: Store>(w: &Work<'_, S>, query: &AssetQuery) -> Res<AssetAnswer, S> {
    Ok(match query {
        AssetQuery::Find { canvas, sha256 } => {
            AssetAnswer::Found(w.store.get(&(canvas.clone(), sha256.clone()))?)
        }
        AssetQuery::Totals => {
            let totals: Option<AssetTotals> = w.store.get(&(0,))?;
            let (assets, bytes) = totals.map_or((0, 0), |totals| (totals.assets, totals.bytes));
            AssetAnswer::Totals { assets, bytes }
        }
        AssetQuery::Canvases { after } => {
            let from = (behind(after),);
            AssetAnswer::Canvases(w.store.scan(&from, &(LAST.to_owned(),), ASSETS_AT_ONCE)?)
        }
        AssetQuery::Orphans(blobs) => {
            let mut orphans = Vec::new();
            for (canvas, sha256, blob) in blobs.iter() {
                let row: Option<Asset> = w.store.get(&(canvas.clone(), sha256.clone()))?;
                if row.is_none_or(|row| row.blob != *blob) {
                    orphans.push(blob.clone());
                }
            }
            AssetAnswer::Orphans(orphans)
        }
    })
}

/// Greater than every name of a canvas and every hash.
const LAST: &str = "~";

/// The least text that is greater.
fn behind(text: &str) -> String {
    format!("{text}\u{1}")
}

fn totals<S: Store>(w: &mut Work<'_, S>) -> Res<AssetTotals, S> {
    if let Some(totals) = w.store.get(&(0,))? {
        return Ok(totals);
    }
    let link_key = [(w.random)(), (w.random)()].concat();
    let relay = (w.random)();
    Ok(AssetTotals {
        zero: 0,
        assets: 0,
        bytes: 0,
        relay: relay
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        link_key,
        holder: String::new(),
        held_until: 0,
    })
}

fn begin<S: Store>(w: &mut Work<'_, S>) -> Res<AssetAnswer, S> {
    let totals = totals(w)?;
    w.store.put(&totals)?;
    let relay = totals.relay;
    let link_key = totals.link_key;
    Ok(AssetAnswer::Begun { relay, link_key })
}

/// What it counts as: a file takes a block, however small it is.
fn charge(bytes: i64) -> i64 {
    bytes.max(ASSET_CHARGE)
}

fn add<S: Store>(w: &mut Work<'_, S>, new: &NewAsset) -> Res<Result<Asset, Refusal>, S> {
    let canvas = &new.canvas;
    let sha256 = &new.sha256;
    if let Some(mut row) = refresh(w, canvas, sha256)? {
        if new.lost.as_ref() == Some(&row.blob) {
            row.blob.clone_from(&new.blob);
            w.store.put(&row)?;
        }
        return Ok(Ok(row));
    }
    let before: Option<AssetCanvas> = w.store.get(&(canvas.clone(),))?;
    let mut of_canvas = before.unwrap_or_else(|| AssetCanvas {
        canvas: canvas.clone(),
        assets: 0,
        bytes: 0,
        seen: String::new(),
    });
    let mut totals = totals(w)?;
    let charge = charge(new.bytes);
    let full = |flag: &str, most: i64, has: i64| {
        let message = format!(
            "it would take {charge} bytes, and {has} of {most} are taken (--{flag}); assets that no object names go after --asset-ttl"
        );
        Refusal::new(413, "too-large", message)
    };
    if of_canvas.bytes + charge > new.canvas_bytes {
        let refusal = full("max-canvas-asset-bytes", new.canvas_bytes, of_canvas.bytes);
        return Ok(Err(refusal));
    }
    if let Some(most) = new.total_bytes
        && totals.bytes + charge > most
    {
        return Ok(Err(full("max-total-asset-bytes", most, totals.bytes)));
    }
    let row = Asset {
        canvas: canvas.clone(),
        sha256: sha256.clone(),
        blob: new.blob.clone(),
        kind: new.kind.clone(),
        bytes: new.bytes,
        unused_since: Some(w.now),
        added_at: w.now,
    };
    of_canvas.assets += 1;
    of_canvas.bytes += charge;
    // An object may have named it before it came: the next look must not be left out.
    of_canvas.seen = format!("+{}", new.blob);
    totals.assets += 1;
    totals.bytes += charge;
    w.store.put(&row)?;
    w.store.put(&of_canvas)?;
    w.store.put(&totals)?;
    Ok(Ok(row))
}

fn refresh<S: Store>(w: &mut Work<'_, S>, canvas: &str, sha256: &str) -> Res<Option<Asset>, S> {
    let found: Option<Asset> = w.store.get(&(canvas.to_owned(), sha256.to_owned()))?;
    let Some(mut row) = found else {
        return Ok(None);
    };
    if row.unused_since.is_some() {
        row.unused_since = Some(w.now);
        w.store.put(&row)?;
    }
    Ok(Some(row))
}

fn lease<S: Store>(w: &mut Work<'_, S>, holder: &str, ms: i64) -> Res<bool, S> {
    let mut totals = totals(w)?;
    if totals.holder != holder && totals.held_until > w.now {
        return Ok(false);
    }
    holder.clone_into(&mut totals.holder);
    totals.held_until = w.now + ms;
    w.store.put(&totals)?;
    Ok(true)
}

fn judged<S: Store>(w: &mut Work<'_, S>, judge: &Judge) -> Res<AssetAnswer, S> {
    let canvas = &judge.canvas;
    let from = (canvas.clone(), behind(&judge.after));
    let to = (canvas.clone(), LAST.to_owned());
    let rows: Vec<Asset> = w.store.scan(&from, &to, ASSETS_AT_ONCE)?;
    let next = (rows.len() == ASSETS_AT_ONCE)
        .then(|| rows.last().map(|row| row.sha256.clone()))
        .flatten();
    let mut gone = Vec::new();
    for mut row in rows {
        let used = match &judge.used {
            Some(used) => used.contains(&row.sha256),
            None => row.unused_since.is_none(),
        };
        match row.unused_since {
            Some(_) if used => row.unused_since = None,
            None if !used => row.unused_since = Some(w.now),
            Some(since) if since <= w.now - judge.ttl_ms => {
                w.store
                    .delete::<Asset>(&(canvas.clone(), row.sha256.clone()))?;
                gone.push(row);
                continue;
            }
            _ => continue,
        }
        w.store.put(&row)?;
    }
    take_off(w, judge, &gone, next.is_none())?;
    Ok(AssetAnswer::Judged { gone, next })
}

/// Counts what went. `all`: the canvas was looked through to its end.
fn take_off<S: Store>(w: &mut Work<'_, S>, judge: &Judge, gone: &[Asset], all: bool) -> Res<(), S> {
    let found: Option<AssetCanvas> = w.store.get(&(judge.canvas.clone(),))?;
    let Some(mut of_canvas) = found else {
        return Ok(());
    };
    let before = of_canvas.clone();
    let (assets, bytes) = gone.iter().fold((0, 0), |(assets, bytes), row| {
        (assets + 1, bytes + charge(row.bytes))
    });
    of_canvas.assets -= assets;
    of_canvas.bytes -= bytes;
    // What came meanwhile may not have been looked at.
    if all && of_canvas.seen == judge.before {
        of_canvas.seen.clone_from(&judge.seen);
    }
    if of_canvas.assets <= 0 {
        w.store.delete::<AssetCanvas>(&(judge.canvas.clone(),))?;
    } else if of_canvas != before {
        w.store.put(&of_canvas)?;
    }
    if assets > 0 {
        let mut totals = totals(w)?;
        totals.assets -= assets;
        totals.bytes -= bytes;
        w.store.put(&totals)?;
    }
    Ok(())
}
