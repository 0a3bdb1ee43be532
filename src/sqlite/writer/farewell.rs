//! The last transaction of an instance that shuts down.

use super::Writer;
use crate::sqlite::apply::Txn;
use crate::sqlite::delivery::tail::Committed;
use crate::sqlite::storage::generation::Generation;
use crate::sqlite::storage::stopped::Fatal;
use crate::sqlite::storage::store_error::StoreResult;

impl Writer {
    /// The last transaction: this instance goes, its clients are away until they are back elsewhere, and the last
    /// one to go marks the file as cleanly closed.
    pub(super) fn farewell(&mut self) -> Result<(), Fatal> {
        let fatal = |e: &dyn std::fmt::Display| Fatal(format!("could not leave the registry: {e}"));
        let _turn = self.turnstile.enter().map_err(|e| fatal(&e))?;
        self.parts.files.check().map_err(|e| fatal(&e))?;
        // The mark promises that everything before it is on the disk.
        self.conn
            .pragma_update(None, "synchronous", "FULL")
            .map_err(|e| fatal(&e))?;
        let committed = self.leave().map_err(|e| fatal(&e))?;
        self.parts.peers.notify(&committed, None);
        self.parts.peers.hello();
        Ok(())
    }

    fn leave(&self) -> StoreResult<Committed> {
        let own = &self.parts.commands.own.setup;
        let tx = self.conn.unchecked_transaction()?;
        let mut txn = Txn::new(&tx, own, self.parts.clock.now_ms());
        tx.execute("DELETE FROM instances WHERE number = ?1", [own.number])?;
        txn.lose_all(own.number, false)?;
        let (committed, _) = txn.finish()?;
        tx.execute(
            "DELETE FROM presence WHERE NOT EXISTS (SELECT 1 FROM instances)",
            [],
        )?;
        tx.execute(
            "UPDATE meta SET value = '1' WHERE key = 'clean' AND NOT EXISTS (SELECT 1 FROM instances)",
            [],
        )?;
        let alone = tx.query_row("SELECT NOT EXISTS (SELECT 1 FROM instances)", [], |r| {
            r.get(0)
        })?;
        if alone {
            Generation::begin(&tx)?;
        }
        tx.commit()?;
        if alone {
            let generation = &self.parts.generation;
            generation.settle(&self.conn, &self.parts.files.db)?;
        }
        Ok(committed)
    }
}
