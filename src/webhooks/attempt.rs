//! One attempt to deliver: where it may go, how long it may take, and what the answer means.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, redirect};

use crate::hooks::address::is_public;
use crate::hooks::{Webhook, signature};
use crate::limits::{WEBHOOK_MAX_PAUSE, WEBHOOK_TIMEOUT};

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The receiver has it.
    Taken,
    /// The receiver wants nothing more.
    Gone,
    /// It has to be tried again, for this reason; not before the pause is over, if the receiver asked for one.
    Failed {
        /// For people.
        why: String,
        /// At most [`WEBHOOK_MAX_PAUSE`].
        pause: Option<Duration>,
    },
}

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// Of the receiver's answer, if there was one.
    pub(super) status: Option<u16>,
    pub(super) ended: Ended,
}

/// Posts. Cheap to clone: connections are shared.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// For hooks that stay on the public internet.
    public: reqwest::Client,
    /// For those that may go anywhere.
    anywhere: reqwest::Client,
}

impl Client {
    pub(super) fn new() -> reqwest::Result<Self> {
        // Fails only where one is installed already, which will do as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("scumble/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .no_proxy()
                .http1_only()
                .timeout(WEBHOOK_TIMEOUT)
                .connect_timeout(WEBHOOK_TIMEOUT)
        };
        Ok(Self {
            public: client().dns_resolver(PublicOnly).build()?,
            anywhere: client().build()?,
        })
    }

    /// Posts a body once, signed at this moment.
    pub(super) async fn post(&self, webhook: &Webhook, id: &str, body: String) -> Made {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let timestamp = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let signed = signature::header(&webhook.secrets, id, timestamp, body.as_bytes());
        let client = match webhook.allow_private {
            true => &self.anywhere,
            false => &self.public,
        };
        let sent = client
            .post(&webhook.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signed)
            .body(body)
            .send()
            .await;
        match sent {
            Ok(answer) => Made {
                status: Some(answer.status().as_u16()),
                ended: judge(answer.status(), answer.headers()),
            },
            Err(error) => Made {
                status: None,
                ended: Ended::Failed {
                    why: reason(&error),
                    pause: None,
                },
            },
        }
    }
}

/// What the receiver's status says. Its body is not read.
fn judge(status: StatusCode, headers: &HeaderMap) -> Ended {
    if status.is_success() {
        return Ended::Taken;
    }
    if status == StatusCode::GONE {
        return Ended::Gone;
    }
    let later = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let why = match status.is_redirection() {
        true => format!("the receiver answered {status}: redirects are not followed"),
        false => format!("the receiver answered {status}"),
    };
    Ended::Failed {
        why,
        pause: later.then(|| retry_after(headers)).flatten(),
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            at.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(asked.min(WEBHOOK_MAX_PAUSE))
}

/// The innermost reason: those around it say only that something failed.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", WEBHOOK_TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Looks names up, and leaves out what is not of the public internet. Each connection asks anew, so a name that changes its
/// address after it was checked gains nothing.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                let text = format!(
                    "{} leads into a private network: allow_private = true allows that",
                    name.as_str()
                );
                return Err(text.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, retry_after.parse().unwrap())])
    }

    #[test]
    fn what_an_answer_means() {
        let none = HeaderMap::new();
        for status in [200, 202, 204] {
            assert_eq!(
                judge(StatusCode::from_u16(status).unwrap(), &none),
                Ended::Taken
            );
        }
        assert_eq!(judge(StatusCode::GONE, &none), Ended::Gone);
        for status in [301, 307, 400, 404, 429, 500, 503] {
            let ended = judge(StatusCode::from_u16(status).unwrap(), &none);
            assert!(
                matches!(ended, Ended::Failed { pause: None, .. }),
                "{status}: {ended:?}"
            );
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_pause_within_bounds() {
        let pause = |status, text: &str| match judge(status, &headers(text)) {
            Ended::Failed { pause, .. } => pause,
            other => panic!("{other:?}"),
        };
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(pause(busy, "7"), Some(Duration::from_secs(7)));
        assert_eq!(
            pause(StatusCode::TOO_MANY_REQUESTS, "7"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(pause(busy, "99999999"), Some(WEBHOOK_MAX_PAUSE));
        assert_eq!(
            pause(busy, "Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(pause(busy, "soon"), None);
        assert_eq!(pause(StatusCode::INTERNAL_SERVER_ERROR, "7"), None);
    }

    #[tokio::test]
    async fn a_name_of_this_host_is_refused_where_it_is_looked_up() {
        let refused = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(
            refused
                .err()
                .unwrap()
                .to_string()
                .contains("private network")
        );
    }
}
