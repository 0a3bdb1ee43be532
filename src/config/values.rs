//! Parsers of single values. The error for a wrong value says what would be right.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use crate::auth::claims::Access;
use crate::protocol::ids::{CanvasId, InstanceId};

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
        if text.parse::<f64>().is_ok_and(|number| number >= 0.0) {
            return Err(format!(
                "a duration needs a unit, like {text}ms, {text}s or {text}m"
            ));
        }
        let value = humantime::parse_duration(text)
            .map_err(|error| format!("{error}; right would be 50ms, 60s or 2m"))?;
        if (min..=max).contains(&value) {
            Ok(value)
        } else {
            let min = humantime::format_duration(min);
            let max = humantime::format_duration(max);
            Err(format!("must be from {min} to {max}"))
        }
    }
}

/// Reads a whole number within bounds.
pub fn whole<T: FromStr + PartialOrd + Display>(
    text: &str,
    bounds: RangeInclusive<T>,
) -> Result<T, String> {
    let number = text.trim().parse().ok();
    let min = bounds.start();
    let max = bounds.end();
    number
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// A parser of whole numbers within bounds.
pub fn number(min: u32, max: u32) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync {
    move |text| whole(text, min..=max)
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

/// Reads the origin of a page: scheme, host and, where it is not the usual one, port.
pub fn origin(text: &str) -> Result<String, String> {
    let host = text
        .split_once("://")
        .filter(|(scheme, _)| ["http", "https"].contains(scheme));
    let is_host = |host: &str| {
        let forbidden = |c: char| c.is_whitespace() || "/?#*@,".contains(c);
        !host.is_empty() && !host.contains(forbidden)
    };
    match host {
        Some((_, host)) if is_host(host) => Ok(text.to_ascii_lowercase()),
        _ => Err("must be like https://app.example.org or http://localhost:3000".to_owned()),
    }
}

/// Reads `PATTERN=read` or `PATTERN=write`.
pub fn pattern(text: &str) -> Result<(String, Access), String> {
    let access = |word: &str| {
        [Access::Read, Access::Write]
            .into_iter()
            .find(|access| access.word() == word)
    };
    // A pattern that no canvas can match is a mistake.
    let can_match = |pattern: &str| {
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        pattern == "*" || CanvasId::parse(name).is_ok()
    };
    text.rsplit_once('=')
        .and_then(|(pattern, word)| Some((pattern.to_owned(), access(word)?)))
        .filter(|(pattern, _)| can_match(pattern))
        .ok_or_else(|| "must be like board-1=write or 'team-*=read'".to_owned())
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (width, ours, theirs) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (32, a.to_bits().into(), b.to_bits().into()),
            (IpAddr::V6(a), IpAddr::V6(b)) => (128, a.to_bits(), b.to_bits()),
            _ => return false,
        };
        let differ: u128 = ours ^ theirs;
        differ.checked_shr(width - self.bits).unwrap_or(0) == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Reads an address, or a network as an address and a number of bits.
pub fn network(text: &str) -> Result<Network, String> {
    let wrong = || "must be an address or a network, like 127.0.0.1 or 10.0.0.0/8".to_owned();
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
    if bits > width {
        return Err(wrong());
    }
    Ok(Network { address, bits })
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
    fn numbers_are_whole_and_stay_in_bounds() {
        let parse = number(2, 64);
        assert_eq!((parse("2"), parse("64")), (Ok(2), Ok(64)));
        for bad in ["", "1", "65", "-3", "3.5", "64KiB", "99999999999"] {
            let hint = "must be a whole number from 2 to 64".to_owned();
            assert_eq!(parse(bad), Err(hint), "{bad}");
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

    #[test]
    fn networks_contain_their_addresses() {
        let contains =
            |net: &str, address: &str| network(net).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.9.8.7") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::2") && !contains("::1", "::2"));
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        for bad in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        assert_eq!(
            origin("https://App.example.org").unwrap(),
            "https://app.example.org"
        );
        assert!(origin("http://localhost:3000").is_ok());
        for bad in [
            "",
            "app.example.org",
            "https://",
            "https://a/b",
            "https://*.a",
            "ftp://a",
            "null",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
