//! The deletion of a large canvas: at once for everybody, and no work that others wait for.

use serde_json::json;

use crate::harness::{Relay, http};

const OBJECTS: &str = "SELECT count(*) FROM canvas_objects";

/// Puts so many objects on a canvas that is there, as messages would have.
fn fill(relay: &Relay, canvas: &str, objects: u32) {
    let conn = relay.writer();
    conn.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {objects})
         INSERT INTO canvas_objects SELECT key, 'many-' || i, i, i,
             '{{\"id\":\"many-' || i || '\",\"kind\":\"k\"}}' FROM n, canvases WHERE canvas_id = '{canvas}';
         UPDATE canvases SET objects = objects + {objects}, object_bytes = kept.bytes FROM
             (SELECT canvas_id AS of, sum(octet_length(props)) AS bytes FROM canvas_objects GROUP BY 1) AS kept
             WHERE kept.of = key;
         UPDATE totals SET stored_bytes = (SELECT sum(object_bytes + chat_bytes) FROM canvases);
         COMMIT;"
    ))
    .expect("filled");
}

async fn delete(relay: &Relay, n: usize, canvas: &str) {
    let path = format!("/api/v1/canvases/{canvas}");
    let asked = http::ask(relay.address(n), "DELETE", &path, "Host: localhost\r\n", "");
    assert_eq!(asked.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_large_canvas_is_gone_at_once_and_its_rows_go_in_the_background() {
    let relay = Relay::start(2, &["--max-objects=1000000"]).await;
    let mut ada = relay.join(0, "large").await;
    ada.commit(json!({"type": "object-create", "object": {"id": "a", "kind": "k"}}))
        .await;
    let mut ben = relay.join(1, "other").await;
    ben.commit(json!({"type": "object-create", "object": {"id": "b", "kind": "k"}}))
        .await;
    fill(&relay, "large", 60_000);
    delete(&relay, 1, "large").await;
    // Whoever is on it starts over, whoever comes finds it empty, and both write on.
    ada.until(|m| m["type"] == "resync").await;
    let mut late = relay.join(1, "large").await;
    assert!(late.model.objects.is_empty());
    late.commit(json!({"type": "object-create", "object": {"id": "many-7", "kind": "new"}}))
        .await;
    ada.reach(late.seq).await;
    assert_eq!((ada.model.objects.len(), &ada.epoch), (1, &late.epoch));
    while relay.number("SELECT count(*) FROM canvas_sweeps") > 0 {
        ben.commit(json!({"type": "chat", "text": "x"})).await;
    }
    assert_eq!(relay.number(OBJECTS), 2);
    let again = relay.join(0, "large").await;
    assert_eq!(
        again.model.object("many-7").map(|o| o["kind"].clone()),
        Some(json!("new"))
    );
    let counted =
        "SELECT stored_bytes - (SELECT sum(object_bytes + chat_bytes) FROM canvases) FROM totals";
    assert_eq!(relay.number(counted), 0);
}

/// Whoever comes next goes on with it.
#[tokio::test]
async fn what_was_being_swept_when_all_were_killed_is_swept_by_the_next() {
    let mut relay = Relay::start(1, &["--max-objects=1000000"]).await;
    let mut ada = relay.join(0, "large").await;
    ada.commit(json!({"type": "object-create", "object": {"id": "a", "kind": "k"}}))
        .await;
    fill(&relay, "large", 60_000);
    delete(&relay, 0, "large").await;
    relay.process(0).kill().await;
    let next = relay.add(&[]).await;
    let mut ben = relay.join(next, "large").await;
    assert!(ben.model.objects.is_empty());
    ben.commit(json!({"type": "object-create", "object": {"id": "a", "kind": "k"}}))
        .await;
    relay.until_number(OBJECTS, |n| n == 1).await;
    relay
        .until_number("SELECT count(*) FROM canvas_sweeps", |n| n == 0)
        .await;
}
