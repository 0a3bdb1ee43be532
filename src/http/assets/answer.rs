//! The answer with an asset: its bytes, a part of them, or "not modified". It may be cached for ever.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Refused, error, failed};
use crate::assets::{Asset, Assets};

/// The bytes are somebody's: whatever they are, they run nothing, load nothing, and are of no origin.
pub(super) const CONTENT_SECURITY_POLICY: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Bytes of a name never change. Whose they are is not for caches that others share.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// What a `Range` comes to.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    All,
    /// From the first to before the second.
    Some(u64, u64),
    /// There is nothing there.
    None,
}

pub(super) async fn give(
    assets: &Assets,
    asset: &Asset,
    asked: &HeaderMap,
) -> Result<Response, Refused> {
    let etag = format!("\"{}\"", asset.blob.sha256);
    let headers = described(asset, &etag);
    if names(asked, header::IF_NONE_MATCH, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let same = !asked.contains_key(header::IF_RANGE) || names(asked, header::IF_RANGE, &etag);
    let range = asked.get(header::RANGE).filter(|_| same);
    let range = range.and_then(|range| range.to_str().ok());
    let (status, from, to) = match range.map_or(Part::All, |range| part(range, asset.bytes)) {
        Part::All => (StatusCode::OK, 0, asset.bytes),
        Part::Some(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Part::None => return Err(not_there(asset.bytes)),
    };
    let chunks = assets.read(asset, from, to).await;
    let chunks = chunks.map_err(|error| {
        let blob = &asset.blob.file;
        tracing::error!(%error, blob, "the bytes of an asset can't be read");
        failed(&error)
    })?;
    let mut response = (status, headers, Body::from_stream(chunks)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    if status == StatusCode::PARTIAL_CONTENT {
        say(
            headers,
            header::CONTENT_RANGE,
            &format!("bytes {from}-{}/{}", to - 1, asset.bytes),
        );
    }
    Ok(response)
}

fn say(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

fn described(asset: &Asset, etag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let kind = asset.kind;
    let how = if kind.shown { "inline" } else { "attachment" };
    let name = format!("{}.{}", &asset.blob.sha256[..16], kind.ending);
    for (header, value) in [
        (header::CONTENT_TYPE, kind.name),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::ACCEPT_RANGES, "bytes"),
        (
            header::CONTENT_DISPOSITION,
            &format!("{how}; filename=\"{name}\""),
        ),
        // Who has the link may show it, wherever the page is from.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ] {
        say(&mut headers, header, value);
    }
    headers
}

/// Whether a header names that tag, or any.
fn names(asked: &HeaderMap, header: HeaderName, etag: &str) -> bool {
    let values = asked.get_all(header).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|tag| [etag, "*"].contains(&tag.trim().trim_start_matches("W/")))
}

fn not_there(bytes: u64) -> Refused {
    let message = format!("the asset has {bytes} bytes");
    let mut response = error(StatusCode::RANGE_NOT_SATISFIABLE, "bad-range", &message);
    say(
        response.headers_mut(),
        header::CONTENT_RANGE,
        &format!("bytes */{bytes}"),
    );
    Box::new(response)
}

/// One range of bytes (RFC 9110, 14.1.2). What is none, or several, is as if it were not there.
fn part(range: &str, bytes: u64) -> Part {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .filter(|set| !set.contains(','))
        .and_then(|set| set.split_once('-'))
    else {
        return Part::All;
    };
    let number = |text: &str| text.trim().parse::<u64>();
    match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first > last => Part::All,
        (Ok(first), Ok(last)) if first < bytes => {
            Part::Some(first, bytes.min(last.saturating_add(1)))
        }
        (Ok(first), Err(_)) if last.trim().is_empty() && first < bytes => Part::Some(first, bytes),
        (Err(_), Ok(last)) if first.trim().is_empty() && last > 0 && bytes > 0 => {
            Part::Some(bytes.saturating_sub(last), bytes)
        }
        (Err(_), Ok(_)) if first.trim().is_empty() => Part::None,
        (Ok(_), Ok(_)) => Part::None,
        (Ok(_), Err(_)) if last.trim().is_empty() => Part::None,
        _ => Part::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_within_the_bytes_or_nothing() {
        for (range, found) in [
            ("bytes=0-0", Part::Some(0, 1)),
            ("bytes=2-5", Part::Some(2, 6)),
            ("bytes=2-", Part::Some(2, 10)),
            ("bytes=-3", Part::Some(7, 10)),
            ("bytes=-99", Part::Some(0, 10)),
            ("bytes=9-99", Part::Some(9, 10)),
            ("bytes=0-18446744073709551615", Part::Some(0, 10)),
            ("bytes=10-", Part::None),
            ("bytes=10-12", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-2", Part::All),
            ("bytes=0-1,4-5", Part::All),
            ("bytes=-", Part::All),
            ("bytes=a-b", Part::All),
            ("lines=1-2", Part::All),
            ("", Part::All),
        ] {
            assert_eq!(part(range, 10), found, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::None);
        assert_eq!(part("bytes=-1", 0), Part::None);
    }
}
