//! How frequent messages name people: by the number that the receivers were given, or by the whole id.

/// Who has which number, for those who hear a message.
pub trait People {
    /// The number of that client, whether or not all receivers were told.
    fn number(&self, client: &str) -> Option<u32>;

    /// Whether all receivers were told all numbers; if not, people are named whole.
    fn know_numbers(&self) -> bool;
}

/// Nobody has a number.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl People for Nobody {
    fn number(&self, _: &str) -> Option<u32> {
        None
    }

    fn know_numbers(&self) -> bool {
        false
    }
}

/// Appends whose message it is.
pub(super) fn write(out: &mut Vec<u8>, people: &impl People, client: &str) {
    let number = people
        .know_numbers()
        .then(|| people.number(client))
        .flatten();
    // Writing into a Vec cannot fail.
    let _ = match number {
        Some(number) => rmp::encode::write_uint(out, number.into()).map(|_| ()),
        None => rmp::encode::write_str(out, client),
    };
}
