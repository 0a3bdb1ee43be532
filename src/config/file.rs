//! The configuration file: flags without their dashes, in TOML. Variables win over it, and it wins over a profile: its
//! values become the defaults of the command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::{ArgAction, Command};

use super::resolve::usage_error;

/// The subcommands that read it.
const READERS: [&str; 3] = ["serve", "cluster", "check-config"];
/// Flags that have no place in a file.
const NOT_HERE: [&str; 4] = ["config", "print-config", "help", "version"];
/// The variable that names it.
const VARIABLE: &str = "SCUMBLE_CONFIG";

/// The command line as it was given.
pub(crate) fn command_line() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The command with what the file says as its defaults; as it was where no file is named.
///
/// # Errors
/// Everything that is wrong with the file, in one usage error.
pub(crate) fn with_file(command: Command, args: &[OsString]) -> Result<Command, clap::Error> {
    let reader = args.get(1).and_then(|arg| arg.to_str());
    let Some(reader) = reader.filter(|name| READERS.contains(name)) else {
        return Ok(command);
    };
    let Some(file) = named(args) else {
        return Ok(command);
    };
    let wrong = |told: &str| usage_error(&format!("--config {}: {told}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(&error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| wrong(&error.to_string()))?;
    defaults(command, reader, &table).map_err(|all| wrong(&all.join("\n  ")))
}

/// `--config FILE`, `--config=FILE`, or the variable.
#[expect(clippy::disallowed_methods, reason = "this is config")]
fn named(args: &[OsString]) -> Option<PathBuf> {
    let mut rest = args.iter().skip(2);
    while let Some(arg) = rest.next() {
        if arg == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(file) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(PathBuf::from(file));
        }
    }
    std::env::var_os(VARIABLE)
        .filter(|file| !file.is_empty())
        .map(PathBuf::from)
}

fn defaults(
    mut command: Command,
    reader: &str,
    table: &toml::Table,
) -> Result<Command, Vec<String>> {
    let mut wrong = Vec::new();
    for (key, value) in table {
        match default_of(&command, reader, key, value) {
            Ok(None) => {}
            Ok(Some((id, values))) => {
                command = command.mut_subcommand(reader, |reader| {
                    reader.mut_arg(id, |arg| arg.default_values(values))
                });
            }
            Err(told) => wrong.push(told),
        }
    }
    if wrong.is_empty() {
        Ok(command)
    } else {
        Err(wrong)
    }
}

/// The flag's id and its values; `None` for one that only another reader of the file has, and for a switch that is off.
fn default_of(
    command: &Command,
    reader: &str,
    key: &str,
    value: &toml::Value,
) -> Result<Option<(String, Vec<String>)>, String> {
    let arg_of = |name: &str| {
        let reader = command.find_subcommand(name)?;
        let mut all = reader.get_arguments().filter(|arg| !arg.is_hide_set());
        all.find(|arg| arg.get_long() == Some(key) && !NOT_HERE.contains(&key))
            .map(|arg| (reader, arg))
    };
    let Some((reader, arg)) = arg_of(reader) else {
        return match READERS.iter().find_map(|name| arg_of(name)) {
            Some(_) => Ok(None),
            None => Err(format!(
                "{key}: there is no such flag; `scumble serve --help` has them all"
            )),
        };
    };
    let id = arg.get_id().to_string();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match value {
            toml::Value::Boolean(true) => Ok(Some((id, vec!["true".to_owned()]))),
            toml::Value::Boolean(false) => Ok(None),
            _ => Err(format!("{key}: must be true or false")),
        };
    }
    let values = match value {
        toml::Value::Array(all) if matches!(arg.get_action(), ArgAction::Append) => all
            .iter()
            .map(|one| text(key, one))
            .collect::<Result<_, _>>()?,
        one => vec![text(key, one)?],
    };
    // Read as the flag would be, so that a wrong value is refused in the same words.
    let alone = reader
        .clone()
        .no_binary_name(true)
        .mut_args(|arg| arg.env(Resettable::Reset));
    let flags = values.iter().map(|value| format!("--{key}={value}"));
    match alone.try_get_matches_from(flags) {
        Ok(_) => Ok(Some((id, values))),
        Err(error) => {
            let told = error.to_string();
            let line = told.lines().next().unwrap_or_default();
            Err(line.trim_start_matches("error: ").to_owned())
        }
    }
}

fn text(key: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(on) => Ok(super::values::Switch::word(*on).to_owned()),
        _ => Err(format!(
            "{key}: must be a text, a number, true or false, or a list of texts where the flag is repeatable"
        )),
    }
}

/// Flags without a value: true or false in a file.
const SWITCHES: &[&str] = &["admin-writes", "demo-controls", "insecure-open"];

/// The effective configuration in the form of such a file.
pub(crate) fn print(effective: &[(&'static str, String)], repeatable: &[&str]) -> String {
    let quoted = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let mut out = String::new();
    let mut told: Vec<&str> = Vec::new();
    for (flag, value) in effective {
        if told.contains(flag) {
            continue;
        }
        told.push(flag);
        let value = if repeatable.contains(flag) {
            let all = effective.iter().filter(|(other, _)| other == flag);
            let all: Vec<_> = all.map(|(_, value)| quoted(value)).collect();
            format!("[{}]", all.join(", "))
        } else if value.parse::<u64>().is_ok() || SWITCHES.contains(flag) {
            value.clone()
        } else {
            quoted(value)
        };
        out.push_str(&format!("{flag} = {value}\n"));
    }
    out
}

/// Whether the file is there, for messages.
pub(crate) fn shown(file: Option<&Path>) -> String {
    file.map_or_else(
        || "no file is named (--config)".to_owned(),
        |file| file.display().to_string(),
    )
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::{Cli, Command as Sub};
    use crate::config::{Config, Store};

    fn read(text: &str, flags: &[&str]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("scumble.toml");
        std::fs::write(&file, text).unwrap();
        let config = format!("--config={}", file.display());
        let args: Vec<OsString> = ["scumble", "serve", &config]
            .iter()
            .chain(flags)
            .map(OsString::from)
            .collect();
        let mut command = with_file(Cli::command(), &args).map_err(|error| error.to_string())?;
        let matches = command
            .try_get_matches_from_mut(args)
            .map_err(|error| error.to_string())?;
        match Cli::from_arg_matches(&matches)
            .map_err(|error| error.to_string())?
            .command
        {
            Sub::Serve(args) => Config::from_args(args).map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_counts_more_than_a_profile_and_less_than_a_flag() {
        let text = "profile = \"high-throughput\"\ncursor-flush-min = \"70ms\"\nmax-objects = 7\nqueue = false\n\
                    trusted-proxy = [\"10.0.0.0/8\", \"::1\"]\ninstances = 5\n";
        let config = read(text, &["--max-objects=8", "--log-level", "warn"]).unwrap();
        assert_eq!(config.cursor_flush_min.as_millis(), 70);
        assert_eq!(config.cursor_flush_max.as_millis(), 500, "the profile's");
        assert_eq!(config.rules.bounds.max_objects, 8, "the flag's");
        assert_eq!(config.limits.trusted_proxies.len(), 2);
        assert!(matches!(config.store, Store::Memory));
        // A flag that is repeatable replaces all that the file has.
        let config = read(text, &["--trusted-proxy=127.0.0.1"]).unwrap();
        assert_eq!(config.limits.trusted_proxies.len(), 1);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = read(
            "max-object = 1\npoll-idle = \"7\"\nlisten = 8080\ndemo-controls = 3\nqueue = []\n",
            &[],
        )
        .unwrap_err();
        for part in [
            "max-object: there is no such flag",
            "invalid value '7' for '--poll-idle <DURATION>'",
            "'--listen <ADDR>'",
            "demo-controls: must be true or false",
            "queue: must be a text",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(read("listen = ", &[]).unwrap_err().contains("scumble.toml"));
        let told = read("poll-interval = \"5s\"\n", &[]).unwrap_err();
        assert!(
            told.contains("'--poll-idle': must be at least 5s"),
            "{told}"
        );
    }

    #[test]
    fn what_is_printed_is_read_again_as_the_same() {
        let flags = [
            "--queue=off",
            "--trusted-proxy=127.0.0.1",
            "--instance-id=a",
            "--log-file=a \"b\".log",
            "--demo-controls",
        ];
        let first = Config::from_flags(flags).unwrap();
        let text = print(&first.effective(), &["trusted-proxy"]);
        let again = read(&text, &[]).unwrap();
        assert_eq!(first.effective(), again.effective(), "{text}");
    }
}
