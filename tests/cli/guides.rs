//! The commands of the guides and of the operator's document, run as their reader runs them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::documents::{blocks, document};
use super::{output_of, scumble, stderr, stdout};

/// What a shell prints for a command of a document, in that folder; the program is found by its name.
fn shell(command: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_scumble")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let output = output_of(
        Command::new("sh")
            .args(["-euc", command])
            .current_dir(folder)
            .env_clear()
            .env("PATH", path),
    );
    assert!(output.status.success(), "{command}: {}", stderr(&output));
    stdout(&output)
}

/// One process over a file in a folder of its own. It ends with this value.
struct Relay {
    process: Child,
    url: String,
    folder: TempDir,
}

impl Relay {
    /// `flags`: made in the folder.
    fn start(flags: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = TempDir::new().unwrap();
        let mut process = scumble()
            .args(["serve", "--listen=127.0.0.1:0", "--until-stdin-closes"])
            .arg("--db")
            .arg(folder.path().join("relay.db"))
            .args(flags(folder.path()))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let ready = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("ready on ")?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        let url = ready.unwrap();
        // What else it says is not read, and its log waits for nobody.
        Self {
            process,
            url,
            folder,
        }
    }

    fn shell(&self, command: &str) -> String {
        shell(command, self.folder.path())
    }

    /// A message of a back end, by the example.
    fn publish(&self) {
        let backend = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/backend.py");
        let command = format!("python3 {} demo hello {}", backend.display(), self.url);
        assert_eq!(self.shell(&command), "published as message 1\n");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The lines of a document's shell blocks that have this text.
fn commands(name: &str, text: &str) -> Vec<String> {
    let document = document(name);
    let blocks = ["sh", "console"].map(|language| blocks(&document, language));
    let lines = blocks.iter().flatten().flat_map(|block| block.lines());
    let lines = lines.map(|line| line.trim_start_matches("$ ").to_owned());
    lines.filter(|line| line.contains(text)).collect()
}

#[test]
fn a_canvas_comes_into_a_database_as_the_guide_says() {
    const GUIDE: &str = "docs/guides/save-into-my-database.md";
    let files = blocks(&document(GUIDE), "toml");
    let [hooks] = &files[..] else {
        panic!("the guide has one file of hooks");
    };
    let relay = Relay::start(|place| {
        let file = place.join("hooks.toml");
        fs::write(&file, hooks).unwrap();
        vec![format!("--hooks={}", file.display())]
    });
    let url = &relay.url;
    relay.publish();

    let pop = &commands(GUIDE, "jobs pop")[0];
    let event: Value = serde_json::from_str(&relay.shell(&format!("{pop} --url {url}"))).unwrap();
    assert_eq!(event["data"]["type"], "canvas.changed");
    assert_eq!(event["data"]["canvas"], "demo");
    let ack = &commands(GUIDE, "jobs ack")[0];
    let names = [
        ("PARTITION_ID", "partitionId"),
        ("TRANSACTION_ID", "transactionId"),
        ("LEASE_ID", "leaseId"),
    ];
    let ack = names.iter().fold(ack.clone(), |ack, (name, field)| {
        ack.replace(name, event[field].as_str().unwrap())
    });
    let done = relay.shell(&format!("{ack} --url {url}"));
    assert!(done.contains("\"success\":true"), "{done}");
}

#[test]
fn keys_and_tokens_are_made_as_the_documents_say() {
    for name in ["docs/guides/add-multiplayer.md", "docs/OPERATIONS.md"] {
        let secret = &commands(name, "openssl rand -base64 32 > ")[0];
        let file = secret.rsplit(' ').next().unwrap();
        let relay = Relay::start(|place| {
            shell(secret, place);
            vec![format!("--auth-secret-file={}", place.join(file).display())]
        });
        let serve = commands(name, "serve --auth-secret-file");
        assert!(serve[0].contains(file), "{name}: {serve:?}");
        let tokens = commands(name, "scumble token");
        assert_eq!(tokens.len(), 1, "{name}");
        let canvas = tokens[0]
            .split('\'')
            .nth(1)
            .unwrap()
            .replace("*=write", "7");
        let token = relay.shell(&tokens[0]);
        fs::write(relay.folder.path().join("token"), token).unwrap();
        // Who has it may enter, and nobody else.
        let url = &relay.url;
        let load = |more: &str| {
            format!(
                "scumble load clients --url {url} --canvas-prefix {canvas} --canvases 1 --clients-per-canvas 1 \
                 --duration 1 {more}"
            )
        };
        relay.shell(&load("--token-file token"));
        relay.shell(&format!("! {} 2>/dev/null", load("")));
    }
}

#[test]
fn a_backup_is_made_as_the_document_says() {
    let relay = Relay::start(|_| Vec::new());
    relay.publish();
    let folder = relay.folder.path();
    let copies = folder.join("copies");
    fs::create_dir(&copies).unwrap();
    for backup in commands("docs/OPERATIONS.md", "scumble backup --db") {
        let backup = backup
            .replace("/var/lib/scumble", &folder.display().to_string())
            .replace("/backup", &copies.display().to_string());
        let said = relay.shell(&backup);
        assert!(said.contains("1 canvases"), "{said}");
    }
    let copy = fs::read_dir(&copies)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let copy = copy.filter(|path| path.extension().is_some_and(|ending| ending == "db"));
    let copies: Vec<PathBuf> = copy.collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let doctor = format!("scumble doctor --db {}", copies[0].display());
    assert!(relay.shell(&doctor).contains("no findings"));
}
