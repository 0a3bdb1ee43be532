//! The command line as one meets it: the real binary, its words and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod cluster;
mod documents;
mod examples;
mod file;
mod loads;
mod names;
mod redis;
#[path = "../support/redis_server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod redis_server;
#[path = "../support/served.rs"]
mod served;
mod unharmed;
mod usage;

use std::process::{Command, Output, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The program, with an environment that says nothing.
fn scumble() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scumble"));
    command.env_clear();
    command
}

fn run(args: &[&str]) -> Output {
    output_of(scumble().args(args))
}

/// The output of a command that ends by itself; one that doesn't is killed, and the test fails.
fn output_of(command: &mut Command) -> Output {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (sender, ended) = sync_channel(1);
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    ended
        .recv_timeout(Duration::from_secs(30))
        .map(Result::unwrap)
        .unwrap_or_else(|_| {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("{command:?} does not end");
        })
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
