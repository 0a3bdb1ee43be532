//! How long parsing what clients say takes.

#[path = "cases/parse.rs"]
mod case;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for message in case::messages() {
        let name = message.split('"').nth(3).unwrap_or("message").to_owned();
        let one = [message];
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| b.iter(|| case::run(std::hint::black_box(&one))));
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
