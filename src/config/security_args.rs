//! The raw flags about who may enter, and what they become: [`Security`].

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::resolve::ConfigError;
use super::values::origin;
use crate::auth::keys::Keys;
use crate::auth::revoked::Revoked;
use crate::auth::secret::Secret;

/// Whether tokens are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Everybody may do everything.
    None,
    /// `hello.token` must be a JWT of a key that this server knows.
    Token,
}

/// The flags of `scumble serve` about who may enter.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Security")]
pub struct SecurityArgs {
    /// none: anybody may read and write every canvas; token: hello.token must be a JWT
    /// [default: token with a key, else none]
    #[arg(
        long,
        env = "SCUMBLE_AUTH",
        value_name = "MODE",
        hide_possible_values = true
    )]
    pub auth: Option<AuthMode>,

    /// File with a shared secret for tokens signed with HS256. Repeatable: any of them will do. Without it the variable
    /// SCUMBLE_AUTH_SECRET may hold the secret itself
    #[arg(
        long,
        env = "SCUMBLE_AUTH_SECRET_FILE",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub auth_secret_file: Vec<PathBuf>,

    /// PEM file with a public key: Ed25519 (EdDSA), P-256 (ES256) or RSA (RS256). Repeatable
    #[arg(
        long,
        env = "SCUMBLE_AUTH_PUBLIC_KEY_FILE",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub auth_public_key_file: Vec<PathBuf>,

    /// File with a jti or a sub a line whose tokens are no longer taken. Read again on SIGHUP
    #[arg(long, env = "SCUMBLE_REVOKED_FILE", value_name = "FILE")]
    pub revoked_file: Option<PathBuf>,

    /// Pages that may connect, by origin: scheme, host and port. Repeatable [default: all]
    #[arg(
        long,
        env = "SCUMBLE_ALLOWED_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    #[arg(value_parser = origin)]
    pub allowed_origin: Vec<String>,

    /// File with the bearer token of the server API. Without it, and without the variable SCUMBLE_API_TOKEN, the API answers
    /// this host's own processes only
    #[arg(long, env = "SCUMBLE_API_TOKEN_FILE", value_name = "FILE")]
    pub api_token_file: Option<PathBuf>,
}

/// Who may enter.
#[derive(Debug, Clone)]
pub struct Security {
    /// What tokens are checked with; empty: nobody is asked for one.
    pub keys: Keys,
    /// Where shared secrets were read from.
    pub secret_files: Vec<PathBuf>,
    /// Where public keys were read from.
    pub public_key_files: Vec<PathBuf>,
    /// Who is not let in any more.
    pub revoked_file: Option<PathBuf>,
    /// Pages that may connect; empty: all.
    pub allowed_origins: Vec<String>,
    /// Where the API's token was read from.
    pub api_token_file: Option<PathBuf>,
    /// The API's token.
    pub api_token: Option<Secret>,
}

impl SecurityArgs {
    /// Reads the files.
    pub(super) fn resolve(self) -> Result<Security, ConfigError> {
        let mut secrets = Vec::new();
        for file in &self.auth_secret_file {
            let read = Secret::read(file);
            secrets.push(read.map_err(at("auth-secret-file", file.display()))?);
        }
        if secrets.is_empty() && self.auth != Some(AuthMode::None) {
            secrets.extend(from_environment("SCUMBLE_AUTH_SECRET", "auth-secret-file")?);
        }
        let mut keys = Keys::of_secrets(secrets);
        for file in &self.auth_public_key_file {
            keys.add_public_key(file)
                .map_err(at("auth-public-key-file", file.display()))?;
        }
        match self.auth {
            Some(AuthMode::None) if !keys.is_empty() => {
                let hint = "contradicts --auth-secret-file and --auth-public-key-file";
                return Err(ConfigError::new("auth", "none", hint));
            }
            Some(AuthMode::Token) if keys.is_empty() => {
                let hint = "needs --auth-secret-file or --auth-public-key-file";
                return Err(ConfigError::new("auth", "token", hint));
            }
            _ => {}
        }
        if let Some(file) = &self.revoked_file {
            if keys.is_empty() {
                let hint =
                    "is of no use without tokens: --auth-secret-file or --auth-public-key-file";
                return Err(ConfigError::new("revoked-file", file.display(), hint));
            }
            Revoked::read(Some(file.clone())).map_err(at("revoked-file", file.display()))?;
        }
        let api_token = match &self.api_token_file {
            Some(file) => Some(Secret::read(file).map_err(at("api-token-file", file.display()))?),
            None => from_environment("SCUMBLE_API_TOKEN", "api-token-file")?,
        };
        Ok(Security {
            keys,
            secret_files: self.auth_secret_file,
            public_key_files: self.auth_public_key_file,
            revoked_file: self.revoked_file,
            allowed_origins: self.allowed_origin,
            api_token_file: self.api_token_file,
            api_token,
        })
    }
}

impl Security {
    /// Whether tokens are asked for.
    pub fn mode(&self) -> AuthMode {
        if self.keys.is_empty() {
            AuthMode::None
        } else {
            AuthMode::Token
        }
    }

    /// Whether strangers on the network may read and write everything.
    pub fn is_open_at(&self, listen: SocketAddr) -> bool {
        self.keys.is_empty() && !listen.ip().is_loopback()
    }

    /// See [`super::Config::effective`].
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        let auth = match self.mode() {
            AuthMode::None => "none",
            AuthMode::Token => "token",
        };
        let mut all = vec![("auth", auth.to_owned())];
        let mut add = |flag, file: &PathBuf| all.push((flag, file.display().to_string()));
        self.secret_files
            .iter()
            .for_each(|file| add("auth-secret-file", file));
        self.public_key_files
            .iter()
            .for_each(|file| add("auth-public-key-file", file));
        self.revoked_file
            .iter()
            .for_each(|file| add("revoked-file", file));
        self.api_token_file
            .iter()
            .for_each(|file| add("api-token-file", file));
        let origins = self.allowed_origins.iter();
        all.extend(origins.map(|origin| ("allowed-origin", origin.clone())));
        all
    }
}

fn at(flag: &'static str, value: impl std::fmt::Display) -> impl FnOnce(io::Error) -> ConfigError {
    move |error| ConfigError::new(flag, value, error.to_string())
}

/// A secret that a variable holds. Flags can't: everybody on the host sees those of a process.
#[expect(
    clippy::disallowed_methods,
    reason = "clap would offer a flag for it, and a flag is no place for a secret"
)]
fn from_environment(variable: &str, flag: &'static str) -> Result<Option<Secret>, ConfigError> {
    let Some(text) = std::env::var_os(variable) else {
        return Ok(None);
    };
    // Whoever sets it wants a secret asked for: going on without one would let everybody in.
    match text.into_string() {
        Ok(text) if !text.is_empty() => Ok(Some(Secret::new(text))),
        _ => {
            let hint = format!(
                "{variable} is set, but not to a text; put the secret into it, or unset it"
            );
            Err(ConfigError::new(flag, "", hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refused(flags: &[&str]) -> String {
        Config::from_flags(flags.iter().copied())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn wrong_files_are_named_with_their_flag() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (secret, empty) = (file("secret", "s3cret"), file("empty", "\n"));
        for (flags, why) in [
            (
                &["--auth-secret-file", "/no/such"][..],
                "'--auth-secret-file': No such file",
            ),
            (&["--auth-secret-file", &empty], "the file is empty"),
            (&["--auth-public-key-file", &secret], "no public key in PEM"),
            (&["--auth", "token"], "'--auth': needs --auth-secret-file"),
            (
                &["--auth", "none", "--auth-secret-file", &secret],
                "'--auth': contradicts",
            ),
            (
                &["--revoked-file", &empty],
                "'--revoked-file': is of no use without",
            ),
            (
                &["--revoked-file", "/no", "--auth-secret-file", &secret],
                "'--revoked-file': No such",
            ),
            (
                &["--api-token-file", "/no"],
                "'--api-token-file': No such file",
            ),
            (
                &["--allowed-origin", "example.org"],
                "https://app.example.org",
            ),
        ] {
            let told = refused(flags);
            assert!(told.contains(why), "{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
        let config = Config::from_flags(["--auth-secret-file", &secret]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
