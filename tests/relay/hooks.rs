//! Hooks on real processes: events are in their queue with what they tell of, once and in order, and webhooks deliver them.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::{Client, Relay, http};
use crate::redis_server::RedisServer;

/// Where a relay keeps what it has.
enum Over {
    File,
    Memory,
    Redis(RedisServer),
}

impl Over {
    fn file() -> Self {
        Self::File
    }

    fn memory() -> Self {
        Self::Memory
    }

    fn redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    /// So many processes there; in memory there is one.
    async fn relay(&self, processes: usize, flags: &[&str]) -> Relay {
        let (processes, place) = match self {
            Self::File => (processes, Vec::new()),
            Self::Memory => (1, vec!["--queue=off".to_owned()]),
            Self::Redis(server) => (processes, vec![format!("--redis={}", server.url())]),
        };
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        Relay::start(processes, &[&place, flags].concat()).await
    }

    /// A process, if there are so many.
    fn n(&self, n: usize) -> usize {
        match self {
            Self::Memory => 0,
            _ => n,
        }
    }
}

/// Each of these tests, wherever the relay keeps what it has.
macro_rules! everywhere {
    ($($name:ident),+ $(,)?) => {
        everywhere!(file: $($name),+);
        everywhere!(memory: $($name),+);
        everywhere!(redis: $($name),+);
    };
    ($place:ident: $($name:ident),+) => {
        mod $place {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(super::Over::$place()).await;
                }
            )+
        }
    };
}

pub(crate) mod aside;
mod deliveries;

everywhere!(
    each_message_is_an_event_once_and_in_order_whichever_process_took_it,
    an_event_has_the_whole_object_where_the_hook_wants_it,
    coming_going_and_the_end_of_a_canvas_are_told_once,
    a_canvas_that_changed_is_told_of_once_it_is_quiet,
    events_that_have_no_room_become_a_gap_and_strokes_go_on,
    a_batch_on_a_large_object_is_told_in_part_and_the_rest_is_a_gap,
    a_file_of_hooks_is_followed_and_read_again,
    hooks_that_are_wrong_are_refused_with_their_field_and_secrets_are_not_shown,
    webhooks_are_signed_and_in_order_and_what_fails_comes_again,
    events_of_one_canvas_come_in_batches,
    a_receiver_that_is_gone_turns_its_hook_off,
);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) async fn ask(
    relay: &Relay,
    n: usize,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String) {
    let headers = "Host: 127.0.0.1\r\nContent-Type: application/json\r\n";
    let answer = http::ask(relay.address(n), method, path, headers, body).await;
    let answer = answer.expect("an answer");
    (answer.status, answer.body)
}

/// Has these be the hooks, through the API.
pub(crate) async fn hooks(relay: &Relay, hooks: Value) {
    let body = json!({ "hooks": hooks }).to_string();
    let (status, told) = ask(relay, 0, "PUT", "/api/v1/hooks", &body).await;
    assert_eq!((status, told.trim()), (200, "{\"changed\":true}"));
}

/// The next messages of a queue, popped and acknowledged on a process.
pub(crate) async fn pop(relay: &Relay, n: usize, queue: &str, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        let path =
            format!("/api/v1/pop/queue/{queue}?batch=100&autoAck=true&wait=true&timeout=20000");
        let (status, body) = ask(relay, n, "GET", &path, "").await;
        assert_eq!(status, 200, "{} of {count} came: {body}", all.len());
        let popped: Value = serde_json::from_str(&body).expect("it is there");
        let messages = popped["messages"].as_array().expect("it is there");
        all.extend(messages.iter().map(|message| message["data"].clone()));
    }
    all
}

/// Nothing more is in a queue.
pub(crate) async fn is_empty(relay: &Relay, queue: &str) {
    let path = format!("/api/v1/pop/queue/{queue}?batch=100&autoAck=true");
    let (status, body) = ask(relay, 0, "GET", &path, "").await;
    assert_eq!(status, 204, "{body}");
}

pub(crate) fn into_queue(events: &[&str]) -> Value {
    json!([{ "name": "save", "canvases": ["board-*"], "events": events, "queue": "events" }])
}

pub(crate) fn create(id: &str) -> Value {
    json!({"type": "object-create", "object": {"id": id, "kind": "box", "x": 1}})
}

pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().expect("it is there"))
        .collect()
}

async fn each_message_is_an_event_once_and_in_order_whichever_process_took_it(over: Over) {
    let relay = over.relay(2, &[]).await;
    hooks(&relay, into_queue(&["object.*", "chat.sent", "broadcast"])).await;
    let mut ada = relay.join(0, "board-1").await;
    let mut ben = relay.join(over.n(1), "board-1").await;
    let mut other = relay.join(over.n(1), "plan").await;
    other.commit(create("unheard")).await;
    ada.commit(create("a")).await;
    ben.reach(1).await;
    ben.commit(json!({"type": "object-update", "id": "a", "patch": {"x": 2}}))
        .await;
    ben.op(json!({"type": "object-update", "id": "nothing", "patch": {"x": 2}}))
        .await;
    ben.settle().await.expect("it is answered");
    ada.reach(2).await;
    ada.commit(json!({"type": "chat", "text": "hello"})).await;
    ada.commit(json!({"type": "broadcast", "event": "e", "data": [1]}))
        .await;
    ada.commit(json!({"type": "object-delete", "id": "a"}))
        .await;

    let (_, shown) = ask(&relay, 0, "GET", "/api/v1/canvases/board-1", "").await;
    let epoch = serde_json::from_str::<Value>(&shown).expect("it is there")["epoch"].clone();
    let epoch = epoch.as_str().expect("it is there");
    let events = pop(&relay, over.n(1), "events", 5).await;
    assert_eq!(
        types(&events),
        [
            "object.created",
            "object.updated",
            "chat.sent",
            "broadcast",
            "object.deleted"
        ]
    );
    for (seq, event) in (1..).zip(&events) {
        assert_eq!(event["seq"], seq, "{event}");
        assert_eq!(event["canvas"], "board-1");
        assert_eq!(event["epoch"], epoch);
        assert_eq!(event["id"], format!("{epoch}-{seq}"));
        assert!(event["at"].as_u64() > Some(1_500_000_000_000), "{event}");
        assert!(
            event["client"].is_string() && event["user"].is_object(),
            "{event}"
        );
    }
    assert_eq!(
        events[0]["data"]["object"],
        json!({"id": "a", "kind": "box", "x": 1})
    );
    assert_eq!(events[1]["data"]["patch"], json!({"x": 2}));
    // The number that the author gave it is not part of it.
    assert_eq!(events[2]["data"]["text"], "hello");
    assert!(events.iter().all(|event| event["data"]["op"].is_null()));
    assert_eq!(events[4]["data"], json!({"id": "a"}));
    is_empty(&relay, "events").await;
}

async fn an_event_has_the_whole_object_where_the_hook_wants_it(over: Over) {
    let relay = over.relay(1, &[]).await;
    let mut wanted = into_queue(&["object.*"]);
    wanted[0]["include"] = "object".into();
    hooks(&relay, wanted).await;
    let mut ada = relay.join(0, "board-1").await;
    ada.commit(create("a")).await;
    // In one transaction, most likely: each event has the object as it was then.
    for x in 2..5 {
        ada.op(json!({"type": "object-update", "id": "a", "patch": {"x": x}}))
            .await;
    }
    ada.commit(json!({"type": "object-delete", "id": "a"}))
        .await;
    let events = pop(&relay, 0, "events", 5).await;
    for (x, event) in (1..5).zip(&events) {
        assert_eq!(
            event["data"],
            json!({"object": {"id": "a", "kind": "box", "x": x}})
        );
    }
    assert_eq!(events[4]["data"]["id"], "a");
}

async fn coming_going_and_the_end_of_a_canvas_are_told_once(over: Over) {
    let relay = over.relay(2, &["--presence-grace=300ms"]).await;
    hooks(&relay, into_queue(&["client.*", "canvas.*"])).await;
    let ada = relay.join(0, "board-1").await;
    let mut ben = relay.join(over.n(1), "board-1").await;
    ben.say(json!({"type": "bye"})).await;
    assert_eq!(ben.closed().await, Some(1000));
    // A line that breaks is told when its grace is over.
    drop(ada);
    let events = pop(&relay, 0, "events", 6).await;
    assert_eq!(
        types(&events),
        [
            "canvas.opened",
            "client.joined",
            "client.joined",
            "client.left",
            "client.left",
            "canvas.idle"
        ]
    );
    let here: Vec<u64> = events
        .iter()
        .map(|event| event["data"]["clients"].as_u64().expect("it is there"))
        .collect();
    assert_eq!(here, [1, 1, 2, 1, 0, 0]);
    let (status, _) = ask(&relay, 0, "DELETE", "/api/v1/canvases/board-1", "").await;
    assert_eq!(status, 200);
    assert_eq!(
        types(&pop(&relay, 0, "events", 1).await),
        ["canvas.deleted"]
    );
    is_empty(&relay, "events").await;
}

async fn a_canvas_that_changed_is_told_of_once_it_is_quiet(over: Over) {
    let relay = over.relay(1, &[]).await;
    let mut wanted = into_queue(&["canvas.changed"]);
    wanted[0]["quiet"] = "500ms".into();
    hooks(&relay, wanted).await;
    let mut ada = relay.join(0, "board-1").await;
    for n in 0..4 {
        ada.commit(create(&n.to_string())).await;
    }
    let events = pop(&relay, 0, "events", 1).await;
    assert_eq!(types(&events), ["canvas.changed"]);
    assert_eq!(events[0]["data"], json!({"from_seq": 1, "to_seq": 4}));
    ada.commit(create("later")).await;
    let events = pop(&relay, 0, "events", 1).await;
    assert_eq!(events[0]["data"], json!({"from_seq": 5, "to_seq": 5}));
}

async fn events_that_have_no_room_become_a_gap_and_strokes_go_on(over: Over) {
    let relay = over.relay(1, &[]).await;
    let mut wanted = into_queue(&["object.*"]);
    wanted[0]["backlog"] = 2.into();
    hooks(&relay, wanted).await;
    let mut ada = relay.join(0, "board-1").await;
    for n in 0..6 {
        ada.commit(create(&n.to_string())).await;
    }
    // Over Redis they are told a moment later.
    crate::harness::eventually("four of them had no room", || async {
        let (_, shown) = ask(&relay, 0, "GET", "/api/v1/hooks", "").await;
        let shown: Value = serde_json::from_str(&shown).expect("it is there");
        (shown["dropped"] == 4).then_some(())
    })
    .await;
    let events = pop(&relay, 0, "events", 3).await;
    assert_eq!(
        types(&events),
        ["object.created", "object.created", "canvas.gap"]
    );
    assert_eq!(events[2]["data"], json!({"from_seq": 3, "to_seq": 6}));
    ada.commit(create("after")).await;
    let events = pop(&relay, 0, "events", 1).await;
    assert_eq!(
        (types(&events), &events[0]["seq"]),
        (vec!["object.created"], &json!(7))
    );
}

async fn a_batch_on_a_large_object_is_told_in_part_and_the_rest_is_a_gap(over: Over) {
    const PATCHES: usize = 900;
    let relay = over.relay(1, &[]).await;
    let mut wanted = into_queue(&["object.*"]);
    wanted[0]["include"] = "object".into();
    let mut said = into_queue(&["object.*"])[0].clone();
    (said["name"], said["queue"]) = ("said".into(), "said".into());
    wanted.as_array_mut().expect("a list").push(said);
    hooks(&relay, wanted).await;
    let text = "x".repeat(120_000);
    let mut large = create("large");
    large["object"]["text"] = text.as_str().into();
    let mut ada = relay.join(0, "board-1").await;
    ada.commit(large).await;
    assert_eq!(pop(&relay, 0, "events", 1).await[0]["seq"], 1);

    let patch = |x: usize| json!({"type": "object-update", "id": "large", "patch": {"x": x}});
    let batch: Vec<Value> = (0..PATCHES).map(patch).collect();
    let batch = json!({"type": "batch", "ops": batch}).to_string();
    let path = "/api/v1/canvases/board-1/messages";
    let (status, answer) = ask(&relay, 0, "POST", path, &batch).await;
    assert_eq!(status, 200, "{answer}");
    ada.reach(1 + PATCHES as u64).await;
    ada.commit(create("after")).await;

    // Some have the object as it was then, and gaps stand for the rest of them: one for each turn that it took.
    let some = 2 * 1024 * 1024 / 120_000;
    let mut events = pop(&relay, 0, "events", some + 2).await;
    while events
        .last()
        .is_some_and(|last| last["type"] == "canvas.gap")
    {
        events.extend(pop(&relay, 0, "events", 1).await);
    }
    for (at, event) in events[..some].iter().enumerate() {
        let object = &event["data"]["object"];
        assert_eq!((&event["seq"], &object["x"]), (&json!(at + 2), &json!(at)));
        assert_eq!(object["text"].as_str().map(str::len), Some(text.len()));
    }
    let (after, gaps) = events[some..].split_last().expect("an event");
    let mut from = some as u64 + 2;
    for gap in gaps {
        assert_eq!(
            (&gap["type"], &gap["data"]["from_seq"]),
            (&json!("canvas.gap"), &json!(from))
        );
        from = gap["data"]["to_seq"].as_u64().expect("a number") + 1;
    }
    assert_eq!(from, PATCHES as u64 + 2);
    assert_eq!(after["data"]["object"]["id"], "after");
    is_empty(&relay, "events").await;
    // Who wants only what was said misses nothing.
    let events = pop(&relay, 0, "said", PATCHES + 2).await;
    let seqs: Vec<u64> = events
        .iter()
        .filter_map(|event| event["seq"].as_u64())
        .collect();
    assert_eq!(seqs, (1..=PATCHES as u64 + 2).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_process_killed_at_its_commit_leaves_neither_a_stroke_nor_an_event_alone() {
    let over = Over::file();
    let mut relay = over.relay(1, &["--message-ttl=10m"]).await;
    hooks(&relay, into_queue(&["object.*"])).await;
    let dying = relay.add(&["--fail-point=before-commit=abort@25"]).await;
    let mut ada = relay.join(dying, "board-1").await;
    let mut n = 0;
    while ada.try_op(create(&n.to_string())).await.is_ok() && ada.settle().await.is_ok() {
        n += 1;
    }
    let (_, shown) = ask(&relay, 0, "GET", "/api/v1/canvases/board-1", "").await;
    let shown: Value = serde_json::from_str(&shown).expect("it is there");
    let head = shown["head"].as_u64().expect("it is there");
    assert!(head >= n && n > 3, "{n} were acknowledged: {shown}");
    let events = pop(
        &relay,
        0,
        "events",
        usize::try_from(head).expect("it is there"),
    )
    .await;
    let places: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().expect("it is there"))
        .collect();
    assert_eq!(places, (1..=head).collect::<Vec<_>>());
}

async fn a_file_of_hooks_is_followed_and_read_again(over: Over) {
    let folder = tempfile::tempdir().expect("it is there");
    let file = folder.path().join("hooks.toml");
    let text = |queue: &str| {
        format!(
            "[[hook]]\nname = \"save\"\ncanvases = [\"*\"]\nevents = [\"chat.sent\"]\nqueue = \"{queue}\"\n"
        )
    };
    std::fs::write(&file, text("first")).expect("it is there");
    let flag = format!("--hooks={}", file.display());
    let mut relay = over.relay(2, &[&flag]).await;
    let mut ada = relay.join(over.n(1), "board").await;
    ada.commit(json!({"type": "chat", "text": "one"})).await;
    assert_eq!(pop(&relay, 0, "first", 1).await[0]["data"]["text"], "one");

    // A wrong file changes nothing, and says so.
    std::fs::write(&file, text("first").replace("chat.sent", "chat.said")).expect("it is there");
    relay.process(0).signal(rustix::process::Signal::HUP);
    crate::harness::soon("a word of it", async {
        while !relay.log(0).contains("chat.said") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // The process that started first has said it once.
    let followed = |relay: &Relay| {
        let log = relay.log(0);
        log.matches("the relay's hooks are those of this file")
            .count()
    };
    let before = followed(&relay);
    std::fs::write(&file, text("second")).expect("it is there");
    relay.process(0).signal(rustix::process::Signal::HUP);
    crate::harness::soon("the other hooks", async {
        while followed(&relay) == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    ada.commit(json!({"type": "chat", "text": "two"})).await;
    assert_eq!(pop(&relay, 0, "second", 1).await[0]["data"]["text"], "two");
    is_empty(&relay, "first").await;
}

async fn hooks_that_are_wrong_are_refused_with_their_field_and_secrets_are_not_shown(over: Over) {
    let relay = over.relay(1, &[]).await;
    for (body, why) in [
        ("{}", "hooks"),
        (
            r#"{"hooks":[{"name":"a","canvases":["*"],"events":["no.event"],"queue":"q"}]}"#,
            "events",
        ),
        (
            r#"{"hooks":[{"name":"a","canvases":["*"],"events":["*"],"queue":"q","more":1}]}"#,
            "more",
        ),
        (
            r#"{"hooks":[{"name":"a","canvases":["*"],"events":["*"],"url":"http://10.0.0.1/","secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}]}"#,
            "allow_private",
        ),
        (
            r#"{"hooks":[{"name":"a","canvases":["*"],"events":["*"],"url":"https://a.example/","secrets":["whsec_***"]}]}"#,
            "secrets",
        ),
    ] {
        let (status, told) = ask(&relay, 0, "PUT", "/api/v1/hooks", body).await;
        assert_eq!(status, 400, "{body}");
        assert!(told.contains(why), "{told}");
    }
    hooks(&relay, webhook("https://a.example/hook", 1)).await;
    let (_, shown) = ask(&relay, 0, "GET", "/api/v1/hooks", "").await;
    assert!(
        shown.contains("whsec_***") && !shown.contains(SECRET),
        "{shown}"
    );
}

fn webhook(url: &str, batch: u32) -> Value {
    json!([{
        "name": "tell", "canvases": ["board-*"], "events": ["chat.sent"], "url": url,
        "secrets": [SECRET, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"], "batch": batch, "allow_private": true,
    }])
}

/// A request that a receiver got.
struct Got {
    headers: Vec<(String, String)>,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("{name} is missing")).1
    }

    /// The signature is right, as a receiver that knows the first secret checks it.
    fn check(&self) {
        let key = STANDARD
            .decode(SECRET.trim_start_matches("whsec_"))
            .expect("it is there");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("it is there");
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        mac.update(format!("{id}.{at}.{}", self.body).as_bytes());
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let signed: Vec<&str> = self.header("webhook-signature").split(' ').collect();
        assert_eq!((signed.len(), signed[0]), (2, &*wanted));
    }

    fn events(&self) -> Vec<Value> {
        let body: Value = serde_json::from_str(&self.body).expect("it is there");
        match body["events"].as_array() {
            Some(events) => events.clone(),
            None => vec![body],
        }
    }
}

/// What a receiver got, as long as it is there.
struct Receiver {
    got: mpsc::Receiver<Got>,
    _task: JoinSet<()>,
}

/// A receiver of webhooks that answers with these statuses, one after the other; then with 204.
async fn receiver(statuses: &[&str]) -> (SocketAddr, Receiver) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it is there");
    let address = listener.local_addr().expect("it is there");
    let (sender, got) = mpsc::channel(100);
    let mut statuses: Vec<String> = statuses
        .iter()
        .rev()
        .map(|status| (*status).to_owned())
        .collect();
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(request) = request(&mut stream).await {
                let status = statuses
                    .pop()
                    .unwrap_or_else(|| "204 No Content".to_owned());
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = sender.send(request).await;
            }
        }
    });
    (address, Receiver { got, _task: task })
}

async fn request(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("it is there");
    let headers: Vec<(String, String)> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.expect("it is there").1.parse().expect("it is there");
    while bytes.len() < head + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = String::from_utf8(bytes[head + 4..].to_vec()).expect("it is there");
    Some(Got { headers, body })
}

async fn next(receiver: &mut Receiver) -> Got {
    let got = crate::harness::soon("a delivery", receiver.got.recv())
        .await
        .expect("it is there");
    got.check();
    got
}

async fn say(client: &mut Client, texts: &[&str]) {
    for text in texts {
        client.op(json!({"type": "chat", "text": text})).await;
    }
    client.settle().await.expect("it is committed");
}

fn said(got: &Got) -> Vec<String> {
    let events = got.events();
    events
        .iter()
        .map(|event| {
            event["data"]["text"]
                .as_str()
                .expect("it is there")
                .to_owned()
        })
        .collect()
}

async fn webhooks_are_signed_and_in_order_and_what_fails_comes_again(over: Over) {
    let relay = over.relay(2, &[]).await;
    let (address, mut got) = receiver(&["200 OK", "500 Internal Server Error"]).await;
    hooks(&relay, webhook(&format!("http://{address}/hook"), 1)).await;
    let mut ada = relay.join(0, "board-1").await;
    say(&mut ada, &["one", "two", "three"]).await;
    let first = next(&mut got).await;
    assert_eq!(said(&first), ["one"]);
    assert_eq!(first.header("content-type"), "application/json");
    let failed = next(&mut got).await;
    assert_eq!(said(&failed), ["two"]);
    let again = next(&mut got).await;
    assert_eq!(said(&again), ["two"], "nothing overtakes what failed");
    assert_eq!(again.header("webhook-id"), failed.header("webhook-id"));
    assert_eq!(said(&next(&mut got).await), ["three"]);
}

async fn events_of_one_canvas_come_in_batches(over: Over) {
    let relay = over.relay(1, &[]).await;
    let (address, mut got) = receiver(&[]).await;
    // Written first: all of it waits when the first request is made.
    hooks(&relay, json!([{ "name": "tell", "canvases": ["board-*"], "events": ["chat.sent"], "queue": "scratch" }])).await;
    let mut ada = relay.join(0, "board-1").await;
    hooks(&relay, webhook(&format!("http://{address}/hook"), 10)).await;
    say(&mut ada, &["1", "2", "3", "4", "5", "6"]).await;
    let mut all = Vec::new();
    while all.len() < 6 {
        let got = next(&mut got).await;
        let body: Value = serde_json::from_str(&got.body).expect("it is there");
        assert!(
            body["type"] == "batch" || body["type"] == "chat.sent",
            "{body}"
        );
        all.extend(said(&got));
    }
    assert_eq!(all, ["1", "2", "3", "4", "5", "6"]);
}

async fn a_receiver_that_is_gone_turns_its_hook_off(over: Over) {
    let relay = over.relay(2, &[]).await;
    let (address, mut got) = receiver(&["410 Gone"]).await;
    hooks(&relay, webhook(&format!("http://{address}/hook"), 1)).await;
    let mut ada = relay.join(0, "board-1").await;
    say(&mut ada, &["one"]).await;
    next(&mut got).await;
    for n in 0..=over.n(1) {
        crate::harness::soon("the hook is off", async {
            loop {
                let (_, shown) = ask(&relay, n, "GET", "/api/v1/hooks", "").await;
                let shown: Value = serde_json::from_str(&shown).expect("it is there");
                if shown["hooks"][0]["off"].is_string() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
    say(&mut ada, &["two"]).await;
    let more = tokio::time::timeout(Duration::from_millis(500), got.got.recv()).await;
    assert!(more.is_err(), "it is told no more");
}
