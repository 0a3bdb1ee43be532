//! The address of Redis. Its password is sent to Redis only, and never printed.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionInfo, IntoConnectionInfo};

/// `redis[s]://[user:password@]host[:port][/database]`, `redis+unix:///path`, or
/// `redis[s]+sentinel://[user:password@]host[:port][,host[:port]…]/master[/database]`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

/// Sentinels that know where the master is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinels {
    /// Their hosts and ports.
    pub addresses: Vec<(String, u16)>,
    /// What they call the master.
    pub master: String,
}

const HINT: &str = "right would be redis://127.0.0.1:6379, rediss://redis.example.org:6380, redis+unix:///run/redis.sock \
                    or redis+sentinel://10.0.0.5:26379,10.0.0.6:26379/mymaster";
/// Where sentinels listen if nothing else is said.
const SENTINEL_PORT: u16 = 26_379;

impl RedisUrl {
    /// Checks and takes the address.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Self(text.to_owned());
        match url.taken_apart() {
            Ok(_) => Ok(url),
            Err(error) => Err(format!("{error}; {HINT}")),
        }
    }

    /// The whole address.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How to connect, and the sentinels that say where to, if there are any.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn taken_apart(&self) -> Result<(ConnectionInfo, Option<Sentinels>), String> {
        let plain = |url: &str| url.into_connection_info().map_err(|e| e.to_string());
        let Some((scheme, rest)) = self.0.split_once("+sentinel://") else {
            return Ok((plain(&self.0)?, None));
        };
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (format!("{user}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, path) = rest.split_once('/').ok_or("the master's name is missing")?;
        let (master, database) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err("the master's name is missing".to_owned());
        }
        let addresses: Result<_, String> = hosts.split(',').map(address).collect();
        // Where it is, the sentinels say.
        let info = plain(&format!("{scheme}://{user}127.0.0.1/{database}"))?;
        let addresses = addresses?;
        let master = master.to_owned();
        Ok((info, Some(Sentinels { addresses, master })))
    }
}

fn address(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let bad = |_| format!("{text} has no valid port");
            (host, port.parse().map_err(bad)?)
        }
        _ => (text, SENTINEL_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("a sentinel's host is missing".to_owned());
    }
    Ok((host.to_owned(), port))
}

impl FromStr for RedisUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// Without the password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("//").unwrap_or(("", &self.0));
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}//{user}:***@{host}")
            }
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_told() {
        let url = RedisUrl::parse("redis://app:s3cr:e@t@db.internal:6380/2").unwrap();
        assert_eq!(url.to_string(), "redis://app:***@db.internal:6380/2");
        assert!(!format!("{url:?}").contains("s3cr"));
        let url = RedisUrl::parse("redis+sentinel://:s3cret@a,b:7/m/2").unwrap();
        assert_eq!(url.to_string(), "redis+sentinel://:***@a,b:7/m/2");
        assert_eq!(
            RedisUrl::parse("redis://h").unwrap().to_string(),
            "redis://h"
        );
    }

    #[test]
    fn sentinels_are_named_with_the_master_that_they_know() {
        let url = RedisUrl::parse("rediss+sentinel://u:p@a:1,[::1]:2,c/mymaster/3").unwrap();
        let (info, sentinels) = url.taken_apart().unwrap();
        assert_eq!(info.redis_settings().db(), 3);
        let sentinels = sentinels.unwrap();
        let wanted = [("a", 1), ("::1", 2), ("c", 26_379)];
        assert_eq!(
            sentinels.addresses,
            wanted.map(|(host, port)| (host.to_owned(), port))
        );
        assert_eq!(sentinels.master, "mymaster");
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_hint() {
        for bad in [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://host:port",
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/",
            "redis+sentinel:///m",
            "redis+sentinel://a:x/m",
            "http+sentinel://a/m",
        ] {
            let refused = RedisUrl::parse(bad).unwrap_err();
            assert!(
                refused.contains("redis://127.0.0.1:6379"),
                "{bad}: {refused}"
            );
        }
    }

    #[test]
    fn a_wrong_address_is_refused_without_its_password() {
        for bad in [
            "redis://u:hunt@er2:x@127.0.0.1:notaport/0",
            "redis:/u:hunt@er2@h",
            "u:hunt@er2@127.0.0.1",
            "redis://u:hunt@er2@h/db",
        ] {
            let told = crate::config::Config::from_flags(["--redis", bad]).unwrap_err();
            let told = told.to_string();
            assert!(told.contains("--redis"), "{told}");
            assert!(!told.contains("hunt") && !told.contains("er2"), "{told}");
        }
    }
}
