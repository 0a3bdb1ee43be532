//! What is kept for seconds only has a bound in the file too, and whoever floods it takes nothing from messages.

use serde_json::json;

use crate::harness::Relay;

/// What rows in nobody's log add up to, beyond what is noted.
const BEYOND: &str =
    "SELECT (SELECT coalesce(sum(160 + octet_length(payload)), 0) FROM message_queue
     WHERE seq IS NULL AND message_type <> 'signal') - ephemeral_bytes FROM totals";

#[tokio::test]
async fn rows_of_presence_and_pointers_are_counted_while_they_are_kept() {
    let flags = ["--cursor-ttl=2s", "--cleanup-interval=300ms"];
    let relay = Relay::start(2, &flags).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(1, "board").await;
    for n in 0..20 {
        ada.say(json!({"type": "presence", "state": {"n": n, "text": "x".repeat(1_000)}}))
            .await;
        ada.say(json!({"type": "cursor", "x": n, "y": 1})).await;
    }
    ben.until(|m| m["type"] == "presence" && m["state"]["n"] == 19)
        .await;
    ben.until(|m| m["type"] == "cursor-batch").await;
    assert_eq!(relay.number(BEYOND), 0);
    let most = "SELECT max(ephemeral_bytes) FROM canvases";
    assert!(relay.number(most) > 2_000);
    relay.until_number(most, |bytes| bytes == 0).await;
    assert_eq!(relay.number("SELECT ephemeral_bytes FROM totals"), 0);
}

#[tokio::test]
async fn without_room_for_news_others_read_who_is_here_and_messages_go_on() {
    let relay = Relay::start(2, &[]).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(1, "board").await;
    let full = "UPDATE canvases SET ephemeral_bytes = 1 << 30";
    relay.writer().execute(full, []).expect("written");
    let state = json!({"text": "x".repeat(5_000)});
    ada.say(json!({"type": "presence", "state": state})).await;
    let told = ben.until(|m| m["type"] == "presence").await;
    assert_eq!(told["state"], state);
    let cy = relay.join(0, "board").await;
    ben.until(|m| m["type"] == "user-connected" && m["client"] == cy.id.as_str())
        .await;
    let largest = "SELECT max(octet_length(payload)) FROM message_queue WHERE id >
         (SELECT max(id) - 2 FROM message_queue WHERE seq IS NULL)";
    assert!(relay.number(largest) < 100, "{}", relay.number(largest));
    // Pointers are not kept; messages have their own room.
    let pointers = "SELECT count(*) FROM message_queue WHERE message_type = 'cursor-batch'";
    ada.say(json!({"type": "cursor", "x": 1, "y": 1})).await;
    ada.commit(json!({"type": "chat", "text": "x"})).await;
    ben.reach(1).await;
    assert_eq!(relay.number(pointers), 0);
    // Another canvas has its share of the room.
    let mut dee = relay.join(0, "other").await;
    let mut eve = relay.join(1, "other").await;
    dee.say(json!({"type": "cursor", "x": 1, "y": 1})).await;
    eve.until(|m| m["type"] == "cursor-batch").await;
    assert!(relay.number(pointers) > 0);
}
