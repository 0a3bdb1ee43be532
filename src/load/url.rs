//! The address of a relay: `http://HOST:PORT`, `ws://HOST:PORT` or the same over TLS, with a path before `/ws/` if
//! there is one.

use std::fmt;
use std::str::FromStr;

/// A relay's base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Behind TLS.
    pub secure: bool,
    /// Host and port.
    pub authority: String,
    /// What comes before `/ws/`; empty or begins with a slash, never ends with one.
    pub path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "must look like http://127.0.0.1:8080, ws://127.0.0.1:8080 or wss://relay.example.org"
                .to_owned()
        };
        let schemes = [
            ("http://", false),
            ("ws://", false),
            ("https://", true),
            ("wss://", true),
        ];
        let found = schemes
            .into_iter()
            .find_map(|(scheme, secure)| Some((text.strip_prefix(scheme)?, secure)));
        let (rest, secure) = found.ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("must not hold a name or a password".to_owned());
        }
        let port = authority
            .rsplit_once(':')
            .map(|(host, port)| (host, port.parse::<u16>()));
        let authority = match port {
            Some((host, Ok(_))) if !host.is_empty() => authority.to_owned(),
            None if !authority.is_empty() => {
                format!("{authority}:{}", if secure { 443 } else { 80 })
            }
            _ => return Err(wrong()),
        };
        let path = path.trim_matches('/');
        let path = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        Ok(Self {
            secure,
            authority,
            path,
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
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
            ("wss://relay/app/", "relay:443", "/app"),
            ("https://relay:8443", "relay:8443", ""),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((&*url.authority, &*url.path), (authority, path), "{text}");
            assert_eq!(
                url.secure,
                text.starts_with("wss") || text.starts_with("https")
            );
        }
        for bad in [
            "ftp://a",
            "127.0.0.1:8080",
            "http://",
            "http://:80",
            "ws://a:x",
            "http://ada:hunter2@a:80",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_address_is_not_repeated() {
        #[derive(Debug, clap::Parser)]
        struct Cli {
            #[arg(long, value_parser = crate::config::Hidden::<Url>::new())]
            url: Url,
        }
        for wrong in ["http://ada:hunter2@a:80", "ada:hunter2@a"] {
            let told = <Cli as clap::Parser>::try_parse_from(["x", "--url", wrong]);
            let told = told.map(|cli| cli.url).unwrap_err().to_string();
            assert!(
                told.contains("--url") && !told.contains("hunter2"),
                "{told}"
            );
        }
    }
}
