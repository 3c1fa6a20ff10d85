//! The answers that were given lately.

use ratatui::layout::Rect;

use crate::domain::fact::{Act, Fact, FleetFact, JournalEntry};
use crate::domain::id::{AgentId, AgentKey, AttemptId, AttemptKey};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, span};

/// The most answers that are shown.
pub const SHOWN: usize = 8;
/// The newest attempts among which that of an answer is searched.
const SEARCHED: usize = 2000;

/// An answer that was given.
#[derive(Clone, Debug)]
pub struct GivenAnswer {
    at: At,
    by: Untrusted,
    attempt: (AttemptId, Option<AttemptKey>),
    agent: (AgentId, Option<AgentKey>),
}

/// The last answers among facts of the fleet, newest first, with the rows that they are about.
pub fn answers(facts: &[JournalEntry], snapshot: &Snapshot) -> Vec<GivenAnswer> {
    let given = facts.iter().rev().filter_map(|entry| match &entry.fact {
        Fact::Fleet(FleetFact::Acted { act: Act::Answer, attempt: (_, attempt), agent }) => {
            Some((entry, *attempt, *agent))
        }
        _ => None,
    });
    let answer = |(entry, attempt, agent): (&JournalEntry, AttemptId, AgentId)| {
        let mut newest = snapshot.attempts.iter().rev().take(SEARCHED);
        GivenAnswer {
            at: entry.at,
            by: entry.actor_name().clone(),
            attempt: (attempt, newest.find(|(_, row)| row.id == attempt).map(|(key, _)| key)),
            agent: (agent, snapshot.agents.iter().find(|(_, row)| row.id == agent).map(|(key, _)| key)),
        }
    };
    given.take(SHOWN).map(answer).collect()
}

/// Draws them: when, how the task is now, whose it is, by whom, and the job.
pub fn draw(canvas: &mut Canvas<'_>, pane: Rect, answers: &[GivenAnswer], ctx: &Context) {
    let snapshot = &ctx.snapshot;
    for (y, answer) in (pane.y..pane.bottom()).zip(answers) {
        let (id, key) = answer.attempt;
        let row = key.and_then(|key| snapshot.attempts.get(key)).filter(|row| row.id == id);
        let label = row.map(|row| states::attempt(row, ctx.glyphs()));
        let job = row.and_then(|row| snapshot.job_of(row)).map(|job| job.title.line().into_string());
        let (id, key) = answer.agent;
        let agent = key.and_then(|key| snapshot.agents.get(key)).filter(|row| row.id == id);
        let name =
            agent.map_or_else(|| "an agent that was removed".to_owned(), |agent| agent.name.line().fit(24));
        let mut line = vec![span(format!("{}  ", ctx.clocks.second(answer.at, ctx.now)), Role::Quiet)];
        line.push(match &label {
            Some(label) => span(format!("{} {:<18}", label.mark, label.word), label.role),
            None => span(format!("{:<20}", "no longer kept"), Role::Doubt),
        });
        line.push(span(format!("{name:<16}"), Role::Plain));
        line.push(span(format!("answered by {}  ", answer.by.line()), Role::Plain));
        line.push(span(job.unwrap_or_default(), Role::Quiet));
        canvas.put_spans(pane.x + 1, y, &line, pane.width.saturating_sub(2));
    }
}
