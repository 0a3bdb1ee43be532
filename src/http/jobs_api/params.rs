//! Query parameters, field by field. An error names the one that is wrong or unknown.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::Response;

use super::answer;
use crate::hooks::OWN_QUEUES;
use crate::jobs::look::parse_iso;
use crate::jobs::op::Refusal;
use crate::jobs::work::check_name;

/// The fields of a query that nobody has asked for yet.
pub(super) struct Params(Result<BTreeMap<String, String>, Refusal>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let fields = match query {
            Ok(Query(fields)) => each_once(fields, parts.uri.query().unwrap_or_default()),
            Err(wrong) => Err(Refusal::bad(format!(
                "the query is wrong: {}",
                wrong.body_text()
            ))),
        };
        Ok(Self(fields))
    }
}

/// No query, where a request without a body has no fields. One with a body is refused once that has been read.
pub(super) struct NoParams;

impl<S: Send + Sync> FromRequestParts<S> for NoParams {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Ok(params) = Params::from_request_parts(parts, state).await;
        let none = params.end("").map(|()| Self);
        none.map_err(|refusal| answer(Err(refusal)))
    }
}

/// The fields by name. One that is there twice, or has no value, is a mistake of whoever put the query together: with
/// `partition=` of a variable that is empty, a whole queue would be cleared.
fn each_once(given: Vec<(String, String)>, raw: &str) -> Result<BTreeMap<String, String>, Refusal> {
    // What stands for bytes that are no text, unless somebody has sent it.
    let unreadable = char::REPLACEMENT_CHARACTER;
    let sent = raw.to_ascii_uppercase().contains("%EF%BF%BD") || raw.contains(unreadable);
    let mut fields = BTreeMap::new();
    for (name, value) in given {
        if value.contains(unreadable) && !sent {
            return Err(Refusal::bad(format!(
                "the query's field {name} is no UTF-8"
            )));
        }
        if value.is_empty() {
            let message =
                format!("the query's field {name} is empty: give it a value, or leave it out");
            return Err(Refusal::bad(message));
        }
        if fields.contains_key(&name) {
            return Err(Refusal::bad(format!(
                "the query has the field {name} twice"
            )));
        }
        fields.insert(name, value);
    }
    Ok(fields)
}

impl Params {
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.0.as_mut().ok()?.remove(name)
    }

    /// A name of something, or a part of one.
    pub(super) fn name(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        check_name(name, &text)?;
        Ok(Some(text))
    }

    pub(super) fn number(
        &mut self,
        name: &str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let least = range.start();
            let most = range.end();
            Refusal::bad(format!("{name} is a whole number from {least} to {most}"))
        })
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(Refusal::bad(format!("{name} is true or false"))),
        }
    }

    /// Milliseconds of a time.
    pub(super) fn time(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let time = parse_iso(&text);
        time.map(Some).ok_or_else(|| not_a_time(name))
    }

    /// A span of time that clients of Queen MQ may ask for where the numbers are always of now.
    pub(super) fn span(&mut self) -> Result<(), Refusal> {
        self.time("from")?;
        self.time("to")?;
        let _ = self.text("interval");
        Ok(())
    }

    /// Nothing else may be there.
    pub(super) fn end(self, known: &str) -> Result<(), Refusal> {
        match self.0?.into_keys().next() {
            None => Ok(()),
            Some(name) if known.is_empty() => Err(Refusal::bad(format!(
                "the query has no field {name}; there is none here"
            ))),
            Some(name) => Err(Refusal::bad(format!(
                "the query has no field {name}; there are {known}"
            ))),
        }
    }
}

/// A queue of the relay's own has the relay for its only producer and consumer: what somebody else pushed would be signed
/// and sent, and another group would keep its events for ever.
pub(super) fn not_ours(field: &str, queue: &str) -> Result<(), Refusal> {
    if !queue.starts_with(OWN_QUEUES) {
        return Ok(());
    }
    Err(Refusal::bad(format!(
        "{field}: queues whose names begin with \"{OWN_QUEUES}\" are the relay's own: they can be looked at, cleared and deleted"
    )))
}

pub(super) fn not_a_time(name: &str) -> Refusal {
    Refusal::bad(format!(
        "{name} is a time as in 2026-01-31T12:00:00Z (ISO 8601)"
    ))
}
