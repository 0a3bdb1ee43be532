//! Keys that all canvases share, and whether each is of its kind. Somebody who overwrites one by hand would stop all
//! canvases, since every script finds an error there. So it is looked at them with each heartbeat, and before an
//! instance comes in. What is not of its kind is set aside, and made anew: heartbeats, copies and a count of all
//! canvases say again what was in it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use super::aside;
use super::keys::Keys;
use crate::protocol::ids::InstanceNumber;

static SOUND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/sound.lua")));

/// A key, and of what kind it is.
pub(super) type OfKind = (String, &'static str);

/// Those that all instances share.
fn shared(keys: &Keys) -> Vec<OfKind> {
    vec![
        // The script expects these five first.
        (keys.names(), "zset"),
        (keys.totals(), "hash"),
        (keys.relay(), "hash"),
        (keys.instances(), "zset"),
        (keys.awaited(), "set"),
        (keys.due(), "zset"),
        (keys.leaving(), "zset"),
        (keys.undispatched(), "set"),
        (keys.samples("now"), "hash"),
    ]
}

/// Those of an instance.
fn own(keys: &Keys, number: InstanceNumber) -> [OfKind; 2] {
    [
        (keys.instance(number), "hash"),
        (keys.canvases_of(number), "set"),
    ]
}

/// Sets aside what is not of its kind among the keys that all share, those of an instance that is known, and those. A
/// version of the hooks that is none becomes the one that the process knows.
pub(super) async fn set_aside(
    keys: &Keys,
    number: Option<InstanceNumber>,
    hooks: &AtomicU64,
    more: Vec<OfKind>,
    conn: &mut MultiplexedConnection,
) -> RedisResult<bool> {
    let mut all = shared(keys);
    all.extend(number.into_iter().flat_map(|number| own(keys, number)));
    all.extend(more);
    let mut call = SOUND.prepare_invoke();
    call.arg(aside()).arg(hooks.load(Ordering::Relaxed));
    for (key, kind) in all {
        call.key(key).arg(kind);
    }
    let found: Vec<String> = call.invoke_async(conn).await?;
    for key in &found {
        tracing::error!(
            key,
            "a key of the relay in Redis was overwritten: what it was is set aside for a week, and it is made anew"
        );
    }
    Ok(!found.is_empty())
}

/// The keys that all share, and those of these instances, that are not of their kind; each with what it is and what it
/// should be.
pub(super) async fn overwritten(
    keys: &Keys,
    numbers: &[InstanceNumber],
    conn: &mut MultiplexedConnection,
) -> RedisResult<Vec<(String, String, &'static str)>> {
    let mut all = shared(keys);
    all.extend(numbers.iter().flat_map(|number| own(keys, *number)));
    let mut ask = redis::pipe();
    for (key, _) in &all {
        ask.cmd("TYPE").arg(key);
    }
    let kinds: Vec<String> = ask.query_async(conn).await?;
    let found = all.into_iter().zip(kinds);
    let wrong = found.filter(|((_, kind), is)| is != kind && is != "none");
    Ok(wrong.map(|((key, kind), is)| (key, is, kind)).collect())
}
