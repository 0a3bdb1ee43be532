//! `welcome`: the client's own values, around a list of members that many welcomes share.

use bytes::Bytes;

use super::Limits;
use crate::protocol::client_message::{MAX_LOG_BYTES, MAX_LOG_ENTRIES, MAX_PATCH_BYTES};
use crate::protocol::encoding::Encoding;
use crate::protocol::features;
use crate::protocol::frame;
use crate::protocol::ids::{CanvasId, ClientId, Epoch, InstanceId};
use crate::protocol::msgpack;

/// A list of fewer bytes is copied into each welcome: that costs less than to share it.
pub const SHARED_LIST_BYTES: usize = 2 * 1024;

/// Everything `welcome` says.
#[derive(Debug)]
pub struct Welcome<'a> {
    /// Which process this is.
    pub instance: &'a InstanceId,
    /// Which canvas.
    pub canvas: &'a CanvasId,
    /// The client's own id.
    pub client: &'a ClientId,
    /// The client's user, a JSON object.
    pub user: &'a str,
    /// `"write"` or `"read"`.
    pub role: &'static str,
    /// The canvas's epoch.
    pub epoch: Epoch,
    /// The canvas's head.
    pub seq: u64,
    /// Whether the missed messages follow, or a snapshot.
    pub resume: bool,
    /// The highest committed op of this client, 0 if none.
    pub acked_op: u64,
    /// How the client reads messages.
    pub encoding: Encoding,
    /// Who is here, in that encoding.
    pub users: Users,
    /// The numbers to keep to.
    pub limits: &'a Limits,
    /// How often the server pings, in milliseconds.
    pub heartbeat_ms: u64,
}

/// `welcome.users` without its brackets: entries back to back, as a client reads them, in pieces that others share. In JSON each entry
/// begins with a comma.
#[derive(Debug, Default)]
pub struct Users {
    /// How many entries there are.
    pub count: usize,
    /// Their bytes.
    pub pieces: Vec<Bytes>,
}

impl Users {
    fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

/// The frame of a `welcome`, in pieces: a long list of who is here is shared by all who get it.
pub fn welcome(w: Welcome<'_>) -> Vec<Bytes> {
    let (before, after) = match w.encoding {
        Encoding::Json => {
            let before = before_users(&w) + ",\"users\":[";
            (before.into_bytes(), format!("]{}", after_users(&w)))
        }
        Encoding::Msgpack => {
            // The list comes last, where an empty one stands for it.
            let rest = after_users(&w);
            let rest = rest.strip_suffix('}').unwrap_or(&rest);
            let json = format!("{}{rest},\"users\":[]}}", before_users(&w));
            let mut before = Vec::with_capacity(json.len());
            // Our own JSON can be read, and writing into a Vec cannot fail.
            let _ = msgpack::value(&mut before, json.as_bytes());
            before.pop();
            let count = u32::try_from(w.users.count).unwrap_or(u32::MAX);
            let _ = rmp::encode::write_array_len(&mut before, count);
            (before, String::new())
        }
    };
    let mut users = w.users;
    if w.encoding == Encoding::Json
        && let Some(first) = users.pieces.iter_mut().find(|piece| !piece.is_empty())
    {
        *first = first.slice(1..);
    }
    let mut head = frame::head(w.encoding, before.len() + users.len() + after.len());
    head.extend_from_slice(&before);
    if users.len() <= SHARED_LIST_BYTES {
        users
            .pieces
            .iter()
            .for_each(|piece| head.extend_from_slice(piece));
        head.extend_from_slice(after.as_bytes());
        return vec![Bytes::from(head)];
    }
    let pieces = [Bytes::from(head)].into_iter();
    let pieces = pieces.chain(users.pieces).chain([Bytes::from(after)]);
    pieces.filter(|piece| !piece.is_empty()).collect()
}

fn before_users(w: &Welcome<'_>) -> String {
    let mode = if w.resume { "resume" } else { "snapshot" };
    format!(
        "{{\"type\":\"welcome\",\"v\":1,\"instance\":\"{}\",\"canvas\":\"{}\",\"client\":\"{}\",\
         \"user\":{},\"role\":\"{}\",\"epoch\":\"{}\",\"seq\":{},\"mode\":\"{mode}\",\"acked_op\":{}",
        w.instance, w.canvas, w.client, w.user, w.role, w.epoch, w.seq, w.acked_op
    )
}

fn after_users(w: &Welcome<'_>) -> String {
    let l = w.limits;
    let assets = l
        .max_asset_bytes
        .map(|most| format!(",\"max_asset_bytes\":{most}"));
    format!(
        ",\"limits\":{{\"max_message_bytes\":{},\
         \"cursor_interval_ms\":{},\"ops_per_s\":{},\"max_objects\":{},\"max_clients\":{},\
         \"max_canvas_bytes\":{},\"max_json_depth\":{},\"max_state_bytes\":{MAX_PATCH_BYTES},\
         \"max_log_entries\":{MAX_LOG_ENTRIES},\"max_log_bytes\":{MAX_LOG_BYTES}{}}},\
         \"heartbeat_ms\":{},\"features\":{}}}",
        l.max_message_bytes,
        l.cursor_interval_ms,
        l.ops_per_s,
        l.max_objects,
        l.max_clients,
        l.max_canvas_bytes,
        l.max_json_depth,
        assets.as_deref().unwrap_or_default(),
        w.heartbeat_ms,
        features::served(l.max_asset_bytes.is_some())
    )
}
