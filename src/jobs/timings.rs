//! How long messages waited and were worked on: counts by powers of two of milliseconds. Old counts fade, so the
//! numbers are recent.

use super::effects::Counts;
use super::store::Store;
use super::work::{Res, Work};

/// Classes of a histogram: below 1 ms, 2 ms, 4 ms, … 2^30 ms.
const CLASSES: usize = 32;
/// Counts in a histogram from which on all are halved.
const MOST: u32 = 10_000;

/// Two histograms with their sums: of waiting, of working.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Timings {
    pub(crate) waited: Histogram,
    pub(crate) worked: Histogram,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Histogram {
    counts: [u32; CLASSES],
    sum_ms: u64,
}

impl Histogram {
    fn add(&mut self, ms: i64) {
        let ms = ms.max(0).cast_unsigned();
        let class = (u64::BITS - ms.leading_zeros()) as usize;
        self.counts[class.min(CLASSES - 1)] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
        if self.total() > MOST {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.sum_ms /= 2;
        }
    }

    fn total(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// Milliseconds; nothing if there was nothing.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are few")]
    pub(crate) fn average(&self) -> Option<f64> {
        let total = self.total();
        (total > 0).then(|| self.sum_ms as f64 / f64::from(total))
    }

    /// The upper end of the class in which that share of all ends, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        let total = self.total();
        let wanted = f64::from(total) * share;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if total > 0 && f64::from(seen) >= wanted {
                return Some((1 << class) - 1);
            }
        }
        None
    }
}

impl Timings {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut timings = Self::default();
        let mut numbers = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .copied()
            .map(u32::from_le_bytes);
        for histogram in [&mut timings.waited, &mut timings.worked] {
            let low = numbers.next().unwrap_or(0);
            let high = numbers.next().unwrap_or(0);
            histogram.sum_ms = u64::from(low) | u64::from(high) << 32;
            let count = numbers.next().unwrap_or(0) as usize;
            for class in 0..count.min(CLASSES) {
                histogram.counts[class] = numbers.next().unwrap_or(0);
            }
        }
        timings
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for histogram in [&self.waited, &self.worked] {
            bytes.extend(histogram.sum_ms.to_le_bytes());
            let used = histogram.counts.iter().rposition(|count| *count > 0);
            let used = used.map_or(0, |last| last + 1);
            bytes.extend(u32::try_from(used).unwrap_or(0).to_le_bytes());
            let counts = histogram.counts.iter().take(used);
            bytes.extend(counts.flat_map(|count| count.to_le_bytes()));
        }
        bytes
    }
}

/// Adds what the op has measured to the queues' rows.
pub(crate) fn keep<S: Store>(w: &mut Work<'_, S>) -> Res<(), S> {
    let mut times = std::mem::take(&mut w.effects.times);
    times.sort_unstable();
    for of_queue in times.chunk_by(|a, b| a.0 == b.0) {
        if let Some(row) = w.queue(of_queue[0].0)? {
            let mut timings = Timings::read(&row.timings);
            let mut counts = Counts::default();
            for (_, waited, ms) in of_queue {
                let (histogram, told) = match waited {
                    true => (&mut timings.waited, &mut counts.waited_ms),
                    false => (&mut timings.worked, &mut counts.worked_ms),
                };
                histogram.add(*ms);
                told.push(*ms);
            }
            row.timings = timings.write();
            let name = row.name.clone();
            w.effects.counts.entry(name).or_default().add(&counts);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut timings = Timings::default();
        for ms in [0, 1, 5, 5, 1_000, i64::MAX] {
            timings.waited.add(ms);
        }
        timings.worked.add(7);
        assert_eq!(Timings::read(&timings.write()), timings);
        assert_eq!(Timings::read(&[]), Timings::default());
    }

    #[test]
    fn averages_and_quantiles_are_of_late() {
        let mut histogram = Histogram::default();
        assert_eq!(
            (histogram.average(), histogram.quantile(0.95)),
            (None, None)
        );
        (0..95).for_each(|_| histogram.add(3));
        (0..5).for_each(|_| histogram.add(1_000));
        assert_eq!(histogram.quantile(0.95), Some(3));
        assert_eq!(histogram.quantile(0.96), Some(1_023));
        (0..100_000).for_each(|_| histogram.add(30));
        assert!(histogram.total() <= MOST + 1);
        assert!(
            histogram
                .average()
                .is_some_and(|ms| (ms - 30.0).abs() < 2.0)
        );
    }
}
