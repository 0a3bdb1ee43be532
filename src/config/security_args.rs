//! The raw flags that say who may enter, and the settings that follow from them: [`Security`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::resolve::ConfigError;
use super::values::origin;
use crate::auth::api_tokens::ApiTokens;
use crate::auth::file_error::{FileError, FileResult};
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

    /// Start without tokens on an address that other hosts reach: anybody there may read and write every canvas
    #[arg(long, env = "SCUMBLE_INSECURE_OPEN", action = clap::ArgAction::Set)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(
        default_value = "false",
        hide_default_value = true,
        value_name = "BOOL"
    )]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), hide_possible_values = true)]
    pub insecure_open: bool,

    /// File with a shared secret of at least 32 bytes for tokens signed with HS256. Repeatable: a token may be signed
    /// with any of them. Without it the variable SCUMBLE_AUTH_SECRET may hold the secret itself
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

    /// File with one jti or sub a line: tokens that have it are refused. Read again on SIGHUP
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

    /// File with the bearer tokens of the server API: one for everything, or NAME SCOPES TOKEN a line, with scopes
    /// of read, publish, manage, jobs and admin. Without it, and without the variable SCUMBLE_API_TOKEN, the API answers
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
    /// Strangers may read and write everything, and that is meant so.
    pub insecure_open: bool,
    /// Pages that may connect; empty: all.
    pub allowed_origins: Vec<String>,
    /// Where the API's token was read from.
    pub api_token_file: Option<PathBuf>,
    /// The API's tokens.
    pub api_tokens: Option<ApiTokens>,
}

impl SecurityArgs {
    /// Reads the files.
    pub(super) fn resolve(self) -> Result<Security, ConfigError> {
        let with_environment = self.auth != Some(AuthMode::None);
        let keys = read_keys(
            &self.auth_secret_file,
            &self.auth_public_key_file,
            with_environment,
        );
        let file = self.revoked_file.clone().unwrap_or_default();
        let revoked = Revoked::read(self.revoked_file.clone());
        let revoked = revoked.map_err(at("revoked-file", file.display()));
        let api_tokens = api_tokens(self.api_token_file.as_deref());
        let wrong = [
            keys.as_ref().err(),
            revoked.as_ref().err(),
            api_tokens.as_ref().err(),
        ];
        ConfigError::together(wrong.into_iter().flatten().cloned())?;
        let keys = keys?;
        let api_tokens = api_tokens?;
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
        if let Some(file) = &self.revoked_file
            && keys.is_empty()
        {
            let hint = "is of no use without tokens: --auth-secret-file or --auth-public-key-file";
            return Err(ConfigError::new("revoked-file", file.display(), hint));
        }
        Ok(Security {
            keys,
            secret_files: self.auth_secret_file,
            public_key_files: self.auth_public_key_file,
            revoked_file: self.revoked_file,
            allowed_origins: self.allowed_origin,
            api_token_file: self.api_token_file,
            api_tokens,
            insecure_open: self.insecure_open,
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

    /// Reads the keys' files again. What the environment holds stays as it is.
    ///
    /// # Errors
    /// When one of them can't be read, or is no key any more.
    pub fn read_keys(&self) -> Result<Keys, ConfigError> {
        let with_environment = self.mode() == AuthMode::Token;
        read_keys(&self.secret_files, &self.public_key_files, with_environment)
    }

    /// Whether strangers on the network may read and write everything.
    pub fn is_open_at(&self, listen: SocketAddr) -> bool {
        self.keys.is_empty() && !listen.ip().is_loopback()
    }

    /// Refuses what nobody means: a relay for everybody on the network.
    pub(super) fn check(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        if !self.is_open_at(listen) || self.insecure_open {
            return Ok(());
        }
        let hint = "with --auth none anyone who reaches this address may read and write every canvas: give --auth-secret-file or \
                    --auth-public-key-file, listen on 127.0.0.1 behind a proxy, or say --insecure-open";
        Err(ConfigError::new("listen", listen, hint))
    }

    /// See [`super::Config::effective`].
    pub(super) fn effective(&self) -> Vec<(&'static str, String)> {
        let auth = match self.mode() {
            AuthMode::None => "none",
            AuthMode::Token => "token",
        };
        let mut all = vec![
            ("auth", auth.to_owned()),
            ("insecure-open", self.insecure_open.to_string()),
        ];
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

fn read_keys(
    secret_files: &[PathBuf],
    public_key_files: &[PathBuf],
    with_environment: bool,
) -> Result<Keys, ConfigError> {
    let mut secrets = Vec::new();
    let mut wrong = Vec::new();
    for file in secret_files {
        let read = Secret::read(file).and_then(signing);
        match read.map_err(at("auth-secret-file", file.display())) {
            Ok(secret) => secrets.push(secret),
            Err(error) => wrong.push(error),
        }
    }
    if secret_files.is_empty() && with_environment {
        let variable = "SCUMBLE_AUTH_SECRET";
        let flag = "auth-secret-file";
        if let Some(secret) = from_environment(variable, flag)? {
            secrets.push(signing(secret).map_err(at(flag, variable))?);
        }
    }
    let mut keys = Keys::of_secrets(secrets);
    for file in public_key_files {
        let read = keys.add_public_key(file);
        wrong.extend(
            read.map_err(at("auth-public-key-file", file.display()))
                .err(),
        );
    }
    ConfigError::together(wrong)?;
    Ok(keys)
}

/// A secret that is long enough to sign with.
fn signing(secret: Secret) -> FileResult<Secret> {
    secret.check_length(Secret::MIN_KEY_BYTES)?;
    Ok(secret)
}

fn api_tokens(file: Option<&Path>) -> Result<Option<ApiTokens>, ConfigError> {
    let variable = "SCUMBLE_API_TOKEN";
    let flag = "api-token-file";
    match file {
        Some(file) => ApiTokens::read(file)
            .map(Some)
            .map_err(at(flag, file.display())),
        None => {
            let single = from_environment(variable, flag)?.map(ApiTokens::single);
            single.transpose().map_err(at(flag, variable))
        }
    }
}

fn at(flag: &'static str, value: impl std::fmt::Display) -> impl FnOnce(FileError) -> ConfigError {
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
    use std::os::unix::fs::PermissionsExt;

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
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let secret = file("secret", &"s3cret".repeat(6));
        let (short, empty) = (file("short", "s3cret"), file("empty", "\n"));
        let everybodys = file("everybodys", &"s3cret".repeat(6));
        let mode = PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&everybodys, mode).unwrap();
        for (flags, why) in [
            (
                &["--auth-secret-file", "/no/such"][..],
                "'--auth-secret-file': No such file",
            ),
            (&["--auth-secret-file", &empty], "the file is empty"),
            (&["--auth-secret-file", &short], "at least 32 bytes, not 6"),
            (
                &["--auth-secret-file", &everybodys],
                "(mode 0644): chmod 600",
            ),
            (&["--api-token-file", &short], "at least 16 bytes, not 6"),
            (&["--api-token-file", &everybodys], "(mode 0644): chmod 600"),
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

    #[test]
    fn all_wrong_files_are_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let everybodys = dir.path().join("everybodys");
        std::fs::write(&everybodys, "x".repeat(32)).unwrap();
        std::fs::set_permissions(&everybodys, PermissionsExt::from_mode(0o644)).unwrap();
        let everybodys = everybodys.display().to_string();
        let told = refused(&[
            "--auth-secret-file=/no/secret",
            &format!("--auth-secret-file={everybodys}"),
            "--auth-public-key-file=/no/key",
            "--revoked-file=/no/revoked",
            &format!("--api-token-file={everybodys}"),
            "--hooks=/no/hooks",
        ]);
        let begins = told.lines().map(|line| line.trim_start_matches("error: "));
        let lines = begins.filter(|line| line.starts_with("invalid value '/"));
        assert_eq!(lines.count(), 6, "{told}");
        assert_eq!(told.matches("(mode 0644): chmod 600").count(), 2, "{told}");
        assert_eq!(told.matches("No such file").count(), 4, "{told}");
    }

    #[test]
    fn everybody_on_the_network_is_let_in_only_if_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "x".repeat(32)).unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        let secret = secret.display().to_string();
        for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[2001:db8::1]:80"] {
            let told = refused(&["--listen", listen]);
            assert!(
                told.contains("--insecure-open") && told.contains(listen),
                "{told}"
            );
            let open = Config::from_flags(["--listen", listen, "--insecure-open"]);
            assert!(open.unwrap().security.insecure_open);
            assert!(
                Config::from_flags(["--listen", listen, "--auth-secret-file", &secret]).is_ok()
            );
        }
        for listen in ["127.0.0.1:0", "[::1]:0", "127.9.9.9:80"] {
            assert!(Config::from_flags(["--listen", listen]).is_ok(), "{listen}");
        }
    }
}
