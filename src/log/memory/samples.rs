//! Samples of the instances.

use super::super::{Reply, Sampled, Samples};
use super::MemoryLog;
use crate::protocol::ids::InstanceNumber;

impl Samples for MemoryLog {
    fn put_samples<'a>(&'a self, sampled: &'a Sampled) -> Reply<'a, ()> {
        self.ask(move |world, _| {
            let samples = &mut world.state.samples;
            let now = (sampled.at_ms, sampled.now.clone());
            samples.now.insert(self.me.instance_id.clone(), now);
            samples
                .now
                .retain(|_, (at, _)| *at >= sampled.silent_since_ms);
            for span in &sampled.spans {
                let series = samples.spans.entry(span.series).or_default();
                series.insert((span.at_ms, self.number, span.text.clone()));
                series.retain(|(at, _, _)| *at >= span.kept_since_ms);
                while series.len() > span.most {
                    series.pop_first();
                }
            }
        })
    }

    fn samples_now(&self) -> Reply<'_, Vec<(String, String)>> {
        self.ask(|world, _| {
            let now = world.state.samples.now.iter();
            now.map(|(name, (_, text))| (name.clone(), text.clone()))
                .collect()
        })
    }

    fn samples_since(
        &self,
        series: i64,
        since_ms: i64,
    ) -> Reply<'_, Vec<(i64, InstanceNumber, String)>> {
        self.ask(move |world, _| {
            let spans = world.state.samples.spans.get(&series);
            let since = spans.into_iter().flatten();
            since
                .filter(|(at, _, _)| *at >= since_ms)
                .cloned()
                .collect()
        })
    }
}
