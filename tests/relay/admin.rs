//! The dashboard at `/admin`: who gets in, what for, and the numbers that it shows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::http::{self, Answer};
use crate::harness::{Relay, eventually};
use crate::redis_server::RedisServer;

const ADMIN: &str = "the-token-of-the-operators-here";
const READER: &str = "the-token-of-those-who-only-read";

/// A browser with a page of a process, as far as a server can tell.
struct Browser<'a> {
    relay: &'a Relay,
    n: usize,
    /// What it sends along.
    cookie: String,
}

impl<'a> Browser<'a> {
    fn at(relay: &'a Relay, n: usize) -> Self {
        let cookie = String::new();
        Self { relay, n, cookie }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let address = self.relay.address(self.n);
        let headers = format!(
            "Host: {address}\r\nOrigin: http://{address}\r\nSec-Fetch-Site: same-origin\r\nX-Scumble-Admin: 1\r\n{}",
            self.cookie
        );
        self.with(method, path, &headers, body).await
    }

    async fn with(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let path = format!("/admin/api/{path}");
        let answer = http::ask(self.relay.address(self.n), method, &path, headers, body).await;
        answer.expect("an answer")
    }

    /// Logs in; gives the answer.
    async fn log_in(&mut self, token: &str) -> Answer {
        let body = json!({ "token": token }).to_string();
        let answer = self.ask("POST", "session", &body).await;
        if let Some(pair) = answer.header("set-cookie").split(';').next() {
            self.cookie = format!("Cookie: other=1; {pair}\r\n");
        }
        answer
    }
}

async fn with_tokens(processes: usize, flags: &[&str]) -> (Relay, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("tokens");
    fs::write(
        &file,
        format!("ops admin {ADMIN}\nshop read,manage {READER}\n"),
    )
    .expect("a file");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its mode");
    let file = file.display().to_string();
    let flags = [&["--api-token-file", &file], flags].concat();
    (Relay::start(processes, &flags).await, dir)
}

#[tokio::test]
async fn a_login_on_one_process_is_good_on_the_other_and_ends_with_the_logout() {
    let (relay, _dir) = with_tokens(2, &[]).await;
    let mut ops = Browser::at(&relay, 0);
    assert_eq!(ops.ask("GET", "session", "").await.json()["open"], false);
    assert_eq!(ops.ask("GET", "analytics", "").await.status, 401);

    let answer = ops.log_in(ADMIN).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Max-Age=28800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains(ADMIN) && !cookie.contains("Secure"),
        "{cookie}"
    );

    ops.n = 1;
    assert_eq!(ops.ask("GET", "session", "").await.json()["name"], "ops");
    let seen = ops.ask("GET", "analytics", "").await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(
        seen.json()["instances"].as_array().expect("a list").len(),
        2
    );
    // The cookie is the dashboard's and nobody else's.
    let api = http::get(relay.address(1), "/api/v1/canvases", &ops.cookie).await;
    assert_eq!(api.expect("an answer").status, 401);

    let out = ops.ask("DELETE", "session", "").await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    let forged = ops.cookie.replace("ops.", "ops.9");
    ops.cookie = forged;
    assert_eq!(ops.ask("GET", "analytics", "").await.status, 401);
}

/// The list that operators search has the canvases that nobody is on, whatever store there is.
async fn every_canvas_is_listed(flags: &[&str]) {
    let (relay, _dir) = with_tokens(1, flags).await;
    let mut ops = Browser::at(&relay, 0);
    assert_eq!(ops.log_in(ADMIN).await.status, 200);
    for name in ["Board-a", "other-b", "board-c"] {
        let mut ada = relay.join(0, name).await;
        let object = json!({"id": "a", "kind": "rect", "words": "some of them"});
        ada.commit(json!({"type": "object-create", "object": object}))
            .await;
        ada.say(json!({"type": "bye"})).await;
    }
    let _ben = relay.join(0, "board-d").await;
    let names = |answer: &Answer| -> Vec<String> {
        let said = answer.json();
        let rows = said["canvases"].as_array().expect("a list").clone();
        let name = |row: &Value| row["canvas"].as_str().expect("a name").to_owned();
        rows.iter().map(name).collect()
    };
    eventually("those who left are gone", || async {
        let answer = ops.ask("GET", "all-canvases?people=true", "").await;
        (names(&answer) == ["board-d"]).then_some(())
    })
    .await;
    let all = ops.ask("GET", "all-canvases", "").await;
    assert_eq!(names(&all), ["Board-a", "board-c", "board-d", "other-b"]);
    let row = &all.json()["canvases"][0];
    assert_eq!(
        (&row["objects"], &row["head"], &row["members"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert!(row["object_bytes"].as_u64().expect("bytes") > 20, "{row}");
    let part = ops
        .ask("GET", "all-canvases?search=BOARD&limit=2", "")
        .await;
    assert_eq!(
        (names(&part), &part.json()["next"]),
        (
            vec!["Board-a".to_owned(), "board-c".to_owned()],
            &json!("board-c")
        )
    );
    let rest = ops
        .ask("GET", "all-canvases?search=board&limit=2&after=board-c", "")
        .await;
    assert_eq!(names(&rest), ["board-d"]);
}

#[tokio::test]
async fn every_canvas_of_a_file_is_listed() {
    every_canvas_is_listed(&[]).await;
}

#[tokio::test]
async fn every_canvas_of_memory_is_listed() {
    every_canvas_is_listed(&["--queue", "off"]).await;
}

#[tokio::test]
async fn every_canvas_of_a_redis_is_listed() {
    let server = RedisServer::start();
    every_canvas_is_listed(&["--redis", &server.url()]).await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_late_and_counted_and_a_right_one_is_not_held_up() {
    let (relay, _dir) = with_tokens(1, &[]).await;
    let mut ops = Browser::at(&relay, 0);
    let begun = Instant::now();
    let wrong = ops.log_in("none of the tokens at all").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    assert!(begun.elapsed() >= Duration::from_millis(900));
    let scopeless = ops.log_in(READER).await;
    assert_eq!(scopeless.status, 403, "{scopeless:?}");
    assert!(
        scopeless.body.contains("shop has no scope admin"),
        "{scopeless:?}"
    );

    let guess = json!({ "token": "a guess, one of many" }).to_string();
    let guesser = Browser::at(&relay, 0);
    let guesses =
        futures::future::join_all((0..12).map(|_| guesser.ask("POST", "session", &guess)));
    let mut hurried = Browser::at(&relay, 0);
    let (answers, right) = tokio::join!(guesses, hurried.log_in(ADMIN));
    assert_eq!(right.status, 200, "a right token is let in meanwhile");
    let held: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert!(held.contains(&429) && held.contains(&401), "{held:?}");

    let metrics = relay.get(0, "/metrics").await.expect("an answer").body;
    let counted = "scumble_admin_login_failures_total 14";
    assert!(metrics.contains(counted), "{metrics}");
    let log = eventually("a line that says so", || async {
        let log = relay.log(0);
        log.contains("a login at the dashboard was refused")
            .then_some(log)
    })
    .await;
    assert!(!log.contains(ADMIN) && !log.contains(READER), "{log}");
}

#[tokio::test]
async fn another_page_in_the_same_browser_can_neither_look_nor_change_anything() {
    let (relay, _dir) = with_tokens(1, &["--admin-writes"]).await;
    let _ada = relay.join(0, "board").await;
    let mut ops = Browser::at(&relay, 0);
    assert_eq!(ops.log_in(ADMIN).await.status, 200);
    let host = relay.address(0);
    let own = "X-Scumble-Admin: 1\r\n";
    for foreign in [
        // A form, or a link: no header of one's own.
        format!("Origin: http://{host}\r\n"),
        format!("{own}Origin: http://evil.test\r\n"),
        format!("{own}Origin: null\r\n"),
        format!("{own}Origin: http://{host}\r\nSec-Fetch-Site: cross-site\r\n"),
        format!("{own}Origin: http://{host}\r\nSec-Fetch-Site: same-site\r\n"),
        own.to_owned(),
    ] {
        let headers = format!("Host: {host}\r\n{foreign}{}", ops.cookie);
        let answer = ops.with("DELETE", "canvases/board", &headers, "").await;
        assert_eq!(answer.status, 403, "{foreign}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "",
            "{foreign}"
        );
    }
    let bearer = format!("Host: {host}\r\nAuthorization: Bearer {ADMIN}\r\n");
    let answer = ops.with("GET", "analytics", &bearer, "").await;
    assert_eq!(answer.status, 403, "programs have /api/v1");
    assert_eq!(ops.ask("DELETE", "canvases/board", "").await.status, 200);
    eventually("a line that says so", || async {
        let log = relay.log(0);
        log.contains("changed through the dashboard").then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_admin_writes_it_only_looks() {
    let (relay, _dir) = with_tokens(1, &[]).await;
    let _ada = relay.join(0, "board").await;
    let mut ops = Browser::at(&relay, 0);
    ops.log_in(ADMIN).await;
    assert_eq!(ops.ask("GET", "session", "").await.json()["writes"], false);
    for path in ["canvases", "canvases/board/members", "queues", "dlq"] {
        let answer = ops.ask("GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    for (method, path) in [
        ("DELETE", "canvases/board"),
        ("POST", "canvases/board/clients/client-ada/disconnect"),
        ("POST", "dlq/1/replay"),
        ("POST", "dlq/1/reviewed"),
    ] {
        let answer = ops.ask(method, path, "{}").await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.body.contains("--admin-writes"), "{answer:?}");
    }
    // What takes jobs out of a queue is not there at all, although it is a GET.
    assert_eq!(ops.ask("GET", "pop/queue/work", "").await.status, 404);
}

#[tokio::test]
async fn without_tokens_it_is_for_browsers_of_this_host() {
    let relay = Relay::start(1, &["--queue", "off", "--admin-writes"]).await;
    let local = Browser::at(&relay, 0);
    let session = local.ask("GET", "session", "").await.json();
    assert_eq!(
        (&session["open"], &session["tokens"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(local.ask("GET", "analytics", "").await.status, 200);
    let host = relay.address(0);
    let own = format!("Host: {host}\r\nX-Scumble-Admin: 1\r\n");
    for strange in [
        format!("{own}X-Forwarded-For: 192.0.2.7\r\n"),
        "Host: rebound.test\r\nX-Scumble-Admin: 1\r\n".to_owned(),
    ] {
        for path in ["session", "analytics"] {
            let answer = local.with("GET", path, &strange, "").await;
            assert_eq!(answer.status, 403, "{strange}");
            assert!(answer.body.contains("--api-token-file"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_page_is_whole_small_and_under_a_policy_of_its_own() {
    let relay = Relay::start(1, &["--queue", "off", "--demo", "off"]).await;
    let mut bytes = 0;
    for (page, way) in [("/admin", "./admin/"), ("/admin/", "./")] {
        let page = relay.get(0, page).await.expect("an answer");
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("connect-src 'self';"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("ws"),
            "{policy}"
        );
        assert!(page.body.contains(&format!("src=\"{way}admin.js\"")));
        assert!(!page.body.contains("=\"http"), "nothing from elsewhere");
    }
    for file in ["/admin", "/admin/admin.js", "/admin/admin.css"] {
        let file = relay.get(0, file).await.expect("an answer");
        assert_eq!(file.status, 200);
        bytes += file.body.len();
    }
    assert!(bytes < 200_000, "{bytes} bytes, not even compressed");
}

#[tokio::test]
async fn the_numbers_are_those_of_all_processes_whichever_is_asked() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(1, "board").await;
    for n in 1..=20 {
        ada.commit(json!({"type": "broadcast", "event": "e", "data": n}))
            .await;
    }
    ben.reach(20).await;
    for n in [0, 1] {
        let said = eventually("a sample of both", || async {
            let host = format!("Host: {}\r\n", relay.address(n));
            let path = "/api/v1/analytics?range=15m";
            let answer = http::ask(relay.address(n), "GET", path, &host, "");
            let said = answer.await.expect("an answer").json();
            let sum = |line: &str| -> u64 {
                let line = said["history"][line].as_array().expect("a line");
                line.iter().filter_map(Value::as_u64).sum()
            };
            (sum("messages") >= 20 && sum("deliveries") >= 40 && said["connections"] == 2)
                .then_some(said)
        })
        .await;
        assert_eq!(said["scope"], "relay");
        assert_eq!(said["health"]["state"], "healthy");
        let instances = said["instances"].as_array().expect("a list");
        assert_eq!(instances.len(), 2);
        assert!(
            instances.iter().all(|one| one["state"] == "healthy"),
            "{instances:?}"
        );
        assert!(said["live"]["commit"]["p99_ms"].as_f64().expect("a time") > 0.0);
        assert_eq!(
            said["history"]["at_ms"].as_array().expect("a line").len(),
            180
        );
    }
    for range in ["3h", "24h"] {
        let path = format!("/api/v1/analytics?range={range}");
        let host = format!("Host: {}\r\n", relay.address(0));
        let answer = http::ask(relay.address(0), "GET", &path, &host, "").await;
        assert_eq!(answer.expect("an answer").status, 200, "{range}");
    }
    // Bounded: the latest word of each process, and a row for each span that was not quiet.
    assert!(relay.number("SELECT count(*) FROM analytics WHERE step = 0") <= 2);
}
