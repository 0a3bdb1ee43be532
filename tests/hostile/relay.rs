//! What these tests ask a relay for, beside what the relay tests do.

use crate::harness::{Relay, eventually};

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
