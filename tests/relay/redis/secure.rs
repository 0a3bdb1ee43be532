//! Encrypted connections to Redis, and sentinels that say where it is.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    let done = done.expect("openssl is not installed: scripts/install-test-deps does that");
    assert!(done.success(), "openssl {arguments}");
}

/// An authority, and certificates that it signed: of a server at 127.0.0.1, and of a client.
fn certificates(folder: &Path) {
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {new} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"),
    );
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").expect("a file");
    for name in ["server", "client"] {
        openssl(
            folder,
            &format!("req {new} -subj /CN={name} -keyout {name}.key -out {name}.csr"),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out {name}.pem"
            ),
        );
    }
}

/// A process of a test's own.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn run(arguments: &[String]) -> Running {
    let child = Command::new("redis-server")
        .args(arguments)
        .stdout(Stdio::null())
        .spawn();
    Running(child.expect("redis-server is installed (scripts/install-test-deps)"))
}

#[tokio::test]
async fn connections_to_redis_are_encrypted_and_certificates_are_checked() {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path());
    let port = free_port();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let folder = dir.path().display();
    let arguments = format!(
        "--port 0 --tls-port {port} --bind 127.0.0.1 --save --dir {folder} --tls-ca-cert-file {} --tls-cert-file {} --tls-key-file {} --tls-auth-clients yes",
        file("ca.pem"),
        file("server.pem"),
        file("server.key"),
    );
    let mut words: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let save = words
        .iter()
        .position(|word| word == "--save")
        .expect("it is there");
    words.insert(save + 1, String::new());
    let _server = run(&words);
    let url = format!("rediss://127.0.0.1:{port}");
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let own = ["--redis-cert-file", &cert, "--redis-key-file", &key];
    let right = [&["--redis", &url, "--redis-ca-file", &ca], &own[..]].concat();
    eventually("the server", async || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    })
    .await;
    let relay = Relay::start(2, &right).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(1, "board").await;
    ada.commit(create("o", "x")).await;
    ben.reach(ada.seq).await;
    // Nobody vouches for it.
    let db = relay.db();
    for wrong in [
        [&["--redis", &url], &own[..]].concat(),
        vec!["--redis", &url, "--redis-ca-file", &ca],
    ] {
        let mut process = Process::launch(&db, &wrong);
        assert_eq!(process.ended().await.code(), Some(1), "{wrong:?}");
        eventually("its reason", async || {
            process
                .log()
                .contains("Redis can't be reached")
                .then_some(())
        })
        .await;
    }
    let plain = ["--redis", "redis://127.0.0.1:1", "--redis-ca-file", &ca];
    let mut process = Process::launch(&db, &plain);
    assert_eq!(process.ended().await.code(), Some(2));
    eventually("its reason", async || {
        process.log().contains("--redis-ca-file").then_some(())
    })
    .await;
}

/// The master is killed: the sentinel names the other, and writers go on without having been told anything.
#[tokio::test]
async fn the_master_that_a_sentinel_names_is_followed() {
    let flags = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut servers = [(), ()].map(|()| RedisServer::start_on_port(&flags));
    let ports = [servers[0].port(), servers[1].port()];
    servers[1].ask(&["REPLICAOF", "127.0.0.1", &ports[0].to_string()]);
    eventually("the replica", async || {
        let told = servers[1].ask(&["INFO", "replication"]);
        told.contains("master_link_status:up").then_some(())
    })
    .await;
    let (dir, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let config = dir.path().join("sentinel.conf");
    let folder = dir.path().display();
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n",
        ports[0]
    );
    std::fs::write(&config, text).expect("a file");
    let _sentinel = run(&[config.display().to_string(), "--sentinel".to_owned()]);
    eventually("the sentinel knows the replica", async || {
        let told = Command::new("redis-cli")
            .args(["-p", &port.to_string(), "SENTINEL", "replicas", "mymaster"])
            .output();
        let told = String::from_utf8_lossy(&told.ok()?.stdout).into_owned();
        told.contains(&ports[1].to_string()).then_some(())
    })
    .await;
    let url = format!("redis+sentinel://127.0.0.1:{port}/mymaster");
    let wait = ["--redis-wait-replicas", "1", "--presence-grace", "60s"];
    // Once the replica is the master, there is none for it.
    let relay = Relay::start(2, &[&["--redis", &url], &wait[2..]].concat()).await;
    let mut ada = relay.join(0, "board").await;
    let mut ben = relay.join(1, "board").await;
    for n in 0..20 {
        ada.commit(create(&format!("o{n}"), "x")).await;
    }
    ben.reach(ada.seq).await;
    servers[0].kill();
    let began = std::time::Instant::now();
    ada.op(create("after", "x")).await;
    ada.settle().await.expect("connected");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    ben.commit(create("bens", "x")).await;
    let late = relay.join(0, "board").await;
    assert!(late.model.object("after").is_some());
    assert!(late.model.object("bens").is_some());
}
