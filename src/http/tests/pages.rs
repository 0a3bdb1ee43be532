//! The files that browsers load: the page and its scripts.

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
}

#[test]
fn the_page_names_its_files_from_where_it_stands() {
    let server = Server::start(&[]);
    for (path, way) in [("/", "./"), ("/c/a", "../"), ("/c/a/", "../../")] {
        let (status, page) = server.get(path);
        assert_eq!(status, 200, "{path}");
        let quoted: Vec<_> = page.body.split('"').skip(1).step_by(2).collect();
        for file in ["demo.js", "demo.css"] {
            assert!(
                quoted.contains(&format!("{way}{file}").as_str()),
                "{path} names {file}"
            );
        }
        let absolute: Vec<_> = quoted.iter().filter(|part| part.starts_with('/')).collect();
        assert!(
            absolute.is_empty(),
            "{absolute:?} would leave the path of a proxy"
        );
    }
    for file in ["/demo.js", "/demo.css", "/client.js"] {
        assert_eq!(server.get(file).0, 200, "{file}");
    }
    for script in ["/demo.js", "/client.js"] {
        let map = format!("{script}.map");
        assert!(
            server.get(script).1.body.trim_end().ends_with(&map[1..]),
            "{script} names its source map"
        );
        let (status, reply) = server.get(&map);
        assert_eq!(status, 200, "{map}");
        assert!(reply.body.contains("\"sourcesContent\""), "{map}");
    }
    let (_, script) = server.get("/demo.js");
    assert!(script.body.contains("\"./client.js\""), "beside itself");
    assert_eq!(server.get("/c/-/").0, 400);
}

#[test]
fn without_the_demo_there_is_the_library_and_no_page() {
    let server = Server::start(&["--demo=off"]);
    for path in ["/", "/c/a", "/c/a/", "/demo.js", "/demo.css"] {
        let (status, reply) = server.get(path);
        assert_eq!(status, 404, "{path}");
        assert!(reply.body.contains("--demo off"), "{}", reply.body);
    }
    assert_eq!(server.get("/client.js").0, 200);
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn a_process_is_killed_only_by_its_own_page_under_a_name_of_this_host() {
    let server = Server::start(&["--demo-controls"]);
    for (host, origin) in [
        ("rebound.example:8080", "http://rebound.example:8080"),
        ("127.0.0.1:8080", "http://other.example"),
        ("127.0.0.1:8080", "null"),
        ("127.0.0.1.example.org", "http://127.0.0.1.example.org"),
        ("10.0.0.1", "http://10.0.0.1"),
    ] {
        let headers = [("host", host), ("origin", origin)];
        let (status, reply) = server.request("POST", "/api/v1/demo/kill", &headers);
        assert_eq!(status, 403, "{host} {origin}: {}", reply.body);
    }
    // One that nobody knows: the asked one does not die in its place.
    let known = [("host", "localhost:1"), ("origin", "http://localhost:1")];
    let (status, reply) = server.request("POST", "/api/v1/demo/kill?instance=nobody", &known);
    assert_eq!(status, 404, "{}", reply.body);
    assert_eq!(server.get("/healthz").0, 200);
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
