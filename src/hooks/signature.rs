//! The signature of an attempt, as Standard Webhooks specifies it: the libraries of Standard Webhooks verify it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the specification asks for them.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A shared secret. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    text: String,
    key: Vec<u8>,
}

impl SigningSecret {
    /// Reads `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// What would be right. The text itself is not in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let encoded = text.strip_prefix(PREFIX);
        let key = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
        match key.filter(|key| LENGTHS.contains(&key.len())) {
            Some(key) => Ok(Self {
                text: text.to_owned(),
                key,
            }),
            None => Err(format!(
                "a secret is \"{PREFIX}\" and 24 to 64 bytes in base64: echo \"{PREFIX}$(openssl rand -base64 32)\" makes one"
            )),
        }
    }

    /// The text that it was read from.
    pub fn expose(&self) -> &str {
        &self.text
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // A key of any length will do for HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The header `webhook-signature` of one attempt: a signature of each secret, the first one's first. `timestamp` is in
/// seconds since the epoch.
///
/// ```
/// use scumble::hooks::signature::{SigningSecret, header};
///
/// // While secrets are changed there are two. A receiver accepts what one of its own has signed.
/// let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_b2xkIHNlY3JldCBvZiAyNCBieXRlcyEh"]
///     .map(|text| SigningSecret::parse(text).unwrap());
/// let signed = header(&secrets, "msg_1", 1_674_087_231, br#"{"type":"chat.sent"}"#);
/// assert_eq!(signed.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
/// ```
pub fn header(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| secret.sign(id, timestamp, body))
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        // The example of the specification.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = header(
            &[secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_while_they_are_exchanged() {
        let secrets = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        ]
        .map(|text| SigningSecret::parse(text).unwrap());
        let both = header(&secrets, "id", 1, b"{}");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, header(&secrets[..1], "id", 1, b"{}"));
        assert_eq!(second, header(&secrets[1..], "id", 1, b"{}"));
        assert_ne!(first, second);
    }

    #[test]
    fn a_secret_is_neither_short_nor_printed() {
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_%%%",
        ] {
            let error = SigningSecret::parse(text).unwrap_err();
            assert!(error.contains("24 to 64 bytes"), "{error}");
            assert!(text.len() < 8 || !error.contains(text), "{error}");
        }
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert!(!format!("{secret:?}").contains("MfKQ"));
    }
}
