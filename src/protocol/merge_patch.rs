//! JSON merge patch (RFC 7396, section 2). Pure, and the same for every backplane: what a client
//! computes from `object-update` and what a snapshot holds must be one value.
//!
//! ```
//! use scumble::protocol::merge_patch::apply;
//! use serde_json::json;
//!
//! let mut object = json!({ "id": "a", "x": 1, "style": { "fill": "red", "width": 2 } });
//! apply(&mut object, &json!({ "x": 5, "style": { "fill": null } }));
//! assert_eq!(object, json!({ "id": "a", "x": 5, "style": { "width": 2 } }));
//! ```

use std::io;

use serde_json::{Map, Value};

/// From so many on, members go in one pass.
const MANY: usize = 4;

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
    let nulls = patch.values().filter(|value| value.is_null()).count();
    // Those behind it keep their order, so each that goes by itself moves all of them.
    let at_once = nulls >= MANY;
    if at_once {
        members.retain(|name, _| !patch.get(name).is_some_and(Value::is_null));
    }
    for (name, value) in patch {
        if !value.is_null() {
            apply(members.entry(name.as_str()).or_insert(Value::Null), value);
        } else if !at_once {
            members.shift_remove(name);
        }
    }
}

/// How many bytes the JSON of `target` has after [`apply`]; it has `bytes` now. What the patch does not touch is not looked at, so this
/// costs what the patch and the values that it replaces are long.
pub fn merged_len(target: &Value, patch: &Value, bytes: usize) -> usize {
    match (target, patch) {
        (Value::Object(members), Value::Object(patch)) => merged_members(members, patch, bytes),
        _ => fresh_len(patch),
    }
}

fn merged_members(members: &Map<String, Value>, patch: &Map<String, Value>, bytes: usize) -> usize {
    // Each member has a comma behind it but for the last.
    let commas = |members: usize| members.saturating_sub(1);
    let mut count = members.len();
    let mut bytes = bytes - commas(members.len());
    for (name, value) in patch {
        let old = members.get(name);
        if let Some(old) = old {
            bytes = match (old, value) {
                (_, Value::Null) => {
                    count -= 1;
                    bytes - name_len(name) - written_len(old)
                }
                // The rest of the old one is part of the sum as it stands.
                (Value::Object(old), Value::Object(patch)) => merged_members(old, patch, bytes),
                _ => bytes - written_len(old) + fresh_len(value),
            };
        } else if !value.is_null() {
            bytes += name_len(name) + fresh_len(value);
            count += 1;
        }
    }
    bytes + commas(count)
}

/// What is left of a patch that meets nothing.
fn fresh_len(patch: &Value) -> usize {
    match patch {
        Value::Object(members) => merged_members(&Map::new(), members, 2),
        other => written_len(other),
    }
}

/// A name, its quotes and the colon.
pub(super) fn name_len(name: &str) -> usize {
    let mut count = Count(1);
    // Counting can't fail, here and below.
    let _ = serde_json::to_writer(&mut count, name);
    count.0
}

pub(super) fn written_len(value: &Value) -> usize {
    let mut count = Count(0);
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn many_members_go_as_each_goes_by_itself() {
        let target: Value = (0..12)
            .map(|n| (format!("k{n}"), json!(n)))
            .collect::<Map<_, _>>()
            .into();
        for nulls in 0..12 {
            let gone = (0..nulls).map(|n| (format!("k{}", n * 5 % 12), Value::Null));
            let new = [
                ("k1", json!({"x": 1})),
                ("new", json!(null)),
                ("z", json!(2)),
            ];
            let new = new.map(|(name, value)| (name.to_owned(), value));
            let patch: Map<String, Value> = gone.chain(new).collect();
            let mut one_by_one = target.clone();
            for (name, value) in &patch {
                apply(&mut one_by_one, &json!({ name: value }));
            }
            let mut at_once = target.clone();
            apply(&mut at_once, &patch.into());
            assert_eq!(at_once.to_string(), one_by_one.to_string());
        }
    }

    /// Each by itself would move the thousands that stand behind it.
    #[test]
    fn what_a_patch_removes_costs_what_the_patch_is_long() {
        let member =
            |value: i64| move |n: i64| (format!("{n:x}"), json!((value > 0).then_some(value)));
        let members = |count, value| (0..count).map(member(value)).collect::<Map<_, _>>();
        let mut target: Value = members(24_000, 1).into();
        let patch = members(12_000, 0).into();
        let began = std::time::Instant::now();
        apply(&mut target, &patch);
        assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
        assert_eq!(target.as_object().unwrap().len(), 12_000);
    }

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

    #[test]
    fn the_length_of_a_merge_counts_what_is_escaped_and_written_as_a_double() {
        let target = json!({"a\n": 1.0, "b": {"c": "ä\u{1}"}});
        let patch =
            json!({"a\n": null, "b": {"d\"": 1e300, "c": ["\\"]}, "e": {"f": null, "g": {}}});
        let bytes = merged_len(&target, &patch, target.to_string().len());
        let mut merged = target;
        apply(&mut merged, &patch);
        assert_eq!(bytes, merged.to_string().len(), "{merged}");
    }

    proptest! {
        #[test]
        fn the_length_of_a_merge_is_known_before_it(target in any_json(), patch in any_json()) {
            let bytes = merged_len(&target, &patch, target.to_string().len());
            let mut merged = target;
            apply(&mut merged, &patch);
            prop_assert_eq!(bytes, merged.to_string().len());
        }

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
