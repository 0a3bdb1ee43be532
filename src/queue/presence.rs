//! The presence table: who is where, and what becomes of those who are lost.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::{Held, HeldChange, Txn};
use super::rows::{self, Ephemeral};
use super::sql;
use super::tail::Step;
use crate::backplane::{Author, Delivery, Member, PresenceChange, PresenceEvent, Refusal};
use crate::protocol::ids::{ClientId, ConnId};
use crate::protocol::server_message::{ErrorCode, LeaveReason};

/// Who is removed or marked in one transaction: as bounded as cleanup's chunks.
const SWEEP: u32 = 1_000;

/// A row of the table.
struct Place {
    conn: ConnId,
    user: String,
    state: Option<Arc<str>>,
    away_at: Option<i64>,
}

impl Txn<'_> {
    fn place(&self, key: i64, client: &str) -> rusqlite::Result<Option<Place>> {
        let mut statement = self.conn.prepare_cached(sql::PLACE)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Place {
                conn: ConnId(row.get::<_, i64>(0)?.cast_unsigned()),
                user: row.get(1)?,
                state: row.get(2)?,
                away_at: row.get(3)?,
            })
        };
        statement.query_row(params![key, client], read).optional()
    }

    /// Writes a place, and tells everybody.
    fn set(
        &mut self,
        key: i64,
        instance: &str,
        member: Member,
        away_at: Option<i64>,
        kind: &str,
    ) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql::SET_PLACE)?.execute(params![
            key,
            member.client.as_str(),
            instance,
            member.conn.0.cast_signed(),
            member.user,
            member.state,
            away_at
        ])?;
        self.tell(key, kind, member.conn, PresenceChange::Set(member))
    }

    fn remove(
        &mut self,
        key: i64,
        client: ClientId,
        conn: ConnId,
        reason: LeaveReason,
    ) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(sql::DELETE_PLACE)?
            .execute(params![key, client.as_str()])?;
        self.tell(
            key,
            rows::DISCONNECTED,
            conn,
            PresenceChange::Gone { client, reason },
        )
    }

    fn tell(
        &mut self,
        key: i64,
        kind: &str,
        origin: ConnId,
        change: PresenceChange,
    ) -> rusqlite::Result<()> {
        let client = match &change {
            PresenceChange::Set(member) => member.client.clone(),
            PresenceChange::Gone { client, .. } => client.clone(),
        };
        let event = PresenceEvent {
            version: self.next_version(key)?,
            change,
        };
        let payload = rows::presence(&event);
        let row = Ephemeral {
            kind,
            origin,
            client: client.as_str(),
            payload: &payload,
        };
        self.row(key, &row, Delivery::Presence(event))
    }

    pub(super) fn join(&mut self, key: i64, author: &Arc<Author>) -> rusqlite::Result<()> {
        let client = self.client(key, &author.client)?;
        let acked_op = client.last_op;
        let named = !author.subject.is_empty();
        if named && client.user_id.is_empty() {
            client.user_id.clone_from(&author.subject);
        }
        let mine = !named || client.user_id == author.subject;
        client.dirty |= mine;
        let acked_op = if mine {
            self.take(
                key,
                &Held {
                    author: author.clone(),
                    state: None,
                },
            )?;
            Ok(acked_op)
        } else {
            let message = "this client id belongs to somebody else".to_owned();
            Err(Refusal {
                code: ErrorCode::Forbidden,
                message,
                retry_after_ms: None,
            })
        };
        let delivery = Delivery::Joined {
            conn: author.conn,
            acked_op,
        };
        self.out.steps.push(Step::Answer { key, delivery });
        Ok(())
    }

    /// Takes the client's place; the state stays what it was.
    fn take(&mut self, key: i64, held: &Held) -> rusqlite::Result<()> {
        let author = &held.author;
        let before = self.place(key, author.client.as_str())?;
        let kind = if before.is_some() {
            rows::PRESENCE
        } else {
            rows::CONNECTED
        };
        let state = before
            .and_then(|place| place.state)
            .or_else(|| held.state.clone());
        let taken = Held {
            author: author.clone(),
            state: state.clone(),
        };
        self.held.push(HeldChange::Take(key, taken));
        let user = author.user.as_str().into();
        let member = Member {
            client: author.client.clone(),
            conn: author.conn,
            user,
            state,
            away: false,
        };
        let instance = self.setup.instance_id.clone();
        self.set(key, &instance, member, None, kind)
    }

    pub(super) fn state(
        &mut self,
        key: i64,
        author: &Arc<Author>,
        state: &str,
    ) -> rusqlite::Result<()> {
        let Some(place) = self
            .place(key, author.client.as_str())?
            .filter(|p| p.conn == author.conn)
        else {
            return Ok(());
        };
        let state: Arc<str> = state.into();
        let held = Held {
            author: author.clone(),
            state: Some(state.clone()),
        };
        self.held.push(HeldChange::Take(key, held));
        let member = Member {
            client: author.client.clone(),
            conn: author.conn,
            user: place.user.into(),
            state: Some(state),
            away: place.away_at.is_some(),
        };
        let instance = self.setup.instance_id.clone();
        self.set(key, &instance, member, place.away_at, rows::PRESENCE)
    }

    pub(super) fn leave(&mut self, key: i64, author: &Author, clean: bool) -> rusqlite::Result<()> {
        let client = author.client.clone();
        self.held
            .push(HeldChange::Drop(key, client.clone(), author.conn));
        let Some(place) = self
            .place(key, client.as_str())?
            .filter(|p| p.conn == author.conn)
        else {
            return Ok(());
        };
        if clean {
            return self.remove(key, client, author.conn, LeaveReason::Left);
        }
        let instance = self.setup.instance_id.clone();
        self.lose(key, &instance, client, place)
    }

    /// Marks a place as away from now on.
    fn lose(
        &mut self,
        key: i64,
        instance: &str,
        client: ClientId,
        place: Place,
    ) -> rusqlite::Result<()> {
        let Place {
            conn, user, state, ..
        } = place;
        let member = Member {
            client,
            conn,
            user: user.into(),
            state,
            away: true,
        };
        self.set(key, instance, member, Some(self.now_ms), rows::PRESENCE)
    }

    /// Removes a dead instance and turns its clients away. 0 if it is not there any more, or is heard of again.
    pub(super) fn reap(&mut self, number: i64, silent_since: Option<i64>) -> rusqlite::Result<i64> {
        let gone = self
            .conn
            .query_row(
                "DELETE FROM instances WHERE number = ?1 AND heartbeat_at <= ?2 RETURNING instance_id",
                params![number, silent_since.unwrap_or(i64::MAX)],
                |row| row.get::<_, String>(0),
            )
            .optional()?;
        let Some(instance) = gone else { return Ok(0) };
        self.lose_all(&instance, u32::try_from(number).unwrap_or(u32::MAX))?;
        tracing::info!(instance, "a dead instance was removed");
        Ok(1)
    }

    /// All clients of an instance that is not registered any more are lost, and it has processed nothing more. By its number, too:
    /// another may have started under its name.
    pub(super) fn lose_all(&mut self, instance: &str, number: u32) -> rusqlite::Result<()> {
        let mut statement = self.conn.prepare(
            "SELECT canvas_id, client FROM presence
             WHERE instance_id = ?1 AND conn BETWEEN ?2 AND ?3 AND away_at IS NULL",
        )?;
        let (first, last) = ConnId::all_of(number);
        let lost: Vec<(i64, String)> = statement
            .query_map(
                params![instance, first.0.cast_signed(), last.0.cast_signed()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .collect::<Result<_, _>>()?;
        for (key, name) in lost {
            if let (Some(place), Ok(client)) = (self.place(key, &name)?, ClientId::parse(&name)) {
                self.lose(key, instance, client, place)?;
            }
        }
        self.conn.execute(
            "DELETE FROM canvas_watermarks WHERE server_instance_id = ?1
             AND NOT EXISTS (SELECT 1 FROM instances WHERE instance_id = ?1)",
            [instance],
        )?;
        Ok(())
    }

    /// Removes those who were away for longer than the grace. Gives how many.
    pub(super) fn sweep(&mut self) -> rusqlite::Result<i64> {
        let mut statement = self.conn.prepare_cached(sql::AWAY)?;
        let lost: Vec<(i64, String, String, i64)> = statement
            .query_map(params![self.now_ms - self.setup.grace_ms, SWEEP], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<Result<_, _>>()?;
        let mut alive = self.conn.prepare(sql::INSTANCE_OF_NAME)?;
        let mut removed = 0;
        for (key, client, instance, conn) in lost {
            // An instance that ended cleanly has left its clients to nobody.
            let reason = match instance.is_empty() || alive.exists([&instance])? {
                true => LeaveReason::Timeout,
                false => LeaveReason::InstanceLost,
            };
            if let Ok(client) = ClientId::parse(&client) {
                self.remove(key, client, ConnId(conn.cast_unsigned()), reason)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// This instance was taken for dead: its clients take their places again, where nobody else has.
    pub(super) fn retake(&mut self, key: i64, held: &Held) -> rusqlite::Result<()> {
        match self.place(key, held.author.client.as_str())? {
            Some(place) if place.conn == held.author.conn && place.away_at.is_none() => Ok(()),
            Some(place) if place.conn != held.author.conn => {
                let (client, conn) = (held.author.client.clone(), held.author.conn);
                self.held.push(HeldChange::Drop(key, client, conn));
                Ok(())
            }
            _ => self.take(key, held),
        }
    }
}

/// Who is on a canvas.
pub(super) fn members(conn: &Connection, key: i64) -> rusqlite::Result<Vec<Member>> {
    let mut statement = conn.prepare_cached(sql::MEMBERS)?;
    let mut rows = statement.query([key])?;
    let mut members = Vec::new();
    while let Some(row) = rows.next()? {
        let Ok(client) = ClientId::parse(row.get_ref(0)?.as_str()?) else {
            continue;
        };
        members.push(Member {
            client,
            conn: ConnId(row.get::<_, i64>(1)?.cast_unsigned()),
            user: row.get(2)?,
            state: row.get(3)?,
            away: row.get::<_, Option<i64>>(4)?.is_some(),
        });
    }
    Ok(members)
}
