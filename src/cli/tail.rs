//! `scumble tail`: follows one canvas's log, read from the file by a connection of its own.

mod log;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;

use super::{file, redis_of};
use crate::config::TailArgs;
use crate::protocol::ids::CanvasId;
use crate::transfer::redis_tool::RedisTool;

/// How often the file is looked at. A person is reading: there is no hurry.
const POLL: Duration = Duration::from_millis(100);
/// Rows of one look, so that no read stays open for long.
const ROWS: u32 = 500;

/// Follows the canvas until the reader of standard output is gone, or the process is ended.
///
/// # Errors
/// When the file can't be read.
pub fn run(args: &TailArgs) -> anyhow::Result<ExitCode> {
    let (mut source, place) = match redis_of(&args.source) {
        Some(settings) => {
            let redis = RedisTool::open(&settings, "tail")?;
            (
                Source::Log(Box::new(log::Tail::new(redis, args))),
                settings.url.to_string(),
            )
        }
        None => {
            let db = &args.source.db;
            let tail = Tail {
                conn: file::open_current(db)?,
                canvas: args.canvas.clone(),
                printer: Printer { json: args.json },
                at: None,
                waits: false,
            };
            (Source::File(Box::new(tail)), db.display().to_string())
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let mut next = args.since;
    loop {
        let mut out = std::io::stdout().lock();
        let more = match &mut source {
            Source::File(tail) => tail.step(&mut next, &mut out),
            Source::Log(tail) => tail.step(&mut next, &mut out),
        };
        let more = more.and_then(|more| Ok((more, out.flush()?)));
        drop(out);
        match more {
            Ok((true, ())) => {}
            Ok((false, ())) => runtime.block_on(async { tokio::time::sleep(POLL).await }),
            Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error.context(place)),
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// What is followed.
enum Source {
    File(Box<Tail>),
    Log(Box<log::Tail>),
}

/// How messages are printed.
#[derive(Debug, Clone, Copy)]
struct Printer {
    json: bool,
}

/// Where the canvas is.
struct Head {
    key: i64,
    epoch: String,
    seq: i64,
    /// It has a message, or had one.
    written: bool,
}

/// Where the reading is.
struct At {
    key: i64,
    epoch: String,
    /// Rows up to this one have been looked at.
    row: i64,
    seq: i64,
}

struct Tail {
    conn: Connection,
    canvas: CanvasId,
    printer: Printer,
    at: Option<At>,
    /// Whether it was said that there is nothing to follow yet.
    waits: bool,
}

struct Message {
    row: i64,
    seq: i64,
    kind: String,
    client: String,
    at_ms: i64,
    payload: String,
}

impl Tail {
    /// Prints what is new; `true` if there may be more already. `since` is where to begin, if it is given.
    fn step(&mut self, since: &mut Option<i64>, out: &mut impl Write) -> anyhow::Result<bool> {
        // Before the head, so that what the head knows nothing of yet is left for the next step.
        let newest: i64 = self
            .conn
            .query_row(
                "SELECT coalesce(max(id), 0) FROM message_queue",
                [],
                |row| row.get(0),
            )
            .context("message_queue")?;
        let Some(head) = self.head()? else {
            if !self.waits {
                self.waits = true;
                waits(&self.canvas)?;
            }
            // All of a canvas that is yet to come is new.
            since.get_or_insert(0);
            return Ok(false);
        };
        let at = match self.at.take() {
            Some(at) if at.key == head.key && at.epoch == head.epoch => at,
            Some(before) => {
                let Head { epoch, seq, .. } = &head;
                self.printer.anew(out, epoch, *seq)?;
                let mut at = self.begin(head, Some(before.seq), newest)?;
                at.row = at.row.max(before.row);
                at
            }
            None => self.begin(head, since.take(), newest)?,
        };
        let at = self.at.insert(at);
        let messages = read(&self.conn, at, newest)?;
        let full = messages.len() >= ROWS as usize;
        at.row = if full {
            messages.last().map_or(newest, |last| last.row)
        } else {
            newest
        };
        for message in &messages {
            self.printer.print(message, &mut at.seq, out)?;
        }
        Ok(full)
    }

    /// `None` while there is no such canvas.
    fn head(&self) -> anyhow::Result<Option<Head>> {
        self.conn
            .prepare_cached("SELECT key, epoch, seq, head_id FROM canvases WHERE canvas_id = ?1")?
            .query_row([self.canvas.as_str()], |row| {
                Ok(Head {
                    key: row.get(0)?,
                    epoch: row.get(1)?,
                    seq: row.get(2)?,
                    written: row.get::<_, i64>(3)? != 0,
                })
            })
            .optional()
            .context("canvases")
    }

    /// Where to read from.
    fn begin(&self, head: Head, since: Option<i64>, newest: i64) -> anyhow::Result<At> {
        let (row, seq) = match since {
            Some(since) => (self.log_begins(&head)?.unwrap_or(newest), since),
            None => (newest, head.seq),
        };
        let Head { key, epoch, .. } = head;
        Ok(At {
            key,
            epoch,
            row,
            seq,
        })
    }

    /// The row before the log's first. What a deleted canvas had stays in the queue for its time, but is not of the log any
    /// more: that begins with the last message that follows on none. `None`: it is empty.
    fn log_begins(&self, head: &Head) -> anyhow::Result<Option<i64>> {
        if !head.written {
            return Ok(None);
        }
        let first: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT max(id) FROM message_queue
                 WHERE canvas_id = ?1 AND seq IS NOT NULL AND prev_id = 0",
            )?
            .query_row([head.key], |row| row.get(0))
            .context("message_queue")?;
        Ok(Some(first.map_or(0, |first| first - 1)))
    }
}

/// Says that there is nothing to follow yet.
fn waits(canvas: &CanvasId) -> std::io::Result<()> {
    writeln!(
        std::io::stderr(),
        "-- there is no canvas {canvas} yet: waiting"
    )
}

impl Printer {
    /// Prints a message behind the one at `seq`, which is at its own place then.
    fn print(self, message: &Message, seq: &mut i64, out: &mut impl Write) -> anyhow::Result<()> {
        let missing = message.seq - *seq - 1;
        *seq = message.seq;
        if missing > 0 {
            self.note(
                out,
                &format!("{missing} messages before seq {} have expired", message.seq),
            )?;
        }
        let Message {
            seq,
            kind,
            client,
            at_ms,
            payload,
            ..
        } = message;
        if self.json {
            // As on the wire: the server's fields first, then the sender's.
            let fields = payload.strip_prefix('{').unwrap_or("}");
            let line = format!(
                "{{\"type\":\"{kind}\",\"seq\":{seq},\"client\":\"{client}\",\"at\":{at_ms},{fields}"
            );
            let line: Box<RawValue> = RawValue::from_string(line).context("a stored message")?;
            writeln!(out, "{line}")?;
        } else {
            let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(*at_ms).unwrap_or(0));
            let time = humantime::format_rfc3339_millis(at);
            writeln!(out, "{time} {seq:>6} {kind:<13} {client} {payload}")?;
        }
        Ok(())
    }

    /// Says that the canvas's numbers mean something else from here on.
    fn anew(self, out: &mut impl Write, epoch: &str, seq: i64) -> std::io::Result<()> {
        let text = format!("the numbering begins anew: epoch {epoch}, at seq {seq}");
        self.note(out, &text)
    }

    /// A remark: between the lines in text, on standard error with `--json`.
    fn note(self, out: &mut impl Write, text: &str) -> std::io::Result<()> {
        if self.json {
            writeln!(std::io::stderr(), "-- {text}")
        } else {
            writeln!(out, "-- {text}")
        }
    }
}

/// The log messages of the canvas among the rows after `at` up to `newest`. Only new rows are looked at.
fn read(conn: &Connection, at: &At, newest: i64) -> anyhow::Result<Vec<Message>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, seq, message_type, client, created_at, payload FROM message_queue
         WHERE id > ?1 AND id <= ?2 AND canvas_id = ?3 AND seq > ?4 ORDER BY id LIMIT ?5",
    )?;
    let rows = statement.query_map(params![at.row, newest, at.key, at.seq, ROWS], |row| {
        Ok(Message {
            row: row.get(0)?,
            seq: row.get(1)?,
            kind: row.get(2)?,
            client: row.get(3)?,
            at_ms: row.get(4)?,
            payload: row.get(5)?,
        })
    })?;
    rows.collect::<Result<_, _>>().context("message_queue")
}
