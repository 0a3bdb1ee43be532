//! JSON merge patch (RFC 7396, section 2). Pure, and the same for every backplane: what a client
//! computes from `object-update` and what a snapshot holds must be one value.

use serde_json::{Map, Value};

/// Merges `patch` into `target`: `null` removes a member, objects merge member by member, anything else replaces.
///
/// Recursion goes as deep as `patch` does, which the parser bounds.
pub fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            apply(members.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let examples = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ];
        for (mut target, patch, result) in examples {
            apply(&mut target, &patch);
            assert_eq!(target, result, "{patch}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..9).prop_map(Value::from)
        ];
        // Few names, so that patch and target meet.
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn each_member_follows_from_the_patch_alone(target in any_json(), patch in any_json()) {
            let mut merged = target.clone();
            apply(&mut merged, &patch);
            let Value::Object(patch) = patch else {
                prop_assert_eq!(merged, patch);
                return Ok(());
            };
            prop_assert!(merged.is_object());
            for name in ["a", "b", "c"] {
                let expected = match patch.get(name) {
                    None => target.get(name).cloned(),
                    Some(Value::Null) => None,
                    Some(value) => {
                        let mut member = target.get(name).cloned().unwrap_or(Value::Null);
                        apply(&mut member, value);
                        Some(member)
                    }
                };
                prop_assert_eq!(merged.get(name), expected.as_ref());
            }
        }

        #[test]
        fn a_patch_applied_twice_is_a_patch_applied_once(target in any_json(), patch in any_json()) {
            let mut once = target;
            apply(&mut once, &patch);
            let mut twice = once.clone();
            apply(&mut twice, &patch);
            prop_assert_eq!(twice, once);
        }
    }
}
