//! Decides who may enter a canvas: checks tokens, and writes down as a [`Grant`] what a token allows.
//!
//! The module knows no sockets, and reads no files but those of keys and of revoked tokens. It reads the wall clock,
//! because a token's `exp` is a time of the wall clock.

pub mod api_tokens;
pub mod claims;
pub mod file_error;
pub mod keys;
pub mod mint;
pub mod refusals;
pub mod revoked;
pub mod secret;
pub mod sessions;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;

use crate::counts;
use crate::protocol::close_code::CloseCode;
use crate::protocol::ids::CanvasId;
use claims::{Access, Claims};
use file_error::FileResult;
use keys::Keys;
use revoked::Revoked;

/// A token that is not valid before some moment is taken this much earlier: clocks of two hosts differ.
const NOT_BEFORE_LEEWAY_S: f64 = 30.0;

/// What a token allows on one canvas, until when.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The token's `sub`.
    pub subject: String,
    /// The token's `jti`, by which it can be revoked alone.
    pub token_id: Option<String>,
    /// What its bearer may do.
    pub access: Access,
    /// When it ends, seconds since the epoch.
    pub expires_at_s: f64,
    /// `name` and `color` of the token, each at most 64 characters.
    pub name: Option<String>,
    /// See `name`.
    pub color: Option<String>,
}

impl Grant {
    /// How long it is still valid; zero once it has expired. At most a day, to be asked again then.
    pub fn remaining(&self) -> Duration {
        let left_s = (self.expires_at_s - now_s()).clamp(0.0, 86_400.0);
        Duration::from_secs_f64(left_s)
    }

    /// `user` as others see it: what the token says wins over what the client says, and is named in `vouched`.
    pub fn user(&self, said: &str) -> String {
        let mut user: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(said).unwrap_or_default();
        let mut vouched = Vec::new();
        for (field, value) in [("name", &self.name), ("color", &self.color)] {
            if let Some(value) = value {
                user.insert(field.to_owned(), value.as_str().into());
                vouched.push(serde_json::Value::from(field));
            }
        }
        if !vouched.is_empty() {
            user.insert("vouched".to_owned(), vouched.into());
        }
        serde_json::Value::Object(user).to_string()
    }
}

/// Why somebody is not let in, or has to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// `Unauthorized` or `Forbidden`.
    pub code: CloseCode,
    /// What would be right.
    pub message: String,
}

impl Denied {
    fn unauthorized(message: impl Into<String>) -> Self {
        Self {
            code: CloseCode::Unauthorized,
            message: message.into(),
        }
    }
}

/// Checks tokens. Without keys everybody may do everything.
#[derive(Debug)]
pub struct Gate {
    keys: RwLock<Keys>,
    revoked: Revoked,
}

impl Gate {
    /// A gate with those keys. `revoked_file`: see [`Revoked`].
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn new(keys: Keys, revoked_file: Option<PathBuf>) -> FileResult<Self> {
        let revoked = Revoked::read(revoked_file)?;
        let keys = RwLock::new(keys);
        Ok(Self { keys, revoked })
    }

    /// Reads the list of who is revoked again; gives how many entries it has. The old one stays if that fails.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn reload(&self) -> FileResult<usize> {
        self.revoked.reload()
    }

    /// Checks tokens with these keys from here on. Who is in stays in. Whether tokens are asked for at all does not change.
    pub fn change_keys(&self, keys: Keys) {
        let mut known = self.keys.write();
        if keys.is_empty() == known.is_empty() {
            *known = keys;
        }
    }

    /// Whether tokens are asked for.
    pub fn asks(&self) -> bool {
        !self.keys.read().is_empty()
    }

    /// Whether the grant was revoked since it was given.
    pub fn is_revoked(&self, grant: &Grant) -> bool {
        self.revoked
            .names(&grant.subject, grant.token_id.as_deref())
    }

    /// Lets somebody into a canvas, or says why not. `None`: no tokens are asked for.
    ///
    /// # Errors
    /// [`CloseCode::Unauthorized`] for a token that is missing, wrong, expired or revoked; [`CloseCode::Forbidden`] for one
    /// that names no such canvas.
    pub fn admit(&self, token: Option<&str>, canvas: &CanvasId) -> Result<Option<Grant>, Denied> {
        let admitted = self.look_at(token, canvas);
        if admitted.is_err() {
            counts::AUTH_FAILURES.add(1);
        }
        admitted
    }

    fn look_at(&self, token: Option<&str>, canvas: &CanvasId) -> Result<Option<Grant>, Denied> {
        let keys = self.keys.read();
        if keys.is_empty() {
            return Ok(None);
        }
        let token = token.ok_or_else(|| Denied::unauthorized("hello.token is missing"))?;
        let claims = keys.decode(token).map_err(Denied::unauthorized)?;
        let grant = grant(claims, canvas, now_s())?;
        if self.is_revoked(&grant) {
            return Err(Denied::unauthorized("the token was revoked"));
        }
        Ok(Some(grant))
    }

    /// Takes a new token in place of an old one.
    ///
    /// # Errors
    /// [`CloseCode::Unauthorized`] whatever is wrong with it, and for one of another `sub`, or that does not name the canvas.
    pub fn refresh(&self, old: &Grant, token: &str, canvas: &CanvasId) -> Result<Grant, Denied> {
        let new = self
            .admit(Some(token), canvas)
            .map_err(|denied| Denied::unauthorized(denied.message))?;
        match new {
            Some(new) if new.subject == old.subject => Ok(new),
            _ => Err(Denied::unauthorized("the new token has another sub")),
        }
    }
}

/// What the claims allow on a canvas now.
fn grant(claims: Claims, canvas: &CanvasId, now_s: f64) -> Result<Grant, Denied> {
    claims.check().map_err(Denied::unauthorized)?;
    if claims.exp <= now_s {
        return Err(Denied::unauthorized("the token has expired"));
    }
    if claims
        .nbf
        .is_some_and(|nbf| nbf > now_s + NOT_BEFORE_LEEWAY_S)
    {
        return Err(Denied::unauthorized("the token is not valid yet (nbf)"));
    }
    let Some(access) = claims.access(canvas.as_str()) else {
        return Err(Denied {
            code: CloseCode::Forbidden,
            message: format!("the token's canvases do not name {canvas}"),
        });
    };
    Ok(Grant {
        subject: claims.sub,
        token_id: claims.jti,
        access,
        expires_at_s: claims.exp,
        name: claims.name.as_deref().map(claims::cut),
        color: claims.color.as_deref().map(claims::cut),
    })
}

/// The wall clock in seconds since the epoch.
pub(crate) fn now_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mint::{Wanted, mint};
    use secret::Secret;

    const SECRET: &str = "a secret of at least thirty-two bytes";

    fn canvas(id: &str) -> CanvasId {
        CanvasId::parse(id).unwrap()
    }

    fn gate() -> Gate {
        let keys = Keys::of_secrets(vec![Secret::new(SECRET.to_owned())]);
        Gate::new(keys, None).unwrap()
    }

    fn token(sub: &str, canvases: &[(&str, Access)], ttl: Duration) -> String {
        let wanted = Wanted {
            subject: sub.to_owned(),
            canvases: canvases
                .iter()
                .map(|(p, a)| ((*p).to_owned(), *a))
                .collect(),
            ttl,
            name: Some("Ada".to_owned()),
            color: None,
            token_id: Some("t-1".to_owned()),
        };
        mint(&Secret::new(SECRET.to_owned()), &wanted).unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn without_keys_everybody_may_enter() {
        let gate = Gate::new(Keys::default(), None).unwrap();
        assert_eq!(gate.admit(None, &canvas("a")), Ok(None));
        assert_eq!(gate.admit(Some("nonsense"), &canvas("a")), Ok(None));
    }

    #[test]
    fn a_token_is_asked_for_and_read() {
        let (gate, board) = (gate(), canvas("board"));
        let denied = gate.admit(None, &board).unwrap_err();
        assert_eq!(denied.code, CloseCode::Unauthorized);
        let good = token("ada", &[("board", Access::Read)], HOUR);
        let grant = gate.admit(Some(&good), &board).unwrap().unwrap();
        assert_eq!((&*grant.subject, grant.access), ("ada", Access::Read));
        assert!(grant.remaining() > Duration::from_secs(3500));
        assert_eq!(
            grant.user(r##"{"color":"#c03","name":"Eve"}"##),
            r##"{"color":"#c03","name":"Ada","vouched":["name"]}"##
        );
        let denied = gate.admit(Some(&good), &canvas("other")).unwrap_err();
        assert_eq!(denied.code, CloseCode::Forbidden);
        for bad in ["", "x", "a.b.c", &good[..good.len() - 2]] {
            let denied = gate.admit(Some(bad), &board).unwrap_err();
            assert_eq!(denied.code, CloseCode::Unauthorized, "{bad}");
        }
    }

    #[test]
    fn an_expired_token_is_refused_to_the_second() {
        let late = token("ada", &[("*", Access::Write)], Duration::ZERO);
        let denied = gate().admit(Some(&late), &canvas("a")).unwrap_err();
        assert_eq!(denied, Denied::unauthorized("the token has expired"));
    }

    #[test]
    fn a_refresh_keeps_the_sub_and_the_canvas() {
        let (gate, board) = (gate(), canvas("board"));
        let first = token("ada", &[("board", Access::Read)], HOUR);
        let old = gate.admit(Some(&first), &board).unwrap().unwrap();
        let longer = token("ada", &[("b*", Access::Write)], HOUR * 2);
        let new = gate.refresh(&old, &longer, &board).unwrap();
        assert!(new.expires_at_s > old.expires_at_s && new.access == Access::Write);
        for (sub, pattern) in [("eve", "board"), ("ada", "other")] {
            let wrong = token(sub, &[(pattern, Access::Write)], HOUR);
            let denied = gate.refresh(&old, &wrong, &board).unwrap_err();
            assert_eq!(denied.code, CloseCode::Unauthorized);
        }
    }
}
