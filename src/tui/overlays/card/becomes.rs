//! What becomes of each task that the tasks of a card delegated.

use crate::domain::id::AttemptKey;
use crate::domain::job::Attempt;
use crate::domain::job::task::CancelMark;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::again::Again;
use crate::tui::context::Context;
use crate::tui::overlays::card::{About, Card};
use crate::tui::theme::Role;

/// Lines of a card that are not about what was delegated.
const OTHER_LINES: usize = 14;
/// Delegated tasks that are listed, at most.
const LISTED: usize = 12;

/// What becomes of a delegated task, those that a person has to know about first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Becomes {
    CannotBeAsked,
    RefusedBefore,
    AgentIsAway,
    IsAsked,
    IsCanceled,
    GoesOn,
    HasEnded,
}

impl Becomes {
    fn of(snapshot: &Snapshot, row: &Attempt, cascade: bool) -> Self {
        let mark = row.task.as_ref().and_then(|task| task.cancel);
        let agent = snapshot.agents.get(row.agent);
        match mark {
            _ if !row.is_live() => Self::HasEnded,
            Some(CancelMark::Asked | CancelMark::Agreed) => Self::IsAsked,
            _ if !cascade => Self::GoesOn,
            _ if agent.is_none_or(|agent| agent.interface.is_none()) => Self::CannotBeAsked,
            Some(CancelMark::Refused) => Self::RefusedBefore,
            _ if agent.is_some_and(|agent| row.is_cut_off(agent.health)) => Self::AgentIsAway,
            _ => Self::IsCanceled,
        }
    }

    /// As part of a sum.
    fn sum(self) -> &'static str {
        match self {
            Self::CannotBeAsked => "cannot be canceled",
            Self::RefusedBefore => "refused before",
            Self::AgentIsAway => "once the agent is back",
            Self::IsAsked => "being canceled",
            Self::IsCanceled => "to be canceled",
            Self::GoesOn => "left alone",
            Self::HasEnded => "ended",
        }
    }

    fn words(self) -> (&'static str, Role) {
        match self {
            Self::CannotBeAsked => ("its agent cannot cancel", Role::Warn),
            Self::RefusedBefore => ("refused to cancel, is asked again", Role::Warn),
            Self::AgentIsAway => ("will be canceled once its agent is back", Role::Warn),
            Self::IsAsked => ("is being canceled already", Role::Quiet),
            Self::IsCanceled => ("will be canceled", Role::Plain),
            Self::GoesOn => ("goes on", Role::Plain),
            Self::HasEnded => ("already ended", Role::Quiet),
        }
    }
}

impl Card {
    /// The tasks that its tasks delegated, without doubles.
    fn all_delegated(&self) -> Vec<AttemptKey> {
        let mut all: Vec<AttemptKey> = self.with.values().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Those that are alive.
    pub(super) fn live_delegated(&self, snapshot: &Snapshot) -> Vec<AttemptKey> {
        let live = |key: &AttemptKey| snapshot.attempts.get(*key).is_some_and(Attempt::is_live);
        self.all_delegated().into_iter().filter(live).collect()
    }

    /// What becomes of each task that was delegated: a sum, then as many as fit, each with how long its line is kept.
    pub(super) fn delegated_lines(
        &self,
        ctx: &Context,
        width: usize,
        room: usize,
    ) -> Vec<(u8, String, Role)> {
        let cascade = match self.about {
            About::Cancel => self.cascade,
            About::Orphans | About::Again(Again::Live) => true,
            About::Again(_) | About::Requeue | About::Answer(_) | About::Quit => return Vec::new(),
        };
        let snapshot = &ctx.latest;
        let rows = self.all_delegated().into_iter().filter_map(|key| snapshot.attempts.get(key));
        let mut rows: Vec<(Becomes, &Attempt)> =
            rows.map(|row| (Becomes::of(snapshot, row, cascade), row)).collect();
        rows.sort_by_key(|(becomes, _)| *becomes);
        let mut counts: Vec<(Becomes, usize)> = Vec::new();
        for (becomes, _) in &rows {
            match counts.last_mut() {
                Some((last, count)) if last == becomes => *count += 1,
                _ => counts.push((*becomes, 1)),
            }
        }
        let counts: Vec<String> =
            counts.into_iter().map(|(becomes, count)| format!("{count} {}", becomes.sum())).collect();
        if counts.is_empty() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let sum = format!("delegated: {}", counts.join(", "));
        let wrapped = crate::tui::widgets::text::wrap(&sum, width);
        lines.extend(wrapped.into_iter().map(|line| (6, line, Role::Plain)));
        let most = room.saturating_sub(OTHER_LINES).min(LISTED);
        lines.extend(rows.into_iter().take(most).map(|(becomes, row)| {
            let (words, role) = becomes.words();
            let agent = snapshot.agents.get(row.agent).map(|agent| agent.name.line().into_string());
            let id = row.task.as_ref().map(|task| task.id.short()).unwrap_or_default();
            let agent = agent.unwrap_or_default();
            let state = row.task.as_ref().map(|task| task.state.word()).unwrap_or_default();
            let cell = |text: &str, width: usize| {
                let text = crate::domain::text::Untrusted::from(text).line().fit(width);
                let missing = width.saturating_sub(unicode_width::UnicodeWidthStr::width(text.as_str()));
                text + &" ".repeat(missing)
            };
            let line = if width < 60 {
                format!("  {} {} {words}", cell(&agent, 10), cell(&id, 4))
            } else {
                format!("  {} {} {} {words}", cell(&agent, 14), cell(&id, 4), cell(&state, 12))
            };
            (4, line, role)
        }));
        lines
    }
}
