//! The server API, asked with the token: each answer is compared with the document that the server itself gives.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Relay;
use crate::harness::http::{self, Answer};

use super::TOKEN;

/// A relay of two processes, asked with the token.
pub struct Api {
    pub relay: Relay,
    pub document: Value,
    /// What of the document was seen: method, path, status.
    pub seen: BTreeSet<(String, String, String)>,
    _dir: TempDir,
}

impl Api {
    pub async fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("token");
        std::fs::write(&file, format!("{TOKEN}\n")).expect("a file");
        let mode = PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).expect("its mode");
        let file = file.display().to_string();
        let flags = [&["--api-token-file", &file], flags].concat();
        let relay = Relay::start(2, &flags).await;
        let document = relay
            .get(0, "/api/v1/openapi.json")
            .await
            .expect("an answer");
        let mut api = Self {
            relay,
            document: document.json(),
            seen: BTreeSet::new(),
            _dir: dir,
        };
        api.note("GET", "/api/v1/openapi.json", &document);
        api
    }

    /// Asks process `n`, and checks the answer against the document.
    pub async fn ask(&mut self, n: usize, method: &str, path: &str, body: &str) -> (u16, Value) {
        let bearer = format!("Host: test\r\nAuthorization: Bearer {TOKEN}\r\n");
        self.ask_with(n, method, path, &bearer, body).await
    }

    pub async fn ask_with(
        &mut self,
        n: usize,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, Value) {
        let answer = http::ask(self.relay.address(n), method, path, headers, body).await;
        let answer = answer.expect("an answer");
        self.note(method, path, &answer);
        (answer.status, answer.json())
    }

    pub async fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask(0, "GET", path, "").await
    }

    pub async fn publish(&mut self, n: usize, canvas: &str, message: &Value) -> (u16, Value) {
        let path = format!("/api/v1/canvases/{canvas}/messages");
        self.ask(n, "POST", &path, &message.to_string()).await
    }

    pub fn note(&mut self, method: &str, path: &str, answer: &Answer) {
        assert_eq!(
            answer.header("content-type"),
            "application/json",
            "{answer:?}"
        );
        let (template, item) = self.described(path);
        let method = method.to_lowercase();
        let responses = &item[&method]["responses"];
        let status = answer.status.to_string();
        let status = if responses[&status].is_null() {
            "default"
        } else {
            &status
        };
        let schema = &responses[status]["content"]["application/json"]["schema"];
        assert!(
            !schema.is_null(),
            "{method} {template} {} is not described",
            answer.status
        );
        let wrong = mismatch(&self.document, schema, &answer.json());
        assert_eq!(wrong, None, "{method} {path}: {}", answer.body);
        self.seen.insert((method, template, status.to_owned()));
    }

    /// The path as the document has it.
    pub fn described(&self, path: &str) -> (String, Value) {
        let path = path.split('?').next().expect("a path");
        let matches = |template: &str| {
            let parts: Vec<_> = template.split('/').zip(path.split('/')).collect();
            parts.len() == path.split('/').count()
                && parts.len() == template.split('/').count()
                && parts.iter().all(|(t, p)| t == p || t.starts_with('{'))
        };
        let paths = self.document["paths"].as_object().expect("paths");
        let found = paths.iter().find(|(template, _)| matches(template));
        let (template, item) = found.unwrap_or_else(|| panic!("{path} is not described"));
        (template.clone(), item.clone())
    }

    /// Everything that the document promises of the API. Clients ask for assets: tests/relay/assets.rs.
    pub fn promised(&self) -> BTreeSet<(String, String, String)> {
        let mut all = BTreeSet::new();
        let paths = self.document["paths"].as_object().expect("paths").iter();
        for (path, item) in paths.filter(|(path, _)| path.starts_with("/api/")) {
            for method in ["get", "post", "delete"] {
                let responses = item[method]["responses"].as_object();
                for status in responses.into_iter().flat_map(|all| all.keys()) {
                    all.insert((method.to_owned(), path.clone(), status.clone()));
                }
            }
        }
        all
    }
}

/// Where a value is not as its schema says. As much of JSON Schema as the document uses.
fn mismatch(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').expect("a reference within");
        let schema = document.pointer(pointer).expect("it is there");
        return mismatch(document, schema, value);
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}: teach this test"),
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return Some(format!("{value} is no {kinds:?}"));
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|all| !all.contains(value))
    {
        return Some(format!("{value} is none of {}", schema["enum"]));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().expect("a name")).is_none() {
            return Some(format!("{name} is missing"));
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => {
                if let Some(wrong) = mismatch(document, schema, value) {
                    return Some(format!("{name}: {wrong}"));
                }
            }
            None if schema["additionalProperties"] == false => {
                return Some(format!("{name} is not described"));
            }
            None => {}
        }
    }
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(|item| mismatch(document, &schema["items"], item))
        .next()
}
