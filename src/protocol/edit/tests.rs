//! Edits against a model that knows nothing of bytes, undo or sharing: it goes by paths and makes everything anew.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

#[test]
fn a_path_is_names_with_dots_between_them() {
    let steps = |text: &str| {
        path(text)
            .0
            .iter()
            .map(|s| s.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(steps("a"), ["a"]);
    assert_eq!(steps("a.b c.ä"), ["a", "b c", "ä"]);
    assert_eq!(steps(r"a\.b.c\\"), ["a.b", r"c\"]);
    assert_eq!(steps("0.1"), ["0", "1"]);
    for bad in ["", ".", "a.", ".a", "a..b", r"a\", r"a\b", r"\n"] {
        assert!(Path::parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(path(r"a\.b.c\\").to_string(), r"a\.b.c\\");
}

#[test]
fn nulls_are_kept_objects_are_replaced_and_missing_parents_are_made() {
    let mut object = json!({"z": {"old": 1}, "a": 1});
    let edits = Edits {
        set: vec![
            (path("z"), json!({"new": null})),
            (path("p.q"), json!(null)),
            (path("p.r"), json!([])),
        ],
        ..Edits::default()
    };
    edits.apply(&mut object, 0).unwrap();
    let expected = r#"{"z":{"new":null},"a":1,"p":{"q":null,"r":[]}}"#;
    assert_eq!(object.to_string(), expected);
}

#[test]
fn what_is_no_object_has_no_properties_and_the_answer_names_it() {
    for (edits, message) in [
        (
            r#"{"set":{"n.x":1}}"#,
            r#"set "n.x": "n" is a number, and only an object has properties"#,
        ),
        (
            r#"{"set":{"list.0":1}}"#,
            r#"set "list.0": "list" is an array, and only an object has properties"#,
        ),
        (
            r#"{"append":{"n":[1]}}"#,
            r#"append "n": it is a number, and an array is appended"#,
        ),
        (
            r#"{"append":{"list":"x"}}"#,
            r#"append "list": it is an array, and a text is appended"#,
        ),
    ] {
        let mut object = json!({"n": 1, "list": []});
        let before = object.to_string();
        let edits = read(&serde_json::from_str(edits).unwrap());
        let wrong = edits.apply(&mut object, before.len()).unwrap_err();
        assert_eq!(wrong, message);
        assert_eq!(object.to_string(), before, "nothing is done");
    }
}

/// Each by itself would move the thousands that stand behind it.
#[test]
fn what_goes_costs_what_it_is_long_however_much_stays() {
    let names: Vec<String> = (0..24_000).map(|n| format!("{n:x}")).collect();
    let members = names.iter().map(|name| (name.clone(), json!(1)));
    let mut object = Value::Object(members.collect());
    let before = object.to_string();
    let edits = Edits {
        unset: names[..12_000].iter().map(|name| path(name)).collect(),
        ..Edits::default()
    };
    let began = std::time::Instant::now();
    let (bytes, undo) = edits.apply(&mut object, before.len()).unwrap();
    assert_eq!(bytes, object.to_string().len());
    undo.undo(&mut object);
    assert_eq!(object.to_string(), before);
    assert!(began.elapsed().as_millis() < 1_500, "{:?}", began.elapsed());
}

fn read(edits: &Value) -> Edits {
    let pairs = |name: &str| {
        let map = edits[name].as_object().cloned().unwrap_or_default();
        map.into_iter()
            .map(|(at, value)| (path(&at), value))
            .collect()
    };
    Edits {
        unset: Vec::new(),
        set: pairs("set"),
        append: pairs("append"),
    }
}

/// One edit, step by step, each level made anew.
fn naive(
    value: Value,
    steps: &[Box<str>],
    last: &dyn Fn(Option<Value>) -> Option<Value>,
    make: bool,
) -> Option<Value> {
    let Value::Object(members) = value else {
        return if make { None } else { Some(value) };
    };
    let mut out = Map::new();
    let mut found = false;
    for (name, old) in members {
        if *name == *steps[0] {
            found = true;
            let new = match steps.len() {
                1 => last(Some(old)),
                _ => Some(naive(old, &steps[1..], last, make)?),
            };
            out.extend(new.map(|new| (name, new)));
        } else {
            out.insert(name, old);
        }
    }
    if !found && make {
        let new = match steps.len() {
            1 => last(None)?,
            _ => naive(json!({}), &steps[1..], last, make)?,
        };
        out.insert(steps[0].to_string(), new);
    }
    Some(Value::Object(out))
}

fn expected(edits: &Edits, mut value: Value) -> Option<Value> {
    for path in &edits.unset {
        value = naive(value, &path.0, &|_| None, false)?;
    }
    for (path, new) in &edits.set {
        value = naive(value, &path.0, &|_| Some(new.clone()), true)?;
    }
    for (path, more) in &edits.append {
        let clash = std::cell::Cell::new(false);
        let join = |old: Option<Value>| match (old, more) {
            (None, more) => Some(more.clone()),
            (Some(Value::Array(old)), Value::Array(more)) => {
                Some([old, more.clone()].concat().into())
            }
            (Some(Value::String(old)), Value::String(more)) => Some(format!("{old}{more}").into()),
            (old, _) => {
                clash.set(true);
                old
            }
        };
        value = naive(value, &path.0, &join, true)?;
        if clash.get() {
            return None;
        }
    }
    Some(value)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        (0..9).prop_map(Value::from),
        "[a\"é\n]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[ab.]", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::vec(("[ab.]", any_value()), 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn any_path() -> impl Strategy<Value = Path> {
    prop::collection::vec("[ab.]", 1..4).prop_map(|steps| {
        let steps = steps.into_iter().map(String::into_boxed_str);
        Path(steps.collect())
    })
}

fn any_edits() -> impl Strategy<Value = Edits> {
    let tail = prop_oneof![
        prop::collection::vec(any_value(), 0..3).prop_map(Value::from),
        "[a\"é]{0,3}".prop_map(Value::from),
    ];
    (
        prop::collection::vec(any_path(), 0..3 * MANY),
        prop::collection::vec((any_path(), any_value()), 0..3),
        prop::collection::vec((any_path(), tail), 0..3),
    )
        .prop_map(|(unset, set, append)| Edits { unset, set, append })
}

proptest! {
    #[test]
    fn edits_do_what_the_model_does_or_nothing(object in any_object(), edits in any_edits()) {
        let (mut value, before) = (object.clone(), object.to_string());
        match (edits.apply(&mut value, before.len()), expected(&edits, object)) {
            (Ok((bytes, undo)), Some(expected)) => {
                let text = value.to_string();
                prop_assert_eq!(bytes, text.len());
                prop_assert_eq!(text, expected.to_string(), "the order of properties, too");
                undo.undo(&mut value);
                prop_assert_eq!(value.to_string(), before);
            }
            (Err(_), None) => prop_assert_eq!(value.to_string(), before),
            (found, expected) => prop_assert!(false, "{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_path_is_read_as_it_is_told(steps in prop::collection::vec("[a.\\\\é ]{1,3}", 1..4)) {
        let path = Path(steps.into_iter().map(String::into_boxed_str).collect());
        prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
    }
}
