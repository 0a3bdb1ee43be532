//! The hooks of an open file, for the rest of the process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::SqliteBackplane;
use super::command::Command;
use super::hooks::count_aside;
use crate::hooks::file::HookText;
use crate::hooks::{Change, HookStore, Stored};

/// The hooks of a file.
#[must_use]
pub fn hook_store(backplane: &Arc<SqliteBackplane>) -> Arc<dyn HookStore> {
    Arc::new(FileHooks(backplane.clone()))
}

struct FileHooks(Arc<SqliteBackplane>);

impl HookStore for FileHooks {
    fn watch(&self) -> watch::Receiver<Arc<Stored>> {
        self.0.hooks.watch()
    }

    fn store(&self, texts: Vec<HookText>, over: bool) -> BoxFuture<'_, Result<Change, String>> {
        let stored = async move {
            let store = |change| Command::StoreHooks {
                texts,
                over,
                change,
            };
            self.0.ask(store).await.map_err(|error| error.to_string())
        };
        stored.boxed()
    }

    fn alone(&self) -> bool {
        self.0.peers.is_empty()
    }

    fn turn_off(&self, name: &str, why: &str) -> BoxFuture<'_, Result<bool, String>> {
        let name = name.to_owned();
        let why = why.to_owned();
        let turned = async move {
            let turn_off = |was_on| Command::TurnOffHook { name, why, was_on };
            let asked = self.0.ask(turn_off).await;
            asked.map_err(|error| error.to_string())
        };
        turned.boxed()
    }

    fn dropped(&self) -> u64 {
        self.0.hooks.dropped.load(Ordering::Relaxed)
    }

    fn set_aside(&self) -> BoxFuture<'_, u64> {
        let count = self.0.reader.read(count_aside);
        count.map(Result::unwrap_or_default).boxed()
    }

    /// The writer does all of it.
    fn run(&self) -> BoxFuture<'_, ()> {
        std::future::pending().boxed()
    }
}
