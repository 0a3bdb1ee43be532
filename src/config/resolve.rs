//! From raw flags to a [`Config`]: the profile's column, and the checks that need more than one flag.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use clap::error::ErrorKind;
use thiserror::Error;
use uuid::Uuid;

use super::serve_args::ServeArgs;
use super::values::Switch;
use super::{Config, RedisUrl, SqliteConfig, Synchronous};
use crate::protocol::ids::InstanceId;

/// Flags that are right each by itself, but not together or not here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid value {value} for '--{flag}': {hint}")]
pub struct ConfigError {
    flag: &'static str,
    value: String,
    hint: String,
}

impl ConfigError {
    pub(super) fn new(flag: &'static str, value: impl Display, hint: impl Into<String>) -> Self {
        Self {
            flag,
            value: format!("'{value}'"),
            hint: hint.into(),
        }
    }

    /// The same in the form of every other usage error: exits with code 2.
    pub fn into_usage_error(self) -> clap::Error {
        usage_error(&self.to_string())
    }
}

/// A usage error of our own in the form of clap's.
#[must_use]
pub(crate) fn usage_error(message: &str) -> clap::Error {
    let text = format!("{message}\n\nFor more information, try '--help'.\n");
    clap::Error::raw(ErrorKind::ValueValidation, text)
}

impl Config {
    /// Completes and checks raw flags.
    ///
    /// # Errors
    /// [`ConfigError`] for flags that contradict each other, or a folder that is not there.
    pub fn from_args(args: ServeArgs) -> Result<Self, ConfigError> {
        let column = args.profile.column();
        let in_memory = !args.queue.is_on();
        let local_broadcast = args
            .local_broadcast
            .map_or(column.local_broadcast, Switch::is_on);
        let security = args.security.resolve()?;
        let config = Self {
            listen: args.listen,
            queue: SqliteConfig {
                db: args.db,
                instance_id: args.instance_id.unwrap_or_else(random_instance_id),
                poll_interval: args.poll_interval.unwrap_or(column.poll_interval),
                poll_idle: args.poll_idle.unwrap_or(column.poll_idle),
                max_messages_per_poll: args
                    .max_messages_per_poll
                    .unwrap_or(column.max_messages_per_poll),
                message_ttl: args.message_ttl,
                cursor_ttl: args.cursor_ttl,
                cleanup_interval: args.cleanup_interval,
                local_broadcast,
                synchronous: args.synchronous,
                presence_grace: args.presence_grace,
                auth: security.mode(),
                max_objects: args.max_objects as usize,
                max_canvas_bytes: args.limits.max_canvas_bytes as usize,
                quotas: args.quotas.resolve(),
                jobs: args.limits.jobs(),
                spill_dir: Some(args.spill_dir).filter(|dir| dir.as_os_str() != "off"),
                spill_max_bytes: u64::from(args.spill_max_bytes),
                fail_points: args.fail_point,
            },
            in_memory,
            redis: args.redis.resolve()?,
            local_broadcast,
            cursor_flush_min: args.cursor_flush_min.unwrap_or(column.cursor_flush_min),
            cursor_flush_max: args.cursor_flush_max.unwrap_or(column.cursor_flush_max),
            drain_timeout: args.drain_timeout,
            max_message_bytes: args.max_message_bytes as usize,
            max_clients_per_canvas: args.max_clients_per_canvas as usize,
            max_objects: args.max_objects as usize,
            max_canvas_bytes: args.limits.max_canvas_bytes as usize,
            write_timeout: args.write_timeout,
            snapshots: args.snapshots.is_on(),
            deadlines: args.limits.deadlines(),
            limits: args.limits.resolve(args.quotas.new_canvases_per_minute()),
            security,
            hooks_file: args.hooks,
            profile: args.profile,
            log_format: args.log_format,
            log_file: args.log_file,
            log_level: args.log_level,
            demo: args.demo.is_on(),
            admin_writes: args.admin_writes,
            demo_controls: args.demo_controls,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let queue = &self.queue;
        at_least(
            "poll-idle",
            queue.poll_idle,
            "poll-interval",
            queue.poll_interval,
        )?;
        at_least(
            "cursor-flush-max",
            self.cursor_flush_max,
            "cursor-flush-min",
            self.cursor_flush_min,
        )?;
        // A row that expires before an idle room's next poll is never delivered when its wake is lost.
        let twice = queue.poll_idle * 2;
        at_least("message-ttl", queue.message_ttl, "poll-idle, twice", twice)?;
        at_least("cursor-ttl", queue.cursor_ttl, "poll-idle, twice", twice)?;
        if self.demo_controls && !self.demo {
            return Err(ConfigError::new(
                "demo",
                "off",
                "--demo-controls belongs to the page: leave one of the two out",
            ));
        }
        if self.demo_controls && !self.listen.ip().is_loopback() {
            return Err(ConfigError::new(
                "listen",
                self.listen,
                "--demo-controls lets any visitor kill the process: only on a loopback address, \
                 like 127.0.0.1:8080",
            ));
        }
        self.security.check(self.listen)?;
        if let Some(dir) = &queue.spill_dir
            && !dir.is_dir()
        {
            let hint = "is not a folder; create it first, on another disk than --db";
            return Err(ConfigError::new("spill-dir", dir.display(), hint));
        }
        if let Some(file) = &self.hooks_file {
            self.check_hooks(file)?;
        }
        let points = &queue.fail_points;
        let other = |point: &&super::FailPoint| point.step.is_over_redis() != self.redis.is_some();
        if let Some(point) = points.iter().find(other) {
            let hint = "is a step that is not passed here: before-tell and after-tell are over Redis, the others over the file";
            return Err(ConfigError::new(
                "fail-point",
                format!("{:?}", point.step),
                hint,
            ));
        }
        if let Some(redis) = &self.redis {
            return self.check_with_redis(&redis.url);
        }
        if self.in_memory {
            Ok(())
        } else {
            check_db(&queue.db)
        }
    }
}

impl Config {
    /// What is about the file has no meaning beside Redis; what would be missed is refused.
    fn check_with_redis(&self, redis: &RedisUrl) -> Result<(), ConfigError> {
        let refused = |flag, value: &str, hint: &str| Err(ConfigError::new(flag, value, hint));
        if self.in_memory {
            return refused(
                "queue",
                "off",
                "keeps everything in one process: leave out this flag or --redis",
            );
        }
        if self.queue.spill_dir.is_some() {
            return refused(
                "redis",
                &redis.to_string(),
                "a relay over Redis has no spill file: leave out --spill-dir",
            );
        }
        if self.queue.synchronous == Synchronous::Full {
            let hint =
                "is about the file; over Redis leave it out, and set appendfsync always in Redis";
            return refused("synchronous", "full", hint);
        }
        Ok(())
    }
}

impl Config {
    fn check_hooks(&self, file: &Path) -> Result<(), ConfigError> {
        match crate::hooks::file::read(file) {
            Ok(_) => Ok(()),
            Err(error) => Err(ConfigError::new("hooks", file.display(), &error)),
        }
    }
}

fn random_instance_id() -> InstanceId {
    let text = Uuid::new_v4().to_string();
    InstanceId::parse(&text).expect("a UUID matches the pattern of instance ids")
}

fn at_least(
    flag: &'static str,
    value: Duration,
    bound: &str,
    min: Duration,
) -> Result<(), ConfigError> {
    if value >= min {
        return Ok(());
    }
    let (value, min) = (
        humantime::format_duration(value),
        humantime::format_duration(min),
    );
    Err(ConfigError::new(
        flag,
        value,
        format!("must be at least {min} (--{bound})"),
    ))
}

fn check_db(db: &Path) -> Result<(), ConfigError> {
    if db.is_dir() {
        return Err(ConfigError::new(
            "db",
            db.display(),
            "is a folder; right would be a file in it, like scumble.db",
        ));
    }
    let folder = match db.parent() {
        None => return Err(ConfigError::new("db", db.display(), "must name a file")),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    if folder.is_dir() {
        return Ok(());
    }
    let hint = format!(
        "the folder {} is not there; create it first",
        folder.display()
    );
    Err(ConfigError::new("db", db.display(), hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;

    fn config(flags: &[&str]) -> Config {
        Config::from_flags(flags.iter().copied()).unwrap()
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let c = config(&[]);
        assert_eq!(c.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(c.queue.poll_interval.as_millis(), 50);
        assert_eq!(c.queue.poll_idle.as_millis(), 200);
        assert_eq!(c.queue.max_messages_per_poll, 100);
        assert_eq!(c.queue.message_ttl.as_secs(), 60);
        assert_eq!(c.queue.cursor_ttl.as_secs(), 5);
        assert_eq!(c.queue.cleanup_interval.as_secs(), 30);
        assert_eq!(c.queue.synchronous, Synchronous::Normal);
        assert!(c.local_broadcast && !c.in_memory && c.snapshots && !c.demo_controls);
    }

    #[test]
    fn a_profile_sets_its_column_and_a_flag_beside_it_wins() {
        let c = config(&["--profile", "high-throughput", "--poll-interval", "70ms"]);
        assert_eq!(c.profile, Profile::HighThroughput);
        assert_eq!(c.queue.poll_interval.as_millis(), 70);
        assert_eq!(c.queue.poll_idle.as_millis(), 1000);
        assert_eq!(c.queue.max_messages_per_poll, 1000);
        assert!(!c.local_broadcast && !c.queue.local_broadcast);
        // Given beside the profile, even a value that happens to be the usual default wins.
        let c = config(&["--local-broadcast", "on", "--profile", "high-throughput"]);
        assert!(c.local_broadcast);
    }

    #[test]
    fn contradictions_name_the_flag_and_what_would_be_right() {
        for (flags, hint) in [
            (
                &["--poll-interval", "5s"][..],
                "'--poll-idle': must be at least 5s (--poll-interval)",
            ),
            (
                &["--cursor-flush-min", "1s"],
                "'--cursor-flush-max': must be at least 1s",
            ),
            (
                &["--poll-idle", "3s"],
                "'--cursor-ttl': must be at least 6s (--poll-idle, twice)",
            ),
            (
                &["--demo-controls", "--listen", "0.0.0.0:80"],
                "'--listen': --demo-controls",
            ),
            (
                &["--demo-controls", "--demo", "off"],
                "'--demo': --demo-controls",
            ),
            (&["--db", "/"], "'--db': is a folder"),
            (&["--db", "no/such/x.db"], "the folder no/such is not there"),
        ] {
            let error = Config::from_flags(flags.iter().copied()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(hint), "{error}");
        }
    }

    #[test]
    fn without_a_queue_the_file_does_not_matter() {
        assert!(config(&["--queue", "off", "--db", "no/such/x.db"]).in_memory);
    }
}
