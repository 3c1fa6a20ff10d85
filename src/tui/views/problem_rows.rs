//! Problems as rows of a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ListKind;
use super::listing::{Order, Rows};
use crate::domain::id::ProblemKey;
use crate::domain::problem::Problem;
use crate::domain::problem::diagnosis::{self, Impact};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::model::Shared;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Column, Row, fixed, share};

/// Problems: the open ones, and those that were over lately.
#[derive(Clone, Debug, Default)]
pub struct ProblemRows {
    /// Whom each of them hits, as it was counted last.
    pub hits: Arc<BTreeMap<ProblemKey, Impact>>,
}

impl ProblemRows {
    fn hits(&self, snapshot: &Snapshot, key: ProblemKey, problem: &Problem) -> String {
        let usual = Impact::default();
        diagnosis::impact_in_words(snapshot, problem, self.hits.get(&key).unwrap_or(&usual))
    }
}

struct Seen<'s>(&'s Snapshot, &'s Problem);

impl Filtered for Seen<'_> {
    fn words(&self) -> Vec<String> {
        vec![headline(self.0, self.1), self.1.kind.as_str().into(), format!("p-{}", self.1.number)]
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "kind" => Some(self.1.kind.as_str().into()),
            "severity" => Some(self.1.kind.severity().as_str().into()),
            "agent" => agent_name(self.0, self.1),
            "state" => Some(self.1.state().into()),
            "owner" => self.1.taken.as_ref().map(|taken| taken.by.line().into_string()),
            _ => None,
        }
    }
}

pub fn agent_name(snapshot: &Snapshot, problem: &Problem) -> Option<String> {
    let agent = problem.agent.and_then(|key| snapshot.agents.get(key))?;
    Some(agent.name.line().into_string())
}

/// `hotel-alps: its port refuses connections`
pub fn headline(snapshot: &Snapshot, problem: &Problem) -> String {
    let text = problem.text.line();
    match agent_name(snapshot, problem) {
        Some(name) => format!("{name} {text}"),
        None => text.into_string(),
    }
}

impl Rows for ProblemRows {
    type Key = ProblemKey;

    const KIND: ListKind = ListKind::Problems;

    const COLUMNS: &'static [Column] = &[
        share("PROBLEM", 'P', 24, 6, 9),
        fixed("BEGAN", 'B', 9, 5),
        fixed("AGE", 'E', 4, 8).right(),
        share("HITS", 'H', 12, 3, 4),
        fixed("OWNER", 'O', 8, 3),
        fixed("STATE", 'S', 5, 2),
        fixed("ID", 'I', 6, 1).wide(),
    ];

    fn keys<'s>(&'s self, snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = ProblemKey> + 's> {
        Box::new(snapshot.problems.iter().map(|(key, _)| key))
    }

    fn changed(&self, _snapshot: &Snapshot, changed: Changed, rows: &mut Vec<ProblemKey>) {
        if let Changed::Problem(key) = changed {
            rows.push(key);
        }
    }

    fn shows(&self, snapshot: &Snapshot, key: ProblemKey, order: &Order) -> bool {
        let Some(problem) = snapshot.problems.get(key) else { return false };
        (!order.faults || (problem.cleared.is_none() && problem.muted.is_none()))
            && order.filter.passes(&Seen(snapshot, problem))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: ProblemKey, by: char) -> SortKey {
        let Some(problem) = snapshot.problems.get(key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            'P' => text(headline(snapshot, problem)),
            'H' => SortKey::Number(i64::from(self.hits.get(&key).map_or(0, |hits| hits.jobs))),
            'B' => SortKey::Number(problem.since.micros()),
            // What is shown is an age: the youngest has the least.
            'E' => SortKey::Pair(-problem.since.micros(), -i64::from(problem.number)),
            'I' => SortKey::Number(i64::from(problem.number)),
            'O' => {
                text(problem.taken.as_ref().map(|taken| taken.by.line().into_string()).unwrap_or_default())
            }
            // Open before muted before over, then by how much it hurts, then the oldest.
            _ => {
                let over = match (problem.cleared, &problem.muted) {
                    (Some(_), _) => 2,
                    (None, Some(_)) => 1,
                    (None, None) => 0,
                };
                let hurts = 2 - problem.kind.severity() as i64;
                SortKey::Pair(over * 4 + hurts, problem.since.micros())
            }
        }
    }

    fn highest_first(by: char) -> bool {
        matches!(by, 'B' | 'H' | 'I')
    }

    fn row(&self, canvas: &Canvas<'_>, shared: &Shared, key: ProblemKey) -> Row {
        let Some(problem) = shared.snapshot.problems.get(key) else {
            return Row { mark: span(" ", Role::Plain), cells: Vec::new(), marked: false };
        };
        let over = problem.cleared.is_some();
        let told = states::severity(problem.kind.severity(), shared.glyphs());
        let mark = if over { span(shared.glyphs().completed, Role::Ok) } else { span(told.mark, told.role) };
        let plain = if over || problem.muted.is_some() { Role::Quiet } else { Role::Plain };
        Row {
            mark,
            cells: vec![
                span(headline(&shared.snapshot, problem), plain),
                span(shared.clocks.second(problem.since, shared.now), plain),
                span(canvas.coarse_age(problem.since), plain),
                span(self.hits(&shared.snapshot, key, problem), plain),
                owner(problem),
                span(problem.state(), plain),
                span(format!("p-{}", problem.number), Role::Quiet),
            ],
            marked: false,
        }
    }
}

/// Who attends to it.
fn owner(problem: &Problem) -> Span {
    match &problem.taken {
        Some(taken) => span(taken.by.line().into_string(), Role::Plain),
        None => span("–", Role::Quiet),
    }
}
