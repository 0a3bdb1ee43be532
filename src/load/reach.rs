//! How a load gets into a protected relay: the certificates that it trusts, and the tokens that it shows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::Connector;

use crate::auth::claims::Access;
use crate::auth::mint::{Wanted, mint};
use crate::auth::secret::Secret;

/// Tokens that are made are good for this long: the longest load, and some.
const TOKEN_TTL: Duration = Duration::from_secs(25 * 3600);

/// What all loads over WebSockets take.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReachArgs {
    /// PEM file with the certificates to trust behind wss:// [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// File with tokens, one a line; clients take them in turn
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    token_file: Option<PathBuf>,
    /// The file that the relay is given as --auth-secret-file: each client gets a token of its own
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// What a client shows at the door.
#[derive(Debug, Default)]
enum Pass {
    #[default]
    None,
    Given(Vec<String>),
    Made(Secret),
}

#[derive(Default)]
struct Reach {
    connector: Option<Connector>,
    pass: Pass,
}

/// One load a process: said once, before its first connection.
static REACH: OnceLock<Reach> = OnceLock::new();

impl ReachArgs {
    /// Reads the files, for all connections from here on.
    ///
    /// # Errors
    /// When one of them can't be read, or holds nothing of use.
    pub fn settle(&self, tls: bool) -> anyhow::Result<()> {
        let connector = if tls { Some(self.connector()?) } else { None };
        let pass = match (&self.token_file, &self.secret_file) {
            (Some(file), _) => {
                let read = std::fs::read_to_string(file);
                let text = read.with_context(|| format!("--token-file {}", file.display()))?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                let tokens: Vec<_> = lines.map(str::to_owned).collect();
                if tokens.is_empty() {
                    bail!("--token-file {}: there is no token in it", file.display());
                }
                Pass::Given(tokens)
            }
            (None, Some(file)) => {
                let secret = Secret::read(file);
                Pass::Made(secret.with_context(|| format!("--secret-file {}", file.display()))?)
            }
            (None, None) => Pass::None,
        };
        // Said before: then that stays.
        let _ = REACH.set(Reach { connector, pass });
        Ok(())
    }

    fn connector(&self) -> anyhow::Result<Connector> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca_file {
            let named = || format!("--ca-file {}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).with_context(named)? {
                roots
                    .add(certificate.with_context(named)?)
                    .with_context(named)?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            bail!("no certificate to trust behind wss://: name some with --ca-file");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Connector::Rustls(Arc::new(config)))
    }
}

/// How to speak TLS; `None` where no relay asks for it.
pub fn connector() -> Option<Connector> {
    REACH.get().and_then(|reach| reach.connector.clone())
}

/// The token of a client, if one was asked for.
pub fn token(client: &str, number: usize) -> Option<String> {
    match &REACH.get()?.pass {
        Pass::None => None,
        Pass::Given(tokens) => tokens.get(number % tokens.len()).cloned(),
        Pass::Made(secret) => {
            let wanted = Wanted {
                subject: client.to_owned(),
                canvases: BTreeMap::from([("*".to_owned(), Access::Write)]),
                ttl: TOKEN_TTL,
                name: None,
                color: None,
                token_id: None,
            };
            mint(secret, &wanted).ok()
        }
    }
}
