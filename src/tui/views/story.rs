//! A job's story: who asked, each attempt, each state with its time and the time since the last, gaps in
//! their place.

use std::collections::BTreeSet;

use super::facts;
use crate::domain::fact::AttemptFact;
use crate::domain::id::{AttemptId, AttemptKey, JobKey};
use crate::domain::job::detail::Line;
use crate::domain::job::{Attempt, Job};
use crate::domain::time::At;
use crate::tui::format;
use crate::tui::model::{Shared, Story};
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, span};

/// One line of the story as it is shown.
#[derive(Clone, Debug)]
pub struct Told {
    /// The frame of its attempt: `╭─`, `│`, `╰─`.
    pub frame: &'static str,
    /// When; none: nothing happened, it is so.
    pub at: Option<At>,
    /// The line before it.
    pub before: Option<At>,
    /// What.
    pub words: Vec<Span>,
    /// The attempt whose first line it is.
    pub begins: Option<AttemptId>,
    /// Where `enter` goes.
    pub leads: Option<JobKey>,
}

/// The story of a job. `folded` attempts show their first line alone.
pub fn tell(
    canvas: &Canvas<'_>,
    shared: &Shared,
    job: &Job,
    story: &Story,
    children: &[JobKey],
    folded: &BTreeSet<AttemptId>,
) -> Vec<Told> {
    let glyphs = shared.glyphs();
    let mut lines: Vec<Told> = Vec::new();
    let mut handed_on: Vec<(At, JobKey)> =
        children.iter().filter_map(|key| Some((shared.snapshot.jobs.get(*key)?.created, *key))).collect();
    handed_on.sort_unstable();
    let mut handed_on = handed_on.into_iter().peekable();
    let mut current: Option<AttemptId> = None;
    let mut before: Option<At> = None;
    for line in &story.detail.story {
        while let Some((at, child)) = handed_on.next_if(|(at, _)| *at <= line.at) {
            if current.is_none_or(|of| !folded.contains(&of)) {
                push_child(shared, &mut lines, &mut before, at, child);
            }
        }
        let of = line.fact.of_attempt().map(|(attempt, _)| attempt);
        if let Some((attempt, AttemptFact::Planned { .. })) = line.fact.of_attempt() {
            current = Some(attempt);
            lines.push(head(canvas, shared, job, attempt, line.at, folded.contains(&attempt)));
            before = Some(line.at);
            continue;
        }
        if of.is_some_and(|of| folded.contains(&of)) {
            continue;
        }
        let Some(words) = words(line, glyphs) else { continue };
        lines.push(Told {
            frame: if of.is_some() { glyphs.inside } else { "" },
            at: Some(line.at),
            before,
            words,
            begins: None,
            leads: None,
        });
        before = Some(line.until);
    }
    for (at, child) in handed_on {
        if current.is_none_or(|of| !folded.contains(&of)) {
            push_child(shared, &mut lines, &mut before, at, child);
        }
    }
    close(canvas, shared, job, &mut lines, folded, before);
    if story.detail.story_cut > 0 {
        let text =
            format!("{} lines in the middle are left out", format::count(story.detail.story_cut as usize));
        let at = lines.len().min(128);
        lines.insert(
            at,
            Told {
                frame: glyphs.inside,
                at: None,
                before: None,
                words: vec![span(text, Role::Doubt)],
                begins: None,
                leads: None,
            },
        );
    }
    lines
}

fn words(line: &Line, glyphs: &'static crate::tui::theme::Glyphs) -> Option<Vec<Span>> {
    facts::of_job(line, glyphs)
}

/// The attempts of a job as rows, oldest first.
pub fn attempts<'s>(shared: &'s Shared, job: &'s Job) -> impl Iterator<Item = (AttemptKey, &'s Attempt)> {
    job.attempts.iter().filter_map(|key| Some((*key, shared.snapshot.attempts.get(*key)?)))
}

fn find<'s>(shared: &'s Shared, job: &'s Job, id: AttemptId) -> Option<&'s Attempt> {
    attempts(shared, job).map(|(_, attempt)| attempt).find(|attempt| attempt.id == id)
}

/// When an attempt ended, if it has.
pub fn ended(attempt: &Attempt) -> Option<At> {
    if attempt.is_live() {
        return None;
    }
    Some(attempt.task.as_ref().map_or(attempt.phase_since, |task| task.state_since))
}

fn head(canvas: &Canvas<'_>, shared: &Shared, job: &Job, id: AttemptId, at: At, folded: bool) -> Told {
    let glyphs = shared.glyphs();
    let mut words = Vec::new();
    if let Some(attempt) = find(shared, job, id) {
        let agent = shared.snapshot.agents.get(attempt.agent);
        let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
        words.push(span(format!("attempt {}   ", attempt.number), Role::Plain));
        words.push(span(name, Role::Title));
        if let Some(task) = &attempt.task {
            words.push(span(format!("   task {}", task.id.short()), Role::Quiet));
        }
        let told = states::attempt(attempt, glyphs);
        let took = match ended(attempt) {
            Some(end) => format!(" in {}", precise(end.since(attempt.created))),
            None => format!(" {}", canvas.age(attempt.created)),
        };
        words.push(span(format!("   {} {}{took}", told.mark, told.word), told.role));
    }
    if folded {
        words.push(span(format!("  {}", glyphs.ellipsis), Role::Quiet));
    }
    let frame = if folded { glyphs.folded } else { glyphs.begin };
    Told { frame, at: Some(at), before: None, words, begins: Some(id), leads: None }
}

/// `6.2s`, `340ms`, `1m46s`
pub fn precise(time: std::time::Duration) -> String {
    format::step(time).trim_start_matches('+').to_owned()
}

fn push_child(shared: &Shared, lines: &mut Vec<Told>, before: &mut Option<At>, at: At, child: JobKey) {
    let glyphs = shared.glyphs();
    let Some(job) = shared.snapshot.jobs.get(child) else { return };
    let Some((_, attempt)) = attempts(shared, job).last() else { return };
    let agent = shared.snapshot.agents.get(attempt.agent);
    let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
    let told = states::attempt(attempt, glyphs);
    let task = attempt.task.as_ref().map(|task| format!(", task {}", task.id.short())).unwrap_or_default();
    let words = vec![
        span(format!("{} handed on to {name}{task}  ", glyphs.child), Role::Plain),
        span(format!("{} {}", told.mark, told.word), told.role),
    ];
    lines.push(Told {
        frame: glyphs.inside,
        at: Some(at),
        before: *before,
        words,
        begins: None,
        leads: Some(child),
    });
    *before = Some(at);
}

/// The last line of the last attempt closes its frame; of one that lives it says how it stands now.
fn close(
    canvas: &Canvas<'_>,
    shared: &Shared,
    job: &Job,
    lines: &mut Vec<Told>,
    folded: &BTreeSet<AttemptId>,
    before: Option<At>,
) {
    let glyphs = shared.glyphs();
    if let Some((_, attempt)) = attempts(shared, job).last()
        && attempt.is_live()
        && !folded.contains(&attempt.id)
    {
        lines.push(Told {
            frame: glyphs.inside,
            at: None,
            before,
            words: now(canvas, shared, attempt),
            begins: None,
            leads: None,
        });
    }
    // Each attempt's last line closes its frame.
    for index in 0..lines.len() {
        let is_last = lines.get(index + 1).is_none_or(|next| next.begins.is_some() || next.frame.is_empty());
        if lines[index].frame == glyphs.inside && is_last {
            lines[index].frame = glyphs.end;
        }
    }
}

fn now(canvas: &Canvas<'_>, shared: &Shared, attempt: &Attempt) -> Vec<Span> {
    let told = states::attempt(attempt, shared.glyphs());
    let Some(task) = &attempt.task else {
        return vec![span(format!("now  {} {}", told.mark, told.word), told.role)];
    };
    let mut words = vec![span(format!("now  {} {}", told.mark, told.word), told.role)];
    if let Some(gap) = task.gap_since {
        let text =
            format!("  {0}{0}{0} nobody tells us anything for {1}", shared.glyphs().gap, canvas.age(gap));
        words.push(span(text, Role::Doubt));
    } else if !attempt.needs_you() {
        words.push(span(format!("  last sign {} ago", canvas.age(task.last_sign)), Role::Quiet));
    }
    words
}

/// The time column of a line: the full clock at the first line and when the minute changes, else seconds.
pub fn clock(shared: &Shared, told: &Told, previous: Option<At>) -> String {
    let Some(at) = told.at else { return String::new() };
    let minute = |at: At| at.micros().div_euclid(60_000_000);
    match previous {
        Some(previous) if minute(previous) == minute(at) => format!("      {}", shared.clocks.fraction(at)),
        _ => shared.clocks.precise(at),
    }
}

/// The time since the line before.
pub fn step(told: &Told) -> String {
    match (told.at, told.before) {
        (Some(at), Some(before)) => format::step(at.since(before)),
        _ => String::new(),
    }
}
