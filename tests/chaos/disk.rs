//! A disk of a few MiB that tests can fill and take away; one that can't be read. Need the right to mount and to trace.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::eventually;
use crate::harness::server::Process;

/// A mounted tmpfs. It is unmounted when dropped.
pub struct Disk {
    dir: TempDir,
}

impl Disk {
    /// An empty one.
    pub fn new(mib: u32) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let disk = Self { dir };
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        let mut mount = Command::new("mount");
        let done = mount.args(arguments).arg(self.dir.path()).status();
        let done = done.expect("the mount command");
        assert!(
            done.success(),
            "these tests mount small disks: run them as root"
        );
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes until nothing more fits.
    pub fn fill(&self) -> PathBuf {
        let path = self.dir.path().join("ballast");
        let mut ballast = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .expect("a file");
        for size in [64 * 1024, 4096] {
            while ballast.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }

    /// From now on it can only be read. Nothing may have a file on it open.
    pub fn make_read_only(&self) {
        self.mount(&["-o", "remount,ro"]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Processes that a failed test left behind may still be on it: it goes when they do.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.dir.path())
            .status();
    }
}

/// While it lives, a process's reads of its queue file fail with EIO.
pub struct BadDisk {
    strace: Child,
}

impl BadDisk {
    /// From now on.
    pub async fn under(process: &Process, db: &Path) -> Self {
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=pread64:error=EIO",
        ]);
        for file in [
            db.to_owned(),
            PathBuf::from(format!("{}-wal", db.display())),
        ] {
            strace.arg("-P").arg(file);
        }
        strace.args(["-p", &process.pid().to_string()]);
        let strace = strace.stdin(Stdio::null()).spawn();
        let bad = Self {
            strace: strace.expect("strace"),
        };
        let tasks = PathBuf::from(format!("/proc/{}/task", process.pid()));
        eventually("every thread to be traced", || async {
            all_traced(&tasks).then_some(())
        })
        .await;
        bad
    }
}

fn all_traced(tasks: &Path) -> bool {
    let traced = |status: String| !status.contains("TracerPid:\t0\n");
    let tasks = std::fs::read_dir(tasks).expect("a process");
    tasks.flatten().all(|task| {
        // A thread that ends meanwhile reads nothing.
        std::fs::read_to_string(task.path().join("status")).map_or(true, traced)
    })
}

impl Drop for BadDisk {
    fn drop(&mut self) {
        // Killed, it lets the process go; its reads are the kernel's again.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
