//! The last transaction of an instance that goes.

use rusqlite::params;

use super::Writer;
use crate::protocol::ids::ConnId;
use crate::queue::Fatal;
use crate::queue::apply::Txn;
use crate::queue::tail::Committed;

impl Writer {
    /// The last transaction: this instance goes, its clients are away until they are back elsewhere, and the last
    /// one to go marks the file as cleanly closed.
    pub(super) fn farewell(&mut self) -> Result<(), Fatal> {
        let fatal = |e: &dyn std::fmt::Display| Fatal(format!("could not leave the registry: {e}"));
        let _turn = self.turnstile.enter().map_err(|e| fatal(&e))?;
        self.shared.files.check().map_err(|e| fatal(&e))?;
        // The mark promises that everything before it is on the disk.
        self.conn
            .pragma_update(None, "synchronous", "FULL")
            .map_err(|e| fatal(&e))?;
        let committed = self.leave().map_err(|e| fatal(&e))?;
        self.shared.peers.ring(&committed, 0);
        self.shared.peers.hello();
        Ok(())
    }

    fn leave(&self) -> rusqlite::Result<Committed> {
        let own = &self.shared.own.setup;
        let tx = self.conn.unchecked_transaction()?;
        let mut txn = Txn::new(&tx, own, self.shared.clock.now_ms());
        tx.execute("DELETE FROM instances WHERE number = ?1", [own.number])?;
        txn.lose_all(&own.instance_id, own.number)?;
        let (committed, _) = txn.finish()?;
        let (first, last) = ConnId::all_of(own.number);
        // Nobody's from here on, and away: back elsewhere within the grace they have not flickered.
        tx.execute(
            "UPDATE presence SET instance_id = '' WHERE instance_id = ?1 AND conn BETWEEN ?2 AND ?3",
            params![own.instance_id, first.0.cast_signed(), last.0.cast_signed()],
        )?;
        tx.execute(
            "DELETE FROM presence WHERE NOT EXISTS (SELECT 1 FROM instances)",
            [],
        )?;
        tx.execute(
            "UPDATE meta SET value = '1' WHERE key = 'clean' AND NOT EXISTS (SELECT 1 FROM instances)",
            [],
        )?;
        tx.commit()?;
        Ok(committed)
    }
}
