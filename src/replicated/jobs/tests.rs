//! The tables of the queue over a Redis of the test's own, for the contract's tests.

use std::sync::Arc;

use super::*;
use crate::log::Engine;
use crate::redis::{Redis, RedisConfig};
use crate::replicated::tests::config;

#[path = "../../../tests/support/redis_server.rs"]
mod redis_server;

use redis_server::RedisServer;

/// An instance over that server, and what runs it.
fn instance(
    server: &RedisServer,
    name: &str,
) -> (tokio::runtime::Runtime, Arc<ReplicatedBackplane>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let redis = RedisConfig {
        url: crate::config::RedisUrl::parse(&server.url()).unwrap(),
        prefix: "scumble".to_owned(),
        tls: crate::config::RedisTls::default(),
    };
    let config = config(name);
    let engine = |me| Ok(Arc::new(Redis::new(&redis, me)?) as Arc<dyn Engine>);
    let (backplane, work) = runtime
        .block_on(ReplicatedBackplane::start(config, engine))
        .unwrap();
    runtime.spawn(work);
    (runtime, backplane)
}

fn rows(runtime: &tokio::runtime::Runtime, backplane: &ReplicatedBackplane) -> Rows {
    let shared = &backplane.shared;
    let session = shared.link.now().unwrap();
    let mut base = LogBase::new(shared, session, runtime.handle().clone());
    base.begin().unwrap();
    RowStore::new(base)
}

/// A store of its own.
pub(crate) fn over_redis(play: impl FnOnce(RowStore<LogBase>)) {
    let server = RedisServer::start_with(&[]);
    let (runtime, backplane) = instance(&server, "one");
    play(rows(&runtime, &backplane));
}

mod commits {
    use super::*;
    use crate::jobs::rows::{Message, QueueName};
    use crate::jobs::store::Order;

    fn named(name: &str, key: i64) -> QueueName {
        let name = name.to_owned();
        QueueName { name, key }
    }

    #[test]
    fn a_commit_that_was_overtaken_does_nothing_and_what_is_read_is_of_one_moment() {
        let server = RedisServer::start();
        let (runtime, backplane) = instance(&server, "one");
        let (mut one, mut two) = (rows(&runtime, &backplane), rows(&runtime, &backplane));
        one.put(&named("a", 1)).unwrap();
        one.commit().unwrap();
        // The second one goes by what was there before.
        assert_eq!(
            two.get::<QueueName>(&("a".to_owned(),)),
            Err(Trouble::Moved)
        );
        two.put(&named("b", 2)).unwrap();
        two.delete::<QueueName>(&("none".to_owned(),)).unwrap_err();
        assert_eq!(two.commit(), Err(Trouble::Moved));
        two.forget();
        // Nor is what was remembered, though nothing is to be written.
        assert_eq!(two.commit(), Err(Trouble::Moved));
        two.base.forget();
        two.base.begin().unwrap();
        assert_eq!(two.commit(), Ok(()));
        let all = |rows: &Rows| {
            let (from, to) = ((String::new(),), ("z".to_owned(),));
            rows.scan::<QueueName>(&from, &to, 10).unwrap()
        };
        assert_eq!(all(&two), [named("a", 1)]);
        two.put(&named("b", 2)).unwrap();
        two.commit().unwrap();
        assert_eq!(all(&two), [named("a", 1), named("b", 2)]);
    }

    #[test]
    fn whoever_is_overtaken_too_often_commits_next() {
        let server = RedisServer::start();
        let (runtime, backplane) = instance(&server, "one");
        let (other_runtime, other) = instance(&server, "two");
        let (mut one, mut two) = (rows(&runtime, &backplane), rows(&other_runtime, &other));
        assert_eq!(one.base.lock(), Ok(true));
        assert_eq!(two.base.lock(), Ok(false));
        two.put(&named("b", 2)).unwrap();
        assert_eq!(two.commit(), Err(Trouble::Locked));
        one.put(&named("a", 1)).unwrap();
        one.commit().unwrap();
        // The lock ended with the commit.
        assert_eq!(two.commit(), Err(Trouble::Moved));
        two.forget();
        two.base.forget();
        two.base.begin().unwrap();
        two.put(&named("b", 2)).unwrap();
        two.commit().unwrap();
    }

    #[test]
    fn a_range_has_what_is_kept_and_what_is_changed_in_both_orders() {
        let server = RedisServer::start();
        let (runtime, backplane) = instance(&server, "one");
        let mut rows = rows(&runtime, &backplane);
        let message = |seq: i64, name: &str| Message {
            partition: 7,
            seq,
            id: seq,
            created_at: 0,
            priority: 0,
            only: 0,
            trace: None,
            name: name.to_owned(),
            payload: "{}".to_owned(),
        };
        // More than one page, and some of it in each of the states that there are.
        for seq in -5..300 {
            rows.put(&message(seq, "kept")).unwrap();
        }
        rows.commit().unwrap();
        rows.mark().unwrap();
        rows.delete::<Message>(&(7, 4)).unwrap();
        rows.go_back().unwrap();
        for seq in (0..300).step_by(3) {
            assert!(rows.delete::<Message>(&(7, seq)).unwrap());
        }
        for seq in [1, 301] {
            rows.put(&message(seq, "changed")).unwrap();
        }
        let expected: Vec<i64> = (-5..302)
            .filter(|seq| (*seq < 0 || seq % 3 != 0) && *seq != 300)
            .collect();
        for (order, limit) in [
            (Order::Up, 1_000),
            (Order::Down, 1_000),
            (Order::Up, 150),
            (Order::Down, 7),
        ] {
            let mut found = Vec::new();
            rows.each::<Message>(&(7, -5), &(8, 0), order, limit, &mut |row| {
                assert_eq!(row.name == "changed", [1, 301].contains(&row.seq));
                found.push(row.seq);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
            let mut expected = expected.clone();
            if order == Order::Down {
                expected.reverse();
            }
            expected.truncate(limit);
            assert_eq!(found, expected, "{order:?}");
        }
    }

    #[test]
    fn a_row_that_is_none_is_said_and_a_push_without_memory_does_nothing() {
        let server = RedisServer::start();
        let (runtime, backplane) = instance(&server, "one");
        let mut store = rows(&runtime, &backplane);
        store.put(&named("a", 1)).unwrap();
        store.commit().unwrap();
        let table = "scumble:{jobs}:rows:2";
        let key = super::super::coding::key(&("a".to_owned(),));
        // As somebody else would write there.
        let address = format!("unix://{}", server.socket().display());
        let client = redis::Client::open(address).unwrap();
        let mut conn = client.get_connection().unwrap();
        let set = redis::cmd("HSET")
            .arg(table)
            .arg(&key)
            .arg("rubbish")
            .to_owned();
        set.query::<()>(&mut conn).unwrap();
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        let mut other = rows(&runtime, &backplane);
        let found = other.get::<QueueName>(&("a".to_owned(),));
        assert_eq!(found, Err(Trouble::Damaged("job_queue_names")));
        other.forget();
        other.put(&named("b", 2)).unwrap();
        let refused = other.commit();
        assert!(
            matches!(refused, Err(Trouble::Fault(Fault::NotNow(_)))),
            "{refused:?}"
        );
        other.forget();
        other.base.forget();
        other.base.begin().unwrap();
        assert_eq!(other.get::<QueueName>(&("b".to_owned(),)), Ok(None));
        // What makes room goes, and so does what is with it.
        other.put(&named("a", 3)).unwrap();
        other.commit().unwrap_err();
        other.forget();
        other.put(&named("c", 3)).unwrap();
        other.set((2, b"b".to_vec()), None);
        other.commit().unwrap();
        assert_eq!(
            other.get::<QueueName>(&("c".to_owned(),)),
            Ok(Some(named("c", 3)))
        );
    }
}
