//! Where Redis is now: at its address, or where sentinels say that the master is. Also how it proves that it is the
//! right one (TLS).

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, ProtocolVersion, TlsCertificates,
};

use crate::config::{RedisTls, RedisUrl, Sentinels};

/// For a sentinel's answer: the next is asked then.
const SENTINEL: Duration = Duration::from_secs(1);
/// How often sentinels are asked where the master is.
const FOLLOW: Duration = Duration::from_secs(1);

/// How to find Redis.
pub(super) struct Address {
    info: ConnectionInfo,
    sentinels: Option<Sentinels>,
    tls: Option<TlsCertificates>,
}

impl Address {
    /// # Errors
    /// What is wrong with the address.
    pub(super) fn new(url: &RedisUrl, tls: &RedisTls) -> Result<Self, String> {
        let (info, sentinels) = url.taken_apart()?;
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let tls = encrypted.then(|| TlsCertificates {
            client_tls: tls.client.clone().map(|(cert, key)| ClientTlsConfig {
                client_cert: cert,
                client_key: key,
            }),
            root_cert: tls.ca.clone(),
        });
        Ok(Self {
            info: info.set_redis_settings(settings),
            sentinels,
            tls,
        })
    }

    /// What connects to where it is now, and the name of that place.
    ///
    /// # Errors
    /// Why that is not known.
    pub(super) async fn client(&self) -> Result<(Client, String), String> {
        let Some(sentinels) = &self.sentinels else {
            let client = self.client_of(self.info.clone())?;
            return Ok((client, self.info.addr().to_string()));
        };
        let (host, port) = self.ask(sentinels).await?;
        let place = format!("{host}:{port}");
        let addr = match &self.tls {
            Some(_) => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            None => ConnectionAddr::Tcp(host, port),
        };
        Ok((self.client_of(self.info.clone().set_addr(addr))?, place))
    }

    fn client_of(&self, info: ConnectionInfo) -> Result<Client, String> {
        let client = match &self.tls {
            Some(tls) => Client::build_with_tls(info, tls.clone()),
            None => Client::open(info),
        };
        client.map_err(|e| e.to_string())
    }

    /// Where the master is, as the first sentinel says that answers.
    ///
    /// # Errors
    /// What the last one said.
    pub(super) async fn ask(&self, sentinels: &Sentinels) -> Result<(String, u16), String> {
        let mut why = String::new();
        for (host, port) in &sentinels.addresses {
            let asked = ask(host, *port, &sentinels.master);
            match tokio::time::timeout(SENTINEL, asked).await {
                Ok(Ok(Some(place))) => return Ok(place),
                Ok(Ok(None)) => {
                    let master = &sentinels.master;
                    why = format!("the sentinel {host}:{port} knows no master {master}");
                }
                Ok(Err(error)) => why = format!("the sentinel {host}:{port}: {error}"),
                Err(_) => why = format!("the sentinel {host}:{port} does not answer"),
            }
        }
        Err(why)
    }

    /// Waits until sentinels say that the master is elsewhere: a server that they took the place of is left, also one that
    /// still answers.
    pub(super) async fn left(&self, place: &str) -> String {
        let Some(sentinels) = &self.sentinels else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(FOLLOW).await;
            let Ok((host, port)) = self.ask(sentinels).await else {
                continue;
            };
            let now = format!("{host}:{port}");
            if now != place {
                return format!("the sentinels say that the master is at {now} now");
            }
        }
    }
}

async fn ask(host: &str, port: u16, master: &str) -> redis::RedisResult<Option<(String, u16)>> {
    let info = (host, port).into_connection_info()?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(SENTINEL))
        .set_response_timeout(Some(SENTINEL));
    let client = Client::open(info)?;
    let mut conn = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let mut ask = redis::cmd("SENTINEL");
    ask.arg("get-master-addr-by-name").arg(master);
    ask.query_async(&mut conn).await
}
