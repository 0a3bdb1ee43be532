//! The canvases of a hook: one by its name, or all whose names begin alike.
//!
//! ```
//! use scumble::hooks::pattern::CanvasPattern;
//!
//! let boards = CanvasPattern::parse("board-*").unwrap();
//! assert!(boards.matches("board-7") && !boards.matches("map-7"));
//! assert!(CanvasPattern::parse("no/name*").is_err());
//! ```

use std::fmt;

use crate::protocol::ids::CanvasId;

/// A canvas's name, or the beginning of one and `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanvasPattern {
    /// That canvas.
    Exact(String),
    /// Each canvas whose name begins so. An empty beginning is every canvas.
    Prefix(String),
}

impl CanvasPattern {
    /// Reads `board-7`, `board-*` or `*`.
    ///
    /// # Errors
    /// What would be right, for a text that no canvas can match.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no canvas: a name like \"board-7\", or a beginning and a star, like \"board-*\""
            )
        };
        if let Some(prefix) = text.strip_suffix('*') {
            // Whatever a name may begin with is a name itself.
            return match prefix.is_empty() || CanvasId::parse(prefix).is_ok() {
                true => Ok(Self::Prefix(prefix.to_owned())),
                false => Err(wrong()),
            };
        }
        match CanvasId::parse(text) {
            Ok(_) => Ok(Self::Exact(text.to_owned())),
            Err(_) => Err(wrong()),
        }
    }

    /// Whether the canvas is one of these.
    pub fn matches(&self, canvas: &str) -> bool {
        match self {
            Self::Exact(name) => name == canvas,
            Self::Prefix(prefix) => canvas.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for CanvasPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_itself_and_a_star_stands_for_any_rest() {
        let exact = CanvasPattern::parse("board-7").unwrap();
        assert!(exact.matches("board-7") && !exact.matches("board-70"));
        let prefix = CanvasPattern::parse("board-*").unwrap();
        assert!(prefix.matches("board-7") && prefix.matches("board-") && !prefix.matches("boar"));
        assert!(CanvasPattern::parse("*").unwrap().matches("anything"));
    }

    #[test]
    fn what_no_canvas_can_match_is_refused() {
        for text in ["", "**", "a*b", "*b", "-x", "a b", "ä*"] {
            let error = CanvasPattern::parse(text).unwrap_err();
            assert!(error.contains("board-*"), "{error}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        for text in ["board-7", "board-*", "*"] {
            assert_eq!(CanvasPattern::parse(text).unwrap().to_string(), text);
        }
    }
}
