//! `--assets-url` and what goes with it: a bucket for assets. Keys are never flags: they come as all programs for such buckets have them,
//! in the variables `AWS_…`.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use url::Url;

use super::ConfigError;
use super::resolve::Hidden;
use crate::limits::{ASSET_UPLOAD, BUCKET_CONNECT, BUCKET_SILENCE};

/// Characters of the prefix. With a blob's name behind it a key is within the 1024 that S3 takes.
const PREFIX_CHARS: usize = 512;

/// The flags about a bucket.
#[derive(Debug, Clone, Default, Args)]
pub struct BucketArgs {
    /// Bucket for images and files instead of a folder, S3 or what speaks it: s3://BUCKET/PREFIX. Keys are in AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY, or of the host's role
    #[arg(
        long,
        env = "SCUMBLE_ASSETS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    #[arg(value_parser = Hidden::<BucketUrl>::new())]
    pub assets_url: Option<BucketUrl>,

    /// With --assets-url: where the bucket is, if it is not Amazon's: scheme, host and port
    /// [default: AWS_ENDPOINT_URL, or Amazon's for the region]
    #[arg(
        long,
        env = "SCUMBLE_ASSETS_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    #[arg(value_parser = Hidden::<Endpoint>::new())]
    pub assets_endpoint: Option<Endpoint>,

    /// With --assets-url: the bucket's region [default: AWS_REGION, or us-east-1]
    #[arg(long, env = "SCUMBLE_ASSETS_REGION", value_name = "REGION", value_parser = region)]
    pub assets_region: Option<String>,
}

/// `s3://BUCKET/PREFIX`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUrl {
    /// The bucket's name.
    pub bucket: String,
    /// What keys begin with, without slashes at its ends; may be empty.
    pub prefix: String,
}

/// `http://HOST` or `https://HOST`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

/// A bucket, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSettings {
    /// Which.
    pub url: BucketUrl,
    endpoint: Option<Endpoint>,
    region: Option<String>,
}

impl BucketArgs {
    /// The bucket, if there is one.
    ///
    /// # Errors
    /// [`ConfigError`] names a flag without the other, and what is wrong in the variables.
    pub fn resolve(&self) -> Result<Option<BucketSettings>, ConfigError> {
        let Some(url) = &self.assets_url else {
            let endpoint = self.assets_endpoint.as_ref().map(ToString::to_string);
            for (flag, value) in [
                ("assets-endpoint", &endpoint),
                ("assets-region", &self.assets_region),
            ] {
                if let Some(value) = value {
                    return Err(ConfigError::new(flag, value, "goes with --assets-url"));
                }
            }
            return Ok(None);
        };
        let settings = BucketSettings {
            url: url.clone(),
            endpoint: self.assets_endpoint.clone(),
            region: self.assets_region.clone(),
        };
        match settings.open() {
            Ok(_) => Ok(Some(settings)),
            Err(why) => Err(ConfigError::new("assets-url", url, why)),
        }
    }
}

impl BucketSettings {
    /// What speaks with it. Nothing is asked of it yet.
    ///
    /// # Errors
    /// In words, what is wrong with the variables.
    pub fn open(&self) -> Result<AmazonS3, String> {
        // Without one there is no TLS. Fails only where one is installed already, which will do as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let span = |of| humantime::format_duration(of).to_string();
        let client = |key, value| (AmazonS3ConfigKey::Client(key), value);
        let mut options = vec![
            client(ClientConfigKey::ConnectTimeout, span(BUCKET_CONNECT)),
            client(ClientConfigKey::ReadTimeout, span(BUCKET_SILENCE)),
            // Of all of an answer: whoever reads it may be slow.
            client(ClientConfigKey::Timeout, span(ASSET_UPLOAD)),
            // One key at a time is what every server understands.
            (AmazonS3ConfigKey::DisableBulkDelete, "true".to_owned()),
        ];
        if let Some(Endpoint(endpoint)) = &self.endpoint {
            options.push((AmazonS3ConfigKey::S3Endpoint, endpoint.clone()));
            let plain = endpoint.starts_with("http://").to_string();
            options.push(client(ClientConfigKey::AllowHttp, plain));
        }
        if let Some(region) = &self.region {
            options.push((AmazonS3ConfigKey::Region, region.clone()));
        }
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(&self.url.bucket);
        for (key, value) in options {
            builder = builder.with_config(key, value);
        }
        let retry = object_store::RetryConfig {
            max_retries: 2,
            retry_timeout: BUCKET_SILENCE,
            ..Default::default()
        };
        let built = builder.with_retry(retry).build();
        built.map_err(|error| error.to_string())
    }

    /// The flags that say so.
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        let endpoint = self.endpoint.as_ref().map(ToString::to_string);
        let all = [
            ("assets-url", Some(self.url.to_string())),
            ("assets-endpoint", endpoint),
            ("assets-region", self.region.clone()),
        ];
        let all = all.into_iter();
        all.filter_map(|(flag, value)| Some((flag, value?)))
            .collect()
    }
}

impl FromStr for BucketUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const HINT: &str = "right would be s3://BUCKET or s3://BUCKET/PREFIX, of letters, digits, dots, dashes and underscores; keys are in \
                            AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        let plain = |part: &str| {
            let right = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
            !["", ".", ".."].contains(&part) && part.bytes().all(right)
        };
        let rest = text.strip_prefix("s3://").ok_or(HINT)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let whole = prefix.is_empty() || prefix.split('/').all(plain);
        if !(3..=63).contains(&bucket.len())
            || !plain(bucket)
            || prefix.len() > PREFIX_CHARS
            || !whole
        {
            return Err(HINT);
        }
        let bucket = bucket.to_owned();
        let prefix = prefix.to_owned();
        Ok(Self { bucket, prefix })
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        match self.prefix.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.prefix),
        }
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const HINT: &str = "right would be https://HOST:PORT, or http:// where nobody else can listen; keys are in AWS_ACCESS_KEY_ID and \
                            AWS_SECRET_ACCESS_KEY";
        let url = Url::parse(text).map_err(|_| HINT)?;
        let plain = url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none();
        let right = ["http", "https"].contains(&url.scheme()) && url.has_host();
        if !(plain && bare && right) {
            return Err(HINT);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn region(text: &str) -> Result<String, String> {
    let right = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(right) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 64 letters, digits and dashes, as eu-central-1".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::{AssetPlace, Config};

    fn told(flags: &[&str]) -> String {
        let error = Config::from_flags(flags.iter().copied()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_bucket_is_said_again_as_it_was() {
        let flags = [
            "--assets-url=s3://pictures/relay/one/",
            "--assets-endpoint=http://127.0.0.1:9000/",
            "--assets-region=eu-central-1",
        ];
        let config = Config::from_flags(flags).unwrap();
        let AssetPlace::Bucket(bucket) = &config.assets.place else {
            panic!("{:?}", config.assets.place);
        };
        assert_eq!(bucket.url.to_string(), "s3://pictures/relay/one");
        let again = config.effective();
        let again = again
            .iter()
            .filter(|(flag, _)| *flag != "demo-controls")
            .map(|(flag, value)| format!("--{flag}={value}"));
        let again = Config::from_flags(again).unwrap();
        assert_eq!(again.assets, config.assets);
    }

    #[test]
    fn what_is_no_bucket_is_refused_without_being_told() {
        for bad in [
            "pictures",
            "s3://",
            "s3://ab",
            "https://pictures/relay",
            "s3://AKIA:hunter2@pictures",
            "s3://pictures/a//hunter2",
            "s3://pictures/../hunter2",
        ] {
            let told = told(&["--assets-url", bad]);
            assert!(told.contains("--assets-url <URL>"), "{told}");
            assert!(
                told.contains("s3://BUCKET/PREFIX") && !told.contains("hunter2"),
                "{told}"
            );
        }
        for bad in [
            "minio:9000",
            "ftp://h",
            "https://AKIA:hunter2@h",
            "https://h/?hunter2",
        ] {
            let told = told(&["--assets-url=s3://pictures", "--assets-endpoint", bad]);
            assert!(
                told.contains("--assets-endpoint <URL>") && !told.contains("hunter2"),
                "{told}"
            );
        }
    }

    #[test]
    fn what_does_not_go_together_names_both_flags() {
        for (flags, hint) in [
            (
                &["--assets-url=s3://pictures", "--assets-dir=x"][..],
                "--assets-dir",
            ),
            (
                &["--assets-url=s3://pictures", "--assets-dir=off"],
                "--assets-dir",
            ),
            (
                &["--assets-url=s3://pictures", "--queue=off"],
                "--queue off",
            ),
            (&["--assets-endpoint=https://h"], "--assets-url"),
            (&["--assets-region=x"], "--assets-url"),
            (
                &["--assets-url=s3://pictures", "--assets-region=a b"],
                "--assets-region",
            ),
        ] {
            let told = told(flags);
            assert!(told.contains(hint), "{told}");
        }
    }
}
