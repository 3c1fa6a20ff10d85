//! Where the time of a job went: each attempt as a bar, with gaps where nothing is known.

use std::collections::BTreeMap;
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::fact::AttemptFact;
use crate::domain::id::{AttemptId, JobKey};
use crate::domain::job::Job;
use crate::domain::metrics::percentages;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::followed_job::FollowedJob;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::views::timeline::{attempts, precise};
use crate::tui::widgets::canvas::{Canvas, Span, span};

/// The holder of a time span.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Holder {
    /// The agent.
    Agent,
    /// Unknown.
    Nobody,
    /// An operator.
    You,
}

/// A stretch of an attempt's time.
#[derive(Clone, Copy, Debug)]
struct Period {
    from: At,
    until: At,
    holder: Holder,
}

/// The stretches of an attempt, without holes.
fn periods(followed: &FollowedJob, attempt: AttemptId, begun: At, end: At) -> Vec<Period> {
    let mut all = Vec::new();
    let (mut from, mut asks, mut gap) = (begun, false, false);
    let holder = |asks: bool, gap: bool| match (gap, asks) {
        (true, _) => Holder::Nobody,
        (false, true) => Holder::You,
        (false, false) => Holder::Agent,
    };
    for line in &followed.detail.timeline {
        let Some((_, fact)) = line.fact.of_attempt().filter(|(of, _)| *of == attempt) else { continue };
        let (now_asks, now_gap) = match fact {
            AttemptFact::TaskSeen { state, .. } | AttemptFact::StateSeen { state, .. } => {
                (state.is_interrupted(), gap)
            }
            AttemptFact::AnswerMoved { .. } => (false, gap),
            AttemptFact::GapOpened { .. } => (asks, true),
            AttemptFact::GapClosed { .. } => (asks, false),
            _ => continue,
        };
        // A gap is noticed after it began.
        let at = if let AttemptFact::GapOpened { since, .. } = fact { *since } else { line.at };
        if (now_asks, now_gap) != (asks, gap) {
            let at = at.max(from).min(end);
            all.push(Period { from, until: at, holder: holder(asks, gap) });
            (from, asks, gap) = (at, now_asks, now_gap);
        }
    }
    all.push(Period { from, until: end.max(from), holder: holder(asks, gap) });
    all
}

/// One bar.
struct Bar {
    label: String,
    took: String,
    periods: Vec<Period>,
    end: Option<Span>,
    delegated: bool,
}

fn bars(ctx: &Context, job: &Job, followed: &FollowedJob, children: &[JobKey]) -> Vec<Bar> {
    let glyphs = ctx.glyphs();
    let name = |key| {
        let agent = ctx.snapshot.agents.get(key);
        agent.map(|agent| agent.name.line().into_string()).unwrap_or_default()
    };
    let mut all = Vec::new();
    for (_, attempt) in attempts(ctx, job) {
        let end = attempt.ended();
        let label = states::attempt(attempt, glyphs);
        let until = end.unwrap_or(ctx.now);
        all.push(Bar {
            label: format!("{} {}", attempt.number, name(attempt.agent)),
            took: precise(until.since(attempt.began())),
            periods: periods(followed, attempt.id, attempt.began(), until),
            end: Some(if end.is_some() {
                span(label.mark, label.role)
            } else {
                span(glyphs.working, label.role)
            }),
            delegated: false,
        });
    }
    for child in children {
        let Some(child) = ctx.snapshot.jobs.get(*child) else { continue };
        let Some((_, attempt)) = attempts(ctx, child).last() else { continue };
        let end = attempt.ended();
        let label = states::attempt(attempt, glyphs);
        let until = end.unwrap_or(ctx.now);
        all.push(Bar {
            label: format!("  {}", name(attempt.agent)),
            took: precise(until.since(attempt.began())),
            periods: vec![Period { from: attempt.began(), until, holder: Holder::Agent }],
            end: Some(if end.is_some() {
                span(label.mark, label.role)
            } else {
                span(glyphs.working, label.role)
            }),
            delegated: true,
        });
    }
    all
}

/// How many lines the strip takes, its rule not counted.
pub fn lines(ctx: &Context, job: &Job, children: &[JobKey]) -> u16 {
    let delegated = children.iter().filter(|key| ctx.snapshot.jobs.get(**key).is_some()).count();
    u16::try_from((job.attempts.len() + delegated).clamp(1, 6)).unwrap_or(6)
}

/// The share of the time per holder, largest first.
pub fn shares(ctx: &Context, job: &Job, followed: &FollowedJob) -> Vec<Span> {
    let mut holder: BTreeMap<(u8, String), Duration> = BTreeMap::new();
    let mut all = Duration::ZERO;
    for (_, attempt) in attempts(ctx, job) {
        let agent = ctx.snapshot.agents.get(attempt.agent);
        let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
        let end = attempt.ended().unwrap_or(ctx.now);
        for period in periods(followed, attempt.id, attempt.began(), end) {
            let took = period.until.since(period.from);
            all += took;
            let who = match period.holder {
                Holder::Agent => (0, name.clone()),
                Holder::Nobody => (1, "unknown".to_owned()),
                Holder::You => (2, "a person".to_owned()),
            };
            *holder.entry(who).or_default() += took;
        }
    }
    let mut holder: Vec<_> = holder.into_iter().filter(|(_, took)| !took.is_zero()).collect();
    holder.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    let mut line = Vec::new();
    let shares: Vec<u128> = holder.iter().map(|(_, took)| took.as_millis()).collect();
    for (((kind, name), _), percent) in holder.into_iter().zip(percentages(&shares)) {
        if !line.is_empty() {
            line.push(span(" · ", Role::Quiet));
        }
        let role = [Role::Plain, Role::Doubt, Role::You][usize::from(kind).min(2)];
        line.push(span(format!("{name} {percent} %"), role));
    }
    line
}

/// Draws the bars.
pub fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    ctx: &Context,
    job: &Job,
    followed: &FollowedJob,
    children: &[JobKey],
) {
    let bars = bars(ctx, job, followed, children);
    let end = bars.iter().flat_map(|bar| &bar.periods).map(|period| period.until).max();
    let (Some(end), true) = (end, area.width > 40) else { return };
    // A task that was found had begun before.
    let begins = bars.iter().flat_map(|bar| &bar.periods).map(|period| period.from);
    let begun = begins.fold(job.created, At::min);
    let whole = u128::from(u64::try_from(end.since(begun).as_micros()).unwrap_or(u64::MAX)).max(1);
    let (label, took) = (16, 8);
    let room = area.width - label - took - 1;
    let column = |at: At| -> u16 {
        let part = at.since(begun).as_micros() * u128::from(room.saturating_sub(1)) / whole;
        u16::try_from(part).unwrap_or(room).min(room.saturating_sub(1))
    };
    if bars.iter().any(|bar| bar.end.as_ref().is_some_and(|mark| mark.text == ctx.glyphs().working)) {
        // A running bar is redrawn each second.
        let _ticks = canvas.age(begun);
    }
    for (line, bar) in bars.iter().take(usize::from(area.height)).enumerate() {
        let y = area.y + u16::try_from(line).unwrap_or(0);
        canvas.put(area.x, y, &bar.label, if bar.delegated { Role::Quiet } else { Role::Plain }, label - 1);
        let left = area.x + label;
        for period in &bar.periods {
            let glyphs = ctx.glyphs();
            let (mark, role) = match period.holder {
                Holder::Agent if bar.delegated => (glyphs.beside, Role::Plain),
                Holder::Agent => (glyphs.bar, Role::Plain),
                Holder::Nobody => (glyphs.gap, Role::Doubt),
                Holder::You => (glyphs.beside, Role::You),
            };
            for x in column(period.from)..=column(period.until) {
                canvas.put(left + x, y, mark, role, 1);
            }
        }
        if let (Some(mark), Some(last)) = (&bar.end, bar.periods.last()) {
            canvas.put(left + column(last.until), y, &mark.text, mark.role, 1);
        }
        canvas.put_right(area.right(), y, &bar.took, Role::Plain, took);
    }
}
