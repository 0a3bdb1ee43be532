//! The presence tables of all canvases: what happens to the clients of an instance that is gone, and to clients that
//! stay away.

use rusqlite::{Connection, OptionalExtension, params};

use crate::backplane::{CanvasKey, Member};
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber};
use crate::sqlite::apply::{Held, Txn};
use crate::sqlite::storage::sql;
use crate::sqlite::storage::store_error::StoreResult;

/// Who is removed in one transaction: as bounded as cleanup's chunks.
const SWEEP: u32 = 1_000;

impl Txn<'_> {
    /// Removes a dead instance and turns its clients away. `false` if it is not there any more, or is heard of again.
    pub(in crate::sqlite) fn reap(
        &mut self,
        number: InstanceNumber,
        silent_since: Option<i64>,
    ) -> StoreResult<bool> {
        let gone = self
            .conn
            .query_row(
                "DELETE FROM instances WHERE number = ?1 AND heartbeat_at <= ?2 RETURNING instance_id",
                params![number, silent_since.unwrap_or(i64::MAX)],
                |row| row.get::<_, String>(0),
            )
            .optional()?;
        let Some(instance) = gone else {
            return Ok(false);
        };
        self.lose_all(number, true)?;
        tracing::info!(instance, "a dead instance was removed");
        Ok(true)
    }

    /// All clients of an instance that is not registered any more are lost, and it has processed nothing more. `died`: it did not end
    /// in order.
    pub(in crate::sqlite) fn lose_all(
        &mut self,
        number: InstanceNumber,
        died: bool,
    ) -> StoreResult<()> {
        let (first, last) = ConnId::all_of(number);
        let mut statement = self
            .conn
            .prepare("SELECT DISTINCT canvas_id FROM presence WHERE conn BETWEEN ?1 AND ?2")?;
        let keys: Vec<CanvasKey> = statement
            .query_map(
                params![first.0.cast_signed(), last.0.cast_signed()],
                |row| row.get(0),
            )?
            .collect::<Result<_, _>>()?;
        for key in keys {
            self.canvas(key)?.lose_instance(number, died)?;
        }
        // Another may have started under its name.
        self.conn.execute(
            "DELETE FROM canvas_watermarks
             WHERE server_instance_id NOT IN (SELECT instance_id FROM instances)",
            [],
        )?;
        Ok(())
    }

    /// Removes those who were away for longer than the grace.
    pub(in crate::sqlite) fn sweep(&mut self) -> StoreResult<()> {
        let gone_since_ms = self.setup.rules.gone_since_ms(self.now_ms);
        let mut statement = self.conn.prepare_cached(sql::AWAY)?;
        let lost: Vec<(CanvasKey, String)> = statement
            .query_map(params![gone_since_ms, SWEEP], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        for (key, client) in lost {
            if let Ok(client) = ClientId::parse(&client) {
                self.canvas(key)?.end_grace(&client)?;
            }
        }
        Ok(())
    }

    /// This instance was taken for dead: its clients take their places again, where nobody else has.
    pub(in crate::sqlite) fn retake(&mut self, key: CanvasKey, held: &Held) -> StoreResult<()> {
        if !self.conn.prepare_cached(sql::HEAD)?.exists([key])? {
            // It has ended meanwhile.
            self.let_go(key, &held.author);
        } else if !self.canvas(key)?.retake(&held.author, held.state.clone())? {
            self.let_go(key, &held.author);
        }
        Ok(())
    }
}

/// Who is on a canvas.
pub(in crate::sqlite) fn members(
    conn: &Connection,
    key: CanvasKey,
) -> rusqlite::Result<Vec<Member>> {
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
