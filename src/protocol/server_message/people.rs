//! Messages about clients, and their own messages on the ephemeral lane.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::framed;
use crate::protocol::frame;
use crate::protocol::ids::ClientId;

/// Why a client is gone for the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its connection was lost and did not come back within the grace.
    Timeout,
    /// Its instance died and it did not come back within the grace.
    InstanceLost,
    /// Somebody else took its place.
    Replaced,
}

impl LeaveReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Timeout => "timeout",
            Self::InstanceLost => "instance-lost",
            Self::Replaced => "replaced",
        }
    }

    /// Reads what [`Self::as_str`] wrote; anything else is a timeout.
    pub fn parse(text: &str) -> Self {
        [Self::Left, Self::InstanceLost, Self::Replaced]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .unwrap_or(Self::Timeout)
    }
}

/// One entry of `welcome.users` (a cursor with its age), or the fields of `user-connected` after its type.
pub fn user_fields(
    out: &mut String,
    client: &ClientId,
    user: &str,
    state: Option<&str>,
    cursor: Option<(&str, Duration)>,
    away: bool,
) {
    let _ = write!(out, "\"client\":\"{client}\",\"user\":{user}");
    if let Some(state) = state {
        let _ = write!(out, ",\"state\":{state}");
    }
    if let Some((cursor, age)) = cursor {
        let age_ms = age.as_millis();
        let _ = write!(out, ",\"cursor\":{{{cursor}}},\"cursor_age_ms\":{age_ms}");
    }
    if away {
        out.push_str(",\"away\":true");
    }
}

/// `user-connected`
pub fn user_connected(client: &ClientId, user: &str, state: Option<&str>) -> Bytes {
    let mut fields = String::new();
    user_fields(&mut fields, client, user, state, None, false);
    framed(|out| {
        let _ = write!(out, "{{\"type\":\"user-connected\",{fields}}}");
    })
}

/// `user-disconnected`
pub fn user_disconnected(client: &ClientId, reason: LeaveReason) -> Bytes {
    framed(|out| {
        let reason = reason.as_str();
        let _ = write!(
            out,
            "{{\"type\":\"user-disconnected\",\"client\":\"{client}\",\"reason\":\"{reason}\"}}"
        );
    })
}

/// `presence`, with the merged state, the away mark, or both.
pub fn presence(client: &ClientId, state: Option<&str>, away: Option<bool>) -> Bytes {
    framed(|out| {
        let _ = write!(out, "{{\"type\":\"presence\",\"client\":\"{client}\"");
        if let Some(state) = state {
            let _ = write!(out, ",\"state\":{state}");
        }
        if let Some(away) = away {
            let _ = write!(out, ",\"away\":{away}");
        }
        out.push(b'}');
    })
}

/// Appends a `signal`; `body` is `"event":…,"data":…`. Gives the place of the body.
pub fn signal(out: &mut Vec<u8>, client: &ClientId, body: &str) -> Range<usize> {
    out.reserve(body.len() + 64);
    frame::text(out, |out| {
        let head = "{\"type\":\"signal\",\"client\":\"";
        put(out, &[head, client.as_str(), "\",", body, "}"]);
    });
    let end = out.len() - 1;
    end - body.len()..end
}

/// Appends those texts: what `write!` would do, for what is said most often.
fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

/// `cursor-batch` of those cursors; each is the inside of an object: `"x":…,"y":…`.
pub fn cursor_batch<'a>(cursors: impl Iterator<Item = (&'a ClientId, &'a str)>) -> Bytes {
    framed(|out| {
        out.extend_from_slice(b"{\"type\":\"cursor-batch\",\"cursors\":[");
        for (i, (client, fields)) in cursors.enumerate() {
            let begin = ["{\"client\":\"", ",{\"client\":\""][usize::from(i > 0)];
            put(out, &[begin, client.as_str(), "\",", fields, "}"]);
        }
        out.extend_from_slice(b"]}");
    })
}
