//! Images and files behind nginx: a body goes straight on, and parts come back.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::Nginx;
use crate::harness::http::{Answer, answer};
use crate::harness::{Relay, eventually, soon};

/// The largest there may be.
const BYTES: usize = 20_971_520;

fn text(bytes: usize) -> String {
    "abcdefghijklmnopqrstuvwxyz 12345".repeat(bytes / 32 + 1)[..bytes].to_owned()
}

fn path(body: &str) -> String {
    let hash = Sha256::digest(body);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/assets/board/{hash}")
}

/// Bytes of all files below a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold(0, |sum, entry| match entry.path() {
        path if path.is_dir() => sum + bytes(&path),
        path => sum + fs::metadata(path).map_or(0, |file| file.len()),
    })
}

impl Nginx {
    async fn begin(&self, method: &str, path: &str, headers: &str) -> UnixStream {
        let stream = UnixStream::connect(self.dir.path().join("nginx.sock")).await;
        let mut stream = stream.expect("nginx listens");
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        let stream = self.begin("GET", path, headers).await;
        soon("an answer", answer(stream)).await.expect("an answer")
    }

    async fn begin_put(&self, body: &str) -> UnixStream {
        let length = body.len();
        let headers = format!("Content-Type: image/png\r\nContent-Length: {length}\r\n");
        self.begin("PUT", &path(body), &headers).await
    }
}

#[tokio::test]
async fn the_largest_asset_goes_straight_through_and_comes_back_in_parts() {
    let relay = Relay::start(3, &[]).await;
    let nginx = Nginx::start(&relay).await;
    let body = text(BYTES);
    let (half, rest) = body.as_bytes().split_at(BYTES / 2);
    let mut put = nginx.begin_put(&body).await;
    put.write_all(half).await.expect("sent");
    let kept = relay.dir().join("relay.db.assets");
    // What is not there is still on its way between the two.
    eventually("the relay to have most of what was sent", || async {
        (bytes(&kept) > 9_000_000).then_some(())
    })
    .await;
    assert_eq!(bytes(&nginx.dir.path().join("client_body")), 0);
    put.write_all(rest).await.expect("sent");
    let stored = soon("an answer", answer(put)).await.expect("an answer");
    assert_eq!(stored.status, 201, "{}", stored.body);

    let got = nginx.get(&path(&body), "").await;
    assert_eq!((got.status, got.body == body), (200, true));
    assert_eq!(
        got.header("cache-control"),
        "private, max-age=31536000, immutable"
    );
    let part = nginx
        .get(&path(&body), "Range: bytes=20000000-20000009\r\n")
        .await;
    assert_eq!(
        (part.status, &*part.body),
        (206, &body[20_000_000..20_000_010])
    );
    assert_eq!(
        part.header("content-range"),
        "bytes 20000000-20000009/20971520"
    );
    let signed = stored.json()["url"].as_str().expect("a link").to_owned();
    assert_eq!(
        nginx.get(&signed, "Range: bytes=-1\r\n").await.body,
        body[BYTES - 1..]
    );

    // What is too large, the relay says.
    let large = text(BYTES + 1);
    let mut put = nginx.begin_put(&large).await;
    put.write_all(large.as_bytes()).await.expect("sent");
    let refused = soon("an answer", answer(put)).await.expect("an answer");
    assert_eq!(refused.status, 413);
    assert!(
        refused.body.contains("--max-asset-bytes"),
        "{}",
        refused.body
    );
    let log = eventually("the access log", || async {
        let log = nginx.access_log();
        (log.matches("canvas=board").count() == 5).then_some(log)
    })
    .await;
    assert!(!log.contains("sig="), "{log}");
}
