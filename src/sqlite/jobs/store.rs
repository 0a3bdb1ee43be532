//! The file's tables as the queue's rules see them. All statements are made from the tables' columns, once.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection};

use crate::jobs::cells::{In, Key, Out};
#[cfg(test)]
use crate::jobs::rows::is_of_file;
use crate::jobs::rows::{Row, TABLES};
use crate::jobs::store::{Order, Store};

/// A table's statements.
struct Statements {
    get: String,
    put: String,
    delete: String,
    delete_run: String,
    up: String,
    down: String,
}

static STATEMENTS: LazyLock<Vec<Statements>> = LazyLock::new(|| {
    TABLES
        .iter()
        .map(|(table, columns, keys)| statements(table, columns, *keys))
        .collect()
});

fn statements(table: &str, columns: &[&str], keys: usize) -> Statements {
    let all = columns.join(", ");
    let key = columns[..keys].join(", ");
    let numbers = |from: usize, count: usize| {
        let numbers: Vec<_> = (from..from + count).map(|n| format!("?{n}")).collect();
        numbers.join(", ")
    };
    let is = numbers(1, keys);
    let places = numbers(1, columns.len());
    // Values of a row are compared as one: SQLite searches its key by them.
    let range = format!(
        "({key}) >= ({is}) AND ({key}) < ({})",
        numbers(keys + 1, keys)
    );
    let order = |way: &str| {
        let keys: Vec<_> = columns[..keys]
            .iter()
            .map(|column| format!("{column}{way}"))
            .collect();
        keys.join(", ")
    };
    let limit = 2 * keys + 1;
    let select = |way| {
        format!(
            "SELECT {all} FROM {table} WHERE {range} ORDER BY {} LIMIT ?{limit}",
            order(way)
        )
    };
    Statements {
        get: format!("SELECT {all} FROM {table} WHERE ({key}) = ({is})"),
        put: format!("INSERT OR REPLACE INTO {table} ({all}) VALUES ({places})"),
        delete: format!("DELETE FROM {table} WHERE ({key}) = ({is})"),
        delete_run: format!(
            "DELETE FROM {table} WHERE ({key}) >= ({is}) AND ({key}) <= ({})",
            numbers(keys + 1, keys)
        ),
        up: select(""),
        down: select(" DESC"),
    }
}

/// All that the queue ever asks of the file.
#[cfg(test)]
pub(crate) fn all_statements() -> Vec<&'static str> {
    let texts = |s: &'static Statements| [&s.get, &s.put, &s.delete, &s.delete_run, &s.up, &s.down];
    STATEMENTS
        .iter()
        .enumerate()
        .filter(|(number, _)| is_of_file(*number))
        .flat_map(|(_, statements)| texts(statements))
        .map(String::as_str)
        .collect()
}

/// The tables within an open transaction, or of one moment.
pub(crate) struct SqlStore<'a>(pub(crate) &'a Connection);

/// Binds values, one after the other.
struct Binder<'s, 'c> {
    statement: &'s mut CachedStatement<'c>,
    place: usize,
    result: rusqlite::Result<()>,
}

impl Binder<'_, '_> {
    fn bind(&mut self, value: impl rusqlite::ToSql) {
        self.place += 1;
        if self.result.is_ok() {
            self.result = self.statement.raw_bind_parameter(self.place, value);
        }
    }
}

impl Out for Binder<'_, '_> {
    fn int(&mut self, value: i64) {
        self.bind(value);
    }
    fn text(&mut self, value: &str) {
        self.bind(value);
    }
    fn blob(&mut self, value: &[u8]) {
        self.bind(value);
    }
    fn null(&mut self) {
        self.bind(rusqlite::types::Null);
    }
}

/// Reads columns, one after the other. The first that is not what it should be is the error.
struct Columns<'r, 's> {
    row: &'r rusqlite::Row<'s>,
    place: usize,
    error: Option<rusqlite::Error>,
}

impl Columns<'_, '_> {
    fn next<T: Default>(&mut self, read: impl FnOnce(ValueRef<'_>) -> Option<T>) -> T {
        let place = self.place;
        self.place += 1;
        let value = self.row.get_ref(place);
        match value {
            Ok(value) => read(value).unwrap_or_else(|| {
                let name = String::new();
                let kind = value.data_type();
                self.error
                    .get_or_insert(rusqlite::Error::InvalidColumnType(place, name, kind));
                T::default()
            }),
            Err(error) => {
                self.error.get_or_insert(error);
                T::default()
            }
        }
    }
}

impl In for Columns<'_, '_> {
    fn int(&mut self) -> i64 {
        self.next(|value| value.as_i64().ok())
    }
    fn text(&mut self) -> String {
        self.next(|value| value.as_str().ok().map(str::to_owned))
    }
    fn blob(&mut self) -> Vec<u8> {
        self.next(|value| value.as_blob().ok().map(<[u8]>::to_vec))
    }
    fn none(&mut self) -> bool {
        let none = matches!(self.row.get_ref(self.place), Ok(ValueRef::Null));
        self.place += usize::from(none);
        none
    }
}

fn read<R: Row>(row: &rusqlite::Row<'_>) -> rusqlite::Result<R> {
    let mut columns = Columns {
        row,
        place: 0,
        error: None,
    };
    let row = R::read(&mut columns);
    match columns.error {
        Some(error) => Err(error),
        None => Ok(row),
    }
}

impl<'a> SqlStore<'a> {
    fn bound(
        &self,
        sql: &str,
        bind: impl FnOnce(&mut Binder<'_, '_>),
    ) -> rusqlite::Result<CachedStatement<'a>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut binder = Binder {
            statement: &mut statement,
            place: 0,
            result: Ok(()),
        };
        bind(&mut binder);
        binder.result?;
        Ok(statement)
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.0.prepare_cached(sql)?.execute([]).map(|_| ())
    }
}

impl Store for SqlStore<'_> {
    type Error = rusqlite::Error;

    fn get<R: Row>(&self, key: &R::Key) -> rusqlite::Result<Option<R>> {
        let sql = &STATEMENTS[R::NUMBER].get;
        let mut statement = self.bound(sql, |binder| key.put(binder))?;
        let mut rows = statement.raw_query();
        rows.next()?.map(read).transpose()
    }

    fn put<R: Row>(&mut self, row: &R) -> rusqlite::Result<()> {
        let sql = &STATEMENTS[R::NUMBER].put;
        let mut statement = self.bound(sql, |binder| row.write(binder))?;
        statement.raw_execute().map(|_| ())
    }

    fn delete<R: Row>(&mut self, key: &R::Key) -> rusqlite::Result<bool> {
        let sql = &STATEMENTS[R::NUMBER].delete;
        let mut statement = self.bound(sql, |binder| key.put(binder))?;
        Ok(statement.raw_execute()? > 0)
    }

    fn delete_run<R: Row>(&mut self, keys: &[R::Key]) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
            return Ok(());
        };
        if keys.len() == 1 {
            return self.delete::<R>(first).map(|_| ());
        }
        let sql = &STATEMENTS[R::NUMBER].delete_run;
        let mut statement = self.bound(sql, |binder| {
            first.put(binder);
            last.put(binder);
        })?;
        statement.raw_execute().map(|_| ())
    }

    fn each<R: Row>(
        &self,
        from: &R::Key,
        to: &R::Key,
        order: Order,
        limit: usize,
        visit: &mut dyn FnMut(R) -> ControlFlow<()>,
    ) -> rusqlite::Result<()> {
        let statements = &STATEMENTS[R::NUMBER];
        let sql = match order {
            Order::Up => &statements.up,
            Order::Down => &statements.down,
        };
        let mut statement = self.bound(sql, |binder| {
            from.put(binder);
            to.put(binder);
            binder.int(i64::try_from(limit).unwrap_or(i64::MAX));
        })?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if visit(read(row)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn mark(&mut self) -> rusqlite::Result<()> {
        self.run("SAVEPOINT jobs")
    }

    fn go_back(&mut self) -> rusqlite::Result<()> {
        self.run("ROLLBACK TO jobs")?;
        self.run("RELEASE jobs")
    }

    fn go_on(&mut self) -> rusqlite::Result<()> {
        self.run("RELEASE jobs")
    }
}

/// A store of its own, for tests.
#[cfg(test)]
pub(crate) fn in_memory(play: impl FnOnce(SqlStore<'_>)) {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(crate::sqlite::storage::tables::JOBS)
        .unwrap();
    conn.set_prepared_statement_cache_capacity(192);
    play(SqlStore(&conn));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(crate::sqlite::storage::tables::JOBS)
            .unwrap();
        conn
    }

    #[test]
    fn no_statement_of_the_queue_scans_or_sorts() {
        let conn = file();
        for sql in all_statements() {
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            for i in 1..=explain.parameter_count() {
                explain.raw_bind_parameter(i, 1).unwrap();
            }
            let mut rows = explain.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let line: String = row.get(3).unwrap();
                assert!(
                    !line.contains("SCAN") && !line.contains("TEMP B-TREE"),
                    "{sql}\n{line}"
                );
                // Both ends of a range are found by the key.
                let range = sql.contains(">=");
                assert!(
                    !range || (line.contains('>') && line.contains('<')),
                    "{sql}\n{line}"
                );
            }
        }
    }

    #[test]
    fn the_tables_have_the_columns_that_the_rules_know_in_their_order() {
        let conn = file();
        let tables = TABLES.iter().enumerate();
        for (_, (table, columns, keys)) in tables.filter(|(number, _)| is_of_file(*number)) {
            let sql = format!("SELECT name, pk FROM pragma_table_info('{table}') ORDER BY cid");
            let mut info = conn.prepare(&sql).unwrap();
            let rows = info.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
            let found: Vec<(String, i64)> = rows.unwrap().map(Result::unwrap).collect();
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, *columns, "{table}");
            let key: Vec<i64> = found.iter().map(|(_, pk)| *pk).collect();
            let expected: Vec<i64> = (1..=columns.len() as i64)
                .map(|n| if n <= *keys as i64 { n } else { 0 })
                .collect();
            assert_eq!(key, expected, "{table}");
        }
        let indexes = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let count: i64 = conn.query_row(indexes, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "an index costs every write");
    }
}
