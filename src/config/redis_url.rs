//! Where Redis is. Its password is told to Redis and to nobody else.

use std::fmt;

use redis::IntoConnectionInfo;

/// `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// Checks and takes the address.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hint = "right would be redis://127.0.0.1:6379 or redis+unix:///run/redis.sock";
        if text.starts_with("rediss:") || text.starts_with("valkeys:") {
            return Err("connections to Redis are not encrypted here: use a private network or a tunnel (stunnel, WireGuard), and redis://".to_owned());
        }
        match text.into_connection_info() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("{error}; {hint}")),
        }
    }

    /// The whole address.
    pub fn reveal(&self) -> &str {
        &self.0
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
        assert_eq!(
            RedisUrl::parse("redis://h").unwrap().to_string(),
            "redis://h"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_hint() {
        for bad in [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://host:port",
        ] {
            let refused = RedisUrl::parse(bad).unwrap_err();
            assert!(
                refused.contains("redis://127.0.0.1:6379"),
                "{bad}: {refused}"
            );
        }
        assert!(
            RedisUrl::parse("rediss://h")
                .unwrap_err()
                .contains("not encrypted")
        );
    }
}
