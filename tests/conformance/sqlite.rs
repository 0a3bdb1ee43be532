//! The SQLite backplane: several instances over one file in a temporary folder.

use std::sync::Arc;
use std::time::Duration;

use scumble::backplane::Backplane;
use scumble::config::{AuthMode, SqliteConfig, SqliteSettings, Synchronous};
use scumble::protocol::ids::InstanceId;
use scumble::sqlite::SqliteBackplane;

use crate::cluster::{Cluster, Options};

/// Own commits are delivered from memory, or (`LOCAL` false) come round through the file.
pub struct Sqlite<const LOCAL: bool> {
    folder: tempfile::TempDir,
    options: Options,
    started: usize,
}

impl<const LOCAL: bool> Cluster for Sqlite<LOCAL> {
    const INSTANCES: usize = 3;

    fn start(options: &Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            folder,
            options: options.clone(),
            started: 0,
        }
    }

    fn add(&mut self) -> Arc<dyn Backplane> {
        self.started += 1;
        let name = format!("instance-{}", self.started);
        let config = SqliteConfig {
            instance_id: InstanceId::parse(&name).expect("an instance id"),
            file: SqliteSettings {
                db: self.folder.path().join("queue.db"),
                poll_interval: Duration::from_millis(50),
                poll_idle: Duration::from_millis(200),
                max_messages_per_poll: 100,
                cursor_ttl: Duration::from_secs(5),
                cleanup_interval: Duration::from_millis(200),
                synchronous: Synchronous::Normal,
                spill_dir: None,
                spill_max_bytes: 1 << 20,
            },
            rules: self.options.rules(),
            auth: AuthMode::None,
            jobs: scumble::limits::JobLimits::default(),
            local_broadcast: LOCAL,
            fail_points: Vec::new(),
        };
        SqliteBackplane::start(config).expect("the queue starts")
    }
}

/// Own clients hear at commit.
mod local {
    suite!(crate::sqlite::Sqlite<true>);
    suite_across!(crate::sqlite::Sqlite<true>);
}

/// Everything goes round through the file.
mod round {
    suite!(crate::sqlite::Sqlite<false>);
    suite_across!(crate::sqlite::Sqlite<false>);
}
