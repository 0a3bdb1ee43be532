//! A process's own way to Redis, which can be cut, or hold back what is sent.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How a way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// What is sent arrives once it is open again, if it is not cut before.
    Held,
    /// Connections are broken, and new ones are at once.
    Cut,
}

/// See the module's head. It goes with this.
pub struct Gate {
    way: watch::Sender<Way>,
    _tasks: JoinSet<()>,
}

impl Gate {
    /// A socket at that path, which leads to a server's.
    pub fn open(path: &Path, server: PathBuf) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let way = watch::Sender::new(Way::Open);
        let mut tasks = JoinSet::new();
        tasks.spawn(lead(listener, server, way.subscribe()));
        Self { way, _tasks: tasks }
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn lead(listener: UnixListener, server: PathBuf, way: watch::Receiver<Way>) {
    let mut pumps = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if *way.borrow() == Way::Cut {
            continue;
        }
        let Ok(redis) = UnixStream::connect(&server).await else {
            continue;
        };
        let ((from, to), (from_redis, to_redis)) = (client.into_split(), redis.into_split());
        pumps.spawn(pump(from, to_redis, way.clone()));
        pumps.spawn(pump(from_redis, to, way.clone()));
    }
}

async fn pump(
    mut from: tokio::net::unix::OwnedReadHalf,
    mut to: tokio::net::unix::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = way.wait_for(|way| *way == Way::Cut) => 0,
        };
        let open = way.wait_for(|way| *way != Way::Held).await;
        let open = open.is_ok_and(|way| *way == Way::Open);
        if read == 0 || !open || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
