//! One page of a list. Its bytes are bounded, and so is the number of rows that are read for it.

use serde_json::Value;

use crate::jobs::op::Answer;
use crate::limits::{JOB_ANSWER_BYTES, JOB_LOOK_BYTES, JOB_LOOK_ROWS};

/// Rows of a page, each a JSON object, and what it took to find them.
pub(super) struct Page {
    limit: usize,
    /// Where it begins, if one can ask for more from where it ends.
    offset: Option<usize>,
    rows: Vec<String>,
    bytes: usize,
    looked: usize,
    read: usize,
    /// A row that is wanted found no room.
    full: bool,
    /// Nothing more is looked at.
    tired: bool,
}

impl Page {
    pub(super) fn new(limit: usize, offset: Option<usize>) -> Self {
        Self {
            limit,
            offset,
            rows: Vec::new(),
            bytes: 0,
            looked: 0,
            read: 0,
            full: false,
            tired: false,
        }
    }

    /// A row is looked at, and so many more for it. `false`: that is too much for one look.
    pub(super) fn looks(&mut self, more: usize) -> bool {
        self.looked = self.looked.saturating_add(1 + more);
        self.tired |= self.looked > JOB_LOOK_ROWS;
        !self.tired
    }

    /// A payload of so many bytes was read. `false`: that is too much for one look.
    pub(super) fn reads(&mut self, bytes: usize) -> bool {
        self.read += bytes;
        self.tired |= self.read > JOB_LOOK_BYTES;
        !self.tired
    }

    /// Rows that may still be looked at, and one by which it is seen that there are more.
    pub(super) fn looks_left(&self) -> usize {
        (JOB_LOOK_ROWS + 1).saturating_sub(self.looked)
    }

    /// Whether it takes one more row.
    pub(super) fn has_room(&self) -> bool {
        !self.full && self.rows.len() < self.limit
    }

    /// Rows that it may still take.
    pub(super) fn rows_left(&self) -> usize {
        self.limit - self.rows.len()
    }

    /// Bytes of rows that it may still take.
    pub(super) fn bytes_left(&self) -> usize {
        JOB_ANSWER_BYTES.saturating_sub(self.bytes)
    }

    /// One more row, if there is room for its bytes. The first has room: no payload is as large as an answer.
    pub(super) fn add(&mut self, row: String) {
        let bytes = self.bytes + row.len() + 1;
        if bytes > JOB_ANSWER_BYTES && !self.rows.is_empty() {
            self.full = true;
            return;
        }
        self.bytes = bytes;
        self.rows.push(row);
    }

    /// The answer, with what else is to be said. Nobody takes a part of the rows for all of them: it says that it is one, and
    /// where the next begins, if asking for that leads on.
    pub(super) fn answer(self, name: &str, mut rest: Value) -> Answer {
        if self.full || self.tired {
            rest["partial"] = true.into();
            let next = self.offset.filter(|_| self.full);
            rest["next"] = next.map(|offset| offset + self.rows.len()).into();
        }
        let rest = rest.to_string();
        let (open, rest) = rest.split_at(1);
        let comma = if rest == "}" { "" } else { "," };
        let mut text = String::with_capacity(self.bytes + rest.len() + 32);
        text.push_str(open);
        text.push_str(&format!("\"{name}\":["));
        for (at, row) in self.rows.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "," });
            text.push_str(row);
        }
        text.push(']');
        text.push_str(comma);
        text.push_str(rest);
        Answer::Raw(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(page: Page) -> Value {
        match page.answer("messages", json!({"limit": 7})) {
            Answer::Raw(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_page_that_has_all_says_nothing_of_a_part() {
        let mut page = Page::new(2, Some(0));
        page.add("{}".to_owned());
        assert!(page.has_room());
        page.add("{}".to_owned());
        assert!(!page.has_room());
        assert_eq!(answered(page), json!({"messages": [{}, {}], "limit": 7}));
    }

    #[test]
    fn a_page_has_a_bound_in_bytes_and_says_where_the_next_begins() {
        let row = || format!("\"{}\"", "x".repeat(JOB_ANSWER_BYTES / 2));
        for (offset, next) in [(Some(5), json!(6)), (None, json!(null))] {
            let mut page = Page::new(10, offset);
            page.add(row());
            assert!(page.has_room());
            page.add(row());
            assert!(!page.has_room());
            let answer = answered(page);
            assert_eq!(answer["messages"].as_array().unwrap().len(), 1);
            assert_eq!((&answer["partial"], &answer["next"]), (&json!(true), &next));
        }
    }

    #[test]
    fn one_look_has_a_bound_in_rows_and_in_bytes_and_says_that_it_saw_not_all() {
        let mut page = Page::new(10, Some(0));
        assert_eq!(
            (0..=JOB_LOOK_ROWS).filter(|_| page.looks(0)).count(),
            JOB_LOOK_ROWS
        );
        assert_eq!(answered(page)["partial"], true);
        let mut page = Page::new(10, Some(0));
        assert!(!page.looks(JOB_LOOK_ROWS));
        let mut page = Page::new(10, Some(0));
        assert!(page.reads(JOB_LOOK_BYTES));
        assert!(!page.reads(1));
        let answer = answered(page);
        assert_eq!(
            (&answer["partial"], &answer["next"]),
            (&json!(true), &json!(null))
        );
    }
}
