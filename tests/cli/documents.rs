//! The operator's document has everything that there is to operate. `tests/documents` runs the commands in all documents.

use std::fs;
use std::path::Path;

use super::cluster::Cluster;
use super::{output_of, run, stderr, stdout};

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

#[test]
fn every_flag_and_its_variable_are_documented() {
    let help = stdout(&run(&["serve", "--help"]));
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|line| line.split([' ', '[', ',']).next())
        .collect();
    assert!(flags.len() > 20, "{flags:?}");
    // `--synchronous` stands in the durability section too.
    for flag in flags {
        assert!(OPERATIONS.contains(&format!("`--{flag}`")), "--{flag}");
    }
    let variables = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next());
    for variable in variables {
        assert!(OPERATIONS.contains(variable), "{variable}");
    }
}

#[test]
fn every_metric_is_documented() {
    for name in scumble::telemetry::names::all() {
        assert!(OPERATIONS.contains(&format!("`{name}`")), "{name}");
    }
}

/// The blocks of code in one language.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let rests = text.split(&fence).skip(1);
    let blocks = rests.filter_map(|rest| rest.split("\n```").next());
    blocks.map(str::to_owned).collect()
}

/// The text of a document, by its path.
pub fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_worker_in_javascript_gets_the_job_that_it_has_pushed() {
    let cluster = Cluster::start(1);
    let address = cluster.ready(1)[0];
    let examples = blocks(&document("docs/JOBS.md"), "js");
    let [example] = &examples[..] else {
        panic!("docs/JOBS.md has one block of js");
    };
    // It goes on for ever, except in a test.
    let done = "status: \"completed\" });";
    let example = example
        .replace("127.0.0.1:8080", &address.to_string())
        .replace(done, &format!("{done} process.exit();"));
    let node = ["--input-type=module", "-e", &example];
    let output = output_of(std::process::Command::new("node").args(node));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "{ canvas: 'board-7' }\n");
    let depth = run(&["jobs", "stats", "--url", &format!("http://{address}")]);
    let told = stdout(&depth);
    let of_queue = told.lines().find(|line| line.starts_with("thumbnails"));
    let depth = of_queue.and_then(|line| line.split_whitespace().nth(1));
    assert_eq!(depth, Some("0"), "it was acked: {told}");
}
