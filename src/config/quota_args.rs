//! The raw flags that limit the stored data of all canvases together.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::values::{duration, whole};
use crate::limits::Quotas;

/// Less is less than a message of the usual size.
const LEAST_LOG: u64 = 1 << 16;
/// Less is less than one canvas.
const LEAST_TOTAL: u64 = 1 << 20;
/// More names than a file should have.
const MOST_CANVASES: u64 = 1_000_000_000;
/// More than anybody makes.
const MOST_BEGINNINGS: u32 = 1_000_000;
/// A shorter one would empty canvases between two visits.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);
/// Ten years.
const LONGEST_IDLE: Duration = Duration::from_secs(3_650 * 86_400);
/// A file may have that much, and a disk hardly more.
const MOST: u64 = 1 << 40;

/// The flags of `scumble serve` that give every stored thing an end.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Quotas")]
pub struct QuotaArgs {
    /// Bytes of one canvas's messages that are kept for `--message-ttl`, 65536 to 1099511627776. Beyond, its authors get
    /// `overloaded` until some have expired
    #[arg(
        long,
        env = "SCUMBLE_MAX_CANVAS_LOG_BYTES",
        value_name = "N",
        default_value = "67108864"
    )]
    #[arg(value_parser = |text: &str| whole(text, LEAST_LOG..=MOST))]
    pub max_canvas_log_bytes: u64,

    /// The same of all canvases together. Beyond, canvases with more than their share get `overloaded`
    #[arg(
        long,
        env = "SCUMBLE_MAX_LOG_BYTES",
        value_name = "N",
        default_value = "1073741824"
    )]
    #[arg(value_parser = |text: &str| whole(text, LEAST_LOG..=MOST))]
    pub max_log_bytes: u64,

    /// Bytes of all objects, chat and kept messages of all canvases together, 1048576 to 1099511627776; `off`: no limit. Beyond,
    /// what would grow gets `too-large`
    #[arg(
        long,
        env = "SCUMBLE_MAX_TOTAL_BYTES",
        value_name = "N",
        default_value = "off"
    )]
    #[arg(value_parser = |text: &str| or_off(text, |text| whole(text, LEAST_TOTAL..=MOST)))]
    pub max_total_bytes: OrOff<u64>,

    /// Canvases there may be, 1 to 1000000000; `off`: no limit. A join or a message that would make one more gets
    /// `too-large`
    #[arg(
        long,
        env = "SCUMBLE_MAX_CANVASES",
        value_name = "N",
        default_value = "off"
    )]
    #[arg(value_parser = |text: &str| or_off(text, |text| whole(text, 1..=MOST_CANVASES)))]
    pub max_canvases: OrOff<u64>,

    /// Canvases that one `sub` (without tokens one address) may newly make a minute on this process, 1 to 1000000; `off`: no limit.
    /// Beyond, joins get `rate-limited` and come again
    #[arg(
        long,
        env = "SCUMBLE_NEW_CANVASES_PER_MINUTE",
        value_name = "N",
        default_value = "off"
    )]
    #[arg(value_parser = |text: &str| or_off(text, |text| whole(text, 1..=MOST_BEGINNINGS)))]
    pub new_canvases_per_minute: OrOff<u32>,

    /// A canvas that nobody was on for so long is emptied, 1s to 3650d; `off`: never
    #[arg(
        long,
        env = "SCUMBLE_CANVAS_IDLE_TTL",
        value_name = "DURATION",
        default_value = "off"
    )]
    #[arg(value_parser = |text: &str| or_off(text, duration(SHORTEST_IDLE, LONGEST_IDLE)))]
    pub canvas_idle_ttl: OrOff<Duration>,
}

/// A value, or none.
#[derive(Debug, Clone, Copy)]
pub struct OrOff<T>(Option<T>);

impl<T> OrOff<T> {
    pub(super) fn value(self) -> Option<T> {
        self.0
    }
}

pub(super) fn or_off<T>(
    text: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<OrOff<T>, String> {
    match text.trim() {
        "off" => Ok(OrOff(None)),
        text => read(text)
            .map(|value| OrOff(Some(value)))
            .map_err(|wrong| format!("{wrong}, or off")),
    }
}

impl QuotaArgs {
    pub(super) fn new_canvases_per_minute(&self) -> Option<NonZeroU32> {
        self.new_canvases_per_minute.0.and_then(NonZeroU32::new)
    }

    pub(super) fn resolve(&self) -> Quotas {
        Quotas {
            canvas_log_bytes: self.max_canvas_log_bytes,
            log_bytes: self.max_log_bytes,
            total_bytes: self.max_total_bytes.0,
            canvases: self.max_canvases.0,
            idle_ttl: self.canvas_idle_ttl.0,
        }
    }
}
