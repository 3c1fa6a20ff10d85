//! Problems as rows of a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::id::ProblemKey;
use crate::domain::problem::diagnosis::{self, Impact};
use crate::domain::problem::{Problem, without_risk};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::context::Context;
use crate::tui::saved_view::ListKind;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::views::listing::{Order, Rows};
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};

/// Problems: the open ones, and those that were over lately.
#[derive(Clone, Debug, Default)]
pub struct ProblemRows {
    /// The impact of each problem, from the last count.
    pub impacts: Arc<BTreeMap<ProblemKey, Impact>>,
}

impl ProblemRows {
    fn impact_words(&self, snapshot: &Snapshot, key: ProblemKey, problem: &Problem) -> String {
        let usual = Impact::default();
        diagnosis::impact_in_words(snapshot, problem, self.impacts.get(&key).unwrap_or(&usual))
    }
}

struct FilterRow<'s>(&'s Snapshot, &'s Problem);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        vec![headline(self.0, self.1), self.1.kind.as_str().into(), format!("p-{}", self.1.number)]
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "kind" => Some(self.1.kind.as_str().into()),
            "severity" => Some(self.1.severity().as_str().into()),
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

columns! {
    /// The columns of problems.
    pub enum ProblemColumn {
        Problem = flexible("PROBLEM", 'P', 24, 9).prefers(40),
        Began = fixed("BEGAN", 'B', 9, 5).highest_first(),
        Age = fixed("AGE", 'E', 4, 8).right(),
        Impact = flexible("HITS", 'H', 12, 4).highest_first(),
        Owner = fixed("OWNER", 'O', 8, 3).if_any(),
        State = fixed("STATE", 'S', 5, 2),
        Id = fixed("ID", 'I', 6, 1).wide().highest_first(),
    }
}

impl Rows for ProblemRows {
    type Key = ProblemKey;

    const KIND: ListKind = ListKind::Problems;

    type Column = ProblemColumn;

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
            && order.filter.passes(&FilterRow(snapshot, problem))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: ProblemKey, by: ProblemColumn) -> SortKey {
        let Some(problem) = snapshot.problems.get(key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            ProblemColumn::Problem => text(headline(snapshot, problem)),
            ProblemColumn::Impact => {
                SortKey::Number(i64::from(self.impacts.get(&key).map_or(0, |impact| impact.jobs)))
            }
            ProblemColumn::Began => SortKey::Number(problem.since.micros()),
            // The column shows an age: the youngest has the smallest value.
            ProblemColumn::Age => SortKey::Pair(-problem.since.micros(), -i64::from(problem.number)),
            ProblemColumn::Id => SortKey::Number(i64::from(problem.number)),
            ProblemColumn::Owner => {
                text(problem.taken.as_ref().map(|taken| taken.by.line().into_string()).unwrap_or_default())
            }
            // Open before muted before over, then by how much it hurts, then the oldest.
            ProblemColumn::State => {
                let over = match (problem.cleared, &problem.muted) {
                    (Some(_), _) => 2,
                    (None, Some(_)) => 1,
                    (None, None) => 0,
                };
                let hurts = 2 - problem.severity() as i64;
                SortKey::Pair(over * 4 + hurts, problem.since.micros())
            }
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: ProblemKey) -> Row {
        let Some(problem) = ctx.snapshot.problems.get(key) else { return Row::blank() };
        let over = problem.cleared.is_some();
        let label = states::severity(problem.severity(), ctx.glyphs());
        let mark = if over { span(ctx.glyphs().completed, Role::Ok) } else { span(label.mark, label.role) };
        let plain = if over || problem.muted.is_some() { Role::Quiet } else { Role::Plain };
        Row {
            mark,
            cells: ProblemColumn::cells(|column| match column {
                // The column beside it says how many are at risk.
                ProblemColumn::Problem => span(without_risk(&headline(&ctx.snapshot, problem)), plain),
                ProblemColumn::Began => span(ctx.clocks.second(problem.since, ctx.now), plain),
                ProblemColumn::Age => span(canvas.coarse_age(problem.since), plain),
                ProblemColumn::Impact => span(self.impact_words(&ctx.snapshot, key, problem), plain),
                ProblemColumn::Owner => owner(problem),
                ProblemColumn::State => span(problem.state(), plain),
                ProblemColumn::Id => span(format!("p-{}", problem.number), Role::Quiet),
            }),
            marked: false,
        }
    }
}

/// The operator who took it.
fn owner(problem: &Problem) -> Span {
    match &problem.taken {
        Some(taken) => span(taken.by.line().into_string(), Role::Plain),
        None => span("–", Role::Quiet),
    }
}
