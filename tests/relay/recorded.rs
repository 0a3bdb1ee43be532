//! A conversation as it was recorded when the protocol was younger, said again to the server of today: an old client is told all that it
//! was told then. What it does not know may come besides.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use rustix::process::Signal;

use crate::harness::{Relay, Socket};

const RECORDED: &str = include_str!("../files/conversation-before-features.txt");

/// Different each time, or from version to version: they must be there.
const VOLATILE: [&str; 4] = ["epoch", "at", "server_ts", "message"];

/// What was cut short in the record, written out.
fn whole(text: &str) -> String {
    text.replace("{…}", "{}").replace("x…", &"x".repeat(40_000))
}

/// Whether `told` says all that `recorded` says.
fn says(told: &Value, recorded: &Value) -> bool {
    match (told, recorded) {
        (Value::Object(told), Value::Object(recorded)) => recorded.iter().all(|(name, value)| {
            let told = told.get(name);
            match name.as_str() {
                name if VOLATILE.contains(&name) => told.is_some(),
                "limits" => value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .all(|(limit, _)| told.is_some_and(|limits| limits[limit].is_u64())),
                _ => told.is_some_and(|told| says(told, value)),
            }
        }),
        (Value::Array(told), Value::Array(recorded)) => {
            told.len() == recorded.len() && told.iter().zip(recorded).all(|(a, b)| says(a, b))
        }
        _ => told == recorded,
    }
}

struct Speaker {
    socket: Socket,
    heard: Vec<Value>,
}

impl Speaker {
    async fn say(&mut self, text: &str, epoch: &str) {
        let mut text = whole(text);
        if let Ok(mut message) = serde_json::from_str::<Value>(&text)
            && message["since"].is_object()
        {
            message["since"]["epoch"] = epoch.into();
            text = message.to_string();
        }
        self.socket.send_text(&text).await.expect("a connection");
    }

    /// Hears what was recorded; the lanes are not ordered against each other.
    async fn hear(&mut self, recorded: &Value, line: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(at) = self.heard.iter().position(|told| says(told, recorded)) {
                return self.heard.remove(at);
            }
            assert!(Instant::now() < deadline, "{line}\nheard: {:?}", self.heard);
            let told = self.socket.receive().await;
            self.heard
                .push(told.unwrap_or_else(|gone| panic!("{line}: {gone:?}")));
        }
    }
}

#[tokio::test]
async fn an_old_client_is_told_all_that_it_was_told_then() {
    let mut relay = Relay::start(1, &["--instance-id", "relay-1", "--presence-grace", "2s"]).await;
    let mut speakers: BTreeMap<&str, Speaker> = BTreeMap::new();
    let (mut epoch, mut ended) = (String::new(), 0);
    for line in RECORDED.lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("three words");
        let (name, direction, text) = (word(), word(), word());
        if direction == ">" && (!speakers.contains_key(name) || text.contains("\"since\"")) {
            let socket = Socket::open(relay.address(0), "demo").await.expect("up");
            let heard = Vec::new();
            speakers.insert(name, Speaker { socket, heard });
        }
        if text.contains("\"goaway\"") && ended == 0 {
            ended = 1;
            relay.process(0).signal(Signal::TERM);
        }
        let speaker = speakers.get_mut(name);
        match direction {
            ">" => speaker.expect("somebody").say(text, &epoch).await,
            "<" => {
                let mut recorded: Value = serde_json::from_str(&whole(text)).expect(line);
                let fields = recorded.as_object_mut().expect("an object");
                if fields["type"] == "goaway" {
                    // Who comes back when is spread anew each time.
                    fields.remove("retry_after_ms");
                }
                let told = speaker.expect("somebody").hear(&recorded, line).await;
                if let Some(told) = told["epoch"].as_str() {
                    epoch = told.to_owned();
                }
            }
            _ if text == "(lost)" => drop(speakers.remove(name)),
            _ => {
                let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
                let gone = speaker.expect("somebody").socket.ended().await;
                assert_eq!(gone.code, code, "{line}");
                speakers.remove(name);
            }
        }
    }
    assert_eq!(ended, 1, "the record goes to its end");
}
