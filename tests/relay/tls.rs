//! Behind nginx with TLS and tokens, as the shipped example has it; `scumble load` is the client.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::harness::{Relay, eventually};

/// nginx with `scumble-tls.conf`, on a free port. Killed when dropped.
struct Nginx {
    _child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("nginx")
        .join(name);
    std::fs::read_to_string(path).expect(name)
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} in what is shipped");
    text.replace(old, new)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Makes a certificate for `localhost`, and its key.
fn certificate(dir: &Path) {
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("cert.pem"))
        .output()
        .expect("openssl is not installed: scripts/install-test-deps does that");
    assert!(made.status.success(), "{made:?}");
}

impl Nginx {
    async fn start(relay: &Relay) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str| dir.path().join(name);
        certificate(dir.path());
        let (port, plain) = (free_port(), free_port());
        let mut conf = shipped("scumble-tls.conf");
        let folder = "/etc/ssl/relay.example.org";
        for (old, new) in [
            ("listen 8443 ssl", format!("listen 127.0.0.1:{port} ssl")),
            ("listen 8080", format!("listen 127.0.0.1:{plain}")),
            (
                "server_name relay.example.org",
                "server_name localhost".to_owned(),
            ),
            (
                &format!("{folder}/fullchain.pem"),
                file("cert.pem").display().to_string(),
            ),
            (
                &format!("{folder}/privkey.pem"),
                file("key.pem").display().to_string(),
            ),
        ] {
            conf = replaced(&conf, old, &new);
        }
        let mut upstream = shipped("scumble-upstream.conf");
        for (n, port) in [(0, "8081"), (1, "8082"), (0, "8083")] {
            let address = format!("{} ", relay.address(n));
            upstream = replaced(&upstream, &format!("127.0.0.1:{port} "), &address);
        }
        for (name, text) in [
            ("nginx.conf", conf),
            ("scumble-upstream.conf", upstream),
            ("scumble-locations.conf", shipped("scumble-locations.conf")),
        ] {
            std::fs::write(file(name), text).expect("written");
        }
        let child = Command::new(binary())
            .args(["-g", "daemon off; master_process off;", "-p"])
            .arg(dir.path())
            .arg("-c")
            .arg(file("nginx.conf"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx starts");
        eventually("nginx", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .ok()
        })
        .await;
        Self {
            _child: child,
            dir,
            port,
        }
    }

    /// `scumble load clients` through it, and what it printed.
    fn load(&self, flags: &[&str]) -> std::process::Command {
        let mut load = std::process::Command::new(env!("CARGO_BIN_EXE_scumble"));
        load.args([
            "load",
            "clients",
            "--json",
            "--canvases=2",
            "--clients-per-canvas=4",
        ])
        .args(["--cursor-rate=2", "--object-rate=5", "--url"])
        .arg(format!("wss://localhost:{}", self.port))
        .args(flags)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
        load
    }

    fn certificate(&self) -> String {
        format!("--ca-file={}", self.dir.path().join("cert.pem").display())
    }
}

fn binary() -> PathBuf {
    let found = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
    let found = found.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("nginx is not installed: scripts/install-test-deps does that")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_come_through_tls_with_tokens_and_over_a_planned_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s".repeat(40)).expect("written");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("its mode");
    let keys = format!("--auth-secret-file={}", secret.display());
    let mut relay = Relay::start(2, &[&keys, "--trusted-proxy=127.0.0.1"]).await;
    let nginx = Nginx::start(&relay).await;
    let (trust, shown) = (
        nginx.certificate(),
        format!("--secret-file={}", secret.display()),
    );
    let load = nginx
        .load(&["--duration=6", &trust, &shown])
        .spawn()
        .expect("the load starts");
    // Once all are there, one of the two processes is restarted.
    eventually("everybody", async || {
        let mut there = 0;
        for n in 0..2 {
            let stats = relay.get(n, "/api/v1/stats").await?.json();
            there += stats["connections"].as_u64()?;
        }
        (there == 8).then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    relay.process(0).signal(Signal::TERM);
    assert!(relay.process(0).ended().await.success());
    let load = tokio::task::spawn_blocking(|| load.wait_with_output()).await;
    let output = load.expect("it runs").expect("its output");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let run: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(run["errors"], serde_json::json!({}), "{run}");
    assert!(run["planned"].as_u64() > Some(0), "{run}");
    assert_eq!(run["returns"]["back"], run["returns"]["lost"], "{run}");
    let p50 = |of: &str| run["returns"][of]["p50"].as_f64();
    // Clients that lost their connection unasked wait for a second or so. A busy machine is slow for the others, too; where all are
    // back within milliseconds, no other has said anything meanwhile.
    let (back_ms, others_ms) = (p50("ms").expect("a median"), p50("others_during_ms"));
    assert!(back_ms < 300.0 + 4.0 * others_ms.unwrap_or(0.0), "{run}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_trust_or_a_token_nobody_comes_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its mode");
        path.display().to_string()
    };
    let keys = format!("--auth-secret-file={}", file("secret", "s".repeat(40)));
    let relay = Relay::start(2, &[&keys]).await;
    let nginx = Nginx::start(&relay).await;
    let (trust, wrong) = (nginx.certificate(), file("tokens", "a.b.c\n".to_owned()));
    let wrong = format!("--token-file={wrong}");
    for (flags, why) in [
        (
            &["--duration=1", trust.as_str()][..],
            "refused by the server: 4401 hello.token is missing",
        ),
        (
            &["--duration=1", &trust, &wrong],
            "refused by the server: 4401 ",
        ),
        (
            &["--duration=1", "--ca-file=/no/such"],
            "--ca-file /no/such",
        ),
    ] {
        let mut load = nginx.load(flags);
        let output = tokio::task::spawn_blocking(move || load.output()).await;
        let output = output.expect("it runs").expect("its output");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(why), "{told}");
    }
}
