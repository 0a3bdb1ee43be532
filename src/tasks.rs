//! The one place that spawns tasks. Long-lived parts run in the relay's `JoinSet`. Rooms and connections, which come
//! and go, run through a [`Spawner`]. Panics abort the process (see `main.rs`), so no task dies unseen.

use tokio_util::task::TaskTracker;

/// Spawns and counts tasks that come and go.
#[derive(Clone, Default)]
pub struct Spawner(TaskTracker);

impl Spawner {
    /// Runs a task to its end.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    /// Waits until all that were spawned have ended. The caller bounds the wait.
    pub async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
