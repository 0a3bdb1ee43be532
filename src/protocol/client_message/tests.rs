//! Messages that the parser accepts or refuses, by example and by property.

use proptest::prelude::*;

use super::*;
use crate::protocol::features::Feature;

fn code(text: &str) -> ErrorCode {
    parse_within(text, DEFAULT_DEPTH).expect_err(text).code
}

#[test]
fn a_durable_message_keeps_the_senders_bytes() {
    let text = r#"{"type":"broadcast", "op": 7, "event":"e","data":{"a" : [1, 2]}, "junk":1}"#;
    let Ok(ClientMessage::Durable(m)) = parse(text) else {
        panic!()
    };
    assert_eq!((m.kind, m.op), (Kind::Broadcast, 7));
    assert_eq!(&m.body[..], r#"{"op":7,"event":"e","data":{"a" : [1, 2]}}"#);
}

#[test]
fn an_object_is_found_in_the_body() {
    let text = r#"{"type":"object-create","op":1,"object":{"id":"a","kind":"rect","x":1}}"#;
    let Ok(ClientMessage::Durable(m)) = parse(text) else {
        panic!()
    };
    let Change::Put { id, object } = m.change else {
        panic!()
    };
    assert_eq!(id, "a");
    assert_eq!(&m.body[object], r#"{"id":"a","kind":"rect","x":1}"#);
}

#[test]
fn refusals_name_the_field_and_the_op() {
    let refused = parse(r#"{"type":"chat","op":3,"text":""}"#).expect_err("empty text");
    assert_eq!(refused.code, ErrorCode::BadMessage);
    assert_eq!(refused.op, Some(3));
    assert!(refused.message.contains("text"), "{}", refused.message);
}

#[test]
fn what_is_no_message_is_told_in_words_of_the_protocol() {
    for (text, message) in [
        ("[]", "a message is one JSON object"),
        ("5", "a message is one JSON object"),
        ("null", "a message is one JSON object"),
        (r#"{"type":5}"#, "type must be a string"),
        (
            r#"{"type":"chat","op":1,"text":5}"#,
            "text must be a string",
        ),
        (
            r#"{"type":"chat","op":1,"text":"\ud83d"}"#,
            "text has half of a character: a surrogate without its other half",
        ),
        (
            r#"{"type":"signal","event":"e","data":["\udc00"]}"#,
            "data has half of a character: a surrogate without its other half",
        ),
    ] {
        assert_eq!(parse(text).expect_err(text).message, message, "{text}");
    }
}

#[test]
fn an_op_is_named_whatever_else_is_wrong() {
    for text in [
        r#"{"type":5,"op":7}"#,
        r#"{"op":7,"type":"chat","text":"a","text":"b"}"#,
        r#"{"op":7}"#,
    ] {
        let refused = parse(text).expect_err(text);
        let named = (refused.code, refused.op);
        assert_eq!(named, (ErrorCode::BadMessage, Some(7)), "{text}");
    }
    let twice = parse(r#"{"type":"bye","op":7,"op":8}"#).expect_err("two of them");
    assert_eq!(twice.op, None);
}

#[test]
fn an_array_is_no_message_whatever_is_in_it() {
    let nulls = "null,".repeat(14);
    for text in [
        format!(r#"["ping",{nulls}1]"#),
        format!(r#" ["bye",{nulls}1]"#),
    ] {
        assert_eq!(code(&text), ErrorCode::BadMessage, "{text}");
    }
    assert!(parse(" \t\r\n{\"type\":\"bye\"}").is_ok());
}

#[test]
fn what_cannot_be_continued_is_no_mistake() {
    let since = |since: &str| {
        let text = format!(r#"{{"type":"hello","v":1,"client":"aaaaaaaa","since":{since}}}"#);
        match parse(&text) {
            Ok(ClientMessage::Hello(hello)) => Ok(hello.since.map(|since| since.seq)),
            other => Err(other.expect_err(&text).code),
        }
    };
    let ours = r#""epoch":"0123456789abcdef""#;
    assert_eq!(since(&format!(r#"{{{ours},"seq":7}}"#)), Ok(Some(7)));
    assert_eq!(since("null"), Ok(None));
    for seq in ["-1", "1e30", "18446744073709551616", "7.5"] {
        let text = format!(r#"{{{ours},"seq":{seq}}}"#);
        assert_eq!(since(&text), Ok(None), "{text}");
    }
    for epoch in ["7", "null", "\"\"", "\"+123456789abcdef\""] {
        let text = format!(r#"{{"epoch":{epoch},"seq":7}}"#);
        assert_eq!(since(&text), Ok(None), "{text}");
    }
    for wrong in [
        "7",
        "[]",
        "{}",
        r#"{"seq":7}"#,
        r#"{"epoch":"x","seq":"7"}"#,
    ] {
        assert_eq!(since(wrong), Err(ErrorCode::BadMessage), "{wrong}");
    }
}

#[test]
fn a_hello_says_features_and_unknown_ones_are_ignored() {
    let features = |features: &str| {
        let text = format!(r#"{{"type":"hello","v":1,"client":"aaaaaaaa","features":{features}}}"#);
        match parse(&text) {
            Ok(ClientMessage::Hello(hello)) => Ok(hello.features),
            other => Err(other.expect_err(&text).message),
        }
    };
    let some = features(r#"["batch","telepathy","s\u0065t"]"#).expect("a list");
    assert!(some.has(Feature::Batch) && some.has(Feature::Set));
    for none in ["[]", "null", r#"["telepathy"]"#] {
        assert_eq!(features(none), Ok(Features::default()), "{none}");
    }
    let deflates = |compress: &str| {
        let text = format!(r#"{{"type":"hello","v":1,"client":"aaaaaaaa","compress":{compress}}}"#);
        match parse(&text) {
            Ok(ClientMessage::Hello(hello)) => Ok(hello.deflate),
            other => Err(other.expect_err(&text).message),
        }
    };
    assert_eq!(deflates(r#"["zstd","deflate-raw"]"#), Ok(true));
    assert_eq!(deflates(r#"["zstd"]"#), Ok(false));
    assert!(
        deflates(r#""deflate-raw""#)
            .expect_err("no list")
            .contains("compress must be")
    );
    for wrong in [r#""set""#, "{}", r#"["set",1]"#, r#"[["set"]]"#] {
        let message = features(wrong).expect_err(wrong);
        assert!(message.contains("features must be"), "{wrong}: {message}");
    }
}

#[test]
fn each_kind_of_rubbish_has_its_code() {
    assert_eq!(code("{"), ErrorCode::BadJson);
    assert_eq!(code("hello"), ErrorCode::BadJson);
    assert_eq!(code("[1]"), ErrorCode::BadMessage);
    assert_eq!(code("{}"), ErrorCode::BadMessage);
    assert_eq!(code(r#"{"type":"nope"}"#), ErrorCode::UnknownType);
    for op in ["0", "-1", "1.5", "\"1\"", "9007199254740993", "1e3", "null"] {
        let text = format!(r#"{{"type":"object-delete","id":"a","op":{op}}}"#);
        assert_eq!(code(&text), ErrorCode::BadOp, "{op}");
    }
    assert_eq!(
        code(r#"{"type":"object-delete","id":"a"}"#),
        ErrorCode::BadOp
    );
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    assert_eq!(
        code(&format!(r#"{{"type":"signal","event":"e","data":{deep}}}"#)),
        ErrorCode::BadMessage
    );
    assert_eq!(
        code(r#"{"type":"object-update","op":1,"id":"a","patch":{"id":"b"}}"#),
        ErrorCode::BadMessage
    );
    assert_eq!(
        code(r#"{"type":"cursor","x":"1","y":2}"#),
        ErrorCode::BadMessage
    );
    assert_eq!(
        code(r#"{"type":"hello","v":1,"client":"api-0123456789abcdef"}"#),
        ErrorCode::BadMessage
    );
    assert_eq!(
        code(r#"{"type":"hello","v":1,"client":"short"}"#),
        ErrorCode::BadMessage
    );
}

#[test]
fn nesting_is_bounded_as_configured_and_never_above_what_is_safe() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(r#"{{"type":"signal","event":"e","data":{open}{close}}}"#)
    };
    for max in [MIN_DEPTH, DEFAULT_DEPTH, MAX_DEPTH] {
        assert!(parse_within(&nested(max), max).is_ok(), "{max}");
        let refused = parse_within(&nested(max + 1), max).expect_err("too deep");
        let hint = format!("nesting is at most {max} levels (max_json_depth)");
        assert_eq!(refused.message, hint);
    }
    assert!(parse_within(&nested(MAX_DEPTH + 1), usize::MAX).is_err());
    // One of a batch may be as deep as alone. Else it is told which it is, and all have an answer.
    let batch = |levels: usize| {
        let data = format!("{}{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let deep = format!(r#"{{"type":"broadcast","op":2,"event":"e","data":{data}}}"#);
        format!(r#"{{"type":"batch","ops":[{{"type":"chat","op":1,"text":"x"}},{deep}]}}"#)
    };
    assert!(parse_within(&batch(8), 8).is_ok());
    let refused = parse_within(&batch(9), 8).expect_err("too deep");
    let hint = "ops[1]: nesting is at most 8 levels (max_json_depth)";
    assert_eq!(refused.message, hint);
    assert_eq!((refused.op, refused.others), (Some(2), vec![1]));
    // However many are in one another, only the first is read.
    let batches = 10_000;
    let within = r#"{"type":"batch","ops":["#.repeat(batches) + &"]}".repeat(batches);
    let refused = parse_within(&within, 8).expect_err("a batch in a batch");
    let hint = "ops[0]: only messages that are acknowledged can be in a batch, and no batch";
    assert_eq!(refused.message, hint);
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
}

#[test]
fn a_cursor_loses_type_and_client_and_keeps_small_fields() {
    let text = r#"{"type":"cursor","x":1.5,"y":2,"client":"someone","t":"a\"b"}"#;
    let Ok(ClientMessage::Cursor(fields)) = parse(text) else {
        panic!()
    };
    assert_eq!(fields, r#""x":1.5,"y":2,"t":"a\"b""#);
}

#[test]
fn nothing_of_another_versions_hello_is_read() {
    for (v, told) in [
        ("2", Some(2)),
        ("-1", None),
        ("\"1\"", None),
        ("null", None),
    ] {
        let text = format!(r#"{{"type":"hello","v":{v},"client":7}}"#);
        assert!(
            matches!(parse(&text), Ok(ClientMessage::OtherVersion(said)) if said == told),
            "{text}"
        );
    }
    let without = parse(r#"{"type":"hello"}"#);
    assert!(matches!(without, Ok(ClientMessage::OtherVersion(None))));
}

#[test]
fn a_user_is_a_name_and_a_colour_only() {
    let text = r#"{"type":"hello","v":1,"client":"aaaaaaaa","user":{"name":"A","admin":true}}"#;
    let Ok(ClientMessage::Hello(hello)) = parse(text) else {
        panic!()
    };
    assert_eq!(hello.user, r#"{"name":"A"}"#);
}

proptest! {
    #[test]
    fn never_panics(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_json_data_passes_unchanged(data in json_value(), op in 1..MAX_OP) {
        let data = data.to_string();
        let text = format!(r#"{{"data":{data},"type":"broadcast","event":"e","op":{op}}}"#);
        let Ok(ClientMessage::Durable(m)) = parse(&text) else { panic!("{text}") };
        prop_assert_eq!(&m.body[..], format!(r#"{{"op":{op},"event":"e","data":{data}}}"#));
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,5}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
