//! `--db` is a path, whatever SQLite would make of it; and whose file it is, is said.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::served::Served;
use super::{output_of, scumble, stderr, stdout};

/// Has a relay make the file, and ends it.
fn made_by_a_relay(folder: &Path, db: &str, prepare: impl Fn(&mut Command)) -> String {
    let mut command = scumble();
    command
        .args(["serve", "--listen=127.0.0.1:0", "--db", db])
        .current_dir(folder);
    prepare(&mut command);
    let relay = Served::start(&mut command);
    let ready = relay.address.is_some();
    let (status, log) = relay.end();
    assert_eq!(status.success(), ready, "{log}");
    log
}

#[test]
fn the_relay_and_its_tools_take_a_name_for_the_same_file() {
    for db in [
        "file:foo.db",
        "file:foo.db?mode=memory",
        ":memory:",
        "a%20b#c?d.db",
    ] {
        let folder = TempDir::new().unwrap();
        made_by_a_relay(folder.path(), db, |_| {});
        assert!(folder.path().join(db).is_file(), "{db}");
        let tool = |args: &[&str]| {
            let output = output_of(scumble().args(args).current_dir(folder.path()));
            assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        };
        let copy = format!("{db}.bak");
        tool(&["doctor", "--db", db]);
        tool(&["backup", "--db", db, "--to", &copy]);
        tool(&["doctor", "--db", &copy]);
        assert!(folder.path().join(&copy).is_file(), "{copy}");
    }
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let db = folder.path().join("passwd");
    let text = "root:x:0:0:root:/root:/bin/bash\n".repeat(40);
    fs::write(&db, &text).unwrap();
    let db = db.to_str().unwrap();
    for args in [
        &["serve", "--listen=127.0.0.1:0", "--db", db][..],
        &["doctor", "--db", db],
        &["tail", "board", "--db", db],
        &["backup", "--db", db, "--to", "/no/such/copy"],
    ] {
        let output = output_of(scumble().args(args));
        let told = stderr(&output);
        assert!(
            told.contains("is no SQLite file. It was not changed"),
            "{args:?}: {told}"
        );
        assert!(!told.contains("move"), "{told}");
        assert_eq!(fs::read_to_string(db).unwrap(), text);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// What makes a command run as the relay's user: as root another user is needed, since to root everything is open.
fn as_relay(command: &mut Command) {
    if rustix::process::geteuid().is_root() {
        command.uid(5_001).gid(5_001);
    }
}

#[test]
fn a_file_that_belongs_to_somebody_else_is_named() {
    let folder = TempDir::new().unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        chown(folder.path(), Some(5_001), Some(5_001)).unwrap();
    }
    let db = folder.path().join("relay.db");
    let db = db.to_str().unwrap();
    made_by_a_relay(folder.path(), db, as_relay);
    for suffix in ["-wal", "-shm", ".lock"] {
        let path = format!("{db}{suffix}");
        let before = fs::metadata(&path).ok();
        if before.is_none() {
            fs::write(&path, "").unwrap();
        }
        // Root's, or, to who is not root, one's own without the right to write.
        let mode = if root { 0o644 } else { 0o444 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        if root {
            chown(&path, Some(0), Some(0)).unwrap();
        }
        let mut serve = scumble();
        as_relay(serve.args(["serve", "--listen=127.0.0.1:0", "--db", db]));
        let told = stderr(&output_of(&mut serve));
        assert!(told.contains(&format!("{path} belongs to user")), "{told}");
        assert!(told.contains("chown"), "{told}");
        let mut doctor = scumble();
        as_relay(doctor.args(["doctor", "--db", db]));
        let doctor = output_of(&mut doctor);
        assert!(
            stdout(&doctor).contains(&format!("finding  files: {path} belongs to")),
            "{doctor:?}"
        );
        match before {
            None => fs::remove_file(&path).unwrap(),
            Some(_) if root => chown(&path, Some(5_001), Some(5_001)).unwrap(),
            Some(_) => fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap(),
        }
    }
    let mut doctor = scumble();
    as_relay(doctor.args(["doctor", "--db", db]));
    assert!(stdout(&output_of(&mut doctor)).contains("ok       files"));
}

#[test]
fn a_process_that_runs_as_another_user_than_the_owner_is_named() {
    // Nobody else may give a file away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let db = folder.path().join("relay.db");
    let mut command = scumble();
    let relay = Served::start(
        command
            .args(["serve", "--listen=127.0.0.1:0", "--db"])
            .arg(&db),
    );
    assert!(relay.address.is_some());
    let id = relay.id();
    chown(&db, Some(5_001), Some(5_001)).unwrap();
    let doctor = output_of(scumble().arg("doctor").arg("--db").arg(&db));
    relay.end();
    let told = stdout(&doctor);
    let finding = format!("(pid {id}) runs as user 0, and the database belongs to user 5001");
    assert!(told.contains(&finding), "{told}");
    assert!(told.contains("chown USER: DB*"), "{told}");
}
