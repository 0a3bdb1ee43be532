//! How messages leave their partition, and what is known of their names afterwards: marks, so that who pushes one again
//! hears that it was there. Messages side by side that end together leave in one step, with one mark.

use super::finish;
use super::push::bytes_of;
use super::retry::fresh;
use super::rows::{Mark, Message, Named, Row, Run, State};
use super::store::Store;
use super::work::{ENDED, KEEPER, Res, Work, digest, digest_for, ends, kind, placed};

/// What a mark takes, with its index.
pub(crate) const MARK_BYTES: i64 = 112;
/// What a run has of a message: its number, and what sets its name apart.
const ID: usize = 8;
const IN_RUN: usize = ID + 11;

/// What is to be known of a message to end it.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub(crate) seq: i64,
    pub(crate) id: i64,
    /// The only group that it is for; 0: all.
    pub(crate) only: i64,
    pub(crate) bytes: i64,
    pub(crate) name: String,
    /// What sets a name apart that says this place: it has no row among the names.
    mark: Option<[u8; IN_RUN - ID]>,
}

impl From<Message> for Leaving {
    fn from(message: Message) -> Self {
        let placed = placed(&message.name).filter(|placed| placed.seq == message.seq);
        Self {
            seq: message.seq,
            id: message.id,
            only: message.only,
            bytes: bytes_of(&message),
            mark: placed
                .filter(|_| message.only == 0)
                .map(|placed| placed.mark),
            name: message.name,
        }
    }
}

impl From<&Message> for Leaving {
    fn from(message: &Message) -> Self {
        let payload = String::new();
        let bytes = bytes_of(message);
        let without = Message {
            payload,
            trace: None,
            name: message.name.clone(),
            ..*message
        };
        Self {
            bytes,
            ..Self::from(without)
        }
    }
}

impl Leaving {
    /// What its row among the names is found by.
    fn digest(&self) -> [u8; 16] {
        match self.only {
            0 => digest(&self.name),
            only => digest_for(&self.name, only),
        }
    }
}

/// What a partition knows of a name.
pub(crate) enum Known {
    There(Message),
    /// It was completed, and its mark counts until then.
    Gone {
        id: i64,
        until: i64,
    },
}

/// What the partition knows of a message that was pushed under that name.
pub(crate) fn known<S: Store>(
    w: &mut Work<'_, S>,
    partition: i64,
    name: &str,
) -> Res<Option<Known>, S> {
    let next_seq = w.see_partition(partition)?.map_or(0, |row| row.next_seq);
    let mut marked = None;
    if let Some(placed) = placed(name).filter(|placed| placed.seq < next_seq) {
        let key = (partition, placed.seq);
        let message: Option<Message> = w.store.get(&key)?;
        if let Some(message) = message.filter(|message| message.only == 0 && message.name == name) {
            return Ok(Some(Known::There(message)));
        }
        let run: Option<Run> = w.store.first(&key, &(partition + 1, 0))?;
        let run = run.filter(|run| run.first <= placed.seq);
        marked = run.and_then(|run| in_run(&run, placed.seq, placed.mark));
        if matches!(marked, Some(Known::Gone { until, .. }) if until > w.now) {
            return Ok(marked);
        }
    }
    // Once its mark counts no more, a producer may have given the name again.
    Ok(by_digest(w, partition, digest(name))?.or(marked))
}

fn in_run(run: &Run, seq: i64, mark: [u8; IN_RUN - ID]) -> Option<Known> {
    let at = usize::try_from(seq - run.first).ok()?;
    let (entries, _) = run.names.as_chunks::<IN_RUN>();
    let (id, found) = entries.get(at)?.split_first_chunk()?;
    (*found == mark).then_some(Known::Gone {
        id: i64::from_be_bytes(*id),
        until: run.until,
    })
}

/// The same of a message that was replayed to one group.
pub(crate) fn replayed<S: Store>(
    w: &Work<'_, S>,
    partition: i64,
    name: &str,
    grp: i64,
) -> Res<Option<Known>, S> {
    by_digest(w, partition, digest_for(name, grp))
}

fn by_digest<S: Store>(w: &Work<'_, S>, partition: i64, digest: [u8; 16]) -> Res<Option<Known>, S> {
    let named: Option<Named> = w.store.get(&(partition, digest))?;
    let Some(named) = named else { return Ok(None) };
    let message: Option<Message> = match named.seq {
        0 => None,
        seq => w.store.get(&(partition, seq))?,
    };
    Ok(Some(message.map_or(
        Known::Gone {
            id: named.id,
            until: named.until,
        },
        Known::There,
    )))
}

/// Deletes the message. With a mark, so that who pushes it again hears that it was there.
pub(crate) fn remove<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    message: &Leaving,
    mark: bool,
) -> Res<(), S> {
    remove_run(w, queue, partition, std::slice::from_ref(message), mark)
}

/// The same of all messages that are there from the first of these to the last, in their order.
pub(crate) fn remove_run<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    messages: &[Leaving],
    mark: bool,
) -> Res<(), S> {
    let keys: Vec<_> = messages.iter().map(|one| (partition, one.seq)).collect();
    w.store.delete_run::<Message>(&keys)?;
    let count = i64::try_from(messages.len()).unwrap_or(0);
    let bytes: i64 = messages.iter().map(|one| one.bytes).sum();
    if let Some(row) = w.partition(partition)? {
        row.messages -= count;
        row.bytes -= bytes;
    }
    let mut dedup_ms = 0;
    let mut kept = false;
    if let Some(row) = w.queue(queue)? {
        row.messages -= count;
        dedup_ms = row.options.dedup_ms;
        kept = row.kept > 0;
    }
    for message in messages.iter().filter(|_| kept) {
        let_go(w, queue, (partition, message.seq))?;
    }
    w.add_bytes(queue, -bytes)?;
    let until = (mark && dedup_ms > 0).then_some(w.now + dedup_ms);
    for message in messages.iter().filter(|one| one.mark.is_none()) {
        forget_name(w, queue, (partition, message.digest()), until)?;
    }
    let Some(until) = until else { return Ok(()) };
    for same in messages.chunk_by(|a, b| a.seq + 1 == b.seq && a.mark.is_some() == b.mark.is_some())
    {
        mark_run(w, queue, partition, same, until)?;
    }
    Ok(())
}

/// What a message's row among the names becomes: a mark, or nothing.
fn forget_name<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    key: (i64, [u8; 16]),
    until: Option<i64>,
) -> Res<(), S> {
    let Some(until) = until else {
        return w.store.delete::<Named>(&key).map(|_| ());
    };
    let Some(named) = w.store.get::<Named>(&key)? else {
        return Ok(());
    };
    w.store.put(&Named {
        seq: 0,
        until,
        ..named
    })?;
    add_mark(w, (queue, ends::NAME, until), key.0, key.1)
}

/// A mark of all of them, if their names say their places.
fn mark_run<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    messages: &[Leaving],
    until: i64,
) -> Res<(), S> {
    let mut names = Vec::with_capacity(messages.len() * IN_RUN);
    for message in messages {
        let Some(mark) = message.mark else {
            return Ok(());
        };
        names.extend(message.id.to_be_bytes());
        names.extend(mark);
    }
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        return Ok(());
    };
    let run = Run {
        partition,
        last: last.seq,
        first: first.seq,
        until,
        names,
    };
    let bytes = i64::try_from(run.names.len()).unwrap_or(0);
    w.store.put(&run)?;
    w.add_other_bytes(queue, bytes)?;
    let place = place_of(last.seq, bytes);
    add_mark(w, (queue, ends::RUN, until), partition, place)
}

/// A place and a number of bytes where a mark has a digest.
fn place_of(seq: i64, bytes: i64) -> [u8; 16] {
    let halves = (u128::from(seq.cast_unsigned()) << 64) | u128::from(bytes.cast_unsigned());
    halves.to_be_bytes()
}

/// The two numbers of a mark of a place.
pub(super) fn place_in(mark: &Mark) -> (i64, i64) {
    let (halves, _) = mark.digest.as_chunks::<8>();
    let half = |at: usize| halves.get(at).copied().unwrap_or_default();
    (i64::from_be_bytes(half(0)), i64::from_be_bytes(half(1)))
}

/// A completed message stays until then. One that is kept already, and was done once more, stays longer.
pub(crate) fn keep<S: Store>(
    w: &mut Work<'_, S>,
    queue: i64,
    partition: i64,
    seq: i64,
    until: i64,
) -> Res<(), S> {
    let state = State {
        kind: kind::DONE,
        at: until,
        ..fresh(partition, KEEPER, seq)
    };
    let known = w.store.get::<State>(&state.key())?;
    w.store.put(&state)?;
    if known.is_none()
        && let Some(row) = w.queue(queue)?
    {
        row.kept += 1;
    }
    add_mark(w, (queue, ends::KEPT, until), partition, place_of(seq, 0))
}

/// Whether a completed message is kept.
pub(crate) fn is_kept<S: Store>(w: &Work<'_, S>, (partition, seq): (i64, i64)) -> Res<bool, S> {
    let state: Option<State> = w.store.get(&(partition, KEEPER, seq))?;
    Ok(state.is_some())
}

/// It is kept no longer, if it was.
fn let_go<S: Store>(w: &mut Work<'_, S>, queue: i64, (partition, seq): (i64, i64)) -> Res<(), S> {
    if w.store.delete::<State>(&(partition, KEEPER, seq))?
        && let Some(row) = w.queue(queue)?
    {
        row.kept -= 1;
    }
    Ok(())
}

fn add_mark<S: Store>(
    w: &mut Work<'_, S>,
    (queue, kind, at): (i64, i64, i64),
    partition: i64,
    digest: [u8; 16],
) -> Res<(), S> {
    let n = w.next_id()?;
    w.store.put(&Mark {
        queue,
        kind,
        at,
        n,
        partition,
        digest,
    })?;
    if let Some(row) = w.queue(queue)? {
        row.marks += 1;
    }
    w.add_bytes(queue, MARK_BYTES)
}

/// Forgets a mark, and does what was to be done at its time. Gives the bytes that the mark took.
pub(crate) fn end_mark<S: Store>(w: &mut Work<'_, S>, mark: &Mark) -> Res<i64, S> {
    let key = (mark.queue, mark.kind, mark.at, mark.n);
    if !w.store.delete::<Mark>(&key)? {
        return Ok(0);
    }
    if let Some(row) = w.queue(mark.queue)? {
        row.marks -= 1;
    }
    w.add_bytes(mark.queue, -MARK_BYTES)?;
    let partition = mark.partition;
    let (seq, names) = place_in(mark);
    match mark.kind {
        ends::RUN => {
            w.store.delete::<Run>(&(partition, seq))?;
            w.add_other_bytes(mark.queue, -names)?;
            return Ok(MARK_BYTES + names);
        }
        ends::NAME => {
            let key = (partition, mark.digest);
            let named: Option<Named> = w.store.get(&key)?;
            if named.is_some_and(|named| named.seq == 0 && named.until <= mark.at) {
                w.store.delete::<Named>(&key)?;
            }
        }
        ends::KEPT => {
            let state: Option<State> = w.store.get(&(partition, KEEPER, seq))?;
            // A later mark may keep it longer, or it is gone.
            if state.is_some_and(|state| state.at <= mark.at) {
                end_kept(w, mark.queue, (partition, seq))?;
            }
        }
        ends::KEPT_PLACE => end_counted(w, mark.queue, (partition, seq))?,
        ends::KEPT_NAME => {
            let named: Option<Named> = w.store.get(&(partition, mark.digest))?;
            let seq = named.map_or(0, |named| named.seq);
            end_counted(w, mark.queue, (partition, seq))?;
        }
        _ => {}
    }
    Ok(MARK_BYTES)
}

/// The same where each mark was counted, whatever has become of its message: of an older version.
fn end_counted<S: Store>(w: &mut Work<'_, S>, queue: i64, key: (i64, i64)) -> Res<(), S> {
    match w.queue(queue)? {
        Some(row) if key.0 >= row.cleared => row.kept -= 1,
        _ => return Ok(()),
    }
    if is_kept(w, key)? {
        return Ok(());
    }
    end_kept(w, queue, key)
}

/// A completed message has been kept for long enough. A group that came back to it may have it before it again: then it
/// stays until that group is done with it.
fn end_kept<S: Store>(w: &mut Work<'_, S>, queue: i64, key: (i64, i64)) -> Res<(), S> {
    // What was cleared is no longer counted, and goes with its partition.
    if w.see_queue(queue)?.is_none_or(|row| key.0 < row.cleared) {
        return Ok(());
    }
    let ended = w.see_partition(key.0)?.is_none_or(|row| row.tag == ENDED);
    let Some(message) = w.store.get::<Message>(&key)?.filter(|_| !ended) else {
        return Ok(());
    };
    let leaving = Leaving::from(&message);
    if finish::needed(w, queue, 0, key.0, &leaving)? {
        return let_go(w, queue, key);
    }
    remove(w, queue, key.0, &leaving, true)
}

/// Forgets the oldest marks of a queue before their time, up to a thousand, until so many bytes are free.
pub(crate) fn drop_marks<S: Store>(w: &mut Work<'_, S>, queue: i64, bytes: i64) -> Res<(), S> {
    let wanted = usize::try_from(bytes / MARK_BYTES + 1).unwrap_or(usize::MAX);
    let mut marks = Vec::new();
    for kind in [ends::NAME, ends::RUN] {
        let from = (queue, kind, i64::MIN, 0);
        let to = (queue, kind + 1, i64::MIN, 0);
        marks.extend(w.store.scan::<Mark>(&from, &to, wanted.min(1_000))?);
    }
    marks.sort_by_key(|mark| (mark.at, mark.n));
    let mut left = bytes;
    for mark in marks.iter().take(1_000) {
        if left < 0 {
            break;
        }
        left -= end_mark(w, mark)?;
    }
    Ok(())
}
