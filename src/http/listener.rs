//! Accepts connections and speaks HTTP/1.1 on them until they end or become WebSockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::patient::Patient;
use crate::limits::{HTTP_HEAD_BYTES, LISTEN_BACKLOG};
use crate::tasks::Spawner;

/// A pause after a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// While that lasts, the log hears of it this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a head, and for a pause between two requests.
    pub head: Duration,
    /// To take a byte of an answer.
    pub write: Duration,
}

/// Accepts for ever. No more than `most` connections speak HTTP at a time, those that become WebSockets until they have: others wait
/// to be accepted.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    spawner: Spawner,
    patience: Patience,
    most: usize,
) {
    let places = Arc::new(Semaphore::new(most));
    let (mut failures, mut told) = (0_u64, None::<Instant>);
    loop {
        let place = places.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let router = router.clone();
                spawner.spawn(async move {
                    let _place = place;
                    speak_http(stream, peer, router, patience).await;
                });
            }
            Err(e) => {
                // Out of file descriptors, mostly: those who have one go on, the next has to wait.
                failures += 1;
                if told.is_none_or(|told| told.elapsed() >= COMPLAIN_EVERY) {
                    tracing::warn!(error = %e, failures, "no connection could be accepted; trying again");
                    (failures, told) = (0, Some(Instant::now()));
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn speak_http(stream: TcpStream, peer: SocketAddr, router: Router, patience: Patience) {
    // The client is gone if it fails.
    if prepare(&stream).is_err() {
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HTTP_HEAD_BYTES);
    let routes = TowerToHyperService::new(router);
    // Handlers find in the request whom they speak with.
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let connection = http
        .serve_connection(TokioIo::new(Patient::new(stream, patience.write)), service)
        .with_upgrades();
    if let Err(e) = connection.await {
        tracing::debug!(error = %e, "an HTTP connection ended");
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Small frames must not wait for an ack of the peer's kernel.
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(crate::limits::UNSENT_BYTES)?;
    Ok(())
}

/// Binds the listening socket.
///
/// # Errors
/// The system's, with the address in the text.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A process that comes back must not wait for the connections of the one before to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    listen().map_err(|e| io::Error::new(e.kind(), format!("--listen {address}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody accepts meanwhile: those beyond what may wait would never get in.
    #[tokio::test]
    async fn a_crowd_may_come_at_once() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let limit = Duration::from_secs(20);
        let connect = |_| std::net::TcpStream::connect_timeout(&address, limit).unwrap();
        let crowd: Vec<_> = (0..300).map(connect).collect();
        assert_eq!(crowd.len(), 300);
    }
}
