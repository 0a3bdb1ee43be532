//! Somebody who comes to a canvas and is timed until everything is there.

use std::time::Instant;

use super::author::next;
use super::check::{Check, Expected, Faults};
use crate::load::socket::{self, Socket};
use crate::load::url::Url;
use crate::load::wire::{self, Heard, Names};

/// What a client reads at once: a snapshot is long.
const READ_BYTES: usize = 64 * 1024;

/// One who comes.
pub struct Visitor {
    number: usize,
    expected: Expected,
}

/// One who came. Keeps its connection while it lives.
pub struct Arrival {
    /// From before the connection was made to the welcome, in microseconds.
    pub welcome_us: u64,
    /// And to the last of what was expected.
    pub complete_us: u64,
    /// Bytes of the texts until then.
    pub bytes: u64,
    /// What was wrong.
    pub faults: Faults,
    _socket: Socket,
}

impl Visitor {
    /// One who will get that.
    pub fn new(number: usize, expected: Expected) -> Self {
        Self { number, expected }
    }

    /// Comes.
    ///
    /// # Errors
    /// When the relay refuses, or says nothing for ten seconds.
    pub async fn come(self, url: &Url, canvas: &str) -> anyhow::Result<Arrival> {
        let hello = wire::hello(
            &Names::new().client(0, self.number),
            self.number,
            self.expected.since,
        );
        let mut check = Check::new(self.expected);
        let (mut welcome_us, mut bytes) = (0, 0);
        let began = Instant::now();
        let us = || u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut socket = socket::connect(url, canvas, READ_BYTES).await?;
        socket::say(&mut socket, vec![hello.into()]).await?;
        loop {
            let text = next(&mut socket).await?;
            let at = us();
            bytes += text.len() as u64;
            let heard: Heard<'_> = serde_json::from_str(&text)?;
            if heard.kind == "welcome" {
                welcome_us = at;
            }
            if heard.kind == "error" {
                anyhow::bail!("{}", heard.message);
            }
            if check.take(&heard) {
                return Ok(Arrival {
                    welcome_us,
                    complete_us: at,
                    bytes,
                    faults: check.faults(),
                    _socket: socket,
                });
            }
        }
    }
}
