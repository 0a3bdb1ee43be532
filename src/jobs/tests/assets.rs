//! The index of assets: what is there, what it takes, and when it goes.

use std::sync::Arc;

use super::*;
use crate::jobs::assets::{AssetAnswer, AssetOp, AssetQuery, Judge, NewAsset};
use crate::jobs::rows::Asset;

const DAY: i64 = 86_400_000;

fn change(q: &mut Q<'_>, op: AssetOp) -> AssetAnswer {
    match q.run(&Op::Assets(op)) {
        Answer::Assets(told) => told,
        other => panic!("{other:?}"),
    }
}

fn look(q: &mut Q<'_>, query: AssetQuery) -> AssetAnswer {
    match q.0.look(&Query::Assets(query)) {
        Answer::Assets(told) => told,
        other => panic!("{other:?}"),
    }
}

fn hash(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

fn asset(canvas: &str, n: u8, bytes: i64) -> NewAsset {
    NewAsset {
        canvas: canvas.to_owned(),
        sha256: hash(n),
        blob: format!("blob-{canvas}-{n}"),
        kind: "image/png".to_owned(),
        bytes,
        canvas_bytes: 100_000,
        total_bytes: Some(150_000),
        lost: None,
    }
}

fn add(q: &mut Q<'_>, new: NewAsset) -> Result<Asset, Refusal> {
    match q.run(&Op::Assets(AssetOp::Add(Box::new(new)))) {
        Answer::Assets(AssetAnswer::Found(Some(row))) => Ok(row),
        Answer::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn find(q: &mut Q<'_>, canvas: &str, n: u8) -> Option<Asset> {
    let (canvas, sha256) = (canvas.to_owned(), hash(n));
    match look(q, AssetQuery::Find { canvas, sha256 }) {
        AssetAnswer::Found(row) => row,
        other => panic!("{other:?}"),
    }
}

fn totals(q: &mut Q<'_>) -> (i64, i64) {
    match look(q, AssetQuery::Totals) {
        AssetAnswer::Totals { assets, bytes } => (assets, bytes),
        other => panic!("{other:?}"),
    }
}

/// What a canvas was seen at.
fn seen(q: &mut Q<'_>, canvas: &str) -> Option<String> {
    let AssetAnswer::Canvases(all) = look(
        q,
        AssetQuery::Canvases {
            after: String::new(),
        },
    ) else {
        panic!("no canvases");
    };
    let found = all.into_iter().find(|row| row.canvas == canvas);
    found.map(|row| row.seen)
}

/// Judges a canvas of which these are named; gives what went.
fn judge(q: &mut Q<'_>, canvas: &str, at: &str, used: Option<&[u8]>) -> Vec<String> {
    let before = seen(q, canvas).unwrap_or_default();
    judge_after(q, canvas, at, used, before)
}

fn judge_after(
    q: &mut Q<'_>,
    canvas: &str,
    at: &str,
    used: Option<&[u8]>,
    before: String,
) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let judge = Judge {
            canvas: canvas.to_owned(),
            seen: at.to_owned(),
            before: before.clone(),
            used: used.map(|used| Arc::new(used.iter().copied().map(hash).collect())),
            after,
            ttl_ms: DAY,
        };
        let AssetAnswer::Judged { gone, next } = change(q, AssetOp::Judge(judge)) else {
            panic!("no judgement");
        };
        all.extend(gone.into_iter().map(|row| row.blob));
        match next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

#[test]
fn an_asset_stays_while_it_is_named_and_a_day_after() {
    everywhere(|q| {
        add(q, asset("board", 1, 5_000)).unwrap();
        q.wait(DAY - 1);
        assert!(judge(q, "board", "e:1", Some(&[1])).is_empty());
        q.wait(5 * DAY);
        assert!(
            judge(q, "board", "e:1", None).is_empty(),
            "it is named still"
        );
        assert!(
            judge(q, "board", "e:2", Some(&[])).is_empty(),
            "only now it is not"
        );
        q.wait(DAY - 1);
        assert!(judge(q, "board", "e:2", None).is_empty());
        q.wait(1);
        assert_eq!(judge(q, "board", "e:2", None), ["blob-board-1"]);
        assert_eq!((find(q, "board", 1), totals(q)), (None, (0, 0)));
        assert_eq!(
            seen(q, "board"),
            None,
            "a canvas without assets is never looked at"
        );
    });
}

#[test]
fn an_upload_of_the_same_begins_the_day_anew() {
    everywhere(|q| {
        add(q, asset("board", 1, 5_000)).unwrap();
        q.wait(DAY - 1);
        let again = NewAsset {
            blob: "another".to_owned(),
            ..asset("board", 1, 5_000)
        };
        let kept = add(q, again).unwrap();
        assert_eq!(kept.blob, "blob-board-1", "the bytes are there");
        assert_eq!(totals(q), (1, 5_000));
        q.wait(DAY - 1);
        assert!(judge(q, "board", "e:1", Some(&[])).is_empty());
        let refresh = AssetOp::Refresh {
            canvas: "board".to_owned(),
            sha256: hash(1),
        };
        assert!(matches!(change(q, refresh), AssetAnswer::Found(Some(_))));
        q.wait(DAY - 1);
        assert!(judge(q, "board", "e:1", None).is_empty());
        q.wait(1);
        assert_eq!(judge(q, "board", "e:1", None).len(), 1);
    });
}

#[test]
fn bytes_that_are_lost_are_replaced_by_an_upload() {
    everywhere(|q| {
        add(q, asset("board", 1, 5_000)).unwrap();
        let again = NewAsset {
            blob: "another".to_owned(),
            lost: Some("blob-board-1".to_owned()),
            ..asset("board", 1, 5_000)
        };
        assert_eq!(add(q, again).unwrap().blob, "another");
        assert_eq!(totals(q), (1, 5_000));
    });
}

#[test]
fn a_quota_is_of_a_canvas_and_of_all_and_small_ones_count_too() {
    everywhere(|q| {
        add(q, asset("board", 1, 96_000)).unwrap();
        let refusal = add(q, asset("board", 2, 1)).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (413, "too-large"));
        assert!(
            refusal.message.contains("--max-canvas-asset-bytes"),
            "{refusal:?}"
        );
        add(q, asset("other", 2, 50_000)).unwrap();
        let refusal = add(q, asset("third", 3, 1)).unwrap_err();
        assert!(
            refusal.message.contains("--max-total-asset-bytes"),
            "{refusal:?}"
        );
        assert_eq!(totals(q), (2, 146_000), "what is refused takes nothing");
        assert_eq!(find(q, "third", 3), None);
        assert_eq!(
            (find(q, "other", 1), find(q, "board", 2)),
            (None, None),
            "each has its own"
        );
    });
}

#[test]
fn what_comes_while_a_canvas_is_looked_at_is_looked_at_again() {
    everywhere(|q| {
        add(q, asset("board", 1, 1)).unwrap();
        let before = seen(q, "board").unwrap();
        // The object that names it was there at this head already.
        add(q, asset("board", 0, 1)).unwrap();
        judge_after(q, "board", "e:1", Some(&[1]), before);
        assert_ne!(seen(q, "board").unwrap(), "e:1");
        judge(q, "board", "e:1", Some(&[0, 1]));
        assert_eq!(seen(q, "board").unwrap(), "e:1");
        assert_eq!(find(q, "board", 0).unwrap().unused_since, None);
        q.wait(3 * DAY);
        assert!(judge(q, "board", "e:1", None).is_empty());
    });
}

#[test]
fn a_canvas_is_judged_in_pieces() {
    everywhere(|q| {
        let limits = |new| NewAsset {
            canvas_bytes: 1 << 40,
            total_bytes: None,
            ..new
        };
        for n in 0..3 * crate::limits::ASSETS_AT_ONCE {
            let sha256 = format!("{n:064x}");
            let new = NewAsset {
                sha256,
                blob: format!("blob-{n}"),
                ..asset("board", 0, 1)
            };
            add(q, limits(new)).unwrap();
        }
        q.wait(DAY);
        let gone = judge(q, "board", "e:1", Some(&[]));
        assert_eq!(
            (gone.len(), totals(q)),
            (3 * crate::limits::ASSETS_AT_ONCE, (0, 0))
        );
    });
}

#[test]
fn one_process_sweeps_at_a_time() {
    everywhere(|q| {
        let lease = |holder: &str| AssetOp::Lease {
            holder: holder.to_owned(),
            ms: 1_000,
        };
        assert_eq!(change(q, lease("one")), AssetAnswer::Leased(true));
        assert_eq!(change(q, lease("two")), AssetAnswer::Leased(false));
        q.wait(999);
        assert_eq!(change(q, lease("one")), AssetAnswer::Leased(true));
        q.wait(999);
        assert_eq!(change(q, lease("two")), AssetAnswer::Leased(false));
        q.wait(1);
        assert_eq!(change(q, lease("two")), AssetAnswer::Leased(true));
    });
}

#[test]
fn a_relay_has_one_name_and_one_key() {
    everywhere(|q| {
        let first = change(q, AssetOp::Begin);
        let AssetAnswer::Begun { relay, link_key } = &first else {
            panic!("{first:?}")
        };
        assert_eq!((relay.len(), link_key.len()), (16, 32));
        add(q, asset("board", 1, 1)).unwrap();
        assert_eq!(change(q, AssetOp::Begin), first);
    });
}

#[test]
fn bytes_without_a_row_are_nobodys() {
    everywhere(|q| {
        add(q, asset("board", 1, 1)).unwrap();
        let file = |canvas: &str, n: u8, blob: &str| (canvas.to_owned(), hash(n), blob.to_owned());
        let files = vec![
            file("board", 1, "blob-board-1"),
            file("board", 1, "an older one"),
            file("other", 1, "blob-board-1"),
        ];
        let orphans = look(q, AssetQuery::Orphans(Arc::new(files)));
        let expected = ["an older one", "blob-board-1"].map(str::to_owned);
        assert_eq!(orphans, AssetAnswer::Orphans(expected.to_vec()));
    });
}
