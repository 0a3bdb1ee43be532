//! Tests of the copy of the presence table.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::limits::CURSOR_AGE;
use crate::protocol::frame;
use crate::protocol::ids::InstanceNumber;

fn table(version: u64, members: Vec<Member>) -> PresenceTable {
    PresenceTable { version, members }
}

fn member(conn: u64, away: bool) -> Member {
    Member {
        client: ClientId::parse("client-aa").expect("id"),
        conn: ConnId::new(InstanceNumber(1), conn),
        user: "{}".into(),
        state: None,
        away,
    }
}

fn set(version: u64, member: Member) -> PresenceEvent {
    PresenceEvent {
        version,
        change: PresenceChange::Set(member),
    }
}

fn notices(applied: Applied) -> Vec<String> {
    let Applied::Notices(told) = applied else {
        panic!("{applied:?}")
    };
    told.iter()
        .map(|t| String::from_utf8_lossy(&t.frame[2..]).into_owned())
        .collect()
}

/// What a welcome would say, without anything of the client's own.
fn users(roster: &mut Roster) -> String {
    let nobody = ClientId::parse("nobody-here").expect("id");
    let (who, now) = ((&nobody, None), roster.now);
    let (users, since) = roster
        .lists
        .welcome(&roster.present, who, Encoding::Json, now);
    assert!(since.is_empty());
    String::from_utf8_lossy(&users.pieces.concat()).into_owned()
}

#[test]
fn a_lost_client_that_comes_back_does_not_flicker() {
    let mut roster = Roster::default();
    assert_eq!(notices(roster.apply(set(1, member(1, false)))).len(), 1);
    let away = notices(roster.apply(set(2, member(1, true))));
    assert_eq!(
        away,
        [r#"{"type":"presence","client":"client-aa","away":true}"#]
    );
    let back = notices(roster.apply(set(3, member(2, false))));
    assert_eq!(
        back,
        [r#"{"type":"presence","client":"client-aa","away":false}"#]
    );
    assert!(
        notices(roster.apply(set(4, member(3, false)))).is_empty(),
        "a takeover is silent"
    );
}

#[test]
fn old_events_are_dropped_and_gaps_are_seen() {
    let mut roster = Roster::new(table(5, vec![member(1, false)]));
    assert_eq!(roster.apply(set(5, member(1, true))), Applied::Old);
    assert_eq!(roster.apply(set(7, member(1, true))), Applied::Gap);
    assert_eq!(roster.reload(table(4, vec![])), None);
    assert_eq!(
        roster.reload(table(7, vec![])).map(|told| told.len()),
        Some(1)
    );
    assert_eq!(users(&mut roster), "");
}

#[test]
fn a_cursor_has_its_age_and_an_old_one_is_left_out() {
    let mut roster = Roster::new(table(1, vec![member(1, false)]));
    let start = Instant::now();
    roster.it_is(start);
    let ada = ClientId::parse("client-aa").expect("id");
    assert!(roster.point(&ada, r#""x":1"#.into()));
    for (later, told) in [
        (Duration::ZERO, r#","cursor":{"x":1},"cursor_age_ms":0"#),
        (
            Duration::from_millis(999),
            r#","cursor":{"x":1},"cursor_age_ms":0"#,
        ),
        (
            Duration::from_millis(2_500),
            r#","cursor":{"x":1},"cursor_age_ms":2500"#,
        ),
        (CURSOR_AGE, ""),
    ] {
        roster.it_is(start + later);
        let entry = format!(r#",{{"client":"client-aa","user":{{}}{told}}}"#);
        assert_eq!(users(&mut roster), entry, "{later:?}");
    }
    assert!(roster.point(&ada, r#""x":2"#.into()));
    assert!(users(&mut roster).contains(r#""x":2"#), "it moves again");
}

fn person(n: u64, state: Option<&str>, away: bool) -> Member {
    Member {
        client: ClientId::parse(&format!("client-{n:03}")).expect("id"),
        conn: ConnId::new(InstanceNumber(1), n),
        user: format!(r#"{{"name":"{n}"}}"#).into(),
        state: state.map(Into::into),
        away,
    }
}

/// A roster of so many, each with a state of that many bytes.
fn roster(people: u64, state: usize) -> Roster {
    let state = format!(r#"{{"s":"{}"}}"#, "x".repeat(state));
    let members = (0..people).map(|n| person(n, Some(&state), false));
    Roster::new(table(1, members.collect()))
}

fn author(n: u64) -> Author {
    author_of(person(n, None, false), ConnId::new(InstanceNumber(1), n))
}

fn author_of(member: Member, conn: ConnId) -> Author {
    let subject = String::new();
    Author::new(conn, member.client, member.user.to_string(), subject)
}

/// The bytes that those pieces take in memory: what they share counts once.
fn bytes_of<'a>(pieces: impl IntoIterator<Item = &'a Bytes>) -> usize {
    let places = pieces
        .into_iter()
        .map(|piece| (piece.as_ptr(), piece.len()));
    places
        .collect::<BTreeSet<_>>()
        .iter()
        .map(|(_, len)| len)
        .sum()
}

#[test]
fn who_comes_together_shares_one_list_in_each_encoding() {
    let mut roster = roster(100, 8_000);
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        let before = roster.lists.written;
        let welcomes: Vec<Users> = (0..100)
            .map(|n| roster.welcome(&author(n), encoding).0)
            .collect();
        let pieces = welcomes.iter().flat_map(|users| &users.pieces);
        let bytes = bytes_of(pieces);
        assert!(
            (800_000..900_000).contains(&bytes),
            "{bytes} for {encoding:?}"
        );
        assert_eq!(roster.lists.written - before, 1, "{encoding:?}");
    }
}

/// The table does not know them yet, so each has an entry of its own beside the others' list.
#[test]
fn an_entry_of_ones_own_does_not_copy_the_list() {
    let mut roster = roster(100, 8_000);
    let welcomes: Vec<Users> = (50..150)
        .map(|n| {
            let newer = author_of(person(n, None, false), ConnId::new(InstanceNumber(2), n));
            roster.welcome(&newer, Encoding::Json).0
        })
        .collect();
    for (n, users) in (50..150).zip(&welcomes) {
        let list = users_in(users);
        assert_eq!(list.len(), if n < 100 { 100 } else { 101 });
        let own = list
            .iter()
            .filter(|user| user["client"] == format!("client-{n:03}"));
        assert_eq!(own.count(), 1);
    }
    let whole: BTreeSet<_> = welcomes
        .iter()
        .map(|users| users.pieces[0].as_ptr())
        .collect();
    assert_eq!(whole.len(), 1, "all begin with the same bytes");
    assert_eq!(roster.lists.written, 1);
}

/// Everybody comes back at once and reads nothing: what is on its way is a list, not a list for each.
#[test]
fn in_a_crowd_no_new_list_is_written() {
    let mut roster = roster(200, 4_000);
    roster.lists.bound = 2_000_000;
    let mut held = Vec::new();
    for n in 0..200 {
        let version = roster.version + 1;
        let changed = person(n, Some(r#"{"came":"back"}"#), false);
        roster.apply(set(version, changed));
        held.push(roster.welcome(&author(n), Encoding::Json));
    }
    assert!(roster.lists.written <= 4, "{}", roster.lists.written);
    let pieces = held.iter().flat_map(|(users, _)| &users.pieces[..1]);
    let starts: BTreeSet<_> = pieces.map(|piece| piece.as_ptr()).collect();
    assert!(starts.len() <= 4, "{}", starts.len());
    drop(held);
    let version = roster.version + 1;
    roster.apply(set(version, person(1, None, false)));
    let (users, since) = roster.welcome(&author(0), Encoding::Json);
    assert!(since.is_empty(), "nothing is on its way any more");
    assert_eq!(users_in(&users)[1].get("state"), None);
}

fn users_in(users: &Users) -> Vec<Value> {
    let text = String::from_utf8(users.pieces.concat()).expect("UTF-8");
    let list: Vec<Value> =
        serde_json::from_str(&format!("[{}]", text.trim_start_matches(','))).expect("JSON");
    assert_eq!(list.len(), users.count);
    list
}

/// What a client knows after its welcome.
fn known(users: &Users, since: &Since) -> BTreeMap<String, Value> {
    let name = |value: &Value| value["client"].as_str().expect("a client").to_owned();
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for user in users_in(users) {
        assert!(known.insert(name(&user), user).is_none(), "somebody twice");
    }
    // As the slots of an outbox give them out.
    let mut since: Vec<_> = since.iter().collect();
    since.sort_by_key(|(lane, client, _)| (*lane, client.clone()));
    for (_, client, frame) in since {
        let mut told: Value = serde_json::from_slice(frame::payload(frame)).expect("JSON");
        assert_eq!(name(&told), client.as_str());
        match told["type"].take().as_str() {
            Some("user-connected") => {
                told.as_object_mut().expect("an object").remove("type");
                known.insert(name(&told), told);
            }
            Some("user-disconnected") => {
                assert!(
                    known.remove(client.as_str()).is_some(),
                    "never heard of {client}"
                );
            }
            Some("presence") => {
                known.get_mut(client.as_str()).expect("known")["away"] = told["away"].take()
            }
            other => panic!("{other:?}"),
        }
    }
    known
}

proptest! {
    /// Whatever changes while lists are on their way: a list and what follows it are everybody, as they are now.
    #[test]
    fn a_list_and_what_changed_since_are_the_truth(
        bound in prop_oneof![Just(0_usize), Just(20_000), Just(1 << 20)],
        steps in prop::collection::vec((0..6_u8, 0..12_u64, any::<bool>()), 1..150),
    ) {
        let mut roster = roster(8, 3_000);
        roster.lists.bound = bound;
        let mut held = Vec::new();
        for (what, n, flag) in steps {
            let version = roster.version + 1;
            let (client, state) = (person(n, None, false).client, format!(r#"{{"v":{version}}}"#));
            match what {
                0 | 1 => drop(roster.apply(set(version, person(n, flag.then_some(&*state), what == 1)))),
                2 => {
                    let change = PresenceChange::Gone { client, reason: LeaveReason::Left };
                    drop(roster.apply(PresenceEvent { version, change }));
                }
                3 => drop(held.pop()),
                _ => {
                    let (users, since) = roster.welcome(&author(n), Encoding::Json);
                    let mut truth: BTreeMap<String, Value> = BTreeMap::new();
                    for present in roster.iter() {
                        let m = &present.member;
                        let away = m.away && m.client != client;
                        let mut told = json!({"client": m.client.as_str(), "user": {"name": ""}});
                        told["user"] = serde_json::from_str(&m.user).expect("JSON");
                        if let Some(state) = &m.state {
                            told["state"] = serde_json::from_str(state).expect("JSON");
                        }
                        if away || (m.away && roster.holds(&client, m.conn)) {
                            told["away"] = true.into();
                        }
                        truth.insert(m.client.as_str().to_owned(), told);
                    }
                    let own = json!({"client": client.as_str(), "user": {"name": n.to_string()}});
                    truth.entry(client.as_str().to_owned()).or_insert(own);
                    prop_assert_eq!(known(&users, &since), truth);
                    if flag {
                        held.push(users);
                    }
                }
            }
        }
    }
}
