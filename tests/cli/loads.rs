//! `scumble load …` against a real relay: what comes to it is counted, and all of it is right.

use serde_json::Value;

use super::cluster::Cluster;
use super::{run, stderr, stdout};

/// The load's JSON object; the load found nothing wrong.
fn load(arguments: &[&str]) -> Value {
    let output = run(&[&["load"], arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    for fault in ["lost", "duplicated", "disordered"] {
        assert_eq!(value[fault], 0, "{value}");
    }
    value
}

#[test]
fn who_joins_gets_every_object_and_who_comes_back_every_message() {
    let cluster = Cluster::start(1);
    let url = format!("http://{}", cluster.ready(1)[0]);
    let url = ["--url", &*url];
    let joined = load(&[&["join", "--objects", "700", "--clients", "5"], &url[..]].concat());
    // 200 bytes each, for each of five.
    assert!(joined["bytes"].as_u64() > Some(5 * 700 * 200), "{joined}");
    let came_back = load(&[&["resume", "--missed", "700", "--clients", "5"], &url[..]].concat());
    assert_eq!(
        (&came_back["clients"], &came_back["missed"]),
        (&5.into(), &700.into())
    );
    assert!(
        came_back["latency_ms"]["complete"]["p50"].as_f64() > Some(0.0),
        "{came_back}"
    );
}
