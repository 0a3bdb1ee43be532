//! Copies over the engine in memory, of which the engine loses something.

use std::sync::Arc;
use std::time::{Duration, Instant};

use scumble::log::memory::Trouble;
use scumble::log::{Introduction, Listener, Log, Published, StoredSnapshot, Why};
use scumble::protocol::ids::CanvasId;
use serde_json::{Value, json};

use crate::cluster::Options;
use crate::harness::{Client, Relay, Seat, eventually};
use crate::recorder::Recorder;
use crate::replicated::Replicated;

fn object(id: &str) -> Value {
    json!({"type": "object-create", "object": {"id": id, "kind": "box"}})
}

fn seat(relay: &Relay<Replicated>, instance: usize) -> Seat {
    relay.seat_with(instance, "board", Recorder::starting_over())
}

/// Somebody at each of the first instances, who has put an object on the canvas: "a", "b" and so on.
fn authors<const N: usize>(relay: &Relay<Replicated>) -> [(Seat, Client); N] {
    let mut authors = std::array::from_fn(|instance| {
        let seat = seat(relay, instance);
        let client = seat.client(["ada", "ben"][instance]);
        (seat, client)
    });
    for ((seat, client), id) in authors.iter_mut().zip(["a", "b"]) {
        seat.ask(client, &object(id));
    }
    authors
}

/// How often the author was answered for the message of that number.
fn answers(seat: &Seat, client: &Client, number: u64) -> usize {
    let key = (client.author.conn, number);
    seat.recorder
        .look(|seen| seen.ended.get(&key).map_or(0, Vec::len))
}

/// Commits an object in a batch that no replica has.
fn send_unreplicated(relay: &Relay<Replicated>, seat: &Seat, client: &mut Client, id: &str) {
    let outside = link(relay);
    let before = last(relay, &outside);
    relay.cluster().engine.set_replicates(false);
    seat.send(client, &object(id));
    eventually("a batch that no replica has", || {
        (last(relay, &outside) == before + 1).then_some(())
    });
}

/// The last batch of the canvas that the engine has.
fn last(relay: &Relay<Replicated>, outside: &Arc<dyn Log>) -> u64 {
    let board = CanvasId::parse("board").expect("a name");
    let ends = relay.wait_for(outside.ends(std::slice::from_ref(&board)));
    ends.expect("an answer")[0].n.expect("it is there")
}

/// The ids of what is on the canvas.
fn objects(seat: &Seat) -> Vec<String> {
    let objects = seat.snapshot().objects;
    let ids = objects.iter().map(|text| {
        let object: Value = serde_json::from_str(text).expect("an object");
        object["id"].as_str().expect("an id").to_owned()
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    ids
}

/// The answer of the engine is lost, but its batch is heard; and then the batch is lost. Its author was answered, and is told that it
/// is gone: a second answer, to another place, would be one too many.
#[test]
fn what_was_answered_is_not_committed_again_where_it_was_lost() {
    let relay = Relay::<Replicated>::start();
    let engine = &relay.cluster().engine;
    let [(board, mut ada)] = authors(&relay);
    engine.set_replicates(false);
    let forget = 1_000;
    engine.set_trouble(Trouble {
        forget,
        ..Trouble::default()
    });
    board.ask(&mut ada, &object("b"));
    engine.fail_over();
    engine.set_trouble(Trouble::default());
    board.send(&mut ada, &object("c"));
    eventually("what is left", || {
        (objects(&board) == ["a", "c"]).then_some(())
    });
    assert_eq!(answers(&board, &ada, 2), 1);
}

/// Whoever comes to a canvas whose keys are gone waits until those put it back who have it.
#[test]
fn a_canvas_that_is_gone_is_not_begun_anew_beside_a_copy() {
    let relay = Relay::<Replicated>::start();
    let [(here, mut ada)] = authors(&relay);
    relay.cluster().engine.lose("board", true);
    let there = seat(&relay, 1);
    assert_eq!(objects(&there), ["a"]);
    here.send(&mut ada, &object("b"));
    eventually("both see both", || {
        let see = |seat| objects(seat) == ["a", "b"];
        (see(&here) && see(&there)).then_some(())
    });
}

/// A process that lags finds the keys gone first. What the others were told is there all the same.
#[test]
fn a_copy_that_lags_is_not_what_is_put_back() {
    let relay = Relay::<Replicated>::start();
    let engine = &relay.cluster().engine;
    let [(here, mut ada), (there, mut ben)] = authors(&relay);
    engine.hold_back("instance-2", true);
    here.ask(&mut ada, &object("c"));
    engine.lose("board", true);
    there.send(&mut ben, &object("d"));
    let third = seat(&relay, 2);
    let found = objects(&third);
    assert!(
        found.starts_with(&["a".to_owned(), "b".to_owned(), "c".to_owned()]),
        "{found:?}"
    );
    engine.hold_back("instance-2", false);
    eventually("all of it", || (objects(&third).len() == 4).then_some(()));
}

/// A process that has missed a batch finds the keys gone, and the one that has all is slow. It is waited for: what was
/// answered must not go back to an older copy.
#[test]
fn a_copy_that_lacks_something_waits_for_one_that_has_it_and_is_slow() {
    let relay = Relay::<Replicated>::start();
    let engine = &relay.cluster().engine;
    let [(here, mut ada), (there, mut ben)] = authors(&relay);
    engine.hold_back("instance-2", true);
    here.ask(&mut ada, &object("c"));
    engine.drop_held("instance-2");
    here.ask(&mut ada, &object("d"));
    engine.cut_off("instance-1", true);
    engine.lose("board", true);
    engine.hold_back("instance-2", false);
    there.send(&mut ben, &object("e"));
    let since = Instant::now();
    eventually("it had more time than it takes to put a copy back", || {
        (since.elapsed() > Duration::from_secs(1)).then_some(())
    });
    engine.cut_off("instance-1", false);
    eventually("all of it", || {
        let all = |seat| objects(seat) == ["a", "b", "c", "d", "e"];
        (all(&here) && all(&there)).then_some(())
    });
}

/// Whoever comes back and finds fewer batches than it has, in the same era, has another canvas.
#[test]
fn a_canvas_that_was_begun_anew_meanwhile_is_read_anew() {
    let relay = Relay::<Replicated>::start();
    let engine = &relay.cluster().engine;
    let [(here, mut ada)] = authors(&relay);
    for id in ["b", "c", "d"] {
        here.ask(&mut ada, &object(id));
    }
    engine.cut_off("instance-1", true);
    engine.lose("board", false);
    let there = seat(&relay, 1);
    let mut ben = there.client("ben");
    there.ask(&mut ben, &object("x"));
    engine.cut_off("instance-1", false);
    eventually("the other canvas", || {
        (objects(&here) == ["x"]).then_some(())
    });
}

/// A batch is there and was not told yet, since no replica has it; then the canvas is removed, and somebody puts it
/// back who has never heard of that batch. It is not told late, as if it were there: it is committed again.
#[test]
fn what_was_not_told_when_the_canvas_was_put_back_is_committed_again() {
    let relay = Relay::<Replicated>::start_with(&Options {
        wait_replicas: 1,
        ..Options::default()
    });
    let engine = &relay.cluster().engine;
    let [(here, mut ada), (there, mut ben)] = authors(&relay);
    send_unreplicated(&relay, &here, &mut ada, "c");
    engine.lose("board", true);
    let third = seat(&relay, 2);
    assert_eq!(objects(&third), ["a", "b"], "nobody else was told of more");
    engine.set_replicates(true);
    there.ask(&mut ben, &object("d"));
    eventually("all of it, everywhere", || {
        let see = |seat| objects(seat) == ["a", "b", "c", "d"];
        (see(&here) && see(&there) && see(&third)).then_some(())
    });
    assert_eq!(answers(&here, &ada, 2), 1);
}

/// The link breaks while a batch waits for a replica. Whoever reads it then has not been told that a replica has it.
#[test]
fn what_no_replica_has_is_not_answered_after_the_link_broke() {
    let relay = Relay::<Replicated>::start_with(&Options {
        wait_replicas: 1,
        ..Options::default()
    });
    let engine = &relay.cluster().engine;
    let [(here, mut ada)] = authors(&relay);
    send_unreplicated(&relay, &here, &mut ada, "b");
    engine.break_links();
    // It comes back, and reads what it missed.
    let other = CanvasId::parse("other").expect("a name");
    let opened = here.backplane.open(&other, Arc::new(Recorder::default()));
    relay.wait_for(opened).expect("a canvas");
    std::thread::park_timeout(Duration::from_millis(500));
    assert_eq!(objects(&here), ["a"]);
    engine.set_replicates(true);
    eventually("both", || (objects(&here) == ["a", "b"]).then_some(()));
}

/// Hears nothing.
struct Deaf;

impl Listener for Deaf {
    fn received(&self, _link: u64, _canvas: &str, _published: Published) {}

    fn received_rows(&self, _link: u64, _message: &[u8]) {}

    fn broke(&self, _link: u64, _why: &str) {}
}

/// A link of another instance, which has nothing.
fn link(relay: &Relay<Replicated>) -> Arc<dyn Log> {
    let cluster = relay.cluster();
    let me = Introduction {
        instance_id: "outside".to_owned(),
        ..cluster.introduced.clone().expect("instances")
    };
    let member = cluster.engine.member(me);
    let link = relay.wait_for(member.connect(1, None, Arc::new(Deaf)));
    link.unwrap_or_else(|error| panic!("{error}"))
}

/// Where nothing could be read, nothing is. Who said that it has it would be waited for.
#[test]
fn an_instance_without_a_copy_does_not_say_that_it_has_the_canvas() {
    let relay = Relay::<Replicated>::start();
    let engine = &relay.cluster().engine;
    let other = seat(&relay, 1);
    let broken = CanvasId::parse("broken").expect("a name");
    let outside = link(&relay);
    let nonsense = StoredSnapshot {
        n: 1,
        name: String::new(),
        parts: 0,
        whole: b"nonsense".to_vec(),
    };
    let put = relay.wait_for(outside.restore(&broken, &nonsense, "", Why::Lost));
    put.expect("an answer");
    let opened = other.backplane.open(&broken, Arc::new(Recorder::default()));
    assert!(relay.wait_for(opened).is_err(), "it can't be read");
    let members = relay.wait_for(outside.members()).expect("an answer");
    let named = members
        .iter()
        .find(|it| it.name.as_deref() == Some("instance-2"));
    let number = named.expect("it is there").number;
    let lists_again = |outside: &Arc<dyn Log>| {
        eventually("its list", || {
            let names = relay.wait_for(outside.canvases_of(number));
            let names = names.expect("an answer");
            (!names.is_empty()).then_some(names)
        })
    };

    // The others took it for dead, and it goes on.
    let left = relay.wait_for(outside.leave(number, None));
    left.expect("an answer");
    assert_eq!(lists_again(&outside), ["board"]);

    // It comes back.
    let left = relay.wait_for(outside.leave(number, None));
    left.expect("an answer");
    engine.break_links();
    let outside = link(&relay);
    assert_eq!(lists_again(&outside), ["board"]);
}
