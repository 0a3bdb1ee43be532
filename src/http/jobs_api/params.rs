//! Query parameters, field by field. An error names the one that is wrong or unknown.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::jobs::look::parse_iso;
use crate::jobs::op::Refusal;

/// The fields of a query that nobody has asked for yet.
pub(super) struct Params(Result<BTreeMap<String, String>, Refusal>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let fields = match query {
            Ok(Query(fields)) => Ok(fields.into_iter().collect()),
            Err(wrong) => Err(Refusal::bad(format!(
                "the query is wrong: {}",
                wrong.body_text()
            ))),
        };
        Ok(Self(fields))
    }
}

impl Params {
    /// A field that is there and not empty.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let fields = self.0.as_mut().ok()?;
        fields.remove(name).filter(|text| !text.is_empty())
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

    /// Nothing else may be there.
    pub(super) fn end(self, known: &str) -> Result<(), Refusal> {
        match self.0?.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::bad(format!(
                "the query has no field {name}; there are {known}"
            ))),
        }
    }
}

pub(super) fn not_a_time(name: &str) -> Refusal {
    Refusal::bad(format!(
        "{name} is a time as in 2026-01-31T12:00:00Z (ISO 8601)"
    ))
}
