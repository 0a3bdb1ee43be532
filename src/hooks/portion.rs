//! The bounds of what hooks are told of one client message. A batch of a few kilobytes may patch one large object 900
//! times: told with the whole object each time, that would be 100 MB. Pure.

use crate::limits::{HOOK_EVENTS_BYTES, HOOK_OBJECTS_BYTES};

/// What hooks were told of a message so far, in bytes over all of them. Its first event and its first object have room, however large they are.
#[derive(Debug, Default)]
pub struct Portion {
    objects: usize,
    events: usize,
    work: usize,
}

impl Portion {
    /// Whether so many hooks may be told an event with so many bytes beside the object.
    pub fn takes_event(&mut self, bytes: usize, hooks: usize) -> bool {
        let all = bytes.saturating_mul(hooks);
        let takes = takes(&mut self.events, all, HOOK_EVENTS_BYTES);
        if takes {
            // What the first of them is told is about what the message itself is.
            self.work += all - bytes.min(all);
        }
        takes
    }

    /// Whether so many hooks may be told an object of so many bytes.
    pub fn takes_object(&mut self, bytes: usize, hooks: usize) -> bool {
        let all = bytes.saturating_mul(hooks);
        let takes = takes(&mut self.objects, all, HOOK_OBJECTS_BYTES);
        if takes {
            self.work += all;
        }
        takes
    }

    /// The next message is another one. Gives the bytes that were copied beyond those of the one before.
    pub fn end(&mut self) -> usize {
        std::mem::take(self).work
    }
}

fn takes(taken: &mut usize, bytes: usize, most: usize) -> bool {
    let all = taken.saturating_add(bytes);
    let takes = all <= most || *taken == 0;
    if takes {
        *taken = all;
    }
    takes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_portion_and_the_next_one_has_another() {
        let mut portion = Portion::default();
        let object = 120_000;
        for _ in 0..2 {
            let told = (0..900).filter(|_| portion.takes_object(object, 1)).count();
            assert_eq!(told, HOOK_OBJECTS_BYTES / object);
            assert_eq!(portion.end(), told * object);
        }
        assert_eq!(
            (0..900).filter(|_| portion.takes_object(object, 2)).count(),
            told_to_two(object)
        );
    }

    fn told_to_two(object: usize) -> usize {
        HOOK_OBJECTS_BYTES / (2 * object)
    }

    #[test]
    fn the_first_is_told_however_large_it_is() {
        let mut portion = Portion::default();
        assert!(portion.takes_object(HOOK_OBJECTS_BYTES, 100));
        assert!(!portion.takes_object(1, 1));
        assert!(portion.takes_event(HOOK_EVENTS_BYTES, 100));
        assert!(!portion.takes_event(1, 1));
    }

    #[test]
    fn one_hook_that_is_told_what_was_said_is_no_work() {
        let mut portion = Portion::default();
        assert!(portion.takes_event(300, 1));
        assert_eq!(portion.end(), 0);
        assert!(portion.takes_event(300, 4));
        assert_eq!(portion.end(), 900);
    }
}
