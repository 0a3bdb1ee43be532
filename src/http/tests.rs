//! The routes, over a backplane that says what it is told to say.

mod pages;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{HttpState, LongAnswers, Monitor, RelayStatus, router};
use crate::analytics::ring::Ring;
use crate::backplane::{Answer, Instance, InstanceStats, Lifecycle, Stats, Unavailable};
use crate::config::Config;
use crate::jobs::{dispatch::follower::Follower, memory_engine};
use crate::limits::JobLimits;
use crate::limits::{CanvasRules, ObjectBounds};
use crate::memory::MemoryBackplane;
use crate::protocol::ids::{ConnId, InstanceId};
use crate::telemetry;

/// Numbers and nothing else.
struct Fixed {
    id: InstanceId,
    /// What `stats` and `ready` answer.
    stats: Mutex<Result<Stats, Unavailable>>,
}

impl Instance for Fixed {
    fn instance_id(&self) -> &InstanceId {
        &self.id
    }

    fn new_conn(&self) -> ConnId {
        unreachable!("HTTP doesn't connect")
    }

    fn number(&self) -> crate::protocol::ids::InstanceNumber {
        unreachable!("HTTP doesn't connect")
    }

    fn seal(&self, _what: &[u8]) -> [u8; crate::backplane::SEAL_BYTES] {
        unreachable!("HTTP doesn't connect")
    }
}

impl Lifecycle for Fixed {
    fn ready<'a>(&'a self) -> Answer<'a, ()> {
        std::future::ready(self.stats.lock().clone().map(|_| ())).boxed()
    }

    fn stats<'a>(&'a self) -> Answer<'a, Stats> {
        std::future::ready(self.stats.lock().clone()).boxed()
    }

    fn shutdown<'a>(&'a self) -> BoxFuture<'a, ()> {
        unreachable!("HTTP ends nothing")
    }
}

fn no_canvases() -> Arc<MemoryBackplane> {
    let rules = CanvasRules {
        message_ttl: Duration::from_secs(60),
        presence_grace: Duration::from_secs(10),
        bounds: ObjectBounds {
            max_objects: 1,
            max_bytes: 1,
        },
        quotas: crate::limits::Quotas::default(),
    };
    MemoryBackplane::start(InstanceId::parse("one").unwrap(), &rules).unwrap()
}

struct Status(AtomicBool);

impl RelayStatus for Status {
    fn connections(&self) -> u64 {
        12
    }

    fn rooms(&self) -> u64 {
        3
    }

    fn draining(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn event_loop_lag_ms(&self) -> f64 {
        1.5
    }
}

struct Server {
    address: SocketAddr,
    backplane: Arc<Fixed>,
    status: Arc<Status>,
    monitor: Arc<Monitor>,
    _runtime: Runtime,
}

impl Server {
    fn start(flags: &[&str]) -> Self {
        let config = Config::from_flags([&["--queue=off"], flags].concat()).unwrap();
        let instances = vec![InstanceStats {
            instance_id: "one".to_owned(),
            pid: 1,
            heartbeat_age_ms: 1_500,
            lag: 7,
        }];
        let stats = Stats {
            queue_health: "healthy",
            queue_size: 42,
            instances,
            ..Stats::default()
        };
        let id = InstanceId::parse("one").unwrap();
        let backplane = Arc::new(Fixed {
            id,
            stats: Mutex::new(Ok(stats)),
        });
        let (status, monitor) = (Arc::new(Status(AtomicBool::new(false))), Arc::default());
        let jobs = memory_engine::start(JobLimits::default());
        let state = HttpState {
            beginnings: None,
            directory: no_canvases(),
            lifecycle: backplane.clone(),
            jobs: None,
            jobs_shown: Arc::default(),
            assets: None,
            stats: Arc::default(),
            analytics_shown: Arc::default(),
            long_answers: LongAnswers::default(),
            hooks: Follower::new(jobs.clone(), Arc::default(), || true),
            analytics: Arc::new(Ring::new("one".to_owned())),
            config: Arc::new(config),
            relay: status.clone(),
            metrics: telemetry::metrics_recorder(),
            monitor: Arc::clone(&monitor),
            started: Instant::now(),
        };
        let runtime = Runtime::new().unwrap();
        let bind = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = runtime.block_on(bind).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router(state)).await.unwrap() });
        Self {
            address,
            backplane,
            status,
            monitor,
            _runtime: runtime,
        }
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Reply) {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build();
        let agent = ureq::Agent::new_with_config(config);
        let mut response = agent.run(request.body(()).unwrap()).unwrap();
        let bytes = response.body_mut().read_to_vec().unwrap();
        (
            response.status().as_u16(),
            Reply {
                headers: response.headers().clone(),
                body: String::from_utf8_lossy(&bytes).into_owned(),
                bytes,
            },
        )
    }

    fn get(&self, path: &str) -> (u16, Reply) {
        self.request("GET", path, &[])
    }

    fn is_ready(&self) -> (u16, String) {
        let (status, reply) = self.get("/readyz");
        (
            status,
            reply.json()["reason"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

struct Reply {
    headers: ureq::http::HeaderMap,
    body: String,
    bytes: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

#[test]
fn readiness_fails_while_draining_without_a_queue_and_when_it_is_critical() {
    let server = Server::start(&[]);
    assert_eq!(server.is_ready(), (200, String::new()));

    let critical = Stats {
        queue_health: "critical",
        ..Stats::default()
    };
    server.monitor.look(&critical, 0.0);
    let (status, reason) = server.is_ready();
    assert!(status == 503 && reason.contains("critical"), "{reason}");
    server.monitor.look(
        &Stats {
            queue_health: "healthy",
            ..critical
        },
        0.0,
    );
    assert_eq!(server.is_ready().0, 200);

    *server.backplane.stats.lock() = Err(Unavailable::NotNow("the disk is full".to_owned()));
    let (status, reason) = server.is_ready();
    assert!(
        status == 503 && reason.contains("the disk is full"),
        "{reason}"
    );

    server.status.0.store(true, Ordering::Relaxed);
    let (status, reason) = server.is_ready();
    assert!(status == 503 && reason.contains("draining"), "{reason}");
    // Alive all the while.
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn stats_are_those_of_the_process_and_its_queue() {
    let server = Server::start(&[]);
    let (status, reply) = server.get("/api/v1/stats");
    let body = reply.json();
    assert_eq!(
        (status, reply.header("content-type")),
        (200, "application/json")
    );
    for (field, value) in [
        ("instance_id", Value::from("one")),
        ("connections", 12.into()),
        ("rooms", 3.into()),
        ("queue_size", 42.into()),
        ("event_loop_lag_ms", 1.5.into()),
        ("backplane", "memory".into()),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    assert_eq!(body["instances"][0]["lag"], 7);

    *server.backplane.stats.lock() = Err(Unavailable::NotNow("locked".to_owned()));
    let (status, reply) = server.get("/api/v1/stats");
    assert_eq!(status, 503);
    assert_eq!(reply.json()["error"], "unavailable");
}

#[test]
fn every_metric_has_a_help_line_and_a_value() {
    let server = Server::start(&[]);
    let (status, reply) = server.get("/metrics");
    assert_eq!(status, 200);
    assert!(
        reply
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    // Counters with labels are there once something was counted.
    let by_label = |name: &&str| {
        ["scumble_closes_total", "scumble_refusals_total"].contains(name)
            || name.starts_with("scumble_jobs_")
    };
    for name in telemetry::names::all().filter(|name| !by_label(name)) {
        assert!(
            reply.body.contains(&format!("# HELP {name} ")),
            "no help for {name}"
        );
        let value = |line: &&str| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']) || rest.starts_with("_count "))
        };
        assert!(
            reply.body.lines().any(|line| value(&line)),
            "no value of {name}"
        );
    }
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let server = Server::start(&[]);
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/api/v1/demo", 404, "not-found"),
        ("POST", "/api/v1/demo/kill", 404, "not-found"),
        ("DELETE", "/healthz", 405, "method-not-allowed"),
        ("GET", "/c/.hidden", 400, "bad-canvas"),
    ] {
        let (found, reply) = server.request(method, path, &[]);
        assert_eq!(found, status, "{method} {path}");
        assert_eq!(reply.json()["error"], code, "{method} {path}");
    }
}

#[test]
fn the_demo_is_told_of_its_controls_and_strangers_can_not_use_them() {
    let server = Server::start(&["--demo-controls", "--listen=127.0.0.1:0"]);
    let (status, reply) = server.get("/api/v1/demo");
    assert_eq!(
        (status, &reply.json()["controls"]),
        (200, &Value::Bool(true))
    );
    // The test's own process would die if this were allowed. A page may have made its own name point here.
    let rebound = ("host", "evil.test:80");
    for stranger in [
        &[("origin", "https://elsewhere.example")][..],
        &[rebound, ("origin", "http://evil.test:80")],
        &[
            rebound,
            ("origin", "http://evil.test:80"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[rebound],
        &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
        &[("host", "localhost"), ("sec-fetch-site", "same-site")],
        &[("host", "localhost@evil.test")],
    ] {
        let (status, _) = server.request("POST", "/api/v1/demo/kill", stranger);
        assert_eq!(status, 403, "{stranger:?}");
    }
}
