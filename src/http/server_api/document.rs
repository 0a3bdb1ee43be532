//! `/api/v1/openapi.json`: the server API and the API of jobs and hooks, in one document.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

const OWN: &str = include_str!("openapi.json");
/// Made of docs/openapi.yaml by scripts/openapi-json.
const JOBS: &str = include_str!("../jobs_api/openapi.json");

static WHOLE: LazyLock<String> = LazyLock::new(|| whole().unwrap_or_else(|| OWN.to_owned()));

/// Both; `None` if one of them is no such document, which a test rules out.
fn whole() -> Option<String> {
    let mut own: Value = serde_json::from_str(OWN).ok()?;
    let mut jobs: Value = serde_json::from_str(JOBS).ok()?;
    let mut add = |to: &str, from: &str| -> Option<()> {
        let more: Map<String, Value> = serde_json::from_value(jobs[from].take()).ok()?;
        own.pointer_mut(to)?.as_object_mut()?.extend(more);
        Some(())
    };
    add("/paths", "paths")?;
    add("/components/schemas", "schemas")?;
    Some(own.to_string())
}

pub(super) async fn openapi() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, headers, WHOLE.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path without the names of what it has in braces.
    fn bare(path: &str) -> String {
        let parts = path.split('/').map(|part| match part.starts_with('{') {
            true => "{}",
            false => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document: Value = serde_json::from_str(&whole().unwrap()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let described: Vec<String> = paths.keys().map(|path| bare(path)).collect();
        let sources = [
            include_str!("../server_api.rs"),
            include_str!("../jobs_api.rs"),
            include_str!("../assets.rs"),
        ]
        .concat();
        let routes: Vec<String> = sources
            .split('"')
            .filter(|text| text.starts_with("/api/v1/") || text.starts_with("/assets/"))
            .map(bare)
            .collect();
        assert!(routes.len() > 40, "{routes:?}");
        for route in &routes {
            assert!(described.contains(route), "{route} is not described");
        }
        for path in &described {
            assert!(routes.contains(path), "there is no {path}");
        }
    }

    #[test]
    fn each_reference_leads_somewhere_and_no_schema_has_two_meanings() {
        let document: Value = serde_json::from_str(&whole().unwrap()).unwrap();
        let text = document.to_string();
        let references: Vec<&str> = text
            .split("\"$ref\":\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(references.len() > 100);
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        let count = |text: &str, key: &str| -> usize {
            let value: Value = serde_json::from_str(text).unwrap();
            value.pointer(key).and_then(Value::as_object).unwrap().len()
        };
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let parts = count(OWN, "/components/schemas") + count(JOBS, "/schemas");
        assert_eq!(schemas.len(), parts);
    }
}
