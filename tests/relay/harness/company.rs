//! Who is on a canvas, as a client was told.

use std::collections::BTreeSet;

use super::Client;

/// Who is on the canvas as a client was told: by its welcome, and what it heard since.
pub fn roster(client: &Client) -> BTreeSet<(String, bool)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut here = std::collections::BTreeMap::new();
    for user in client.welcome["users"].as_array().expect("users") {
        here.insert(text(&user["client"]), user["away"] == true);
    }
    // Of itself it knows best: its room may be a moment behind, and tells nobody about himself.
    here.insert(client.id.clone(), false);
    for told in &client.heard[client.heard_before..] {
        let who = text(&told["client"]);
        match told["type"].as_str() {
            Some("user-connected") => drop(here.insert(who, false)),
            Some("user-disconnected") => drop(here.remove(&who)),
            Some("presence") => {
                if let (Some(away), Some(known)) = (told["away"].as_bool(), here.get_mut(&who)) {
                    *known = away;
                }
            }
            _ => {}
        }
    }
    here.into_iter().collect()
}
