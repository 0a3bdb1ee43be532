//! A running sum over rows. Rows can be added and removed in any order: the same rows always have the same sum.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The sum of a table's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    /// A row is there from now on.
    pub(super) fn add(&mut self, row: u64) {
        self.0 = self.0.wrapping_add(row);
    }

    /// A row is gone.
    pub(super) fn remove(&mut self, row: u64) {
        self.0 = self.0.wrapping_sub(row);
    }

    /// The sum as a number.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// What a row adds. The same on every machine and in every build.
pub(super) fn row(numbers: &[u64], texts: &[&str]) -> u64 {
    let mixed = numbers.iter().fold(0, |mixed: u64, number| {
        xxh3_64_with_seed(&number.to_le_bytes(), mixed)
    });
    texts.iter().fold(mixed, |mixed, text| {
        xxh3_64_with_seed(text.as_bytes(), mixed)
    })
}
