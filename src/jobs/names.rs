//! Names of queues in wakes, of messages in tables, of partitions and leases on the wire; and which names are allowed.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::op::{LeaseId, Refusal};

/// What wakes name a queue by: the same in all processes and versions (FNV-1a).
pub(crate) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What stands for a message's name.
pub(crate) fn digest(name: &str) -> [u8; 16] {
    first_half(&Sha256::digest(name))
}

/// The same for one that was replayed to one group while another has it still.
pub(crate) fn digest_for(name: &str, grp: i64) -> [u8; 16] {
    first_half(
        &Sha256::new()
            .chain_update(grp.to_le_bytes())
            .chain_update(name)
            .finalize(),
    )
}

/// Bits of a place that a name has room for.
const PLACE_BITS: u32 = 40;

/// A name that the relay makes: a UUID of version 7 whose end is the message's place in its partition. So nothing else needs to be kept
/// to find the message by it. `salt` tells names of one moment and place apart, which other partitions may have.
pub(crate) fn name_at(now: i64, seq: i64, salt: u64) -> String {
    let place = seq.cast_unsigned() & ((1 << PLACE_BITS) - 1);
    let tail = (u128::from(salt) << PLACE_BITS) | u128::from(place);
    let [_, _, _, _, _, _, tail @ ..] = tail.to_be_bytes();
    uuid::Builder::from_unix_timestamp_millis(now.max(0).cast_unsigned(), &tail)
        .into_uuid()
        .to_string()
}

/// A name that may be one of those: its place, and what sets it apart from others of that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) seq: i64,
    pub(crate) mark: [u8; 11],
}

/// What a name of that form says. Names of producers may have it, too: then another message is at the place, or none.
pub(crate) fn placed(name: &str) -> Option<Placed> {
    let id = Uuid::try_parse(name).ok()?;
    let mut text = Uuid::encode_buffer();
    // Another way to write it is another name.
    if id.get_version_num() != 7 || *id.hyphenated().encode_lower(&mut text) != *name {
        return None;
    }
    let (mark, place) = id.as_bytes().split_first_chunk::<11>()?;
    let seq = place
        .iter()
        .fold(0, |seq, byte| (seq << 8) | i64::from(*byte));
    Some(Placed { seq, mark: *mark })
}

fn first_half(digest: &[u8]) -> [u8; 16] {
    std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default())
}

/// A partition's name on the wire, in the shape of a UUID: its number, and a tag that another partition of that number would not have.
pub(crate) fn partition_id(key: i64, tag: i64) -> String {
    let tag = tag.cast_unsigned();
    format!(
        "{:08x}-{:04x}-8{:03x}-8{:03x}-{:012x}",
        tag & 0xffff_ffff,
        (tag >> 32) & 0xffff,
        (tag >> 48) & 0xfff,
        (key >> 48) & 0xfff,
        key & 0xffff_ffff_ffff,
    )
}

/// The number and the tag, or nothing if it is no such name.
pub(crate) fn parse_partition_id(text: &str) -> Option<(i64, i64)> {
    let id = Uuid::try_parse(text).ok()?.as_u128();
    let part = |shift: u32, bits: u32| i64::try_from((id >> shift) & ((1 << bits) - 1)).ok();
    let tag = part(96, 32)? | (part(80, 16)? << 32) | (part(64, 12)? << 48);
    let key = part(0, 48)? | (part(48, 12)? << 48);
    (part(76, 4)? == 8 && part(60, 4)? == 8).then_some((key, tag))
}

/// The tag of a partition that was deleted and goes row by row: no name has it.
pub(crate) const ENDED: i64 = -1;

/// Bits of a tag.
pub(crate) fn tag(random: [u8; 16]) -> i64 {
    let bytes = random.first_chunk().copied().unwrap_or_default();
    i64::from_le_bytes(bytes) & 0x0fff_ffff_ffff_ffff
}

pub(crate) fn lease_text(lease: &LeaseId) -> String {
    Uuid::from_bytes(*lease).to_string()
}

pub(crate) fn parse_lease(text: &str) -> Option<LeaseId> {
    Uuid::try_parse(text).ok().map(|id| *id.as_bytes())
}

/// Names of queues, partitions, groups: 1 to 128 characters, none of them a control character.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let chars = name.chars().count();
    let good = (1..=128).contains(&chars) && !name.chars().any(char::is_control);
    good.then_some(()).ok_or_else(|| {
        Refusal::bad(format!(
            "{what} is 1 to 128 characters without control characters"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_by_the_name_it_gives_itself() {
        for (key, tag_) in [
            (0, 0),
            (1, 2),
            (0x0fff_ffff_ffff_ffff, 0x0fff_ffff_ffff_ffff),
        ] {
            let text = partition_id(key, tag_);
            assert!(Uuid::try_parse(&text).is_ok(), "{text}");
            assert_eq!(parse_partition_id(&text), Some((key, tag_)), "{text}");
        }
        for bad in ["", "x", "936da01f-9abd-4d9d-80c7-02af85c822a8"] {
            assert_eq!(parse_partition_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_that_the_relay_makes_says_its_place() {
        for seq in [1, 2, 255, 256, (1 << PLACE_BITS) - 1] {
            for salt in [0, 1, u64::MAX] {
                let name = name_at(1_700_000_000_000, seq, salt);
                let placed = placed(&name).unwrap();
                assert_eq!(placed.seq, seq, "{name}");
                let other = super::placed(&name_at(1_700_000_000_001, seq, salt)).unwrap();
                assert_ne!(placed.mark, other.mark);
            }
        }
        let first = name_at(0xabc, 7, 1);
        assert_ne!(first, name_at(0xabc, 7, 2));
        // One that does not fit says another place, where another message is.
        assert_eq!(placed(&name_at(1, 1 << PLACE_BITS, 1)).unwrap().seq, 0);
        for other in [
            "",
            "a",
            "936da01f-9abd-4d9d-80c7-02af85c822a8",
            &first.to_uppercase(),
            &first.replace('-', ""),
        ] {
            assert_eq!(placed(other), None, "{other}");
        }
    }

    #[test]
    fn names_have_bounds() {
        assert!(check_name("queue", "größe/7").is_ok());
        assert!(check_name("queue", &"x".repeat(128)).is_ok());
        for bad in ["", "a\nb", &"x".repeat(129)] {
            let refusal = check_name("queue", bad).unwrap_err();
            assert!(refusal.message.starts_with("queue is 1 to 128"), "{bad}");
        }
    }
}
