//! What Redis does in one step, and what it answers.

use std::sync::LazyLock;

use redis::{FromRedisValue, ParsingError, RedisResult, Script, Value, from_redis_value};

use super::link::Session;
use super::{Shared, keys, rules};
use crate::machine::Command;
use crate::machine::codec::encode_batch;
use crate::protocol::ids::{CanvasId, Epoch};

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!($file)));
    };
    (in_its_era $name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("lua/era.lua"), include_str!($file)))
        });
    };
}

script!(ENTER, "lua/enter.lua");
script!(in_its_era APPEND, "lua/append.lua");
script!(in_its_era LOAD, "lua/load.lua");
script!(in_its_era SAVE, "lua/save.lua");
script!(in_its_era BEAT, "lua/beat.lua");
script!(REMOVE, "lua/remove.lua");

/// The format of everything that is kept and told. Instances of another one do not share a relay.
pub(super) const FORMAT: u32 = 1;

/// Whose batch it is that begins a new epoch after Redis began anew: whoever loads the canvas first has it written, in the
/// name of all. No instance has that number.
const NOBODY: u32 = 0;

/// How a request to come in ended.
#[derive(Debug)]
pub(super) enum Entered {
    In {
        relay: String,
        era: String,
        number: u32,
        now_ms: i64,
    },
    /// The relay is of another format.
    Format(String),
    /// Others run with other rules.
    Rules(String),
    /// Another process has this one's number.
    Taken,
}

impl FromRedisValue for Entered {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(items) = value else {
            return Err("an array was expected".into());
        };
        let mut items = items.into_iter();
        let mut next = || items.next().unwrap_or(Value::Nil);
        let word: String = from_redis_value(next())?;
        Ok(match word.as_str() {
            "in" => Self::In {
                relay: from_redis_value(next())?,
                era: from_redis_value(next())?,
                number: from_redis_value(next())?,
                now_ms: from_redis_value(next())?,
            },
            "format" => Self::Format(from_redis_value(next())?),
            "rules" => Self::Rules(from_redis_value(next())?),
            _ => Self::Taken,
        })
    }
}

/// A batch as the log has it: its number, the time, the bytes.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) n: u64,
    pub(super) at_ms: i64,
    pub(super) bytes: Vec<u8>,
}

impl Kept {
    /// As `append.lua` tells it.
    pub(super) fn told(message: &[u8]) -> Option<Self> {
        let mut parts = message.splitn(3, |byte| *byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok();
        let n = number()?.parse().ok()?;
        let at_ms = number()?.parse().ok()?;
        let bytes = parts.next()?.to_vec();
        Some(Self { n, at_ms, bytes })
    }
}

impl FromRedisValue for Kept {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, fields): (String, Vec<Vec<u8>>) = from_redis_value(value)?;
        let n = id.split('-').next().and_then(|n| n.parse().ok());
        let [_, at_ms, _, bytes] =
            <[Vec<u8>; 4]>::try_from(fields).map_err(|_| "four fields were expected")?;
        let at_ms = std::str::from_utf8(&at_ms)
            .ok()
            .and_then(|at_ms| at_ms.parse().ok());
        match (n, at_ms) {
            (Some(n), Some(at_ms)) => Ok(Self { n, at_ms, bytes }),
            _ => Err("a number and a time were expected".into()),
        }
    }
}

/// A canvas as Redis has it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) n: u64,
    pub(super) epoch: String,
    /// The batch that the snapshot is at.
    pub(super) saved: u64,
    pub(super) snapshot: Vec<u8>,
    pub(super) since: Vec<Kept>,
    /// By which these were done.
    pub(super) rules: String,
}

/// What a heartbeat tells.
pub(super) struct Beaten {
    pub(super) now_ms: i64,
    /// Nobody has taken this instance for dead.
    pub(super) known: bool,
    /// Number and last heartbeat.
    pub(super) instances: Vec<(u32, i64)>,
}

/// One canvas's part of what is sent at once.
pub(super) struct Piece {
    pub(super) canvas: CanvasId,
    /// To be kept; otherwise told only.
    pub(super) kept: bool,
    pub(super) bytes: Vec<u8>,
}

/// Comes in, or comes back.
pub(super) async fn enter(
    conn: &mut redis::aio::MultiplexedConnection,
    shared: &Shared,
    run_id: &str,
    rules: &str,
    host: &str,
) -> RedisResult<Entered> {
    ENTER
        .key(keys::RELAY)
        .key(keys::INSTANCES)
        .key(keys::INSTANCE)
        .arg(run_id)
        .arg(shared.number())
        .arg(&shared.token)
        .arg(shared.config.instance_id.as_str())
        .arg(std::process::id())
        .arg(host)
        .arg(rules)
        .arg(FORMAT)
        .arg(uuid::Uuid::new_v4().simple().to_string())
        .invoke_async(conn)
        .await
}

/// Commits and tells.
pub(super) async fn append(session: &Session, number: u32, pieces: &[Piece]) -> RedisResult<()> {
    let mut call = APPEND.key(keys::RELAY);
    call.key(keys::INSTANCES).arg(&*session.era).arg(number);
    for piece in pieces {
        call.key(keys::canvas(&piece.canvas))
            .key(keys::log(&piece.canvas));
        call.arg(keys::channel(&session.relay, &piece.canvas))
            .arg(if piece.kept { "b" } else { "e" })
            .arg(&piece.bytes);
    }
    call.invoke_async(&mut session.conn.clone()).await
}

/// Reads a canvas whole, creating it if it is new.
pub(super) async fn load(session: &Session, shared: &Shared, id: &CanvasId) -> RedisResult<Loaded> {
    let number = shared.number();
    let renumber = [Command::Renumber {
        epoch: Epoch::random(),
    }];
    let (n, epoch, saved, snapshot, since, rules) = LOAD
        .key(keys::RELAY)
        .key(keys::canvas(id))
        .key(keys::log(id))
        .key(keys::canvases_of(number))
        .arg(&*session.era)
        .arg(id.as_str())
        .arg(Epoch::random().to_string())
        .arg(encode_batch(NOBODY, 0, &renumber))
        .arg(keys::channel(&session.relay, id))
        .arg(rules::text(&shared.rules))
        .invoke_async(&mut session.conn.clone())
        .await?;
    Ok(Loaded {
        n,
        epoch,
        saved,
        snapshot,
        since,
        rules,
    })
}

/// Keeps a snapshot of a canvas at its batch `n`.
pub(super) async fn save(
    session: &Session,
    shared: &Shared,
    id: &CanvasId,
    (n, snapshot): (u64, Vec<u8>),
) -> RedisResult<()> {
    SAVE.key(keys::RELAY)
        .key(keys::canvas(id))
        .key(keys::log(id))
        .arg(&*session.era)
        .arg(n)
        .arg(snapshot)
        .arg(keys::channel(&session.relay, id))
        .arg(rules::text(&shared.rules))
        .invoke_async(&mut session.conn.clone())
        .await
}

/// Says that this instance lives.
pub(super) async fn beat(session: &Session, shared: &Shared, host: &str) -> RedisResult<Beaten> {
    let number = shared.number();
    let (now_ms, known, instances): (i64, bool, Vec<(u32, i64)>) = BEAT
        .key(keys::RELAY)
        .key(keys::INSTANCES)
        .key(keys::instance(number))
        .arg(&*session.era)
        .arg(number)
        .arg(&shared.token)
        .arg(shared.config.instance_id.as_str())
        .arg(std::process::id())
        .arg(host)
        .invoke_async(&mut session.conn.clone())
        .await?;
    Ok(Beaten {
        now_ms,
        known,
        instances,
    })
}

/// Takes an instance out of the registry; not if it was heard since `beat`.
pub(super) async fn remove(session: &Session, number: u32, beat: Option<i64>) -> RedisResult<()> {
    REMOVE
        .key(keys::INSTANCES)
        .key(keys::instance(number))
        .key(keys::canvases_of(number))
        .arg(number)
        .arg(beat.map_or_else(String::new, |beat| beat.to_string()))
        .invoke_async(&mut session.conn.clone())
        .await
}

/// The batches after `n`, at most `count`.
pub(super) async fn since(
    session: &Session,
    id: &CanvasId,
    n: u64,
    count: usize,
) -> RedisResult<Vec<Kept>> {
    redis::cmd("XRANGE")
        .arg(keys::log(id))
        .arg(format!("{}-0", n + 1))
        .arg("+")
        .arg("COUNT")
        .arg(count)
        .query_async(&mut session.conn.clone())
        .await
}
