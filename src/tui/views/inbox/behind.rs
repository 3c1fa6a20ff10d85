//! The tasks that cannot end before a question is answered, or that share its context, as far as is known from facts.

use ratatui::layout::Rect;

use crate::domain::id::AttemptKey;
use crate::domain::job::Attempt;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::context::Context;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, span};

/// The most tasks that are shown.
pub const SHOWN: usize = 4;

/// Why a task is named behind a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// It delegated the task that asks, or one that delegated it.
    Delegated,
    /// It is a live task of the same context.
    SameContext,
}

/// Live tasks behind an attempt: first who delegated it, up to the first of them, then those of its context. Only live
/// tasks are searched, so that the size of the history costs nothing.
pub fn behind(snapshot: &Snapshot, key: AttemptKey) -> Vec<(AttemptKey, Relation)> {
    let Some(asking) = snapshot.attempts.get(key) else { return Vec::new() };
    let live = || {
        let keys = snapshot.agents.iter().flat_map(|(agent, _)| snapshot.attention.of(agent));
        let rows = keys.filter_map(|key| Some((key, snapshot.attempts.get(key)?)));
        rows.filter(|(_, attempt)| attempt.is_live() && attempt.task.is_some())
    };
    let parent_of = |attempt: &Attempt| {
        let parent = snapshot.job_of(attempt)?.parent.as_ref()?;
        live().find(|(_, row)| row.task.as_ref().is_some_and(|task| task.id == *parent))
    };
    let mut found: Vec<(AttemptKey, Relation)> = Vec::new();
    let mut below = asking;
    while let Some((key_of, parent)) = parent_of(below).filter(|_| found.len() < SHOWN) {
        // Agents name parents as they like, also in a circle.
        if key_of == key || found.iter().any(|(known, _)| *known == key_of) {
            break;
        }
        found.push((key_of, Relation::Delegated));
        below = parent;
    }
    let context = asking.task.as_ref().and_then(|task| task.context.as_ref());
    if context.is_some() {
        let same =
            |attempt: &Attempt| attempt.task.as_ref().and_then(|task| task.context.as_ref()) == context;
        let others =
            live().filter(|(other, attempt)| attempt.job != asking.job && *other != key && same(attempt));
        for (other, _) in others.take(SHOWN) {
            if !found.iter().any(|(known, _)| *known == other) {
                found.push((other, Relation::SameContext));
            }
        }
    }
    found.truncate(SHOWN);
    found
}

/// Draws them: state, agent, job, and why it is named.
pub fn draw(canvas: &mut Canvas<'_>, pane: Rect, rows: &[(AttemptKey, Relation)], ctx: &Context) {
    let snapshot = &ctx.snapshot;
    for (y, (key, relation)) in (pane.y..pane.bottom()).zip(rows) {
        let Some(attempt) = snapshot.attempts.get(*key) else { continue };
        let label = states::attempt(attempt, ctx.glyphs());
        let name =
            snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().fit(24)).unwrap_or_default();
        let job = snapshot.job_of(attempt).map(|job| job.title.line().into_string()).unwrap_or_default();
        let why = match relation {
            Relation::Delegated => format!("delegated it, {}", canvas.age(attempt.began())),
            Relation::SameContext => format!("same context, {}", canvas.age(attempt.began())),
        };
        let line = [
            span(format!("{} {:<18}", label.mark, label.word), label.role),
            span(format!("{name:<16}"), Role::Plain),
            span(format!("{why:<22}"), Role::Plain),
            span(job, Role::Quiet),
        ];
        canvas.put_spans(pane.x + 1, y, &line, pane.width.saturating_sub(2));
    }
}
