//! A relay that a test starts by itself, with flags or a user of its own: its log up to where it is ready, and its end.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A relay that runs, unless it could not start.
pub struct Served {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    log: String,
    /// Where it listens; `None` if it ended before it was ready.
    pub address: Option<String>,
}

impl Served {
    /// Runs the command until it is ready, or has ended.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let mut log = String::new();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            log.push_str(&line);
            let (_, url) = line.split_once("ready on http://")?;
            url.split_whitespace().next().map(str::to_owned)
        });
        Self {
            child,
            lines,
            log,
            address,
        }
    }

    #[allow(dead_code, reason = "not every test asks")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, if it is not over. The log is that of its start.
    pub fn end(mut self) -> (ExitStatus, String) {
        if self.address.is_some() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        }
        // Whoever can't write its log any more would wait for that.
        self.lines.by_ref().for_each(drop);
        let status = self.child.wait().expect("a status");
        (status, std::mem::take(&mut self.log))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
