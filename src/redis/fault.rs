//! What an error of Redis means to its caller.

use redis::{ErrorKind, RedisError};

use crate::log::Fault;

/// Errors of a server that is to be left, or of an instance that must come in again.
const LEAVE: &[&str] = &[
    "STALE",
    "READONLY",
    "MASTERDOWN",
    "LOADING",
    "CLUSTERDOWN",
    "NOAUTH",
    "WRONGPASS",
    "UNKILLABLE",
];

/// Errors of a server that can't do it now, whatever is asked.
const LATER: &[&str] = &[
    "OOM",
    "NOREPLICAS",
    "MISCONF",
    "BUSY",
    "TRYAGAIN",
    "NOPERM",
    "NOSCRIPT",
    "EXECABORT",
];

/// What the script says that opens canvases, and how many there are.
const MANY: &str = "MANY";

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let text = words(&error);
        match (error.code(), error.kind()) {
            (Some(MANY), _) => {
                let many = error.detail().and_then(|detail| detail.split(' ').next());
                let many = many.and_then(|many| many.parse().ok());
                Self::Many(many.unwrap_or_default(), text)
            }
            (Some(code), _) if LEAVE.contains(&code) => Self::Link(text),
            (Some(code), _) if LATER.contains(&code) => Self::NotNow(text),
            // Where the connection itself said nonsense, it ends, and the next request finds that.
            (Some(_), _)
            | (None, ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType | ErrorKind::Parse) => {
                Self::Canvas(text)
            }
            (None, _) => Self::Link(text),
        }
    }
}

/// An error of Redis for people. Its own words about passwords are about its protocol.
pub(super) fn words(error: &RedisError) -> String {
    match error.code() {
        Some("NOAUTH") => {
            "it asks for a password: give it in the address, as in redis://:PASSWORD@host"
                .to_owned()
        }
        Some("WRONGPASS") => format!("the address has a wrong user or password ({error})"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the parser makes it of what a server says.
    fn said(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("a value");
        let error = value.extract_error().expect_err("an error");
        Fault::from(error)
    }

    #[test]
    fn a_missing_or_wrong_password_is_named() {
        for (line, why) in [
            (
                "NOAUTH HELLO must be called with the client already authenticated",
                "asks for a password",
            ),
            (
                "WRONGPASS invalid username-password pair",
                "wrong user or password",
            ),
        ] {
            let Fault::Link(text) = said(line) else {
                panic!("{line}: {:?}", said(line));
            };
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn a_reply_is_not_a_broken_link() {
        for (line, link) in [
            ("STALE the relay began anew", true),
            (
                "READONLY You can't write against a read only replica.",
                true,
            ),
            ("LOADING Redis is loading the dataset in memory", true),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                false,
            ),
            ("NOREPLICAS Not enough good replicas to write.", false),
            ("NOPERM this user has no permissions", false),
            (
                "WRONGTYPE Operation against a key holding the wrong kind",
                false,
            ),
            ("ERR something of a script", false),
        ] {
            assert_eq!(matches!(said(line), Fault::Link(_)), link, "{line}");
        }
        assert!(matches!(said("MANY 17"), Fault::Many(17, _)));
        let wrong = said("WRONGTYPE Operation against a key");
        assert!(matches!(wrong, Fault::Canvas(_)), "{wrong:?}");
        let many = redis::Value::BulkString(b"many".to_vec());
        let number = redis::from_redis_value::<u64>(many).map_err(RedisError::from);
        let overwritten = Fault::from(number.expect_err("no number"));
        assert!(matches!(overwritten, Fault::Canvas(_)), "{overwritten:?}");
        let cut = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(matches!(Fault::from(RedisError::from(cut)), Fault::Link(_)));
    }
}
