//! The programs in `examples/` do what they say, against a real relay.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tempfile::TempDir;

use super::cluster::Cluster;
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

/// The bot as `npm install` would set it up, from what is here.
struct Bot {
    process: Child,
    lines: Receiver<String>,
    _folder: TempDir,
}

impl Bot {
    fn start(url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let modules = folder.path().join("node_modules");
        std::fs::create_dir(&modules).unwrap();
        symlink(file("web/client"), modules.join("scumble-client")).unwrap();
        symlink(file("web/node_modules/ws"), modules.join("ws")).unwrap();
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
