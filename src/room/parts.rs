//! A canvas's state, framed once for all clients that join in the same form.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

use bytes::Bytes;

use crate::backplane::Snapshot;
use crate::protocol::deflate;
use crate::protocol::encoding::{Encoding, Form};
use crate::protocol::ids::Position;
use crate::protocol::msgpack;
use crate::protocol::server_message::{Contents, snapshot_of};

/// What those need who wait for a snapshot.
#[derive(Debug, Default)]
pub struct Wanted {
    /// How they read it.
    pub forms: HashSet<Form>,
    /// The `seq` of older states that some of them hold.
    pub bases: BTreeSet<u64>,
}

/// A canvas's state: whole, and as what changed since older states that somebody holds.
#[derive(Debug)]
pub struct Parts {
    /// Exactly where.
    pub at: Position,
    /// With all that there is: who does not know of logs ignores them.
    all: States,
    /// The same without logs, if there are some and somebody wants none.
    without_logs: Option<States>,
}

/// A state that is told in one way.
#[derive(Debug)]
struct States {
    whole: Framed,
    /// By the older state's `seq`; `None` if it is not known what changed since, or if that is too much.
    since: BTreeMap<u64, Option<Framed>>,
}

/// The framed `snapshot` messages, in each form that somebody asked for.
#[derive(Debug)]
struct Framed {
    json: Vec<Bytes>,
    msgpack: OnceLock<Vec<Bytes>>,
    /// By [`Form::index`].
    deflated: [OnceLock<Vec<Bytes>>; Form::COUNT],
}

impl Parts {
    /// Those that are framed in JSON.
    pub fn new(at: Position, json: Vec<Bytes>) -> Self {
        let all = States {
            whole: Framed::new(json),
            since: BTreeMap::new(),
        };
        Self {
            at,
            all,
            without_logs: None,
        }
    }

    /// Of a snapshot, with what changed since older states. All of that together takes no more bytes than the whole.
    pub fn of_snapshot(snapshot: &Snapshot, wanted: &Wanted) -> Self {
        let Wanted { forms, bases } = wanted;
        let some = !snapshot.logs.is_empty() && forms.iter().any(|form| !form.logs);
        Self {
            at: snapshot.at,
            all: States::of(snapshot, true, bases),
            without_logs: some.then(|| States::of(snapshot, false, bases)),
        }
    }

    /// Makes what is needed for a form: for a large canvas that takes many milliseconds.
    pub fn make(&self, form: Form) {
        let States { whole, since } = self.states(form);
        let since = since.values().flatten();
        since.chain([whole]).for_each(|framed| framed.make(form));
    }

    /// Whether they were made for that form and that older state; what is not long in coming needs no making.
    pub fn has(&self, form: Form, base: Option<u64>) -> bool {
        let States { whole, since } = self.states(form);
        let asked = base.is_none_or(|base| since.contains_key(&base));
        asked && (!form.deflate || whole.deflated[form.index()].get().is_some())
    }

    /// The parts in that form for who holds that older state. Who could read them compressed gets them so if somebody did at the time
    /// they were made.
    pub fn of(&self, form: Form, base: Option<u64>) -> &[Bytes] {
        let States { whole, since } = self.states(form);
        let since = base.and_then(|base| since.get(&base)?.as_ref());
        since.unwrap_or(whole).of(form)
    }

    fn states(&self, form: Form) -> &States {
        let without = self.without_logs.as_ref().filter(|_| !form.logs);
        without.unwrap_or(&self.all)
    }
}

impl States {
    fn of(snapshot: &Snapshot, logs: bool, bases: &BTreeSet<u64>) -> Self {
        let Position { epoch, seq } = snapshot.at;
        let chat = &snapshot.chat;
        let logs = logs && !snapshot.logs.is_empty();
        let entries = snapshot.entries().map(|(_, entry)| entry);
        let whole = Contents {
            objects: snapshot.objects.iter().map(|object| &**object).collect(),
            entries: logs.then(|| entries.collect()),
            chat,
            ..Contents::default()
        };
        let whole = Framed::new(snapshot_of((epoch, seq), &whole));
        let mut left = whole.bytes();
        let mut parts = BTreeMap::new();
        // The youngest first: of them there is least to tell.
        for base in bases.iter().rev() {
            let framed = snapshot.since(*base).and_then(|since| {
                let objects = since.objects.iter().map(|object| object.len());
                let entries = since.entries.iter().map(|(_, _, data)| data.len());
                let entries = entries.filter(|_| logs);
                if objects.sum::<usize>() + entries.sum::<usize>() > left {
                    return None;
                }
                let told = Contents {
                    base: Some(*base),
                    deleted: since.deleted,
                    compacted: since.compacted,
                    objects: since.objects,
                    entries: logs.then_some(since.entries),
                    chat,
                };
                Some(Framed::new(snapshot_of((epoch, seq), &told)))
            });
            left = left.saturating_sub(framed.as_ref().map_or(0, Framed::bytes));
            parts.insert(*base, framed);
        }
        Self {
            whole,
            since: parts,
        }
    }
}

impl Framed {
    fn new(json: Vec<Bytes>) -> Self {
        Self {
            json,
            msgpack: OnceLock::new(),
            deflated: Default::default(),
        }
    }

    fn bytes(&self) -> usize {
        self.json.iter().map(Bytes::len).sum()
    }

    fn make(&self, form: Form) {
        let plain = self.plain(form.encoding);
        if form.deflate {
            let shorter = |part: &Bytes| {
                let long = part.len() >= deflate::FROM_BYTES;
                let deflated = long.then(|| deflate::frames(part, form.encoding)).flatten();
                deflated.unwrap_or_else(|| part.clone())
            };
            self.deflated[form.index()].get_or_init(|| plain.iter().map(shorter).collect());
        }
    }

    fn of(&self, form: Form) -> &[Bytes] {
        match self.deflated[form.index()].get() {
            Some(parts) => parts,
            None => self.plain(form.encoding),
        }
    }

    fn plain(&self, encoding: Encoding) -> &[Bytes] {
        match encoding {
            Encoding::Json => &self.json,
            Encoding::Msgpack => self.msgpack.get_or_init(|| {
                let parts = self.json.iter();
                parts.map(|part| msgpack::frame(part)).collect()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::backplane::{EntriesOf, Lately};
    use crate::protocol::ids::Epoch;
    use crate::protocol::server_message::snapshot_parts;

    #[test]
    fn each_form_is_made_once_and_long_parts_get_shorter() {
        let (epoch, seq) = (Epoch(1), 3);
        let objects = vec![r#"{"id":"a","kind":"box","text":"the same again"}"#; 1_000];
        let parts = Parts::new(
            Position { epoch, seq },
            snapshot_parts(epoch, seq, &objects, &[]),
        );
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let (plain, deflate) = (
                Form {
                    encoding,
                    ..Form::default()
                },
                Form {
                    encoding,
                    deflate: true,
                    ..Form::default()
                },
            );
            assert_eq!(
                parts.of(deflate, None),
                parts.of(plain, None),
                "nobody asked yet"
            );
            parts.make(deflate);
            let bytes = |form| parts.of(form, None).iter().map(Bytes::len).sum::<usize>();
            assert!(bytes(deflate) * 10 < bytes(plain));
            assert_eq!(
                parts.of(deflate, None)[0].as_ptr(),
                parts.of(deflate, None)[0].as_ptr()
            );
        }
    }

    fn wanted(bases: impl IntoIterator<Item = u64>) -> Wanted {
        Wanted {
            forms: HashSet::from([Form::default()]),
            bases: bases.into_iter().collect(),
        }
    }

    fn payload(part: &Bytes) -> serde_json::Value {
        serde_json::from_slice(crate::protocol::frame::payload(part)).unwrap()
    }

    /// Ten objects, the last of which changed at 11; b was deleted at 10.
    fn snapshot() -> Snapshot {
        let object = |n| {
            let text = "x".repeat(1_000);
            format!(r#"{{"id":"o{n}","kind":"box","text":"{text}"}}"#).into()
        };
        let mut changed: Vec<u64> = (0..9).collect();
        changed.push(11);
        let lately = Lately {
            changed,
            deleted: vec![(2, "a".into()), (10, "b\"".into())],
            from: 1,
        };
        let (epoch, seq) = (Epoch(1), 11);
        Snapshot {
            at: Position { epoch, seq },
            objects: (0..10).map(object).collect(),
            logs: Vec::new(),
            chat: vec![r#"{"seq":4}"#.to_owned()],
            lately,
        }
    }

    #[test]
    fn who_holds_an_older_state_gets_what_changed_since() {
        let parts = Parts::of_snapshot(&snapshot(), &wanted([0, 1, 9, 12]));
        let form = Form::default();
        let since = parts.of(form, Some(9));
        assert_eq!(since.len(), 1);
        let told = payload(&since[0]);
        assert_eq!(told["base"], json!({"epoch": "0000000000000001", "seq": 9}));
        assert_eq!(told["objects"].as_array().unwrap().len(), 1);
        assert_eq!(told["objects"][0]["id"], "o9");
        assert_eq!(told["deleted"], json!(["b\""]));
        assert_eq!(told["chat"], json!([{"seq": 4}]));
        assert!(since[0].len() < 2_000, "{}", since[0].len());
        let deflate = true;
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let form = Form {
                encoding,
                deflate,
                logs: true,
            };
            parts.make(form);
            assert!(parts.has(form, Some(9)) && !parts.has(form, Some(8)));
            assert_ne!(parts.of(form, Some(9))[0], parts.of(form, None)[0]);
        }
    }

    #[test]
    fn who_holds_what_nobody_knows_gets_the_whole() {
        let parts = Parts::of_snapshot(&snapshot(), &wanted([0, 12]));
        let (form, whole) = (
            Form::default(),
            payload(&parts.of(Form::default(), None)[0]),
        );
        assert_eq!(whole["objects"].as_array().unwrap().len(), 10);
        assert!(whole.get("base").is_none() && whole.get("deleted").is_none());
        for base in [0, 12] {
            assert!(parts.has(form, Some(base)), "it is not asked for again");
            assert_eq!(parts.of(form, Some(base)), parts.of(form, None));
        }
    }

    /// Many who hold different old states, from which nearly everything changed, cost no copy of the canvas each.
    #[test]
    fn what_changed_since_all_of_them_is_not_more_than_the_whole() {
        let parts = Parts::of_snapshot(&snapshot(), &wanted(1..=10));
        let since = parts.all.since.values().flatten().map(Framed::bytes);
        let (since, whole) = (since.sum::<usize>(), parts.all.whole.bytes());
        assert!(
            since > whole / 4 && since < whole * 5 / 4,
            "{since} of {whole}"
        );
        let told = payload(&parts.of(Form::default(), Some(10))[0]);
        assert_eq!(
            told["base"]["seq"], 10,
            "the youngest are told what changed"
        );
    }

    #[test]
    fn a_long_list_of_deletions_is_cut_into_parts() {
        let mut snapshot = snapshot();
        let id = |n: u64| (n, format!("{n:04}{}", "é".repeat(200)).into());
        snapshot.lately.deleted = (1..2_001).map(id).collect();
        snapshot.at.seq = 3_000;
        let parts = Parts::of_snapshot(&snapshot, &wanted([1]));
        let since: Vec<_> = parts
            .of(Form::default(), Some(1))
            .iter()
            .map(payload)
            .collect();
        assert!(since.len() > 1 || parts.all.since[&1].is_none());
        let deleted = since.iter().flat_map(|part| part["deleted"].as_array());
        assert_eq!(deleted.map(Vec::len).sum::<usize>(), 1_999);
        assert!(since[0].get("base").is_some() && since[1].get("base").is_none());
        assert!(since[1]["last"].as_bool().unwrap());
    }

    fn entries(id: &str, compacted_seq: u64, entries: &[(u64, &str)]) -> EntriesOf {
        let entries = entries.iter();
        EntriesOf {
            id: id.into(),
            compacted_seq,
            entries: entries.map(|(seq, data)| (*seq, (*data).into())).collect(),
        }
    }

    #[test]
    fn who_knows_of_logs_gets_their_entries_and_who_does_not_gets_none() {
        let mut snapshot = snapshot();
        snapshot.logs = vec![
            entries("o1", 0, &[(2, "Ag=="), (10, "Cg==")]),
            entries("o2", 10, &[(8, "CA=="), (9, "CQ==")]),
            entries("o3", 10, &[]),
        ];
        let parts = Parts::of_snapshot(&snapshot, &wanted([9]));
        let logs = Form {
            logs: true,
            ..Form::default()
        };
        let entry = |id: &str, seq: u64, data: &str| json!({"id": id, "seq": seq, "data": data});
        let whole = payload(&parts.of(logs, None)[0]);
        let all = [
            entry("o1", 2, "Ag=="),
            entry("o1", 10, "Cg=="),
            entry("o2", 8, "CA=="),
            entry("o2", 9, "CQ=="),
        ];
        assert_eq!(whole["logs"], json!(all));
        assert!(whole.get("compacted").is_none());
        let since = payload(&parts.of(logs, Some(9))[0]);
        assert_eq!(since["compacted"], json!(["o2", "o3"]));
        assert_eq!(since["logs"], json!([all[1], all[2], all[3]]));
        for base in [None, Some(9)] {
            let told = payload(&parts.of(Form::default(), base)[0]);
            assert!(told.get("logs").is_none() && told.get("compacted").is_none());
            assert_eq!(
                told["objects"],
                payload(&parts.of(logs, base)[0])["objects"]
            );
        }
    }

    #[test]
    fn what_has_no_logs_is_framed_once_for_all() {
        let parts = Parts::of_snapshot(&snapshot(), &wanted([]));
        let logs = Form {
            logs: true,
            ..Form::default()
        };
        let (one, other) = (parts.of(logs, None), parts.of(Form::default(), None));
        assert_eq!(one[0].as_ptr(), other[0].as_ptr());
        assert!(payload(&one[0]).get("logs").is_none());
    }
}
