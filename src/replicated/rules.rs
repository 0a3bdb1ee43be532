//! The rules that all instances must agree on, in the words of the flags. Instances with different rules would come to
//! different results.

use crate::canvas::Rules;
use crate::canvas::bounds::ObjectBounds;
use crate::config::AuthMode;
use crate::limits::Quotas;

/// As the relay and its canvases keep them.
pub(super) fn text(rules: &Rules) -> String {
    format!(
        "--message-ttl {}ms --presence-grace {}ms --max-objects {} --max-canvas-bytes {}",
        rules.message_ttl_ms,
        rules.presence_grace_ms,
        rules.bounds.max_objects,
        rules.bounds.max_bytes
    )
}

/// As the relay keeps them: what its canvases don't ask for is in it, too.
pub(super) fn of_relay(rules: &Rules, auth: AuthMode, quotas: &Quotas) -> String {
    let auth = match auth {
        AuthMode::None => "none",
        AuthMode::Token => "token",
    };
    let or_off = |value: Option<String>| value.unwrap_or_else(|| "off".to_owned());
    format!(
        "{} --auth {auth} --max-canvas-log-bytes {} --max-log-bytes {} --max-total-bytes {} --max-canvases {} \
         --canvas-idle-ttl {}",
        text(rules),
        quotas.canvas_log_bytes,
        quotas.log_bytes,
        or_off(quotas.total_bytes.map(|max| max.to_string())),
        or_off(quotas.canvases.map(|max| max.to_string())),
        or_off(quotas.idle_ttl.map(|ttl| format!("{}ms", ttl.as_millis())))
    )
}

/// Reads what [`text`] wrote; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Rules> {
    let values: Vec<&str> = text.split(' ').skip(1).step_by(2).collect();
    let [ttl, grace, objects, bytes] = values[..] else {
        return None;
    };
    let rules = Rules {
        message_ttl_ms: ttl.strip_suffix("ms")?.parse().ok()?,
        presence_grace_ms: grace.strip_suffix("ms")?.parse().ok()?,
        bounds: ObjectBounds {
            max_objects: objects.parse().ok()?,
            max_bytes: bytes.parse().ok()?,
        },
    };
    (self::text(&rules) == text).then_some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_their_text() {
        let rules = Rules {
            message_ttl_ms: 60_000,
            presence_grace_ms: 0,
            bounds: ObjectBounds {
                max_objects: 7,
                max_bytes: 1 << 40,
            },
        };
        let told = text(&rules);
        assert_eq!(parse(&told).map(|rules| text(&rules)), Some(told.clone()));
        for bad in ["", "x", &told[1..], &told.replace("ms", "s")] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
