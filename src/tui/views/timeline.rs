//! The timeline of a job: its attempts, each state with its time and the time since the one before, and the gaps in
//! which nothing is known.

use std::collections::BTreeSet;

use crate::domain::fact::AttemptFact;
use crate::domain::id::{AttemptId, AttemptKey, JobKey};
use crate::domain::job::detail::Line;
use crate::domain::job::{self, Attempt, Job};
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::followed_job::FollowedJob;
use crate::tui::theme::Role;
use crate::tui::views::{delegated, facts};
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::{format, states};

/// One line of the timeline.
#[derive(Clone, Debug)]
pub struct TimelineLine {
    /// The frame of its attempt: `╭─`, `│`, `╰─`.
    pub frame: &'static str,
    /// When it happened; `None` for the present state.
    pub at: Option<At>,
    /// The description of the event.
    pub words: Vec<Span>,
    /// The attempt that begins at this line.
    pub begins: Option<AttemptId>,
    /// The job that `enter` opens.
    pub leads: Option<JobKey>,
}

/// The timeline of a job. Of `folded` attempts only the first line is shown.
pub fn lines(
    canvas: &Canvas<'_>,
    ctx: &Context,
    job: &Job,
    followed: &FollowedJob,
    children: &[JobKey],
    folded: &BTreeSet<AttemptId>,
) -> Vec<TimelineLine> {
    let glyphs = ctx.glyphs();
    let mut lines: Vec<TimelineLine> = Vec::new();
    let began = |key: &JobKey| {
        let child = ctx.snapshot.jobs.get(*key)?;
        Some((child.span(|attempt| ctx.snapshot.attempts.get(attempt)).0, *key))
    };
    let mut handed_on: Vec<(At, JobKey)> = children.iter().filter_map(began).collect();
    handed_on.sort_unstable();
    let mut handed_on = handed_on.into_iter().peekable();
    let mut current: Option<AttemptId> = None;
    for line in &followed.detail.timeline {
        let of = line.fact.of_attempt().map(|(attempt, _)| attempt);
        let row = of.and_then(|of| find(ctx, job, of));
        let at = happened(line, row);
        while let Some((at, child)) = handed_on.next_if(|(at, _)| *at <= line.at) {
            if current.is_none_or(|of| !folded.contains(&of)) {
                push_child(ctx, &mut lines, at, child);
            }
        }
        if let Some((attempt, AttemptFact::Planned { .. })) = line.fact.of_attempt() {
            current = Some(attempt);
            lines.push(head(canvas, ctx, job, attempt, at, folded.contains(&attempt)));
            continue;
        }
        if of.is_some_and(|of| folded.contains(&of)) {
            continue;
        }
        let Some(mut words) = words(line, glyphs) else { continue };
        // Attempts that run beside each other take turns.
        if let Some(other) = of.filter(|_| of != current).and_then(|of| find(ctx, job, of)) {
            words.insert(0, span(format!("attempt {}: ", other.number), Role::Quiet));
        }
        if let Some(unseen) = row.and_then(Attempt::ended_unseen).filter(|_| is_end(line)) {
            let after = ctx.clocks.second(unseen.after, ctx.now);
            words.push(span(format!("  after {after}, nobody saw when"), Role::Doubt));
        }
        lines.push(TimelineLine {
            frame: if of.is_some() { glyphs.inside } else { "" },
            at: Some(at),
            words,
            begins: None,
            leads: None,
        });
    }
    for (at, child) in handed_on {
        if current.is_none_or(|of| !folded.contains(&of)) {
            push_child(ctx, &mut lines, at, child);
        }
    }
    // What was learnt later than it happened stands where it happened.
    lines.sort_by_key(|line| line.at);
    close(canvas, ctx, job, &mut lines, folded);
    if followed.detail.timeline_cut > 0 {
        let text = format!(
            "{} lines in the middle are left out",
            format::count(followed.detail.timeline_cut as usize)
        );
        let at = lines.len().min(128);
        lines.insert(
            at,
            TimelineLine {
                frame: glyphs.inside,
                at: None,
                words: vec![span(text, Role::Doubt)],
                begins: None,
                leads: None,
            },
        );
    }
    lines
}

/// When the event of a line happened: what was learnt afterwards has the time that its agent gives, if it gives one.
pub fn happened(line: &Line, attempt: Option<&Attempt>) -> At {
    let (Some(attempt), Some((_, fact))) = (attempt, line.fact.of_attempt()) else { return line.at };
    let by_agent = match fact {
        AttemptFact::Planned { .. } => Some(attempt.began()),
        AttemptFact::GapOpened { since, .. } => Some(*since),
        AttemptFact::TaskSeen { peer_time, .. } | AttemptFact::StateSeen { peer_time, .. }
            if attempt.message_id.is_none() =>
        {
            job::by_agent(*peer_time)
        }
        AttemptFact::StateSeen { .. } if is_end(line) => attempt.ended(),
        _ => None,
    };
    by_agent.map_or(line.at, |at| at.min(line.at))
}

/// True if the task ended with this line.
fn is_end(line: &Line) -> bool {
    let fact = line.fact.of_attempt().map(|(_, fact)| fact);
    matches!(fact, Some(AttemptFact::StateSeen { state, .. }) if state.is_terminal())
}

fn words(line: &Line, glyphs: &'static crate::tui::theme::Glyphs) -> Option<Vec<Span>> {
    facts::of_job(line, glyphs)
}

/// The attempts of a job as rows, oldest first.
pub fn attempts<'s>(ctx: &'s Context, job: &'s Job) -> impl Iterator<Item = (AttemptKey, &'s Attempt)> {
    job.attempts.iter().filter_map(|key| Some((*key, ctx.snapshot.attempts.get(*key)?)))
}

fn find<'s>(ctx: &'s Context, job: &'s Job, id: AttemptId) -> Option<&'s Attempt> {
    attempts(ctx, job).map(|(_, attempt)| attempt).find(|attempt| attempt.id == id)
}

fn head(canvas: &Canvas<'_>, ctx: &Context, job: &Job, id: AttemptId, at: At, folded: bool) -> TimelineLine {
    let glyphs = ctx.glyphs();
    let mut words = Vec::new();
    if let Some(attempt) = find(ctx, job, id) {
        let agent = ctx.snapshot.agents.get(attempt.agent);
        let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
        words.push(span(format!("attempt {}   ", attempt.number), Role::Plain));
        words.push(span(name, Role::Title));
        if let Some(task) = &attempt.task {
            words.push(span(format!("   task {}", task.id.short()), Role::Quiet));
        }
        let label = states::attempt(attempt, glyphs);
        let took = so_far(canvas, attempt);
        words.push(span(format!("   {} {}{took}", label.mark, label.word), label.role));
        if let Some(part) = part_in_race(job, attempt) {
            words.push(span(format!("   {part}"), Role::Quiet));
        }
    }
    if folded {
        words.push(span(format!("  {}", glyphs.ellipsis), Role::Quiet));
    }
    let frame = if folded { glyphs.folded } else { glyphs.begin };
    TimelineLine { frame, at: Some(at), words, begins: Some(id), leads: None }
}

/// What an attempt is among those that run beside each other; `None` if there never were several.
fn part_in_race(job: &Job, attempt: &Attempt) -> Option<String> {
    let won = job.race().is_some_and(|race| race.won == Some(attempt.number));
    let why = job.raced(attempt.number).map(ToString::to_string);
    match (won, why) {
        (true, Some(why)) => Some(format!("won, {why}")),
        (true, None) => Some("won".to_owned()),
        (false, why) => why,
    }
}

/// How long an attempt took; `None` before its end, if it had ended when it was found, or if nobody knows when it did.
pub fn took(attempt: &Attempt) -> Option<String> {
    if attempt.ended_unseen().is_some() {
        return None;
    }
    let end = attempt.ended().filter(|end| *end > attempt.began())?;
    Some(precise(end.since(attempt.began())))
}

/// ` in 6.2s` once an attempt has ended, ` 1m46s` before; nothing if it had ended when it was found.
pub fn so_far(canvas: &Canvas<'_>, attempt: &Attempt) -> String {
    match attempt.ended() {
        Some(_) => took(attempt).map(|took| format!(" in {took}")).unwrap_or_default(),
        None => format!(" {}", canvas.age(attempt.began())),
    }
}

/// `6.2s`, `340ms`, `1m46s`
pub fn precise(time: std::time::Duration) -> String {
    format::step(time).trim_start_matches('+').to_owned()
}

fn push_child(ctx: &Context, lines: &mut Vec<TimelineLine>, at: At, child: JobKey) {
    let glyphs = ctx.glyphs();
    let Some(job) = ctx.snapshot.jobs.get(child) else { return };
    let Some((_, attempt)) = attempts(ctx, job).last() else { return };
    let agent = ctx.snapshot.agents.get(attempt.agent);
    let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
    let label = states::attempt(attempt, glyphs);
    let task = attempt.task.as_ref().map(|task| format!(", task {}", task.id.short())).unwrap_or_default();
    let words = vec![
        span(format!("{} delegated to {name}{task}  ", glyphs.child), Role::Plain),
        span(format!("{} {}", label.mark, label.word), label.role),
        span(delegated::mark(attempt), Role::Warn),
    ];
    lines.push(TimelineLine { frame: glyphs.inside, at: Some(at), words, begins: None, leads: Some(child) });
}

/// Closes the frame of each attempt at its last line; a live attempt gets a line with its present state.
fn close(
    canvas: &Canvas<'_>,
    ctx: &Context,
    job: &Job,
    lines: &mut Vec<TimelineLine>,
    folded: &BTreeSet<AttemptId>,
) {
    let glyphs = ctx.glyphs();
    if let Some((_, attempt)) = attempts(ctx, job).last()
        && attempt.is_live()
        && !folded.contains(&attempt.id)
    {
        lines.push(TimelineLine {
            frame: glyphs.inside,
            at: None,
            words: now(canvas, ctx, attempt),
            begins: None,
            leads: None,
        });
    }
    for index in 0..lines.len() {
        // Lines about the job may stand between those of its attempt.
        let mut rest = lines[index + 1..].iter().take_while(|next| next.begins.is_none());
        let is_last = !rest.any(|next| next.frame == glyphs.inside);
        if lines[index].frame == glyphs.inside && is_last {
            lines[index].frame = glyphs.end;
        }
    }
}

fn now(canvas: &Canvas<'_>, ctx: &Context, attempt: &Attempt) -> Vec<Span> {
    let label = states::attempt(attempt, ctx.glyphs());
    let Some(task) = &attempt.task else {
        return vec![span(format!("now  {} {}", label.mark, label.word), label.role)];
    };
    let mut words = vec![span(format!("now  {} {}", label.mark, label.word), label.role)];
    if let Some(gap) = task.gap_since() {
        let text = format!("  {0}{0}{0} no updates for {1}", ctx.glyphs().gap, canvas.age(gap));
        words.push(span(text, Role::Doubt));
    } else if !attempt.needs_you() {
        words.push(span(format!("  last activity {} ago", canvas.age(task.last_activity)), Role::Quiet));
    }
    words
}

/// The time column of a line: the full clock at the first line and when the minute changes, else seconds.
pub fn clock(ctx: &Context, line: &TimelineLine, previous: Option<At>) -> String {
    let Some(at) = line.at else { return String::new() };
    let minute = |at: At| at.micros().div_euclid(60_000_000);
    match previous {
        Some(previous) if minute(previous) == minute(at) => format!("      {}", ctx.clocks.fraction(at)),
        _ => ctx.clocks.precise(at),
    }
}

/// The time since the line above, as both are shown.
pub fn step(line: &TimelineLine, above: Option<At>) -> String {
    match (line.at, above) {
        (Some(at), Some(before)) => format::step(at.since(before)),
        _ => String::new(),
    }
}
