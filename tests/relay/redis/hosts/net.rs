//! A network of hosts: this test's namespace is the switch between them, and theirs are on it with one link for Redis and one for
//! clients. Everything ends with the test's process, however that ends: namespaces with the last process in them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use crate::harness::{eventually, http};

/// The link that hosts have for Redis.
pub const SERVERS: u8 = 98;
/// The link that clients come by.
pub const CLIENTS: u8 = 99;
/// How far away Redis is, in one direction.
pub const DELAY: Duration = Duration::from_millis(20);
/// Of the test itself, in both networks.
const SWITCH: u8 = 254;
const PORT: u16 = 6379;
/// Chunks of bytes that are under way in one direction.
const UNDER_WAY: usize = 1_024;

/// A host: a process that holds its namespace, and what runs there.
struct Host {
    /// Ends when its standard input closes.
    holder: Child,
    processes: Vec<Child>,
}

/// See the module's head.
pub struct Net {
    hosts: Vec<Host>,
    folder: tempfile::TempDir,
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output
        .unwrap_or_else(|error| panic!("{}: {error} (scripts/install-test-deps)", command[0]));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}

fn ip(words: &str) {
    run(&words.split(' ').collect::<Vec<_>>());
}

impl Net {
    /// The two networks, and Redis on its own host.
    pub fn make() -> Self {
        ip("ip link set lo up");
        for network in [SERVERS, CLIENTS] {
            ip(&format!("ip link add sw{network} type bridge"));
            ip(&format!(
                "ip addr add 10.{network}.0.{SWITCH}/24 dev sw{network}"
            ));
            ip(&format!("ip link set sw{network} up"));
        }
        let mut net = Self {
            hosts: Vec::new(),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let host = net.host();
        let folder = net.folder.path().display().to_string();
        let address = net.ip(SERVERS, host).to_string();
        let server = [
            "redis-server",
            "--bind",
            &address,
            "--port",
            "6379",
            "--protected-mode",
            "no",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--daemonize",
            "no",
            "--dir",
            &folder,
        ];
        net.start(host, &server);
        net
    }

    fn ip(&self, network: u8, host: usize) -> Ipv4Addr {
        let host = u8::try_from(host + 1).expect("few hosts");
        Ipv4Addr::new(10, network, 0, host)
    }

    /// A new host. Gives its number.
    pub fn host(&mut self) -> usize {
        let holder = Command::new("unshare")
            .args(["-n", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare runs");
        let (n, pid) = (self.hosts.len(), holder.id());
        self.hosts.push(Host {
            holder,
            processes: Vec::new(),
        });
        // It has its namespace once it is the other program.
        let until = Instant::now() + Duration::from_secs(20);
        while std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .unwrap_or_default()
            .trim()
            != "cat"
        {
            assert!(Instant::now() < until, "unshare does not come to an end");
            std::thread::park_timeout(Duration::from_millis(2));
        }
        for network in [SERVERS, CLIENTS] {
            let (link, address) = (format!("h{n}n{network}"), self.ip(network, n));
            ip(&format!(
                "ip link add {link} type veth peer name e{network} netns {pid}"
            ));
            ip(&format!("ip link set {link} master sw{network}"));
            ip(&format!("ip link set {link} up"));
            let there = |words: &str| ip(&format!("nsenter -t {pid} -n ip {words}"));
            there(&format!("addr add {address}/24 dev e{network}"));
            there(&format!("link set e{network} up"));
        }
        ip(&format!("nsenter -t {pid} -n ip link set lo up"));
        n
    }

    /// Starts a program on a host. It ends with this test.
    fn start(&mut self, host: usize, command: &[&str]) {
        let host = &mut self.hosts[host];
        let child = Command::new("nsenter")
            .args([
                "-t",
                &host.holder.id().to_string(),
                "-n",
                "setpriv",
                "--pdeathsig",
                "KILL",
            ])
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("nsenter runs");
        host.processes.push(child);
    }

    /// Where Redis is for the other hosts: 20 ms away.
    pub fn redis(&self) -> String {
        let there = SocketAddr::from((self.ip(SERVERS, 0), PORT));
        let here =
            TcpListener::bind((Ipv4Addr::new(10, SERVERS, 0, SWITCH), PORT)).expect("a port");
        let address = here.local_addr().expect("an address");
        std::thread::spawn(move || {
            for client in here.incoming().map_while(Result::ok) {
                std::thread::spawn(move || far_away(client, there));
            }
        });
        format!("redis://{address}")
    }

    /// Where clients find a host's relay.
    pub fn address(&self, host: usize) -> SocketAddr {
        SocketAddr::from((self.ip(CLIENTS, host), 8080))
    }

    /// A process of the relay on that host.
    pub async fn serve(&mut self, host: usize, flags: &[&str]) {
        let address = self.address(host);
        let listen = address.to_string();
        let program = [
            env!("CARGO_BIN_EXE_scumble"),
            "serve",
            "--insecure-open",
            "--listen",
            &listen,
        ];
        self.start(host, &[&program, flags].concat());
        eventually("the process is ready", || async {
            let answer = http::get(address, "/readyz", "").await?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// What is sent to a host, and by it, is lost from now on.
    pub fn cut(&self, network: u8, host: usize) {
        ip(&format!("ip link set h{host}n{network} down"));
    }

    /// It goes through again.
    pub fn heal(&self, network: u8, host: usize) {
        ip(&format!("ip link set h{host}n{network} up"));
    }

    /// Kills what runs on a host.
    pub fn kill(&mut self, host: usize) {
        end(&mut self.hosts[host].processes);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            end(&mut host.processes);
            // With the last process in it, a namespace goes, and with that the links.
            end(std::slice::from_mut(&mut host.holder));
        }
    }
}

fn end(children: &mut [Child]) {
    for child in children {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Passes a connection on, each byte as late as the line is long.
fn far_away(client: TcpStream, there: SocketAddr) {
    let Ok(server) = TcpStream::connect(there) else {
        return;
    };
    for side in [&client, &server] {
        side.set_nodelay(true).expect("an option");
    }
    let pairs = [
        (client.try_clone(), server.try_clone()),
        (Ok(server), Ok(client)),
    ];
    for (from, to) in pairs {
        let (from, to) = (from.expect("a handle"), to.expect("a handle"));
        let (late, chunks) = sync_channel(UNDER_WAY);
        std::thread::spawn(move || deliver(to, &chunks));
        std::thread::spawn(move || {
            let mut from = from;
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                if late
                    .send((Instant::now() + DELAY, buffer[..n].to_vec()))
                    .is_err()
                {
                    break;
                }
            }
        });
    }
}

fn deliver(mut to: TcpStream, chunks: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((at, bytes)) = chunks.recv() {
        while let Some(left) = at.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // It may be closed already.
    let _ = to.shutdown(std::net::Shutdown::Both);
}
