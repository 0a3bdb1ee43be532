//! What a client says, parsed: the kinds of messages that canvases are busy with.

use scumble::protocol::client_message;

/// Each once.
pub fn messages() -> Vec<String> {
    let pad = "x".repeat(120);
    vec![
        format!(r#"{{"type":"broadcast","op":17,"event":"note","data":{{"t":123456,"pad":"{pad}"}}}}"#),
        r#"{"type":"object-update","op":18,"id":"box-1","patch":{"x":100.5,"y":20.25,"t":null}}"#.to_owned(),
        r##"{"type":"object-create","op":19,"object":{"id":"box-2","kind":"rect","x":1,"y":2,"fill":"#ff0000"}}"##
            .to_owned(),
        r#"{"type":"cursor","x":812.5,"y":300.25,"tool":"pen"}"#.to_owned(),
    ]
}

/// Parses all of them. Returns how many were taken.
pub fn run(messages: &[String]) -> usize {
    let parsed = messages.iter().map(|text| client_message::parse(text));
    parsed.filter(Result::is_ok).count()
}
