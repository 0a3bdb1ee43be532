//! Every field of every route, wrong in every way: the document that the relay serves says which fields there are. Each
//! mistake is refused with the field's name, and nothing is half done.

use serde_json::{Map, Value, json};

use super::harness::{Relay, http};

/// Names of the methods in a document.
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// What is asked, and the field that is wrong in it.
struct Wrong {
    method: String,
    path: String,
    body: Option<String>,
    field: String,
}

/// The schema itself, where it is only named.
fn schema<'d>(document: &'d Value, given: &'d Value) -> &'d Value {
    let Some(name) = given["$ref"].as_str() else {
        return given;
    };
    let found = document.pointer(name.trim_start_matches('#'));
    schema(document, found.expect("what is named"))
}

fn is(given: &Value, kind: &str) -> bool {
    match &given["type"] {
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        one => one == kind,
    }
}

/// Something that is right.
fn right(document: &Value, given: &Value) -> Value {
    let given = schema(document, given);
    if let Some(one) = given["enum"].get(0).or(given.get("const")) {
        return one.clone();
    }
    if let Some(one) = given["oneOf"].get(0) {
        return right(document, one);
    }
    if let Some(fields) = given["properties"].as_object() {
        let fields = fields.iter();
        return fields
            .map(|(name, of)| (name.clone(), right(document, of)))
            .collect();
    }
    if is(given, "array") {
        return json!([right(document, &given["items"])]);
    }
    if is(given, "integer") {
        return given.get("minimum").cloned().unwrap_or(json!(1));
    }
    if is(given, "boolean") {
        return json!(true);
    }
    json!("a")
}

/// Values that are not of that schema.
fn wrong(given: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    if is(given, "string") {
        all.extend([json!(5), json!(true), json!([]), json!({})]);
        if let Some(most) = given["maxLength"].as_u64() {
            all.extend([json!("a\nb"), json!("\u{0}")]);
            all.push(
                "é".repeat(usize::try_from(most).expect("a length") + 1)
                    .into(),
            );
        }
        if given["minLength"] == 1 {
            all.push(json!(""));
        }
        if given.get("enum").is_some() {
            all.push(json!("nonsense"));
        }
    } else if is(given, "integer") {
        all.extend([
            json!("5"),
            json!(true),
            json!([]),
            json!({}),
            json!(1.5),
            json!(u64::MAX),
        ]);
        let beside = |name: &str, by: i64| given[name].as_i64().map(|bound| json!(bound + by));
        all.extend(
            [beside("minimum", -1), beside("maximum", 1)]
                .into_iter()
                .flatten(),
        );
    } else if is(given, "boolean") {
        all.extend([json!(5), json!("true"), json!([]), json!({})]);
    } else if is(given, "array") {
        all.extend([json!(5), json!("a"), json!({}), json!([null]), json!([5])]);
    } else if is(given, "object") {
        all.extend([json!(5), json!("a"), json!([]), json!(true)]);
    }
    all
}

/// Goes through a body's fields: `put` makes the body with another value in that place.
fn each_field(
    document: &Value,
    given: &Value,
    field: &str,
    put: &dyn Fn(Value) -> Value,
    found: &mut Vec<(Value, String)>,
) {
    let mut given = schema(document, given);
    if let Some(one) = given["oneOf"].get(0) {
        given = one;
    }
    found.extend(
        wrong(given)
            .into_iter()
            .map(|value| (put(value), field.to_owned())),
    );
    let all = right(document, given);
    if let Some(fields) = given["properties"].as_object() {
        let with = |name: &str, value: Value| {
            let mut all = all.as_object().cloned().unwrap_or_default();
            all.insert(name.to_owned(), value);
            put(Value::Object(all))
        };
        for (name, of) in fields {
            each_field(document, of, name, &|value| with(name, value), found);
        }
        if given["additionalProperties"] == false {
            found.push((with("bogus", json!(1)), "bogus".to_owned()));
        }
        for name in given["required"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            let mut less = all.as_object().cloned().unwrap_or_default();
            less.remove(name);
            found.push((put(Value::Object(less)), name.to_owned()));
        }
    } else if is(given, "array") {
        let put = |value| put(json!([value]));
        each_field(document, &given["items"], field, &put, found);
    }
}

/// Bodies that are wrong, each with its field.
fn bodies(document: &Value, given: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    each_field(document, given, "", &|value| value, &mut found);
    let mut found: Vec<_> = found
        .into_iter()
        .map(|(value, field)| (value.to_string(), field))
        .collect();
    let all = right(document, given);
    let text = all.to_string();
    for (name, value) in all.as_object().into_iter().flatten() {
        let twice = format!("{{{}:{value},{}", json!(name), &text[1..]);
        found.push((twice, name.clone()));
    }
    for text in ["[]", "{", "null", "{\"a\":NaN}", "\"x\"", "{} {}", "5"] {
        found.push((text.to_owned(), String::new()));
    }
    found
}

/// Queries that are wrong, each with its field.
fn queries(document: &Value, params: &[&Value]) -> Vec<(String, String)> {
    let mut found = vec![("bogus=1".to_owned(), "bogus".to_owned())];
    for param in params.iter().filter(|param| param["in"] == "query") {
        let name = param["name"].as_str().expect("a name");
        let of = schema(document, &param["schema"]);
        let mut values = vec![String::new(), format!("1&{name}=1"), "%FF".to_owned()];
        if is(of, "integer") {
            let words = [
                "x",
                "1.5",
                "-1",
                "18446744073709551616",
                "%20",
                "0x5",
                "1e3",
            ];
            values.extend(words.map(str::to_owned));
        } else if is(of, "boolean") {
            values.extend(["x", "2", "TRUE"].map(str::to_owned));
        } else if of.get("maxLength").is_some() {
            values.extend(["%00".to_owned(), "x".repeat(129)]);
        } else {
            values.push("nonsense".to_owned());
        }
        let texts = values.into_iter().map(|value| format!("{name}={value}"));
        found.extend(texts.map(|text| (text, name.to_owned())));
    }
    found
}

/// Fields of a query that are any text.
const ANY_TEXT: [&str; 1] = ["interval"];

fn of_operation(document: &Value, (path, method): (&str, &str), of: &Value) -> Vec<Wrong> {
    let params: Vec<_> = of["parameters"].as_array().into_iter().flatten().collect();
    let params: Vec<_> = params
        .into_iter()
        .map(|param| schema(document, param))
        .collect();
    let mut plain = path.to_owned();
    for param in params.iter().filter(|param| param["in"] == "path") {
        let name = param["name"].as_str().expect("a name");
        plain = plain.replace(&format!("{{{name}}}"), "7");
    }
    let given = of.pointer("/requestBody/content/application~1json/schema");
    let good = given.map(|given| right(document, given).to_string());
    let wrong = |path: String, body: Option<String>, field: String| Wrong {
        method: method.to_uppercase(),
        path,
        body,
        field,
    };
    let mut all = Vec::new();
    for (query, field) in queries(document, &params) {
        if ANY_TEXT.contains(&field.as_str()) && query.ends_with("nonsense") {
            continue;
        }
        // One that names no queue is refused for that.
        let of_all = path == "/api/v1/pop" && field != "namespace";
        let more = if of_all { "&namespace=n" } else { "" };
        all.push(wrong(format!("{plain}?{query}{more}"), good.clone(), field));
    }
    for (body, field) in given
        .map(|given| bodies(document, given))
        .unwrap_or_default()
    {
        all.push(wrong(plain.clone(), Some(body), field));
    }
    all
}

async fn ask(relay: &Relay, wrong: &Wrong) -> (u16, Value) {
    let headers = "Host: localhost\r\nContent-Type: application/json\r\n";
    let body = wrong.body.as_deref().unwrap_or_default();
    let answer = http::ask(relay.address(0), &wrong.method, &wrong.path, headers, body).await;
    let answer = answer.expect("an answer");
    let value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    (answer.status, value)
}

#[tokio::test]
async fn each_wrong_field_of_each_route_is_named_and_nothing_is_half_done() {
    let relay = Relay::start(1, &[]).await;
    let document = relay.get(0, "/api/v1/openapi.json").await.expect("it");
    let document: Value = serde_json::from_str(&document.body).expect("JSON");
    let paths: &Map<String, Value> = document["paths"].as_object().unwrap();
    let ours = include_str!("../../docs/openapi.yaml");
    let is_ours = |path: &str| ours.contains(&format!("\n  \"{path}\":"));
    let mut asked = 0;
    let mut taken = Vec::new();
    for (path, of) in paths.iter().filter(|(path, _)| is_ours(path)) {
        if path.starts_with("/api/v1/hooks") {
            continue;
        }
        for method in METHODS.iter().filter(|method| of.get(**method).is_some()) {
            for wrong in of_operation(&document, (path, method), &of[*method]) {
                let (status, answer) = ask(&relay, &wrong).await;
                let told = format!(
                    "{} {} {:.300} ({}): {status} {answer}",
                    wrong.method,
                    wrong.path,
                    wrong.body.clone().unwrap_or_default(),
                    wrong.field
                );
                // An ack has its error at its place.
                let of_item = status == 200 && answer[0]["success"] == false;
                let message = [&answer["message"], &answer[0]["error"]];
                let message = message.iter().find_map(|text| text.as_str());
                let named = message.is_some_and(|text| text.contains(&wrong.field));
                // A note on a message that can't be is one on a message that is not there.
                if !named || !(matches!(status, 400 | 404 | 413) || of_item) {
                    taken.push(told);
                }
                asked += 1;
            }
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    assert!(asked > 1_000, "{asked}");
    let (_, queues) = super::ask(&relay, 0, "GET", "/api/v1/resources/queues", &Value::Null).await;
    assert_eq!(queues["total"], 0, "nothing was half done");
}
