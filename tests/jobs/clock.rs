//! The wall clock is set by an hour while jobs are leased, delayed and in order: nothing of that changes.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::redis_server::RedisServer;
use super::{Relay, ack, ask, configure, name_of, pop, push};

/// Adds the seconds in a file to the wall clock of a process.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long ahead(void) {
  long seconds = 0;
  FILE *file = fopen(getenv("WALL_CLOCK_AHEAD"), "r");
  if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
  return seconds;
}
int clock_gettime(clockid_t id, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, now);
  if (id == CLOCK_REALTIME) now->tv_sec += ahead();
  return done;
}
int gettimeofday(struct timeval *now, void *zone) {
  struct timespec time;
  (void)zone;
  int done = clock_gettime(CLOCK_REALTIME, &time);
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return done;
}
time_t time(time_t *now) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  if (now) *now = time.tv_sec;
  return time.tv_sec;
}
"#;

/// A wall clock that can be set.
struct WallClock {
    folder: tempfile::TempDir,
}

impl WallClock {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Self { folder };
        std::fs::write(clock.path("shim.c"), SHIM).expect("written");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.path("shim.so"))
            .arg(clock.path("shim.c"))
            .arg("-ldl")
            .status()
            .expect("a C compiler, which SQLite needs, too");
        assert!(compiled.success());
        clock.set(0);
        clock
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// So many seconds ahead from now on.
    fn set(&self, ahead: i64) {
        std::fs::write(self.path("new"), ahead.to_string()).expect("written");
        std::fs::rename(self.path("new"), self.path("ahead")).expect("in its place");
    }

    /// For processes that go by it.
    fn env(&self) -> [(String, String); 2] {
        let path = |name| self.path(name).display().to_string();
        [
            ("LD_PRELOAD".to_owned(), path("shim.so")),
            ("WALL_CLOCK_AHEAD".to_owned(), path("ahead")),
        ]
    }
}

const HOUR: i64 = 3_600;

/// The wall clock is set again and again while one thing after the other is under way.
async fn steps(relay: &Relay, clock: &WallClock) {
    let options = json!({"leaseTime": 4, "retryDelay": 0});
    configure(relay, "q", options).await;
    configure(relay, "late", json!({"delayedProcessing": 2})).await;
    let mut ahead = 0;
    for step in [HOUR, -2 * HOUR, 3 * HOUR, -2 * HOUR] {
        ahead += step;
        let name = |what: &str| vec![format!("{what}{ahead}")];
        // A lease ends when it would have.
        push(relay, 0, "q", "a", &name("leased")).await;
        let held = pop(relay, 0, "q/partition/a").await;
        let leased = Instant::now();
        push(relay, 0, "late", "a", &name("late")).await;
        let pushed = Instant::now();
        push(relay, 0, "q", "b", &name("first")).await;
        clock.set(ahead);
        push(relay, 0, "q", "b", &name("second")).await;
        // Processes look at their engine's clock once a second.
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        if leased.elapsed() < Duration::from_millis(3_000) {
            assert!(pop(relay, 0, "q/partition/a").await.is_empty(), "{ahead}");
        }
        let late = pop(relay, 0, "late?wait=true&timeout=20000&autoAck=true").await;
        let waited = pushed.elapsed();
        assert_eq!(late.len(), 1, "{ahead}: it is held for ever");
        assert!(
            waited >= Duration::from_millis(1_500),
            "{ahead}: {waited:?}"
        );
        let both = pop(relay, 0, "q/partition/b?batch=2&autoAck=true").await;
        let both: Vec<&str> = both.iter().map(name_of).collect();
        assert_eq!(both, [name("first")[0].as_str(), &name("second")[0]]);
        let again = pop(relay, 0, "q/partition/a?wait=true&timeout=20000").await;
        assert!(leased.elapsed() >= Duration::from_millis(3_500), "{ahead}");
        assert_eq!(again.first().map(name_of), held.first().map(name_of));
        assert_eq!(ack(relay, 0, &again[0], "completed").await["success"], true);
        let (_, told) = ask(relay, 0, "GET", "/api/v1/status/queues/q", &Value::Null).await;
        assert_eq!(told["depth"], 0, "{told}");
    }
}

#[tokio::test]
async fn a_wall_clock_that_is_set_ends_no_lease_holds_no_job_and_reorders_nothing() {
    for flags in [&[][..], &["--queue=off"]] {
        let clock = WallClock::new();
        let relay = Relay::start_in(1, flags, &clock.env()).await;
        steps(&relay, &clock).await;
    }
}

#[tokio::test]
async fn over_redis_nor_does_the_clock_of_its_host() {
    let clock = WallClock::new();
    let server = RedisServer::start_in(&[], &clock.env());
    let url = server.url();
    let relay = Relay::start_in(1, &["--redis", &url], &clock.env()).await;
    steps(&relay, &clock).await;
}
