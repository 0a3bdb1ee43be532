//! From raw flags to a [`Config`]: the profile's column, and the checks that need more than one flag.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use thiserror::Error;
use uuid::Uuid;

use super::asset_args::Beside;
use super::serve_args::ServeArgs;
use super::values::Switch;
use super::{Config, RedisSettings, SqliteSettings, Store, Synchronous};
use crate::limits::{CanvasRules, ObjectBounds};
use crate::protocol::ids::InstanceId;

/// Flags that are right each by itself, but not together or not here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid value {value} for '--{flag}': {hint}{others}")]
pub struct ConfigError {
    flag: &'static str,
    value: String,
    hint: String,
    /// What else is wrong, a line each.
    others: String,
}

impl ConfigError {
    pub(super) fn new(flag: &'static str, value: impl Display, hint: impl Into<String>) -> Self {
        Self {
            flag,
            value: format!("'{value}'"),
            hint: hint.into(),
            others: String::new(),
        }
    }

    /// All of these as one, so that they are mended in one go.
    pub(super) fn together(all: impl IntoIterator<Item = Self>) -> Result<(), Self> {
        let mut all = all.into_iter();
        let Some(mut first) = all.next() else {
            return Ok(());
        };
        for other in all {
            first.others += &format!("\nerror: {other}");
        }
        Err(first)
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

/// Refuses a wrong value without telling it: somebody may have put a key into it.
#[derive(Debug)]
pub(crate) struct Hidden<T>(std::marker::PhantomData<T>);

impl<T> Hidden<T> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T> Clone for Hidden<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T> TypedValueParser for Hidden<T>
where
    T: FromStr<Err: ToString> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        _: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let flag = arg.and_then(clap::Arg::get_long).unwrap_or_default();
        let text = value.to_str().ok_or_else(|| "is not UTF-8".to_owned());
        let parsed = text.and_then(|text| T::from_str(text).map_err(|hint| hint.to_string()));
        parsed.map_err(|hint| usage_error(&format!("invalid value for '--{flag} <URL>': {hint}")))
    }
}

impl Config {
    /// Completes and checks raw flags.
    ///
    /// # Errors
    /// [`ConfigError`] for flags that contradict each other, or a folder that is not there.
    pub fn from_args(args: ServeArgs) -> Result<Self, ConfigError> {
        let column = args.profile.column();
        let local_broadcast = args
            .local_broadcast
            .map_or(column.local_broadcast, Switch::is_on);
        let security = args.security.resolve();
        let hooks = args.hooks.as_deref().map_or(Ok(()), check_hooks);
        ConfigError::together(
            [security.as_ref().err(), hooks.as_ref().err()]
                .into_iter()
                .flatten()
                .cloned(),
        )?;
        let security = security?;
        let file = SqliteSettings {
            db: args.db,
            poll_interval: args.poll_interval.unwrap_or(column.poll_interval),
            poll_idle: args.poll_idle.unwrap_or(column.poll_idle),
            max_messages_per_poll: args
                .max_messages_per_poll
                .unwrap_or(column.max_messages_per_poll),
            cursor_ttl: args.cursor_ttl,
            cleanup_interval: args.cleanup_interval,
            synchronous: args.synchronous,
            spill_dir: Some(args.spill_dir).filter(|dir| dir.as_os_str() != "off"),
            spill_max_bytes: u64::from(args.spill_max_bytes),
        };
        let redis = args.redis.resolve()?;
        let assets = args.assets.resolve(&Beside {
            db: &file.db,
            in_memory: !args.queue.is_on(),
            over_redis: redis.is_some(),
        })?;
        let config = Self {
            listen: args.listen,
            instance_id: args.instance_id.unwrap_or_else(random_instance_id),
            store: Store::of(args.queue, redis, file)?,
            rules: CanvasRules {
                message_ttl: args.message_ttl,
                presence_grace: args.presence_grace,
                bounds: ObjectBounds {
                    max_objects: args.max_objects as usize,
                    max_bytes: args.limits.max_canvas_bytes as usize,
                },
                quotas: args.quotas.resolve(),
            },
            jobs: args.limits.jobs(),
            fail_points: args.fail_point,
            assets,
            local_broadcast,
            cursor_flush_min: args.cursor_flush_min.unwrap_or(column.cursor_flush_min),
            cursor_flush_max: args.cursor_flush_max.unwrap_or(column.cursor_flush_max),
            drain_timeout: args.drain_timeout,
            max_message_bytes: args.max_message_bytes as usize,
            max_clients_per_canvas: args.max_clients_per_canvas as usize,
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
        at_least(
            "cursor-flush-max",
            self.cursor_flush_max,
            "cursor-flush-min",
            self.cursor_flush_min,
        )?;
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
        let passed = |point: &&super::FailPoint| match &self.store {
            Store::Memory => false,
            Store::Sqlite(_) => point.step.is_over_file(),
            Store::Redis(_) => point.step.is_over_redis(),
        };
        if let Some(point) = self.fail_points.iter().find(|point| !passed(point)) {
            let hint = "is a step that is not passed here: over Redis there are before-tell and after-tell, over the file all but after-tell";
            return Err(ConfigError::new(
                "fail-point",
                format!("{:?}", point.step),
                hint,
            ));
        }
        match &self.store {
            Store::Memory | Store::Redis(_) => Ok(()),
            Store::Sqlite(file) => file.check(self.rules.message_ttl),
        }
    }
}

impl Store {
    /// The store that the flags ask for. What is about the file has no meaning in another store; what would be missed is refused.
    fn of(
        queue: Switch,
        redis: Option<RedisSettings>,
        file: SqliteSettings,
    ) -> Result<Self, ConfigError> {
        let refused = |flag, value: &str, hint: &str| Err(ConfigError::new(flag, value, hint));
        let Some(redis) = redis else {
            return Ok(if queue.is_on() {
                Self::Sqlite(file)
            } else {
                Self::Memory
            });
        };
        if !queue.is_on() {
            return refused(
                "queue",
                "off",
                "keeps everything in one process: leave out this flag or --redis",
            );
        }
        if file.spill_dir.is_some() {
            return refused(
                "redis",
                &redis.url.to_string(),
                "a relay over Redis has no spill file: leave out --spill-dir",
            );
        }
        if file.synchronous == Synchronous::Full {
            let hint =
                "is about the file; over Redis leave it out, and set appendfsync always in Redis";
            return refused("synchronous", "full", hint);
        }
        Ok(Self::Redis(redis))
    }
}

impl SqliteSettings {
    fn check(&self, message_ttl: Duration) -> Result<(), ConfigError> {
        at_least(
            "poll-idle",
            self.poll_idle,
            "poll-interval",
            self.poll_interval,
        )?;
        // A row that expires before an idle room's next poll is never delivered when its wake is lost.
        let twice = self.poll_idle * 2;
        at_least("message-ttl", message_ttl, "poll-idle, twice", twice)?;
        at_least("cursor-ttl", self.cursor_ttl, "poll-idle, twice", twice)?;
        if let Some(dir) = &self.spill_dir
            && !dir.is_dir()
        {
            let hint = "is not a folder; create it first, on another disk than --db";
            return Err(ConfigError::new("spill-dir", dir.display(), hint));
        }
        check_db(&self.db)
    }
}

fn check_hooks(file: &Path) -> Result<(), ConfigError> {
    match crate::hooks::file::read(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConfigError::new("hooks", file.display(), &error)),
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
    let value = humantime::format_duration(value);
    let min = humantime::format_duration(min);
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

    fn file(config: &Config) -> &SqliteSettings {
        match &config.store {
            Store::Sqlite(file) => file,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let c = config(&[]);
        assert_eq!(c.listen.to_string(), "127.0.0.1:8080");
        let file = file(&c);
        assert_eq!(file.poll_interval.as_millis(), 50);
        assert_eq!(file.poll_idle.as_millis(), 200);
        assert_eq!(file.max_messages_per_poll, 100);
        assert_eq!(c.rules.message_ttl.as_secs(), 60);
        assert_eq!(file.cursor_ttl.as_secs(), 5);
        assert_eq!(file.cleanup_interval.as_secs(), 30);
        assert_eq!(file.synchronous, Synchronous::Normal);
        assert!(c.local_broadcast && c.snapshots && !c.demo_controls);
    }

    #[test]
    fn a_profile_sets_its_column_and_a_flag_beside_it_wins() {
        let c = config(&["--profile", "high-throughput", "--poll-interval", "70ms"]);
        assert_eq!(c.profile, Profile::HighThroughput);
        assert_eq!(file(&c).poll_interval.as_millis(), 70);
        assert_eq!(file(&c).poll_idle.as_millis(), 1000);
        assert_eq!(file(&c).max_messages_per_poll, 1000);
        assert!(!c.local_broadcast && !c.over(file(&c)).local_broadcast);
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
        let elsewhere = ["--db", "no/such/x.db", "--poll-idle", "60s"];
        let with = |store: &[&'static str]| config(&[&elsewhere, store].concat()).store;
        assert!(matches!(with(&["--queue", "off"]), Store::Memory));
        assert!(matches!(with(&["--redis", "redis://h"]), Store::Redis(_)));
    }

    #[test]
    fn a_step_that_a_store_does_not_pass_is_refused_as_its_fail_point() {
        let (tell, told) = ("before-tell=abort", "after-tell=abort");
        let committed = "before-commit=abort";
        for (store, passed) in [
            (&[][..], &[tell, committed][..]),
            (&["--redis", "redis://h"], &[tell, told]),
            (&["--queue", "off"], &[]),
        ] {
            for point in [tell, told, committed] {
                let flags = [store, &["--fail-point", point]].concat();
                let read = Config::from_flags(flags);
                assert_eq!(read.is_ok(), passed.contains(&point), "{store:?} {point}");
            }
        }
    }
}
