//! Both ways, by example and by property; what is written is read here by the reader of another crate.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::server::{CURSOR_BATCH, FREQUENT, STATUS};
use super::*;
use crate::protocol::client_message::{MAX_DEPTH, Refused, parse};
use crate::protocol::frame;
use crate::protocol::ids::ClientId;
use crate::protocol::server_message::{self as say, AckStatus, ErrorCode, LeaveReason};

/// Those two are numbers, everybody else is not.
struct Two(bool);

impl People for Two {
    fn number(&self, client: &str) -> Option<u32> {
        match client {
            "client-ada" => Some(0),
            "client-ben" => Some(200),
            _ => None,
        }
    }

    fn know_numbers(&self) -> bool {
        self.0
    }
}

fn packed(json: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value(&mut out, json.to_string().as_bytes()).expect("JSON");
    out
}

fn read(bytes: &[u8]) -> Value {
    rmp_serde::from_slice(bytes).expect("MessagePack")
}

fn said(json: &[u8], people: &impl People) -> Value {
    let mut out = Vec::new();
    message(&mut out, json, people).expect("a message");
    read(&out)
}

fn told(frame: &[u8], people: &impl People) -> Value {
    said(frame::payload(frame), people)
}

fn refused(bytes: &[u8]) -> Refused {
    to_json(bytes, 10_000, 16).expect_err("refused")
}

#[test]
fn numbers_and_lengths_take_as_few_bytes_as_hold_them() {
    let sizes = [
        (json!(127), 1),
        (json!(128), 2),
        (json!(256), 3),
        (json!(65_536), 5),
        (json!(u64::MAX), 9),
        (json!(-32), 1),
        (json!(-33), 2),
        (json!(i64::MIN), 9),
        (json!(12.5), 5),
        (json!(0.1), 9),
        (json!(1e300), 9),
        (json!(-0.0), 5),
        (json!(""), 1),
        (json!("x".repeat(31)), 32),
        (json!("x".repeat(32)), 34),
        (json!(vec![0; 15]), 16),
        (json!(vec![0; 16]), 19),
        (json!({"a": null}), 4),
    ];
    for (value, size) in sizes {
        let bytes = packed(&value);
        assert_eq!(bytes.len(), size, "{value}");
        assert_eq!(read(&bytes), value);
    }
    let many = json!(vec![true; 70_000]);
    assert_eq!(read(&packed(&many)), many);
}

#[test]
fn frequent_messages_are_arrays_that_begin_with_their_number() {
    let mut out = Vec::new();
    say::ack(&mut out, 7, 300, AckStatus::Dup);
    assert_eq!(told(&out, &Nobody), json!([1, 7, 300, 1]));
    let chat = br#"{"type":"chat","seq":9,"client":"client-ben","at":1700000000000,"op":2,"text":"a\"b","user":{"name":"B"}}"#;
    let array =
        |who: Value| json!([5, 9, who, 1_700_000_000_000_u64, 2, "a\"b", null, {"name": "B"}]);
    assert_eq!(said(chat, &Two(true)), array(json!(200)));
    assert_eq!(said(chat, &Two(false)), array(json!("client-ben")));
    let update = br#"{"type":"object-update","seq":1,"client":"somebody","at":1,"op":1,"id":"a","set":{"x.y":null}}"#;
    let array = json!([3, 1, "somebody", 1, 1, "a", null, {"set": {"x.y": null}}]);
    assert_eq!(
        said(update, &Two(true)),
        array,
        "fields without a place are told by name"
    );
    let ada = ClientId::parse("client-ada").expect("an id");
    let away = say::presence(&ada, None, Some(true));
    assert_eq!(told(&away, &Two(true)), json!([8, 0, null, true]));
    let state = say::presence(&ada, Some("{\"a\":1}"), None);
    assert_eq!(told(&state, &Two(true)), json!([8, 0, {"a": 1}, null]));
}

#[test]
fn an_ack_is_the_same_however_it_is_made() {
    for status in [AckStatus::Ok, AckStatus::Dup, AckStatus::Ignored] {
        let (mut json, mut made) = (Vec::new(), Vec::new());
        say::ack(&mut json, 70_000, 1, status);
        ack(&mut made, 70_000, 1, status);
        assert_eq!(frame(&json), made);
        assert!(STATUS.contains(&status.as_str()));
    }
}

#[test]
fn cursors_are_arrays_in_an_array() {
    let ids: Vec<ClientId> = ["client-ada", "somebody"]
        .iter()
        .map(|id| ClientId::parse(id).expect("an id"))
        .collect();
    let fields = [
        "\"x\":1.5,\"y\":-2",
        "\"x\":1e2,\"y\":0,\"tool\":\"p\u{e9}n\"",
    ];
    let cursors = || ids.iter().zip(fields);
    let frame = cursor_batch(cursors(), &Two(true));
    let array = json!([7, [0, 1.5, -2], ["somebody", 100.0, 0, {"tool": "p\u{e9}n"}]]);
    assert_eq!(read(frame::payload(&frame)), array);
    let frame = cursor_batch(cursors(), &Nobody);
    assert_eq!(read(frame::payload(&frame))[1][0], "client-ada");
}

#[test]
fn other_messages_are_maps_and_who_comes_gets_a_number() {
    let ben = ClientId::parse("client-ben").expect("an id");
    let came = say::user_connected(&ben, "{\"name\":\"B\"}", Some("{}"));
    let mut map = json!({"type": "user-connected", "client": "client-ben", "user": {"name": "B"}, "state": {}});
    assert_eq!(told(&came, &Nobody), map);
    map["n"] = json!(200);
    // Whoever is told is told the number, whatever was told before.
    assert_eq!(told(&came, &Two(false)), map);
    let gone = say::user_disconnected(&ben, LeaveReason::Left);
    let map = json!({"type": "user-disconnected", "client": "client-ben", "reason": "left"});
    assert_eq!(told(&gone, &Two(true)), map);
    let error = say::error(ErrorCode::BadOp, "no \u{1f600}", Some(3), None);
    let map = json!({"type": "error", "code": "bad-op", "message": "no \u{1f600}", "op": 3});
    assert_eq!(told(&error, &Two(true)), map);
}

#[test]
fn frames_keep_their_order_and_tell_their_ends() {
    let mut json = Vec::new();
    (1..=3).for_each(|op| say::ack(&mut json, op, op, AckStatus::Ok));
    let mut ends = Vec::new();
    let all = frames(&json, &Nobody, |end| ends.push(end));
    assert_eq!(ends, [7, 14, 21]);
    let ops: Vec<Value> = frame::payloads(&all)
        .map(|one| read(one)[1].clone())
        .collect();
    assert_eq!(ops, [1, 2, 3]);
}

/// Clients are written from that page alone.
#[test]
fn the_table_in_the_protocol_is_the_table_here() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOL.md"));
    let page = page.expect("docs/PROTOCOL.md");
    for frequent in &FREQUENT {
        let fields: Vec<String> = frequent
            .fields
            .iter()
            .map(|field| format!("`{field}`"))
            .collect();
        let row = format!(
            "| {} | `{}` | {} |",
            frequent.code,
            frequent.kind,
            fields.join(", ")
        );
        assert!(page.contains(&row), "{row}");
    }
    assert!(page.contains(&format!("| {CURSOR_BATCH} | `cursor-batch` |")));
    for (number, status) in STATUS.iter().enumerate() {
        assert!(
            page.contains(&format!("{number} for `\"{status}\"`")),
            "{status}"
        );
    }
}

#[test]
fn a_map_becomes_the_json_that_could_have_been_sent() {
    let bytes = packed(&json!({"type": "chat", "op": 3, "text": "a\n\"\u{1f600}\u{1}"}));
    let json = to_json(&bytes, 1_000, 16).expect("a message");
    assert!(parse(&json).is_ok(), "{json}");
    // Marker by marker, as other writers may choose them.
    for (value, json) in [
        (&[0xcc, 5][..], "5"),
        (&[0xcd, 0, 5], "5"),
        (&[0xce, 0, 0, 0, 5], "5"),
        (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 5], "5"),
        (&[0xd0, 0xff], "-1"),
        (&[0xd1, 0xff, 0xfe], "-2"),
        (&[0xd2, 0xff, 0xff, 0xff, 0xfd], "-3"),
        (
            &[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc],
            "-4",
        ),
        (&[0xca, 0x3f, 0x80, 0, 0], "1.0"),
        (
            &[0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a],
            "0.1",
        ),
        (&[0xd9, 1, b'a'], "\"a\""),
        (&[0xda, 0, 1, b'a'], "\"a\""),
        (&[0xdb, 0, 0, 0, 1, b'a'], "\"a\""),
        (&[0xdc, 0, 1, 0xc0], "[null]"),
        (&[0xdd, 0, 0, 0, 1, 0xc2], "[false]"),
        (&[0xde, 0, 1, 0xa1, b'k', 0xc3], "{\"k\":true}"),
        (&[0xdf, 0, 0, 0, 0], "{}"),
    ] {
        let message = [&[0x81, 0xa1, b'v'], value].concat();
        assert_eq!(to_json(&message, 100, 16), Ok(format!("{{\"v\":{json}}}")));
    }
}

#[test]
fn what_json_has_no_word_for_is_refused_by_its_place_and_op() {
    let with = |value: &[u8]| {
        let head = [
            &[0x83, 0xa2][..],
            b"op",
            &[7, 0xa4],
            b"data",
            &[0x81, 0xa1, b'a', 0x92, 0xc0],
        ]
        .concat();
        [&head[..], value, &[0xa1, b'z', 0xc0]].concat()
    };
    for (value, hint) in [
        (&[0xc4, 1, 0xff][..], "binary"),
        (&[0xd4, 1, 0], "extension"),
        (&[0xc7, 2, 5, 0, 0], "extension"),
        (&[0xca, 0x7f, 0x80, 0, 0], "finite"),
        (&[0x81, 1, 2], "name in a map"),
    ] {
        let refused = refused(&with(value));
        assert_eq!(
            (refused.code, refused.op),
            (ErrorCode::BadMessage, Some(7)),
            "{refused:?}"
        );
        assert!(
            refused.message.starts_with("data.a[1]: "),
            "{}",
            refused.message
        );
        assert!(refused.message.contains(hint), "{}", refused.message);
    }
    for broken in [&[0xc1][..], &[0xa1, 0xff]] {
        assert_eq!(refused(&with(broken)).code, ErrorCode::BadMsgpack);
    }
}

#[test]
fn what_is_no_message_is_refused_whatever_it_claims() {
    for (bytes, code) in [
        (&[][..], ErrorCode::BadMsgpack),
        (&[0x81], ErrorCode::BadMsgpack),
        (&[0x80, 0], ErrorCode::BadMsgpack),
        (&[0xdf, 0xff, 0xff, 0xff, 0xff], ErrorCode::BadMsgpack),
        (&[0x81, 0xdb, 0xff, 0xff, 0xff, 0xff], ErrorCode::BadMsgpack),
        (&[0x90], ErrorCode::BadMessage),
        (&[0xc0], ErrorCode::BadMessage),
        (b"{}", ErrorCode::BadMessage),
    ] {
        assert_eq!(refused(bytes).code, code, "{bytes:x?}");
    }
}

#[test]
fn a_message_is_bounded_as_the_json_that_others_read() {
    let long = packed(&json!({"op": 5, "text": "\u{1}".repeat(100)}));
    let refused = to_json(&long, 600, 16).expect_err("too long");
    assert_eq!((refused.code, refused.op), (ErrorCode::TooLarge, Some(5)));
    assert!(to_json(&long, 700, 16).is_ok());
    let nested =
        |levels: usize| [vec![0x81, 0xa1, b'v'], vec![0x91; levels - 1], vec![0xc0]].concat();
    assert!(to_json(&nested(16), 1_000, 16).is_ok());
    let deep = to_json(&nested(17), 1_000, 16).expect_err("too deep");
    assert_eq!(
        deep.message,
        "nesting is at most 16 levels (max_json_depth)"
    );
    // Of a batch each is looked at where the JSON is read.
    let ops = |levels: usize| {
        let ops = [
            vec![0x81, 0xa3, b'o', b'p', b's'],
            vec![0x91; levels - 1],
            vec![0xc0],
        ];
        to_json(&ops.concat(), 1_000_000, 16)
    };
    assert!(ops(MAX_DEPTH + 2).is_ok());
    let deep = ops(MAX_DEPTH + 3).expect_err("too deep");
    assert_eq!(
        deep.message,
        "nesting is at most 16 levels (max_json_depth)"
    );
    assert!(to_json(&nested(60_000), 1_000_000, usize::MAX).is_err());
    assert!(to_json(&nested(MAX_DEPTH), 1_000, usize::MAX).is_ok());
}

/// Anything that JSON holds exactly.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Value::from),
        any::<f32>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map(".{0,5}", inner, 0..20)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No value is lost on its way out or in, nor changed in its last bit.
    #[test]
    fn any_json_comes_back_as_it_went(data in any_json()) {
        let message = json!({ "data": data });
        let bytes = packed(&message);
        prop_assert_eq!(&read(&bytes), &message);
        let back = to_json(&bytes, usize::MAX, MAX_DEPTH).expect("readable");
        prop_assert_eq!(back, message.to_string());
    }

    /// Whatever comes is a message or a refusal, and never more than asked for.
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(json) = to_json(&bytes, 1_000, 16) {
            prop_assert!(json.len() <= 1_000);
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
        }
    }

    /// Where the bytes break makes no difference: what is cut is never a message.
    #[test]
    fn what_is_cut_is_refused(data in any_json(), at in any::<prop::sample::Index>()) {
        let bytes = packed(&json!({ "data": data }));
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(to_json(cut, usize::MAX, MAX_DEPTH).expect_err("cut").code, ErrorCode::BadMsgpack);
    }

    /// A durable message tells the same in both encodings, whatever is in it.
    #[test]
    fn a_durable_message_says_the_same_in_both(data in any_json(), seq in 1..u64::MAX, more in any::<bool>()) {
        let mut json = BTreeMap::from([
            ("type", json!("broadcast")), ("seq", json!(seq)), ("client", json!("client-ben")),
            ("at", json!(5)), ("op", json!(1)), ("event", json!("e")), ("data", data.clone()),
        ]);
        if more {
            json.insert("later", json!([1]));
        }
        // The type stands first, as the server writes it.
        let mut text = String::from("{\"type\":\"broadcast\"");
        for (name, value) in json.iter().filter(|(name, _)| **name != "type") {
            text.push_str(&format!(",\"{name}\":{value}"));
        }
        text.push('}');
        let mut array = json!([6, seq, 200, 5, 1, "e", data]);
        if let (true, Some(array)) = (more, array.as_array_mut()) {
            array.push(json!({"later": [1]}));
        }
        prop_assert_eq!(said(text.as_bytes(), &Two(true)), array);
    }
}
