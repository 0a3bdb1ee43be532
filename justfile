# The everyday commands. Each is one line: nothing here is needed to build or test.

# What CI runs
check *flags:
    scripts/test {{flags}}

# A relay on http://127.0.0.1:8080, over ./scumble.db
serve *flags:
    cargo run --release -- serve {{flags}}

# Three processes behind nginx
cluster *flags:
    cargo build --release
    scripts/cluster.sh {{flags}}

# The unit tests whose names contain a word: the quickest loop for a change in a pure file
unit word='':
    cargo test --quiet --lib {{word}}

# The tests of the Rust side whose names contain a word
test word='':
    cargo nextest run {{word}}

# The client library and the demo, as they are committed
web:
    npm --prefix web ci
    npm --prefix web run build
