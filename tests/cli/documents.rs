//! The operator's document has everything that there is to operate, and the commands in the documents work.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::cluster::Cluster;
use super::{output_of, run, scumble, stderr, stdout};

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

/// README and everything in `docs/`: path and text.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["docs", "docs/guides"];
    let inside = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let paths = inside
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        (name, fs::read_to_string(&path).unwrap())
    };
    paths.chain([root.join("README.md")]).map(named).collect()
}

/// The lines of the document's blocks of code, continued ones in one piece, without the prompt.
fn lines_of_code(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        match line.trim_start().starts_with("```") {
            true => inside = !inside,
            false if inside => lines.push(line.trim_start_matches("$ ").to_owned()),
            false => {}
        }
    }
    lines
}

/// The calls of the program that a document shows: in blocks of code, and quoted in a sentence.
fn calls(text: &str) -> Vec<Vec<String>> {
    let flowing = text.replace('\n', " ");
    let quoted = flowing.split('`').skip(1).step_by(2).map(str::to_owned);
    let starts = ["scumble ", "cargo run --release -- ", "cargo run -- "];
    let mut found = Vec::new();
    for line in lines_of_code(text).into_iter().chain(quoted) {
        // Variables may stand before it, a comment behind it.
        let line = line.split(" #").next().unwrap_or_default();
        let from = starts.iter().find_map(|start| {
            let at = line.find(start)?;
            let before = &line[..at];
            let variables = before.starts_with("SCUMBLE_") && before.ends_with(' ');
            (before.trim().is_empty() || variables).then_some(at + start.len())
        });
        let words = from.map(|from| line[from..].split_whitespace().map(str::to_owned));
        found.extend(words.map(Iterator::collect::<Vec<String>>));
    }
    found
}

#[test]
fn every_command_in_the_documents_has_its_flags() {
    let mut helps: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut help_of = |command: &str| {
        let ask = || {
            let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
            let output = run(&words);
            output.status.success().then(|| stdout(&output))
        };
        helps.entry(command.to_owned()).or_insert_with(ask).clone()
    };
    let (mut checked, mut wrong) = (0, Vec::new());
    for (path, text) in documents() {
        for call in calls(&text) {
            let is_word =
                |word: &&String| word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-'));
            let mut words = call.iter().take_while(|word| !word.starts_with('-'));
            let Some(first) = words.next().filter(is_word) else {
                continue; // `scumble --help`, `scumble …`
            };
            let deeper = ["jobs", "load"].contains(&first.as_str());
            let command = match words.next().filter(|word| deeper && is_word(word)) {
                Some(second) => format!("{first} {second}"),
                None => first.clone(),
            };
            let Some(help) = help_of(&command) else {
                wrong.push(format!("{path}: scumble {command}: no such command"));
                continue;
            };
            for word in call.iter().filter(|word| word.starts_with("--")) {
                let end = |c: char| !c.is_ascii_lowercase() && c != '-';
                let flag = word.split(end).next().unwrap_or_default();
                let known = ["--help", "--version"].contains(&flag)
                    || help.split(end).any(|word| word == flag);
                checked += 1;
                if !known {
                    wrong.push(format!("{path}: scumble {command} has no {flag}"));
                }
            }
        }
    }
    assert!(checked > 50, "{checked}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A shell's words: quotes hold some together.
fn words(line: &str) -> Vec<String> {
    let mut quoted = false;
    let split = |c: char| {
        quoted ^= c == '\'';
        c == '\'' || c == ' ' && !quoted
    };
    let pieces = line.split(split).filter(|word| !word.is_empty());
    pieces.map(str::to_owned).collect()
}

/// What curl would print: `curl -s URL [-d DATA]`.
fn curl(words: &[String], address: SocketAddr) -> String {
    let url = words.iter().find(|word| word.contains("/api/")).unwrap();
    let path = &url[url.find("/api/").unwrap()..];
    let body = words.iter().skip_while(|word| *word != "-d").nth(1);
    let (method, body) = body.map_or(("GET", ""), |body| ("POST", body));
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut connection = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(30));
    connection.set_read_timeout(patience).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{words:?}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

/// The blocks of code in one language.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let rests = text.split(&fence).skip(1);
    let blocks = rests.filter_map(|rest| rest.split("\n```").next());
    blocks.map(str::to_owned).collect()
}

/// The text of `README.md`, or of one in `docs/`.
pub fn document(name: &str) -> String {
    let mut all = documents().into_iter();
    all.find(|(path, _)| path == name).unwrap().1
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

#[test]
fn the_first_five_minutes_with_jobs_go_as_they_are_told() {
    let cluster = Cluster::start(1);
    let address = cluster.ready(1)[0];
    let jobs = document("docs/JOBS.md");
    let shown = jobs.lines().filter_map(|line| line.strip_prefix("$ "));
    let (mut popped, mut ran) = (Value::Null, 0);
    for line in shown {
        // The document shortens the names of what was popped.
        let names = [
            ("9f13…", "partitionId"),
            ("01a2…", "transactionId"),
            ("e852…", "leaseId"),
        ];
        let named = names.iter().fold(line.to_owned(), |line, (short, field)| {
            line.replace(short, popped[field].as_str().unwrap_or_default())
        });
        let words = words(&named);
        let answer = match words[0].as_str() {
            "curl" => curl(&words, address),
            _ if words[1] == "jobs" => {
                let url = format!("http://{address}");
                let output = output_of(scumble().args(&words[1..]).args(["--url", &url]));
                assert!(output.status.success(), "{line}: {}", stderr(&output));
                stdout(&output)
            }
            _ => continue, // the relay runs already
        };
        ran += 1;
        let answer: Value =
            serde_json::from_str(answer.trim()).unwrap_or_else(|_| panic!("{line}: {answer:?}"));
        let first = answer.get("messages").map_or(&answer, |all| &all[0]);
        match line.contains("pop") {
            true => {
                popped = first.clone();
                assert_eq!(popped["data"]["canvas"], "board-7", "{line}: {answer}");
            }
            false if line.contains("ack") => {
                let answer = answer.to_string();
                assert!(answer.contains("\"success\":true"), "{line}: {answer}");
            }
            false => {}
        }
    }
    assert_eq!(ran, 6, "push, pop and ack, twice");
}
