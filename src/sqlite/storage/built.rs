//! Whether SQLite was compiled as `.cargo/config.toml` asks for. Cargo reads that file in this folder and below, and
//! for `cargo install --path`; not for `cargo install --git`, nor for a build that begins elsewhere.

use rusqlite::Connection;

/// What is wrong, and what to do about it.
pub type Fault = (&'static str, &'static str);

const ONE_CACHE: Fault = (
    "SQLite was built with one page cache for all connections, so commits are slower",
    "build scumble with LIBSQLITE3_FLAGS=-USQLITE_ENABLE_MEMORY_MANAGEMENT, or by cargo install --path",
);
const ONE_THREAD: Fault = (
    "SQLite was built for one thread, and a relay has several",
    "build scumble without SQLITE_THREADSAFE=0 in LIBSQLITE3_FLAGS",
);

/// What is wrong with the SQLite of this program.
///
/// # Errors
/// When SQLite does not answer.
pub fn faults(conn: &Connection) -> rusqlite::Result<Vec<Fault>> {
    let mut statement = conn.prepare("PRAGMA compile_options")?;
    let options = statement.query_map([], |row| row.get::<_, String>(0))?;
    let options: Vec<String> = options.collect::<Result<_, _>>()?;
    Ok(faults_of(&options))
}

fn faults_of(options: &[String]) -> Vec<Fault> {
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    let found = [
        (has("ENABLE_MEMORY_MANAGEMENT"), ONE_CACHE),
        (has("THREADSAFE=0"), ONE_THREAD),
    ];
    let found = found.into_iter().filter(|(wrong, _)| *wrong);
    found.map(|(_, fault)| fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_has_no_fault_and_wrong_ones_are_told() {
        let conn = Connection::open_in_memory().unwrap();
        assert_eq!(faults(&conn).unwrap(), []);
        let options = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(faults_of(&options(&["THREADSAFE=1"])), []);
        let wrong = options(&["ENABLE_MEMORY_MANAGEMENT", "THREADSAFE=0"]);
        assert_eq!(faults_of(&wrong), [ONE_CACHE, ONE_THREAD]);
    }
}
