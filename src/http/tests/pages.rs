//! What browsers load: the page and its scripts.

use std::io::Read as _;

use super::Server;

#[test]
fn pages_are_cached_by_tag_and_sealed_by_policy() {
    let server = Server::start(&[]);
    for path in ["/", "/c/my-canvas:1"] {
        let (status, reply) = server.get(path);
        assert_eq!(
            (status, reply.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("connect-src 'self' ws: wss:"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");

        let tag = reply.header("etag");
        let (status, again) = server.request("GET", path, &[("if-none-match", tag)]);
        assert_eq!(
            (status, again.body.as_str(), again.header("etag")),
            (304, "", tag)
        );
    }
    // What the page refers to is there, and what its script imports.
    let (_, page) = server.get("/");
    let quoted = page.body.split('"').skip(1).step_by(2);
    let files = quoted.filter(|part| part.starts_with('/'));
    for file in files.chain(["/client.js"]) {
        assert_eq!(server.get(file).0, 200, "{file}");
    }
}

#[test]
fn who_takes_gzip_gets_it_under_a_tag_of_its_own() {
    let server = Server::start(&[]);
    let path = "/demo.js";
    let (_, plain) = server.get(path);
    for (accepted, gzipped) in [
        ("gzip", true),
        ("deflate, GZIP;q=0.5, br", true),
        ("gzip;q=0, br", false),
        ("identity", false),
    ] {
        let (status, reply) = server.request("GET", path, &[("accept-encoding", accepted)]);
        assert_eq!(status, 200);
        assert_eq!(reply.header("vary"), "accept-encoding");
        assert_eq!(
            reply.header("content-encoding") == "gzip",
            gzipped,
            "{accepted}"
        );
        assert_eq!(
            reply.header("etag") != plain.header("etag"),
            gzipped,
            "{accepted}"
        );
        if gzipped {
            let mut body = String::new();
            let mut decoder = flate2::read::GzDecoder::new(reply.bytes.as_slice());
            decoder.read_to_string(&mut body).unwrap();
            assert_eq!(body, plain.body);
            assert!(reply.bytes.len() * 2 < plain.bytes.len());
        }
    }
    let again = [
        ("accept-encoding", "gzip"),
        ("if-none-match", plain.header("etag")),
    ];
    assert_eq!(server.request("GET", path, &again).0, 200);
}
