//! What is shipped beside the program is right: metrics, alerts, the board, the unit, the configuration, programs for tokens.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod deb;
#[path = "../support/served.rs"]
mod served;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use scumble::auth::Gate;
use scumble::auth::keys::Keys;
use scumble::auth::secret::Secret;
use scumble::protocol::ids::CanvasId;
use scumble::telemetry::names;
use served::Served;
use tempfile::TempDir;

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn scumble(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scumble"));
    command.env_clear().args(args).output().unwrap()
}

fn output_with(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{command:?}: {error}: scripts/install-test-deps installs it")
        });
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// What a relay of its own answers on `/metrics`.
fn metrics() -> String {
    let folder = TempDir::new().unwrap();
    let relay = Served::start(
        Command::new(env!("CARGO_BIN_EXE_scumble"))
            .args(["serve", "--listen=127.0.0.1:0", "--db"])
            .arg(folder.path().join("relay.db"))
            .env_clear(),
    );
    let address = relay.address.clone().unwrap();
    let ask = |request: String| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let chat = r#"{"type":"chat","text":"for the histograms"}"#;
    ask(format!(
        "POST /api/v1/canvases/board/messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{chat}",
        chat.len()
    ));
    let jobs = r#"{"items":[{"queue":"mail","payload":1},{"queue":"mail","payload":2}]}"#;
    ask(format!(
        "POST /api/v1/push HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{jobs}",
        jobs.len()
    ));
    let pop = "/api/v1/pop/queue/mail?batch=1&autoAck=true";
    ask(format!(
        "GET {pop} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    ));
    let text =
        ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned());
    assert!(relay.end().0.success());
    text
}

#[test]
fn metrics_are_as_prometheus_wants_them() {
    let text = metrics();
    let checked = output_with(Command::new("promtool").args(["check", "metrics"]), &text);
    let told = String::from_utf8_lossy(&checked.stderr);
    assert!(
        checked.status.success() && told.is_empty(),
        "{told}\n{text}"
    );
    for line in [
        "scumble_commit_seconds_count 1",
        "scumble_commit_seconds_bucket{le=\"+Inf\"} 1",
        "scumble_messages_committed_total 1",
        "# TYPE scumble_joins_total counter",
        "scumble_commits_failing 0",
        "scumble_jobs_enqueued_total{queue=\"mail\"} 2",
        "scumble_jobs_depth{queue=\"mail\"} 1",
        "scumble_jobs_in_flight{queue=\"mail\"} 0",
        "scumble_jobs_oldest_age_seconds{queue=\"mail\"} ",
        "scumble_jobs_wait_seconds_count{queue=\"mail\"} 1",
        "scumble_jobs_wait_seconds_bucket{queue=\"mail\",le=\"+Inf\"} 1",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(text.contains("scumble_build_info{version=\""));
    assert!(
        text.contains("process_resident_memory_bytes")
            && text.contains("process_cpu_seconds_total")
    );
}

/// The values that a text gives to `SCUMBLE_…`, after the name and this sign.
fn variables(text: &str, sign: &str) -> BTreeMap<String, String> {
    let words = text.split("SCUMBLE_").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(sign)?;
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let end = |c: char| c.is_whitespace() || "\"}".contains(c);
        let value = rest.trim_start_matches('"').split(end).next()?;
        is_name.then(|| (format!("SCUMBLE_{name}"), value.to_owned()))
    });
    words.collect()
}

#[test]
fn a_relay_starts_with_the_settings_of_the_containers() {
    let folder = TempDir::new().unwrap();
    for (path, sign) in [
        ("packaging/Dockerfile", "="),
        ("packaging/compose.yaml", ": "),
    ] {
        let mut settings = variables(&fs::read_to_string(shipped(path)).unwrap(), sign);
        assert_eq!(settings["SCUMBLE_LISTEN"], "0.0.0.0:8080", "{path}");
        let db = folder.path().join("relay.db");
        settings.insert("SCUMBLE_DB".to_owned(), db.display().to_string());
        let starts = |settings: &BTreeMap<String, String>| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_scumble"));
            command.env_clear().envs(settings);
            let output = command.args(["serve", "--print-config"]).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            (output.status.success(), told)
        };
        assert_eq!(starts(&settings), (true, String::new()), "{path}");
        // With a key in its place, as the files say for others.
        settings.remove("SCUMBLE_INSECURE_OPEN").unwrap();
        let (started, told) = starts(&settings);
        assert!(
            !started && told.contains("--auth-secret-file"),
            "{path}: {told}"
        );
        let secret = "a secret of a test has thirty-two bytes, too";
        settings.insert("SCUMBLE_AUTH_SECRET".to_owned(), secret.to_owned());
        assert_eq!(starts(&settings), (true, String::new()), "{path}");
    }
}

/// The metrics that a text speaks of.
fn metrics_in(text: &str) -> Vec<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text
        .split(|c| !word(c))
        .filter(|name| name.starts_with("scumble_"));
    words
        .map(|name| {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            base.unwrap_or(name).to_owned()
        })
        .collect()
}

#[test]
fn alerts_fire_when_they_should_and_speak_of_metrics_that_are_there() {
    let folder = shipped("packaging/prometheus");
    for args in [
        ["check", "rules", "scumble.rules.yml"],
        ["test", "rules", "scumble.test.yml"],
    ] {
        let checked = Command::new("promtool")
            .args(args)
            .current_dir(&folder)
            .output();
        let checked = checked.expect("promtool: scripts/install-test-deps installs it");
        assert!(checked.status.success(), "{checked:?}");
    }
    let known: Vec<&str> = names::all().collect();
    for file in [
        "packaging/prometheus/scumble.rules.yml",
        "packaging/grafana/scumble.json",
    ] {
        let text = fs::read_to_string(shipped(file)).unwrap();
        let spoken_of = metrics_in(&text);
        assert!(spoken_of.len() > 10, "{file}");
        for name in spoken_of {
            assert!(
                known.contains(&name.as_str()),
                "{file}: {name} is no metric"
            );
        }
    }
    let board = fs::read_to_string(shipped("packaging/grafana/scumble.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&board).unwrap();
    assert!(board["panels"].as_array().unwrap().len() >= 15);
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let text = fs::read_to_string(shipped("packaging/systemd/scumble.service")).unwrap();
    for line in [
        "UMask=0077",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "[Install]",
    ] {
        assert!(text.contains(line), "{line}");
    }
    let folder = TempDir::new().unwrap();
    let unit = folder.path().join("scumble.service");
    let binary = env!("CARGO_BIN_EXE_scumble");
    assert!(text.contains("/usr/bin/scumble"));
    fs::write(&unit, text.replace("/usr/bin/scumble", binary)).unwrap();
    let checked = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&unit)
        .output()
        .expect("systemd-analyze: scripts/install-test-deps installs it");
    let told = String::from_utf8_lossy(&checked.stderr);
    assert!(
        checked.status.success() && !told.contains("scumble.service:"),
        "{told}"
    );
}

#[test]
fn the_configuration_file_is_right_and_a_wrong_one_is_told() {
    let folder = TempDir::new().unwrap();
    let text = fs::read_to_string(shipped("packaging/scumble.toml")).unwrap();
    let place = folder.path().to_str().unwrap();
    let file = folder.path().join("scumble.toml");
    let config = format!("--config={}", file.display());
    fs::write(&file, text.replace("/var/lib/scumble", place)).unwrap();
    let checked = scumble(&["check-config", &config]);
    assert!(checked.status.success(), "{checked:?}");
    let printed = scumble(&["serve", &config, "--print-config", "--log-level=warn"]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    for line in [
        "listen = \"127.0.0.1:8081\"",
        "log-format = \"json\"",
        "log-level = \"warn\"",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    let again = folder.path().join("again.toml");
    fs::write(&again, &printed).unwrap();
    let again = scumble(&[
        "serve",
        "--print-config",
        &format!("--config={}", again.display()),
    ]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), printed);
    fs::write(&file, "listen = 7\nno-such-flag = true\n").unwrap();
    for command in ["check-config", "serve", "cluster"] {
        let checked = scumble(&[command, &config]);
        let told = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(2), "{told}");
        assert!(
            told.contains("--listen") && told.contains("no-such-flag"),
            "{told}"
        );
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let made = scumble(&["completions", shell]);
        let text = String::from_utf8_lossy(&made.stdout);
        assert!(
            made.status.success() && text.contains("max-canvas-bytes"),
            "{shell}"
        );
    }
    let folder = TempDir::new().unwrap();
    let made = scumble(&["man", "--dir", folder.path().to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    let page = fs::read_to_string(folder.path().join("scumble-serve.1")).unwrap();
    assert!(page.contains("message\\-ttl"));
    assert!(folder.path().join("scumble.1").exists());
}

/// The trap: the file of the secret ends with a line end, which does not count.
#[test]
fn the_programs_that_make_tokens_make_good_ones() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("it's a \"secret\"");
    fs::write(&secret, "a secret of at least thirty-two bytes\r\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&secret, mode).unwrap();
    let keys = Keys::of_secrets(vec![Secret::read(&secret).unwrap()]);
    let gate = Gate::new(keys, None).unwrap();
    let program = |language: &str, name: &str| {
        let secret = secret.to_str().unwrap();
        let made = scumble(&[
            "token",
            "--secret-file",
            secret,
            "--sub",
            "ada \"l\"",
            "--canvas",
            "board-*=write",
            "--canvas",
            "notes=read",
            "--ttl=10m",
            "--snippet",
            language,
        ]);
        assert!(made.status.success(), "{made:?}");
        let path = folder.path().join(name);
        fs::write(&path, made.stdout).unwrap();
        path
    };
    let mut runs: BTreeMap<&str, Command> = BTreeMap::new();
    for (language, name, with) in [
        ("node", "token.mjs", &["node"][..]),
        ("python", "token.py", &["python3"]),
        ("go", "token.go", &["go", "run"]),
    ] {
        let path = program(language, name);
        let mut command = Command::new(with[0]);
        command
            .args(&with[1..])
            .arg(path)
            .env("GOCACHE", folder.path().join("go"));
        runs.insert(language, command);
    }
    for (language, mut command) in runs {
        let output = match command.output() {
            Ok(output) => output,
            // Go is 250 MB: where it is not installed, that the program compiles is for those who have it.
            Err(error) if language == "go" && error.kind() == std::io::ErrorKind::NotFound => {
                continue;
            }
            Err(error) => panic!("{language}: {error}"),
        };
        assert!(output.status.success(), "{language}: {output:?}");
        let token = String::from_utf8(output.stdout).unwrap();
        let board = CanvasId::parse("board-1").unwrap();
        let grant = gate.admit(Some(token.trim()), &board).unwrap().unwrap();
        assert_eq!(grant.subject, "ada \"l\"", "{language}");
        assert!(grant.remaining().as_secs() > 500, "{language}");
        assert!(
            gate.admit(Some(token.trim()), &CanvasId::parse("other").unwrap())
                .is_err()
        );
    }
}
