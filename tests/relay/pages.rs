//! What is served over plain HTTP.

use crate::harness::{Relay, http};

#[tokio::test]
async fn the_page_and_all_it_needs_are_in_the_binary() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    for path in ["/", "/c/board", "/c/board/"] {
        let page = relay.get(0, path).await.expect("an answer");
        assert_eq!(page.status, 200);
        assert!(
            page.header("content-type").starts_with("text/html"),
            "{path}"
        );
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
        for reference in references(path, &page.body) {
            let file = relay.get(0, &reference).await.expect("an answer");
            assert_eq!(file.status, 200, "{reference} of {path}");
            let etag = format!("If-None-Match: {}\r\n", file.header("etag"));
            let again = http::get(relay.address(0), &reference, &etag).await;
            assert_eq!(again.expect("an answer").status, 304, "{reference}");
        }
    }
    assert_eq!(
        relay.get(0, "/c/-bad").await.expect("an answer").status,
        400
    );
    assert_eq!(
        relay.get(0, "/nothing").await.expect("an answer").status,
        404
    );
}

/// What a page loads from this server. Its references are relative to it, so that it may lie below any path.
fn references(page: &str, html: &str) -> Vec<String> {
    let parts = html.split(['"', '\'']);
    let found: Vec<String> = parts
        .filter(|part| part.starts_with("./") || part.starts_with("../"))
        .filter(|part| !part.contains([' ', '%']))
        .map(|part| resolved(page, part))
        .collect();
    assert!(found.len() > 1, "{html}");
    found
}

/// A relative reference as a browser resolves it.
fn resolved(page: &str, reference: &str) -> String {
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    for part in reference.split('/') {
        match part {
            "." => {}
            ".." => _ = folders.pop(),
            name => folders.push(name),
        }
    }
    folders.join("/")
}

#[tokio::test]
async fn the_client_library_is_served() {
    let relay = Relay::start(1, &["--queue", "off"]).await;
    let client = relay.get(0, "/client.js").await.expect("an answer");
    assert_eq!(client.status, 200);
    assert!(client.header("content-type").starts_with("text/javascript"));
    assert!(client.body.contains("export"));
}

#[tokio::test]
async fn health_and_numbers_are_served() {
    let relay = Relay::start(1, &["--instance-id", "one"]).await;
    let _client = relay.join(0, "board").await;
    let get = async |path: &str| relay.get(0, path).await.expect("an answer");
    assert_eq!(get("/healthz").await.status, 200);
    assert_eq!(get("/readyz").await.status, 200);
    let metrics = get("/metrics").await;
    assert!(
        metrics.body.contains("scumble_connections 1"),
        "{}",
        metrics.body
    );
    let stats = get("/api/v1/stats").await.json();
    assert_eq!(stats["instance_id"], "one");
    assert_eq!(stats["connections"], 1);
    assert_eq!(stats["instances"][0]["instance_id"], "one");
}
