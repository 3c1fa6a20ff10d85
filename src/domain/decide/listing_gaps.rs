//! Tasks that an agent's lists leave out: entries that cannot be read, and totals that say there are more.
//!
//! Pages are followed as far as there is a token for the next one. What is missing at the end is a problem of the agent
//! until a list of the same tasks is complete.

use crate::domain::call::Page;
use crate::domain::decide::live::ListReason;
use crate::domain::decide::turn::Turn;
use crate::domain::effect::ListQuery;
use crate::domain::id::AgentKey;
use crate::domain::job::task::TaskState;

/// What the lists of one agent leave out.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct ListingGaps {
    /// The gap of the list whose pages are being read.
    reading: Gap,
    /// The gaps of complete lists, by the state that was asked for; `None` is a list of all tasks.
    gaps: Vec<(Option<TaskState>, Gap)>,
    /// The tasks have been listed for the first time since the engine began.
    pub scanned: bool,
}

/// What one list leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Gap {
    /// Tasks on its pages, readable or not.
    given: u64,
    /// Tasks on its pages that cannot be read.
    unread: u64,
    /// The total that it reports; 0 if it reports none.
    total: u64,
}

impl Gap {
    fn missing(self) -> u64 {
        self.total.saturating_sub(self.given)
    }

    fn is_none(self) -> bool {
        self.missing() == 0 && self.unread == 0
    }
}

impl ListingGaps {
    /// Takes in a page of a list.
    fn read(&mut self, query: &ListQuery, page: &Page) {
        if query.page.is_none() {
            self.reading = Gap::default();
        }
        let reading = &mut self.reading;
        reading.unread += u64::from(page.unread);
        reading.given += page.tasks.len() as u64 + u64::from(page.unread);
        // The total of the last page counts: tasks come and go meanwhile.
        reading.total = page.total.unwrap_or(reading.total);
        let has_ended = page.next.is_none();
        let gap = Gap { total: if has_ended { reading.total } else { 0 }, ..*reading };
        if has_ended || !gap.is_none() {
            // A complete list of all tasks says that none is left out, whatever its state.
            self.gaps.retain(|(state, _)| *state != query.state && query.state.is_some());
            if !gap.is_none() {
                self.gaps.push((query.state.clone(), gap));
            }
        }
    }

    /// What is left out, in words behind the agent's name; `None` if that is nothing.
    pub fn words(&self) -> Option<String> {
        let (_, missing) = self.gaps.iter().max_by_key(|(_, gap)| gap.missing())?;
        let unread = self.gaps.iter().map(|(_, gap)| gap.unread).max().unwrap_or_default();
        let tasks = |count| if count == 1 { "task" } else { "tasks" };
        let total = (missing.missing() > 0).then(|| {
            format!("says it has {} {} and lists {}", missing.total, tasks(missing.total), missing.given)
        });
        let broken = (unread > 0).then(|| format!("lists {unread} {} that cannot be read", tasks(unread)));
        Some([total, broken].into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

/// Notes what a page of an agent's tasks leaves out.
pub(super) fn read(turn: &mut Turn, agent: AgentKey, why: &ListReason, query: &ListQuery, page: &Page) {
    let gaps = &mut turn.agent_live(agent).listing_gaps;
    match why {
        // Both search for a single task, and stop once they have found it.
        ListReason::Lookup(_) | ListReason::Confirm(_) => return,
        ListReason::Adopt => {}
        ListReason::Newest | ListReason::InState | ListReason::Whole => gaps.scanned = true,
    }
    let before = gaps.words();
    gaps.read(query, page);
    if gaps.words() != before {
        turn.touched.agents.push(agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::task::{Status, TaskReport};

    /// A page: how many tasks, whether another follows, the total, and how many cannot be read.
    type Row = (usize, bool, Option<u64>, u32);
    /// Lists one after the other, each with the state that it asks for, and what is then left out.
    type Case<'a> = (&'a [(&'a Option<TaskState>, &'a [Row])], Option<&'a str>);

    fn page((tasks, more, total, unread): Row) -> Page {
        let task = TaskReport::new("t", Status::new(TaskState::Working));
        Page { tasks: vec![task; tasks], next: more.then(|| "n".into()), total, unread }
    }

    #[test]
    fn gaps_of_a_list_are_reported_until_it_is_complete() {
        let (all, failed) = (None, Some(TaskState::Failed));
        let rows: &[Case<'_>] = &[
            (&[(&all, &[(2, false, None, 0)])], None),
            (&[(&all, &[(2, false, Some(2), 0)])], None),
            (&[(&all, &[(2, false, Some(5), 0)])], Some("says it has 5 tasks and lists 2")),
            // Pages that follow are read first.
            (&[(&all, &[(2, true, Some(5), 0)])], None),
            (&[(&all, &[(2, true, Some(5), 0), (3, false, Some(5), 0)])], None),
            (
                &[(&all, &[(2, true, Some(5), 0), (0, false, Some(5), 0)])],
                Some("says it has 5 tasks and lists 2"),
            ),
            (&[(&all, &[(2, true, Some(5), 0), (3, false, None, 0)])], None),
            // Tasks were removed in the meantime.
            (&[(&all, &[(2, true, Some(5), 0), (1, false, Some(3), 0)])], None),
            // Tasks that cannot be read are reported at once, and are not counted as missing too.
            (&[(&all, &[(2, true, Some(9), 1)])], Some("lists 1 task that cannot be read")),
            (&[(&all, &[(2, false, Some(5), 3)])], Some("lists 3 tasks that cannot be read")),
            (
                &[(&all, &[(1, false, Some(5), 3)])],
                Some("says it has 5 tasks and lists 4; lists 3 tasks that cannot be read"),
            ),
            // A later list of the same tasks, of others, and of all.
            (&[(&failed, &[(2, false, Some(5), 0)]), (&failed, &[(5, false, Some(5), 0)])], None),
            (
                &[
                    (&failed, &[(2, false, Some(5), 0)]),
                    (&Some(TaskState::Working), &[(1, false, Some(1), 0)]),
                ],
                Some("says it has 5 tasks and lists 2"),
            ),
            (&[(&failed, &[(2, false, Some(5), 0)]), (&all, &[(7, false, None, 0)])], None),
            (
                &[(&failed, &[(2, false, Some(5), 0)]), (&all, &[(7, true, None, 0)])],
                Some("says it has 5 tasks and lists 2"),
            ),
        ];
        for (lists, expected) in rows {
            let mut gaps = ListingGaps::default();
            for (state, pages) in *lists {
                for (number, row) in pages.iter().enumerate() {
                    let token = (number > 0).then(|| "n".into());
                    let query = ListQuery { state: (*state).clone(), page: token, ..ListQuery::default() };
                    gaps.read(&query, &page(*row));
                }
            }
            assert_eq!(gaps.words().as_deref(), *expected, "{lists:?}");
        }
    }
}
