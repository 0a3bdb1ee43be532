//! Makes tokens for development and tests. A production issuer is another program, with a key of its own.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use scumble::auth::claims::Access;
//! use scumble::auth::keys::Keys;
//! use scumble::auth::mint::{Wanted, mint};
//! use scumble::auth::secret::Secret;
//!
//! let secret = Secret::new("thirty-two bytes, or it is refused".to_owned());
//! let wanted = Wanted {
//!     subject: "ada".to_owned(),
//!     canvases: BTreeMap::from([("board-*".to_owned(), Access::Write)]),
//!     ttl: Duration::from_secs(3600),
//!     name: Some("Ada".to_owned()),
//!     color: None,
//!     token_id: None,
//! };
//! let token = mint(&secret, &wanted)?;
//!
//! let claims = Keys::of_secrets(vec![secret]).decode(&token)?;
//! assert_eq!(claims.access("board-7"), Some(Access::Write));
//! assert_eq!(claims.access("map-7"), None);
//! # Ok::<(), String>(())
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};

use super::claims::{Access, Claims};
use super::now_s;
use super::secret::Secret;

/// What the token is to say.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `sub`
    pub subject: String,
    /// `canvases`
    pub canvases: BTreeMap<String, Access>,
    /// From now on.
    pub ttl: Duration,
    /// `name`
    pub name: Option<String>,
    /// `color`
    pub color: Option<String>,
    /// `jti`
    pub token_id: Option<String>,
}

/// Makes a token, signed with HS256.
///
/// # Errors
/// When a claim is out of its bounds.
pub fn mint(secret: &Secret, wanted: &Wanted) -> Result<String, String> {
    let claims = Claims {
        sub: wanted.subject.clone(),
        exp: (now_s() + wanted.ttl.as_secs_f64()).floor(),
        nbf: None,
        jti: wanted.token_id.clone(),
        canvases: wanted.canvases.clone(),
        name: wanted.name.clone(),
        color: wanted.color.clone(),
    };
    claims.check()?;
    let key = EncodingKey::from_secret(secret.expose());
    encode(&Header::default(), &claims, &key).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_numbers() {
        let wanted = Wanted {
            subject: "ada".to_owned(),
            canvases: BTreeMap::new(),
            ttl: Duration::from_millis(1_500),
            name: None,
            color: None,
            token_id: None,
        };
        let token = mint(&Secret::new("x".repeat(32)), &wanted).unwrap();
        let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&token).unwrap();
        assert!(claims.claims["exp"].is_u64(), "{:?}", claims.claims);
    }
}
