//! The effective configuration as flags: for `--print-config`, and for the processes of a cluster.

use std::time::Duration;

use clap::ValueEnum;

use super::values::Switch;
use super::{Config, SqliteSettings, Store};

fn word<T: ValueEnum>(value: T) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

fn span(value: Duration) -> String {
    humantime::format_duration(value).to_string()
}

fn switch(on: bool) -> String {
    Switch::word(on).to_owned()
}

impl Config {
    /// Every flag that takes a value and has one, with the value in force; a repeated flag once for each. Of a store's own flags only
    /// those of the store in use. Parsed again they give the same configuration. Secrets from the environment, and Redis's password, are not in it.
    pub fn effective(&self) -> Vec<(&'static str, String)> {
        let mut all = self.running();
        let limits = &self.limits;
        let numbers = [
            ("ops-per-s", limits.ops_per_s),
            ("op-bytes-per-s", limits.op_bytes_per_s),
            ("ephemeral-per-s", limits.ephemeral_per_s),
            ("ephemeral-bytes-per-s", limits.ephemeral_bytes_per_s),
            ("max-connections", limits.max_connections),
            (
                "max-connections-per-address",
                limits.max_connections_per_address,
            ),
        ];
        all.extend(numbers.map(|(flag, number)| (flag, number.to_string())));
        let max_bytes = self.rules.bounds.max_bytes;
        all.push(("max-canvas-bytes", max_bytes.to_string()));
        let quotas = &self.rules.quotas;
        all.push(("max-canvas-log-bytes", quotas.canvas_log_bytes.to_string()));
        all.push(("max-log-bytes", quotas.log_bytes.to_string()));
        let off = || "off".to_owned();
        let number = |value: Option<u64>| value.map_or_else(off, |value| value.to_string());
        all.push(("max-total-bytes", number(quotas.total_bytes)));
        all.push(("max-canvases", number(quotas.canvases)));
        let beginnings = limits.new_canvases_per_minute;
        let beginnings = beginnings.map(|n| u64::from(n.get()));
        all.push(("new-canvases-per-minute", number(beginnings)));
        all.push(("canvas-idle-ttl", quotas.idle_ttl.map_or_else(off, span)));
        all.push(("jobs-queue-bytes", self.jobs.queue_bytes.to_string()));
        all.push(("jobs-bytes", self.jobs.bytes.to_string()));
        all.push(("max-json-depth", limits.max_json_depth.to_string()));
        let deadlines = [
            ("handshake-timeout", self.deadlines.handshake),
            ("hello-timeout", self.deadlines.hello),
            ("ping-interval", self.deadlines.ping_interval),
            ("pong-timeout", self.deadlines.pong),
        ];
        all.extend(deadlines.map(|(flag, value)| (flag, span(value))));
        let proxies = limits.trusted_proxies.iter();
        all.extend(proxies.map(|proxy| ("trusted-proxy", proxy.to_string())));
        all.extend(self.assets.effective());
        all.extend(self.security.effective());
        let log_file = self.log_file.iter();
        all.extend(log_file.map(|file| ("log-file", file.display().to_string())));
        let hooks = self.hooks_file.iter();
        all.extend(hooks.map(|file| ("hooks", file.display().to_string())));
        all
    }

    fn running(&self) -> Vec<(&'static str, String)> {
        let (in_memory, of_store) = match &self.store {
            Store::Memory => (true, Vec::new()),
            Store::Sqlite(file) => (false, file.effective()),
            Store::Redis(redis) => (false, redis.effective()),
        };
        let mut all = vec![
            ("listen", self.listen.to_string()),
            ("instance-id", self.instance_id.to_string()),
            ("queue", switch(!in_memory)),
        ];
        all.extend(of_store);
        all.extend([
            ("profile", word(self.profile)),
            ("cursor-flush-min", span(self.cursor_flush_min)),
            ("cursor-flush-max", span(self.cursor_flush_max)),
            ("message-ttl", span(self.rules.message_ttl)),
            ("local-broadcast", switch(self.local_broadcast)),
            ("presence-grace", span(self.rules.presence_grace)),
            ("drain-timeout", span(self.drain_timeout)),
            ("write-timeout", span(self.write_timeout)),
            ("max-message-bytes", self.max_message_bytes.to_string()),
            (
                "max-clients-per-canvas",
                self.max_clients_per_canvas.to_string(),
            ),
            ("max-objects", self.rules.bounds.max_objects.to_string()),
            ("snapshots", switch(self.snapshots)),
            ("log-format", word(self.log_format)),
            ("log-level", word(self.log_level)),
            ("demo", switch(self.demo)),
            ("admin-writes", self.admin_writes.to_string()),
            ("demo-controls", self.demo_controls.to_string()),
        ]);
        all
    }
}

impl SqliteSettings {
    /// The flags that say so.
    fn effective(&self) -> Vec<(&'static str, String)> {
        let off = || "off".to_owned();
        let spill_dir = self.spill_dir.as_ref();
        let spill_dir = spill_dir.map_or_else(off, |dir| dir.display().to_string());
        vec![
            ("db", self.db.display().to_string()),
            ("poll-interval", span(self.poll_interval)),
            ("poll-idle", span(self.poll_idle)),
            (
                "max-messages-per-poll",
                self.max_messages_per_poll.to_string(),
            ),
            ("cursor-ttl", span(self.cursor_ttl)),
            ("cleanup-interval", span(self.cleanup_interval)),
            ("synchronous", word(self.synchronous)),
            ("spill-dir", spill_dir),
            ("spill-max-bytes", self.spill_max_bytes.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_flag_is_in_it() {
        let mut cli = Cli::command();
        let serve = cli.find_subcommand_mut("serve").unwrap();
        let flags: BTreeSet<_> = serve
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
            .filter_map(|arg| arg.get_long().map(str::to_owned))
            // Of Redis and of buckets there are tests of their own: they do not go with files.
            .filter(|flag| !["help", "version", "config", "print-config"].contains(&flag.as_str()))
            .filter(|flag| !flag.starts_with("redis"))
            .filter(|flag| !["assets-url", "assets-endpoint", "assets-region"].contains(&&**flag))
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let secret = file("secret", "for this test only, and for no other");
        let public = file("key", include_str!("../../tests/keys/ed25519.pub.pem"));
        let config = Config::from_flags([
            &format!("--auth-secret-file={secret}"),
            &format!("--auth-public-key-file={public}"),
            &format!("--revoked-file={secret}"),
            &format!("--api-token-file={secret}"),
            "--allowed-origin=https://a.example",
            "--trusted-proxy=127.0.0.1",
            "--log-file=scumble.log",
            "--assets-dir=assets",
            &format!("--hooks={}", file("hooks", "")),
        ])
        .unwrap();
        let again: Vec<String> = config
            .effective()
            .iter()
            .filter(|(flag, _)| *flag != "demo-controls")
            .map(|(flag, value)| format!("--{flag}={value}"))
            .collect();
        let again = Config::from_flags(again).unwrap();
        assert_eq!(config.effective(), again.effective());
        let effective = config
            .effective()
            .iter()
            .map(|(flag, _)| (*flag).to_owned())
            .collect();
        assert_eq!(flags, effective);
    }

    #[test]
    fn where_redis_is_stands_in_it_without_the_password() {
        let config = Config::from_flags(["--redis=redis://:secret@10.0.0.5/2"]).unwrap();
        let told = ("redis", "redis://:***@10.0.0.5/2".to_owned());
        assert!(config.effective().contains(&told));
    }

    #[test]
    fn what_is_about_the_file_is_not_in_it_without_a_file() {
        for store in ["--redis=redis://h", "--queue=off"] {
            let config = Config::from_flags([store]).unwrap();
            let all = config.effective();
            let of_file = ["db", "poll-idle", "cursor-ttl", "spill-dir"];
            let found = all.iter().find(|(flag, _)| of_file.contains(flag));
            assert_eq!(found, None, "{store}");
        }
    }

    #[test]
    fn it_reads_back_as_itself() {
        for profile in ["low-latency", "balanced", "high-throughput"] {
            let first = Config::from_flags(["--profile", profile, "--poll-idle=1500ms"]).unwrap();
            let flags = first
                .effective()
                .into_iter()
                .filter(|(flag, _)| *flag != "demo-controls")
                .map(|(flag, value)| format!("--{flag}={value}"));
            let again = Config::from_flags(flags).unwrap();
            assert_eq!(first.effective(), again.effective());
        }
    }
}
