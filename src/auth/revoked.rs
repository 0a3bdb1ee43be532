//! Revoked tokens and subjects, from a file with one on each line.
//!
//! A line is a `jti` or a `sub` as it is, or JSON. A string in quotes is for a name that begins or ends with a space or
//! begins with `#`. An object with `sub` or `jti` names only one of the two.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use serde::Deserialize;

use super::claims::is_id;
use super::file_error::{FileResult, wrong};
use super::secret::read_plain;

/// The most bytes of the list: 100,000 names of the greatest length, and some.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// Who is named.
#[derive(Debug, Default)]
struct Names {
    subjects: HashSet<String>,
    tokens: HashSet<String>,
    lines: usize,
}

/// A line in JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Either(String),
    Subject(Subject),
    Token(Token),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    sub: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    jti: String,
}

/// The list. Empty lines, and lines that begin with `#`, do not count.
#[derive(Debug, Default)]
pub struct Revoked {
    file: Option<PathBuf>,
    names: RwLock<Names>,
}

impl Revoked {
    /// Reads the file; without one, nobody is revoked.
    ///
    /// # Errors
    /// When the file can't be read, or one of its lines, which is named.
    pub fn read(file: Option<PathBuf>) -> FileResult<Self> {
        let names = file.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok(Self {
            file,
            names: RwLock::new(names),
        })
    }

    /// Reads the file again; gives how many it names. The old list stays if that fails.
    ///
    /// # Errors
    /// When the file can't be read, or one of its lines, which is named.
    pub fn reload(&self) -> FileResult<usize> {
        let Some(file) = &self.file else { return Ok(0) };
        let names = read(file)?;
        let count = names.lines;
        *self.names.write() = names;
        Ok(count)
    }

    /// Whether it names the subject or the token.
    pub fn names(&self, subject: &str, token_id: Option<&str>) -> bool {
        let names = self.names.read();
        names.subjects.contains(subject) || token_id.is_some_and(|id| names.tokens.contains(id))
    }
}

fn read(file: &Path) -> FileResult<Names> {
    let bytes = read_plain(file, MAX_FILE_BYTES)?;
    // Editors of Windows begin a file so.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut names = Names::default();
    for (number, line) in (1_usize..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let line = one(line).map_err(|why| wrong(format!("line {number}: {why}")))?;
        names.add(line);
    }
    Ok(names)
}

fn one(line: &[u8]) -> Result<Line, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let line = if text.starts_with(['"', '{']) {
        serde_json::from_str(text).map_err(|_| {
            r#"right would be a name, a name in quotes as in JSON, {"sub":"…"} or {"jti":"…"}"#
                .to_owned()
        })?
    } else {
        Line::Either(text.to_owned())
    };
    let (Line::Either(name)
    | Line::Subject(Subject { sub: name })
    | Line::Token(Token { jti: name })) = &line;
    match is_id(name) {
        true => Ok(line),
        false => Err(
            "no token has such a sub or jti: 1 to 256 bytes without control characters".to_owned(),
        ),
    }
}

impl Names {
    fn add(&mut self, line: Line) {
        self.lines += 1;
        match line {
            Line::Subject(Subject { sub }) => {
                self.subjects.insert(sub);
            }
            Line::Token(Token { jti }) => {
                self.tokens.insert(jti);
            }
            Line::Either(name) => {
                self.subjects.insert(name.clone());
                self.tokens.insert(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_again_and_the_old_list_stays_if_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked");
        std::fs::write(&path, "# left in May\nada\n\n t-17 \r\n").unwrap();
        let revoked = Revoked::read(Some(path.clone())).unwrap();
        assert!(revoked.names("ada", None) && revoked.names("ben", Some("t-17")));
        assert!(!revoked.names("ben", Some("t-1")) && !revoked.names("# left in May", None));
        std::fs::write(&path, "ben").unwrap();
        assert_eq!(revoked.reload().unwrap(), 1);
        assert!(!revoked.names("ada", None) && revoked.names("ben", None));
        std::fs::write(&path, "cy\n\"dan\n").unwrap();
        let told = revoked.reload().unwrap_err().to_string();
        assert!(
            told.starts_with("line 2: ") && revoked.names("ben", None),
            "{told}"
        );
        std::fs::remove_file(&path).unwrap();
        assert!(revoked.reload().is_err());
        assert!(revoked.names("ben", None));
        assert!(Revoked::read(Some(path)).is_err());
    }

    #[test]
    fn what_is_no_plain_file_or_too_large_is_refused_and_not_read_for_ever() {
        let endless = Revoked::read(Some("/dev/zero".into())).unwrap_err();
        assert_eq!(endless.to_string(), "it is not a plain file");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(MAX_FILE_BYTES + 1).unwrap();
        let large = Revoked::read(Some(path)).unwrap_err().to_string();
        assert_eq!(large, format!("it has more than {MAX_FILE_BYTES} bytes"));
    }

    fn names(bytes: impl AsRef<[u8]>) -> FileResult<Revoked> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("revoked");
        std::fs::write(&path, bytes).unwrap();
        Revoked::read(Some(path))
    }

    #[test]
    fn any_name_that_a_token_can_have_can_be_named() {
        for name in [
            "ada",
            "ada ",
            " ada",
            "#ada",
            "ada\u{a0}",
            "a\u{2028}b",
            "\"ada\"",
            "{ada}",
            "a\\b",
            "\u{feff}ada",
        ] {
            let quoted = serde_json::to_string(name).unwrap();
            let revoked = names(format!("first\r\n{quoted}\r\nlast")).unwrap();
            assert!(
                revoked.names(name, None) && revoked.names("x", Some(name)),
                "{name:?}"
            );
            assert!(revoked.names("first", None) && revoked.names("last", None));
            assert!(!revoked.names(name.trim_matches(' '), None) || name.trim_matches(' ') == name);
        }
        // As it is where nothing hides at its ends.
        for name in ["ada\u{a0}", "\u{a0}ada", "a\u{2028}b", "a b", "a\u{3000}"] {
            assert!(names(name).unwrap().names(name, None), "{name:?}");
        }
    }

    #[test]
    fn one_of_the_two_can_be_meant_alone() {
        let revoked = names("{\"sub\":\"ada\"}\n {\"jti\": \"t-1\"}\n").unwrap();
        assert!(revoked.names("ada", None) && !revoked.names("x", Some("ada")));
        assert!(revoked.names("x", Some("t-1")) && !revoked.names("t-1", None));
    }

    #[test]
    fn a_byte_order_mark_hides_nobody() {
        let revoked = names("\u{feff}ada\nben\n").unwrap();
        assert!(revoked.names("ada", None) && revoked.names("ben", None));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for bad in [
            &b"\"ada"[..],
            b"\"ada\" x",
            b"\"\"",
            b"{}",
            b"{\"sub\":1}",
            b"{\"sub\":\"a\",\"jti\":\"b\"}",
            b"{\"sub\":\"a\",\"sub\":\"b\"}",
            b"ad\xff",
            b"a\x00b",
            &[b'x'; 257],
        ] {
            let file = [b"ada\n\n", bad, b"\nben\n"].concat();
            let told = names(file).unwrap_err().to_string();
            assert!(told.starts_with("line 3: "), "{told}");
        }
    }
}
