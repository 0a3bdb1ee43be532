//! The flags of `--redis`, and those that belong to it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::resolve::Hidden;
use super::{ConfigError, RedisUrl};

/// Where the relay is, when it is in Redis.
#[derive(Debug, Clone, Args)]
pub struct RedisArgs {
    /// The relay is in this Redis instead of a file, for processes of several hosts: like
    /// redis://10.0.0.5:6379/0. A password is safer in the variable
    #[arg(
        long,
        env = "SCUMBLE_REDIS",
        value_name = "URL",
        hide_env_values = true
    )]
    #[arg(value_parser = Hidden::<RedisUrl>::new())]
    pub redis: Option<RedisUrl>,

    /// The beginning of all keys and channels in Redis. Relays with different prefixes can share a database
    #[arg(
        long,
        env = "SCUMBLE_REDIS_PREFIX",
        value_name = "NAME",
        default_value = "scumble",
        value_parser = prefix
    )]
    pub redis_prefix: String,

    /// Redis replicas that must have a message before it is acked [0: none]
    #[arg(
        long,
        env = "SCUMBLE_REDIS_WAIT_REPLICAS",
        value_name = "N",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=16)
    )]
    pub redis_wait_replicas: u32,

    /// For an encrypted connection
    #[command(flatten)]
    pub tls: RedisTlsArgs,
}

/// The files of an encrypted connection to Redis.
#[derive(Debug, Clone, Args)]
pub struct RedisTlsArgs {
    /// With rediss://: the authority of Redis's certificate (PEM) [default: the system's]
    #[arg(long, env = "SCUMBLE_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,

    /// With rediss://: this process's certificate (PEM), for a Redis that asks for one
    #[arg(long, env = "SCUMBLE_REDIS_CERT_FILE", value_name = "FILE")]
    pub redis_cert_file: Option<PathBuf>,

    /// With rediss://: the key of that certificate (PEM)
    #[arg(long, env = "SCUMBLE_REDIS_KEY_FILE", value_name = "FILE")]
    pub redis_key_file: Option<PathBuf>,
}

/// How a tool finds a relay in Redis.
#[derive(Debug, Clone, Args)]
pub struct RedisPlaceArgs {
    /// The beginning of all keys of the relay in Redis
    #[arg(
        long,
        env = "SCUMBLE_REDIS_PREFIX",
        value_name = "NAME",
        default_value = "scumble",
        value_parser = prefix
    )]
    pub redis_prefix: String,

    /// For an encrypted connection
    #[command(flatten)]
    pub tls: RedisTlsArgs,
}

impl RedisPlaceArgs {
    /// A relay in that Redis.
    ///
    /// # Errors
    /// [`ConfigError`] names a file that can't be read, or a flag that goes with another.
    pub fn at(&self, url: &RedisUrl) -> Result<RedisSettings, ConfigError> {
        let args = RedisArgs {
            redis: Some(url.clone()),
            redis_prefix: self.redis_prefix.clone(),
            redis_wait_replicas: 0,
            tls: self.tls.clone(),
        };
        let none = || ConfigError::new("redis", url, "is missing");
        args.resolve()?.ok_or_else(none)
    }
}

/// Where a tool finds a relay: in its file, or in Redis.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// The relay's file
    #[arg(
        long,
        env = "SCUMBLE_DB",
        value_name = "FILE",
        default_value = "./scumble.db"
    )]
    pub db: PathBuf,

    /// The relay is in this Redis instead of a file: as its processes are given it
    #[arg(
        long,
        env = "SCUMBLE_REDIS",
        value_name = "URL",
        hide_env_values = true,
        conflicts_with = "db"
    )]
    #[arg(value_parser = Hidden::<RedisUrl>::new())]
    pub redis: Option<RedisUrl>,

    /// With --redis
    #[command(flatten)]
    pub place: RedisPlaceArgs,
}

impl SourceArgs {
    /// Where the relay is in Redis; `None` if it is in the file.
    ///
    /// # Errors
    /// [`ConfigError`], as above.
    pub fn redis(&self) -> Result<Option<RedisSettings>, ConfigError> {
        let redis = self.redis.as_ref();
        redis.map(|url| self.place.at(url)).transpose()
    }
}

/// What is needed to believe Redis, and to be believed by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// Who signed its certificate; otherwise whom the system trusts.
    pub ca: Option<Vec<u8>>,
    /// This process's certificate and its key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Where the relay is, and what is asked of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// Where Redis is.
    pub url: RedisUrl,
    /// What all keys and channels begin with.
    pub prefix: String,
    /// Replicas that must have a commit before it is told.
    pub wait_replicas: u32,
    /// For an encrypted connection.
    pub tls: RedisTls,
    /// The files that it is from, by flag.
    files: Vec<(&'static str, PathBuf)>,
}

impl RedisArgs {
    /// What was asked for; `None` if the relay is not in Redis.
    ///
    /// # Errors
    /// [`ConfigError`] names a file that can't be read, or a flag that goes with another.
    pub fn resolve(self) -> Result<Option<RedisSettings>, ConfigError> {
        let files = [
            ("redis-ca-file", self.tls.redis_ca_file),
            ("redis-cert-file", self.tls.redis_cert_file),
            ("redis-key-file", self.tls.redis_key_file),
        ];
        let given: Vec<_> = files
            .iter()
            .filter_map(|(flag, file)| Some((*flag, file.clone()?)))
            .collect();
        let Some(url) = self.redis else {
            return Ok(None);
        };
        if let Some((flag, file)) = given.first()
            && !url.reveal().starts_with("rediss")
        {
            let hint = "is for an encrypted connection: give --redis rediss://…";
            return Err(ConfigError::new(flag, file.display(), hint));
        }
        let mut read = Vec::with_capacity(files.len());
        for (flag, file) in files {
            read.push(file.map(|file| contents(flag, &file)).transpose()?);
        }
        let [ca, cert, key] = <[Option<Vec<u8>>; 3]>::try_from(read).unwrap_or_default();
        let client = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                let hint = "goes with the other of --redis-cert-file and --redis-key-file";
                let (flag, file) = &given[given.len() - 1];
                return Err(ConfigError::new(flag, file.display(), hint));
            }
        };
        Ok(Some(RedisSettings {
            url,
            prefix: self.redis_prefix,
            wait_replicas: self.redis_wait_replicas,
            tls: RedisTls { ca, client },
            files: given,
        }))
    }
}

fn contents(flag: &'static str, file: &Path) -> Result<Vec<u8>, ConfigError> {
    let read = std::fs::read(file);
    let read =
        read.map_err(|e| ConfigError::new(flag, file.display(), format!("can't be read: {e}")))?;
    if read.windows(10).any(|text| text == b"-----BEGIN") {
        return Ok(read);
    }
    let hint = "is no PEM file: it has no line that begins with -----BEGIN";
    Err(ConfigError::new(flag, file.display(), hint))
}

impl RedisSettings {
    /// The flags that say so.
    pub fn effective(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("redis", self.url.to_string()),
            ("redis-prefix", self.prefix.clone()),
            ("redis-wait-replicas", self.wait_replicas.to_string()),
        ];
        let files = self.files.iter();
        all.extend(files.map(|(flag, file)| (*flag, file.display().to_string())));
        all
    }
}

/// Braces would put all canvases of a Redis Cluster into one slot, and glob patterns of an operator would not mean what they say.
fn prefix(text: &str) -> Result<String, String> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._:-".contains(&c);
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(
        "it must be 1 to 64 letters, digits and ._:- (no braces: they would decide on slots)"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Store};

    #[test]
    fn a_prefix_with_braces_is_refused() {
        for bad in ["{a}", "", "a b", "a*"] {
            let flag = format!("--redis-prefix={bad}");
            let refused = Config::from_flags(["--redis=redis://h", &flag]).unwrap_err();
            assert!(refused.to_string().contains("--redis-prefix"), "{refused}");
        }
        let config = Config::from_flags(["--redis=redis://h", "--redis-prefix=app:1"]).unwrap();
        let Store::Redis(settings) = config.store else {
            panic!("{:?}", config.store);
        };
        assert_eq!(settings.prefix, "app:1");
    }
}
