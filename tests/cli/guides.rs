//! The commands of the guides and of the operator's document, run as their reader runs them.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::cluster::Cluster;
use super::documents::{blocks, document};
use super::{output_of, stderr, stdout};

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

/// One process, its address, and the folder of its file.
fn relay(flags: impl Fn(&Path) -> Vec<String>) -> (Cluster, String, PathBuf) {
    let folder = RefCell::new(PathBuf::new());
    let cluster = Cluster::start_with(1, |place| {
        *folder.borrow_mut() = place.to_owned();
        flags(place)
    });
    let url = format!("http://{}", cluster.ready(1)[0]);
    (cluster, url, folder.into_inner())
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
    let [hooks] = &blocks(&document(GUIDE), "toml")[..] else {
        panic!("the guide has one file of hooks");
    };
    let (_cluster, url, folder) = relay(|place| {
        let file = place.join("hooks.toml");
        fs::write(&file, hooks).unwrap();
        vec![format!("--hooks={}", file.display())]
    });
    let backend = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/backend.py");
    let publish = format!("python3 {} demo hello {url}", backend.display());
    assert_eq!(shell(&publish, &folder), "published as message 1\n");

    let [pop] = &commands(GUIDE, "jobs pop")[..] else {
        panic!("the guide takes an event once");
    };
    let event: Value =
        serde_json::from_str(&shell(&format!("{pop} --url {url}"), &folder)).unwrap();
    assert_eq!(event["data"]["type"], "canvas.changed");
    assert_eq!(event["data"]["canvas"], "demo");
    let [ack] = &commands(GUIDE, "jobs ack")[..] else {
        panic!("the guide acks it once");
    };
    let names = [
        ("PARTITION_ID", "partitionId"),
        ("TRANSACTION_ID", "transactionId"),
        ("LEASE_ID", "leaseId"),
    ];
    let ack = names.iter().fold(ack.clone(), |ack, (name, field)| {
        ack.replace(name, event[field].as_str().unwrap())
    });
    let done = shell(&format!("{ack} --url {url}"), &folder);
    assert!(done.contains("\"success\":true"), "{done}");
}

#[test]
fn keys_and_tokens_are_made_as_the_documents_say() {
    for name in ["docs/guides/add-multiplayer.md", "docs/OPERATIONS.md"] {
        let secret = &commands(name, "openssl rand -base64 32 > ")[0];
        let file = secret.rsplit(' ').next().unwrap();
        let (_cluster, url, folder) = relay(|place| {
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
        fs::write(folder.join("token"), shell(&tokens[0], &folder)).unwrap();
        // Who has it may enter, and nobody else.
        let load = |more: &str| {
            format!(
                "scumble load clients --url {url} --canvas-prefix {canvas} --canvases 1 --clients-per-canvas 1 \
                 --duration 1 {more}"
            )
        };
        shell(&load("--token-file token"), &folder);
        shell(&format!("! {} 2>/dev/null", load("")), &folder);
    }
}

#[test]
fn a_backup_is_made_as_the_document_says() {
    let (_cluster, url, folder) = relay(|_| Vec::new());
    let backend = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/backend.py");
    shell(
        &format!("python3 {} demo hello {url}", backend.display()),
        &folder,
    );
    let copies = folder.join("copies");
    fs::create_dir(&copies).unwrap();
    for backup in commands("docs/OPERATIONS.md", "scumble backup --db") {
        let backup = backup
            .replace("/var/lib/scumble", &folder.display().to_string())
            .replace("/backup", &copies.display().to_string());
        let said = shell(&backup, &folder);
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
    assert!(shell(&doctor, &folder).contains("no findings"));
}
