//! The form of Redis's answers and messages.

use redis::aio::MultiplexedConnection;
use redis::{
    FromRedisValue, ParsingError, Pipeline, RedisResult, RedisWrite, ToRedisArgs, ToSingleRedisArg,
    Value, from_redis_value,
};

use crate::limits::Logs;
use crate::log::{Appended, CanvasHead, Fault, LoggedBatch, Published, parse_when};
use crate::protocol::ids::InstanceNumber;

/// Asks the same of many canvases. `None`: the key of that one is of a wrong kind, which says nothing of the others.
pub(super) async fn of_each<T: FromRedisValue>(
    ask: &mut Pipeline,
    conn: &MultiplexedConnection,
) -> Result<Vec<Option<T>>, Fault> {
    let found: Vec<RedisResult<T>> = ask.ignore_errors().query_async(&mut conn.clone()).await?;
    let each = found.into_iter().map(|one| match one.map_err(Fault::from) {
        Ok(one) => Ok(Some(one)),
        Err(Fault::Canvas(_)) => Ok(None),
        Err(fault) => Err(fault),
    });
    each.collect()
}

impl FromRedisValue for InstanceNumber {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        from_redis_value(value).map(Self)
    }
}

impl ToRedisArgs for InstanceNumber {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.0.write_redis_args(out);
    }
}

impl ToSingleRedisArg for InstanceNumber {}

/// A batch as the log has it.
pub(super) struct Entry(pub(super) LoggedBatch);

impl FromRedisValue for Entry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, fields): (String, Vec<Vec<u8>>) = from_redis_value(value)?;
        let n = id.split('-').next().and_then(|n| n.parse().ok());
        let [_, at_ms, _, bytes] =
            <[Vec<u8>; 4]>::try_from(fields).map_err(|_| "four fields were expected")?;
        let when = std::str::from_utf8(&at_ms).ok().and_then(parse_when);
        match (n, when) {
            (Some(n), Some((at_ms, hooks))) => Ok(Self(LoggedBatch {
                n,
                at_ms,
                hooks,
                bytes,
            })),
            _ => Err("a number and a time were expected".into()),
        }
    }
}

/// Where a canvas is, as `open.lua` and `look.lua` tell it.
pub(super) struct Head(pub(super) CanvasHead);

impl FromRedisValue for Head {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (
            n,
            chain,
            epoch,
            saved,
            parts,
            snapshot,
            whole,
            rules,
            messages_end,
            dispatched,
            instances,
            (charged, grown, used_at_ms),
        ) = from_redis_value(value)?;
        Ok(Self(CanvasHead {
            n,
            chain,
            epoch,
            saved,
            parts,
            snapshot,
            whole,
            rules,
            messages_end,
            dispatched,
            instances,
            charged,
            grown,
            used_at_ms,
        }))
    }
}

/// How it went with a piece.
pub(super) fn appended(value: Value) -> Result<Appended, ParsingError> {
    let Value::Array(_) = value else {
        return from_redis_value(value).map(Appended::Refused);
    };
    let parts: Vec<Value> = from_redis_value(value)?;
    let number = |at: usize| -> Result<i64, ParsingError> {
        from_redis_value(parts.get(at).cloned().unwrap_or(Value::Nil))
    };
    Ok(match number(0)? {
        0 => Appended::Published,
        -1 => {
            let canvas = number(1)?.cast_unsigned();
            let total = number(2)?.cast_unsigned();
            Appended::LogFull(Logs { canvas, total })
        }
        -2 => Appended::Tight(number(1)?),
        -3 => Appended::InUse,
        n => {
            let when: String = from_redis_value(parts.get(1).cloned().unwrap_or(Value::Nil))?;
            let (at_ms, hooks) = parse_when(&when).ok_or("a time was expected")?;
            Appended::At(n.cast_unsigned(), at_ms, hooks)
        }
    })
}

/// Reads a message of a canvas's channel; `None` for one that is no message of ours.
pub(super) fn published(message: &[u8]) -> Option<Published> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (kind, rest) = message.split_first()?;
    Some(match kind {
        b'b' => Published::Batch(batch(rest)?),
        b'e' => Published::Ephemeral(rest.to_vec()),
        b's' => Published::Saved(text(rest).parse().ok()?),
        b'n' => Published::SummaryWanted,
        b'm' if rest.starts_with(b"-") => Published::Gone(text(&rest[1..])),
        b'm' => Published::Unreadable(text(rest)),
        _ => return None,
    })
}

fn batch(message: &[u8]) -> Option<LoggedBatch> {
    let mut parts = message.splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok();
    let n = number()?.parse().ok()?;
    let (at_ms, hooks) = parse_when(number()?)?;
    let bytes = parts.next()?.to_vec();
    Some(LoggedBatch {
        n,
        at_ms,
        hooks,
        bytes,
    })
}

/// A batch as it is published.
pub(super) fn message_of(n: u64, when: &str, bytes: &[u8]) -> Vec<u8> {
    [format!("b{n} {when} ").as_bytes(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::when;

    #[test]
    fn a_batch_survives_its_message() {
        for hooks in [0, 9] {
            let batch = LoggedBatch {
                n: 7,
                at_ms: -3,
                hooks,
                bytes: b"a b \0".to_vec(),
            };
            let message = message_of(batch.n, &when(batch.at_ms, hooks), &batch.bytes);
            assert_eq!(published(&message), Some(Published::Batch(batch)));
        }
        for bad in [&b""[..], b"b", b"b1", b"b1 2", b"bx 2 y", b"s", b"sx", b"z"] {
            assert_eq!(published(bad), None, "{bad:?}");
        }
    }
}
