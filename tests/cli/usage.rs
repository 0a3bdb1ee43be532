//! Help texts, and how wrong values are refused. `UPDATE_EXPECT=1 cargo test` rewrites the expected texts.

use std::fmt::Write;

use expect_test::{expect, expect_file};

use super::{output_of, run, scumble, stderr, stdout};

#[test]
fn help_says_what_there_is() {
    expect_file!["help/scumble.txt"].assert_eq(&stdout(&run(&["--help"])));
    expect_file!["help/serve.txt"].assert_eq(&stdout(&run(&["serve", "--help"])));
    expect_file!["help/tail.txt"].assert_eq(&stdout(&run(&["tail", "--help"])));
    expect_file!["help/stats.txt"].assert_eq(&stdout(&run(&["stats", "--help"])));
    expect_file!["help/doctor.txt"].assert_eq(&stdout(&run(&["doctor", "--help"])));
    expect_file!["help/backup.txt"].assert_eq(&stdout(&run(&["backup", "--help"])));
    expect_file!["help/migrate.txt"].assert_eq(&stdout(&run(&["migrate", "--help"])));
    expect_file!["help/token.txt"].assert_eq(&stdout(&run(&["token", "--help"])));
}

#[test]
fn durability_is_promised_in_these_words() {
    let help = stdout(&run(&["serve", "--help"]));
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for promise in [
        "process killed: every acked message survives",
        "power lost: consistent; the last moments' acked messages may be gone; every canvas then gets \
         a new epoch, so no client resumes onto reissued numbers",
        "power lost: every acked message survives, if the disk honours sync",
    ] {
        assert!(words.contains(promise), "{promise}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_flag_and_what_would_be_right() {
    let mut all = String::new();
    for flags in [
        &["--poll-interval", "50"][..],
        &["--poll-interval", "11s"],
        &["--poll-interval", "5s"],
        &["--poll-idle", "soon"],
        &["--cursor-flush-min", "300ms"],
        &["--message-ttl", "500ms"],
        &["--message-ttl", "-5s"],
        &["--cursor-ttl", "300ms"],
        &["--max-messages-per-poll", "0"],
        &["--max-message-bytes", "1000000"],
        &["--max-canvas-bytes", "64MiB"],
        &["--max-json-depth", "1"],
        &["--ephemeral-bytes-per-s", "-1"],
        &["--handshake-timeout", "10"],
        &["--hello-timeout", "1ms"],
        &["--ping-interval", "2h"],
        &["--pong-timeout", "never"],
        &["--listen", "8080"],
        &["--db", "missing/x.db"],
        &["--instance-id", "a b"],
        &["--profile", "fast"],
        &["--queue", "no"],
        &["--synchronous", "off"],
        &["--log-level", "loud"],
        &["--demo-controls", "--listen", "0.0.0.0:8080"],
        &["--port", "8080"],
    ] {
        let output = run(&[&["serve"], flags].concat());
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert_eq!(stdout(&output), "");
        let told = stderr(&output);
        let told = told
            .lines()
            .take_while(|line| !line.starts_with("For more"));
        let told: Vec<_> = told.filter(|line| !line.is_empty()).collect();
        writeln!(all, "$ serve {}\n{}", flags.join(" "), told.join("\n")).unwrap();
    }
    expect_file!["help/errors.txt"].assert_eq(&all);
}

#[test]
fn the_environment_counts_and_a_flag_beats_it() {
    let wrong = scumble()
        .arg("serve")
        .env("SCUMBLE_POLL_IDLE", "7")
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("--poll-idle"), "{}", stderr(&wrong));

    // An empty secret would let everybody in.
    for variable in ["SCUMBLE_AUTH_SECRET", "SCUMBLE_API_TOKEN"] {
        let mut empty = scumble();
        let empty = output_of(empty.args(["serve", "--print-config"]).env(variable, ""));
        assert_eq!(empty.status.code(), Some(2));
        assert!(stderr(&empty).contains(variable), "{}", stderr(&empty));
    }

    let mut command = scumble();
    command.args(["serve", "--print-config", "--max-objects=7"]);
    command
        .env("SCUMBLE_MAX_OBJECTS", "9")
        .env("SCUMBLE_PROFILE", "low-latency");
    let printed = stdout(&output_of(&mut command));
    for line in [
        "max-objects = 7\n",
        "profile = \"low-latency\"\n",
        "poll-interval = \"20ms\"\n",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
}

#[test]
fn the_effective_configuration_is_printed_and_nothing_started() {
    let output = run(&[
        "serve",
        "--print-config",
        "--instance-id=one",
        "--profile=high-throughput",
    ]);
    assert_eq!(output.status.code(), Some(0));
    expect_file!["help/print-config.txt"].assert_eq(&stdout(&output));
}

#[test]
fn a_cluster_needs_a_queue_and_ports() {
    let output = run(&["cluster", "--queue", "off"]);
    assert_eq!(output.status.code(), Some(2));
    expect![[r#"
        error: '--queue off' leaves nothing that the processes could share; right would be on

        For more information, try '--help'.
    "#]]
    .assert_eq(&stderr(&output));
    let output = run(&["cluster", "--listen", "127.0.0.1:65535", "--instances", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}

#[test]
fn stats_says_when_nobody_answers() {
    // A port that was free a moment ago, and that nobody is given soon.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let output = run(&["stats", "--url", &address]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(
        told.contains(&address) && told.contains("is a relay running there?"),
        "{told}"
    );

    let output = run(&["stats", "--url", "https://example.org"]);
    assert!(stderr(&output).contains("only http"), "{}", stderr(&output));
}
