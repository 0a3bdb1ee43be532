//! `--redis` on the command line: its password is told to Redis, and to nobody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::cluster::Cluster;
use super::redis_server::RedisServer;
use super::{run, scumble, stdout};

const PASSWORD: &str = "s3cr:e@t";

#[test]
fn the_configuration_is_printed_without_the_password() {
    let flag = format!("--redis=redis://app:{PASSWORD}@db.internal:6380/2");
    for command in ["serve", "cluster"] {
        let output = run(&[command, "--print-config", &flag]);
        assert_eq!(output.status.code(), Some(0));
        let printed = stdout(&output);
        let line = "redis = \"redis://app:***@db.internal:6380/2\"\n";
        assert!(printed.contains(line), "{printed}");
        assert!(!printed.contains("s3cr"), "{printed}");
    }
    let mut command = scumble();
    command.args(["serve", "--print-config"]);
    command.env("SCUMBLE_REDIS", "redis+unix:///run/redis.sock");
    let printed = stdout(&super::output_of(&mut command));
    assert!(printed.contains("redis = \"redis+unix:///run/redis.sock\"\n"));
}

/// Redis listens on a socket in a folder, and this on a port in front of it: an address with a password in it has a port.
fn port_before(socket: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(redis) = UnixStream::connect(&socket) else {
                continue;
            };
            let (from, to) = (client.try_clone().unwrap(), redis.try_clone().unwrap());
            std::thread::spawn(move || copy(from, to));
            std::thread::spawn(move || copy(redis, client));
        }
    });
    address
}

/// Until one of them ends.
fn copy(mut from: impl Read, mut to: impl Write) {
    let _ = std::io::copy(&mut from, &mut to);
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_cluster_over_redis_keeps_the_password_off_its_command_lines() {
    let password = PASSWORD.replace([':', '@'], "-");
    let server = RedisServer::start_with(&["--requirepass", &password]);
    let address = port_before(server.folder().join("redis.sock"));
    let mut cluster = Cluster::start_with(2, |_| {
        vec![
            format!("--redis=redis://:{password}@{address}"),
            "--presence-grace=1s".to_owned(),
        ]
    });
    let pids = [0, 1].map(|_| cluster.line("process started")["pid"].as_u64().unwrap());
    let addresses = cluster.ready(2);
    for pid in pids {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert!(line.contains("serve"), "{line}");
        assert!(!line.contains(&password), "{line}");
    }
    // They are one relay, over Redis.
    let until = Instant::now() + Duration::from_secs(30);
    for address in addresses {
        loop {
            let answer = get(address, "/api/v1/stats");
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let stats: Value = serde_json::from_str(body).unwrap();
            assert_eq!(stats["backplane"], "redis", "{stats}");
            assert!(!body.contains(&password), "{stats}");
            if stats["instances"].as_array().unwrap().len() == 2 {
                break;
            }
            assert!(Instant::now() < until, "{stats}");
        }
    }
    cluster.signal(Signal::TERM);
    assert_eq!(cluster.code(), Some(0));
}
