//! `tail`, `doctor` and `backup` over files that are made up here.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};
use rustix::fs::{FlockOperation, flock};
use scumble::sqlite::VERSION;
use tempfile::TempDir;

use super::{run, scumble, stderr, stdout};

const WAIT: Duration = Duration::from_secs(20);

/// A relay's file that no relay uses: canvas `board` with three messages, of which the first has expired and gone.
pub struct Fixture {
    pub folder: TempDir,
    pub conn: Connection,
}

fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

impl Fixture {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let conn = Connection::open(folder.path().join("relay.db")).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        let tables = [
            include_str!("../../schema.sql"),
            include_str!("../../src/sqlite/storage/tables/jobs.sql"),
            include_str!("../../src/sqlite/storage/tables/deliveries.sql"),
            include_str!("../../src/sqlite/storage/tables/assets.sql"),
        ];
        conn.execute_batch(&tables.concat()).unwrap();
        conn.pragma_update(None, "user_version", VERSION).unwrap();
        conn.execute_batch(
            "INSERT INTO canvases (key, canvas_id, epoch, created_at) VALUES (1, 'board', '00000000000000aa', 0);
             INSERT INTO canvas_objects VALUES (1, 'box-1', 1, 1, '{\"id\":\"box-1\",\"kind\":\"box\"}');",
        )
        .unwrap();
        let fixture = Self { folder, conn };
        fixture.message(1, "{}");
        let expire = "DELETE FROM message_queue";
        fixture.conn.execute(expire, []).unwrap();
        fixture.message(2, r#"{"op":2,"text":"two"}"#);
        fixture.message(3, r#"{"op":3,"text":"three"}"#);
        fixture
    }

    fn message(&self, seq: i64, payload: &str) {
        self.conn
            .execute(
                "INSERT INTO message_queue (canvas_id, seq, message_type, origin, client, op, prev_id,
                   created_at, expires_at, payload)
                 SELECT 1, ?1, 'chat', 0, 'client-1', ?1, head_id, ?2, ?3, ?4 FROM canvases",
                params![seq, 1_700_000_000_123_i64, now_ms() + 60_000, payload],
            )
            .unwrap();
        self.conn
            .execute(
                "UPDATE canvases SET seq = ?1, head_id = last_insert_rowid()",
                [seq],
            )
            .unwrap();
    }

    fn instance(&self, id: &str, lock: &Path, heartbeat_at: i64) {
        let wake = self.folder.path().join(format!("{id}.sock"));
        File::create(&wake).unwrap();
        self.conn
            .execute(
                "INSERT INTO instances (instance_id, pid, wake_path, lock_path, started_at, heartbeat_at)
                 VALUES (?1, 7, ?2, ?3, 0, ?4)",
                params![id, wake.to_str(), lock.to_str(), heartbeat_at],
            )
            .unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn db(&self) -> String {
        self.path("relay.db")
    }
}

#[test]
fn tail_prints_what_is_kept_and_follows() {
    let fixture = Fixture::new();
    let mut child = scumble()
        .args(["tail", "board", "--since", "0", "--db", &fixture.db()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = sync_channel(16);
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        stdout
            .lines()
            .for_each(|line| drop(sender.send(line.unwrap())));
    });
    let next = || lines.recv_timeout(WAIT).unwrap();
    assert_eq!(next(), "-- 1 messages before seq 2 have expired");
    assert_eq!(
        next(),
        r#"2023-11-14T22:13:20.123Z      2 chat          client-1 {"op":2,"text":"two"}"#
    );
    assert!(next().contains("three"));
    fixture.message(4, r#"{"op":4,"text":"four"}"#);
    assert!(next().contains("four"));
    fixture
        .conn
        .execute(
            "UPDATE canvases SET epoch = '00000000000000bb', head_id = 0",
            [],
        )
        .unwrap();
    assert!(next().contains("epoch 00000000000000bb"));
    // The canvas was deleted: what it had is not told again.
    fixture.message(5, r#"{"op":5,"text":"five"}"#);
    assert!(next().contains("five"));
    child.kill().unwrap();
    child.wait().unwrap();
    let anew = first_line_since_0(&fixture);
    assert_eq!(anew, "-- 4 messages before seq 5 have expired");
}

fn first_line_since_0(fixture: &Fixture) -> String {
    let mut child = scumble()
        .args(["tail", "board", "--since", "0", "--db", &fixture.db()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

#[test]
fn tail_waits_for_a_canvas_and_shows_all_of_it() {
    let fixture = Fixture::new();
    fixture
        .conn
        .execute("UPDATE canvases SET canvas_id = 'other'", [])
        .unwrap();
    let mut child = scumble()
        .args(["tail", "board", "--db", &fixture.db()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "-- there is no canvas board yet: waiting\n");
    fixture
        .conn
        .execute("UPDATE canvases SET canvas_id = 'board'", [])
        .unwrap();
    line.clear();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line, "-- 1 messages before seq 2 have expired\n");
}

#[test]
fn tail_in_json_is_what_clients_get_and_ends_with_its_reader() {
    let fixture = Fixture::new();
    let mut child = scumble()
        .args([
            "tail",
            "board",
            "--json",
            "--since",
            "2",
            "--db",
            &fixture.db(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert_eq!(
        line,
        "{\"type\":\"chat\",\"seq\":3,\"client\":\"client-1\",\"at\":1700000000123,\"op\":3,\"text\":\"three\"}\n"
    );
    drop(stdout);
    fixture.message(4, r#"{"op":4,"text":"nobody reads this"}"#);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn doctor_is_content_with_a_sound_file() {
    let fixture = Fixture::new();
    let lock_path = fixture.folder.path().join("one.lock");
    let lock = File::create(&lock_path).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    fixture.instance("one", &lock_path, now_ms());
    for flags in [&[][..], &["--thorough"]] {
        let output = run(&[&["doctor", "--db", &fixture.db()], flags].concat());
        let told = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(
            told.contains("instances: one (pid 7), heartbeat") && told.ends_with("no findings\n")
        );
    }
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let fixture = Fixture::new();
    let free = fixture.folder.path().join("free.lock");
    File::create(&free).unwrap();
    let held_path = fixture.folder.path().join("held.lock");
    let held = File::create(&held_path).unwrap();
    flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    fixture.instance("dead", &free, now_ms());
    fixture.instance("stopped", &held_path, now_ms() - 15_000);
    let deleted = fixture.folder.path().join("deleted.lock");
    fixture.instance("unheard", &deleted, now_ms());
    fixture.instance("deaf", &held_path, now_ms());
    std::fs::remove_file(fixture.path("deaf.sock")).unwrap();
    fixture.instance("silent", &deleted, now_ms() - 15_000);
    fixture
        .conn
        .execute_batch(
            "INSERT INTO presence VALUES (1, 'client-1', 'gone', 1, '{}', NULL, NULL, 0);
             INSERT INTO canvas_watermarks VALUES (1, 'gone', 1, 0);
             INSERT INTO canvas_watermarks VALUES (1, 'stopped', 0, 0);
             WITH RECURSIVE n (n) AS (SELECT 4 UNION ALL SELECT n + 1 FROM n WHERE n < 1500)
             INSERT INTO message_queue (canvas_id, seq, message_type, origin, client, op, prev_id,
               created_at, expires_at, payload)
             SELECT 1, n, 'chat', 0, 'client-1', n, 0, 0, (1 << 60) * (n > 4), '{}' FROM n;
             PRAGMA user_version = 9;",
        )
        .unwrap();
    let output = run(&["doctor", "--db", &fixture.db()]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let schema = format!("finding  schema: version 9, this scumble knows {VERSION}");
    for finding in [
        &*schema,
        "finding  instances: dead (pid 7) is dead: its lock is free",
        "finding  instances: stopped (pid 7) lives, but its last heartbeat is 15 s old",
        "finding  instances: unheard (pid 7) lives, but its lock can't be read: ",
        "finding  instances: deaf (pid 7) lives, but its socket was deleted: ",
        "finding  instances: silent (pid 7) seems dead: its last heartbeat is 15 s old",
        "finding  presence: 1 of 1 clients are here through an instance that is gone",
        "finding  lag: watermarks of gone, which is gone",
        "finding  lag: stopped is 1498 messages behind",
        "finding  cleanup: 1 of 1499 rows expired over five minutes ago",
        "10 findings",
    ] {
        assert!(told.contains(finding), "{finding}\n{told}");
    }
    assert_eq!(told.matches("         -> ").count(), 10);
}

#[test]
fn doctor_tells_of_each_queue_and_of_dead_letters_that_nobody_reviewed() {
    let fixture = Fixture::new();
    let now = now_ms();
    fixture
        .conn
        .execute_batch(&format!(
            "INSERT INTO job_queues VALUES (1, 'mails', '', '', '{{}}', 0, 0, 1, 3, 1, 9, 0, 2, 0, 3, 1, 0, 0, x''),
               (2, 'old', '', '', '{{}}', 0, 0, 1, 1, 0, 9, 0, 0, 0, 1, 0, 0, 0, x'');
             INSERT INTO job_queue_names VALUES ('mails', 1), ('old', 2);
             INSERT INTO job_partitions VALUES (11, 1, 'Default', 5, 4, 3, 9, 0), (12, 2, 'Default', 5, 2, 1, 9, 0);
             INSERT INTO job_messages VALUES (11, 1, 1, {}, 0, 0, NULL, 'a', '1'), (12, 1, 2, {}, 0, 0, NULL, 'b', '1');
             INSERT INTO job_groups VALUES (1, 'g', 7, 0, 0, NULL, 0, 0, 2, 1, 0, 0);
             INSERT INTO job_dead VALUES (1, 1, 11, 'Default', 'g', 1, 0, 0, 4, 0, NULL, 'why', NULL, 'x', '1'),
               (2, 1, 11, 'Default', 'g', 2, 0, 0, 4, 0, 5, 'why', NULL, 'y', '1');",
            now - 90_500,
            now - 200_000_500
        ))
        .unwrap();
    let output = run(&["doctor", "--db", &fixture.db()]);
    let told = stdout(&output);
    for finding in [
        "finding  jobs: mails: 2 waiting, the oldest 9",
        " s old, 1 in flight, 2 dead, of which nobody has reviewed 1\n",
        "finding  jobs: old: 1 waiting, the oldest 200000 s old, 0 in flight, 0 dead\n",
        "scumble jobs dlq",
        "2 findings",
    ] {
        assert!(told.contains(finding), "{finding}\n{told}");
    }
    let reviewed =
        "UPDATE job_dead SET reviewed_at = 5; DELETE FROM job_queue_names WHERE name = 'old'";
    fixture.conn.execute_batch(reviewed).unwrap();
    let told = stdout(&run(&["doctor", "--db", &fixture.db()]));
    assert!(
        told.ends_with("no findings\n") && !told.contains("old: "),
        "{told}"
    );
}

#[test]
fn doctor_can_not_examine_what_is_no_database() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("text.db");
    fs::write(
        &path,
        "this is not a database, however long it may be ".repeat(100),
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let output = run(&["doctor", "--db", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("is no SQLite file"),
        "{}",
        stderr(&output)
    );
    let output = run(&["doctor", "--db", &format!("{path}.missing")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no such file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_backup_is_whole_and_begins_new_epochs() {
    let fixture = Fixture::new();
    let (db, to) = (fixture.db(), fixture.path("copy.db"));
    fixture.instance("one", fixture.folder.path(), 0);
    let here = "INSERT INTO presence VALUES (1, 'client-1', 'one', 1, '{}', NULL, NULL, 0)";
    fixture.conn.execute(here, []).unwrap();
    let output = run(&["backup", "--db", &db, "--to", &to]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let copy = Connection::open(&to).unwrap();
    let text = |sql: &str| {
        copy.query_row(sql, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    assert_eq!(text("SELECT object_id FROM canvas_objects"), "box-1");
    assert_eq!(text("SELECT group_concat(seq) FROM message_queue"), "2,3");
    assert_eq!(text("SELECT canvas_id || seq FROM canvases"), "board3");
    let epoch = text("SELECT epoch FROM canvases");
    assert!(epoch.len() == 16 && epoch != "00000000000000aa", "{epoch}");
    // Nobody is here in a copy: it must not go by the locks of the source's processes.
    assert_eq!(text("SELECT count(*) || '' FROM instances"), "0");
    assert_eq!(text("SELECT count(*) || '' FROM presence"), "0");
    drop(copy);

    let nowhere = fixture.path("nowhere/copy.db");
    let output = run(&["backup", "--db", &db, "--to", &nowhere]);
    assert!(stderr(&output).contains(&nowhere), "{}", stderr(&output));

    let again = run(&["backup", "--db", &db, "--to", &to]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("is there already"),
        "{}",
        stderr(&again)
    );
    let left: Vec<_> = fs::read_dir(fixture.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
