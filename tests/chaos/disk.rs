//! A disk of a few MiB that tests can fill and take away. Needs the right to mount.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

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
