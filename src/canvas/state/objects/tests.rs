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
    objects.rows().map(row_of).collect()
}

fn row_of(object: &Object) -> (u64, String, String, u64) {
    let (id, text) = (object.id().to_owned(), object.text().to_string());
    (object.place(), id, text, object.changed())
}

/// With the id in it, behind much else, or not at all; of few bytes, of many, or too many for a chunk.
fn text(id: &str, which: u8) -> String {
    let rest = "-".repeat(usize::from(which) * 4);
    match which % 3 {
        0 => format!(r#"{{"id":"{id}","rest":"{rest}"}}"#),
        1 => format!(
            r#"{{"far":"{}{rest}","id":"{id}"}}"#,
            "-".repeat(row::ID_WITHIN)
        ),
        _ => format!(r#"{{"rest":"{rest}"}}"#),
    }
}

/// Bytes of all texts that are held, each once.
fn held(objects: &Objects) -> usize {
    let wholes = objects.rows.iter().map(|row| row.text().whole());
    let wholes: BTreeMap<_, _> = wholes.map(|whole| (whole.as_ptr(), whole.len())).collect();
    wholes.values().sum()
}

fn live(objects: &Objects) -> usize {
    objects.rows.iter().map(Object::bytes).sum()
}

/// A quarter of what is held may be dead, and no more.
fn is_bounded(objects: &Objects) -> bool {
    (held(objects) - live(objects)) * 4 <= held(objects)
}

/// Texts of about 100 bytes.
fn many(count: u64) -> Vec<(u64, String, String)> {
    let text = |n| format!(r#"{{"id":"o{n:06}","text":"{}"}}"#, "x".repeat(75));
    (1..=count)
        .map(|n| (n, format!("o{n:06}"), text(n)))
        .collect()
}

fn restored(rows: &[(u64, String, String)]) -> Objects {
    let wire = rows
        .iter()
        .map(|(place, id, text)| (*place, &**id, &**text));
    Objects::restore(1_000_000, wire)
        .expect("they are in order")
        .0
}

fn read_back(objects: &Objects) -> Objects {
    let all = rows(objects);
    let wire = all
        .iter()
        .map(|(place, id, text, _)| (*place, &**id, &**text));
    let (copy, totals) = Objects::restore(1_000, wire).expect("they are in order");
    assert_eq!(
        (copy.sum(), totals.objects),
        (objects.sum(), all.len() as u64)
    );
    copy
}

proptest! {
    /// Whatever was put, merged, removed and read back: each is found by its id, at its place. Little is held in vain. Lists
    /// that were taken meanwhile stay as they were.
    #[test]
    fn they_are_what_a_plain_list_is(
        actions in prop::collection::vec((0..16_u8, 0..80_u8, any::<u8>()), 1..300)
    ) {
        let (mut objects, mut plain) = (Objects::default(), Plain::default());
        let mut frozen = Vec::new();
        for (seq, (action, name, which)) in (1..).zip(actions) {
            let (id, text) = (format!("o{name}"), text(&format!("o{name}"), which));
            match action {
                0..=2 => {
                    objects.remove(&id, seq);
                    plain.0.retain(|_, (known, ..)| *known != id);
                }
                3..=5 if objects.bytes(&id).is_some() => {
                    let (open, fresh) = objects.open(&id).expect("it is there");
                    prop_assert!(fresh);
                    let patch = serde_json::json!({"merged": which});
                    open.merge(seq, (&patch, None), |_| Ok(())).expect("it fits");
                    let merged = objects.text_now(&id).expect("it is there");
                    objects.close();
                    plain.put(&id, seq, &merged);
                }
                6 if which < 40 => {
                    objects = read_back(&objects);
                    plain.0.iter_mut().for_each(|(place, row)| row.2 = *place);
                }
                7 if which < 40 => frozen.push((objects.each(Object::clone), plain.rows())),
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
            prop_assert!(is_bounded(&objects), "{} of {}", live(&objects), held(&objects));
        }
        for (taken, then) in frozen {
            prop_assert_eq!(taken.iter().map(row_of).collect::<Vec<_>>(), then);
        }
        read_back(&objects);
    }
}

#[test]
fn small_texts_are_packed_whether_they_are_read_or_written() {
    let all = many(5_000);
    let mut written = Objects::default();
    all.iter()
        .for_each(|(place, id, text)| written.put(id, *place, text));
    for (objects, alone) in [(restored(&all), 1), (written, 2 * CHUNK / 100)] {
        let packed = objects
            .rows
            .iter()
            .filter(|row| row.packed_bytes().is_some());
        assert!(all.len() - packed.count() <= alone);
        let chunks = objects.rows.iter().map(|row| row.text().whole().len());
        assert!(chunks.max().is_some_and(|most| most <= 2 * CHUNK));
        assert_eq!(
            held(&objects),
            live(&objects),
            "a chunk is as large as its texts"
        );
    }
    let large = "x".repeat(CHUNK);
    let alone = restored(&[1, 2, 3].map(|n| (n, format!("{n}"), large.clone())));
    assert!(alone.rows.iter().all(|row| row.packed_bytes().is_none()));
}

#[test]
fn little_is_held_in_vain_whatever_dies_and_what_is_written_is_packed_again() {
    let all = many(3_000);
    // One after the other, each one of seven, and from the end.
    let orders: [Vec<usize>; 3] = [
        (0..3_000).collect(),
        (0..3_000).map(|n| n * 7 % 3_000).collect(),
        (0..3_000).rev().collect(),
    ];
    for order in orders {
        let mut objects = restored(&all);
        let mut removed = restored(&all);
        for (which, seq) in order.iter().zip(1_000_001..) {
            let (_, id, text) = &all[*which];
            objects.put(id, seq, &text.replace('x', "yy"));
            removed.remove(id, seq);
            let looked_at = seq % 20 == 0;
            assert!(
                !looked_at || is_bounded(&objects) && is_bounded(&removed),
                "{seq}"
            );
        }
        let packed = objects
            .rows
            .iter()
            .filter(|row| row.packed_bytes().is_some());
        assert!(packed.count() > 2_000);
        assert!(objects.chunks.runs() < 3_000 * 200 / CHUNK * 3);
        assert_eq!((held(&removed), removed.chunks.runs()), (0, 0));
    }
}

/// An object that is written all the time does not make others be copied all the time.
#[test]
fn one_that_is_written_often_moves_no_others() {
    let all = many(1_000);
    let mut objects = restored(&all);
    let places = |objects: &Objects| -> Vec<_> {
        let others = objects.rows[1..].iter();
        others.map(|row| row.text().whole().as_ptr()).collect()
    };
    let before = places(&objects);
    for seq in 1_000_001..1_010_000 {
        objects.put(&all[0].1, seq, &all[0].2);
    }
    assert_eq!(places(&objects), before);
}

/// The time between is not noted if it is that long. So nothing is known of what came before.
#[test]
fn a_change_long_after_the_creation_makes_all_before_it_unknown() {
    let mut objects = Objects::default();
    let late = 10 + u64::from(u32::MAX);
    for (seq, from) in [(late, 0), (late + 1, late + 1), (late + 2, late + 2)] {
        objects.put("a", 10, "{}");
        objects.put("a", seq, "{}");
        let lately = objects.lately();
        assert_eq!(lately.from, from);
        assert!(lately.changed[0] == seq || lately.changed[0] <= lately.from);
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
    assert_eq!(size_of::<Object>(), 32);
}

/// What they take, as an allocator counts that gives multiples of 16 bytes and needs 8 of them itself.
fn taken(objects: &Objects) -> usize {
    let block = |bytes: usize| (bytes + 8).next_multiple_of(16);
    let wholes = objects.rows.iter().map(|row| row.text().whole());
    let wholes: BTreeMap<_, _> = wholes.map(|whole| (whole.as_ptr(), whole.len())).collect();
    let counted = size_of::<[usize; 4]>();
    let texts = wholes.values().map(|bytes| block(*bytes) + block(counted));
    let rows = objects.rows.capacity() * size_of::<Object>();
    texts.sum::<usize>() + rows + objects.chunks.bytes() + objects.index.allocation_size()
}

/// A process holds at most twice the JSON of its canvases. The rest of that is for what changes.
#[test]
fn objects_take_little_more_than_their_json() {
    let text = |n: usize, bytes: usize| {
        let head = format!(r#"{{"id":"{n:032x}","text":""#);
        let rest = "x".repeat(bytes - head.len() - 2);
        format!(r#"{head}{rest}"}}"#)
    };
    for (bytes, percent) in [(100, 175), (200, 140), (1_000, 115)] {
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
