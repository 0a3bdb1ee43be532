//! The relay's clock: steady, and the same in all processes of this host.
//!
//! It counts with the kernel's boot clock from an offset. The first process after a boot takes the offset from the wall
//! clock, and stores it in the file. So if the wall clock is set, no row expires early or late.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the epoch, as all processes on this file count them.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) struct Clock {
    offset_ms: i64,
}

impl Clock {
    /// A clock that is `offset_ms` ahead of [`since_boot_ms`].
    pub(in crate::sqlite) fn new(offset_ms: i64) -> Self {
        Self { offset_ms }
    }

    /// Now, in milliseconds since the epoch.
    pub(in crate::sqlite) fn now_ms(self) -> i64 {
        since_boot_ms() + self.offset_ms
    }
}

/// Milliseconds since the kernel booted, time asleep included.
pub(in crate::sqlite) fn since_boot_ms() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// The kernel's name for this boot.
///
/// # Errors
/// Where `/proc` cannot be read.
pub(in crate::sqlite) fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}
