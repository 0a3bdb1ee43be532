//! The client's address, as proxies report it: in `X-Forwarded-For`, in the forms that are in use, or in `Forwarded`
//! (RFC 7239).

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::Network;

/// The address that the nearest proxy we trust has seen, as long as we trust who told. Where a request has both headers,
/// `X-Forwarded-For` counts: most proxies write that one, and pass the other on as it came.
pub(super) fn client_address(peer: IpAddr, trusted: &[Network], headers: &HeaderMap) -> IpAddr {
    let is_trusted = |address: IpAddr| {
        let address = address.to_canonical();
        trusted.iter().any(|net| net.contains(address))
    };
    let mut address = peer;
    if !is_trusted(peer) {
        return address;
    }
    for hop in hops(headers).into_iter().rev() {
        // A hop that hides its name ("unknown", "_secret") ends the way: what stands before it is hearsay.
        let Some(told) = hop.as_deref().and_then(node) else {
            break;
        };
        address = told;
        if !is_trusted(address) {
            break;
        }
    }
    address
}

/// What each proxy wrote, the farthest first; `None` where it wrote nothing that names anybody.
fn hops(headers: &HeaderMap) -> Vec<Option<String>> {
    let written = |name: &str| {
        let values = headers.get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect::<Vec<_>>()
            .join(",")
    };
    if headers.contains_key("x-forwarded-for") {
        let all = written("x-forwarded-for");
        return split(&all, ',').into_iter().map(Some).collect();
    }
    if !headers.contains_key("forwarded") {
        return Vec::new();
    }
    split(&written("forwarded"), ',')
        .iter()
        .map(|element| {
            split(element, ';').into_iter().find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let named = name.trim().eq_ignore_ascii_case("for");
                named.then(|| value.to_owned())
            })
        })
        .collect()
}

/// The parts of a list. A separator in quotes is none.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts
}

/// An address, with or without a port, brackets, a zone and quotes.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(text)
        .trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        return is_port(port).then(|| without_zone(inside)).flatten();
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Some(with_port.ip());
    }
    // A port may be hidden, too: RFC 7239, 6.3.
    if let Some((address, port)) = text.rsplit_once(':')
        && !address.contains(':')
    {
        let address = address.parse().ok()?;
        return is_port(&format!(":{port}")).then_some(address);
    }
    without_zone(text)
}

/// Nothing, or a colon and digits or a hidden port.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some(port) => {
            let hidden = port.strip_prefix('_').is_some_and(|name| {
                let letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                !name.is_empty() && name.chars().all(letter)
            });
            hidden || port.parse::<u16>().is_ok()
        }
    }
}

/// A zone says on which of the proxy's lines the host is, and nothing here.
fn without_zone(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::config::network;

    fn seen(peer: &str, trusted: &[&str], headers: &[(&str, &[u8])]) -> String {
        let trusted: Vec<_> = trusted.iter().map(|net| network(net).unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            map.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        client_address(peer.parse().unwrap(), &trusted, &map).to_string()
    }

    fn by_proxy(header: &str, value: &str) -> String {
        seen("127.0.0.1", &["127.0.0.1"], &[(header, value.as_bytes())])
    }

    #[test]
    fn an_address_is_read_in_every_form_that_proxies_write() {
        for (told, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51234", "203.0.113.7"),
            ("\"203.0.113.7:51234\"", "203.0.113.7"),
            ("203.0.113.7:_hidden", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("[2001:db8::1]:_p", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:80", "fe80::1"),
            ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
            ("[::ffff:203.0.113.7]:80", "::ffff:203.0.113.7"),
            ("  203.0.113.7\t", "203.0.113.7"),
        ] {
            assert_eq!(by_proxy("x-forwarded-for", told), address, "{told}");
            if !told.contains('\t') {
                let forwarded = format!("proto=https;For={told};by=10.0.0.1");
                assert_eq!(by_proxy("forwarded", &forwarded), address, "{told}");
            }
        }
    }

    #[test]
    fn what_names_nobody_is_the_proxys_own() {
        for told in [
            "",
            "unknown",
            "_secret",
            "203.0.113.7:",
            "203.0.113.7:99999",
            "[2001:db8::1",
            "[::1]x",
            "x:1",
            "1.2.3.4.5",
            "203.0.113.7, unknown",
            "\"203.0.113.7",
        ] {
            assert_eq!(by_proxy("x-forwarded-for", told), "127.0.0.1", "{told}");
        }
        for told in [
            "for=unknown",
            "for=\"_a,b\"",
            "proto=https",
            "for",
            "for=1.2.3.4, by=10.0.0.1",
        ] {
            assert_eq!(by_proxy("forwarded", told), "127.0.0.1", "{told}");
        }
    }

    #[test]
    fn only_whom_we_trust_is_believed_and_only_that_far() {
        let chain: &[(&str, &[u8])] = &[
            ("x-forwarded-for", b"192.0.2.66, 203.0.113.7:80"),
            ("x-forwarded-for", b"10.0.0.2:1234"),
        ];
        let trusted = ["10.0.0.0/8", "127.0.0.1"];
        assert_eq!(seen("10.0.0.1", &trusted, chain), "203.0.113.7");
        assert_eq!(seen("198.51.100.1", &trusted, chain), "198.51.100.1");
        assert_eq!(seen("::ffff:10.0.0.1", &trusted, chain), "203.0.113.7");
        let only: &[(&str, &[u8])] = &[("x-forwarded-for", b"10.0.0.3")];
        assert_eq!(seen("10.0.0.1", &trusted, only), "10.0.0.3");
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing_behind_them() {
        let odd: &[(&str, &[u8])] = &[("x-forwarded-for", b"\xff\xfe, 203.0.113.7")];
        assert_eq!(seen("127.0.0.1", &["127.0.0.1"], odd), "203.0.113.7");
    }

    #[test]
    fn of_both_headers_the_usual_one_counts() {
        let both: &[(&str, &[u8])] = &[
            ("forwarded", b"for=192.0.2.66"),
            ("x-forwarded-for", b"203.0.113.7"),
        ];
        assert_eq!(seen("127.0.0.1", &["127.0.0.1"], both), "203.0.113.7");
    }
}
