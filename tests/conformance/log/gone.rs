//! A canvas whose keys somebody removed, though an instance has it.

use super::*;

fn opening() -> Opening {
    Opening {
        epoch: Epoch::random(),
        anew: b"anew".to_vec(),
    }
}

pub(super) async fn what_another_instance_has_is_not_begun_anew<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let ben = Instance::enter(&kind, "ben").await;
    let (board, other) = (id("board"), id("other"));
    ada.open(&board).await;
    ada.open(&other).await;
    ada.subscribe(&board).await;
    ada.append(&board, b"x").await;
    kind.lose("board");
    kind.lose("other");
    let opened = ben.log.open(&board, opening(), true).await;
    assert!(matches!(opened, Err(Fault::NotNow(_))), "{opened:?}");
    let gone = |word: &str| Published::Gone(word.to_owned());
    ada.received.until(|it| *it == gone("")).await;
    let said = ada.log.report_gone(&board, "a word").await;
    said.expect("an answer");
    ada.received.until(|it| *it == gone("a word")).await;
    let looked = ada.log.open(&board, opening(), false).await;
    assert!(matches!(looked, Err(Fault::Canvas(_))), "{looked:?}");
    let copy = whole(1, b"all of it");
    let at = ada.log.restore(&board, &copy, "", Why::Lost).await;
    assert!(at.expect("an answer").is_some(), "it was not put back");
    assert_eq!(&ben.open(&board).await.whole[..], b"all of it");

    // An instance that says that it has nothing of a canvas is not waited for.
    ada.log.holds_not(&other).await.expect("an answer");
    assert_eq!(ben.open(&other).await.n, 0);
}

pub(super) async fn for_a_dead_instance_nobody_waits<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let ben = Instance::enter(&kind, "ben").await;
    let board = id("board");
    ada.open(&board).await;
    kind.lose("board");
    kind.forget_beats(ada.log.number(), 9_000);
    let opened = ben.log.open(&board, opening(), true).await;
    assert!(matches!(opened, Err(Fault::NotNow(_))), "{opened:?}");
    kind.forget_beats(ada.log.number(), 1_001);
    assert_eq!(ben.open(&board).await.n, 0);
}

/// In one era nothing is lost but by hand: who has more of a canvas than there is puts it back first.
pub(super) async fn what_is_behind_a_copy_takes_nothing<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    ada.open(&board).await;
    ada.append(&board, b"x").await;
    let told_at = |n| {
        let mut piece = piece(&board, b"y");
        piece.asks.counts = Some(Counts {
            n,
            ..Counts::default()
        });
        piece
    };
    let ends = ada.log.append(&[&told_at(2)], PLAIN).await;
    let (_, ends) = ends.expect("an answer");
    assert!(matches!(ends[..], [Appended::Refused(_)]), "{ends:?}");
    let ends = ada.log.append(&[&told_at(1)], PLAIN).await;
    let (_, ends) = ends.expect("an answer");
    assert!(matches!(ends[..], [Appended::At(2, ..)]), "{ends:?}");

    let restored = async |n, why| {
        let copy = whole(n, b"all of it");
        let at = ada.log.restore(&board, &copy, "", why).await;
        at.expect("an answer")
    };
    assert_eq!(restored(9, Why::Lost).await, None);
    assert_eq!(restored(2, Why::Behind).await, None, "it is as far");
    let at = restored(9, Why::Behind).await.expect("it is put back");
    assert!(at > 1_000, "{at}");
    assert_eq!(restored(9, Why::Behind).await, None, "it was put back");
}

/// Somebody put another canvas in the place of one: whoever has a copy of that one commits nothing to it, and puts its own back.
pub(super) async fn another_canvas_in_its_place_takes_nothing<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    let first = ada.open(&board).await.epoch;
    ada.append(&board, b"x").await;
    let of = |epoch: &str| {
        let mut piece = piece(&board, b"y");
        piece.asks.epoch = Some(epoch.into());
        piece
    };
    let ends = ada.log.append(&[&of("another")], PLAIN).await;
    let (_, ends) = ends.expect("an answer");
    assert_eq!(ends, [Appended::Refused(ANOTHER_CANVAS.to_owned())]);
    for known in [&*first, ""] {
        let ends = ada.log.append(&[&of(known)], PLAIN).await;
        let (_, ends) = ends.expect("an answer");
        assert!(matches!(ends[..], [Appended::At(..)]), "{ends:?}");
    }

    let end = async || {
        let ends = ada.log.ends(std::slice::from_ref(&board)).await;
        ends.expect("an answer").remove(0)
    };
    let copy = whole(1, b"all of it");
    let restored = async |epoch| {
        let at = ada.log.restore(&board, &copy, epoch, Why::Lost).await;
        at.expect("an answer")
    };
    assert!(end().await.is_of(&first));
    assert_eq!(restored(&first).await, None, "it is the same");
    let at = restored("another").await.expect("it is put back");
    assert!(at > 1_000, "{at}");
    assert!(!end().await.is_of(&first));
    assert_eq!(end().await.replaced.as_deref(), Some(&*first));
    assert_eq!(restored("another").await, None, "it was put back");
    assert_eq!(ada.open(&board).await.epoch, "another");
}

/// So an instance finds out that somebody removed its list.
pub(super) async fn a_heartbeat_says_how_many_canvases_the_instance_has<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let held = async || ada.log.beat().await.expect("an answer").held;
    assert_eq!(held().await, 0);
    ada.open(&id("board")).await;
    ada.open(&id("other")).await;
    assert_eq!(held().await, 2);
    ada.log.holds_not(&id("other")).await.expect("an answer");
    assert_eq!(held().await, 1);
}

/// What was appended and not published is published as long as it is there.
pub(super) async fn what_is_gone_is_not_published_late<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let (board, other) = (id("board"), id("other"));
    for canvas in [&board, &other] {
        ada.open(canvas).await;
        ada.subscribe(canvas).await;
        ada.append(canvas, b"x").await;
    }
    let pieces = [piece(&board, b"y"), piece(&other, b"z")];
    let pieces: Vec<&Piece> = pieces.iter().collect();
    let quietly = How {
        publish: false,
        ..PLAIN
    };
    let (_, ends) = ada.log.append(&pieces, quietly).await.expect("an answer");
    kind.lose("board");
    let copy = whole(1, b"x");
    let at = ada.log.restore(&board, &copy, "", Why::Lost).await;
    assert!(at.expect("an answer").is_some(), "it was not put back");
    let told = ada.log.publish(&pieces, &ends).await;
    assert_eq!(told, Ok(vec![false, true]));
    let of = |bytes: &'static [u8]| move |it: &Published| matches!(it, Published::Batch(batch) if batch.bytes == bytes);
    ada.received.until(of(b"z")).await;
    let batches = ada.received.batches();
    assert!(
        batches.iter().all(|batch| batch.bytes != b"y"),
        "{batches:?}"
    );
}
