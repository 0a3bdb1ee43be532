//! A canvas as those see it who only look.

use super::*;

pub(super) async fn who_looks_sees_a_canvas_and_changes_nothing<K: Kind>() {
    let kind = K::start();
    let ada = Instance::enter(&kind, "ada").await;
    let board = id("board");
    assert!(ada.log.look(&board).await.expect("an answer").is_none());
    let names = ada.log.names_after("", 10).await;
    assert_eq!(names, Ok(Vec::new()), "nothing was made");

    ada.open(&board).await;
    for n in 1..=3_u8 {
        ada.append(&board, &[n]).await;
    }
    let saved = ada.log.save(&board, &whole(2, b"two"), "2", false).await;
    assert_eq!(saved, Ok(()));
    let opened = ada.open(&board).await;
    let looked = ada.log.look(&board).await.expect("an answer");
    let looked = looked.expect("a canvas");
    assert!(!looked.lost);
    let told = |head: &scumble::log::CanvasHead| {
        let mut head = head.clone();
        head.instances.clear();
        format!("{head:?}")
    };
    assert_eq!(told(&looked.head), told(&opened));
    assert_eq!(ada.all(&board).await.len(), 3);
}
