//! The number of connections, in all and of each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

/// The places of one process.
#[derive(Debug)]
pub struct Places {
    max: u32,
    max_per_address: u32,
    taken: AtomicU32,
    by_address: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection's place. Given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Places {
    /// So many places; `max_per_address` 0: as many for one address as there are.
    pub fn new(max: u32, max_per_address: u32) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_address,
            taken: AtomicU32::new(0),
            by_address: Mutex::default(),
        })
    }

    /// How many are taken.
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes a place.
    ///
    /// # Errors
    /// Which limit is reached, for the close frame.
    pub fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, String> {
        let address = address.filter(|_| self.max_per_address > 0).map(household);
        let more = |taken: u32| (taken < self.max).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .map_err(|max| format!("this instance is full (max_connections is {max})"))?;
        // From here on the place is given back whatever happens.
        let mut place = Place {
            places: self.clone(),
            address: None,
        };
        if let Some(address) = address {
            let mut by_address = self.by_address.lock();
            let count = by_address.entry(address).or_insert(0);
            let max = self.max_per_address;
            if *count >= max {
                drop(by_address);
                return Err(format!(
                    "too many connections of this address (max_connections_per_address is {max})"
                ));
            }
            *count += 1;
            place.address = Some(address);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::AcqRel);
        if let Some(address) = self.address {
            let mut by_address = self.places.by_address.lock();
            if let Some(count) = by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&address);
                }
            }
        }
    }
}

/// An IPv6 host has all of its /64 to itself: that counts as one address.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let places = Places::new(2, 0);
        let (a, b) = (
            places.take(None).unwrap(),
            places.take(address("::1")).unwrap(),
        );
        assert!(places.take(None).unwrap_err().contains("max_connections"));
        assert_eq!(places.taken(), 2);
        drop(a);
        assert!(places.take(None).is_ok());
        drop(b);
        assert_eq!(places.taken(), 0);
        assert!(places.by_address.lock().is_empty());
    }

    #[test]
    fn an_address_has_its_share() {
        let places = Places::new(10, 1);
        let ada = places.take(address("192.0.2.1")).unwrap();
        let same = places.take(address("::ffff:192.0.2.1")).unwrap_err();
        assert!(same.contains("per_address"));
        assert_eq!(places.taken(), 1, "a refused one holds nothing");
        let six = places.take(address("2001:db8::1")).unwrap();
        assert!(places.take(address("2001:db8::2")).is_err(), "one /64");
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
        drop((ada, six));
        assert!(places.by_address.lock().is_empty());
    }
}
