//! What an engine counts, and what it refuses for that.

use scumble::limits::{Logs, Quotas};
use scumble::log::{Asks, Counts, Parting, Summary, Totals};

use super::*;

const QUOTAS: Quotas = Quotas {
    canvas_log_bytes: 1_000,
    log_bytes: 2_500,
    total_bytes: Some(100_000),
    canvases: None,
    idle_ttl: None,
};

async fn enter(kind: &impl Kind, quotas: Quotas) -> Instance {
    let me = Introduction {
        quotas,
        message_ttl_ms: 300,
        ..introduction("ada")
    };
    Instance::introduced(kind, me).await
}

async fn ask(ada: &Instance, canvas: &CanvasId, asks: Asks) -> Appended {
    let piece = Piece {
        asks,
        ..piece(canvas, b"x")
    };
    let (_, ends) = ada.log.append(&[&piece], PLAIN).await.expect("an answer");
    ends.into_iter().next().expect("an end")
}

fn message(charge: u64) -> Asks {
    Asks {
        charge,
        last: charge,
        within_logs: true,
        within_total: true,
        uses: true,
        ..Asks::default()
    }
}

pub fn parting(n: u64, left: Left, counts: Counts) -> Parting {
    Parting {
        n,
        left,
        away_until_ms: None,
        log_ends_ms: None,
        counts,
    }
}

async fn totals(ada: &Instance) -> (u64, u64, u64) {
    let Totals {
        log,
        stored,
        canvases,
    } = ada.log.totals().await.expect("an answer");
    (log, stored, canvases)
}

async fn names(ada: &Instance) -> Vec<String> {
    let names = ada.log.names_after("", 100).await;
    names.expect("names")
}

async fn until<T: PartialEq + std::fmt::Debug>(wanted: T, look: impl AsyncFn() -> T) {
    let began = Instant::now();
    loop {
        let found = look().await;
        if found == wanted {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{found:?} instead of {wanted:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whatever is asked for: an engine refuses what [`Quotas::full_log`] refuses, and counts what it takes.
pub async fn a_log_has_room_by_the_rule_of_quotas<K: Kind>() {
    let kind = K::start();
    let ada = enter(&kind, QUOTAS).await;
    let boards = [id("a"), id("b"), id("c")];
    for board in &boards {
        ada.open(board).await;
    }
    let (mut logs, mut refused, mut seed) = ([0_u64; 3], 0, 11_u64);
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for _ in 0..300 {
        let which = usize::try_from(random(3)).expect("small");
        let last = 1 + random(400);
        let before = if random(3) == 0 { random(300) } else { 0 };
        let total: u64 = logs.iter().sum();
        let at_last = Logs {
            canvas: logs[which] + before,
            total: total + before,
        };
        let asks = Asks {
            last,
            ..message(before + last)
        };
        let end = ask(&ada, &boards[which], asks).await;
        if QUOTAS.full_log(at_last, last).is_some() {
            let full = Logs {
                canvas: logs[which],
                total,
            };
            assert_eq!(end, Appended::LogFull(full), "{before} and {last}");
            refused += 1;
            if random(4) == 0 {
                // A copy says that all has expired.
                let n = ada.all(&boards[which]).await.len() as u64;
                let head = ada.open(&boards[which]).await;
                let counts = Counts {
                    n,
                    charged: head.charged,
                    grown: head.grown,
                    ..Counts::default()
                };
                let tick = Asks {
                    counts: Some(counts),
                    ..Asks::default()
                };
                ask(&ada, &boards[which], tick).await;
                logs[which] = 0;
            }
        } else {
            assert!(
                matches!(end, Appended::At(..)),
                "{end:?}: {before} and {last}"
            );
            logs[which] += before + last;
        }
        assert_eq!(totals(&ada).await, (logs.iter().sum(), 0, 3));
    }
    assert!((50..250).contains(&refused), "{refused}");
}

pub async fn what_is_charged_since_a_count_comes_on_top<K: Kind>() {
    let kind = K::start();
    let ada = enter(&kind, QUOTAS).await;
    let board = id("board");
    ada.open(&board).await;
    for charge in [300, 200, 100] {
        let asks = Asks {
            growth: charge * 10,
            ..message(charge)
        };
        assert!(matches!(ask(&ada, &board, asks).await, Appended::At(..)));
    }
    assert_eq!(totals(&ada).await, (600, 6_000, 1));
    // At batch 2 a message had expired, and objects were smaller; the third is not in it.
    let counts = |n, log, stored, charged| Counts {
        n,
        log,
        stored,
        charged,
        grown: charged * 10,
    };
    let note = |counts: Counts| Summary {
        canvas: board.clone(),
        n: counts.n,
        text: format!("{} what is on it", counts.n),
        counts,
    };
    let second = note(counts(2, 200, 70, 500));
    ada.log.put_summaries(&[second]).await.expect("an answer");
    assert_eq!(totals(&ada).await, (300, 1_070, 1));
    // What was known before that takes nothing back.
    let first = note(counts(1, 300, 3_000, 300));
    ada.log.put_summaries(&[first]).await.expect("an answer");
    assert_eq!(totals(&ada).await, (300, 1_070, 1));
    let taken = ada.log.taken(&[board.clone(), id("none")]).await;
    let taken = taken.expect("an answer");
    let of_it = taken[0].as_ref().expect("it is there");
    assert_eq!((of_it.log, of_it.stored), (300, 1_070));
    assert!(of_it.used_at_ms > 0 && taken[1].is_none());
    // Who opens it goes on from all that was asked for.
    let head = ada.open(&board).await;
    assert_eq!((head.charged, head.grown), (600, 6_000));
}

pub async fn what_may_grow_too_much_is_told_how_much_is_left<K: Kind>() {
    let kind = K::start();
    let ada = enter(&kind, QUOTAS).await;
    let board = id("board");
    ada.open(&board).await;
    let grows = |growth, within_total| Asks {
        growth,
        within_total,
        ..message(100)
    };
    let end = ask(&ada, &board, grows(99_000, true)).await;
    assert!(matches!(end, Appended::At(..)), "{end:?}");
    let end = ask(&ada, &board, grows(901, true)).await;
    assert_eq!(end, Appended::Tight(900));
    assert_eq!(totals(&ada).await, (100, 99_000, 1));
    for asks in [grows(900, true), grows(5_000, false), grows(0, true)] {
        let end = ask(&ada, &board, asks).await;
        assert!(matches!(end, Appended::At(..)), "{end:?}");
    }
    let end = ask(&ada, &board, grows(1, true)).await;
    assert_eq!(end, Appended::Tight(-5_300));
}

pub async fn one_canvas_too_many_is_not_made<K: Kind>() {
    let kind = K::start();
    let quotas = Quotas {
        canvases: Some(2),
        ..QUOTAS
    };
    let ada = enter(&kind, quotas).await;
    let opening = || Opening {
        epoch: Epoch::random(),
        anew: b"anew".to_vec(),
    };
    for name in ["one", "two", "one"] {
        ada.open(&id(name)).await;
    }
    let third = ada.log.open(&id("three"), opening(), true).await;
    assert!(matches!(third, Err(Fault::Many(2, _))), "{third:?}");
    let held = ada.log.canvases_of(ada.log.number()).await.expect("names");
    assert!(!held.contains(&"three".to_owned()), "{held:?}");
    assert_eq!(names(&ada).await, ["one", "two"]);
    let part = parting(0, Left::Nothing, Counts::default());
    ada.log.release(&id("one"), part).await.expect("an answer");
    ada.open(&id("three")).await;
    assert_eq!(names(&ada).await, ["three", "two"]);
    assert_eq!(
        ada.log.names_after("three", 9).await,
        Ok(vec!["two".to_owned()])
    );
}

/// A canvas that nobody has: its messages expire, it goes if nobody wrote to it, and it is told if nobody used it.
pub async fn what_is_over_ends_where_nobody_has_it<K: Kind>() {
    let kind = K::start();
    let quotas = Quotas {
        idle_ttl: Some(Duration::from_millis(2_000)),
        ..QUOTAS
    };
    let ada = enter(&kind, quotas).await;
    let (held, left, looked_at) = (id("held"), id("left"), id("looked-at"));
    for board in [&held, &left, &looked_at] {
        ada.open(board).await;
    }
    for board in [&held, &left] {
        ask(&ada, board, message(500)).await;
    }
    ask(&ada, &looked_at, message(0)).await;
    let counts = Counts {
        n: 1,
        log: 500,
        stored: 7,
        charged: 500,
        grown: 0,
    };
    let much = parting(1, Left::Much, counts);
    ada.log.release(&left, much).await.expect("an answer");
    // Whoever had it died, and could not say what is left.
    let died = parting(9, Left::Much, Counts::default());
    ada.log.release(&looked_at, died).await.expect("an answer");
    assert_eq!(totals(&ada).await, (1_000, 7, 3));
    let unused = async || ada.log.end_due().await.expect("an answer");
    assert_eq!(unused().await, Vec::<String>::new());
    assert_eq!(names(&ada).await, ["held", "left"]);
    until((500, 7, 2), async || {
        assert_eq!(unused().await, Vec::<String>::new(), "it was used just now");
        totals(&ada).await
    })
    .await;
    until(vec!["left".to_owned()], unused).await;
    // To one instance only.
    assert_eq!(unused().await, Vec::<String>::new());
    // Somebody has come meanwhile: it is not emptied.
    let head = ada.open(&left).await;
    let empties = |at| Asks {
        empties: true,
        idle_at: Some(at),
        ..Asks::default()
    };
    assert_eq!(ask(&ada, &left, empties(head.n + 1)).await, Appended::InUse);
    ask(&ada, &left, message(10)).await;
    assert_eq!(ask(&ada, &left, empties(head.n + 1)).await, Appended::InUse);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let end = ask(&ada, &left, empties(head.n + 1)).await;
    assert!(matches!(end, Appended::At(..)), "{end:?}");
    // It is remembered, and not emptied again.
    let end = ask(&ada, &left, empties(head.n + 2)).await;
    assert_eq!(end, Appended::InUse);
}
