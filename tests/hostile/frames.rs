//! Frames against RFC 6455, and unusual ones that are not.

use serde_json::json;

use crate::harness::{Relay, soon};
use crate::raw::{BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, Raw, TEXT, frame, head, text};

const MEMORY: &[&str] = &["--queue", "off"];
const CHAT: &[u8] = br#"{"type":"chat","op":1,"text":"h\u00e9llo"}"#;

/// What a connection sends after its join, and the close code that it must read.
async fn refused(relay: &Relay, what: &str, bytes: &[u8], code: u16) {
    let mut raw = Raw::join(relay.address(0), "board").await;
    raw.send(bytes).await;
    assert_eq!(raw.closed().await, Some(code), "{what}");
    assert_eq!(
        raw.next().await,
        Frame::End,
        "{what}: nothing behind a close frame"
    );
}

#[tokio::test]
async fn what_is_against_the_rfc_is_1002() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut cases = vec![
        ("an unmasked frame", unmasked(FIN | TEXT, CHAT)),
        ("an unmasked close", unmasked(FIN | CLOSE, &[])),
        ("a fragmented ping", frame(PING, b"x")),
        ("a ping of 126 bytes", frame(FIN | PING, &[0; 126])),
        ("a close of 126 bytes", frame(FIN | CLOSE, &[0x03; 126])),
        ("a close of one byte", frame(FIN | CLOSE, &[3])),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"x")),
        (
            "text within a fragmented text",
            [frame(TEXT, b"{"), frame(FIN | TEXT, CHAT)].concat(),
        ),
    ];
    for reserved in [0x40, 0x20, 0x10, 0x70] {
        cases.push(("a reserved bit", frame(FIN | reserved | TEXT, CHAT)));
        cases.push((
            "a reserved bit on a ping",
            frame(FIN | reserved | PING, b""),
        ));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(("a reserved opcode", frame(FIN | opcode, CHAT)));
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        cases.push((
            "a close code nobody may send",
            frame(FIN | CLOSE, &code.to_be_bytes()),
        ));
    }
    for (what, bytes) in cases {
        refused(&relay, &format!("{what}: {bytes:02x?}"), &bytes, 1002).await;
    }
    relay.unharmed().await;
}

fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    [&[first, len], payload].concat()
}

#[tokio::test]
async fn text_that_is_not_utf8_is_1007() {
    let mut relay = Relay::start(1, MEMORY).await;
    let reason = [&1000_u16.to_be_bytes()[..], b"\xff"].concat();
    for (what, bytes) in [
        (
            "a lone continuation byte",
            frame(FIN | TEXT, b"{\"type\":\"chat\",\"text\":\"\x80\"}"),
        ),
        ("an overlong slash", frame(FIN | TEXT, b"\xc0\xaf")),
        ("a surrogate", frame(FIN | TEXT, b"\xed\xa0\x80")),
        ("above U+10FFFF", frame(FIN | TEXT, b"\xf4\x90\x80\x80")),
        ("a character cut at the end", frame(FIN | TEXT, b"\"\xc3")),
        (
            "a character cut in the last fragment",
            [
                frame(TEXT, b"\"\xf0\x9f"),
                frame(FIN | CONTINUATION, b"\x98"),
            ]
            .concat(),
        ),
        ("a close reason", frame(FIN | CLOSE, &reason)),
    ] {
        refused(&relay, what, &bytes, 1007).await;
    }
    relay.unharmed().await;
}

#[tokio::test]
async fn what_is_too_big_is_1009_and_the_client_gets_to_read_it() {
    let mut relay = Relay::start(1, MEMORY).await;
    let big = vec![b'x'; 262_145];
    let half = vec![b'x'; 150_000];
    let many: Vec<u8> = (0..70_000)
        .flat_map(|_| frame(CONTINUATION, b"x"))
        .collect();
    for (what, bytes) in [
        ("one byte over", frame(FIN | TEXT, &big)),
        ("binary over", frame(FIN | BINARY, &big)),
        ("the head alone", head(FIN | TEXT, 262_145)),
        ("2^63 - 1 bytes announced", head(FIN | TEXT, u64::MAX >> 1)),
        ("2^64 - 1 bytes announced", head(FIN | TEXT, u64::MAX)),
        (
            "fragments that add up",
            [frame(TEXT, &half), frame(FIN | CONTINUATION, &half)].concat(),
        ),
        ("fragments of one byte", [frame(TEXT, b"x"), many].concat()),
        // All of it is written before anything is read: without care the answer would be lost in a reset.
        ("a megabyte", frame(FIN | TEXT, &vec![b'x'; 1_000_000])),
    ] {
        let mut raw = Raw::join(relay.address(0), "board").await;
        raw.send(&bytes).await;
        assert_eq!(raw.closed().await, Some(1009), "{what}");
    }
    // The largest that fits, before and after.
    let mut raw = Raw::join(relay.address(0), "board").await;
    let empty = json!({"type": "broadcast", "op": 1, "event": "e", "data": ""}).to_string();
    let data = "x".repeat(262_144 - empty.len());
    let whole = json!({"type": "broadcast", "op": 1, "event": "e", "data": data}).to_string();
    assert_eq!(whole.len(), 262_144);
    raw.send(&text(&whole)).await;
    assert_eq!(raw.until("ack").await["seq"], 1);
    relay.unharmed().await;
}

#[tokio::test]
async fn fragments_are_one_message_with_control_frames_in_between() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    // Every byte a fragment of its own, even within a character; an empty one and a ping between all.
    let message = "{\"type\":\"chat\",\"op\":1,\"text\":\"h\u{e9}llo \u{1f600}\"}".as_bytes();
    raw.send(&frame(TEXT, b"")).await;
    for (i, byte) in message.iter().enumerate() {
        raw.send(&frame(CONTINUATION, &[*byte])).await;
        raw.send(&frame(CONTINUATION, b"")).await;
        raw.send(&frame(FIN | PING, &[u8::try_from(i).unwrap()]))
            .await;
        assert_eq!(
            raw.next().await,
            Frame::Pong(vec![u8::try_from(i).unwrap()])
        );
    }
    raw.send(&frame(FIN | CONTINUATION, b"")).await;
    assert_eq!(raw.until("ack").await["status"], "ok");
    let mut other = Raw::open(relay.address(0), "board").await;
    other.send(&text(&crate::raw::hello().to_string())).await;
    let snapshot = other.until("snapshot").await;
    assert_eq!(snapshot["chat"][0]["text"], "h\u{e9}llo \u{1f600}");
    relay.unharmed().await;
}

#[tokio::test]
async fn what_is_odd_but_allowed_is_taken() {
    let mut relay = Relay::start(1, MEMORY).await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    // Pongs that nobody asked for, of any size; pings of the largest size.
    raw.send(&frame(FIN | 10, &[1; 125])).await;
    raw.send(&frame(FIN | PING, &[2; 125])).await;
    assert_eq!(raw.next().await, Frame::Pong(vec![2; 125]));
    // Binary is refused by name, and the connection stays.
    raw.send(&frame(FIN | BINARY, CHAT)).await;
    assert_eq!(raw.until("error").await["code"], "bad-message");
    raw.send(
        &[
            frame(BINARY, b"\xff\xff"),
            frame(FIN | CONTINUATION, b"\xff"),
        ]
        .concat(),
    )
    .await;
    assert_eq!(raw.until("error").await["code"], "bad-message");
    raw.send(&frame(FIN | TEXT, b"")).await;
    assert_eq!(raw.until("error").await["code"], "bad-json");
    // Masked with another key than announced: other bytes, no more. These happen to be no UTF-8.
    raw.works().await;
    let mut wrong = frame(FIN | TEXT, CHAT);
    wrong[3] ^= 0xff;
    raw.send(&wrong).await;
    assert_eq!(raw.closed().await, Some(1007));
    relay.unharmed().await;
}

#[tokio::test]
async fn no_extension_is_negotiated_and_a_compressed_frame_is_1002() {
    let mut relay = Relay::start(1, MEMORY).await;
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover",
        "x-webkit-deflate-frame, permessage-bzip2",
    ] {
        let mut raw = Raw::connect(relay.address(0)).await;
        let header = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let head = raw.upgrade("board", &header).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(
            !head.to_lowercase().contains("sec-websocket-extensions"),
            "{head}"
        );
        raw.enter().await;
        // A deflated block that would grow a thousandfold.
        raw.send(&frame(
            FIN | 0x40 | TEXT,
            &[0xaa, 0x56, 0x2a, 0xa9, 0x2c, 0x48, 0x55],
        ))
        .await;
        assert_eq!(raw.closed().await, Some(1002), "{offer}");
    }
    relay.unharmed().await;
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    let mut relay = Relay::start(1, MEMORY).await;
    for code in [
        1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        let mut raw = Raw::join(relay.address(0), "board").await;
        raw.send(&frame(
            FIN | CLOSE,
            &[&code.to_be_bytes()[..], b"why"].concat(),
        ))
        .await;
        assert_eq!(raw.closed().await, Some(code));
        assert_eq!(raw.next().await, Frame::End, "the server hangs up first");
    }
    let mut raw = Raw::join(relay.address(0), "board").await;
    raw.send(&frame(FIN | CLOSE, b"")).await;
    assert!(matches!(raw.closed().await, Some(0 | 1000)));
    // What comes behind a close frame counts for nothing.
    let mut watcher = Raw::join(relay.address(0), "board").await;
    let mut raw = Raw::join(relay.address(0), "board").await;
    raw.send(
        &[
            frame(FIN | CLOSE, &1000_u16.to_be_bytes()),
            frame(FIN | TEXT, CHAT),
        ]
        .concat(),
    )
    .await;
    soon("the end", raw.closed()).await;
    while watcher.until("user-disconnected").await["reason"] != "left" {}
    watcher
        .send(&text(r#"{"type":"chat","op":1,"text":"first"}"#))
        .await;
    assert_eq!(
        watcher.until("ack").await["seq"],
        1,
        "nothing was before it"
    );
    relay.unharmed().await;
}
