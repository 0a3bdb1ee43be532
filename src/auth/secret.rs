//! A secret. It is never printed, and comparing it takes the same time whatever the other value is.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use subtle::ConstantTimeEq;

use super::file_error::{FileResult, wrong};

/// The most bytes of a file with a secret or a key: anything larger is another file.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Bytes that must not be seen. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes a text as a secret.
    pub fn new(text: String) -> Self {
        Self(text.into_bytes())
    }

    /// Bytes of a secret that signs: as many as HS256 makes (RFC 7518, 3.2). A shorter one is found by trying.
    pub const MIN_KEY_BYTES: usize = 32;
    /// Bytes of a token of the server API: it is tried over the network, not on a signature at home.
    pub const MIN_TOKEN_BYTES: usize = 16;

    /// Refuses a secret that can be guessed.
    ///
    /// # Errors
    /// When it is shorter than `least`.
    pub fn check_length(&self, least: usize) -> FileResult<()> {
        if self.len() >= least {
            return Ok(());
        }
        let bytes = self.len();
        Err(wrong(format!(
            "a secret has at least {least} bytes, not {bytes}: head -c 32 /dev/urandom | base64 makes one"
        )))
    }

    /// Reads a file that holds a secret and nothing else. Line ends behind a text do not count; what is no text (random
    /// bytes are a good secret) is taken as it is.
    ///
    /// # Errors
    /// When the file can't be read, can be read by every user of the host, holds nothing, or is larger than 64 KiB.
    pub fn read(path: &Path) -> FileResult<Self> {
        let metadata = std::fs::metadata(path)?;
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.is_file() && mode & 0o004 != 0 {
            return Err(wrong(format!(
                "every user of this host may read the file (mode {mode:04o}): chmod 600"
            )));
        }
        let bytes = read_small(path)?;
        let secret = match std::str::from_utf8(&bytes) {
            Ok(text) => text.trim_end_matches(['\r', '\n']).as_bytes(),
            Err(_) => &bytes,
        };
        if secret.is_empty() {
            return Err(wrong("the file is empty"));
        }
        Ok(Self(secret.to_vec()))
    }

    /// Whether `given` is the same, in a time that does not tell how far they agree.
    pub fn matches(&self, given: &str) -> bool {
        self.0.ct_eq(given.as_bytes()).into()
    }

    /// The secret itself, for whoever signs or checks with it.
    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A file that is read again while the relay runs. It must be a plain one: opening anything else may wait for ever.
pub(super) fn read_plain(path: &Path, most: u64) -> FileResult<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(wrong("it is not a plain file"));
    }
    let bytes = read_at_most(path, most)?;
    bytes.ok_or_else(|| wrong(format!("it has more than {most} bytes")))
}

/// A file that must be small.
pub(super) fn read_small(path: &Path) -> FileResult<Vec<u8>> {
    let bytes = read_at_most(path, MAX_FILE_BYTES)?;
    bytes.ok_or_else(|| wrong("the file is larger than 64 KiB"))
}

/// All of a file; `None` if it has more bytes.
fn read_at_most(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    let read = file.take(most + 1).read_to_end(&mut bytes)?;
    Ok((read as u64 <= most).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed_and_compared_whole() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter"));
        assert!(secret.matches("hunter2"));
        for wrong in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!secret.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn line_ends_behind_it_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "two words \r\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(Secret::read(&path).unwrap().matches("two words "));
        let bytes = [0xff, 0x00, b'\n'];
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(
            Secret::read(&path).unwrap().expose(),
            bytes,
            "no text: as it is"
        );
        std::fs::write(&path, "\n").unwrap();
        assert!(Secret::read(&path).is_err());
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(Secret::read(&path).is_err());
    }

    #[test]
    fn what_everybody_may_read_or_guess_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "x".repeat(32)).unwrap();
        for (mode, good) in [(0o600, true), (0o640, true), (0o644, false), (0o604, false)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let read = Secret::read(&path).map_err(|e| e.to_string());
            assert_eq!(read.is_ok(), good, "{mode:o}");
            if let Err(told) = read {
                assert!(told.contains(&format!("mode 0{mode:o}")), "{told}");
            }
        }
        let secret = Secret::new("x".repeat(31));
        let told = secret.check_length(Secret::MIN_KEY_BYTES).unwrap_err();
        assert!(told.to_string().contains("at least 32 bytes, not 31"));
        assert!(Secret::new("x".repeat(32)).check_length(32).is_ok());
    }
}
