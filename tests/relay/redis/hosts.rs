//! Several hosts: each has a network namespace with links of its own, and Redis is on one of them, 20 ms away. Links are cut and come
//! back, as cables and switches do: nobody is told.

mod net;

use std::process::{Command, Stdio};

use net::{CLIENTS, DELAY, Net, SERVERS};

use super::*;

/// Says to the test below that it is in a namespace of its own.
const INSIDE: &str = "SCUMBLE_TEST_IN_A_NAMESPACE";

/// The command that runs others in a new network namespace; `None` where there can't be any.
fn unshare() -> Option<Vec<&'static str>> {
    let ways: [&[&str]; 2] = [&["unshare", "-n"], &["unshare", "-r", "-n"]];
    let works = |way: &&&[&str]| {
        let mut tried = Command::new(way[0]);
        tried.args(&way[1..]).arg("true").stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    };
    ways.iter().find(works).map(|way| way.to_vec())
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "that it was skipped is for who reads the output"
)]
fn hosts_that_are_cut_off_lose_nothing_and_hold_nobody_up() {
    let Some(unshare) = unshare() else {
        eprintln!(
            "skipped: no network namespace can be made here (it takes CAP_SYS_ADMIN, or user namespaces)"
        );
        return;
    };
    // The rest of the test runs in a namespace of its own. All that it makes there goes with it.
    let this = std::env::current_exe().expect("this program");
    let mut inside = Command::new(unshare[0]);
    inside.args(&unshare[1..]).arg(this);
    inside.args([
        "--exact",
        "redis::hosts::inside",
        "--ignored",
        "--nocapture",
    ]);
    let output = inside.env(INSIDE, "1").output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
}

#[tokio::test]
#[ignore = "hosts_that_are_cut_off_lose_nothing_and_hold_nobody_up runs it in a network namespace"]
async fn inside() {
    #[expect(clippy::disallowed_methods, reason = "by this it knows where it is")]
    let in_a_namespace = std::env::var_os(INSIDE).is_some();
    assert!(in_a_namespace, "it would change the network of this host");
    let mut net = Net::make();
    let redis = net.redis();
    let mut hosts = Vec::new();
    for _ in 0..2 {
        let place = net.host();
        hosts.push(place);
        let flags = ["--redis", &redis, "--presence-grace", "15s"];
        net.serve(place, &flags).await;
    }
    let [one, two] = hosts[..] else { panic!("two") };
    let (first, second) = (net.address(one), net.address(two));
    let mut ada = Client::join(first, "board").await;
    let mut ben = Client::join(second, "board").await;
    let mut fastest = Duration::MAX;
    for n in 1..=5 {
        let began = std::time::Instant::now();
        ada.commit(create(&object_of(&ada, n), "x")).await;
        fastest = fastest.min(began.elapsed());
    }
    assert!(
        fastest >= DELAY,
        "Redis is {DELAY:?} away, and {fastest:?} is sooner"
    );
    ben.reach(ada.seq).await;

    cut_off_from_redis(&mut net, two, &mut ada, &mut ben).await;
    let mut both = [ada, ben];
    check_company(&mut both).await;
    let [mut ada, ben] = both;

    // The clients of a host can't reach it any more: they go elsewhere, with what was not answered.
    net.cut(CLIENTS, one);
    for _ in 0..3 {
        let id = object_of(&ada, ada.op + 1);
        // It goes nowhere.
        let _ = ada.try_op(create(&id, "x")).await;
    }
    come_back(&mut ada, second).await;
    ada.settle().await.expect("a connection");
    net.heal(CLIENTS, one);
    let mut both = [ada, ben];
    check_company(&mut both).await;
    let [mut ada, mut ben] = both;

    // A whole host is gone, and its process dies there unseen.
    net.cut(CLIENTS, two);
    net.cut(SERVERS, two);
    net.kill(two);
    for client in [&mut ada, &mut ben] {
        let id = object_of(client, client.op + 1);
        // It goes nowhere.
        let _ = client.try_op(create(&id, "x")).await;
        come_back(client, first).await;
        client.settle().await.expect("a connection");
    }
    let mut both = [ada, ben];
    check_company(&mut both).await;
    net.heal(CLIENTS, two);
    net.heal(SERVERS, two);
    net.serve(two, &["--redis", &redis, "--presence-grace", "15s"])
        .await;
    let newcomer = Client::join(second, "board").await;
    assert_all_there(&both, &newcomer);
    for client in &mut both {
        client.reach(newcomer.seq).await;
        assert_eq!(client.model, newcomer.model);
    }
}

/// A host can't reach Redis for so long that the others take it for dead. Nobody waits for it.
async fn cut_off_from_redis(net: &mut Net, host: usize, ada: &mut Client, ben: &mut Client) {
    net.cut(SERVERS, host);
    for _ in 0..3 {
        let id = object_of(ben, ben.op + 1);
        ben.op(create(&id, "x")).await;
    }
    let acked = ben.acked.len();
    for _ in 0..20 {
        let id = object_of(ada, ada.op + 1);
        ada.commit(create(&id, "x")).await;
    }
    let gone = BTreeSet::from([(ada.id.clone(), false), (ben.id.clone(), true)]);
    soon("the others take it for dead", async {
        while roster(ada) != gone {
            ada.next().await.expect("a connection");
        }
    })
    .await;
    for _ in 0..20 {
        let id = object_of(ada, ada.op + 1);
        ada.commit(create(&id, "x")).await;
    }
    // Nothing that came meanwhile is said to be committed.
    while let Ok(Some(told)) = ben.socket.receive_now() {
        assert_ne!(told["type"], "ack", "{told}");
        ben.heard.push(told);
    }
    assert_eq!(ben.acked.len(), acked);
    net.heal(SERVERS, host);
    come_back(ben, net.address(host)).await;
    ben.settle().await.expect("a connection");
    ben.reach(ada.seq).await;
}
