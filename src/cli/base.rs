//! The address of a process that a tool asks.

use anyhow::bail;

/// The beginning of all addresses there, from `--url`.
///
/// # Errors
/// When it is not one of HTTP, or holds a password: that would stand in every error.
pub(super) fn base_of(url: &str) -> anyhow::Result<String> {
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some((scheme, _)) => {
            bail!("--url: only http is spoken here, not {scheme}; ask a process directly")
        }
        None => url,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        bail!("--url: must not hold a name or a password");
    }
    Ok(format!("http://{}", rest.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_the_scheme_out() {
        for url in [
            "127.0.0.1:80",
            "http://127.0.0.1:80",
            "http://127.0.0.1:80/",
        ] {
            assert_eq!(base_of(url).unwrap(), "http://127.0.0.1:80");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for url in [
            "http://ada:hunter2@127.0.0.1:1",
            "ada:hunter2@127.0.0.1:1/x",
        ] {
            let wrong = base_of(url).unwrap_err().to_string();
            assert!(wrong.starts_with("--url: must not hold"), "{wrong}");
            assert!(!wrong.contains("hunter2"), "{wrong}");
        }
    }
}
