//! JSON bodies, read so that a mistake is named by its field: `items[3].queue`, not only by a line and a column.

use serde::de::DeserializeOwned;

/// A body that is an object.
///
/// # Errors
/// What is wrong, with the field if it is one's.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    // A list would be taken for the fields in their order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err("it must be one JSON object".to_owned());
    }
    serde_json::from_slice(text).map_err(|wrong| named::<T>(text, &wrong))
}

/// Reads it once more, along the names of its fields: only who is wrong pays for that.
fn named<T: DeserializeOwned>(text: &[u8], wrong: &serde_json::Error) -> String {
    let mut reader = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(found) if found.path().iter().len() > 0 => {
            format!("{}: {}", found.path(), found.inner())
        }
        _ => wrong.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "it is only read")]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is only read")]
    struct Item {
        queue: String,
        payload: Box<RawValue>,
        more: Option<BTreeMap<String, i64>>,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (text, says) in [
            (
                r#"{"items":[{"queue":"q","payload":1},{"queue":5}]}"#,
                "items[1].queue: invalid type",
            ),
            (
                r#"{"items":[{"queue":"q","payload":[1}]}"#,
                "items[0].payload: ",
            ),
            (
                r#"{"items":[{"queue":"q","payload":1,"more":{"n":"x"}}]}"#,
                "items[0].more.n: ",
            ),
            (
                r#"{"items":[{"queue":"q"}]}"#,
                "items[0]: missing field `payload`",
            ),
            (
                r#"{"items":[{"queue":"q","que":1}]}"#,
                "unknown field `que`",
            ),
            (
                r#"{"items":[{"queue":"q","queue":"r"}]}"#,
                "duplicate field `queue`",
            ),
            (r#"{"items":5}"#, "items: invalid type"),
            ("[[]]", "must be one JSON object"),
            (r#"{"items":[]} x"#, "trailing characters"),
            ("", "must be one JSON object"),
            ("{", "EOF"),
        ] {
            let wrong = parse::<Body>(text.as_bytes()).unwrap_err();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
        assert!(parse::<Body>(br#"{"items":[{"queue":"q","payload":{"a":[1]}}]}"#).is_ok());
    }
}
