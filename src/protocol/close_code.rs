//! Why a connection ends, as the number in the close frame.

/// Close codes: 44xx tell a client to stop or change something first, 45xx to reconnect with `since`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum CloseCode {
    /// The client said `bye`.
    Normal = 1000,
    /// Against RFC 6455.
    Protocol = 1002,
    /// Text that is not UTF-8.
    InvalidData = 1007,
    /// A message over `--max-message-bytes`.
    TooBig = 1009,
    /// Ten bad messages in a row, or `hello` missing or of the wrong version.
    Malformed = 4400,
    /// The token is missing, wrong or expired.
    Unauthorized = 4401,
    /// Not allowed on this canvas, or from this origin.
    Forbidden = 4403,
    /// A newer connection of the same client took over.
    Replaced = 4409,
    /// The canvas or the instance is full.
    Full = 4413,
    /// The instance is restarting or draining.
    Restarting = 4503,
    /// No pong within the heartbeat timeout, or no byte taken within the write timeout.
    Timeout = 4504,
}

impl CloseCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The number as text, for metrics.
    pub fn digits(self) -> &'static str {
        match self {
            Self::Normal => "1000",
            Self::Protocol => "1002",
            Self::InvalidData => "1007",
            Self::TooBig => "1009",
            Self::Malformed => "4400",
            Self::Unauthorized => "4401",
            Self::Forbidden => "4403",
            Self::Replaced => "4409",
            Self::Full => "4413",
            Self::Restarting => "4503",
            Self::Timeout => "4504",
        }
    }

    /// The word in metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Protocol => "protocol-error",
            Self::InvalidData => "invalid-data",
            Self::TooBig => "too-big",
            Self::Malformed => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Replaced => "replaced",
            Self::Full => "full",
            Self::Restarting => "restarting",
            Self::Timeout => "timeout",
        }
    }
}
