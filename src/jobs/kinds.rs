//! The numbers by which rows say how they stand.

/// How a cursor stands.
pub(crate) mod standing {
    /// Nothing is there.
    pub(crate) const IDLE: i64 = 0;
    /// Something can be popped; `at` is its turn.
    pub(crate) const READY: i64 = 1;
    /// Something can be popped from `at` on.
    pub(crate) const WAITING: i64 = 2;
    /// It is leased until `at`: queues in order only.
    pub(crate) const LEASED: i64 = 3;
}

/// What a state says of a message.
pub(crate) mod kind {
    /// It waits, and was delivered before.
    pub(crate) const PENDING: i64 = 0;
    /// It is done, before others that come first.
    pub(crate) const DONE: i64 = 1;
    /// It is due later: unordered queues only.
    pub(crate) const DELAYED: i64 = 2;
    /// It is leased: unordered queues only.
    pub(crate) const LEASED: i64 = 3;
}

/// The group whose states say that a message is completed and kept, and until when. No group of a queue has this number.
pub(crate) const KEEPER: i64 = 0;

/// What ends by itself.
pub(crate) mod ends {
    /// A mark of a name.
    pub(crate) const NAME: i64 = 0;
    /// A completed message that is kept, by its name: of an older version.
    pub(crate) const KEPT_NAME: i64 = 1;
    /// A note on a message.
    pub(crate) const NOTE: i64 = 2;
    /// A run of completed messages, by its last place.
    pub(crate) const RUN: i64 = 3;
    /// The same, by its place: of an older version, too.
    pub(crate) const KEPT_PLACE: i64 = 4;
    /// A completed message that is kept, by its place: a state of [`super::KEEPER`] says until when.
    pub(crate) const KEPT: i64 = 5;
    /// All of them.
    pub(crate) const ALL: [i64; 6] = [NAME, KEPT_NAME, NOTE, RUN, KEPT_PLACE, KEPT];
}
