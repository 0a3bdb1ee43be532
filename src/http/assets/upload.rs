//! `PUT /assets/{canvas}/{sha256}`: the bytes are checked while they come. A task of its own takes them, so that it can
//! remove the rest of an upload whose client goes away.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::passing::pass;
use super::access::{self, Asking};
use super::{AssetState, Names, Place, Refused, failed, json_response, refusal, told};
use crate::assets::Assets;
use crate::assets::kinds::Kind;
use crate::auth::claims::Access;
use crate::limits::{ASSET_UPLOAD, ASSET_UPLOADS, ASSET_UPLOADS_PER_ADDRESS, PROGRESS_BYTES};
use crate::socket::places::household;

/// Uploads under way on this process.
#[derive(Debug)]
pub(super) struct Uploads {
    taken: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// One upload's place. Given back when dropped.
#[derive(Debug)]
struct Seat {
    uploads: Arc<Uploads>,
    address: Option<IpAddr>,
}

impl Uploads {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
        })
    }

    /// A place for an upload from there.
    fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Seat, &'static str> {
        let address = address.map(|address| household(address.to_canonical()));
        let (all, by_address) = &mut *self.taken.lock();
        if *all >= ASSET_UPLOADS {
            return Err("too many uploads at once; try again soon");
        }
        if let Some(address) = address {
            let own = by_address.entry(address).or_default();
            if *own >= ASSET_UPLOADS_PER_ADDRESS {
                return Err("too many uploads at once from this address; try again soon");
            }
            *own += 1;
        }
        *all += 1;
        Ok(Seat {
            uploads: self.clone(),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (all, by_address) = &mut *self.uploads.taken.lock();
        *all -= 1;
        let Some(address) = self.address else { return };
        if let Some(own) = by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// What a request says of its body.
struct Asked {
    place: Place,
    kind: Kind,
    /// When the token ends.
    latest_s: u64,
    seat: Seat,
}

pub(super) async fn put(
    state: &AssetState,
    names: Names,
    request: Request,
) -> Result<Response, Refused> {
    let admitted = admitted(state, names, &request);
    let body = request.into_body();
    let (assets, asked) = match admitted {
        Ok(admitted) => admitted,
        Err(refused) => {
            // Who still sends would not hear the answer.
            let most = usize::try_from(state.hub.config.assets.max_bytes).unwrap_or(usize::MAX);
            pass(body, most / 2).await;
            return Err(refused);
        }
    };
    let (answer, answered) = oneshot::channel();
    let patience = state.hub.config.write_timeout;
    state.spawner.spawn(async move {
        let result = taken(&assets, asked, body, patience).await;
        // The client may be gone.
        let _ = answer.send(result);
    });
    answered.await.unwrap_or_else(|_| {
        let message = "the upload was given up";
        Err(refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            message,
        ))
    })
}

/// Whether the request may send its body at all.
fn admitted(
    state: &AssetState,
    names: Names,
    request: &Request,
) -> Result<(Arc<Assets>, Asked), Refused> {
    let headers = request.headers();
    let place = state.place(names, headers)?;
    let assets = state.assets()?.clone();
    let asking = Asking::of(&state.hub, request);
    let latest_s = access::granted(&state.hub, &asking, &place.canvas, Access::Write)?;
    if state.hub.draining() {
        return Err(super::later("draining", "this instance is shutting down"));
    }
    let kind = kind(headers)?;
    let most = assets.max_bytes();
    if request.body().size_hint().lower() > most {
        return Err(too_large(most));
    }
    let seat = state.uploads.enter(asking.from).map_err(|message| {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut response = refusal(status, "rate-limited", message);
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
        response
    })?;
    let asked = Asked {
        place,
        kind,
        latest_s,
        seat,
    };
    Ok((assets, asked))
}

fn kind(headers: &HeaderMap) -> Result<Kind, Refused> {
    let said = headers.get(header::CONTENT_TYPE);
    let said = said.and_then(|said| said.to_str().ok()).unwrap_or_default();
    Kind::of(said).ok_or_else(|| {
        let message = format!("Content-Type must be one of {}", Kind::list());
        refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad-type", &message)
    })
}

fn too_large(most: u64) -> Refused {
    let message = format!("an asset has at most {most} bytes (--max-asset-bytes)");
    refusal(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &message)
}

/// Takes a body to its end.
async fn taken(
    assets: &Assets,
    asked: Asked,
    mut body: Body,
    patience: Duration,
) -> Result<Response, Refused> {
    let Asked {
        place,
        kind,
        latest_s,
        seat,
    } = asked;
    let begun = assets.upload(&place.canvas, &place.sha256, kind).await;
    let mut upload = begun.map_err(|e| failed(&e))?;
    let now = Instant::now();
    let mut progress = Progress::new(patience, now);
    let until = now + ASSET_UPLOAD;
    let read = loop {
        let frame = tokio::time::timeout_at(progress.until.min(until), body.frame());
        let bytes = match frame.await {
            Err(_) => break Err(too_slow(patience)),
            Ok(None) => break Ok(()),
            Ok(Some(Err(_))) => {
                let message = "the body could not be read to its end";
                break Err(refusal(StatusCode::BAD_REQUEST, "bad-request", message));
            }
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        let came = Instant::now();
        progress.made(bytes.len(), came);
        if let Err(error) = upload.push(&bytes).await {
            break Err(failed(&error));
        }
        // The disk's time is not the client's.
        progress.goes_on(came.elapsed());
    };
    if let Err(refused) = read {
        drop(upload);
        if !body.is_end_stream() && refused.status() != StatusCode::REQUEST_TIMEOUT {
            let most = usize::try_from(assets.max_bytes()).unwrap_or(usize::MAX);
            pass(body, most / 2).await;
        }
        return Err(refused);
    }
    let uploaded = upload.finish().await.map_err(|e| failed(&e))?;
    drop(seat);
    let mut answer = told(assets, &place, latest_s).await?;
    answer["bytes"] = uploaded.asset.bytes.into();
    answer["type"] = json!(uploaded.asset.kind.name);
    let status = if uploaded.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(json_response(status, &answer))
}

fn too_slow(patience: Duration) -> Refused {
    let message = format!(
        "the body must come with {PROGRESS_BYTES} bytes in {} s (--write-timeout), and within {} s",
        patience.as_secs_f32(),
        ASSET_UPLOAD.as_secs()
    );
    let mut response = refusal(StatusCode::REQUEST_TIMEOUT, "timeout", &message);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// So many bytes must come within a time, again and again.
struct Progress {
    patience: Duration,
    bytes: usize,
    until: Instant,
}

impl Progress {
    fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            bytes: 0,
            until: now + patience,
        }
    }

    fn made(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes;
        if self.bytes >= PROGRESS_BYTES {
            self.bytes = 0;
            self.until = now + self.patience;
        }
    }

    /// So much time was not the client's.
    fn goes_on(&mut self, after: Duration) {
        self.until += after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_have_a_bound_for_each_address_and_in_all() {
        let uploads = Uploads::new();
        let from = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let own: Vec<_> = (0..ASSET_UPLOADS_PER_ADDRESS)
            .map(|_| uploads.enter(from(1)).unwrap())
            .collect();
        assert!(uploads.enter(from(1)).unwrap_err().contains("this address"));
        let other = uploads.enter(from(2)).unwrap();
        drop(own);
        let again = uploads.enter(from(1)).unwrap();
        let rest: Vec<_> = (2..ASSET_UPLOADS)
            .map(|_| uploads.enter(None).unwrap())
            .collect();
        assert!(!uploads.enter(from(3)).unwrap_err().contains("address"));
        drop((other, again, rest));
        let (all, by_address) = &*uploads.taken.lock();
        assert!(*all == 0 && by_address.is_empty());
    }

    #[test]
    fn a_body_must_go_on() {
        let (now, s) = (Instant::now(), Duration::from_secs);
        let mut progress = Progress::new(s(30), now);
        progress.made(PROGRESS_BYTES - 1, now);
        assert_eq!(progress.until, now + s(30), "too little");
        progress.made(1, now + s(5));
        assert_eq!(progress.until, now + s(35));
        progress.goes_on(s(7));
        assert_eq!(progress.until, now + s(42), "what the disk took");
    }
}
