//! Where the time of a job went: each attempt as a bar, with gaps where nothing is known.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::layout::Rect;

use crate::domain::fact::AttemptFact;
use crate::domain::id::{AgentKey, JobKey};
use crate::domain::job::{Attempt, Job};
use crate::domain::metrics::percentages;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::followed_job::FollowedJob;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::views::timeline::{attempts, happened, precise};
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

/// Who has a part of a job's time, the one that counts first: while a person is asked, or another agent works on what was
/// delegated, the agent that asked or delegated only waits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Share {
    /// A person was asked.
    Person,
    /// An agent that something was delegated to.
    Delegate(String),
    /// The agent of an attempt.
    Agent(String),
    /// Nobody told us anything.
    Unknown,
    /// No attempt was under way: the job waited in the queue, or for its next attempt.
    Waiting,
}

impl Share {
    fn rank(&self) -> u8 {
        match self {
            Self::Person => 0,
            Self::Delegate(_) => 1,
            Self::Agent(_) => 2,
            Self::Unknown => 3,
            Self::Waiting => 4,
        }
    }

    fn of(holder: Holder, agent: Self) -> Self {
        match holder {
            Holder::Agent => agent,
            Holder::Nobody => Self::Unknown,
            Holder::You => Self::Person,
        }
    }

    fn span(&self, percent: u32) -> Span {
        let (name, role) = match self {
            Self::Person => ("a person", Role::You),
            Self::Delegate(name) | Self::Agent(name) => (name.as_str(), Role::Plain),
            Self::Unknown => ("unknown", Role::Doubt),
            Self::Waiting => ("waiting", Role::Quiet),
        };
        span(format!("{name} {percent} %"), role)
    }
}

/// The parts of a span of time, each moment counted once: those who work beside each other have equal parts of it.
fn divided(from: At, until: At, taken: &[(Share, Period)]) -> BTreeMap<Share, u128> {
    let bounds = taken.iter().flat_map(|(_, period)| [period.from, period.until]);
    let mut bounds: Vec<At> = bounds.filter(|at| *at > from && *at < until).chain([from, until]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let mut parts: BTreeMap<Share, u128> = BTreeMap::new();
    for (from, until) in bounds.iter().zip(bounds.iter().skip(1)) {
        let now = taken.iter().filter(|(_, period)| period.from <= *from && period.until >= *until);
        let now: BTreeSet<&Share> = now.map(|(share, _)| share).collect();
        let first = now.iter().map(|share| share.rank()).min();
        let mut now: Vec<Share> =
            now.into_iter().filter(|share| Some(share.rank()) == first).cloned().collect();
        if now.is_empty() {
            now.push(Share::Waiting);
        }
        let each = until.since(*from).as_micros() / now.len() as u128;
        for share in now {
            // Which of the two an agent did is told by the bars.
            let share = if let Share::Delegate(name) = share { Share::Agent(name) } else { share };
            *parts.entry(share).or_default() += each;
        }
    }
    parts
}

/// A stretch of an attempt's time.
#[derive(Clone, Copy, Debug)]
struct Period {
    from: At,
    until: At,
    holder: Holder,
}

/// The stretches of an attempt, without holes.
fn periods(followed: &FollowedJob, row: &Attempt, end: At) -> Vec<Period> {
    let (attempt, begun) = (row.id, row.began());
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
        let at = happened(line, Some(row));
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
    let bar = |label: String, attempt: &Attempt, periods: Vec<Period>, delegated: bool| {
        let state = states::attempt(attempt, glyphs);
        let end = attempt.ended();
        let mark = if end.is_some() { state.mark } else { glyphs.working };
        Bar {
            label,
            took: precise(end.unwrap_or(ctx.now).since(attempt.began())),
            periods,
            end: Some(span(mark, state.role)),
            delegated,
        }
    };
    let mut all = Vec::new();
    for (_, attempt) in attempts(ctx, job) {
        let until = attempt.ended().unwrap_or(ctx.now);
        let label = format!("{} {}", attempt.number, name(ctx, attempt.agent));
        all.push(bar(label, attempt, periods(followed, attempt, until), false));
    }
    for child in children {
        let Some(child) = ctx.snapshot.jobs.get(*child) else { continue };
        let Some((_, attempt)) = attempts(ctx, child).last() else { continue };
        let label = format!("  {}", name(ctx, attempt.agent));
        all.push(bar(label, attempt, delegated_periods(ctx, attempt), true));
    }
    if job.attempts.len() > 1 {
        let (from, end) = job.span(|key| ctx.snapshot.attempts.get(key));
        let until = end.unwrap_or(ctx.now);
        all.insert(
            0,
            Bar {
                label: "job".to_owned(),
                took: precise(until.since(from)),
                periods: vec![Period { from, until, holder: Holder::Agent }],
                end: end.is_none().then(|| span(glyphs.working, Role::Plain)),
                delegated: false,
            },
        );
    }
    all
}

/// How many lines the strip takes, its rule not counted.
pub fn lines(ctx: &Context, job: &Job, children: &[JobKey]) -> u16 {
    let delegated = children.iter().filter(|key| ctx.snapshot.jobs.get(**key).is_some()).count();
    let whole = usize::from(job.attempts.len() > 1);
    u16::try_from((whole + job.attempts.len() + delegated).clamp(1, 6)).unwrap_or(6)
}

fn name(ctx: &Context, key: AgentKey) -> String {
    let agent = ctx.snapshot.agents.get(key);
    agent.map(|agent| agent.name.line().into_string()).unwrap_or_default()
}

/// The share of the job's time per holder, largest first.
pub fn shares(ctx: &Context, job: &Job, followed: &FollowedJob, children: &[JobKey]) -> Vec<Span> {
    let (from, until) = job.span(|key| ctx.snapshot.attempts.get(key));
    let until = until.unwrap_or(ctx.now);
    let mut taken = Vec::new();
    for (_, attempt) in attempts(ctx, job) {
        let end = attempt.ended().unwrap_or(ctx.now);
        let agent = Share::Agent(name(ctx, attempt.agent));
        let all = periods(followed, attempt, end);
        taken.extend(all.into_iter().map(|period| (Share::of(period.holder, agent.clone()), period)));
    }
    let delegated = children.iter().filter_map(|child| ctx.snapshot.jobs.get(*child));
    for (_, attempt) in delegated.flat_map(|child| attempts(ctx, child)) {
        let agent = Share::Delegate(name(ctx, attempt.agent));
        let all = delegated_periods(ctx, attempt);
        taken.extend(all.into_iter().map(|period| (Share::of(period.holder, agent.clone()), period)));
    }
    let mut parts: Vec<(Share, u128)> = divided(from, until, &taken).into_iter().collect();
    parts.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    let percent = percentages(&parts.iter().map(|(_, took)| *took).collect::<Vec<_>>());
    let mut line = Vec::new();
    for ((share, _), percent) in parts.iter().zip(percent).filter(|(_, percent)| *percent > 0) {
        if !line.is_empty() {
            line.push(span(" · ", Role::Quiet));
        }
        line.push(share.span(percent));
    }
    line
}

/// The stretches of a delegated attempt, whose timeline is not read: it waits for a person if it does so now.
fn delegated_periods(ctx: &Context, attempt: &Attempt) -> Vec<Period> {
    let (from, until) = (attempt.began(), attempt.ended().unwrap_or(ctx.now));
    let asks = if attempt.awaits_answer() { attempt.since().at.max(from).min(until) } else { until };
    let all = [
        Period { from, until: asks, holder: Holder::Agent },
        Period { from: asks, until, holder: Holder::You },
    ];
    all.into_iter().filter(|period| period.until > period.from || period.holder == Holder::Agent).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_of_a_job_is_counted_once() {
        let at = |second: i64| At::from_micros(second * 1_000_000);
        let agent = |name: &str| Share::Agent(name.to_owned());
        let delegate = |name: &str| Share::Delegate(name.to_owned());
        let taken = |all: &[(Share, i64, i64)]| -> Vec<(Share, Period)> {
            let period = |from, until| Period { from: at(from), until: at(until), holder: Holder::Agent };
            all.iter().map(|(share, from, until)| (share.clone(), period(*from, *until))).collect()
        };
        for (what, all, expected) in [
            ("one agent", vec![(agent("a"), 0, 10)], vec![(agent("a"), 10)]),
            (
                "attempts beside each other",
                vec![(agent("a"), 0, 8), (agent("b"), 4, 10)],
                vec![(agent("a"), 6), (agent("b"), 4)],
            ),
            ("two of one agent", vec![(agent("a"), 0, 8), (agent("a"), 4, 10)], vec![(agent("a"), 10)]),
            (
                "a pause between attempts",
                vec![(agent("a"), 0, 3), (agent("b"), 6, 10)],
                vec![(agent("a"), 3), (agent("b"), 4), (Share::Waiting, 3)],
            ),
            (
                "delegated, and for a while nobody said anything",
                vec![
                    (agent("concierge"), 0, 2),
                    (Share::Unknown, 2, 5),
                    (agent("concierge"), 5, 10),
                    (delegate("flights"), 4, 9),
                    (delegate("taxi"), 7, 9),
                ],
                vec![(agent("flights"), 4), (agent("taxi"), 1), (agent("concierge"), 3), (Share::Unknown, 2)],
            ),
            (
                "a person was asked while another agent worked",
                vec![(Share::Person, 0, 4), (delegate("flights"), 0, 10), (agent("a"), 4, 10)],
                vec![(Share::Person, 4), (agent("flights"), 6)],
            ),
            (
                "what ends after the job",
                vec![(agent("a"), 0, 10), (delegate("late"), 8, 30)],
                vec![(agent("late"), 2), (agent("a"), 8)],
            ),
        ] {
            let parts = divided(at(0), at(10), &taken(&all));
            let expected: BTreeMap<Share, u128> =
                expected.into_iter().map(|(share, seconds)| (share, seconds * 1_000_000)).collect();
            assert_eq!(parts, expected, "{what}");
        }
    }
}
