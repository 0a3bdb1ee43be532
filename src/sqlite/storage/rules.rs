//! The settings that all processes of a relay must agree on, because they decide about shared rows. They are stored in
//! the file, in the words of the flags.

use rusqlite::{Connection, OptionalExtension};

use crate::config::{AuthMode, SqliteConfig, Synchronous};

/// The row of `meta`.
const KEY: &str = "rules";

/// `flag value`, one after the other, as they are kept. Of `--auth` only the mode counts: keys may differ while they are changed.
pub(in crate::sqlite) fn of(config: &SqliteConfig) -> Vec<(&'static str, String)> {
    let span = |duration| {
        humantime::format_duration(duration)
            .to_string()
            .replace(' ', "")
    };
    let off = || "off".to_owned();
    let number = |value: Option<u64>| value.map_or_else(off, |value| value.to_string());
    let rules = &config.rules;
    let quotas = &config.rules.quotas;
    let synchronous = match config.file.synchronous {
        Synchronous::Normal => "normal",
        Synchronous::Full => "full",
    };
    let auth = match config.auth {
        AuthMode::None => "none",
        AuthMode::Token => "token",
    };
    vec![
        ("message-ttl", span(rules.message_ttl)),
        ("cursor-ttl", span(config.file.cursor_ttl)),
        ("presence-grace", span(rules.presence_grace)),
        ("max-objects", rules.bounds.max_objects.to_string()),
        ("max-canvas-bytes", rules.bounds.max_bytes.to_string()),
        ("max-canvas-log-bytes", quotas.canvas_log_bytes.to_string()),
        ("max-log-bytes", quotas.log_bytes.to_string()),
        ("max-total-bytes", number(quotas.total_bytes)),
        ("max-canvases", number(quotas.canvases)),
        ("canvas-idle-ttl", quotas.idle_ttl.map_or_else(off, span)),
        ("synchronous", synchronous.to_owned()),
        ("auth", auth.to_owned()),
    ]
}

/// Keeps this process's, where nobody else runs.
pub(in crate::sqlite) fn keep(conn: &Connection, config: &SqliteConfig) -> rusqlite::Result<()> {
    let text: Vec<String> = of(config)
        .into_iter()
        .map(|(flag, value)| format!("--{flag} {value}"))
        .collect();
    let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    conn.execute(sql, [KEY, &text.join(" ")]).map(drop)
}

/// What is kept, as it is written; `None` in a file of a relay that knew no rules.
pub(crate) fn kept(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    conn.query_row(sql, [KEY], |row| row.get(0)).optional()
}

/// Where this process's differ from what is kept: `--flag is A there, B here`. What only one of them knows is of another version.
pub(in crate::sqlite) fn differing(
    conn: &Connection,
    config: &SqliteConfig,
) -> rusqlite::Result<Option<String>> {
    let Some(kept) = kept(conn)? else {
        return Ok(None);
    };
    let words: Vec<&str> = kept.split(' ').collect();
    let differ: Vec<String> = of(config)
        .into_iter()
        .filter_map(|(flag, own)| {
            let at = words
                .iter()
                .position(|word| word.strip_prefix("--") == Some(flag))?;
            let theirs = words.get(at + 1).filter(|theirs| **theirs != own)?;
            Some(format!("--{flag} is {theirs} there, {own} here"))
        })
        .collect();
    Ok((!differ.is_empty()).then(|| differ.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sqlite::tests::config;

    #[test]
    fn each_rule_that_differs_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
            .unwrap();
        let ours = config(dir.path(), "one");
        assert_eq!(
            differing(&conn, &ours).unwrap(),
            None,
            "nothing is kept yet"
        );
        keep(&conn, &ours).unwrap();
        assert_eq!(differing(&conn, &ours).unwrap(), None);
        let mut other = ours;
        other.rules.message_ttl = Duration::from_millis(61_500);
        other.file.cursor_ttl = Duration::from_secs(6);
        other.rules.presence_grace = Duration::ZERO;
        other.rules.bounds.max_objects = 3;
        other.rules.bounds.max_bytes += 1;
        other.rules.quotas.canvas_log_bytes += 1;
        other.rules.quotas.log_bytes += 1;
        other.rules.quotas.canvases = Some(7);
        other.file.synchronous = Synchronous::Full;
        other.auth = AuthMode::Token;
        assert_eq!(
            differing(&conn, &other).unwrap().unwrap(),
            "--message-ttl is 1m there, 1m1s500ms here; --cursor-ttl is 5s there, 6s here; \
             --presence-grace is 10s there, 0s here; --max-objects is 10000 there, 3 here; \
             --max-canvas-bytes is 1048576 there, 1048577 here; \
             --max-canvas-log-bytes is 67108864 there, 67108865 here; \
             --max-log-bytes is 1073741824 there, 1073741825 here; --max-canvases is off there, 7 here; \
             --synchronous is normal there, full here; \
             --auth is none there, token here"
        );
        // What another version has kept does not keep this one out.
        conn.execute("UPDATE meta SET value = '--new-rule 7 --max-objects 3'", [])
            .unwrap();
        assert_eq!(differing(&conn, &other).unwrap(), None);
    }
}
