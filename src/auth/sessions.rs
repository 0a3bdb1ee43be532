//! Sessions of the dashboard. A cookie says that its bearer has shown an API token of scope `admin`. It is signed with
//! a key that is derived from the token.
//!
//! Nothing is stored. Every process that has the token can check the cookie, and sessions cost no memory. To end all
//! sessions of a token, take it out of the file.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::api_tokens::{ApiToken, ApiTokens, Scope};

/// What the key is for: a signature of it is none of anything else.
const PURPOSE: &[u8] = b"scumble dashboard session 1";

/// A cookie's value for that token's bearer, good until `until_s`, in seconds since 1970.
pub fn issue(token: &ApiToken, until_s: u64) -> String {
    let said = format!("{}.{until_s}", token.name);
    let signature = URL_SAFE_NO_PAD.encode(sign(token, &said));
    format!("{said}.{signature}")
}

/// Whose session that is, if it is one, its token is still there and still for everything, and it has not ended.
pub fn check<'a>(tokens: &'a ApiTokens, cookie: &str, now_s: u64) -> Option<&'a ApiToken> {
    let (said, signature) = cookie.rsplit_once('.')?;
    let (name, until_s) = said.rsplit_once('.')?;
    let token = tokens.named(name)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let right: bool = sign(token, said).as_slice().ct_eq(&signature).into();
    let lasts = until_s.parse::<u64>().ok()? > now_s;
    (right && lasts && token.allows(Scope::Admin)).then_some(token)
}

fn sign(token: &ApiToken, said: &str) -> Vec<u8> {
    let key = mac(token.secret(), PURPOSE);
    mac(&key, said.as_bytes())
}

fn mac(key: &[u8], what: &[u8]) -> Vec<u8> {
    // A key of any length will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(what);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::Secret;

    fn tokens(secret: &str) -> ApiTokens {
        ApiTokens::single(Secret::new(secret.to_owned())).unwrap()
    }

    #[test]
    fn a_session_is_good_wherever_the_token_is_until_it_ends() {
        let (here, there) = (tokens(&"a".repeat(32)), tokens(&"a".repeat(32)));
        let cookie = issue(here.named("api").unwrap(), 1_000);
        assert_eq!(check(&there, &cookie, 999).unwrap().name, "api");
        assert!(check(&there, &cookie, 1_000).is_none());
        assert!(!cookie.contains("aaaa"), "the token is not in it");
    }

    #[test]
    fn what_is_changed_or_of_another_token_is_no_session() {
        let own = tokens(&"a".repeat(32));
        let cookie = issue(own.named("api").unwrap(), 1_000);
        assert!(check(&tokens(&"b".repeat(32)), &cookie, 1).is_none());
        let later = cookie.replace("1000", "9000");
        let other = cookie.replace("api", "ops");
        let cut = &cookie[..cookie.len() - 2];
        for wrong in ["", ".", "..", "api.1000.", &later, &other, cut] {
            assert!(check(&own, wrong, 1).is_none(), "{wrong}");
        }
    }
}
