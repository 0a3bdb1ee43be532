//! A committed batch on its way to every member of a room: framed once, pushed to each outbox, gathered for the socket.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use scumble::backplane::{Author, Canvas, CanvasKey, Delivery, LogBuilder, Opened, PresenceTable};
use scumble::limits::OUTBOX_BYTES;
use scumble::protocol::client_message::Kind;
use scumble::protocol::close_code::CloseCode;
use scumble::protocol::ids::{
    CanvasId, ClientId, ConnId, Epoch, InstanceId, InstanceNumber, Position,
};
use scumble::protocol::server_message::Limits;
use scumble::room::inbox::Event;
use scumble::room::state::State;
use scumble::room::{Latest, Link, Settings};
use scumble::socket::outbox::Outbox;

const EPOCH: Epoch = Epoch(7);

/// A member whose socket takes everything at once.
struct Member {
    author: Arc<Author>,
    outbox: Mutex<Outbox>,
}

impl Link for Member {
    fn author(&self) -> &Arc<Author> {
        &self.author
    }
    fn role(&self) -> &'static str {
        "write"
    }
    fn push(&self, frames: Bytes) -> bool {
        self.outbox.lock().push(frames)
    }
    fn reply(&self, frame: Bytes) {
        self.outbox.lock().reply(frame);
    }
    fn reply_in_pieces(&self, pieces: Vec<Bytes>) {
        self.outbox.lock().raw_in_pieces(pieces);
    }
    fn latest_of_many(&self, frames: Bytes) -> bool {
        self.outbox.lock().latest_of_many(frames)
    }
    fn latest(&self, lane: Latest, client: &ClientId, frame: &Bytes) {
        self.outbox.lock().latest(lane, client, frame);
    }
    fn cursors(&self, frame: &Bytes, cursors: &[(ClientId, Arc<str>)]) {
        self.outbox.lock().cursors(frame, cursors);
    }
    fn droppable(&self, frames: &Bytes) {
        self.outbox.lock().droppable(frames);
    }
    fn welcomed(&self, _: u64) {}
    fn answered(&self, _: u32) {}
    fn flush(&self) {
        let mut outbox = self.outbox.lock();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = outbox.gather(&mut slices);
            let taken = slices[..filled].iter().map(|slice| slice.len()).sum();
            outbox.advance(taken);
        }
    }
    fn close(&self, _: CloseCode, _: &'static str) {}
}

/// A room with members that are all up to date.
pub struct Room {
    state: State<Member>,
    members: Vec<Arc<Member>>,
    seq: u64,
    op: u64,
    now: Instant,
}

impl Room {
    /// Opens it and has them join.
    pub fn new(members: u64) -> Self {
        let settings = Settings {
            instance: InstanceId::parse("bench").expect("a good name"),
            local_broadcast: true,
            cursor_quiet: Duration::from_millis(33),
            snapshots: true,
            limits: Limits {
                max_message_bytes: 65_536,
                cursor_interval_ms: 33,
                ops_per_s: 0,
                max_objects: 10_000,
                max_clients: 1_000,
                max_canvas_bytes: 1 << 20,
                max_json_depth: 16,
                max_asset_bytes: None,
            },
            heartbeat_ms: 25_000,
        };
        let now = Instant::now();
        let mut state = State::new(Arc::new(settings), InstanceNumber(1));
        let head = Position {
            epoch: EPOCH,
            seq: 0,
        };
        let id = CanvasId::parse("bench").expect("a good name");
        let canvas = Canvas {
            id,
            key: CanvasKey(1),
        };
        let opened = Opened {
            canvas,
            head,
            presence: PresenceTable::default(),
        };
        state.handle(Event::Opened(Ok(opened)), now);
        let mut room = Self {
            state,
            members: Vec::new(),
            seq: 0,
            op: 0,
            now,
        };
        for n in 1..=members {
            room.join(n, head);
        }
        room
    }

    fn join(&mut self, n: u64, head: Position) {
        let conn = ConnId::new(InstanceNumber(1), n);
        let client = ClientId::parse(&format!("client-{n:06}")).expect("a good name");
        let author = Arc::new(Author::new(conn, client, "{}".to_owned(), String::new()));
        let outbox = Mutex::new(Outbox::new(OUTBOX_BYTES, 4_000));
        let link = Arc::new(Member { author, outbox });
        self.members.push(link.clone());
        self.state.handle(
            Event::Join {
                link,
                since: Some(head),
            },
            self.now,
        );
        let joined = Delivery::Joined {
            conn,
            acked_op: Ok(0),
        };
        self.state.handle(Event::Delivery(joined), self.now);
        self.state.flush();
        self.state.take_effects();
    }

    /// Fans a batch of the first member's messages out, and writes it.
    pub fn batch(&mut self, messages: usize) {
        let body = format!(
            "{{\"op\":1,\"event\":\"note\",\"data\":{{\"pad\":\"{}\"}}}}",
            "x".repeat(140)
        );
        let author = self.members[0].author.clone();
        let mut log = LogBuilder::new(EPOCH, self.seq + 1);
        for _ in 0..messages {
            self.op += 1;
            log.push(
                Kind::Broadcast,
                author.conn,
                self.op,
                author.client.as_str(),
                1_760_000_000_000,
                body.as_bytes(),
            );
        }
        self.seq += messages as u64;
        let batch = log.finish().expect("not empty");
        self.state
            .handle(Event::Delivery(Delivery::Log(batch)), self.now);
        self.state.flush();
        self.state.take_effects();
    }

    /// Whether every member got everything: the room went on and nobody's outbox was left behind.
    pub fn is_idle(&self) -> bool {
        self.members
            .iter()
            .all(|member| member.outbox.lock().is_empty())
    }
}
