//! The raw flags about assets: where they are, how large they may be, how long they stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::bucket_args::BucketArgs;
use super::quota_args::{OrOff, or_off};
use super::values::{duration, whole};
use super::{AssetPlace, AssetSettings, BucketSettings, ConfigError};

/// Less is less than one asset of the least size.
const LEAST: u64 = 1 << 12;
/// More is no image.
const MOST_OF_ONE: u64 = 1 << 30;
/// A disk hardly has more.
const MOST: u64 = 1 << 50;
/// What is uploaded before it is named must have time to be named.
const SHORTEST: Duration = Duration::from_secs(1);
/// Ten years.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// The flags of `scumble serve` about images and files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Assets")]
pub struct AssetArgs {
    /// Folder for images and files. Processes on several hosts (--redis) must share it, or a bucket. off: none are taken
    /// [default: the name of --db and .assets; over Redis off]
    #[arg(long, env = "SCUMBLE_ASSETS_DIR", value_name = "DIR|off")]
    pub assets_dir: Option<PathBuf>,

    /// A bucket instead
    #[command(flatten)]
    pub bucket: BucketArgs,

    /// Bytes of one asset, 4096 to 1073741824
    #[arg(
        long,
        env = "SCUMBLE_MAX_ASSET_BYTES",
        value_name = "N",
        default_value = "20971520"
    )]
    #[arg(value_parser = |text: &str| whole(text, LEAST..=MOST_OF_ONE))]
    pub max_asset_bytes: u64,

    /// Bytes of all assets of one canvas, 4096 to 1125899906842624; each counts as 4096 at least. Beyond, uploads get
    /// `too-large`
    #[arg(
        long,
        env = "SCUMBLE_MAX_CANVAS_ASSET_BYTES",
        value_name = "N",
        default_value = "268435456"
    )]
    #[arg(value_parser = |text: &str| whole(text, LEAST..=MOST))]
    pub max_canvas_asset_bytes: u64,

    /// The same of all canvases together; `off`: no limit
    #[arg(
        long,
        env = "SCUMBLE_MAX_TOTAL_ASSET_BYTES",
        value_name = "N",
        default_value = "10737418240"
    )]
    #[arg(value_parser = |text: &str| or_off(text, |text| whole(text, LEAST..=MOST)))]
    pub max_total_asset_bytes: OrOff<u64>,

    /// How long an asset stays that no object names, 1s to 3650d
    #[arg(
        long,
        env = "SCUMBLE_ASSET_TTL",
        value_name = "DURATION",
        default_value = "1d"
    )]
    #[arg(value_parser = duration(SHORTEST, LONGEST))]
    pub asset_ttl: Duration,
}

/// What the place of assets depends on.
pub(super) struct Beside<'a> {
    pub db: &'a Path,
    pub in_memory: bool,
    pub over_redis: bool,
}

impl AssetArgs {
    pub(super) fn resolve(self, beside: &Beside<'_>) -> Result<AssetSettings, ConfigError> {
        let max_bytes = self.max_asset_bytes;
        if max_bytes > self.max_canvas_asset_bytes {
            let hint = format!("must be at least {max_bytes} (--max-asset-bytes)");
            let value = self.max_canvas_asset_bytes;
            return Err(ConfigError::new("max-canvas-asset-bytes", value, hint));
        }
        Ok(AssetSettings {
            place: self.place(beside)?,
            max_bytes,
            canvas_bytes: self.max_canvas_asset_bytes,
            total_bytes: self.max_total_asset_bytes.value(),
            ttl: self.asset_ttl,
        })
    }

    fn place(&self, beside: &Beside<'_>) -> Result<AssetPlace, ConfigError> {
        if let Some(bucket) = in_bucket(self.assets_dir.as_deref(), &self.bucket)? {
            if beside.in_memory {
                let hint = "what is in a bucket outlives the process: with --queue off assets are in a temporary folder";
                return Err(ConfigError::new("assets-url", bucket.url, hint));
            }
            return Ok(AssetPlace::Bucket(bucket));
        }
        match &self.assets_dir {
            Some(dir) if dir.as_os_str() == "off" => Ok(AssetPlace::Off),
            Some(dir) if dir.exists() && !dir.is_dir() => {
                let hint = "is no folder; name one, or one that is not there yet";
                Err(ConfigError::new("assets-dir", dir.display(), hint))
            }
            Some(dir) => Ok(AssetPlace::Folder(dir.clone())),
            None if beside.over_redis => Ok(AssetPlace::Nowhere),
            None if beside.in_memory => Ok(AssetPlace::Temporary),
            None => Ok(AssetPlace::beside(beside.db)),
        }
    }
}

/// The bucket, if assets are in one.
pub(super) fn in_bucket(
    dir: Option<&Path>,
    bucket: &BucketArgs,
) -> Result<Option<BucketSettings>, ConfigError> {
    let bucket = bucket.resolve()?;
    match (&bucket, dir) {
        (Some(bucket), Some(dir)) => {
            let hint = format!(
                "assets are in --assets-url {} already: leave one out",
                bucket.url
            );
            Err(ConfigError::new("assets-dir", dir.display(), hint))
        }
        _ => Ok(bucket),
    }
}

impl AssetPlace {
    /// Where they are unless it is said.
    #[must_use]
    pub fn beside(db: &Path) -> Self {
        let mut name = db.as_os_str().to_owned();
        name.push(".assets");
        Self::Folder(name.into())
    }
}

impl AssetSettings {
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        let total = self.total_bytes;
        let mut all = vec![
            ("max-asset-bytes", self.max_bytes.to_string()),
            ("max-canvas-asset-bytes", self.canvas_bytes.to_string()),
            (
                "max-total-asset-bytes",
                total.map_or_else(|| "off".to_owned(), |total| total.to_string()),
            ),
            (
                "asset-ttl",
                humantime::format_duration(self.ttl).to_string(),
            ),
        ];
        match &self.place {
            AssetPlace::Folder(dir) => all.push(("assets-dir", dir.display().to_string())),
            AssetPlace::Bucket(bucket) => all.extend(bucket.effective()),
            AssetPlace::Off => all.push(("assets-dir", "off".to_owned())),
            // The same follows from the other flags again.
            AssetPlace::Temporary | AssetPlace::Nowhere => {}
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn place(flags: &[&str]) -> AssetPlace {
        Config::from_flags(flags.iter().copied())
            .unwrap()
            .assets
            .place
    }

    #[test]
    fn where_assets_are_follows_from_where_the_relay_is() {
        assert_eq!(place(&[]), AssetPlace::Folder("./scumble.db.assets".into()));
        assert_eq!(place(&["--queue=off"]), AssetPlace::Temporary);
        assert_eq!(place(&["--redis=redis://127.0.0.1"]), AssetPlace::Nowhere);
        let shared = ["--redis=redis://127.0.0.1", "--assets-dir=/srv/assets"];
        assert_eq!(place(&shared), AssetPlace::Folder("/srv/assets".into()));
        assert_eq!(place(&["--assets-dir=off"]), AssetPlace::Off);
    }

    #[test]
    fn contradictions_name_the_flag() {
        for (flags, hint) in [
            (
                &["--assets-dir=/dev/null"][..],
                "'--assets-dir': is no folder",
            ),
            (
                &["--max-canvas-asset-bytes=5000"],
                "'--max-canvas-asset-bytes': must be at least 20971520 (--max-asset-bytes)",
            ),
        ] {
            let error = Config::from_flags(flags.iter().copied()).unwrap_err();
            assert!(error.to_string().contains(hint), "{error}");
        }
    }
}
