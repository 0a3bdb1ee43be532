//! `scumble migrate` and `backup --redis` of a relay with images: the list goes along, and the bytes are found, or nothing is done.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::tools::{done, refused};
use super::*;
use crate::assets::{files, get, path, put, text};

/// The only one's body, which must be there.
async fn shows(relay: &Relay, n: usize, body: &str) {
    let got = get(relay.address(n), &path("board", body), "").await;
    assert_eq!((got.status, got.body == body), (200, true));
}

/// A relay with an image that an object names.
async fn begin(body: &str) -> Relay {
    let relay = Relay::start(1, &[]).await;
    let place = path("board", body);
    let src = format!("asset:{}", place.rsplit('/').next().unwrap_or_default());
    let mut ada = relay.join(0, "board").await;
    ada.commit(
        json!({"type": "object-create", "object": {"id": "a", "kind": "image", "src": src}}),
    )
    .await;
    assert_eq!(put(relay.address(0), "board", body).await.status, 201);
    relay
}

/// It has them beside it, or is told where they are.
async fn a_copy_has_them(beside: &str, url: &str, folder: &str, body: &str) {
    let copy = format!("{beside}.copy");
    let backup = ["backup", "--redis", url, "--to", &copy];
    let told = refused(1, &backup).await;
    assert!(
        told.contains("the relay has 1 asset") && told.contains("--assets-dir off"),
        "{told}"
    );
    let told = done(&[&backup[..], &["--assets-dir", folder]].concat()).await;
    assert!(
        told.contains(&format!("{copy}.assets: 1 asset, 300000 bytes")),
        "{told}"
    );
    let mut restored = Process::launch(Path::new(&copy), &[]);
    let address = restored.ready().await;
    assert_eq!(get(address, &path("board", body), "").await.body, body);
    restored.kill().await;
}

#[tokio::test]
async fn assets_are_there_after_a_move_into_redis_and_back() {
    let body = text(300_000, 31);
    let mut relay = begin(&body).await;
    end_all(&mut relay, &[0], Signal::TERM).await;
    let (from, server) = (relay.db().display().to_string(), RedisServer::start());
    let (url, folder) = (server.url(), format!("{from}.assets"));
    let move_in = ["migrate", "--from", &from, "--to", &url];

    // Where they are not, it is not moved.
    let hidden = format!("{folder}-elsewhere");
    fs::rename(&folder, &hidden).expect("renamed");
    let told = refused(1, &move_in).await;
    assert!(
        told.contains("1 of them are not in") && told.contains("--assets-dir"),
        "{told}"
    );
    assert_eq!(server.ask(&["DBSIZE"]), "0");
    fs::rename(&hidden, &folder).expect("renamed");

    let stay = format!(
        "1 asset (300000 bytes) stay in {folder}: start the processes with --assets-dir {folder}."
    );
    let told = done(&[&move_in[..], &["--dry-run"]].concat()).await;
    assert!(told.contains(&stay), "{told}");
    let told = done(&move_in).await;
    assert!(told.contains(&stay), "{told}");
    let flags = [
        "--redis",
        &url,
        "--assets-dir",
        &folder,
        "--asset-ttl",
        "1s",
    ];
    let mut over = Relay::start(1, &flags).await;
    shows(&over, 0, &body).await;
    let told = done(&["doctor", "--redis", &url, "--assets-dir", &folder]).await;
    assert!(
        told.contains("ok       assets: 1,") && told.contains("all files are in"),
        "{told}"
    );

    a_copy_has_them(&from, &url, &folder, &body).await;

    // And back.
    end_all(&mut over, &[0], Signal::TERM).await;
    let mut back = Relay::start(0, &["--asset-ttl", "1s"]).await;
    let to = back.db().display().to_string();
    let move_out = ["migrate", "--from", &url, "--to", &to];
    let told = refused(1, &move_out).await;
    assert!(
        told.contains("say where they are") && !back.db().exists(),
        "{told}"
    );
    let told = done(&[&move_out[..], &["--assets-dir", &folder]].concat()).await;
    assert!(told.contains(&stay), "{told}");
    fs::rename(&folder, format!("{to}.assets")).expect("renamed");
    back.add(&[]).await;
    shows(&back, 0, &body).await;

    // The sweep goes on, too: what no object names any more goes.
    let mut ada = back.join(0, "board").await;
    ada.commit(json!({"type": "object-delete", "id": "a"}))
        .await;
    eventually("the file to go", || async {
        files(&back.dir().join("relay.db.assets"))
            .is_empty()
            .then_some(())
    })
    .await;
}
