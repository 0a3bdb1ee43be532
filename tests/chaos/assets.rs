//! Assets on a disk that is full.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::disk::Disk;
use crate::harness::http;
use crate::harness::server::Process;

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.fold(0, |count, entry| match entry.path() {
        path if path.is_dir() => count + files(&path),
        _ => count + 1,
    })
}

async fn put(address: SocketAddr, body: &str) -> http::Answer {
    let hash: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let headers = "Host: test\r\nContent-Type: image/png\r\n";
    let path = format!("/assets/board/{hash}");
    http::ask(address, "PUT", &path, headers, body)
        .await
        .expect("an answer")
}

#[tokio::test]
async fn an_asset_that_does_not_fit_leaves_nothing_and_harms_nobody() {
    let (disk, dir) = (Disk::new(2), tempfile::tempdir().expect("a folder"));
    let folder = disk.path().join("assets");
    let flag = format!("--assets-dir={}", folder.display());
    let mut process = Process::launch(&dir.path().join("relay.db"), &[&flag]);
    let address = process.ready().await;
    let small = "s".repeat(100_000);
    assert_eq!(put(address, &small).await.status, 201);
    let large = "l".repeat(4_000_000);
    let full = put(address, &large).await;
    assert_eq!(full.status, 507, "{}", full.body);
    assert_eq!(full.json()["error"], "no-space");
    assert_eq!(files(&folder), 1, "nothing is left of it");
    let ballast = disk.fill();
    let other = "o".repeat(100_000);
    assert_eq!(put(address, &other).await.status, 507);
    assert_eq!(put(address, &small).await.status, 200, "it is there");
    let ready = http::get(address, "/readyz", "").await.expect("an answer");
    assert_eq!(ready.status, 200, "canvases are on another disk");
    fs::remove_file(ballast).expect("the ballast");
    assert_eq!(put(address, &other).await.status, 201);
    assert_eq!(files(&folder), 2);
    process.kill().await;
}
