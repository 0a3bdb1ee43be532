//! The rooms that are open here. It opens a room for its first member, and forgets it after its last.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::actor::Actor;
use super::cursors::Flusher;
use super::inbox::{Event, Inbox};
use super::{Link, Settings};
use crate::backplane::{Beginnings, Canvas, Carrier};
use crate::protocol::ids::{CanvasId, Position};
use crate::tasks::Spawner;

/// A room as its members hold it.
pub struct Handle<L> {
    /// The canvas's name.
    pub id: CanvasId,
    /// What the room is told.
    pub inbox: Arc<Inbox<L>>,
    canvas: OnceLock<Canvas>,
}

impl<L> Handle<L> {
    /// The canvas, once the backplane opened it.
    pub fn canvas(&self) -> Option<&Canvas> {
        self.canvas.get()
    }

    pub(super) fn opened(&self, canvas: Canvas) {
        // A second opening of the same canvas has the same key.
        let _ = self.canvas.set(canvas);
    }
}

/// All rooms of this instance.
pub struct Registry<L> {
    rooms: Mutex<HashMap<CanvasId, Arc<Handle<L>>>>,
    backplane: Arc<dyn Carrier>,
    flusher: Arc<Flusher<L>>,
    settings: Arc<Settings>,
    spawner: Spawner,
    beginnings: Option<Arc<Beginnings>>,
}

impl<L: Link> Registry<L> {
    /// No rooms yet. `beginnings`: what those who make canvases are charged in, if it is bounded.
    pub fn new(
        backplane: Arc<dyn Carrier>,
        flusher: Arc<Flusher<L>>,
        settings: Arc<Settings>,
        spawner: Spawner,
        beginnings: Option<Arc<Beginnings>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            rooms: Mutex::default(),
            backplane,
            flusher,
            settings,
            spawner,
            beginnings,
        })
    }

    /// How many rooms are open.
    pub fn len(&self) -> usize {
        self.rooms.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers that `welcome` tells.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Puts a connection into its canvas's room, opening it if need be.
    pub fn join(
        self: &Arc<Self>,
        id: &CanvasId,
        link: Arc<L>,
        since: Option<Position>,
    ) -> Arc<Handle<L>> {
        let mut rooms = self.rooms.lock();
        let handle = rooms
            .entry(id.clone())
            .or_insert_with(|| self.start(id))
            .clone();
        // Under the lock, so that a room about to end sees it.
        handle.inbox.put(Event::Join { link, since });
        handle
    }

    fn start(self: &Arc<Self>, id: &CanvasId) -> Arc<Handle<L>> {
        let handle = Arc::new(Handle {
            id: id.clone(),
            inbox: Arc::new(Inbox::default()),
            canvas: OnceLock::new(),
        });
        let actor = Actor {
            handle: handle.clone(),
            backplane: self.backplane.clone(),
            flusher: self.flusher.clone(),
            settings: self.settings.clone(),
            beginnings: self.beginnings.clone(),
        };
        let registry = self.clone();
        let room = handle.clone();
        self.spawner.spawn(async move {
            actor.run(|| registry.forget(&room)).await;
        });
        handle
    }

    /// Forgets a room that nobody is in. `false` if somebody is about to come.
    fn forget(&self, room: &Arc<Handle<L>>) -> bool {
        let mut rooms = self.rooms.lock();
        if !room.inbox.is_empty() {
            return false;
        }
        if rooms
            .get(&room.id)
            .is_some_and(|known| Arc::ptr_eq(known, room))
        {
            rooms.remove(&room.id);
        }
        true
    }
}
