//! The tokens of the server API: each has a name, and scopes that say what it allows.

use std::path::Path;

use super::file_error::{FileError, FileResult, wrong};
use super::secret::Secret;

/// What a token of the server API may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Look at canvases: what is on them, who is, and their logs.
    Read,
    /// Commit messages.
    Publish,
    /// Disconnect clients, empty canvases.
    Manage,
    /// Push and pop jobs.
    Jobs,
    /// Everything.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Publish,
        Self::Manage,
        Self::Jobs,
        Self::Admin,
    ];

    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Manage => "manage",
            Self::Jobs => "jobs",
            Self::Admin => "admin",
        }
    }
}

/// A token, whose it is and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// What the log and refusals call it.
    pub name: String,
    scopes: Vec<Scope>,
    secret: Secret,
}

impl ApiToken {
    /// Whether it may be used for that.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// All tokens of the server API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokens(Vec<ApiToken>);

impl ApiTokens {
    /// One token for everything.
    ///
    /// # Errors
    /// When it is too short.
    pub fn single(secret: Secret) -> FileResult<Self> {
        secret.check_length(Secret::MIN_TOKEN_BYTES)?;
        Ok(Self(vec![ApiToken {
            name: "api".to_owned(),
            scopes: vec![Scope::Admin],
            secret,
        }]))
    }

    /// Reads a file: a line for each token with its name, its scopes with commas between, and the token. A file of one
    /// line that is not three words is one token for everything. Empty lines, and lines that begin with `#`, do not count.
    ///
    /// # Errors
    /// When the file can't be read, or a line is not right: which, and what would be right.
    pub fn read(path: &Path) -> FileResult<Self> {
        let whole = Secret::read(path)?;
        let Ok(text) = std::str::from_utf8(whole.expose()) else {
            return Err(wrong("the file is no text"));
        };
        Self::parse(text)
    }

    /// The token that a tool sends: of such a file, the first one that has this scope.
    ///
    /// # Errors
    /// When a line is not right, or no token has the scope.
    pub fn to_send(file: &str, scope: Scope) -> FileResult<String> {
        let tokens = Self::parse(file)?.0;
        let Some(token) = tokens.iter().find(|token| token.allows(scope)) else {
            let wanted = scope.word();
            let message = format!("no token in the file has the scope {wanted} or admin");
            return Err(wrong(message));
        };
        Ok(String::from_utf8_lossy(token.secret()).into_owned())
    }

    fn parse(text: &str) -> FileResult<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.trim_end();
        if !text.contains('\n') && !text.starts_with('#') && text.split_whitespace().count() != 3 {
            return Self::single(Secret::new(text.to_owned()));
        }
        let mut all: Vec<ApiToken> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line itself is not told: it holds a secret.
            let token = token(line).map_err(|why| at(number, &why))?;
            if all.iter().any(|other| other.name == token.name) {
                return Err(at(
                    number,
                    &format!("the name {} is there twice", token.name),
                ));
            }
            if all.iter().any(|other| other.secret == token.secret) {
                return Err(at(number, "the token is that of another line"));
            }
            all.push(token);
        }
        match all.is_empty() {
            true => Err(wrong("the file names no token")),
            false => Ok(Self(all)),
        }
    }

    /// Whose token it is. How long that takes does not tell how much of one is right.
    pub fn find(&self, given: &str) -> Option<&ApiToken> {
        let matching = |found, token| match ApiToken::matches(token, given) {
            true => Some(token),
            false => found,
        };
        self.0.iter().fold(None, matching)
    }
}

impl ApiTokens {
    /// The token of that name.
    pub(super) fn named(&self, name: &str) -> Option<&ApiToken> {
        self.0.iter().find(|token| token.name == name)
    }
}

impl ApiToken {
    /// What keys follow from.
    pub(super) fn secret(&self) -> &[u8] {
        self.secret.expose()
    }

    fn matches(&self, given: &str) -> bool {
        self.secret.matches(given)
    }
}

fn at(line: usize, why: &str) -> FileError {
    wrong(format!("line {line}: {why}"))
}

fn token(line: &str) -> Result<ApiToken, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, scopes, secret] = words[..] else {
        return Err("right would be NAME SCOPES TOKEN, like: shop read,publish 3f9c…".to_owned());
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() > 64 || !name.chars().all(is_name) {
        return Err("a name has 1 to 64 letters, digits, dots, dashes and underscores".to_owned());
    }
    let scope = |word: &str| {
        let known = Scope::ALL.into_iter().find(|scope| scope.word() == word);
        known.ok_or_else(|| {
            let all = Scope::ALL.map(Scope::word).join(", ");
            format!("there is no scope {word:?}; there are {all}")
        })
    };
    let scopes = scopes.split(',').map(scope).collect::<Result<_, _>>()?;
    let secret = Secret::new(secret.to_owned());
    secret
        .check_length(Secret::MIN_TOKEN_BYTES)
        .map_err(|wrong| wrong.to_string())?;
    Ok(ApiToken {
        name: name.to_owned(),
        scopes,
        secret,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn read(text: &str) -> FileResult<ApiTokens> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        ApiTokens::read(&path)
    }

    #[test]
    fn a_file_of_one_line_is_a_token_for_everything() {
        for text in [A.to_owned(), format!("{A}\r\n"), format!("\u{feff}{A}\n\n")] {
            let tokens = read(&text).unwrap();
            let token = tokens.find(A).unwrap();
            assert!(Scope::ALL.into_iter().all(|scope| token.allows(scope)));
            assert!(tokens.find(B).is_none() && tokens.find("").is_none());
        }
        let words = "a token of more words";
        assert!(read(words).unwrap().find(words).is_some());
    }

    #[test]
    fn a_line_has_a_name_scopes_and_a_token() {
        let text = format!("# ours\n\nshop read,publish {A}\r\n  ops\tadmin {B}\n");
        let tokens = read(&text).unwrap();
        let shop = tokens.find(A).unwrap();
        assert_eq!(shop.name, "shop");
        assert!(shop.allows(Scope::Read) && shop.allows(Scope::Publish));
        assert!(!shop.allows(Scope::Manage) && !shop.allows(Scope::Admin));
        assert!(
            tokens.find(B).unwrap().allows(Scope::Jobs),
            "admin is all of it"
        );
        assert!(tokens.find("shop").is_none());
    }

    #[test]
    fn a_tool_sends_the_first_token_that_has_the_scope() {
        let sent = |text: &str| ApiTokens::to_send(text, Scope::Jobs).map_err(|e| e.to_string());
        assert_eq!(sent(&format!("{A}\n")), Ok(A.to_owned()));
        let text = format!("shop read,publish {A}\nworker jobs {B}\n");
        assert_eq!(sent(&text), Ok(B.to_owned()));
        assert_eq!(sent(&format!("ops admin {A}\n")), Ok(A.to_owned()));
        let refused = sent(&format!("shop read {A}\n")).unwrap_err();
        assert_eq!(refused, "no token in the file has the scope jobs or admin");
        let refused = sent(&format!("shop read {A}\nben {B}\n")).unwrap_err();
        assert!(refused.starts_with("line 2: right would be"), "{refused}");
        assert!(!refused.contains(B), "{refused}");
    }

    #[test]
    fn a_wrong_line_is_named_and_not_told() {
        for (text, why) in [
            (
                format!("shop read {A}\nben {B}\n"),
                "line 2: right would be NAME SCOPES TOKEN",
            ),
            (
                format!("a read {A}\na read {B}\n"),
                "line 2: the name a is there twice",
            ),
            (
                format!("a read {A}\nb read {A}\n"),
                "line 2: the token is that of another",
            ),
            (
                format!("a read,write {A}\n"),
                "no scope \"write\"; there are read, publish",
            ),
            (format!("a, read {A}\n"), "line 1: a name has"),
            (
                "a read short\n".to_owned(),
                "line 1: a secret has at least 16 bytes",
            ),
            ("short".to_owned(), "a secret has at least 16 bytes"),
            ("# nobody\n".to_owned(), "names no token"),
        ] {
            let told = read(&text).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
            assert!(!told.contains(A) && !told.contains(B), "{told}");
        }
    }
}
