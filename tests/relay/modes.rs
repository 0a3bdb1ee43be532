//! Who may open the files beside a database: those that may open the database.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::server::Process;
use crate::harness::{Client, soon};

fn mode(path: &Path) -> u32 {
    let found = std::fs::metadata(path).expect("it is there");
    found.permissions().mode() & 0o777
}

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("its mode");
}

#[tokio::test]
async fn what_stands_beside_a_database_has_its_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    let (db, spill) = (folder.path().join("relay.db"), folder.path().join("spill"));
    std::fs::create_dir(&spill).expect("a folder");
    let mut process = Process::launch(&db, &[&format!("--spill-dir={}", spill.display())]);
    let address = process.ready().await;
    let mut ada = Client::join(address, "board").await;
    ada.commit(serde_json::json!({"type": "chat", "text": "between us"}))
        .await;
    assert_eq!(mode(&db), 0o600, "a new one is its owner's alone");
    let beside = |suffix: &str| folder.path().join(format!("relay.db{suffix}"));
    assert_eq!(
        mode(&beside(".lock")) & 0o077,
        mode(&db) & 0o022,
        "who may write, may lock"
    );
    for wanted in [0o600, 0o640, 0o600] {
        set(&db, wanted);
        soon("the same mode for all", async {
            let spilled = std::fs::read_dir(&spill).expect("a folder");
            let mut all: Vec<_> = spilled.map(|file| file.expect("a file").path()).collect();
            assert_eq!(all.len(), 1);
            all.extend([beside("-wal"), beside("-shm")]);
            while !all.iter().all(|path| mode(path) == wanted) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(mode(&beside(".lock")), 0o600);
    }
    let copy = folder.path().join("copy.db");
    let made = Command::new(env!("CARGO_BIN_EXE_scumble"))
        .args(["backup", "--db", &db.display().to_string()])
        .args(["--to", &copy.display().to_string()])
        .output();
    let made = made.expect("it runs");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(mode(&copy), 0o600);
}

#[tokio::test]
async fn a_folder_of_sockets_that_others_may_write_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("relay.db");
    let wake = folder.path().join("relay.db.wake");
    std::fs::create_dir(&wake).expect("a folder");
    set(&wake, 0o777);
    let mut process = Process::launch(&db, &[]);
    assert!(!process.ended().await.success());
    let log = process.log();
    assert!(
        log.contains("relay.db.wake") && log.contains("777"),
        "{log}"
    );
    // Nothing was lost or made that would be in the way.
    std::fs::remove_dir(&wake).expect("it is empty");
    Process::launch(&db, &[]).ready().await;
}
