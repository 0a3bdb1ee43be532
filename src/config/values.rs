//! Parsers of single values: each refuses a wrong one in words that say what would be right.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

use crate::protocol::ids::InstanceId;

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }

    /// The word for a state.
    pub fn word(on: bool) -> &'static str {
        if on { "on" } else { "off" }
    }
}

/// A parser of durations with a unit, within bounds.
pub fn duration(
    min: Duration,
    max: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    move |text| {
        let text = text.trim();
        if text.parse::<f64>().is_ok() {
            return Err(format!(
                "a duration needs a unit, like {text}ms, {text}s or {text}m"
            ));
        }
        let value = humantime::parse_duration(text)
            .map_err(|error| format!("{error}; right would be 50ms, 60s or 2m"))?;
        if (min..=max).contains(&value) {
            Ok(value)
        } else {
            let (min, max) = (
                humantime::format_duration(min),
                humantime::format_duration(max),
            );
            Err(format!("must be from {min} to {max}"))
        }
    }
}

/// Reads an address with a port.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "must be an IP address and a port, like 127.0.0.1:8080 or [::1]:8080".to_owned()
    })
}

/// Reads an instance's name.
pub fn instance_id(text: &str) -> Result<InstanceId, String> {
    InstanceId::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_stay_in_bounds() {
        let parse = duration(Duration::from_millis(1), Duration::from_secs(10));
        assert_eq!(parse("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(parse("1s 500ms"), Ok(Duration::from_millis(1500)));
        for (bad, hint) in [
            ("50", "needs a unit, like 50ms"),
            ("1.5", "needs a unit"),
            ("11s", "from 1ms to 10s"),
            ("0s", "from 1ms to 10s"),
            ("fast", "right would be 50ms"),
            ("-5ms", "right would be 50ms"),
            ("", "right would be 50ms"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[test]
    fn an_address_has_a_port() {
        assert!(listen("127.0.0.1:0").is_ok());
        assert!(listen("[::1]:80").is_ok());
        for bad in [
            "8080",
            ":8080",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:99999",
        ] {
            assert!(listen(bad).is_err(), "{bad}");
        }
    }
}
