//! Events as a row keeps them: what several of them name, canvases and authors, is there once. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backplane::CanvasKey;
use crate::hooks::event::EventType;
use crate::hooks::hook_event::{HookEvent, Missed, Named};

/// Canvases and authors that are looked at, whether an event names one of them again.
const LATEST: usize = 16;

/// What a row has for one hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) hook: String,
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// A row.
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    shares: Vec<Share>,
    #[serde(borrow)]
    canvases: Vec<Canvas<'a>>,
    authors: Vec<(Option<&'a str>, Option<&'a str>)>,
    events: Vec<Event<'a>>,
}

/// The key of a canvas, and how it was called.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Canvas<'a>(CanvasKey, &'a str, &'a str);

/// An event of the canvas and the author with these places.
#[derive(Serialize, Deserialize)]
struct Event<'a> {
    canvas: usize,
    author: usize,
    event: EventType,
    missed: Missed,
    seq: u64,
    version: u64,
    data: &'a str,
    object: Option<&'a str>,
}

/// Where it is among the latest of those, or goes. A row has few events: looking at some texts is less than a hash of each.
fn place<T: PartialEq>(all: &mut Vec<T>, it: T) -> usize {
    let latest = all.iter().enumerate().rev().take(LATEST);
    let mut same = latest.filter(|(_, other)| **other == it);
    if let Some((place, _)) = same.next() {
        return place;
    }
    all.push(it);
    all.len() - 1
}

/// Puts events of canvases into a row, in their order.
pub(super) fn pack(shares: Vec<Share>, told: &[&(CanvasKey, HookEvent)]) -> Vec<u8> {
    let mut row = Row {
        shares,
        canvases: Vec::new(),
        authors: Vec::new(),
        events: Vec::with_capacity(told.len()),
    };
    for (key, told) in told {
        let named = Canvas(*key, &told.named.id, &told.named.epoch);
        let canvas = place(&mut row.canvases, named);
        let author = (told.client.as_deref(), told.user.as_deref());
        let author = place(&mut row.authors, author);
        row.events.push(Event {
            canvas,
            author,
            event: told.event,
            missed: told.missed,
            seq: told.seq,
            version: told.version,
            data: &told.data,
            object: told.object.as_deref(),
        });
    }
    // Numbers and texts: there is nothing that can't be written.
    postcard::to_stdvec(&row).unwrap_or_default()
}

/// What a row has for whom, and its events, each with the key of its canvas.
pub(super) type Unpacked = (Vec<Share>, Vec<(CanvasKey, HookEvent)>);

/// Takes them out again; `None` if they are damaged.
pub(super) fn unpack(bytes: &[u8]) -> Option<Unpacked> {
    let row: Row<'_> = postcard::from_bytes(bytes).ok()?;
    let named = |canvas: &Canvas<'_>| Named {
        id: Arc::from(canvas.1),
        epoch: Arc::from(canvas.2),
    };
    let canvases: Vec<(CanvasKey, Named)> =
        row.canvases.iter().map(|it| (it.0, named(it))).collect();
    let told = row.events.iter().map(|event| {
        let (key, named) = canvases.get(event.canvas)?;
        let (client, user) = row.authors.get(event.author)?;
        let told = HookEvent {
            named: named.clone(),
            event: event.event,
            seq: event.seq,
            version: event.version,
            client: client.map(str::to_owned),
            user: user.map(str::to_owned),
            data: event.data.to_owned(),
            object: event.object.map(str::to_owned),
            missed: event.missed,
        };
        Some((*key, told))
    });
    let told = told.collect::<Option<_>>()?;
    Some((row.shares, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(canvas: i64, epoch: &str, seq: u64, client: Option<&str>) -> (CanvasKey, HookEvent) {
        let told = HookEvent {
            named: Named {
                id: format!("board-{canvas}").into(),
                epoch: epoch.into(),
            },
            event: EventType::ObjectUpdated,
            seq,
            version: 0,
            client: client.map(str::to_owned),
            user: client.map(|client| format!("{{\"name\":\"{client}\"}}")),
            data: format!("{{\"x\":{seq}}}"),
            object: seq
                .is_multiple_of(2)
                .then(|| "{\"id\":\"größe\"}".to_owned()),
            missed: Missed::Nothing,
        };
        (CanvasKey(canvas), told)
    }

    #[test]
    fn events_come_out_as_they_were_and_what_is_damaged_does_not() {
        let mut all = vec![
            event(1, "e", 1, Some("ada")),
            event(2, "e", 9, Some("ada")),
            event(1, "e", 2, Some("ben")),
            // The canvas began a new epoch.
            event(1, "f", 2, None),
            event(1, "f", 3, Some("ada")),
        ];
        all[3].1.missed = Missed::Event;
        all[4].1.event = EventType::ClientLeft;
        let share = Share {
            hook: "save".to_owned(),
            events: 5,
            bytes: 700,
        };
        let bytes = pack(vec![share.clone()], &all.iter().collect::<Vec<_>>());
        assert_eq!(unpack(&bytes), Some((vec![share], all)));
        for cut in 0..bytes.len() {
            assert_eq!(unpack(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn what_many_events_name_is_there_once() {
        let all: Vec<_> = (1..=100)
            .map(|seq| event(1, "e", seq * 2 - 1, Some("ada")))
            .collect();
        let bytes = pack(Vec::new(), &all.iter().collect::<Vec<_>>());
        assert!(bytes.len() < 100 * 25, "{} bytes", bytes.len());
    }
}
