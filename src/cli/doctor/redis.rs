//! `scumble doctor --redis`: the checks of a relay in Redis. It changes nothing, and keeps no canvas in memory for
//! long.

use std::process::ExitCode;

use super::{Told, Verdict, assets, jobs};
use crate::cli::complain;
use crate::config::{DoctorArgs, RedisSettings};
use crate::transfer::assets::of_redis;
use crate::transfer::queues::queues;
use crate::transfer::redis_tool::RedisTool;

type Verdicts = anyhow::Result<Vec<Verdict>>;

/// Versions from this one on have what the scripts use.
const OLDEST: (u32, u32) = (6, 2);
/// More of its memory in use than this share is a finding.
const FULL_PERCENT: u64 = 90;
/// What to do about a check that could not be done.
const AGAIN: &str = "see that Redis runs and answers (redis-cli PING), then run doctor again";

/// Examines; the exit code is 0 without findings, 1 with some, 2 if there is no relay that could be examined.
///
/// # Errors
/// When standard output is closed.
pub(super) fn run(settings: &RedisSettings, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let redis = match RedisTool::open(settings, "doctor") {
        Ok(redis) => redis,
        Err(error) => {
            complain(&error);
            return Ok(ExitCode::from(2));
        }
    };
    let mut told = Told::default();
    told.all("redis", Ok(vec![version(&redis)]), AGAIN)?;
    told.all("persistence", Ok(persistence(&redis)), AGAIN)?;
    told.all("memory", Ok(memory(&redis)), AGAIN)?;
    told.all("keys", Ok(keys(&redis)), AGAIN)?;
    told.all("instances", instances(&redis), AGAIN)?;
    told.all("rules", Ok(vec![rules(&redis)]), AGAIN)?;
    told.all("canvases", canvases(&redis, args.thorough), AGAIN)?;
    let queues = queues(&redis).map(|found| match found {
        Some(found) => jobs::of_redis(found, redis.now_ms()),
        None => vec![Verdict::Fine(
            "they change faster than they can be read together".to_owned(),
        )],
    });
    told.all("jobs", queues, AGAIN)?;
    let place = args.assets.place(None).map_err(anyhow::Error::from);
    let files = place.and_then(|place| assets::listed(of_redis(&redis)?, &place));
    told.all("assets", files, AGAIN)?;
    told.end()
}

/// The server is one that the scripts run on.
fn version(redis: &RedisTool) -> Verdict {
    let version = redis.info("redis_version").unwrap_or("unknown");
    let name = match redis.info("server_name") {
        Some("valkey") => "Valkey, compatible with Redis",
        _ => "Redis",
    };
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        let todo = "use Redis 6.2 or newer, or Valkey";
        return Verdict::finding(format!("{name} {version} is older than 6.2"), todo);
    }
    Verdict::Fine(format!("{name} {version}, format known"))
}

/// What was acked survives a crash.
fn persistence(redis: &RedisTool) -> Vec<Verdict> {
    let field = |name: &str| redis.info(name).unwrap_or_default();
    if field("aof_enabled") != "1" {
        let todo = "set appendonly yes, and appendfsync always to lose nothing";
        return vec![Verdict::finding(
            "there is no append-only file: what was acked since the last dump is lost in a crash",
            todo,
        )];
    }
    if field("aof_last_write_status") != "ok" {
        let todo = "see Redis's log; make room on its disk: until then nothing is acked";
        return vec![Verdict::finding(
            "the append-only file can't be written",
            todo,
        )];
    }
    vec![Verdict::Fine("an append-only file".to_owned())]
}

/// Redis has memory, and throws nothing away.
fn memory(redis: &RedisTool) -> Vec<Verdict> {
    let number = |name: &str| {
        let text = redis.info(name).unwrap_or_default();
        text.parse::<u64>().unwrap_or(0)
    };
    let used = number("used_memory");
    let max = number("maxmemory");
    let policy = redis.info("maxmemory_policy").unwrap_or("noeviction");
    let mut verdicts = Vec::new();
    if policy != "noeviction" {
        let todo = "set maxmemory-policy noeviction";
        let what =
            format!("with maxmemory-policy {policy} it may throw canvases away when it is full");
        verdicts.push(Verdict::finding(what, todo));
    }
    let mib = used >> 20;
    if max > 0 && used / (max / 100).max(1) >= FULL_PERCENT {
        let what = format!("{mib} MiB of {} MiB are in use", max >> 20);
        let todo = "raise maxmemory, or set --max-total-bytes and --canvas-idle-ttl: when it is full nothing is acked";
        verdicts.push(Verdict::finding(what, todo));
    } else if verdicts.is_empty() {
        verdicts.push(Verdict::Fine(format!("{mib} MiB")));
    }
    verdicts
}

/// The keys that all canvases share are of their kind.
fn keys(redis: &RedisTool) -> Vec<Verdict> {
    let wrong = redis.overwritten().iter();
    let todo = "a process that runs sets it aside within a second, and makes it anew: if none runs, start one";
    let mut verdicts: Vec<_> = wrong
        .map(|what| Verdict::finding(what.clone(), todo))
        .collect();
    if verdicts.is_empty() {
        verdicts.push(Verdict::Fine("each of its kind".to_owned()));
    }
    verdicts
}

/// Each registered instance lives.
fn instances(redis: &RedisTool) -> Verdicts {
    let now_ms = redis.now_ms();
    let all = redis.instances()?;
    if all.is_empty() {
        return Ok(vec![Verdict::Fine("none is running".to_owned())]);
    }
    let verdicts = all.iter().map(|one| {
        let name = one.name.as_deref().unwrap_or("one without a name");
        let pid = one.pid.map(|pid| format!(" (pid {pid} on its host)"));
        let who = format!("{name}{}", pid.unwrap_or_default());
        let age_ms = (now_ms - one.beat).max(0);
        match redis.is_silent(one) {
            true => Verdict::finding(
                format!("{who} seems dead: its last heartbeat is {} s old", age_ms / 1_000),
                "start any process on this Redis, or continue that one: it removes the dead; nothing acked is lost",
            ),
            false => Verdict::Fine(format!("{who}, heartbeat {age_ms} ms ago")),
        }
    });
    Ok(verdicts.collect())
}

/// What all processes must agree on.
fn rules(redis: &RedisTool) -> Verdict {
    let kept = redis.relay_rules();
    Verdict::Fine(match kept.is_empty() {
        true => "none yet: the next process that starts alone keeps its own".to_owned(),
        false => kept.to_owned(),
    })
}

/// Each canvas is there; with `--thorough`, each is read and compared with what its writer had.
fn canvases(redis: &RedisTool, thorough: bool) -> Verdicts {
    let names = redis.canvases()?;
    let mut verdicts = Vec::new();
    if thorough {
        for id in &names {
            if let Err(error) = redis.check(id) {
                verdicts.push(Verdict::finding(
                    format!("{error:#}"),
                    "a process that has a copy puts it back when somebody joins; otherwise delete the canvas, or restore a backup",
                ));
            }
        }
    } else {
        for id in redis.missing(&names)? {
            verdicts.push(Verdict::finding(
                format!("the canvas {id} is in the list of names, and not there"),
                "somebody removed its key by hand: whoever joins begins it anew",
            ));
        }
    }
    if verdicts.is_empty() {
        let how = match thorough {
            true => ", each read and compared",
            false => "",
        };
        verdicts.push(Verdict::Fine(format!("{}{how}", names.len())));
    }
    Ok(verdicts)
}
