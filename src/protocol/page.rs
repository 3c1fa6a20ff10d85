//! A large page of tasks, decoded in slices: however many tasks an agent puts into one page, no step is long.

use std::collections::VecDeque;
use std::ops::Range;

use super::json::Object;
use super::{Codec, Reply, jsonrpc};
use crate::domain::job::task::TaskReport;
use crate::domain::limits;
use crate::domain::text::Untrusted;

/// A page too large to be decoded at once.
#[derive(Debug)]
pub struct Page {
    text: String,
    /// Where in the text the tasks are that are not decoded yet.
    tasks: VecDeque<Range<usize>>,
    next: Option<Untrusted>,
    /// Tasks beyond the limit, by number; they are not read.
    pub left_out: usize,
    /// The number of tasks on all pages; `None` if not given.
    pub total: Option<u64>,
}

impl Page {
    /// Takes an answer to `ListTasks`.
    ///
    /// # Errors
    /// The text, if it is no page or a small one: then it is decoded like any other answer.
    pub fn new(mut text: String) -> Result<Self, String> {
        // A page has no more tasks than braces: most need not be read twice.
        let braces = memchr::memchr_iter(b'{', text.as_bytes()).count();
        if braces <= limits::TASKS_AT_ONCE && text.len() <= limits::TASK_BYTES_AT_ONCE {
            return Err(text);
        }
        let Some((mut tasks, next, total)) = places(&text) else { return Err(text) };
        let is_small = tasks.len() <= limits::TASKS_AT_ONCE && text.len() <= limits::TASK_BYTES_AT_ONCE;
        if is_small {
            return Err(text);
        }
        let left_out = tasks.len().saturating_sub(limits::TASKS_IN_PAGE);
        tasks.truncate(limits::TASKS_IN_PAGE);
        text.truncate(tasks.back().map_or(0, |last| last.end));
        text.shrink_to_fit();
        Ok(Self { text, tasks, next, left_out, total })
    }

    /// Bytes that are still held.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Tasks that are not decoded yet.
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// True once every task is decoded.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The token of the next page.
    pub fn next(&self) -> Option<Untrusted> {
        self.next.clone()
    }

    /// The number of tasks beyond the limit.
    pub fn unread(&self) -> u32 {
        u32::try_from(self.left_out).unwrap_or(u32::MAX)
    }

    /// The next tasks; undecodable ones are skipped.
    pub fn slice(&mut self, codec: &dyn Codec) -> Vec<TaskReport> {
        let mut body = String::from(r#"{"jsonrpc":"2.0","id":0,"result":{"tasks":["#);
        let mut count = 0;
        while count < limits::TASKS_AT_ONCE
            && let Some(place) = self.tasks.front()
            && (count == 0 || body.len() + place.len() <= limits::TASK_BYTES_AT_ONCE)
        {
            if count > 0 {
                body.push(',');
            }
            body.push_str(self.text.get(place.clone()).unwrap_or("null"));
            self.tasks.pop_front();
            count += 1;
        }
        body.push_str("]}}");
        match codec.decode_reply(&body, &mut super::Deviations::default()) {
            Ok(Reply::Page { tasks, .. }) => tasks,
            _ => Vec::new(),
        }
    }
}

/// Where the tasks of a page are, where the next page begins, and how many tasks there are on all pages.
type Places = (VecDeque<Range<usize>>, Option<Untrusted>, Option<u64>);

/// The positions of a page's tasks, and the token of the next page; `None` if it is not a page.
fn places(text: &str) -> Option<Places> {
    let result = Object::parse(jsonrpc::open(text).ok()?).ok()?;
    if result.raw("task").is_some() || result.object("message").is_some() || !result.has("tasks") {
        return None;
    }
    let start = text.as_ptr().addr();
    let tasks = result.list("tasks").into_iter().map(|task| {
        let from = task.as_ptr().addr() - start;
        from..from + task.len()
    });
    let total = result.number("totalSize").and_then(|total| u64::try_from(total).ok());
    Some((tasks.collect(), result.filled("nextPageToken"), total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::card::Dialect;

    fn page(tasks: usize, filling: usize) -> String {
        let filling = "x".repeat(filling);
        let tasks: Vec<_> = (0..tasks)
            .map(|number| format!(r#"{{"id":"t{number}","contextId":"{filling}","status":{{"state":"TASK_STATE_WORKING"}}}}"#))
            .collect();
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"tasks":[{}],"nextPageToken":"n"}}}}"#,
            tasks.join(",")
        )
    }

    /// A page yields slices of limited size, in order, up to the limit.
    #[track_caller]
    fn check(text: String, slices: &[usize], left_out: usize) {
        let codec = crate::protocol::codec(Dialect::V1_0);
        let mut page = Page::new(text).unwrap();
        assert_eq!((page.left_out, page.next()), (left_out, Some("n".into())));
        let mut number = 0;
        let mut lengths = Vec::new();
        while !page.is_empty() {
            let slice = page.slice(codec);
            for task in &slice {
                assert_eq!(&*task.id.raw(), format!("t{number}"));
                number += 1;
            }
            lengths.push(slice.len());
        }
        assert_eq!(lengths, slices);
    }

    #[test]
    fn large_pages_come_in_slices() {
        check(page(101, 0), &[100, 1], 0);
        check(page(250, 0), &[100, 100, 50], 0);
        check(page(1_000, 0), &[100; 10], 0);
        check(page(20_000, 0), &[100; 10], 19_000);
        // Large tasks come one by one.
        check(page(5, 600 * 1024), &[1; 5], 0);
        for small in
            [page(100, 0), page(0, 0), r#"{"jsonrpc":"2.0","id":1,"result":{"task":{}}}"#.into(), "{".into()]
        {
            assert_eq!(Page::new(small.clone()).unwrap_err(), small);
        }
    }
}
