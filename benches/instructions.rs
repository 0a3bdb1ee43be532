//! One case, so and so often, for `scripts/instructions` to count under callgrind:
//!
//!     instructions parse|fan_out|writer_batch TIMES

#[path = "cases/fan_out.rs"]
mod fan_out;
#[path = "cases/parse.rs"]
mod parse;
#[path = "cases/writer_batch.rs"]
mod writer_batch;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    // `cargo test --benches` runs this too, with flags of its own: each case once.
    let (case, times) = match args.get(1..3) {
        Some([case, times]) if times.parse::<u32>().is_ok() => {
            (&**case, times.parse().unwrap_or(1))
        }
        _ => ("all", 1_u32),
    };
    let mut ran = false;
    if matches!(case, "parse" | "all") {
        let messages = parse::messages();
        for _ in 0..times {
            assert_eq!(parse::run(std::hint::black_box(&messages)), messages.len());
        }
        ran = true;
    }
    if matches!(case, "fan_out" | "all") {
        let mut room = fan_out::Room::new(200);
        for _ in 0..times {
            room.batch(16);
        }
        assert!(room.is_idle());
        ran = true;
    }
    if matches!(case, "writer_batch" | "all") {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = writer_batch::Writer::new(folder.path());
        for _ in 0..times {
            writer.chunk();
        }
        writer.end();
        ran = true;
    }
    assert!(ran, "no case {case:?}");
}
