//! Samples of the instances, for the analytics: small texts that the engine does not read, and that end by themselves.

use super::Reply;
use crate::protocol::ids::InstanceNumber;

/// How an instance is, and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// How it is.
    pub now: String,
    /// When it said so, on the relay's clock.
    pub at_ms: i64,
    /// What instances said before this is forgotten.
    pub silent_since_ms: i64,
    /// What it did.
    pub spans: Vec<SampledSpan>,
}

/// What an instance did in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledSpan {
    /// Spans of one length are a series.
    pub series: i64,
    /// When it began.
    pub at_ms: i64,
    /// The sample.
    pub text: String,
    /// What began before this is forgotten, of all instances.
    pub kept_since_ms: i64,
    /// So many spans are kept at most, of all instances; the oldest go first.
    pub most: usize,
    /// How long the series is kept when nobody adds to it.
    pub ends_in_ms: i64,
}

/// The samples of a relay. What can't be kept is lost: they are not worth memory that there is not.
pub trait Samples: Send + Sync {
    /// Keeps how this instance is in the place of what it said before, and what it did. What is given twice is kept once.
    fn put_samples<'a>(&'a self, sampled: &'a Sampled) -> Reply<'a, ()>;

    /// How each instance said it is, by its name.
    fn samples_now(&self) -> Reply<'_, Vec<(String, String)>>;

    /// The spans of a series that began then or later: the beginning, the instance's number, the sample.
    fn samples_since(
        &self,
        series: i64,
        since_ms: i64,
    ) -> Reply<'_, Vec<(i64, InstanceNumber, String)>>;
}
