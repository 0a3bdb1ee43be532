//! The demo's controls (`--demo-controls`), with which a page may kill a process.

use std::fs;
use std::net::IpAddr;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::{HttpState, QUEUE_ANSWER_TIMEOUT, error, json_response};
use crate::config::Store;

/// Which process is meant. Without a name it is the one that is asked.
#[derive(Deserialize)]
pub(super) struct Wanted {
    instance: Option<String>,
}

/// Tells the demo that it may offer to kill this process.
pub(super) async fn controls(State(state): State<HttpState>) -> Response {
    let instance = state.lifecycle.instance_id().as_str();
    let body = json!({ "controls": true, "instance": instance, "pid": std::process::id() });
    json_response(StatusCode::OK, &body)
}

/// Ends a process the hard way (SIGKILL). Behind a load balancer the request may reach another one than the page's
/// socket did: over a file all are on this host, so this one can end that one.
pub(super) async fn kill(
    State(state): State<HttpState>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    if !from_own_page(&headers) {
        return forbidden("only the demo's own page on this very host may ask for this");
    }
    let own = state.lifecycle.instance_id().as_str();
    match wanted.instance {
        Some(name) if name != own => kill_other(&state, &name).await,
        _ => kill_self(own),
    }
}

fn kill_self(instance: &str) -> Response {
    tracing::warn!("the demo page kills this process");
    let killer = std::thread::Builder::new()
        .name("killer".to_owned())
        .spawn(|| {
            let (_keep_open, never) = sync_channel::<()>(0);
            // Nothing will come: this is the moment for the answer.
            let _ = never.recv_timeout(Duration::from_millis(100));
            let _ = kill_process(getpid(), Signal::KILL);
        });
    match killer {
        Ok(_) => killed(instance),
        Err(failed) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            &failed.to_string(),
        ),
    }
}

async fn kill_other(state: &HttpState, name: &str) -> Response {
    let file = matches!(state.config.store, Store::Sqlite(_));
    let stats = match timeout(QUEUE_ANSWER_TIMEOUT, state.lifecycle.stats()).await {
        Ok(Ok(stats)) if file => Some(stats),
        _ => None,
    };
    let pid = stats
        .iter()
        .flat_map(|stats| &stats.instances)
        .find(|instance| instance.instance_id == name)
        .map(|instance| instance.pid);
    let Some(pid) = pid else {
        let own = state.lifecycle.instance_id().as_str();
        let reason = format!("this is {own}, which does not know where {name} runs");
        return error(StatusCode::NOT_FOUND, "unknown-instance", &reason);
    };
    if !is_demo_process(pid) {
        return forbidden(&format!("{name} was not started with --demo-controls"));
    }
    tracing::warn!(instance = name, pid, "the demo page kills a process");
    match i32::try_from(pid).ok().and_then(Pid::from_raw) {
        Some(pid) if kill_process(pid, Signal::KILL).is_ok() => killed(name),
        _ => error(
            StatusCode::NOT_FOUND,
            "unknown-instance",
            &format!("{name} is gone already"),
        ),
    }
}

/// Whether that is this very program, and may be killed by a page. A number alone may mean another process: the file
/// may have come from another container.
fn is_demo_process(pid: u32) -> bool {
    let exe = |of: &str| fs::read_link(format!("/proc/{of}/exe")).ok();
    let pid = pid.to_string();
    let said = |what: &str, word: &str| {
        let text = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        text.split(|byte| *byte == 0)
            .any(|part| part.starts_with(word.as_bytes()))
    };
    exe(&pid).is_some_and(|program| exe("self").as_ref() == Some(&program))
        && (said("cmdline", "--demo-controls") || said("environ", "SCUMBLE_DEMO_CONTROLS=true"))
}

fn killed(instance: &str) -> Response {
    json_response(StatusCode::ACCEPTED, &json!({ "killed": instance }))
}

fn forbidden(reason: &str) -> Response {
    error(StatusCode::FORBIDDEN, "forbidden", reason)
}

/// Whether the request comes from a page of this server, or from no page at all. Loopback does not protect against other
/// sites in the visitor's own browser, and a name of theirs may point here: so the name must be this host's own.
fn from_own_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST) else {
        return false;
    };
    let hosts = headers.get_all(header::HOST).iter().count();
    let origin = match headers.get(header::ORIGIN) {
        None => Some(host),
        Some(_) => text(header::ORIGIN).and_then(|origin| Some(origin.split_once("://")?.1)),
    };
    let site = headers.get("sec-fetch-site");
    let ours = site.is_none_or(|site| site == "same-origin");
    hosts == 1 && is_loopback(host) && origin == Some(host) && ours
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host().trim_matches(['[', ']']);
    let ip = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}
