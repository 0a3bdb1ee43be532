//! The faults of a request, by what its caller will do about them.

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The link broke, or leads to an engine that is not (or no longer) the one for this relay: what became of the request is not
    /// known. The link is made anew.
    Link(String),
    /// The engine answers, and did nothing: it has no memory, no disk or no replicas, or this user may not. Later it may work.
    NotNow(String),
    /// What the engine has of this one canvas can't be used.
    Canvas(String),
    /// There is no room for another canvas: there are so many.
    Many(u64, String),
}

impl Fault {
    /// What was said.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Link(text) | Self::NotNow(text) | Self::Canvas(text) | Self::Many(_, text) => {
                text
            }
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}
