//! Behind real nginx with the configuration that is shipped: any client on any process.

mod assets;
mod attacks;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::harness::client::new_id;
use crate::harness::history::check_agreement;
use crate::harness::{Client, Random, Relay, Socket, eventually};

/// nginx as one process, listening on a socket in a folder of its own. Killed when dropped.
struct Nginx {
    _child: Child,
    dir: tempfile::TempDir,
}

impl Nginx {
    /// With the ports of those processes in place of the shipped ones.
    async fn start(relay: &Relay) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx/scumble.conf");
        let mut conf = std::fs::read_to_string(shipped).expect("nginx/scumble.conf");
        for (n, port) in (0..3).zip(["8081", "8082", "8083"]) {
            let address = format!("127.0.0.1:{port} ");
            assert!(conf.contains(&address), "{address}in nginx/scumble.conf");
            conf = conf.replace(&address, &format!("{} ", relay.address(n)));
        }
        let (listen, socket) = ("listen 127.0.0.1:8080;", dir.path().join("nginx.sock"));
        assert!(conf.contains(listen), "{listen} in nginx/scumble.conf");
        conf = conf.replace(listen, &format!("listen unix:{};", socket.display()));
        let file = dir.path().join("scumble.conf");
        std::fs::write(&file, conf).expect("written");
        let child = Command::new(binary())
            .args(["-g", "daemon off; master_process off;", "-p"])
            .arg(dir.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx starts");
        let nginx = Self { _child: child, dir };
        eventually("nginx", || async {
            UnixStream::connect(&socket).await.ok()
        })
        .await;
        nginx
    }

    async fn open(&self, canvas: &str) -> Option<Socket> {
        let stream = UnixStream::connect(self.dir.path().join("nginx.sock")).await;
        Socket::over(stream.expect("nginx listens"), canvas)
            .await
            .ok()
    }

    async fn join(&self, canvas: &str) -> Client {
        let socket = self.open(canvas).await.expect("an upgrade");
        Client::enter(socket, canvas, json!({"client": new_id()})).await
    }

    fn access_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default()
    }
}

fn binary() -> PathBuf {
    let found = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
    let found = found.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("nginx is not installed: scripts/test installs it (apt-get install nginx-light)")
}

#[tokio::test]
async fn clients_land_on_every_process_and_are_one_canvas() {
    let relay = Relay::start(3, &[]).await;
    let nginx = Nginx::start(&relay).await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(nginx.join("board").await);
    }
    let mut landed: Vec<&str> = Vec::new();
    for client in &clients {
        landed.push(client.welcome["instance"].as_str().expect("an instance"));
    }
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed.len(), 3, "each process has some: {landed:?}");
    let mut random = Random::new();
    for client in &mut clients {
        client.write(&mut random, 40, 8).await.expect("connected");
    }
    check_agreement(&mut clients).await;
    // The largest message there may be passes.
    let data = "x".repeat(60_000);
    clients[0]
        .commit(json!({"type": "broadcast", "event": "blob", "data": data}))
        .await;
    check_agreement(&mut clients).await;
    for client in &mut clients {
        client.say(json!({"type": "bye"})).await;
        assert_eq!(client.closed().await, Some(1000), "close codes pass");
    }
    drop(clients);
    let log = eventually("the access log", || async {
        let log = nginx.access_log();
        (log.matches("canvas=board").count() == 6).then_some(log)
    })
    .await;
    assert!(
        !log.contains('?'),
        "what is behind it may be a secret: {log}"
    );
    for process in 0..3 {
        let upstream = format!("upstream={}", relay.address(process));
        assert!(log.contains(&upstream), "{upstream} in {log}");
    }
}

#[tokio::test]
async fn who_loses_its_process_is_let_in_by_another() {
    let mut relay = Relay::start(3, &[]).await;
    let nginx = Nginx::start(&relay).await;
    let mut client = nginx.join("board").await;
    client
        .write(&mut Random::new(), 30, 8)
        .await
        .expect("connected");
    let home = client.welcome["instance"].clone();
    for process in 0..3 {
        let stats = relay
            .get(process, "/api/v1/stats")
            .await
            .expect("an answer");
        if stats.json()["instance_id"] == home {
            relay.process(process).kill().await;
        }
    }
    assert_eq!(client.closed().await, None, "the connection broke");
    let socket = eventually("another process", || nginx.open("board")).await;
    let since = json!({"epoch": client.epoch, "seq": client.seq});
    let hello = json!({"client": client.id, "since": since});
    let again = Client::enter(socket, "board", hello).await;
    assert_eq!(again.welcome["mode"], "resume");
    assert_ne!(again.welcome["instance"], home);
}
