//! How long the writer takes for a chunk of messages, from taking them to telling them back as committed.

#[path = "cases/writer_batch.rs"]
mod case;

use case::{CHUNK, Writer};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn writer_batch(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::new(folder.path());
    let mut group = c.benchmark_group("writer_batch");
    group.throughput(Throughput::Elements(CHUNK));
    group.bench_function("chunk", |b| b.iter(|| writer.chunk()));
    group.finish();
    writer.end();
}

criterion_group!(benches, writer_batch);
criterion_main!(benches);
