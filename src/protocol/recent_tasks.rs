//! Decoded tasks of an agent's latest lists. A busy agent is listed every few seconds, and nearly all of a page is what
//! the page before it was.

use std::collections::VecDeque;

use crate::domain::job::message::text_hash;
use crate::domain::job::task::TaskReport;

/// The number of tasks kept: a page, and some submitted ones.
const MOST: usize = 24;
/// The longest text of a task that is kept, in bytes.
const LONGEST: usize = 2 * 1024;

/// The latest tasks of one agent's lists, with the text that each was decoded from.
#[derive(Debug, Default)]
pub struct RecentTasks(VecDeque<(u64, Box<str>, TaskReport)>);

impl RecentTasks {
    /// The task that was decoded from exactly this text; `None` if it must be decoded. It comes without its raw JSON,
    /// which was there when it was decoded.
    pub(super) fn get(&self, text: &str) -> Option<TaskReport> {
        let hash = text_hash(text);
        let known = self.0.iter().find(|(of, known, _)| *of == hash && **known == *text)?;
        Some(known.2.clone())
    }

    /// Keeps a task without messages and outputs, which are large.
    pub(super) fn keep(&mut self, text: &str, task: &TaskReport) {
        let is_small = task.history.is_empty() && task.artifacts.as_ref().is_none_or(Vec::is_empty);
        if !is_small || text.len() > LONGEST {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((text_hash(text), text.into(), TaskReport { raw: None, ..task.clone() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::card::Dialect;
    use crate::domain::job::task::TaskState;
    use crate::protocol::{Deviations, codec, reply};

    /// A repeated task is the one that was decoded, also among others; one whose text has changed is decoded.
    #[test]
    fn repeated_tasks_are_not_decoded_again() {
        let task = |id: usize, state: &str| format!(r#"{{"id":"t{id}","status":{{"state":"{state}"}}}}"#);
        let mut recent = RecentTasks::default();
        let mut page = |tasks: &[String], noted: bool| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tasks":[{}]}}}}"#, tasks.join(","));
            let mut deviations = Deviations::default();
            let page =
                reply::page(codec(Dialect::V1_0), "ListTasks", &body, &mut recent, &mut deviations).unwrap();
            // Only what is decoded is found to deviate.
            assert_eq!(deviations.is_empty(), !noted, "{body}");
            page.tasks
                .into_iter()
                .map(|task| (task.id.raw().to_string(), task.status.state))
                .collect::<Vec<_>>()
        };
        let expected = |id: usize, state| (format!("t{id}"), state);
        let (first, second) = (task(1, "working"), task(2, "completed"));
        let both = [expected(2, TaskState::Completed), expected(1, TaskState::Working)];
        assert_eq!(page(std::slice::from_ref(&first), true), [expected(1, TaskState::Working)]);
        assert_eq!(page(&[second.clone(), first.clone()], true), both);
        assert_eq!(page(&[second.clone(), first], false), both);
        assert_eq!(
            page(&[task(1, "failed"), second], true),
            [expected(1, TaskState::Failed), expected(2, TaskState::Completed)]
        );
        let many: Vec<_> = (0..3 * MOST).map(|id| task(id, "TASK_STATE_FAILED")).collect();
        for _ in 0..2 {
            assert_eq!(page(&many, false).len(), many.len());
        }
    }
}
