//! How the kernel schedules the threads of the queue.

use rustix::process::getpriority_process;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

const BATCH: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);

/// From here on, the calling thread does not interrupt who wakes it (`SCHED_BATCH`): it begins when that one sleeps, or on another
/// core. The event loop wakes the writer with the first of many messages; interrupted there, it would have the others
/// committed one by one, and would not sleep when it is told of the commit.
pub(super) fn let_wakers_go_on() {
    let nice = getpriority_process(None).unwrap_or(0);
    let Ok(same) = ThreadPriorityValue::try_from(value_of(nice)) else {
        return;
    };
    let same = ThreadPriority::Crossplatform(same);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), same, BATCH) {
        // Slower, not wrong: sandboxes may forbid it.
        tracing::debug!(?error, "a scheduling policy could not be set");
    }
}

/// The crate sets the nice value too, and counts it from 0 to 99, backwards.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within 0 to 99"
)]
fn value_of(nice: i32) -> u8 {
    let share = (f64::from(nice) + 20.5) / 39.0;
    (99.0 * (1.0 - share)).round().clamp(0.0, 99.0) as u8
}

#[cfg(test)]
mod tests {
    use rustix::process::setpriority_process;
    use thread_priority::thread_schedule_policy;

    use super::*;

    #[test]
    fn a_thread_is_a_batch_and_as_nice_as_before() {
        for nice in [0, 1, 7, 13, 19] {
            let looked = std::thread::spawn(move || {
                setpriority_process(None, nice).unwrap();
                let_wakers_go_on();
                let policy = thread_schedule_policy().unwrap();
                (policy, getpriority_process(None).unwrap())
            });
            assert_eq!(looked.join().unwrap(), (BATCH, nice));
        }
        let here = thread_schedule_policy().unwrap();
        assert_ne!(here, BATCH, "the other threads are as they were");
    }
}
