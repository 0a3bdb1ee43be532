//! The rules of the house as tests: which module may know which, what every file has, what the documents promise.
//!
//! A rule that fails names the file and says what would be right. Lengths of functions are clippy's business.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module, and which others it may name. `limits` and `config` are numbers and settings that anyone may read.
const MAY_USE: &[(&str, &[&str])] = &[
    ("counts", &[]),
    ("protocol", &["counts"]),
    ("limits", &["protocol"]),
    ("auth", &["counts", "limits", "protocol"]),
    ("config", &["auth", "hooks", "limits", "protocol"]),
    ("tasks", &[]),
    ("time", &[]),
    ("telemetry", &["config", "limits"]),
    ("backplane", &["limits", "protocol", "time"]),
    ("analytics", &["backplane", "limits", "time"]),
    ("jobs", &["hooks", "limits", "time"]),
    ("hooks", &["limits", "protocol"]),
    ("webhooks", &["hooks", "jobs", "limits", "tasks", "time"]),
    (
        "room",
        &["backplane", "counts", "limits", "protocol", "tasks", "time"],
    ),
    (
        "socket",
        &[
            "auth",
            "backplane",
            "config",
            "counts",
            "limits",
            "protocol",
            "room",
            "tasks",
        ],
    ),
    (
        "canvas",
        &["backplane", "hooks", "limits", "protocol", "time"],
    ),
    (
        "memory",
        &["backplane", "canvas", "jobs", "limits", "protocol", "time"],
    ),
    (
        "sqlite",
        &[
            "analytics",
            "backplane",
            "canvas",
            "config",
            "hooks",
            "jobs",
            "limits",
            "protocol",
            "time",
        ],
    ),
    ("log", &["limits", "protocol", "time"]),
    (
        "replicated",
        &[
            "analytics",
            "backplane",
            "canvas",
            "config",
            "hooks",
            "jobs",
            "limits",
            "log",
            "protocol",
            "time",
        ],
    ),
    ("redis", &["config", "limits", "log", "protocol", "time"]),
    (
        "assets",
        &["backplane", "config", "jobs", "limits", "protocol"],
    ),
    // The upgrade hands the socket over.
    (
        "http",
        &[
            "analytics",
            "assets",
            "auth",
            "backplane",
            "config",
            "counts",
            "jobs",
            "limits",
            "protocol",
            "room",
            "socket",
            "tasks",
            "telemetry",
            "hooks",
            "time",
        ],
    ),
    (
        "relay",
        &[
            "analytics",
            "assets",
            "auth",
            "backplane",
            "canvas",
            "config",
            "http",
            "jobs",
            "limits",
            "log",
            "memory",
            "protocol",
            "sqlite",
            "redis",
            "replicated",
            "room",
            "socket",
            "tasks",
            "telemetry",
            "hooks",
            "webhooks",
        ],
    ),
    (
        "cli",
        &[
            "assets",
            "auth",
            "backplane",
            "config",
            "limits",
            "load",
            "protocol",
            "sqlite",
            "telemetry",
            "transfer",
            "time",
        ],
    ),
    (
        "transfer",
        &[
            "canvas",
            "config",
            "jobs",
            "limits",
            "log",
            "protocol",
            "redis",
            "replicated",
            "sqlite",
        ],
    ),
    (
        "load",
        &[
            "auth",
            "backplane",
            "canvas",
            "config",
            "limits",
            "memory",
            "protocol",
            "sqlite",
            "telemetry",
        ],
    ),
];

/// The floors of the SQLite backplane, from the ground up. A room may name those of its own floor, and of floors below.
const SQLITE_FLOORS: &[&[&str]] = &[
    &["storage"],
    &["command"],
    &["delivery"],
    &["jobs"],
    &["hooks"],
    &["apply"],
    &["membership"],
    &["spill"],
    &["upkeep"],
    &["writer"],
    // The handle that others have of it, and tools.
    &[
        "analytics",
        "as_backplane",
        "directory",
        "export",
        "hook_store",
        "import",
        "job_engine",
        "reader",
        "scheduling",
        "start",
    ],
];

/// A crate, and the modules that may know it.
const KNOWN_BY: &[(&str, &[&str])] = &[
    ("tungstenite", &["socket", "http", "load"]),
    ("rusqlite", &["sqlite", "cli", "load"]),
    ("r2d2", &["sqlite"]),
    ("redis::aio", &["redis"]),
    ("axum", &["http"]),
    ("jsonwebtoken", &["auth"]),
    ("object_store", &["assets", "config"]),
];

/// A file is near 400 lines at most, the unit tests at its end not counted.
const MAX_LINES: usize = 450;

const FOLDERS: &[&str] = &[
    "src", "tests", "scripts", "docs", "web", "nginx", "benches", "fuzz", "examples", ".ci",
    ".config",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of ours with one of these endings, by its path from the root. What is built or fetched is left out.
fn files(endings: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|name| root().join(name)).collect();
    let top = fs::read_dir(root())
        .expect("the root")
        .flatten()
        .map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = top.filter(|path| path.is_file()).collect();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            match path.is_dir() {
                true if [
                    "dist",
                    "node_modules",
                    "target",
                    ".build",
                    "corpus",
                    "artifacts",
                ]
                .contains(&&*name) => {}
                true => folders.push(path),
                false => paths.push(path),
            }
        }
    }
    for path in paths {
        let name = path
            .strip_prefix(root())
            .expect("below the root")
            .to_string_lossy()
            .into_owned();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        if endings.contains(&&*ending)
            && let Ok(text) = fs::read_to_string(&path)
        {
            found.insert(name, text);
        }
    }
    assert!(!found.is_empty(), "no file ends with {endings:?}");
    found
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    // Not where the tests are another file: code may follow.
    text.find("\n#[cfg(test)]\nmod tests {")
        .map_or(text, |end| &text[..=end])
}

/// The code of a line: what stands before a comment. Good enough for names of modules.
fn code(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

/// The modules of the library with their code, unit tests left out: `(module, path, text)`.
fn modules() -> Vec<(String, String, String)> {
    let sources = files(&["rs"])
        .into_iter()
        .filter(|(path, _)| path.starts_with("src/"));
    let sources =
        sources.filter(|(path, _)| !path.ends_with("/tests.rs") && !path.contains("/tests/"));
    sources
        .filter_map(|(path, text)| {
            let module = path["src/".len()..].split(['/', '.']).next()?.to_owned();
            let code = without_tests(&text)
                .lines()
                .map(code)
                .collect::<Vec<_>>()
                .join("\n");
            (!["lib", "main"].contains(&&*module)).then_some((module, path, code))
        })
        .collect()
}

fn words_after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word = |rest: &'a str| rest.split(|c| !is_word(c)).next().unwrap_or_default();
    text.match_indices(prefix)
        .map(|(at, _)| word(&text[at + prefix.len()..]))
        .collect()
}

fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{path}: {module} is not in MAY_USE"));
            continue;
        };
        for used in words_after(&code, "crate::") {
            if used.is_empty() {
                wrong.push(format!(
                    "{path}: `use crate::{{…}}` hides what is used; one module a line"
                ));
            } else if used != module && !may_use.contains(&used) {
                wrong.push(format!("{path}: {module} must not know {used}"));
            }
        }
    }
    none(
        wrong,
        "protocol <- backplane <- {room, canvas} <- {socket, sqlite, replicated, memory, http} <- relay <- main; \
         protocol <- log <- {redis, replicated} <- relay",
    );
}

#[test]
fn no_arrow_within_the_sqlite_backplane_runs_up() {
    let floor_of = |room: &str| SQLITE_FLOORS.iter().position(|floor| floor.contains(&room));
    let mut wrong = Vec::new();
    let mut rooms = 0;
    for (_, path, code) in modules() {
        let Some(rest) = path.strip_prefix("src/sqlite/") else {
            continue;
        };
        let way: Vec<&str> = rest.trim_end_matches(".rs").split('/').collect();
        let Some(own) = floor_of(way[0]) else {
            wrong.push(format!("{path}: {} is not in SQLITE_FLOORS", way[0]));
            continue;
        };
        rooms += 1;
        let house = "super::".repeat(way.len());
        let named = words_after(&code, "crate::sqlite::").into_iter();
        for used in named.chain(words_after(&code, &house)) {
            if used.is_empty() {
                wrong.push(format!(
                    "{path}: `{{…}}` hides which rooms are used; one a line"
                ));
                continue;
            }
            // What is no room is the house itself.
            let floor = floor_of(used).unwrap_or(SQLITE_FLOORS.len() - 1);
            if floor > own {
                wrong.push(format!("{path}: {} must not know {used}", way[0]));
            }
        }
    }
    assert!(rooms > 50, "the rooms are not where they were: {rooms}");
    none(
        wrong,
        "rooms of src/sqlite know only their own floor and those below",
    );
}

#[test]
fn a_library_is_known_where_it_belongs() {
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        for (library, known_by) in KNOWN_BY {
            if code.contains(library) && !known_by.contains(&&*module) {
                wrong.push(format!("{path}: only {known_by:?} may know {library}"));
            }
        }
    }
    none(
        wrong,
        "rooms know neither WebSockets nor SQLite, and nobody knows what is not its business",
    );
}

#[test]
fn only_config_reads_the_environment() {
    let reads = |code: &str| {
        ["env::var", "env::args", "env = \""]
            .iter()
            .any(|word| code.contains(word))
    };
    let wrong = modules().into_iter().filter(|(module, path, code)| {
        // Flags of the load generator are clap's too, and beside what they are for.
        module != "config" && path != "src/load.rs" && reads(code)
    });
    none(
        wrong.map(|(_, path, _)| path).collect(),
        "flags and environment are parsed in src/config",
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let headless = files(&["rs"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "));
    none(
        headless.map(|(path, _)| path).collect(),
        "a file begins with `//! ` and a sentence",
    );
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in files(&["rs", "ts", "mjs", "sh", "sql"]) {
        if path.starts_with("tests/") || path.contains("/test/") || path.ends_with("tests.rs") {
            continue; // as long as the cases are many
        }
        let lines = without_tests(&text).lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{path}: {lines} lines; split it"));
        }
    }
    none(wrong, "a file has near 400 lines at most");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let words = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut wrong = Vec::new();
    for (path, text) in files(&[
        "rs", "ts", "mjs", "css", "html", "sql", "sh", "md", "toml", "conf", "",
    ]) {
        for (number, line) in (1..).zip(text.lines()) {
            let found = words.iter().filter(|word| has_word(line, word));
            wrong.extend(found.map(|word| format!("{path}:{number}: {word}")));
        }
    }
    none(wrong, "what is not done yet is an issue, not a comment");
}

/// Whether the line has that text with no letter or digit around it: the end of a `mktemp` template is no mark.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let around = [
            line[..at].chars().next_back(),
            line[at + word.len()..].chars().next(),
        ];
        !around.iter().flatten().any(|c| c.is_ascii_alphanumeric())
    })
}

#[test]
fn lines_of_documents_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in files(&["md"]) {
        let mut code = false;
        for (number, line) in (1..).zip(text.lines()) {
            let start = line.trim_start();
            code ^= start.starts_with("```");
            // A row of a table, a picture, a command and a message of the protocol are one line each.
            let whole = code && path == "docs/PROTOCOL.md"
                || start.starts_with('|')
                || start.starts_with("![")
                || start.starts_with('`');
            let length = line.chars().count();
            if !whole && length > 120 {
                wrong.push(format!("{path}:{number}: {length} characters"));
            }
        }
    }
    none(
        wrong,
        "a line has at most 120 characters outside of tables, also one of code",
    );
}

/// The sentences of a document, by the line that its paragraph begins on: no headings, no code. A cell of a table is a
/// paragraph.
fn sentences(text: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let (mut code, mut open) = (false, false);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        code ^= line.starts_with("```");
        let item = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let item = item.strip_prefix(". ").or(line.strip_prefix("- "));
        if code || line.starts_with("```") || line.is_empty() || line.starts_with('#') {
            open = false;
        } else if line.starts_with('|') {
            let cells = line.split('|').map(|cell| (number, cell.trim().to_owned()));
            paragraphs.extend(cells);
            open = false;
        } else if let (true, None, Some((_, last))) = (open, item, paragraphs.last_mut()) {
            *last = format!("{last} {line}");
        } else {
            paragraphs.push((number, item.unwrap_or(line).to_owned()));
            open = true;
        }
    }
    let ends = |(number, paragraph): (usize, String)| {
        let ended = [". ", "! ", "? ", ": ", "; "]
            .iter()
            .fold(paragraph, |text, end| {
                text.replace(end, &format!("{}\n", end.trim_end()))
            });
        let all: Vec<String> = ended.lines().map(str::to_owned).collect();
        all.into_iter().map(move |sentence| (number, sentence))
    };
    paragraphs.into_iter().flat_map(ends).collect()
}

#[test]
fn sentences_of_documents_begin_with_their_subject() {
    let relatives = ["Who", "Whoever", "Whose", "Whom", "What", "Whatever"];
    let mut wrong = Vec::new();
    for (path, text) in files(&["md"]) {
        // The changelog tells of what was, and grows from many hands.
        if path == "CHANGELOG.md" || path.contains('/') && !path.starts_with("docs/") {
            continue;
        }
        for (line, sentence) in sentences(&text) {
            let plain = sentence.trim_matches(['*', '_', '(', ')', '"']);
            let first = plain
                .split(|c: char| !c.is_ascii_alphabetic())
                .next()
                .unwrap_or_default();
            if relatives.contains(&first) && !plain.ends_with('?') {
                wrong.push(format!("{path}:{line}: {plain}"));
            }
        }
    }
    none(
        wrong,
        "a sentence begins with its subject (\"Clients that …\"), not with a relative \"Who\" or \"What\"",
    );
}

#[test]
fn documents_name_files_that_exist() {
    let mut wrong = Vec::new();
    for (path, text) in files(&["md", "rs"]) {
        for (number, line) in (1..).zip(text.lines()) {
            // In code, only what comments say is about files of the tree.
            if path.ends_with(".rs") && !line.trim_start().starts_with("//") {
                continue;
            }
            let quoted = line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| is_path(name))
                .map(str::to_owned);
            let linked = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', '#']).next());
            let linked = linked
                .filter(|link| !link.is_empty() && !link.contains(':') && path.ends_with(".md"));
            let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
            let linked = linked.map(|link| folder.join(link).to_string_lossy().into_owned());
            for name in quoted.chain(linked) {
                if !root().join(&name).exists() {
                    wrong.push(format!("{path}:{number}: {name} is not there"));
                }
            }
        }
    }
    none(wrong, "documents name files that exist");
}

/// Whether a quoted text is meant as a path from the root: `src/room.rs`, `docs/`, not `src/<module>.rs` or a command.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    FOLDERS.iter().any(|folder| {
        text.strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }) && text.chars().all(plain)
}

#[test]
fn the_protocol_is_documented() {
    let protocol = fs::read_to_string(root().join("docs/PROTOCOL.md")).expect("docs/PROTOCOL.md");
    let sources = files(&["rs"]);
    let said = sources["src/protocol/server_message.rs"]
        .lines()
        .filter_map(|line| line.split_once("=> \""));
    let said = said
        .filter_map(|(_, rest)| rest.split('"').next())
        .map(str::to_owned);
    let closes = sources["src/protocol/close_code.rs"]
        .lines()
        .filter_map(|line| line.split_once(" = "));
    let closes = closes
        .filter_map(|(_, rest)| rest.strip_suffix(','))
        .map(|code| format!("| {code} |"));
    let wanted: Vec<String> = said.chain(closes).collect();
    assert!(
        wanted.len() > 20,
        "the words of the protocol are not where they were: {wanted:?}"
    );
    let told = |word: &String| {
        let quoted = [format!("`{word}`"), format!("`\"{word}\"`")];
        word.starts_with('|') && protocol.contains(word)
            || quoted.iter().any(|quoted| protocol.contains(quoted))
    };
    let missing = wanted.into_iter().filter(|word| !told(word));
    none(
        missing.collect(),
        "every code and word of the server is in docs/PROTOCOL.md",
    );
}

#[test]
fn every_flag_is_documented() {
    let help = Command::new(env!("CARGO_BIN_EXE_scumble"))
        .args(["serve", "--help"])
        .output()
        .expect("scumble runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let operations =
        fs::read_to_string(root().join("docs/OPERATIONS.md")).expect("docs/OPERATIONS.md");
    let flag = |line: &str| {
        let flag = line
            .trim_start()
            .trim_start_matches("-h, ")
            .split([' ', '[', ','])
            .next()?
            .to_owned();
        (flag.len() > 2 && flag.starts_with("--")).then_some(flag)
    };
    let flags: Vec<String> = help
        .lines()
        .filter_map(flag)
        .filter(|flag| flag != "--help" && flag != "--version")
        .collect();
    assert!(
        flags.len() > 20,
        "the flags are not where they were: {flags:?}"
    );
    let missing = flags.into_iter().filter(|flag| {
        !operations.contains(&format!("`{flag}`")) && !operations.contains(&format!("`{flag} "))
    });
    none(
        missing.collect(),
        "every flag of `scumble serve` is in docs/OPERATIONS.md",
    );
}
