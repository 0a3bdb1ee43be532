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
    let at = ada.log.restore(&board, &copy, None).await;
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
