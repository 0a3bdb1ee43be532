//! The options of a queue, with their bounds. An option that scumble does not support is refused.

use serde_json::{Map, Value, json};

use super::cells::{Cell, In, Out};
use super::op::Refusal;

/// A queue's settings; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) lease_ms: i64,
    pub(crate) retry_limit: i64,
    pub(crate) retry_delay_ms: i64,
    pub(crate) retry_max_delay_ms: i64,
    pub(crate) priority: i64,
    pub(crate) delay_ms: i64,
    pub(crate) window_ms: i64,
    pub(crate) max_size: i64,
    pub(crate) retention_ms: i64,
    pub(crate) completed_retention_ms: i64,
    pub(crate) max_wait_ms: i64,
    pub(crate) fifo: bool,
    pub(crate) dedup_ms: i64,
    pub(crate) group_idle_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease_ms: 300_000,
            retry_limit: 3,
            retry_delay_ms: 1_000,
            retry_max_delay_ms: 300_000,
            priority: 0,
            delay_ms: 0,
            window_ms: 0,
            max_size: 0,
            retention_ms: 0,
            completed_retention_ms: 0,
            max_wait_ms: 0,
            fifo: true,
            dedup_ms: 300_000,
            group_idle_ms: 7 * 24 * 3_600_000,
        }
    }
}

/// The longest time that an option can say, in seconds: ten years.
const MAX_SECONDS: i64 = 315_360_000;
/// The largest number of a priority, either way: each step is a minute of waiting.
pub(crate) const MAX_PRIORITY: i64 = 100;
/// The longest lease, in seconds: half a day. A longer one would keep a partition for as long after its worker died.
const MAX_LEASE: i64 = 43_200;

/// The largest whole number that every reader of JSON keeps as it is.
const MAX_NUMBER: i64 = (1 << 53) - 1;

/// An option's name, its least and largest value, and its unit in milliseconds (0: it is no time).
const NUMBERS: &[(&str, i64, i64, i64)] = &[
    ("leaseTime", 1, MAX_LEASE, 1_000),
    ("retryLimit", 0, 1_000, 0),
    ("retryDelay", 0, 86_400_000, 1),
    ("retryMaxDelay", 0, 86_400_000, 1),
    ("priority", -MAX_PRIORITY, MAX_PRIORITY, 0),
    ("delayedProcessing", 0, MAX_SECONDS, 1_000),
    ("windowBuffer", 0, 86_400, 1_000),
    ("maxSize", 0, MAX_NUMBER, 0),
    ("retentionSeconds", 0, MAX_SECONDS, 1_000),
    ("completedRetentionSeconds", 0, MAX_SECONDS, 1_000),
    ("maxWaitTimeSeconds", 0, MAX_SECONDS, 1_000),
    ("dedupWindowSeconds", 0, 86_400, 1_000),
    ("groupIdleSeconds", 60, MAX_SECONDS, 1_000),
];

impl Options {
    fn field(&mut self, name: &str) -> Option<&mut i64> {
        Some(match name {
            "leaseTime" => &mut self.lease_ms,
            "retryLimit" => &mut self.retry_limit,
            "retryDelay" => &mut self.retry_delay_ms,
            "retryMaxDelay" => &mut self.retry_max_delay_ms,
            "priority" => &mut self.priority,
            "delayedProcessing" => &mut self.delay_ms,
            "windowBuffer" => &mut self.window_ms,
            "maxSize" => &mut self.max_size,
            "retentionSeconds" => &mut self.retention_ms,
            "completedRetentionSeconds" => &mut self.completed_retention_ms,
            "maxWaitTimeSeconds" => &mut self.max_wait_ms,
            "dedupWindowSeconds" => &mut self.dedup_ms,
            "groupIdleSeconds" => &mut self.group_idle_ms,
            _ => return None,
        })
    }

    /// Takes what is given; the rest stays.
    pub(crate) fn with(mut self, given: &Map<String, Value>) -> Result<Self, Refusal> {
        for (name, value) in given {
            self.take(name, value)?;
        }
        if self.retry_max_delay_ms < self.retry_delay_ms {
            let both =
                "options.retryMaxDelay must be at least options.retryDelay (milliseconds both)";
            return Err(Refusal::bad(both));
        }
        Ok(self)
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), Refusal> {
        let flag = |value: &Value| {
            value
                .as_bool()
                .ok_or_else(|| Refusal::bad(format!("options.{name} is true or false")))
        };
        match name {
            "fifo" => self.fifo = flag(value)?,
            "encryptionEnabled" if flag(value)? => {
                return Err(Refusal::bad(
                    "options.encryptionEnabled can't be true: payloads are not encrypted at rest here; encrypt them before they are \
                     pushed, or the disk",
                ));
            }
            "deadLetterQueue" | "dlqAfterMaxRetries" if !flag(value)? => {
                return Err(Refusal::bad(format!(
                    "options.{name} can't be false: what fails more often than options.retryLimit goes to the dead-letter queue"
                )));
            }
            "encryptionEnabled" | "deadLetterQueue" | "dlqAfterMaxRetries" => {}
            _ => self.take_number(name, value)?,
        }
        Ok(())
    }

    fn take_number(&mut self, name: &str, value: &Value) -> Result<(), Refusal> {
        let Some((_, least, most, unit)) = NUMBERS.iter().find(|(known, ..)| *known == name) else {
            let names: Vec<&str> = NUMBERS.iter().map(|(known, ..)| *known).collect();
            return Err(Refusal::bad(format!(
                "options.{name} is not known; there are {}, fifo",
                names.join(", ")
            )));
        };
        let whole = value.as_i64().or_else(|| whole(value.as_f64()));
        let in_range = whole.filter(|number| (least..=most).contains(&number));
        let number = in_range.ok_or_else(|| {
            let unit = match unit {
                0 => "",
                1 => " milliseconds",
                _ => " seconds",
            };
            Refusal::bad(format!(
                "options.{name} is a whole number from {least} to {most}{unit}"
            ))
        })?;
        if let Some(field) = self.field(name) {
            *field = number * unit.max(&1);
        }
        Ok(())
    }

    /// As it is given, and as it is kept.
    pub(crate) fn to_json(mut self) -> Value {
        let mut all = Map::new();
        for (name, _, _, unit) in NUMBERS {
            if let Some(field) = self.field(name) {
                all.insert((*name).to_owned(), json!(*field / unit.max(&1)));
            }
        }
        all.insert("fifo".to_owned(), json!(self.fifo));
        Value::Object(all)
    }

    /// Of a message that has waited since then with this priority: the lower one comes first. A step of priority is worth a minute of waiting.
    pub(crate) fn rank(created_at: i64, priority: i64) -> i64 {
        created_at - priority * 60_000
    }
}

/// A number that was written with a point all the same.
#[expect(clippy::cast_possible_truncation, reason = "it was looked at before")]
fn whole(number: Option<f64>) -> Option<i64> {
    number
        .filter(|n| n.fract() == 0.0 && n.abs() < 9e15)
        .map(|n| n as i64)
}

impl Cell for Options {
    fn put(&self, out: &mut dyn Out) {
        out.text(&self.to_json().to_string());
    }
    fn take(from: &mut dyn In) -> Self {
        let kept = serde_json::from_str(&from.text()).unwrap_or_default();
        Self::default().with(&kept).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(json: Value) -> Result<Options, Refusal> {
        Options::default().with(json.as_object().unwrap())
    }

    #[test]
    fn what_is_given_comes_back_and_the_rest_stays() {
        let options = with(json!({"leaseTime": 60, "retryDelay": 250, "fifo": false})).unwrap();
        assert_eq!(
            (options.lease_ms, options.retry_delay_ms, options.fifo),
            (60_000, 250, false)
        );
        let again = Options::default()
            .with(options.to_json().as_object().unwrap())
            .unwrap();
        assert_eq!(again, options);
        assert_eq!(options.retry_limit, Options::default().retry_limit);
    }

    #[test]
    fn every_bad_option_is_named_with_what_would_be_right() {
        for (given, says) in [
            (
                json!({"leaseTime": 0}),
                "options.leaseTime is a whole number from 1",
            ),
            (json!({"leaseTime": "60"}), "options.leaseTime"),
            (json!({"leaseTime": 1.5}), "options.leaseTime"),
            (json!({"retryLimit": -1}), "options.retryLimit"),
            (json!({"fifo": 1}), "options.fifo is true or false"),
            (json!({"leasetime": 60}), "options.leasetime is not known"),
            (json!({"encryptionEnabled": true}), "encrypt"),
            (json!({"deadLetterQueue": false}), "options.deadLetterQueue"),
            (
                json!({"retryDelay": 9, "retryMaxDelay": 8}),
                "options.retryMaxDelay",
            ),
        ] {
            let refusal = with(given.clone()).unwrap_err();
            assert!(
                refusal.message.contains(says),
                "{given}: {}",
                refusal.message
            );
        }
    }
}
