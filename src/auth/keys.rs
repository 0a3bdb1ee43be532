//! The keys that check tokens. Each key has one algorithm. A token's header only chooses among the configured keys. It
//! can't make a public key pass for a shared secret.

use std::fmt;
use std::path::Path;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use super::claims::Claims;
use super::file_error::{FileResult, wrong};
use super::secret::{Secret, read_small};

/// The shortest RSA public key that is taken, in bytes of its DER form: 2048 bits and what is around them.
const MIN_RSA_BYTES: usize = 256;
/// An uncompressed and a compressed point of P-256.
const P256_POINT_BYTES: [usize; 2] = [65, 33];
/// A public key of Ed25519.
const ED25519_BYTES: usize = 32;

/// One key and its algorithm.
#[derive(Clone)]
struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// All keys; a token of any of them is good, so that keys can be changed one after the other.
#[derive(Clone, Default)]
pub struct Keys(Vec<Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| key.algorithm))
            .finish()
    }
}

impl Keys {
    /// Shared secrets, for HS256.
    pub fn of_secrets(secrets: Vec<Secret>) -> Self {
        let key = |secret: Secret| Key {
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret.expose()),
        };
        Self(secrets.into_iter().map(key).collect())
    }

    /// Adds the public key of a PEM file: Ed25519, RSA of at least 2048 bits, or P-256.
    ///
    /// # Errors
    /// When the file can't be read or holds something else.
    pub fn add_public_key(&mut self, path: &Path) -> FileResult<()> {
        let pem = read_small(path)?;
        // What is no text holds no key, and is refused for that.
        let pem = String::from_utf8_lossy(&pem);
        self.0
            .push(public_key(&pem).map_err(|why| wrong(why.to_string()))?);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a token's signature and reads what it says. Its times are for the caller to check.
    ///
    /// # Errors
    /// What is wrong with the token, in words for whoever made it.
    pub fn decode(&self, token: &str) -> Result<Claims, String> {
        let header = decode_header(token).map_err(|_| "the token is not a JWT".to_owned())?;
        if header.crit.is_some() {
            // RFC 7515, 4.1.11: what is critical and not understood makes the token invalid.
            return Err("the token has a crit header: this server knows no extension".to_owned());
        }
        let mut keys = self
            .0
            .iter()
            .filter(|key| key.algorithm == header.alg)
            .peekable();
        if keys.peek().is_none() {
            let known: Vec<String> = self
                .0
                .iter()
                .map(|k| format!("{:?}", k.algorithm))
                .collect();
            let known = known.join(", ");
            return Err(format!(
                "the token is signed with {:?}; this server takes {known}",
                header.alg
            ));
        }
        let mut why = String::new();
        for key in keys {
            match decode::<Claims>(token, &key.key, &validation(key.algorithm)) {
                Ok(token) => return Ok(token.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => {
                        why = "the token is not signed by a key of this server".to_owned();
                    }
                    ErrorKind::Json(error) => return Err(format!("the token's claims: {error}")),
                    _ => why = "the token is not a JWT".to_owned(),
                },
            }
        }
        Err(why)
    }
}

/// The signature and the algorithm; the times of the claims are checked by the gate, which has the clock.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

fn public_key(text: &str) -> Result<Key, String> {
    if text.contains("PRIVATE KEY") {
        return Err("holds a private key; only its public half belongs here".to_owned());
    }
    let pem = text.as_bytes();
    let tries = [
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
        (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
        (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
    ];
    let found = tries
        .into_iter()
        .find_map(|(algorithm, key)| key.ok().map(|key| Key { algorithm, key }));
    let key = found.ok_or("holds no public key in PEM: Ed25519, P-256 or RSA")?;
    let length = key.key.try_get_as_bytes().map_or(0, <[u8]>::len);
    match key.algorithm {
        Algorithm::EdDSA if length != ED25519_BYTES => Err("is no key of Ed25519".to_owned()),
        Algorithm::ES256 if !P256_POINT_BYTES.contains(&length) => {
            Err("is no key of P-256, which ES256 needs".to_owned())
        }
        Algorithm::RS256 if length < MIN_RSA_BYTES => {
            Err("is an RSA key of less than 2048 bits".to_owned())
        }
        _ => Ok(key),
    }
}

#[cfg(test)]
mod tests;
