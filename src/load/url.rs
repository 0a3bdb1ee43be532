//! Where a relay is: `http://HOST:PORT` or `ws://HOST:PORT`, with a path in front of `/ws/` if need be.

use std::fmt;
use std::str::FromStr;

/// A relay's base URL. Without TLS: load is put on from nearby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host and port.
    pub authority: String,
    /// What comes before `/ws/`; empty or begins with a slash, never ends with one.
    pub path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must look like http://127.0.0.1:8080 or ws://127.0.0.1:8080".to_owned();
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("ws://"));
        let rest = rest.ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = authority
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse::<u16>()));
        let authority = match port {
            Some((host, Ok(_))) if !host.is_empty() => authority.to_owned(),
            None if !authority.is_empty() => format!("{authority}:80"),
            _ => return Err(wrong()),
        };
        let path = path.trim_matches('/');
        let path = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        Ok(Self { authority, path })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_and_a_path_are_taken() {
        for (text, authority, path) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", ""),
            ("ws://[::1]:9/", "[::1]:9", ""),
            ("http://relay/app/", "relay:80", "/app"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((&*url.authority, &*url.path), (authority, path), "{text}");
        }
        for bad in [
            "https://a",
            "127.0.0.1:8080",
            "http://",
            "http://:80",
            "ws://a:x",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
