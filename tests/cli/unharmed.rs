//! Files that are not to be used are left as they are, and so is what lies beside them.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::file::Fixture;
use super::{run, stderr};

/// The names in a folder, and what the files hold.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    all.sort();
    all
}

fn refused(args: &[&str], why: &str) {
    let output = run(args);
    assert!(!output.status.success(), "{args:?}");
    assert!(
        stderr(&output).contains(why) || String::from_utf8_lossy(&output.stdout).contains(why),
        "{args:?}: {}",
        stderr(&output)
    );
}

/// SQLite deletes the log of an empty database, and with it all that was committed last.
#[test]
fn no_tool_deletes_the_log_beside_an_empty_file() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let db = path("relay.db");
    fs::write(&db, "").unwrap();
    fs::write(path("relay.db-wal"), "what was committed last").unwrap();
    let before = contents(folder.path());
    let why = "has what was committed last";
    for args in [
        &["doctor", "--db", &db][..],
        &["tail", "board", "--db", &db],
        &["backup", "--db", &db, "--to", &path("copy.db")],
        &["serve", "--listen", "127.0.0.1:0", "--db", &db],
    ] {
        refused(args, why);
        assert_eq!(contents(folder.path()), before, "{args:?}");
    }
}

#[test]
fn another_programs_database_stays_as_it_is() {
    for version in 0..4 {
        let folder = TempDir::new().unwrap();
        let db = folder.path().join("other.db");
        let conn = Connection::open(&db).unwrap();
        conn.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')")
            .unwrap();
        conn.pragma_update(None, "user_version", version).unwrap();
        drop(conn);
        let before = contents(folder.path());
        let db = db.to_str().unwrap();
        let serve = ["serve", "--listen", "127.0.0.1:0", "--db", db];
        refused(&serve, "is a database of another program");
        assert_eq!(contents(folder.path()), before, "version {version}");
    }
}

#[test]
fn a_file_of_a_later_version_stays_as_it_is() {
    let fixture = Fixture::new();
    let conn = &fixture.conn;
    conn.pragma_update(None, "user_version", 99).unwrap();
    // Into the file itself: what is compared is what a tool leaves.
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    conn.query_row(checkpoint, [], |_| Ok(())).unwrap();
    let (db, copy) = (fixture.db(), fixture.path("copy.db"));
    let before = fs::read(&db).unwrap();
    for args in [
        &["serve", "--listen", "127.0.0.1:0", "--db", &db][..],
        &["tail", "board", "--db", &db],
        &["backup", "--db", &db, "--to", &copy],
        &["doctor", "--db", &db],
    ] {
        refused(args, "version 99");
        assert_eq!(fs::read(&db).unwrap(), before, "{args:?}");
    }
    assert!(!Path::new(&copy).exists());
}

/// Two names are two logs: each process would append to the one that is named as it found the file.
#[test]
fn a_file_with_two_names_is_refused() {
    let fixture = Fixture::new();
    let other = fixture.path("other.db");
    fs::hard_link(fixture.db(), &other).unwrap();
    for db in [&other, &fixture.db()] {
        refused(
            &["serve", "--listen", "127.0.0.1:0", "--db", db],
            "hard link",
        );
    }
    let folder = fixture.path("");
    refused(&["doctor", "--db", &folder], "is no file");
}

/// SQLite plays back a journal that it finds beside a file, and deletes it.
#[test]
fn a_backup_does_not_take_a_name_that_the_file_needs() {
    let fixture = Fixture::new();
    for suffix in ["-journal", "-wal", "-shm", ".lock", ".wake"] {
        let to = fixture.path(&format!("relay.db{suffix}"));
        if !Path::new(&to).exists() {
            let backup = ["backup", "--db", &fixture.db(), "--to", &to];
            refused(&backup, "use this name beside");
            assert!(!Path::new(&to).exists(), "{to}");
        }
    }
}
