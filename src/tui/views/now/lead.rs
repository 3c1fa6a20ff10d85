//! The pane on causes: changes before a problem began, and what the failed tasks have in common.

use std::collections::BTreeMap;

use crate::domain::fact::JournalEntry;
use crate::domain::fleet::changes::{Change, ChangeKind, changes, fold};
use crate::domain::id::AttemptKey;
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Phase};
use crate::domain::metrics::{Block, Dimension, DimensionValue, Series};
use crate::domain::problem::Problem;
use crate::domain::problem::shared_attributes::{Case, Comparison};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::format;
use crate::tui::metrics::Group;
use crate::tui::views::now::fields::FieldCache;

/// Changes within this time before an event may be related to it.
const BEFORE: std::time::Duration = std::time::Duration::from_secs(2 * 3600);
/// Jobs of each side that are compared, and attempts that are looked at to find them.
const CASES: usize = 400;
const LOOKED_AT: usize = 20_000;
/// The maximum length of attribute values, in characters.
const VALUE: usize = 60;

/// Changes around a problem, or without one those of the window: first those before it, latest first, then those after.
pub fn what_changed(
    ctx: &Context,
    facts: &[JournalEntry],
    problem: Option<&Problem>,
    groups: &[Group],
) -> Vec<Change> {
    // Before a problem, a fixed time counts; without one, the window of all views.
    let window = ctx.window.parts(ctx.now);
    let (began, from, until) = match problem {
        Some(problem) => (problem.since, problem.since - BEFORE, ctx.now),
        None => (ctx.now, window.from.begins(), window.until.begins()),
    };
    let mut all = changes(&ctx.snapshot, facts, from, until);
    // The agent's own failure is the problem itself, not a change before it.
    all.retain(|change| {
        let itself = problem.is_some_and(|problem| problem.agent.is_some() && problem.agent == change.agent);
        !(itself && change.kind == ChangeKind::Health && change.at == began)
    });
    // What came before the problem is not put together with what followed.
    let (after, before) = all.into_iter().partition(|change| change.at > began);
    let mut all = [fold(before), fold(after)].concat();
    all.extend(traffic(ctx, groups));
    all.sort_by_key(|change| {
        let after = change.at > began;
        let far = if after { change.at.since(began) } else { began.since(change.at) };
        (after, far)
    });
    all
}

/// Skills or callers whose traffic doubled or stopped.
fn traffic(ctx: &Context, groups: &[Group]) -> Vec<Change> {
    let parts = ctx.window.parts(ctx.now);
    let mut all = Vec::new();
    // What was made up says nothing about today.
    if ctx.metrics.previous().is_some_and(Block::is_made_up) {
        return all;
    }
    for group in groups {
        let (now, previous) = (group.total.begun, group.previous.begun);
        let words = match (now, previous) {
            (now, previous) if previous >= 10 && now >= previous * 2 => {
                format!("{}: {} begun, {} {}", group.name, now, previous, ctx.baseline.word())
            }
            (0, previous) if previous >= 10 => {
                format!("{}: nothing begun, {previous} {}", group.name, ctx.baseline.word())
            }
            _ => continue,
        };
        let first = group.parts.iter().position(|part| part.tally.begun > 0).unwrap_or(0);
        let minutes = u32::try_from(first).unwrap_or(0) * parts.step;
        let (at, kind) = (parts.from.after(minutes).begins(), ChangeKind::Traffic);
        all.push(Change::new(at, kind, None, words));
    }
    all
}

/// `12s before`, `3m after`, for what changed around a point in time.
pub fn distance(change: &Change, began: At) -> String {
    let (far, word) = if change.at > began {
        (change.at.since(began), "after")
    } else {
        (began.since(change.at), "before")
    };
    let (text, _) = format::coarse_age(At::ZERO + far, At::ZERO);
    format!("{text} {word}")
}

/// Completed and failed jobs of the window, newest first, of a skill or caller or of all. Those that were refused or lost
/// are neither.
pub fn ended(ctx: &Context, who: Option<(Dimension, &DimensionValue)>) -> Vec<(AttemptKey, bool)> {
    let snapshot = &ctx.snapshot;
    let from = ctx.window.parts(ctx.now).from.begins();
    let (mut failed, mut fine) = (0, 0);
    let mut all = Vec::new();
    for (key, attempt) in snapshot.attempts.iter().rev().take(LOOKED_AT) {
        let Some((at, bad)) = end(attempt) else { continue };
        // The end of a task that had already ended when it was found is unknown.
        if at < from || (attempt.message_id.is_none() && attempt.created == at) {
            continue;
        }
        let count = if bad { &mut failed } else { &mut fine };
        if *count < CASES && who.is_none_or(|(by, who)| is_of(snapshot, attempt, by, who)) {
            *count += 1;
            all.push((key, bad));
        }
    }
    all
}

fn is_of(snapshot: &Snapshot, attempt: &Attempt, by: Dimension, who: &DimensionValue) -> bool {
    let Some(job) = snapshot.job_of(attempt) else { return false };
    let agent = snapshot.agents.get(attempt.agent);
    agent.is_some_and(|agent| by.value_of(&Series::of_job(agent.id, job)) == *who)
}

fn end(attempt: &Attempt) -> Option<(At, bool)> {
    match &attempt.task {
        Some(task) => match task.state {
            TaskState::Completed => Some((task.state_since, false)),
            TaskState::Failed => Some((task.state_since, true)),
            _ => None,
        },
        None => match attempt.phase {
            Phase::Answered => Some((attempt.phase_since, false)),
            _ => None,
        },
    }
}

/// Shared attributes, as far as the messages have been read.
pub fn in_common(snapshot: &Snapshot, ended: &[(AttemptKey, bool)], fields: &FieldCache) -> Comparison {
    let cases: Vec<Case> = ended
        .iter()
        .filter_map(|(key, failed)| {
            let attempt = snapshot.attempts.get(*key)?;
            let job = snapshot.job_of(attempt)?;
            let agent = snapshot.agents.get(attempt.agent)?;
            let card = agent.card.as_ref();
            let mut attributes = Vec::new();
            let mut add = |key: &str, value: Option<&Untrusted>| {
                if let Some(value) = value.filter(|value| !value.is_empty()) {
                    attributes.push((Untrusted::from(key), value.shortened(VALUE)));
                }
            };
            add("agent", Some(&agent.name));
            add("version", card.map(|card| &card.version));
            add("skill", job.skill.as_ref());
            add("caller", job.caller.as_ref());
            for (key, value) in &agent.spec.labels {
                add(key, Some(&Untrusted::from(&**value)));
            }
            let own = fields.of(job.id).into_iter().flatten();
            for (key, value) in own {
                if !attributes.iter().any(|(known, _)| known == key) {
                    attributes.push((key.clone(), value.clone()));
                }
            }
            Some(Case { failed: *failed, attributes })
        })
        .collect();
    Comparison::of(&cases)
}

/// Error texts of failed tasks, most frequent first.
pub fn errors(snapshot: &Snapshot, ended: &[(AttemptKey, bool)]) -> Vec<(String, u32)> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (key, _) in ended.iter().filter(|(_, failed)| *failed) {
        let Some(attempt) = snapshot.attempts.get(*key) else { continue };
        let note = attempt.task.as_ref().and_then(|task| task.note.as_ref());
        let words = match (note, &attempt.cause) {
            (Some(note), _) => note.headline(VALUE).line().into_string(),
            (None, Some(cause)) => Untrusted::from(cause.to_string()).shortened(VALUE).line().into_string(),
            (None, None) => continue,
        };
        *counts.entry(words).or_default() += 1;
    }
    let mut all: Vec<(String, u32)> = counts.into_iter().collect();
    all.sort_by_key(|(words, count)| (std::cmp::Reverse(*count), words.clone()));
    all
}
