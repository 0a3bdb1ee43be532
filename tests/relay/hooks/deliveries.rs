//! The history of deliveries: what receivers answered, whichever process asked them, and what comes next.

use super::*;

everywhere!(
    each_attempt_says_what_the_receiver_did,
    the_history_is_asked_page_by_page_and_what_is_wrong_is_named,
    what_is_dead_is_sent_again_and_the_history_says_so,
);

/// The history of the hook, as soon as it has so many rows. Asked of the other process than the one that took the messages.
async fn history(relay: &Relay, n: usize, hook: &str, count: usize) -> Vec<Value> {
    crate::harness::soon("the history", async {
        loop {
            let path = format!("/api/v1/hooks/{hook}/deliveries");
            let (status, body) = ask(relay, n, "GET", &path, "").await;
            // A process that had nothing to do since may not know the hook yet.
            assert!([200, 404].contains(&status), "{body}");
            let body: Value = serde_json::from_str(&body).expect("it is JSON");
            let rows = body["deliveries"].as_array();
            if let Some(rows) = rows.filter(|rows| rows.len() >= count) {
                return rows.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

fn hook(name: &str, url: &str) -> Value {
    let mut hook = webhook(url, 1)[0].clone();
    hook["name"] = name.into();
    hook["canvases"] = json!([format!("{name}-*")]);
    hook
}

/// The first attempt for a hook.
async fn last(relay: &Relay, n: usize, hook: &str) -> Value {
    let rows = history(relay, n, hook, 1).await;
    rows.last().expect("a row").clone()
}

fn has_moved(moved: &Value) {
    assert_eq!(
        (&moved["status"], &moved["outcome"]),
        (&json!(302), &json!("retry"))
    );
    let error = moved["error"].as_str().expect("words");
    assert!(error.contains("redirects are not followed"), "{error}");
    assert_eq!(moved["canvas"], "moved-1");
    assert_eq!(
        (&moved["type"], &moved["events"]),
        (&json!("chat.sent"), &json!(1))
    );
    let due = moved["next_at"].as_i64().expect("a time") - moved["at"].as_i64().expect("a time");
    assert!((4_000..10_000).contains(&due), "{moved}");
}

async fn each_attempt_says_what_the_receiver_did(over: Over) {
    let relay = over.relay(2, &[]).await;
    let (moved, _moved) = receiver(&["302 Found"]).await;
    let (fails, _fails) = receiver(&["500 Internal Server Error", "200 OK"]).await;
    let (gone, _gone) = receiver(&["410 Gone"]).await;
    // Takes the request, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let deaf = silent.local_addr().expect("an address");
    // Nobody listens there any more.
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = nobody.local_addr().expect("an address");
    drop(nobody);
    let receivers = [
        ("moved", moved),
        ("fails", fails),
        ("gone", gone),
        ("deaf", deaf),
        ("closed", closed),
    ];
    let all = receivers.map(|(name, address)| hook(name, &format!("http://{address}/")));
    hooks(&relay, json!(all)).await;
    for (name, _) in receivers {
        let mut ada = relay.join(0, &format!("{name}-1")).await;
        say(&mut ada, &["one"]).await;
    }

    has_moved(&last(&relay, over.n(1), "moved").await);

    let gone = last(&relay, over.n(1), "gone").await;
    assert_eq!(
        (&gone["status"], &gone["outcome"]),
        (&json!(410), &json!("off"))
    );
    assert_eq!(gone["next_at"], Value::Null);

    let closed = last(&relay, over.n(1), "closed").await;
    assert_eq!(
        (&closed["status"], &closed["outcome"]),
        (&Value::Null, &json!("retry"))
    );
    assert!(
        closed["error"].as_str().expect("words").contains("refused"),
        "{closed}"
    );

    let fails = history(&relay, over.n(1), "fails", 2).await;
    let [second, first] = &fails[..] else {
        panic!("{fails:?}")
    };
    assert_eq!(
        (&first["status"], &first["attempt"]),
        (&json!(500), &json!(1))
    );
    assert_eq!(
        (&second["status"], &second["attempt"]),
        (&json!(200), &json!(2))
    );
    assert_eq!(
        (&second["outcome"], &second["error"]),
        (&json!("delivered"), &Value::Null)
    );
    assert_eq!(first["id"], second["id"]);

    let deaf = last(&relay, over.n(1), "deaf").await;
    assert_eq!(deaf["error"], "no answer within 15 s");
    let took = deaf["took_ms"].as_i64().expect("a time");
    assert!((14_500..20_000).contains(&took), "{deaf}");
    drop(silent);
}

async fn the_history_is_asked_page_by_page_and_what_is_wrong_is_named(over: Over) {
    let relay = over.relay(2, &[]).await;
    let (address, _got) = receiver(&[]).await;
    let into = json!({"name": "save", "canvases": ["*"], "events": ["chat.sent"], "queue": "q"});
    let tell = hook("tell", &format!("http://{address}/"));
    hooks(&relay, json!([tell, into])).await;
    let mut ada = relay.join(0, "tell-1").await;
    say(&mut ada, &["1", "2", "3"]).await;
    history(&relay, over.n(1), "tell", 3).await;
    let page = async |query: &str| -> Value {
        let path = format!("/api/v1/hooks/tell/deliveries{query}");
        let (status, body) = ask(&relay, 0, "GET", &path, "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("it is JSON")
    };
    let first = page("?limit=2").await;
    let numbers = |page: &Value| -> Vec<i64> {
        let rows = page["deliveries"].as_array().expect("a list");
        rows.iter().filter_map(|row| row["n"].as_i64()).collect()
    };
    assert_eq!((numbers(&first), &first["next"]), (vec![3, 2], &json!(2)));
    let second = page("?limit=2&before=2").await;
    assert_eq!((numbers(&second), &second["next"]), (vec![1], &Value::Null));

    for (path, status, why) in [
        ("tell/deliveries?limit=0", 400, "limit"),
        ("tell/deliveries?limit=257", 400, "from 1 to 256"),
        ("tell/deliveries?limit=many", 400, "limit"),
        ("tell/deliveries?after=3", 400, "after"),
        ("nobody/deliveries", 404, "no hook"),
        ("save/deliveries", 400, "url"),
    ] {
        let path = format!("/api/v1/hooks/{path}");
        let (got, body) = ask(&relay, 0, "GET", &path, "").await;
        assert_eq!(got, status, "{path}: {body}");
        assert!(body.contains(why), "{path}: {body}");
    }
}

async fn what_is_dead_is_sent_again_and_the_history_says_so(over: Over) {
    let relay = over.relay(2, &[]).await;
    let (address, mut got) = receiver(&["500 Internal Server Error", "500 No"]).await;
    hooks(&relay, json!([hook("tell", &format!("http://{address}/"))])).await;
    let mut ada = relay.join(0, "tell-1").await;
    say(&mut ada, &["one"]).await;
    next(&mut got).await;
    // It comes again. With the options that follow it would not.
    let rows = history(&relay, over.n(1), "tell", 1).await;
    assert_eq!(rows[0]["outcome"], "retry", "{rows:?}");
    // Each process sets the queue's options when it begins to deliver: only then they may be others.
    let rows = crate::harness::soon("it is given up", async {
        loop {
            let few = json!({"queue": "scumble.hook.tell", "options": {"retryLimit": 0}});
            let (status, body) =
                ask(&relay, 0, "POST", "/api/v1/configure", &few.to_string()).await;
            assert_eq!(status, 200, "{body}");
            let rows = history(&relay, over.n(1), "tell", 1).await;
            if rows.len() == 2 {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    assert_eq!(
        (&rows[0]["outcome"], &rows[0]["next_at"]),
        (&json!("dead"), &Value::Null)
    );
    let letter = rows[0]["dead_letter"].as_str().expect("its id");
    let path = format!("/api/v1/dlq/{letter}/replay");
    let (status, body) = ask(&relay, over.n(1), "POST", &path, "{}").await;
    assert_eq!(status, 200, "{body}");
    let rows = history(&relay, over.n(1), "tell", 3).await;
    assert_eq!(rows[0]["outcome"], "delivered");
    assert_eq!(rows[0]["id"], rows[1]["id"]);
    assert_eq!(
        rows[1]["dead_letter"],
        Value::Null,
        "it is no dead letter any more"
    );
}
