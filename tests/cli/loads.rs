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

#[test]
fn a_recorded_load_is_judged_and_a_message_that_is_missing_in_it_is_seen() {
    let cluster = Cluster::start(2);
    let urls = cluster.ready(2);
    let urls: Vec<String> = urls.iter().map(|at| format!("http://{at}")).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let told = load(&[
        "clients",
        "--url",
        &urls[0],
        "--url",
        &urls[1],
        "--canvases=2",
        "--clients-per-canvas=3",
        "--object-rate=20",
        "--message-rate=20",
        "--duration=2",
        "--record",
        path.to_str().unwrap(),
    ]);
    let judge = |path: &std::path::Path| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/judge");
        let judged = std::process::Command::new(script).arg(path).output();
        let judged = judged.unwrap();
        (judged.status.success(), stdout(&judged))
    };
    let (right, text) = judge(&path);
    assert!(right, "{text}");
    assert!(
        !text.contains(": 0 acked") && text.contains(" 0 lost"),
        "{text}"
    );
    let history = std::fs::read_to_string(&path).unwrap();
    let acked = history.matches(r#""what":"acked""#).count() as u64;
    assert!(
        told["acks"].as_u64() > Some(50) && told["acks"].as_u64() <= Some(acked),
        "{told}"
    );
    let seen = |line: &&str| line.contains(r#""what":"seen""#);
    let one = history.lines().filter(seen).nth(20).unwrap();
    let without = history.replacen(&format!("{one}\n"), "", 1);
    std::fs::write(&path, without).unwrap();
    let (right, text) = judge(&path);
    assert!(!right && text.contains("lost:"), "{text}");
}
