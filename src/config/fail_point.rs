//! `--fail-point NAME=ACTION@WHEN`: a hidden flag with which tests make the queue fail, or die, at a chosen moment.
//! Without it nothing happens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::process::{Signal, getpid, kill_process};

/// The longest delay: a test that wants more wants something else.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// A step of a message's way through the queue, in the order of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Step {
    /// The turnstile is passed, the transaction not begun.
    BeforeBegin,
    /// The transaction has the write lock, nothing is written.
    AfterBegin,
    /// Messages have their rows; heads and clients are not written yet.
    AfterInsert,
    /// Everything is written.
    BeforeCommit,
    /// It is committed, and nobody knows.
    AfterCommit,
    /// The turn is given back; other processes were not woken.
    BeforeWake,
    /// Other processes were woken; nobody here was told, no ack is out.
    BeforeAck,
    /// The rooms here were told.
    AfterAck,
    /// Messages are about to go to the spill file.
    BeforeSpill,
    /// They are in it and synced.
    AfterSpill,
    /// Messages from the spill file are committed, and still in it.
    AfterReplay,
    /// What is committed is about to be told to hooks: over Redis a batch, over the file what was set aside.
    BeforeTell,
    /// Over Redis: hooks are told, and only Redis knows.
    AfterTell,
}

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process kills itself, as kill -9 would.
    Abort,
    /// The step fails like a disk that can't be written.
    Error,
    /// The step takes so much longer.
    Delay(Duration),
}

/// A step, what happens there, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailPoint {
    /// Where.
    pub step: Step,
    /// What.
    pub action: Action,
    /// The first time that it happens, counted from 1.
    pub first: u64,
    /// The last time.
    pub last: u64,
}

impl FailPoint {
    /// Reads `before-commit=abort@7`, `after-begin=error@3..9` or `before-ack=delay:50ms`; without `@` it is every time.
    ///
    /// # Errors
    /// Words that say what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "must be NAME=abort, NAME=error or NAME=delay:50ms, each with @N or @N..M behind it if need be";
        let (name, rest) = text.split_once('=').ok_or(form)?;
        let step = Step::from_str(name, false).map_err(|_| unknown(name))?;
        let (action, when) = rest.split_once('@').unwrap_or((rest, ""));
        let action = match action.split_once(':') {
            None if action == "abort" => Action::Abort,
            None if action == "error" => Action::Error,
            Some(("delay", time)) => {
                Action::Delay(super::values::duration(Duration::ZERO, MAX_DELAY)(time)?)
            }
            _ => return Err(form.to_owned()),
        };
        if action == Action::Error && !step.may_fail() {
            return Err(format!("{name} cannot fail: what is done is done"));
        }
        let number = |text: &str| text.parse().map_err(|_| form.to_owned());
        let (first, last) = match when.split_once("..") {
            _ if when.is_empty() => (1, u64::MAX),
            None => (number(when)?, number(when)?),
            Some((first, last)) => (number(first)?, number(last)?),
        };
        Ok(Self {
            step,
            action,
            first,
            last,
        })
    }
}

impl Step {
    fn may_fail(self) -> bool {
        self <= Self::BeforeCommit || self == Self::BeforeSpill
    }

    /// Whether it is a step over the file.
    pub fn is_over_file(self) -> bool {
        self != Self::AfterTell
    }

    /// Whether it is a step over Redis.
    pub fn is_over_redis(self) -> bool {
        matches!(self, Self::BeforeTell | Self::AfterTell)
    }
}

/// The fail points that are armed, each with the times it was passed. Always compiled in, so that what is tested is what runs; without
/// `--fail-point` a step is one comparison.
#[derive(Debug, Default)]
pub struct FailPoints(Box<[(FailPoint, AtomicU64)]>);

/// A step was to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tripped;

impl FailPoints {
    /// Arms those points.
    pub fn new(points: &[FailPoint]) -> Self {
        Self(points.iter().map(|p| (*p, AtomicU64::new(0))).collect())
    }

    /// Passes a step.
    ///
    /// # Errors
    /// Where a test wants it.
    pub fn pass(&self, step: Step) -> Result<(), Tripped> {
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
    pub fn note(&self, step: Step) {
        // The configuration refuses errors at such a step.
        let _ = self.pass(step);
    }
}

fn trip(action: Action) -> Result<(), Tripped> {
    match action {
        Action::Abort => loop {
            // Nothing of this process runs on: no destructor, no handler, no other thread.
            let _ = kill_process(getpid(), Signal::KILL);
        },
        Action::Error => Err(Tripped),
        Action::Delay(delay) => {
            let until = Instant::now() + delay;
            while Instant::now() < until {
                std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
            Ok(())
        }
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<String> = Step::value_variants()
        .iter()
        .filter_map(|step| step.to_possible_value())
        .map(|value| value.get_name().to_owned())
        .collect();
    format!("{name} is no step; there are {}", names.join(", "))
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
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn steps_actions_and_times() {
        let point = |step, action, first, last| {
            Ok(FailPoint {
                step,
                action,
                first,
                last,
            })
        };
        for (text, expected) in [
            (
                "before-begin=abort@7",
                point(Step::BeforeBegin, Action::Abort, 7, 7),
            ),
            (
                "before-commit=error@3..9",
                point(Step::BeforeCommit, Action::Error, 3, 9),
            ),
            (
                "after-ack=delay:50ms",
                point(
                    Step::AfterAck,
                    Action::Delay(Duration::from_millis(50)),
                    1,
                    u64::MAX,
                ),
            ),
        ] {
            assert_eq!(FailPoint::parse(text), expected, "{text}");
        }
        for (text, hint) in [
            ("before-begin", "must be NAME=abort"),
            ("before-begin=burn", "must be NAME=abort"),
            ("before-begin=abort@x", "must be NAME=abort"),
            ("before-begin=delay:50", "needs a unit"),
            ("nowhere=abort", "there are before-begin, after-begin"),
            ("after-commit=error", "what is done is done"),
        ] {
            let error = FailPoint::parse(text).unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
