//! Tokens and subjects that are not let in any more, from a file with one `jti` or `sub` a line.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;

/// The list. Empty lines, and lines that begin with `#`, do not count.
#[derive(Debug, Default)]
pub struct Revoked {
    file: Option<PathBuf>,
    names: RwLock<HashSet<String>>,
}

impl Revoked {
    /// Reads the file; without one, nobody is revoked.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(file: Option<PathBuf>) -> io::Result<Self> {
        let names = file.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok(Self {
            file,
            names: RwLock::new(names),
        })
    }

    /// Reads the file again; gives how many it names. The old list stays if that fails.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn reload(&self) -> io::Result<usize> {
        let Some(file) = &self.file else { return Ok(0) };
        let names = read(file)?;
        let count = names.len();
        *self.names.write() = names;
        Ok(count)
    }

    /// Whether it names the subject or the token.
    pub fn names(&self, subject: &str, token_id: Option<&str>) -> bool {
        let names = self.names.read();
        names.contains(subject) || token_id.is_some_and(|id| names.contains(id))
    }
}

fn read(file: &Path) -> io::Result<HashSet<String>> {
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().map(str::trim);
    let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(named.map(str::to_owned).collect())
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
        std::fs::remove_file(&path).unwrap();
        assert!(revoked.reload().is_err());
        assert!(revoked.names("ben", None));
        assert!(Revoked::read(Some(path)).is_err());
    }
}
