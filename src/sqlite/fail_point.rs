//! Named steps of the write path at which tests let it fail, take long, or die. Always compiled in, so that what is
//! tested is what runs; without `--fail-point` a step is one comparison.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::ffi;
use rustix::process::{Signal, getpid, kill_process};

use crate::config::{Action, FailPoint, Step};

/// The fail points that are armed, each with the times it was passed.
#[derive(Debug, Default)]
pub(super) struct FailPoints(Box<[(FailPoint, AtomicU64)]>);

impl FailPoints {
    /// Arms those points.
    pub(super) fn new(points: &[FailPoint]) -> Self {
        Self(points.iter().map(|p| (*p, AtomicU64::new(0))).collect())
    }

    /// Passes a step.
    ///
    /// # Errors
    /// `SQLITE_IOERR` where a test wants it.
    pub(super) fn pass(&self, step: Step) -> rusqlite::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        for (point, passed) in self.0.iter().filter(|(point, _)| point.step == step) {
            let time = passed.fetch_add(1, Ordering::Relaxed) + 1;
            if (point.first..=point.last).contains(&time) {
                result = trip(point.action).and(result);
            }
        }
        result
    }

    /// Passes a step that cannot fail.
    pub(super) fn note(&self, step: Step) {
        // The configuration refuses errors at such a step.
        let _ = self.pass(step);
    }
}

fn trip(action: Action) -> rusqlite::Result<()> {
    match action {
        Action::Abort => loop {
            // Nothing of this process runs on: no destructor, no handler, no other thread.
            let _ = kill_process(getpid(), Signal::KILL);
        },
        Action::Error => {
            let code = ffi::Error::new(ffi::SQLITE_IOERR_WRITE);
            let text = "disk I/O error (a fail point)".to_owned();
            Err(rusqlite::Error::SqliteFailure(code, Some(text)))
        }
        Action::Delay(delay) => {
            let until = Instant::now() + delay;
            while Instant::now() < until {
                std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_trips_when_it_is_told_to_and_only_there() {
        let points = FailPoints::new(&[FailPoint::parse("after-begin=error@2..3").unwrap()]);
        let passed = |step| points.pass(step).is_ok();
        assert!(passed(Step::BeforeBegin));
        let times: Vec<bool> = (0..4).map(|_| passed(Step::AfterBegin)).collect();
        assert_eq!(times, [true, false, false, true]);
        assert!(FailPoints::default().pass(Step::AfterBegin).is_ok());
    }

    #[test]
    fn a_delay_takes_its_time() {
        let points = FailPoints::new(&[FailPoint::parse("before-ack=delay:20ms@1").unwrap()]);
        let began = Instant::now();
        points.note(Step::BeforeAck);
        assert!(began.elapsed() >= std::time::Duration::from_millis(20));
    }
}
