//! Warns when SQLite is built without what `.cargo/config.toml` asks for: cargo reads that in this
//! folder and below, and for `cargo install --path`.

#[expect(
    clippy::disallowed_methods,
    reason = "a build script knows nothing but its environment"
)]
fn main() {
    const FLAG: &str = "-USQLITE_ENABLE_MEMORY_MANAGEMENT";
    println!("cargo::rerun-if-env-changed=LIBSQLITE3_FLAGS");
    if !std::env::var("LIBSQLITE3_FLAGS").is_ok_and(|flags| flags.contains(FLAG)) {
        println!(
            "cargo::warning=SQLite gets one page cache for all connections, and the relay is slower: \
             build it in its own folder, by cargo install --path, or with LIBSQLITE3_FLAGS={FLAG}"
        );
    }
}
