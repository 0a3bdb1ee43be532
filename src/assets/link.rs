//! Signed links to assets, for `<img>` and other places that can't send a header. A link is for one asset of one
//! canvas, and ends within an hour.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::limits::ASSET_LINK;
use crate::protocol::ids::CanvasId;

/// What a signature of this key is for.
const PURPOSE: &str = "scumble asset link 1";

/// Signs links. All processes of a relay have the same key, which the index keeps.
#[derive(Clone)]
pub struct Links {
    key: Vec<u8>,
}

/// A link's query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// When it ends, in seconds since 1970.
    pub until_s: u64,
    /// Who has the key has written that.
    pub signature: String,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Links(…)")
    }
}

impl Links {
    /// With that key.
    #[must_use]
    pub fn new(key: Vec<u8>) -> Self {
        Self { key }
    }

    /// A link that ends within an hour, and not after `latest_s`. For half an hour it is the same one, so that browsers and proxies find again
    /// what they have.
    #[must_use]
    pub fn sign(&self, canvas: &CanvasId, sha256: &str, now_s: u64, latest_s: u64) -> Link {
        let half = ASSET_LINK.as_secs() / 2;
        let until_s = ((now_s / half + 2) * half).min(latest_s);
        let signature = URL_SAFE_NO_PAD.encode(self.signature(canvas, sha256, until_s));
        Link { until_s, signature }
    }

    /// Whether that link is one of these, and has not ended.
    #[must_use]
    pub fn check(&self, canvas: &CanvasId, sha256: &str, link: &Link, now_s: u64) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(&link.signature) else {
            return false;
        };
        let signature = self.signature(canvas, sha256, link.until_s);
        let right: bool = signature.as_slice().ct_eq(&given).into();
        right && now_s < link.until_s
    }

    fn signature(&self, canvas: &CanvasId, sha256: &str, until_s: u64) -> Vec<u8> {
        // A key of any length will do for HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return Vec::new();
        };
        mac.update(format!("{PURPOSE}\n{canvas}\n{sha256}\n{until_s}").as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

impl Link {
    /// As it stands behind the `?`.
    #[must_use]
    pub fn query(&self) -> String {
        format!("exp={}&sig={}", self.until_s, self.signature)
    }

    /// Reads that; `None` where no link is meant, an error that says what would be right where it is not one.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(query: &str) -> Result<Option<Self>, &'static str> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        match (value("exp"), value("sig")) {
            (None, None) => Ok(None),
            (Some(until_s), Some(signature)) => {
                let until_s = until_s
                    .parse()
                    .map_err(|_| "exp must be a whole number of seconds since 1970")?;
                let signature = signature.to_owned();
                Ok(Some(Self { until_s, signature }))
            }
            _ => Err("a link has both exp and sig"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas(name: &str) -> CanvasId {
        CanvasId::parse(name).unwrap()
    }

    const SHA: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

    #[test]
    fn a_link_is_good_for_its_asset_on_its_canvas_until_it_ends() {
        let (links, board) = (Links::new(vec![7; 32]), canvas("board"));
        let now = 1_000_000_000;
        let link = links.sign(&board, SHA, now, u64::MAX);
        assert!(link.until_s > now + 1_799 && link.until_s <= now + 3_600);
        let there = Links::new(vec![7; 32]);
        assert!(there.check(&board, SHA, &link, now));
        assert!(!there.check(&board, SHA, &link, link.until_s));
        assert!(!there.check(&canvas("other"), SHA, &link, now));
        assert!(!there.check(&board, &SHA.replace('b', "c"), &link, now));
        assert!(!Links::new(vec![8; 32]).check(&board, SHA, &link, now));
        let later = Link {
            until_s: link.until_s + 1,
            ..link.clone()
        };
        assert!(!there.check(&board, SHA, &later, now));
        assert_eq!(Link::parse(&link.query()), Ok(Some(link)));
    }

    #[test]
    fn a_link_is_the_same_for_half_an_hour_and_no_longer_than_the_token() {
        let (links, board) = (Links::new(vec![7; 32]), canvas("board"));
        let now = 1_800 * 1_000;
        let link = links.sign(&board, SHA, now, u64::MAX);
        assert_eq!(link, links.sign(&board, SHA, now + 1_799, u64::MAX));
        assert_ne!(link, links.sign(&board, SHA, now + 1_800, u64::MAX));
        assert_eq!(links.sign(&board, SHA, now, now + 10).until_s, now + 10);
    }

    #[test]
    fn half_a_link_is_a_mistake() {
        assert_eq!(Link::parse(""), Ok(None));
        assert_eq!(Link::parse("v=1"), Ok(None));
        for bad in ["exp=1", "sig=x", "exp=soon&sig=x", "exp=-1&sig=x"] {
            assert!(Link::parse(bad).is_err(), "{bad}");
        }
    }
}
