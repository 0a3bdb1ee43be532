//! What every test here stands on: processes ([`server`]), a client that checks its own stream ([`client`]),
//! the canvas as clients must see it ([`model`]), and the proof over all streams ([`history`]).
//!
//! The paths are spelt out because `tests/chaos` and `tests/hostile` stand on the same files.
//!
//! No wait here is without a bound: [`PATIENCE`] ends it with a failure that shows the processes' logs.

#[path = "harness/client.rs"]
pub mod client;
#[path = "harness/company.rs"]
pub mod company;
#[path = "harness/history.rs"]
pub mod history;
#[path = "harness/http.rs"]
pub mod http;
#[path = "harness/model.rs"]
pub mod model;
#[path = "harness/random.rs"]
pub mod random;
#[path = "harness/server.rs"]
pub mod server;
#[path = "harness/socket.rs"]
pub mod socket;
#[path = "harness/stream.rs"]
pub mod stream;

use std::time::Duration;

pub use client::Client;
pub use company::roster;
pub use history::check_history;
pub use random::Random;
pub use server::Relay;
pub use socket::Socket;

/// The longest that anything may take. Far above what is normal: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Waits for `future`, at most for [`PATIENCE`].
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Looks again and again until `look` gives something, at most for [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    soon(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    })
    .await
}
