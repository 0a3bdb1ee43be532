//! The types of assets. A browser runs none of them as a program. A type that it might show as a page is sent as a
//! download.

/// A type that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// As in `Content-Type`, without parameters.
    pub name: &'static str,
    /// What a file of it is called.
    pub ending: &'static str,
    /// Whether a browser may show it by itself.
    pub shown: bool,
}

const fn shown(name: &'static str, ending: &'static str) -> Kind {
    let shown = true;
    Kind {
        name,
        ending,
        shown,
    }
}

const fn kept(name: &'static str, ending: &'static str) -> Kind {
    let shown = false;
    Kind {
        name,
        ending,
        shown,
    }
}

/// All that are taken.
pub const KINDS: &[Kind] = &[
    shown("image/png", "png"),
    shown("image/jpeg", "jpg"),
    shown("image/gif", "gif"),
    shown("image/webp", "webp"),
    shown("image/avif", "avif"),
    // Its scripts do not run: it is sent into a sandbox.
    shown("image/svg+xml", "svg"),
    shown("audio/mpeg", "mp3"),
    shown("audio/ogg", "ogg"),
    shown("audio/wav", "wav"),
    shown("video/mp4", "mp4"),
    shown("video/webm", "webm"),
    kept("application/pdf", "pdf"),
    kept("application/json", "json"),
    kept("application/zip", "zip"),
    kept("application/octet-stream", "bin"),
    kept("text/plain", "txt"),
    kept("text/csv", "csv"),
];

impl Kind {
    /// The type that a `Content-Type` names; what stands behind a semicolon does not count.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let name = content_type.split(';').next().unwrap_or_default().trim();
        let same = |kind: &&Self| kind.name.eq_ignore_ascii_case(name);
        KINDS.iter().find(same).copied()
    }

    /// All of them, for an error.
    #[must_use]
    pub fn list() -> String {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_their_name_alone() {
        assert_eq!(Kind::of("image/png").unwrap().ending, "png");
        assert_eq!(Kind::of("Text/Plain; charset=utf-8").unwrap().ending, "txt");
        for bad in [
            "",
            "text/html",
            "application/javascript",
            "image/",
            "png",
            "text/xml",
        ] {
            assert!(Kind::of(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_a_browser_might_run_is_never_shown() {
        for kind in KINDS {
            let family = kind.name.split('/').next().unwrap();
            let harmless = ["image", "audio", "video"].contains(&family);
            assert!(!kind.shown || harmless, "{}", kind.name);
        }
    }
}
