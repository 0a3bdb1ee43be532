//! Rows of the ephemeral lane as JSON that another instance, or a person, can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::backplane::{Delivery, Member, Post, PresenceChange, PresenceEvent};
use crate::protocol::ids::{ClientId, ConnId, Epoch, Position};
use crate::protocol::server_message::LeaveReason;

/// A client has come: `message_type` of its row.
pub(in crate::sqlite) const CONNECTED: &str = "user-connected";
/// A client is gone.
pub(in crate::sqlite) const DISCONNECTED: &str = "user-disconnected";
/// A client's place has changed.
pub(in crate::sqlite) const PRESENCE: &str = "presence";
/// An application's ephemeral event.
pub(in crate::sqlite) const SIGNAL: &str = "signal";
/// A connection is to be closed.
pub(in crate::sqlite) const KICK: &str = "kick";
/// A client of a stream posted to another instance.
pub(in crate::sqlite) const POST: &str = "post";
/// A canvas began anew.
pub(in crate::sqlite) const RESET: &str = "reset";
/// Where pointers are.
pub(in crate::sqlite) const CURSORS: &str = "cursor-batch";

/// What the columns of an ephemeral row say.
#[derive(Debug)]
pub(in crate::sqlite) struct Ephemeral<'a> {
    pub(in crate::sqlite) kind: &'a str,
    pub(in crate::sqlite) origin: ConnId,
    pub(in crate::sqlite) client: &'a str,
    pub(in crate::sqlite) payload: &'a str,
}

#[derive(Deserialize)]
struct PresencePayload<'a> {
    version: u64,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    #[serde(default)]
    away: bool,
    reason: Option<&'a str>,
    /// The rest is in the table only.
    #[serde(default)]
    missed: bool,
}

#[derive(Deserialize)]
struct CursorPayload<'a> {
    #[serde(borrow)]
    cursors: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Deserialize)]
struct KickPayload {
    conn: u64,
}

#[derive(Deserialize)]
struct PostPayload<'a> {
    conn: u64,
    number: u64,
    #[serde(borrow)]
    messages: &'a RawValue,
}

#[derive(Deserialize)]
struct ResetPayload<'a> {
    epoch: &'a str,
    seq: u64,
}

/// The payload of a presence row.
pub(in crate::sqlite) fn presence(event: &PresenceEvent) -> String {
    let version = event.version;
    match &event.change {
        PresenceChange::Gone { reason, .. } => {
            format!(
                "{{\"version\":{version},\"reason\":\"{}\"}}",
                reason.as_str()
            )
        }
        PresenceChange::Set(member) => {
            let mut out = format!("{{\"version\":{version},\"user\":{}", member.user);
            if let Some(state) = &member.state {
                // Writing into a String cannot fail, here and below.
                let _ = write!(out, ",\"state\":{state}");
            }
            let _ = write!(out, ",\"away\":{}}}", member.away);
            out
        }
    }
}

/// The payload of a presence row whose change is to be read from the table.
pub(in crate::sqlite) fn presence_missed(version: u64) -> String {
    format!("{{\"version\":{version},\"missed\":true}}")
}

/// The payload of a cursor row.
pub(in crate::sqlite) fn cursors(cursors: &[(ClientId, Arc<str>)]) -> String {
    let mut out = String::from("{\"cursors\":{");
    for (i, (client, fields)) in cursors.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(out, "{comma}\"{client}\":{{{fields}}}");
    }
    out.push_str("}}");
    out
}

/// The payload of a signal row.
pub(in crate::sqlite) fn signal(body: &str) -> String {
    format!("{{{body}}}")
}

/// The payload of a kick row.
pub(in crate::sqlite) fn kick(conn: ConnId) -> String {
    format!("{{\"conn\":{}}}", conn.0)
}

/// The payload of a post row.
pub(in crate::sqlite) fn post(conn: ConnId, post: &Post) -> String {
    let Post { number, messages } = post;
    let number = number.map_or(0, NonZeroU64::get);
    format!(
        "{{\"conn\":{},\"number\":{number},\"messages\":{messages}}}",
        conn.0
    )
}

/// The payload of a reset row.
pub(in crate::sqlite) fn reset(head: Position) -> String {
    format!("{{\"epoch\":\"{}\",\"seq\":{}}}", head.epoch, head.seq)
}

/// What a row tells a room. `None` for a row that this version does not understand.
pub(in crate::sqlite) fn read(row: &Ephemeral<'_>) -> Option<Delivery> {
    match row.kind {
        SIGNAL => Some(Delivery::Signal {
            client: ClientId::parse(row.client).ok()?,
            origin: row.origin,
            body: inside(row.payload).into(),
        }),
        CURSORS => {
            let payload: CursorPayload<'_> = serde_json::from_str(row.payload).ok()?;
            let one = |(client, fields): (&str, &RawValue)| {
                Some((ClientId::parse(client).ok()?, inside(fields.get()).into()))
            };
            let cursors = payload.cursors.into_iter().filter_map(one).collect();
            Some(Delivery::Cursors {
                instance: row.origin.instance(),
                cursors,
            })
        }
        KICK => {
            let payload: KickPayload = serde_json::from_str(row.payload).ok()?;
            let conn = ConnId(payload.conn);
            Some(Delivery::Kick { conn })
        }
        POST => {
            let payload: PostPayload<'_> = serde_json::from_str(row.payload).ok()?;
            let post = Post {
                number: NonZeroU64::new(payload.number),
                messages: payload.messages.get().into(),
            };
            let conn = ConnId(payload.conn);
            Some(Delivery::Post { conn, post })
        }
        RESET => {
            let payload: ResetPayload<'_> = serde_json::from_str(row.payload).ok()?;
            let epoch = Epoch::parse(payload.epoch)?;
            let seq = payload.seq;
            Some(Delivery::Reset { epoch, seq })
        }
        CONNECTED | DISCONNECTED | PRESENCE => presence_event(row),
        _ => None,
    }
}

fn presence_event(row: &Ephemeral<'_>) -> Option<Delivery> {
    let payload: PresencePayload<'_> = serde_json::from_str(row.payload).ok()?;
    let version = payload.version;
    if payload.missed {
        return Some(Delivery::PresenceMissed { version });
    }
    let client = ClientId::parse(row.client).ok()?;
    let change = if row.kind == DISCONNECTED {
        PresenceChange::Gone {
            client,
            reason: LeaveReason::parse(payload.reason.unwrap_or("")),
        }
    } else {
        PresenceChange::Set(Member {
            client,
            conn: row.origin,
            user: payload.user.map_or("{}", RawValue::get).into(),
            state: payload.state.map(|state| state.get().into()),
            away: payload.away,
        })
    };
    Some(Delivery::Presence(PresenceEvent { version, change }))
}

/// The inside of a JSON object's text.
fn inside(object: &str) -> &str {
    let object = object.trim();
    object
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ids::InstanceNumber;

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    fn event(version: u64, change: PresenceChange) -> PresenceEvent {
        PresenceEvent { version, change }
    }

    #[test]
    fn presence_survives_its_row() {
        let member = |state: Option<&str>, away| Member {
            client: client("client-1"),
            conn: ConnId::new(InstanceNumber(3), 4),
            user: r#"{"name":"Ä \"x\""}"#.into(),
            state: state.map(Into::into),
            away,
        };
        let events = [
            (
                CONNECTED,
                event(1, PresenceChange::Set(member(None, false))),
            ),
            (
                PRESENCE,
                event(
                    7,
                    PresenceChange::Set(member(Some(r#"{"a":[1.50]}"#), true)),
                ),
            ),
            (
                DISCONNECTED,
                event(
                    8,
                    PresenceChange::Gone {
                        client: client("client-1"),
                        reason: LeaveReason::InstanceLost,
                    },
                ),
            ),
        ];
        for (kind, event) in events {
            let payload = presence(&event);
            let row = Ephemeral {
                kind,
                origin: ConnId::new(InstanceNumber(3), 4),
                client: "client-1",
                payload: &payload,
            };
            let Some(Delivery::Presence(read)) = presence_event(&row) else {
                panic!("{payload}");
            };
            assert_eq!(read, event, "{payload}");
        }
    }

    #[test]
    fn cursors_and_signals_survive_their_rows() {
        let given = vec![
            (client("client-1"), Arc::from(r#""x":1.50,"y":-2"#)),
            (
                client("client-2"),
                Arc::from(r#""x":1,"y":2,"tool":"{pen}""#),
            ),
        ];
        let payload = cursors(&given);
        let row = Ephemeral {
            kind: CURSORS,
            origin: ConnId::new(InstanceNumber(9), 0),
            client: "",
            payload: &payload,
        };
        let Some(Delivery::Cursors {
            instance: InstanceNumber(9),
            cursors,
        }) = read(&row)
        else {
            panic!("{payload}")
        };
        assert_eq!(cursors, given);

        let payload = signal(r#""event":"e","data":{}"#);
        let row = Ephemeral {
            kind: SIGNAL,
            origin: ConnId::new(InstanceNumber(9), 1),
            client: "client-1",
            payload: &payload,
        };
        let Some(Delivery::Signal { body, .. }) = read(&row) else {
            panic!("{payload}")
        };
        assert_eq!(&*body, r#""event":"e","data":{}"#);
    }

    #[test]
    fn kicks_posts_and_resets_survive_their_rows() {
        let row = |kind, payload| Ephemeral {
            kind,
            origin: ConnId::new(InstanceNumber(9), 0),
            client: "",
            payload,
        };
        let largest = ConnId(u64::MAX);
        let payload = kick(largest);
        let read_back = read(&row(KICK, &payload));
        assert!(matches!(read_back, Some(Delivery::Kick { conn }) if conn == largest));
        let posts = [NonZeroU64::new(7), None].map(|number| Post {
            number,
            messages: r#"[{"type":"ping"}]"#.into(),
        });
        let payloads = posts.each_ref().map(|posted| post(largest, posted));
        for (posted, payload) in posts.iter().zip(&payloads) {
            let read_back = read(&row(POST, payload));
            assert!(
                matches!(&read_back, Some(Delivery::Post { conn, post }) if *conn == largest && post == posted),
                "{payload}"
            );
        }
        let (epoch, seq) = (Epoch::random(), 17);
        let payload = reset(Position { epoch, seq });
        let read_back = read(&row(RESET, &payload));
        assert!(
            matches!(read_back, Some(Delivery::Reset { epoch: e, seq: 17 }) if e == epoch),
            "{payload}"
        );
    }
}
