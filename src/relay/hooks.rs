//! The file of `--hooks`, at the start and at each SIGHUP.

use std::path::Path;

use crate::hooks::{Change, HookStore, file};

/// Has the hooks in the file be those of the relay, for all its processes. What is wrong with them is said, and changes nothing.
pub(super) async fn take(store: &dyn HookStore, path: &Path, over: bool) {
    // The disk may be slow, and a file of many hooks takes a while to be checked.
    let named = path.to_owned();
    let read = tokio::task::spawn_blocking(move || file::read(&named)).await;
    let texts = match read.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(texts) => texts,
        Err(error) => {
            tracing::error!(file = %path.display(), error, "--hooks can't be read: the hooks stay as they are");
            return;
        }
    };
    let count = texts.len();
    match store.store(texts, over).await {
        Ok(Change::Stored) => {
            tracing::info!(hooks = count, file = %path.display(), "the relay's hooks are those of this file");
        }
        Ok(Change::None) => {}
        Ok(Change::OthersStay) => tracing::warn!(
            file = %path.display(),
            "the relay follows other hooks than those of this file: SIGHUP to this process makes it follow these"
        ),
        Err(error) => tracing::error!(
            error,
            "the hooks could not be stored: they stay as they are"
        ),
    }
}
