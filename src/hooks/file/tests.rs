//! Files of hooks: what is right is read, and what is wrong is named.

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn queue_hook() -> HookText {
    HookText {
        name: "save".to_owned(),
        canvases: vec!["board-*".to_owned()],
        events: vec!["object.*".to_owned()],
        queue: Some("canvas-events".to_owned()),
        url: None,
        secrets: Vec::new(),
        batch: None,
        quiet: None,
        max_wait: None,
        include: None,
        allow_private: None,
        backlog: None,
        backlog_bytes: None,
    }
}

fn web_hook() -> HookText {
    HookText {
        queue: None,
        url: Some("https://app.example.org/hooks".to_owned()),
        secrets: vec![SECRET.to_owned()],
        ..queue_hook()
    }
}

#[test]
fn a_file_is_read() {
    let hooks = parse(&format!(
        r#"
        [[hook]]
        name = "save"
        canvases = ["board-*", "plan"]
        events = ["object.*", "chat.sent", "canvas.idle"]
        queue = "canvas-events"

        [[hook]]
        name = "tell"
        canvases = ["*"]
        events = ["canvas.changed"]
        url = "https://app.example.org/hooks"
        secrets = ["{SECRET}"]
        batch = 10
        quiet = "5s"
        include = "object"
        "#
    ))
    .unwrap();
    let [save, tell] = &hooks.iter().collect::<Vec<_>>()[..] else {
        panic!("{hooks:?}");
    };
    assert_eq!(save.queue(), "canvas-events");
    assert!(
        save.wants("board-7", EventType::ChatSent) && save.wants("plan", EventType::CanvasIdle)
    );
    assert!(!save.wants("plans", EventType::ChatSent) && !save.wants("plan", EventType::Broadcast));
    assert_eq!((save.batch, save.backlog), (1, HOOK_BACKLOG));
    assert_eq!(tell.queue(), "scumble.hook.tell");
    assert_eq!((tell.batch, tell.include), (10, Include::Object));
    let quiet = tell.quiet.unwrap();
    assert_eq!(
        (quiet.after, quiet.at_the_latest),
        (Duration::from_secs(5), MAX_WAIT)
    );
    let wanting: Vec<&str> = hooks
        .wanting("plan", EventType::CanvasChanged)
        .map(|hook| &*hook.name)
        .collect();
    assert_eq!(wanting, ["tell"]);
    assert!(
        hooks
            .wanting("plan", EventType::ClientLeft)
            .next()
            .is_none()
    );
    assert!(parse("").unwrap().is_empty());
}

#[test]
fn what_is_written_in_json_is_the_same() {
    let text = serde_json::to_string(&web_hook()).unwrap();
    assert!(!text.contains("null"), "{text}");
    assert_eq!(serde_json::from_str::<HookText>(&text).unwrap(), web_hook());
}

/// A change that makes a hook wrong.
type Spoil = fn(&mut HookText);

#[test]
fn each_wrong_field_is_named_with_its_hook() {
    let wrong: &[(&str, Spoil)] = &[
        ("canvases: ", |hook| hook.canvases.clear()),
        ("canvases: \"a b\"", |hook| {
            hook.canvases = vec!["a b".into()]
        }),
        ("events: ", |hook| hook.events.clear()),
        ("events: \"object\"", |hook| {
            hook.events = vec!["object".into()]
        }),
        ("batch: ", |hook| hook.batch = Some(0)),
        ("batch: ", |hook| hook.batch = Some(MAX_HOOK_BATCH + 1)),
        ("queue or url: ", |hook| hook.queue = None),
        ("queue and url: ", |hook| {
            hook.url = Some("https://a.example".into())
        }),
        ("secrets: ", |hook| hook.secrets = vec![SECRET.into()]),
        ("allow_private: ", |hook| hook.allow_private = Some(true)),
        ("queue: ", |hook| hook.queue = Some(String::new())),
        ("queue: ", |hook| hook.queue = Some("x".repeat(129))),
        ("queue: ", |hook| hook.queue = Some("a\nb".into())),
        ("queue: ", |hook| {
            hook.queue = Some("scumble.hook.other".into())
        }),
        ("quiet: ", |hook| hook.events.push("canvas.changed".into())),
        ("quiet: ", |hook| hook.quiet = Some("5s".into())),
        ("max_wait: ", |hook| hook.max_wait = Some("5s".into())),
        ("include: ", |hook| hook.include = Some("all".into())),
        ("backlog: ", |hook| hook.backlog = Some(0)),
        ("backlog_bytes: ", |hook| {
            hook.backlog_bytes = Some(u64::MAX)
        }),
    ];
    for (field, spoil) in wrong {
        let mut hook = queue_hook();
        spoil(&mut hook);
        let error = check_all(&[hook]).unwrap_err();
        assert!(
            error.starts_with(&format!("hook \"save\": {field}")),
            "{error}"
        );
    }
    let wrong: &[(&str, Spoil)] = &[
        ("secrets: ", |hook| hook.secrets.clear()),
        ("secrets: ", |hook| {
            hook.secrets = vec!["whsec_short".into()]
        }),
        ("url: ", |hook| hook.url = Some("ftp://a.example".into())),
        ("url: ", |hook| {
            hook.url = Some("https://127.0.0.1/x".into())
        }),
        ("url: ", |hook| hook.url = Some("http://[::1]:80/x".into())),
        ("url: ", |hook| hook.url = Some("http://localhost/x".into())),
        ("url: ", |hook| {
            hook.url = Some("https://user:word@a.example/".into())
        }),
        ("url: ", |hook| hook.url = Some("nothing".into())),
    ];
    for (field, spoil) in wrong {
        let mut hook = web_hook();
        spoil(&mut hook);
        let error = check_all(&[hook]).unwrap_err();
        assert!(
            error.starts_with(&format!("hook \"save\": {field}")),
            "{error}"
        );
    }
}

#[test]
fn waits_of_canvas_changed_have_bounds_and_an_order() {
    let changed = |quiet: &str, max_wait: &str| {
        let hook = HookText {
            events: vec!["canvas.changed".into()],
            quiet: Some(quiet.into()),
            max_wait: Some(max_wait.into()),
            ..queue_hook()
        };
        check_all(&[hook])
    };
    changed("5s", "60s").unwrap();
    for (quiet, max_wait, field) in [
        ("5", "60s", "quiet"),
        ("1ms", "60s", "quiet"),
        ("5s", "2h", "max_wait"),
        ("5s", "4s", "max_wait"),
    ] {
        let error = changed(quiet, max_wait).unwrap_err();
        assert!(error.contains(&format!("{field}: ")), "{error}");
    }
}

#[test]
fn names_are_checked_and_stand_once() {
    for name in ["", "-a", "a b", "ä", &"x".repeat(65)] {
        let hook = HookText {
            name: name.to_owned(),
            ..queue_hook()
        };
        assert!(
            check_all(&[hook])
                .unwrap_err()
                .starts_with("hook 1: name: ")
        );
    }
    let error = check_all(&[queue_hook(), queue_hook()]).unwrap_err();
    assert!(error.contains("two of that name"), "{error}");
    let many: Vec<HookText> = (0..=MAX_HOOKS)
        .map(|n| HookText {
            name: format!("hook-{n}"),
            ..queue_hook()
        })
        .collect();
    assert!(check_all(&many).unwrap_err().contains("is the most"));
}

#[test]
fn a_private_address_is_allowed_where_the_hook_says_so() {
    for url in [
        "http://127.0.0.1:9000/hook",
        "http://localhost:9000/",
        "https://[fd00::1]/",
    ] {
        let hook = HookText {
            url: Some(url.to_owned()),
            allow_private: Some(true),
            ..web_hook()
        };
        check_all(&[hook]).unwrap();
    }
}

#[test]
fn a_field_that_does_not_exist_is_an_error_with_its_line() {
    let error = parse("[[hook]]\nname = \"a\"\nevent = [\"chat.sent\"]\n").unwrap_err();
    assert!(error.contains("event") && error.contains('3'), "{error}");
}

#[test]
fn what_is_no_plain_file_is_refused_and_not_read_for_ever() {
    let endless = super::read(std::path::Path::new("/dev/zero"));
    assert_eq!(endless.unwrap_err(), "is not a plain file");
}
