//! Objects against a plain list, and what they take.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A list of places beside it that is searched from its beginning.
#[derive(Default)]
struct Plain(BTreeMap<u64, (String, String, u64)>);

impl Plain {
    fn put(&mut self, id: &str, seq: u64, text: &str) {
        let known = self.0.iter().find(|(_, (known, ..))| known == id);
        let place = known.map_or(seq, |(place, _)| *place);
        self.0.insert(place, (id.to_owned(), text.to_owned(), seq));
    }

    fn rows(&self) -> Vec<(u64, String, String, u64)> {
        let rows = self.0.iter();
        rows.map(|(place, (id, text, changed))| (*place, id.clone(), text.clone(), *changed))
            .collect()
    }
}

fn rows(objects: &Objects) -> Vec<(u64, String, String, u64)> {
    let row = |object: &Object| {
        let (id, text) = (object.id().to_owned(), object.text().to_string());
        (object.place(), id, text, object.changed())
    };
    objects.rows().map(row).collect()
}

/// With the id in it, behind much else, or not at all.
fn text(id: &str, which: u8) -> String {
    match which % 3 {
        0 => format!(r#"{{"id":"{id}","which":{which}}}"#),
        1 => format!(r#"{{"far":"{}","id":"{id}"}}"#, "-".repeat(ID_WITHIN)),
        _ => format!(r#"{{"which":{which}}}"#),
    }
}

proptest! {
    /// Whatever was put, merged and removed: each is found by its id, at its place, and so is what is read back.
    #[test]
    fn they_are_what_a_plain_list_is(
        actions in prop::collection::vec((0..4_u8, 0..40_u8, any::<u8>()), 1..400)
    ) {
        let (mut objects, mut plain) = (Objects::default(), Plain::default());
        for (seq, (action, name, which)) in (1..).zip(actions) {
            let (id, text) = (format!("o{name}"), text(&format!("o{name}"), which));
            match action {
                0 => {
                    objects.remove(&id, seq);
                    plain.0.retain(|_, (known, ..)| *known != id);
                }
                1 if objects.bytes(&id).is_some() => {
                    let (open, fresh) = objects.open(&id).expect("it is there");
                    prop_assert!(fresh);
                    let patch = serde_json::json!({"merged": which});
                    open.merge(seq, (&patch, None), |_| Ok(())).expect("it fits");
                    let merged = objects.text_now(&id).expect("it is there");
                    objects.close();
                    plain.put(&id, seq, &merged);
                }
                _ => {
                    objects.put(&id, seq, &text);
                    plain.put(&id, seq, &text);
                }
            }
            let expected = plain.rows();
            prop_assert_eq!(rows(&objects), expected.clone());
            let found = expected.iter().find(|(_, known, ..)| *known == id);
            prop_assert_eq!(objects.text(&id), found.map(|(_, _, text, _)| &**text));
            prop_assert!(objects.gaps <= FEW_GAPS.max(objects.rows.len() / 4));
        }
        let all = plain.rows();
        let wire = all.iter().map(|(place, id, text, _)| (*place, &**id, &**text));
        let (copy, totals) = Objects::restore(1_000, wire).expect("they are in order");
        prop_assert_eq!((copy.sum(), totals.objects), (objects.sum(), all.len() as u64));
    }
}

#[test]
fn what_is_out_of_order_doubled_or_empty_is_refused() {
    for (wrong, why) in [
        ([(1, "a", "{}"), (1, "b", "{}")], "two at one place"),
        (
            [(2, "a", "{}"), (1, "b", "{}")],
            "the second before the first",
        ),
        ([(1, "a", "{}"), (2, "a", "{}")], "two of one name"),
        ([(1, "a", "{}"), (2, "b", "")], "one without a text"),
        ([(1, "a", "{}"), (9, "b", "{}")], "one behind the end"),
    ] {
        assert!(Objects::restore(8, wrong).is_none(), "{why}");
    }
}

#[test]
fn a_row_is_small() {
    assert_eq!(size_of::<Object>(), 48);
}

/// What they take, as an allocator counts that gives multiples of 16 bytes and needs 8 of them itself.
fn taken(objects: &Objects) -> usize {
    let block = |bytes: usize| (bytes + 8).next_multiple_of(16);
    let apart = |object: &Object| match &object.id {
        Id::Within(..) => 0,
        Id::Apart(id) => block(id.len()),
    };
    let texts = objects.rows.iter();
    let texts = texts.map(|object| block(16 + object.text.len()) + apart(object));
    let rows = objects.rows.capacity() * size_of::<Object>();
    texts.sum::<usize>() + rows + objects.index.allocation_size()
}

/// A process holds at most twice the JSON of its canvases. The rest of that is for what changes.
#[test]
fn objects_take_little_more_than_their_json() {
    let text = |n: usize, bytes: usize| {
        let head = format!(r#"{{"id":"{n:032x}","text":""#);
        let rest = "x".repeat(bytes - head.len() - 2);
        format!(r#"{head}{rest}"}}"#)
    };
    for (bytes, percent) in [(100, 205), (200, 165), (1_000, 115)] {
        for count in [1_000, 7_500, 20_000] {
            let mut objects = Objects::default();
            for (n, seq) in (0..count).zip(1..) {
                objects.put(&format!("{n:032x}"), seq, &text(n, bytes));
            }
            let json = |objects: &Objects| objects.rows().map(|o| o.text().len()).sum::<usize>();
            let ratio = |objects: &Objects| taken(objects) * 100 / json(objects);
            assert!(ratio(&objects) < percent, "{bytes}: {}", ratio(&objects));
            // Most of them are removed, some made again.
            for (n, seq) in (0..count).zip(1_000_000..) {
                let id = format!("{n:032x}");
                match n % 10 {
                    0 => objects.put(&id, seq, &text(n, bytes)),
                    _ => objects.remove(&id, seq),
                }
            }
            assert!(
                ratio(&objects) < percent + 40,
                "{bytes}: {}",
                ratio(&objects)
            );
        }
    }
}
