//! The programs in `examples/` do what they say, against a real relay.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tempfile::TempDir;

use super::cluster::Cluster;
use super::documents::{blocks, document};
use super::{output_of, stderr, stdout};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn publish(text: &str, url: &str) -> String {
    let output = output_of(
        Command::new("python3")
            .arg(file("examples/backend.py"))
            .args(["shop", text, url]),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// A folder with the packages that programs of the documents need, as `npm install` would make it.
fn packages() -> TempDir {
    let folder = TempDir::new().unwrap();
    let modules = folder.path().join("node_modules");
    std::fs::create_dir(&modules).unwrap();
    symlink(file("web/client"), modules.join("scumble-client")).unwrap();
    for name in ["ws", "yjs"] {
        symlink(file("web/node_modules").join(name), modules.join(name)).unwrap();
    }
    folder
}

/// The bot as `npm install` would set it up, from what is here.
struct Bot {
    process: Child,
    lines: Receiver<String>,
    _folder: TempDir,
}

impl Bot {
    fn start(url: &str) -> Self {
        let folder = packages();
        let program = folder.path().join("bot.mjs");
        std::fs::copy(file("examples/bot/bot.mjs"), &program).unwrap();
        let mut process = Command::new("node")
            .arg(program)
            .args(["shop", url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = sync_channel(16);
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)));
        });
        Self {
            process,
            lines,
            _folder: folder,
        }
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_back_end_publishes_and_the_bot_answers() {
    let cluster = Cluster::start(2);
    let addresses = cluster.ready(2);
    let url = format!("http://{}", addresses[0]);
    let bot = Bot::start(&format!("ws://{}", addresses[1]));
    let first = bot.lines.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(first, "the bot is on shop");

    assert_eq!(publish("how many?", &url), "published as message 1\n");
    // The answer is the canvas's second message: the back end gets a place behind it once it is there.
    let mut question = 1;
    let answered = (0..100).any(|_| {
        let next = publish("and now?", &url);
        let place: u64 = next
            .trim_start_matches("published as message ")
            .trim()
            .parse()
            .unwrap();
        question += 1;
        place > question
    });
    assert!(answered, "the bot says nothing");
}

#[test]
fn the_programs_for_node_in_the_documents_run() {
    let cluster = Cluster::start(1);
    let url = format!("ws://{}", cluster.ready(1)[0]);
    let folder = packages();
    let guide = blocks(&document("docs/CLIENT.md"), "js");
    let with = |name: &str| {
        let mut found = guide.iter().filter(|block| block.contains(name));
        found.next().unwrap_or_else(|| panic!("{name}")).clone()
    };
    // Each is a program of a page or of a newer Node, but for a WebSocket and an end.
    let older = "import WebSocket from \"ws\";\n";
    let client = file("web/client/dist/client.js").display().to_string();
    let readme = blocks(&document("README.md"), "js")[0]
        .replace("./web/client/dist/client.js", &client)
        .replace("name: \"Ada\" } }", "name: \"Ada\" }, WebSocket }");
    let yjs =
        with("ScumbleProvider").replace("canvas: \"board\" }", "canvas: \"board\", WebSocket }");
    let ends =
        "\nif (provider.synced !== true) throw new Error(); provider.destroy(); room.close();";
    for (name, program, says) in [
        ("node", with("from \"ws\""), None),
        (
            "readme",
            format!("{older}{readme}\nroom.close();"),
            Some("kind: 'rect', x: 40, y: 10"),
        ),
        ("yjs", format!("{older}{yjs}{ends}"), None),
    ] {
        let program = program
            .replace("ws://127.0.0.1:8080", &url)
            .replace("wss://relay.example.org", &url);
        assert!(program.contains(&url), "{name}: {program}");
        let path = folder.path().join(format!("{name}.mjs"));
        std::fs::write(&path, program).unwrap();
        let output = output_of(Command::new("node").arg(&path));
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let said = stdout(&output);
        assert!(
            says.is_none_or(|says| said.contains(says)),
            "{name}: {said}"
        );
    }
}
