//! How long one batch takes to reach the outboxes of a whole room.

#[path = "cases/fan_out.rs"]
mod case;

use case::Room;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan_out");
    for (members, messages) in [(10, 1), (200, 1), (200, 64)] {
        let mut room = Room::new(members);
        group.throughput(Throughput::Elements(members * messages as u64));
        let id = BenchmarkId::new(format!("{messages} messages"), format!("{members} members"));
        group.bench_function(id, |b| b.iter(|| room.batch(messages)));
        assert!(room.is_idle());
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
