//! The places for HTTP connections: counted from the accept on, in all and for each address. When no place is left, the
//! connection that has been idle longest is closed. When none is idle, a reserve of places still answers probes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::Network;
use crate::limits::{HTTP_PER_ADDRESS, HTTP_RESERVE, MIN_HTTP_CONNECTIONS};
use crate::socket::places::household;

/// How many of the oldest are looked at for one that is to give way, so that an accept costs the same when all places are
/// taken.
const LOOKED_AT: usize = 64;

/// Who may come in, and how many.
#[derive(Debug)]
pub struct Lobby {
    most: usize,
    per_address: usize,
    trusted: Vec<Network>,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    /// By age.
    all: BTreeMap<u64, Taken>,
    reserve: BTreeMap<u64, Arc<Doing>>,
    by_address: HashMap<IpAddr, BTreeMap<u64, Arc<Doing>>>,
}

#[derive(Debug)]
struct Taken {
    address: Option<IpAddr>,
    doing: Arc<Doing>,
}

/// What a connection is at, for whoever looks for one that may end.
#[derive(Debug, Default)]
pub(super) struct Doing {
    /// A request is being answered.
    pub(super) answering: AtomicBool,
    /// Answers that were begun.
    pub(super) answers: AtomicU64,
    /// An answer is on its way, and the socket is full.
    pub(super) writing: AtomicBool,
    /// Its answer is a stream of events, which lasts as long as its client is here.
    pub(super) streaming: AtomicBool,
    given_up: Notify,
}

impl Doing {
    fn is_idle(&self) -> bool {
        let busy = [&self.answering, &self.writing, &self.streaming];
        !busy.iter().any(|busy| busy.load(Ordering::Relaxed))
    }

    /// Comes when the connection has to give way.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }
}

/// The way from the lobby into a canvas without an upgrade. A stream of events counts as a WebSocket, and no more as a
/// connection that speaks HTTP.
#[derive(Debug, Clone)]
pub(super) struct Door {
    lobby: Arc<Lobby>,
    id: u64,
    doing: Arc<Doing>,
}

/// A connection has gone through. Until this is dropped, the connection is not to be ended.
#[derive(Debug)]
pub(super) struct Inside(Arc<Doing>);

impl Door {
    /// Gives the place back. The connection must end with the answer.
    pub(super) fn enter(&self) -> Inside {
        self.doing.streaming.store(true, Ordering::Relaxed);
        self.lobby.seats.lock().remove(self.id);
        Inside(self.doing.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.streaming.store(false, Ordering::Relaxed);
    }
}

/// One connection's place. Given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    lobby: Arc<Lobby>,
    id: u64,
    pub(super) doing: Arc<Doing>,
    /// Probes only: there is no place for more.
    pub(super) reserve: bool,
}

impl Lobby {
    /// `connections`: as many as may speak HTTP; `per_address` of them from one address, 0: no limit is asked for. `trusted`: proxies,
    /// behind which are many.
    pub fn new(connections: u32, per_address: u32, trusted: Vec<Network>) -> Arc<Self> {
        let most = (connections as usize).max(MIN_HTTP_CONNECTIONS);
        let per_address = match per_address as usize {
            // What looks like one address may be everybody; still it is not to have all of them.
            0 => most - most / 4,
            some => some.max(HTTP_PER_ADDRESS),
        };
        Arc::new(Self {
            most,
            per_address,
            trusted,
            seats: Mutex::default(),
        })
    }

    /// A place for a connection that was accepted just now.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Seat {
        let address = address.to_canonical();
        let is_proxy = self.trusted.iter().any(|net| net.contains(address));
        let address = (!is_proxy).then(|| household(address));
        let seats = &mut *self.seats.lock();
        let of_address = address.and_then(|address| seats.by_address.get(&address));
        let gives_way = if of_address.is_some_and(|own| own.len() >= self.per_address) {
            Some(of_address.and_then(first_idle))
        } else if seats.all.len() >= self.most {
            Some(seats.dispensable())
        } else {
            None
        };
        let reserve = gives_way == Some(None);
        if let Some(Some(id)) = gives_way {
            seats.give_up(id);
        }
        seats.next += 1;
        let id = seats.next;
        let doing = Arc::<Doing>::default();
        if reserve {
            seats.make_room_in_reserve();
            seats.reserve.insert(id, doing.clone());
        } else {
            if let Some(address) = address {
                let own = seats.by_address.entry(address).or_default();
                own.insert(id, doing.clone());
            }
            let doing = doing.clone();
            seats.all.insert(id, Taken { address, doing });
        }
        Seat {
            lobby: self.clone(),
            id,
            doing,
            reserve,
        }
    }
}

impl Seat {
    /// Where it goes on from here.
    pub(super) fn door(&self) -> Door {
        Door {
            lobby: self.lobby.clone(),
            id: self.id,
            doing: self.doing.clone(),
        }
    }
}

impl Seats {
    /// Of the oldest that are idle the one whose address has most.
    fn dispensable(&self) -> Option<u64> {
        let idle = self.all.iter().filter(|(_, taken)| taken.doing.is_idle());
        let have = |taken: &Taken| {
            let own = taken
                .address
                .and_then(|address| self.by_address.get(&address));
            own.map_or(0, BTreeMap::len)
        };
        // Of equal ones the last is taken: the order is turned round so that it is the oldest.
        let oldest: Vec<_> = idle.take(LOOKED_AT).collect();
        let most = oldest.iter().rev().max_by_key(|(_, taken)| have(taken));
        most.map(|(id, _)| **id)
    }

    /// It loses its place now, and hears of it.
    fn give_up(&mut self, id: u64) {
        if let Some(doing) = self.remove(id) {
            doing.given_up.notify_one();
        }
    }

    fn make_room_in_reserve(&mut self) {
        if self.reserve.len() < HTTP_RESERVE {
            return;
        }
        let id = first_idle(&self.reserve).or(self.reserve.keys().next().copied());
        if let Some(doing) = id.and_then(|id| self.reserve.remove(&id)) {
            doing.given_up.notify_one();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Doing>> {
        let Taken { address, doing } = self.all.remove(&id)?;
        if let Some(address) = address
            && let Some(own) = self.by_address.get_mut(&address)
        {
            own.remove(&id);
            if own.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(doing)
    }
}

fn first_idle(seats: &BTreeMap<u64, Arc<Doing>>) -> Option<u64> {
    let mut oldest = seats.iter().take(LOOKED_AT);
    oldest.find(|(_, doing)| doing.is_idle()).map(|(id, _)| *id)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.lobby.seats.lock();
        // Whoever had to give way has none any more.
        if self.reserve {
            seats.reserve.remove(&self.id);
        } else {
            seats.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn enter(lobby: &Arc<Lobby>, address: &str) -> Seat {
        lobby.enter(address.parse().unwrap())
    }

    fn busy(seat: Seat) -> Seat {
        seat.doing.answering.store(true, Ordering::Relaxed);
        seat
    }

    async fn has_given_up(seat: &Seat) -> bool {
        let soon = std::time::Duration::from_millis(1);
        let given_up = tokio::time::timeout(soon, seat.doing.given_up()).await;
        given_up.is_ok()
    }

    #[tokio::test]
    async fn who_is_idle_longest_gives_way_to_the_same_address() {
        let lobby = Lobby::new(1_000, 1, Vec::new());
        let seats: Vec<_> = (0..HTTP_PER_ADDRESS)
            .map(|_| enter(&lobby, "192.0.2.1"))
            .collect();
        let other = enter(&lobby, "192.0.2.2");
        seats[0].doing.answering.store(true, Ordering::Relaxed);
        let next = enter(&lobby, "::ffff:192.0.2.1");
        assert!(!next.reserve);
        assert!(!has_given_up(&seats[0]).await, "it is being answered");
        assert!(has_given_up(&seats[1]).await);
        assert!(!has_given_up(&seats[2]).await && !has_given_up(&other).await);
        drop((seats, next, other));
        let left = lobby.seats.lock();
        assert!(left.all.is_empty() && left.by_address.is_empty());
    }

    #[tokio::test]
    async fn an_address_that_is_busy_with_all_of_its_places_is_left_with_probes() {
        let lobby = Lobby::new(1_000, 1, Vec::new());
        let seats: Vec<_> = (0..HTTP_PER_ADDRESS)
            .map(|_| busy(enter(&lobby, "192.0.2.1")))
            .collect();
        let probes: Vec<_> = (0..=HTTP_RESERVE)
            .map(|_| enter(&lobby, "192.0.2.1"))
            .collect();
        assert!(probes.iter().all(|probe| probe.reserve));
        assert!(
            has_given_up(&probes[0]).await,
            "the newest comes in, whoever is silent"
        );
        assert!(!has_given_up(&probes[1]).await);
        assert!(!enter(&lobby, "192.0.2.2").reserve, "others have places");
        drop((seats, probes));
        assert!(lobby.seats.lock().reserve.is_empty());
    }

    #[tokio::test]
    async fn in_a_full_house_the_address_with_most_gives_way() {
        let lobby = Lobby::new(64, 0, Vec::new());
        let honest = enter(&lobby, "192.0.2.2");
        let crowd: Vec<_> = (0..48).map(|_| enter(&lobby, "192.0.2.1")).collect();
        let others: Vec<_> = (0..15)
            .map(|n| enter(&lobby, &format!("192.0.3.{n}")))
            .collect();
        let next = enter(&lobby, "192.0.2.3");
        assert!(!next.reserve);
        assert!(!has_given_up(&honest).await, "it is older, but has one");
        assert!(has_given_up(&crowd[0]).await);
        drop(others);
    }

    #[tokio::test]
    async fn who_has_a_stream_has_no_place_here_and_gives_none_up() {
        let lobby = Lobby::new(64, 0, Vec::new());
        let (streams, inside): (Vec<_>, Vec<_>) = (0..80)
            .map(|_| {
                let seat = enter(&lobby, "192.0.2.1");
                let inside = seat.door().enter();
                (seat, inside)
            })
            .unzip();
        let next: Vec<_> = (0..48).map(|_| busy(enter(&lobby, "192.0.2.1"))).collect();
        assert!(streams.iter().chain(&next).all(|seat| !seat.reserve));
        for seat in &streams {
            assert!(!has_given_up(seat).await && !seat.doing.is_idle());
        }
        drop(inside);
        assert!(streams[0].doing.is_idle());
        drop((streams, next));
        assert!(lobby.seats.lock().by_address.is_empty());
    }

    #[tokio::test]
    async fn where_all_are_busy_the_reserve_is_left() {
        let config = Config::from_flags(["--trusted-proxy=10.0.0.0/8"]).unwrap();
        let lobby = Lobby::new(64, 0, config.limits.trusted_proxies);
        // A proxy may have all of them.
        let seats: Vec<_> = (0..64).map(|_| busy(enter(&lobby, "10.0.0.1"))).collect();
        assert!(seats.iter().all(|seat| !seat.reserve));
        assert!(enter(&lobby, "192.0.2.1").reserve);
        drop(seats);
        assert!(!enter(&lobby, "192.0.2.1").reserve);
    }
}
