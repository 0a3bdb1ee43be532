//! The raw flags of `scumble jobs`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::{duration, whole};

/// `scumble jobs`: the work queue of a running relay, by hand.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// A process of the relay
    #[arg(
        long,
        global = true,
        env = "SCUMBLE_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub url: String,

    /// The relay's file of tokens, or a file with one token of the scope jobs or admin
    #[arg(
        long,
        global = true,
        env = "SCUMBLE_API_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub api_token_file: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub command: JobsCommand,
}

/// What to do with a queue.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// Push a message, or each line of standard input as one message
    Push {
        /// The queue
        queue: String,
        /// The message, in JSON
        payload: Option<String>,
        /// Its partition
        #[arg(long, value_name = "NAME")]
        partition: Option<String>,
        /// Its transactionId: the same again is a duplicate
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// Its priority, in queues without an order
        #[arg(long, value_name = "N")]
        priority: Option<i64>,
    },
    /// Lease messages and print them, one a line
    Pop {
        /// From where.
        #[command(flatten)]
        from: From,
        /// How long to wait for a message
        #[arg(long, value_name = "DURATION", value_parser = duration(Duration::ZERO, LONGEST))]
        wait: Option<Duration>,
        /// Complete messages as they are printed
        #[arg(long)]
        ack: bool,
    },
    /// Print what would be popped next, and leave it there
    Peek {
        /// From where.
        #[command(flatten)]
        from: From,
    },
    /// Report a message as completed
    Ack {
        /// Which.
        #[command(flatten)]
        message: Leased,
    },
    /// Report a message as failed: it comes again, or goes to the dead-letter queue
    Nack {
        /// Which.
        #[command(flatten)]
        message: Leased,
        /// Why
        #[arg(long, value_name = "TEXT")]
        error: Option<String>,
        /// To the dead-letter queue at once
        #[arg(long)]
        dlq: bool,
    },
    /// Print the dead-letter queue, the latest first
    Dlq {
        /// Of this queue only
        queue: Option<String>,
        /// Those that were looked at, or those that were not
        #[arg(long, value_name = "BOOL")]
        reviewed: Option<bool>,
        /// At most so many, 1 to 1000
        #[arg(long, value_name = "N", default_value = "100")]
        #[arg(value_parser = |text: &str| whole(text, 1..=1_000_u32))]
        limit: u32,
    },
    /// Put a dead message back for the group it died in
    Replay {
        /// Its id in the dead-letter queue
        id: u64,
    },
    /// Print queues in numbers
    Stats {
        /// This one in all its numbers, in JSON
        queue: Option<String>,
    },
    /// Print new messages as they come, in a consumer group of its own
    Tail {
        /// The queue
        queue: String,
    },
}

/// The longest wait for a message.
const LONGEST: Duration = Duration::from_secs(600);

/// What is popped, or looked at.
#[derive(Debug, Args)]
pub struct From {
    /// The queue
    pub queue: String,
    /// Of this partition only
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,
    /// As this consumer group
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// At most so many, 1 to 1000
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = |text: &str| whole(text, 1..=1_000_u32))]
    pub batch: u32,
}

/// A message that was popped, as it was printed.
#[derive(Debug, Args)]
pub struct Leased {
    /// Its partitionId
    pub partition_id: String,
    /// Its transactionId
    pub transaction_id: String,
    /// Its leaseId
    #[arg(long, value_name = "ID")]
    pub lease: Option<String>,
    /// The consumer group that popped it
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
}
