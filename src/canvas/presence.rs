//! Presence on a canvas: clients that join, change, leave or lose their connection.

use std::sync::Arc;

use super::moment::{Moment, Rules};
use super::refusals;
use super::store::{Away, Place, Store};
use crate::backplane::{Author, Delivery, End, PresenceChange, PresenceEvent};
use crate::protocol::ids::{ClientId, ConnId, InstanceNumber};
use crate::protocol::server_message::LeaveReason;

impl Rules {
    /// Who was lost at or before this is gone now.
    pub fn gone_since_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.presence_grace_ms)
    }
}

impl<S: Store> Moment<'_, S> {
    /// The connection takes its client's place, if the client's name is not somebody else's, and is answered. Gives the place.
    ///
    /// # Errors
    /// The store's.
    pub fn join(&mut self, author: &Author) -> Result<Option<Place>, S::Error> {
        let client = self.store.client(&author.client)?;
        let acked_op = client.last_op;
        let (acked_op, place) = if client.is_not_of(author) {
            (Err(refusals::not_yours()), None)
        } else {
            self.store.use_client(&author.client, |client| {
                if client.subject.is_empty() {
                    client.subject.clone_from(&author.subject);
                }
            })?;
            (Ok(acked_op), Some(self.take(author, None)?))
        };
        let conn = author.conn;
        self.store.answer(Delivery::Joined { conn, acked_op });
        Ok(place)
    }

    /// The connection takes its client's place. A state that the client has there stays; `state` is for who has none.
    fn take(&mut self, author: &Author, state: Option<Arc<str>>) -> Result<Place, S::Error> {
        let before = self.store.place(&author.client)?;
        let new = before.is_none();
        let state = before.and_then(|place| place.state).or(state);
        self.work += state.as_ref().map_or(0, |state| state.len());
        let place = Place {
            conn: author.conn,
            user: author.user.as_str().into(),
            state,
            away: None,
        };
        self.set(&author.client, &place, new)?;
        Ok(place)
    }

    /// The connection, whose instance was wrongly taken for dead, takes its place again unless another has it. `false` if it has lost it.
    ///
    /// # Errors
    /// The store's.
    pub fn retake(&mut self, author: &Author, state: Option<Arc<str>>) -> Result<bool, S::Error> {
        match self.store.place(&author.client)? {
            Some(place) if place.conn != author.conn => return Ok(false),
            Some(place) if place.away.is_none() => {}
            _ => _ = self.take(author, state)?,
        }
        Ok(true)
    }

    /// The client's whole state, from the connection that holds its place. Gives the place; `None` if the connection does not hold it.
    ///
    /// # Errors
    /// The store's.
    pub fn state(&mut self, author: &Author, state: &str) -> Result<Option<Place>, S::Error> {
        let Some(mut place) = self.held(author)? else {
            return Ok(None);
        };
        place.state = Some(state.into());
        self.set(&author.client, &place, false)?;
        Ok(Some(place))
    }

    /// The connection ended. Nothing, unless it holds its client's place.
    ///
    /// # Errors
    /// The store's.
    pub fn leave(&mut self, author: &Author, end: End) -> Result<(), S::Error> {
        match self.held(author)? {
            None => Ok(()),
            Some(place) if end == End::Clean => {
                self.remove(&author.client, &place, LeaveReason::Left)
            }
            Some(place) => self.lose(&author.client, place, false),
        }
    }

    /// That instance died, or ended in order: everyone whose place it holds turns away. Not gone: back elsewhere within the grace
    /// they have not flickered.
    ///
    /// # Errors
    /// The store's.
    pub fn lose_instance(&mut self, instance: InstanceNumber, died: bool) -> Result<(), S::Error> {
        for client in self.store.places_of(instance)? {
            let Some(mut place) = self.store.place(&client)? else {
                continue;
            };
            match &mut place.away {
                None => self.lose(&client, place, died)?,
                Some(away) if died && !away.instance_lost => {
                    // They are lost already: nothing that others see has changed.
                    away.instance_lost = true;
                    self.store.set_place(&client, &place)?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Removes a client if its grace is over. `false` if it is not: it is back, or was lost again.
    ///
    /// # Errors
    /// The store's.
    pub fn end_grace(&mut self, client: &ClientId) -> Result<bool, S::Error> {
        let gone_since_ms = self.rules.gone_since_ms(self.now_ms);
        let Some(place) = self.store.place(client)? else {
            return Ok(false);
        };
        let Some(away) = place.away.filter(|away| away.since_ms <= gone_since_ms) else {
            return Ok(false);
        };
        let reason = match away.instance_lost {
            true => LeaveReason::InstanceLost,
            false => LeaveReason::Timeout,
        };
        self.remove(client, &place, reason)?;
        Ok(true)
    }

    /// The client's place, if the connection holds it.
    fn held(&mut self, author: &Author) -> Result<Option<Place>, S::Error> {
        let place = self.store.place(&author.client)?;
        Ok(place.filter(|place| place.conn == author.conn))
    }

    /// The client is away from now on.
    fn lose(
        &mut self,
        client: &ClientId,
        mut place: Place,
        instance_lost: bool,
    ) -> Result<(), S::Error> {
        place.away = Some(Away {
            since_ms: self.now_ms,
            instance_lost,
        });
        self.set(client, &place, false)
    }

    fn set(&mut self, client: &ClientId, place: &Place, new: bool) -> Result<(), S::Error> {
        self.store.set_place(client, place)?;
        let change = PresenceChange::Set(place.member(client));
        self.emit(change, place.conn, new)
    }

    fn remove(
        &mut self,
        client: &ClientId,
        place: &Place,
        reason: LeaveReason,
    ) -> Result<(), S::Error> {
        self.store.remove_place(client)?;
        let client = client.clone();
        self.emit(PresenceChange::Gone { client, reason }, place.conn, false)
    }

    fn emit(&mut self, change: PresenceChange, origin: ConnId, new: bool) -> Result<(), S::Error> {
        let head = self.store.head_mut();
        head.presence_version += 1;
        let version = head.presence_version;
        self.store
            .emit_presence(PresenceEvent { version, change }, origin, new)
    }
}
