//! Accepts connections and speaks HTTP/1.1 on them until they end or become WebSockets.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::error;
use super::lobby::{Doing, Lobby, Seat};
use super::patient::Patient;
use crate::limits::{HTTP_HEAD_BYTES, LISTEN_BACKLOG};
use crate::tasks::Spawner;

/// A pause after a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// While that lasts, the log hears of it this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// During the drain, the rest of a head and of an answer have this long.
const DRAIN_HEAD: Duration = Duration::from_secs(1);

/// How long a client may take.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For a head, and for a pause between two requests.
    pub head: Duration,
    /// To take a byte of an answer.
    pub write: Duration,
    /// Once it is cancelled, connections end with the answer they wait for, and idle ones at once.
    pub ending: CancellationToken,
}

/// What is answered where there is no place for more.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/api/v1/stats"];

/// What is decided by these, so they must say one thing.
const SINGLE: [HeaderName; 3] = [header::HOST, header::ORIGIN, header::AUTHORIZATION];

/// Accepts for ever. How many speak HTTP at a time is the lobby's to say; those that become WebSockets count until they have.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    spawner: Spawner,
    patience: Patience,
    lobby: Arc<Lobby>,
) {
    let mut failures = 0_u64;
    let mut told = None::<Instant>;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let router = router.clone();
                let patience = patience.clone();
                let seat = lobby.enter(peer.ip());
                spawner.spawn(async move {
                    let doing = seat.doing.clone();
                    tokio::select! {
                        () = speak_http(stream, peer, router, patience, &seat) => {}
                        () = doing.given_up() => {}
                    }
                });
            }
            Err(e) => {
                // Out of file descriptors, mostly: those who have one go on, the next has to wait.
                failures += 1;
                if told.is_none_or(|told| told.elapsed() >= COMPLAIN_EVERY) {
                    tracing::warn!(error = %e, failures, "no connection could be accepted; trying again");
                    failures = 0;
                    told = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn speak_http(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    seat: &Seat,
) {
    // The client is gone if it fails.
    if prepare(&stream).is_err() {
        return;
    }
    let late = patience.ending.is_cancelled();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // Who comes during the drain is answered once: balancers learn from it that this process is leaving.
        .keep_alive(!late && !seat.reserve)
        .header_read_timeout(if late { DRAIN_HEAD } else { patience.head })
        .max_buf_size(HTTP_HEAD_BYTES);
    let service = service(router, peer, seat);
    let io = Patient::new(stream, patience.write, seat.doing.clone());
    let mut connection = pin!(
        http.serve_connection(TokioIo::new(io), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = patience.ending.cancelled(), if !late => {
            connection.as_mut().graceful_shutdown();
            last_answers(connection, &seat.doing).await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "an HTTP connection ended");
    }
}

/// The routes, of which a connection of the reserve has only those for probes.
fn service<'a>(
    router: Router,
    peer: SocketAddr,
    seat: &'a Seat,
) -> impl Service<
    Request<Incoming>,
    Response = Response,
    Error = Infallible,
    Future: Future<Output = Result<Response, Infallible>> + Send + 'a,
> + 'a {
    let routes = TowerToHyperService::new(router);
    let doing = &seat.doing;
    let reserve = seat.reserve;
    // Handlers find in the request whom they speak with.
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(seat.door());
        let refused = if reserve && !PROBES.contains(&request.uri().path()) {
            Some(full())
        } else {
            ambiguous(request.headers())
        };
        let routes = routes.clone();
        async move {
            if let Some(refused) = refused {
                return Ok(refused);
            }
            let _answering = Answering::begin(doing);
            routes.call(request).await
        }
    })
}

/// Waits for the end of a connection that takes no more requests. One that no handler works for has a moment: half a head may
/// never become whole.
async fn last_answers<E>(
    mut connection: Pin<&mut impl Future<Output = Result<(), E>>>,
    doing: &Doing,
) -> Result<(), E> {
    loop {
        if let Ok(ended) = tokio::time::timeout(DRAIN_HEAD, connection.as_mut()).await {
            return ended;
        }
        let busy = [&doing.answering, &doing.streaming];
        if !busy.iter().any(|busy| busy.load(Ordering::Relaxed)) {
            return Ok(());
        }
    }
}

/// A request is being answered as long as it lives.
struct Answering<'a>(&'a Doing);

impl<'a> Answering<'a> {
    fn begin(doing: &'a Doing) -> Self {
        doing.answering.store(true, Ordering::Relaxed);
        doing.answers.fetch_add(1, Ordering::Relaxed);
        Self(doing)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.answering.store(false, Ordering::Relaxed);
    }
}

/// 400 for a header that is decided by and comes twice: a proxy may have gone by the other one.
fn ambiguous(headers: &HeaderMap) -> Option<Response> {
    let twice = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    let name = SINGLE.iter().find(twice)?;
    let message = format!("the header {name} may come once");
    Some(error(StatusCode::BAD_REQUEST, "bad-request", &message))
}

fn full() -> Response {
    let message = "too many connections, of this address or in all; try again soon";
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, "full", message);
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, soon);
    response
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Small frames must not wait for an ack of the peer's kernel.
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(crate::limits::UNSENT_BYTES)?;
    Ok(())
}

/// A socket that has its address, and takes nobody yet.
#[derive(Debug)]
pub struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Bound {
    /// Takes connections from here on.
    ///
    /// # Errors
    /// The system's, with the address in the text.
    pub fn listen(self) -> io::Result<TcpListener> {
        let Self { socket, address } = self;
        socket.listen(LISTEN_BACKLOG).map_err(at(address))
    }
}

/// Takes an address. A process that can't have it is to know before anybody knows of the process.
///
/// # Errors
/// The system's, with the address in the text.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let bind = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A process that comes back must not wait for the connections of the one before to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Bound { socket, address })
    };
    bind().map_err(at(address))
}

fn at(address: SocketAddr) -> impl FnOnce(io::Error) -> io::Error {
    move |e| {
        let hint = match e.kind() {
            io::ErrorKind::AddrInUse => {
                "; end the program that listens there, or give another port"
            }
            io::ErrorKind::AddrNotAvailable => "; this host has no such address",
            _ => "",
        };
        io::Error::new(e.kind(), format!("--listen {address}: {e}{hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody accepts meanwhile: those beyond what may wait would never get in.
    #[tokio::test]
    async fn a_crowd_may_come_at_once() {
        let bound = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = bound.listen().unwrap();
        let address = listener.local_addr().unwrap();
        let limit = Duration::from_secs(20);
        let connect = |_| std::net::TcpStream::connect_timeout(&address, limit).unwrap();
        let crowd: Vec<_> = (0..300).map(connect).collect();
        assert_eq!(crowd.len(), 300);
    }
}
