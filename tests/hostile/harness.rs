//! The relay tests' own door to processes and well-behaved clients, taken from there.

#![allow(
    dead_code,
    reason = "shared with the relay tests, which use what these do not"
)]

#[path = "../relay/harness/client.rs"]
pub mod client;
#[path = "../relay/harness/history.rs"]
pub mod history;
#[path = "../relay/harness/http.rs"]
pub mod http;
#[path = "../relay/harness/model.rs"]
pub mod model;
#[path = "../relay/harness/random.rs"]
pub mod random;
#[path = "../relay/harness/server.rs"]
pub mod server;
#[path = "../relay/harness/socket.rs"]
pub mod socket;

use std::time::Duration;

pub use client::Client;
pub use random::Random;
pub use server::Relay;

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

impl Relay {
    /// Ends every test here: the first process is still the one that was started, answers, and never panicked.
    pub async fn unharmed(&mut self) {
        let health = self.get(0, "/healthz").await.expect("somebody answers");
        assert_eq!(health.status, 200);
        let log = self.process(0).log();
        assert!(!log.contains("panicked"), "{log}");
    }

    /// A number of `/api/v1/stats`.
    pub async fn stat(&self, name: &str) -> u64 {
        let stats = self.get(0, "/api/v1/stats").await.expect("numbers").json();
        let number = stats[name].as_u64();
        number.unwrap_or_else(|| panic!("{name} of {stats}"))
    }

    /// Waits until a number of `/api/v1/stats` is as wanted.
    pub async fn until_stat(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        eventually(name, || async {
            wanted(self.stat(name).await).then_some(())
        })
        .await;
    }
}
