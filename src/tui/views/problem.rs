//! The details of a problem: evidence, cause, impact, and the events around it.

use std::time::Duration;

use crate::domain::fact::{AgentFact, Fact, FleetFact, JournalEntry, Owner};
use crate::domain::id::{AgentKey, AttemptKey, ProblemKey};
use crate::domain::problem::diagnosis::{self, Cause, Certainty, Count, Impact};
use crate::domain::problem::{Kind, Problem, Subject, failing_share};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::fit;
use crate::tui::actions::Action;
use crate::tui::bulk;
use crate::tui::context::Context;
use crate::tui::format::Clocks;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::views::frame::labelled;
use crate::tui::views::{about, facts};
use crate::tui::widgets::canvas::{Canvas, Span, span, width};

/// Attempts that are shown as evidence.
const EVIDENCE: usize = 50;
/// Agents that are named where there are many.
const NAMED: usize = 3;
/// Events within this time before a problem may be related to it.
pub(super) const BEFORE: Duration = Duration::from_secs(600);

/// The analysis of a problem. It walks over many tasks, so it is not repeated for each frame.
#[derive(PartialEq, Eq, Debug)]
pub struct Known {
    /// The problem.
    pub key: ProblemKey,
    impact: Impact,
    cause: Cause,
    why: Vec<String>,
    not_hit: Vec<AgentKey>,
    /// The evidence.
    pub evidence: Vec<Item>,
    /// The same in words.
    pub shown: about::Lines,
}

/// Something that shows a problem, and can be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// A task, or a sending.
    Attempt(AttemptKey),
    /// An affected agent.
    Agent(AgentKey),
    /// The changes of an agent's card, on its page.
    Card(AgentKey),
    /// The frames of an agent.
    Wire(AgentKey),
}

impl Known {
    /// Analyses a problem.
    pub fn of(ctx: &Context, clocks: &Clocks, key: ProblemKey, problem: &Problem) -> Self {
        let snapshot: &Snapshot = &ctx.snapshot;
        let impact = diagnosis::impact_of(snapshot, key, problem);
        let agent = problem.subject.one();
        let changed = agent.filter(|key| {
            let change = snapshot.agents.get(*key).and_then(|agent| agent.card_change.as_ref());
            change.is_some_and(|(at, _)| *at <= problem.since + BEFORE)
        });
        let mut evidence: Vec<Item> = Vec::new();
        if let Subject::Host(_) | Subject::Source(_) = problem.subject {
            let agents = diagnosis::agents_of(snapshot, problem);
            evidence.extend(agents.into_iter().take(EVIDENCE).map(Item::Agent));
        }
        let attempts = diagnosis::evidence(snapshot, problem, EVIDENCE);
        evidence.extend(changed.map(Item::Card));
        evidence.extend(attempts.into_iter().map(Item::Attempt));
        evidence.extend(agent.map(Item::Wire));
        Self {
            key,
            cause: diagnosis::cause(snapshot, problem, &impact),
            why: diagnosis::why(snapshot, problem),
            not_hit: diagnosis::not_hit(snapshot, problem),
            impact,
            shown: evidence.iter().map(|one| item(ctx, clocks, *one)).collect(),
            evidence,
        }
    }
}

/// `70 × "no rule for code SUMMER"   3 × "no answer in 30 s"`
fn errors(counts: &[Count], width: usize) -> String {
    let one = |(text, count): &Count| format!("{count} × \"{}\"", text.shortened(width.max(60)).line());
    counts.iter().take(NAMED).map(one).collect::<Vec<_>>().join("   ")
}

/// `shop-web 48 · shop-app 12`
fn by_name(counts: &[Count], width: usize) -> String {
    let one = |(name, count): &Count| format!("{} {count}", name.shortened(width.max(40)).line());
    counts.iter().map(one).collect::<Vec<_>>().join(" · ")
}

fn seen(
    canvas: &Canvas<'_>,
    ctx: &Context,
    problem: &Problem,
    known: &Known,
    headline: &str,
    width: usize,
) -> about::Lines {
    let snapshot = &ctx.snapshot;
    let mut lines = about::wrapped("SEEN", headline, Role::Plain, width);
    let Impact { failed, ended, errors: texts, at_least, .. } = &known.impact;
    if *ended > 0 {
        let since = canvas.clocks.second(diagnosis::counted_from(problem), ctx.now);
        let least = if *at_least { "at least " } else { "" };
        let words = format!("{least}{failed} of {ended} tasks that ended since {since} failed");
        lines.extend(about::wrapped("", &words, Role::Plain, width));
    }
    if !texts.is_empty() {
        lines.extend(about::wrapped("", &errors(texts, width), Role::Plain, width));
    }
    if !known.not_hit.is_empty() {
        let names: Vec<String> = known
            .not_hit
            .iter()
            .take(NAMED)
            .filter_map(|key| snapshot.agents.get(*key))
            .map(|agent| agent.name.line().into_string())
            .collect();
        let more = known.not_hit.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let words = format!("not hit: {}{more}", names.join(", "));
        lines.extend(about::wrapped("", &words, Role::Quiet, width));
    }
    lines
}

/// Everything about a problem, in lines.
pub fn explain(
    canvas: &Canvas<'_>,
    ctx: &Context,
    problem: &Problem,
    known: &Known,
    headline: &str,
    width: usize,
) -> about::Lines {
    let mut lines = seen(canvas, ctx, problem, known, headline, width);
    let role = if known.cause.certainty == Certainty::Unknown { Role::Doubt } else { Role::Plain };
    lines.extend(about::wrapped("CAUSE", &known.cause.sentence(), role, width));
    let words = diagnosis::impact_in_words(&ctx.snapshot, problem, &known.impact);
    lines.extend(about::wrapped("HITS", &words, Role::Plain, width));
    for (what, counts) in [("callers", &known.impact.callers), ("skills", &known.impact.skills)] {
        if !counts.is_empty() {
            lines.extend(about::wrapped(
                "",
                &format!("{what}  {}", by_name(counts, width)),
                Role::Plain,
                width,
            ));
        }
    }
    match problem.cleared {
        Some(cleared) => {
            let took = crate::tui::views::timeline::precise(cleared.since(problem.since));
            let text = format!("{}, after {took}", canvas.since(cleared));
            lines.push(labelled("OVER", vec![span(text, Role::Ok)]));
        }
        None => lines.extend(about::wrapped("NEXT", &next_step(ctx, problem), Role::You, width)),
    }
    for (at, why) in known.why.iter().enumerate() {
        lines.extend(about::wrapped(if at == 0 { "WHY" } else { "" }, why, Role::Plain, width));
    }
    if let Some(taken) = &problem.taken {
        let words = format!("{}, {}", taken.by.line(), canvas.since(taken.at));
        lines.extend(about::wrapped("OWNER", &words, Role::Plain, width));
    }
    if let Some(muted) = &problem.muted {
        let until = canvas.clocks.second(muted.until, ctx.now);
        let words = format!("until {until} by {}: {}", muted.by.line(), muted.why.line());
        lines.extend(about::wrapped("MUTED", &words, Role::Quiet, width));
    }
    let agent = problem.agent.and_then(|key| ctx.snapshot.agents.get(key));
    if let Some(agent) = agent {
        lines.push(labelled("AGENT", about::state_line(canvas, ctx, agent)));
    }
    lines.extend(about::wrapped("MEANS", problem.kind.meaning(), Role::Quiet, width));
    lines
}

/// The place of the text that gives way in a line of evidence, and the cells that it keeps.
const TITLE: usize = 2;
const LEAST_TITLE: u16 = 24;

/// A line of evidence that is to fit: its title is cut before its state.
pub fn fitted(line: &[Span], room: u16) -> Vec<Span> {
    let mut line = line.to_vec();
    let over = width(&line).saturating_sub(room);
    if let Some(title) = line.get_mut(TITLE).filter(|_| over > 0) {
        let whole = width(std::slice::from_ref(title)).saturating_sub(2);
        let kept = whole.saturating_sub(over).max(LEAST_TITLE).min(whole);
        title.text = format!("{}  ", fit(title.text.trim_end(), usize::from(kept)));
    }
    line
}

/// One piece of evidence, on a line as long as it is.
fn item(ctx: &Context, clocks: &Clocks, item: Item) -> Vec<Span> {
    let (snapshot, glyphs) = (&ctx.snapshot, ctx.glyphs());
    let gone = || vec![span("gone", Role::Doubt)];
    match item {
        Item::Attempt(key) => {
            let Some(attempt) = snapshot.attempts.get(key) else { return gone() };
            let label = states::attempt(attempt, glyphs);
            let task = attempt.task.as_ref().map_or_else(|| "–".to_owned(), |task| task.id.short());
            let job = snapshot.job_of(attempt).map(|job| job.title.line().into_string()).unwrap_or_default();
            let note = attempt.task.as_ref().and_then(|task| task.note.as_ref());
            let note = note.map(|note| format!("  {}", note.line())).unwrap_or_default();
            vec![
                span(format!("{} ", label.mark), label.role),
                span(format!("{task:<6}"), Role::Quiet),
                span(format!("{job}  "), Role::Plain),
                span(label.word, label.role),
                span(note, Role::Quiet),
            ]
        }
        Item::Agent(key) => {
            let Some(agent) = snapshot.agents.get(key) else { return gone() };
            let label = states::agent(agent, glyphs);
            let why = agent.cause.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
            vec![
                span(format!("{} ", label.mark), label.role),
                span(format!("{}  ", agent.name.line()), Role::Plain),
                span(label.word, label.role),
                span(why, Role::Quiet),
            ]
        }
        Item::Card(key) => {
            let change = snapshot.agents.get(key).and_then(|agent| agent.card_change.as_ref());
            let Some((at, words)) = change else { return gone() };
            let at = clocks.second(*at, ctx.now);
            vec![
                span("± ", Role::Warn),
                span(format!("card  {}  ", words.line()), Role::Plain),
                span(at, Role::Quiet),
            ]
        }
        Item::Wire(_) => vec![span("→ ", Role::Quiet), span("wire  what was sent and received", Role::Plain)],
    }
}

/// Events around a problem, in order; `None` until the facts of the fleet and of its agent have been read.
pub fn log<'f>(
    ctx: &Context,
    clocks: &Clocks,
    problem: &Problem,
    facts: impl Fn(Owner) -> Option<&'f [JournalEntry]>,
) -> Option<about::Lines> {
    let fleet = facts(Owner::Fleet)?;
    let own = match problem.agent {
        Some(agent) => facts(Owner::Agent(ctx.snapshot.agents.get(agent)?.id))?,
        None => &[],
    };
    let (from, until) = (problem.since - BEFORE, problem.cleared.map(|cleared| cleared + BEFORE));
    let near = |fact: &&JournalEntry| fact.at >= from && until.is_none_or(|until| fact.at <= until);
    let mut entries: Vec<(&JournalEntry, Vec<Span>)> = Vec::new();
    let mut told = None;
    for fact in fleet {
        if is_small_step(problem.number, fact, &mut told) {
            continue;
        }
        // Facts of the problem itself are always included.
        let about = of_fleet(ctx, clocks, problem, fact, near(&fact));
        entries.extend(about.map(|words| (fact, words)));
    }
    for fact in own.iter().filter(near) {
        entries.extend(of_agent(fact).map(|words| (fact, words)));
    }
    entries.sort_by_key(|(fact, _)| (fact.at, fact.owner() != Owner::Fleet, fact.seq));
    let mut lines: about::Lines = entries
        .into_iter()
        .map(|(fact, words)| {
            let at = clocks.second(fact.at, ctx.now);
            std::iter::once(span(format!("{at}  "), Role::Quiet)).chain(words).collect()
        })
        .collect();
    if fleet.first().is_some_and(|first| first.at > problem.since) {
        lines.insert(0, vec![span("earlier events are only in the journal", Role::Doubt)]);
    }
    Some(lines)
}

/// A share of failing tasks is told again once it has moved by so many points.
const POINTS: u32 = 10;

/// True if a fact only moves the share of failing tasks by a little from the one that the log has told.
fn is_small_step(own: u32, entry: &JournalEntry, told: &mut Option<(u32, String)>) -> bool {
    let text = match &entry.fact {
        Fact::Fleet(
            FleetFact::ProblemRaised { number, text, .. } | FleetFact::ProblemReworded { number, text, .. },
        ) if *number == own => text,
        _ => return false,
    };
    let now = failing_share(&text.line()).map(|(share, rest)| {
        // What the last failed task said is in the title.
        let (tasks, _) = rest.split_once(", last with \"").unwrap_or((rest, ""));
        let breaker = rest.rsplit_once("; breaker ").map_or("", |(_, breaker)| breaker);
        (share, format!("{tasks} {breaker}"))
    });
    let is_small = told
        .as_ref()
        .zip(now.as_ref())
        .is_some_and(|((before, of), (share, what))| of == what && before.abs_diff(*share) < POINTS);
    if !is_small {
        *told = now;
    }
    is_small
}

/// Facts of an agent that may have caused or ended a problem.
fn of_agent(entry: &JournalEntry) -> Option<Vec<Span>> {
    let fact = entry.fact.of_agent()?;
    match fact {
        AgentFact::CardChanged { .. }
        | AgentFact::HealthChanged { .. }
        | AgentFact::BreakerMoved { .. }
        | AgentFact::ServiceChanged { .. }
        | AgentFact::ShiftMoved { .. }
        | AgentFact::Drained
        | AgentFact::InterfaceChosen { .. }
        | AgentFact::DialectConfirmed { .. }
        | AgentFact::StreamingRefused { .. }
        | AgentFact::Relisted { .. }
        | AgentFact::Unlisted => Some(facts::of_agent(fact, &entry.actor_name())),
        _ => None,
    }
}

fn of_fleet(
    ctx: &Context,
    clocks: &Clocks,
    problem: &Problem,
    entry: &JournalEntry,
    near: bool,
) -> Option<Vec<Span>> {
    let Fact::Fleet(fact) = &entry.fact else { return None };
    let by = entry.actor_name();
    let own = problem.number;
    let plain = |text: String| Some(vec![span(text, Role::Plain)]);
    let agent = problem.agent.and_then(|key| ctx.snapshot.agents.get(key)).map(|agent| agent.id);
    match fact {
        FleetFact::ProblemRaised { number, text, .. } if *number == own => {
            Some(vec![span("raised: ", Role::Bad), span(text.line().into_string(), Role::Plain)])
        }
        FleetFact::ProblemReworded { number, text, .. } if *number == own => {
            plain(format!("now {}", text.line()))
        }
        FleetFact::ProblemCleared { number, into: None } if *number == own => {
            Some(vec![span("over", Role::Ok)])
        }
        FleetFact::ProblemCleared { number, into: Some(into) } if *number == own => {
            plain(format!("reported by p-{into} from here on"))
        }
        FleetFact::ProblemCleared { number, into: Some(into) } if *into == own => {
            plain(format!("p-{number} is part of this"))
        }
        FleetFact::ProblemTaken { number } if *number == own => plain(format!("taken by {}", by.line())),
        FleetFact::ProblemGivenBack { number } if *number == own => {
            plain(format!("given back by {}", by.line()))
        }
        FleetFact::ProblemMuted { number, why, until } if *number == own => {
            let until = clocks.second(*until, ctx.now);
            plain(format!("muted by {} until {until}: {}", by.line(), why.line()))
        }
        FleetFact::ProblemUnmuted { number } if *number == own => match &entry.actor {
            Some(by) => plain(format!("unmuted by {}", by.line())),
            None => plain("the mute has ended".into()),
        },
        FleetFact::ProblemPosted { number, event, failed } if *number == own => Some(match failed {
            None => vec![span(format!("posted to the webhook: {}", event.as_str()), Role::Plain)],
            Some(why) => vec![span(format!("not posted to the webhook: {}", why.line()), Role::Warn)],
        }),
        FleetFact::NoteMade { problem: on, agent: of, text, .. } => {
            let ours = *on == Some(own) || (on.is_none() && of.is_some() && *of == agent && near);
            ours.then(|| vec![span(format!("{}: \"{}\"", by.line(), text.line()), Role::You)])
        }
        FleetFact::Acted { act, attempt: (job, _), agent: of } if near && agent == Some(*of) => {
            plain(format!("{} {} job {}", by.line(), act.as_str(), job.short()))
        }
        FleetFact::ProblemRaised { number, kind, agent: Some(of), .. } if near && agent == Some(*of) => {
            plain(format!("p-{number} {} raised", kind.as_str()))
        }
        FleetFact::WatchStarted if near => Some(vec![span("the engine began watching", Role::Doubt)]),
        FleetFact::WatchPaused { .. } if near => Some(vec![span("not watched until here", Role::Doubt)]),
        FleetFact::JournalGap { .. } if near => Some(vec![span("facts before this are lost", Role::Doubt)]),
        _ => None,
    }
}

/// How it will be over, for the border of its log.
pub fn clears(problem: &Problem) -> String {
    if problem.cleared.is_some() { "it is over".into() } else { format!("clears {}", problem.kind.clears()) }
}

/// True if the keys act on the problem's tasks.
pub fn is_of_tasks(problem: &Problem) -> bool {
    Kind::OF_TASKS.contains(&problem.kind)
}

/// The next step, with the bound key.
pub fn next_step(ctx: &Context, problem: &Problem) -> String {
    if let Some(next) = bulk::next_step(ctx, problem) {
        return next;
    }
    // The core's text starts with the default key.
    let next = problem.next.line();
    match next.strip_prefix("r: ") {
        Some(rest) => ctx.step(Action::Again, rest),
        None => next.into_string(),
    }
}
