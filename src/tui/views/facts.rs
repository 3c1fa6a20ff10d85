//! Facts of the journal in words.

use crate::domain::agent::card::Interface;
use crate::domain::agent::shift::{Shift, ShiftCounts, ShiftEvent};
use crate::domain::cause::Cause;
use crate::domain::fact::{AgentFact, AttemptFact, JobFact};
use crate::domain::job::carry::{Carried, CarryContext, CarryHistory};
use crate::domain::job::detail::Line;
use crate::domain::job::plan::{RaceReason, WaitReason};
use crate::domain::job::task::{CancelMark, TaskState, UsualPause, Verdict, Via};
use crate::domain::job::{Origin, Phase};
use crate::domain::route;
use crate::domain::route::decision::Considered;
use crate::domain::route::shift::Went;
use crate::domain::text::Untrusted;
use crate::tui::format;
use crate::tui::theme::{Glyphs, Role};
use crate::tui::widgets::canvas::{Span, span};

fn quoted(text: &Untrusted, chars: usize) -> String {
    format!("\"{}\"", text.shortened(chars).line())
}

fn because(cause: Option<&Cause>) -> String {
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}

/// How a state looks in a timeline.
pub fn state(state: &TaskState, glyphs: &'static Glyphs) -> (&'static str, Role) {
    match state {
        TaskState::Completed => (glyphs.completed, Role::Ok),
        TaskState::Failed => (glyphs.failed, Role::Bad),
        TaskState::Canceled => (glyphs.canceled, Role::Plain),
        TaskState::Rejected => (glyphs.rejected, Role::Warn),
        TaskState::InputRequired | TaskState::AuthRequired => (glyphs.you, Role::You),
        TaskState::Submitted | TaskState::Working => ("", Role::Plain),
        TaskState::Unspecified | TaskState::Other(_) => (glyphs.uncertain, Role::Doubt),
    }
}

fn one(text: impl Into<String>, role: Role) -> Vec<Span> {
    vec![span(text, role)]
}

/// Describes a fact of an agent; `actor` is empty if the engine acted on its own.
pub fn of_agent(fact: &AgentFact, actor: &Untrusted) -> Vec<Span> {
    match fact {
        AgentFact::Listed { spec, .. } => one(format!("listed in the {}", spec.source.as_str()), Role::Plain),
        AgentFact::Relisted { .. } => one("listed again, or with other settings", Role::Plain),
        AgentFact::Sourced { sources } if sources.is_empty() => one("nothing names it any more", Role::Warn),
        AgentFact::Sourced { sources } => one(format!("named by {}", sources.join(", ")), Role::Plain),
        AgentFact::Added => one(format!("added to the fleet for good by {}", actor.line()), Role::Plain),
        AgentFact::Removed => one(format!("removed from the fleet by {}", actor.line()), Role::Warn),
        AgentFact::Unlisted => one("left the fleet; its history is kept for a while", Role::Warn),
        AgentFact::Forgotten => one("forgotten", Role::Quiet),
        AgentFact::Named { name } => one(format!("called {}", name.line()), Role::Plain),
        AgentFact::CardSeen { card, .. } => {
            one(format!("card read: {} {}", card.name.line(), card.version.line()), Role::Plain)
        }
        AgentFact::CertificateSeen { until: Some(until) } => one(
            format!("its certificate ends {}", crate::protocol::timestamp::format_at(*until)),
            Role::Plain,
        ),
        AgentFact::CertificateSeen { until: None } => one("it is called without TLS", Role::Plain),
        AgentFact::ServerSeen { server } => {
            let name = server.as_ref().map_or_else(|| "nothing".into(), |text| text.line().into_string());
            one(format!("its server identifies itself as {name}"), Role::Quiet)
        }
        AgentFact::CardChanged { words } => one(format!("card changed: {}", words.line()), Role::Warn),
        AgentFact::InterfaceChosen { interface: Some(interface) } => {
            one(interface_words(interface), Role::Plain)
        }
        AgentFact::InterfaceChosen { interface: None } => {
            one("it offers no interface that we speak", Role::Doubt)
        }
        AgentFact::DialectConfirmed { dialect } => {
            one(format!("a call confirmed that it speaks {dialect}"), Role::Plain)
        }
        AgentFact::StreamingRefused { cause } => {
            one(format!("it refuses to stream, so its tasks are polled: {cause}"), Role::Warn)
        }
        AgentFact::HealthChanged { health, cause, .. } => {
            use crate::domain::agent::Health;
            let role = match health {
                Health::Up => Role::Ok,
                Health::Down => Role::Bad,
                Health::Degraded => Role::Warn,
                Health::LoginNeeded => Role::You,
                Health::Unknown | Health::Stale | Health::NotSpoken => Role::Doubt,
            };
            let mut line = one(health.as_str().replace('-', " "), role);
            line.push(span(because(cause.as_deref()), Role::Plain));
            line
        }
        AgentFact::BreakerMoved { position, cause, forced } => {
            use crate::domain::agent::breaker::BreakerState;
            let (words, role) = match position {
                BreakerState::Closed => ("breaker closed: everything is sent", Role::Ok),
                BreakerState::Open => ("breaker open: nothing is sent", Role::Warn),
                BreakerState::HalfOpen => ("breaker half-open: one task is tried", Role::Warn),
            };
            let by = forced.as_ref().map(|by| format!(", by {}", by.line())).unwrap_or_default();
            let mut line = one(format!("{words}{by}"), role);
            line.push(span(because(cause.as_deref()), Role::Plain));
            line
        }
        AgentFact::ServiceChanged { service: Some(out) } => {
            let until = out.until.map(|_| ", for a window").unwrap_or_default();
            one(format!("out of service: {}{until}", out.in_words()), Role::Warn)
        }
        AgentFact::ServiceChanged { service: None } => {
            let by = if actor.is_empty() { String::new() } else { format!(", by {}", actor.line()) };
            one(format!("back in service{by}"), Role::Ok)
        }
        AgentFact::ShiftMoved { event, evidence, shift } => {
            shift_words(*event, *evidence, shift.as_deref(), actor)
        }
        AgentFact::Drained => one("drained: nothing runs there any more", Role::Ok),
        AgentFact::ViolationCounted { violation } => {
            one(format!("protocol violation: it {violation}"), Role::Warn)
        }
        AgentFact::TextSanitised { count } => one(crate::tui::views::about::sanitised(*count), Role::Warn),
    }
}

/// What happened to a shift of the agent's work, with the numbers of the step that is over.
fn shift_words(
    event: ShiftEvent,
    evidence: Option<ShiftCounts>,
    shift: Option<&Shift>,
    actor: &Untrusted,
) -> Vec<Span> {
    let by = if actor.is_empty() { String::new() } else { format!(", by {}", actor.line()) };
    let (what, role) = match event {
        ShiftEvent::Began => ("its work begins to go to a successor", Role::Plain),
        ShiftEvent::Advanced => ("more of its work goes to its successor", Role::Ok),
        ShiftEvent::Held => ("the shift is held", Role::Plain),
        ShiftEvent::Resumed => ("the shift goes on", Role::Plain),
        ShiftEvent::WentBack => ("all of its work comes back", Role::Warn),
        ShiftEvent::Completed => ("the shift is complete", Role::Ok),
        ShiftEvent::Ended => ("the shift was ended: the rules decide alone", Role::Plain),
        ShiftEvent::Restored => ("the shift is as it was, the journal could not be written", Role::Warn),
    };
    let share = shift.map(|shift| format!(": {} %, {}", shift.percent(), shift.place())).unwrap_or_default();
    let why = shift.and_then(|shift| shift.why.as_ref()).map(|why| format!("; {}", why.line()));
    let before = evidence.filter(|counts| counts.successor.ended() > 0 && why.is_none()).map(|counts| {
        format!("; before, {}, the agent itself {}", counts.successor.in_words(), counts.legacy.in_words())
    });
    let words = format!("{what}{share}{by}{}{}", why.unwrap_or_default(), before.unwrap_or_default());
    one(words, role)
}

fn interface_words(interface: &Interface) -> String {
    format!("called by {} {} at {}", interface.binding.line(), interface.dialect, interface.url.line())
}

/// Describes a line of a job's timeline; `None` if the frame of the timeline already shows it.
pub fn of_job(line: &Line, glyphs: &'static Glyphs) -> Option<Vec<Span>> {
    match &line.fact {
        JobFact::Opened { origin, caller, .. } => {
            let from = caller.as_ref().map(|caller| caller.line().into_string());
            Some(match (origin, from) {
                (Origin::Sent, Some(from)) => one(format!("taken from {from}"), Role::Plain),
                (Origin::Sent, None) => one("taken", Role::Plain),
                (Origin::Found, Some(from)) => one(format!("found; {from} sent it"), Role::Plain),
                (Origin::Found, None) => one("found; its sender is unknown", Role::Doubt),
            })
        }
        JobFact::Attempt(_, fact) => of_attempt(fact, line, glyphs),
        JobFact::Routed { decision, retry } => {
            let by = decision.rule.as_ref().map_or_else(String::new, |rule| format!(" by rule {rule}"));
            let load = decision
                .candidates
                .first()
                .filter(|one| one.verdict == route::decision::Verdict::Taken)
                .map(load);
            let of = match decision.candidates.iter().filter(|one| one.score.is_some()).count() {
                0 | 1 => String::new(),
                count => format!(", one of {count}"),
            };
            let again = if *retry { "another attempt" } else { "goes" };
            let shift = decision.shift.filter(|shift| shift.went.was_shared());
            let shift = shift.map(|shift| match shift.went {
                Went::Successor | Went::OnlySuccessor => format!(", shifted: {} %", shift.percent),
                Went::Legacy | Went::OnlyLegacy => format!(", not shifted: {} % is", shift.percent),
            });
            let words = [load, shift].into_iter().flatten().collect::<String>();
            Some(one(format!("{again}{by}{of}{words}"), Role::Quiet))
        }
        JobFact::Queued { why: WaitReason::Backoff, until: Some(until) } => {
            let pause = format::duration(until.since(line.at));
            Some(one(format!("the next attempt follows in {pause}"), Role::Warn))
        }
        JobFact::Queued { why, .. } => Some(one(format!("queued: waits for {}", why.in_words()), Role::Warn)),
        JobFact::Ended { cause: Some(cause), spent } => {
            let spent =
                spent.as_ref().map(|spent| format!("; {}", Untrusted::from(spent.to_string()).line()));
            Some(one(format!("given up: {cause}{}", spent.unwrap_or_default()), Role::Bad))
        }
        JobFact::Reopened { why, carry, .. } => {
            let why = why.as_ref().map(|why| format!(": {}", quoted(why, 200))).unwrap_or_default();
            let words = format!("to be tried again{}{why}{}", by_actor(line), carried(carry.as_deref()));
            Some(one(words, Role::Plain))
        }
        JobFact::Racing { why: RaceReason::Raced { .. }, .. } => {
            Some(one(format!("raced{}: another attempt runs beside this one", by_actor(line)), Role::Warn))
        }
        JobFact::Racing { why: why @ RaceReason::Hedged { .. }, .. } => {
            Some(one(why.to_string(), Role::Warn))
        }
        JobFact::RaceDropped { cause } => {
            Some(one(format!("no other attempt is sent beside it: {cause}"), Role::Warn))
        }
        JobFact::CameBack => Some(one("its task was found after all", Role::Warn)),
        JobFact::Moving { to: Some(_), carry, .. } => {
            let words = "to be moved: another attempt follows once this one has ended";
            Some(one(format!("{words}{}{}", by_actor(line), carried(carry.as_deref())), Role::Warn))
        }
        JobFact::Moving { to: None, .. } => {
            Some(one("not moved, the journal could not be written", Role::Warn))
        }
        JobFact::Ended { cause: None, .. }
        | JobFact::Composed { .. }
        | JobFact::Explained { .. }
        | JobFact::Forgotten => None,
    }
}

/// What the next attempt takes along.
fn carried(carry: Option<&Carried>) -> String {
    let Some(carry) = carry else { return String::new() };
    let history = match carry.history {
        CarryHistory::None => "",
        CarryHistory::References => ", with references to this attempt and its artifacts",
        CarryHistory::Content => ", with the conversation and the artifacts so far",
    };
    let context = match carry.context {
        CarryContext::Given => "",
        CarryContext::Same => ", in the same context",
        CarryContext::New => ", in a new context",
    };
    format!("{history}{context}")
}

/// The operator behind an act.
fn by_actor(line: &Line) -> String {
    line.actor.as_ref().map(|by| format!(", by {}", by.line())).unwrap_or_default()
}

/// Behind an agent that was chosen: what it had in flight then.
fn load(one: &Considered) -> String {
    match one.capacity {
        Some(capacity) => format!(", {} of {capacity} in flight", one.in_flight),
        None => format!(", {} in flight", one.in_flight),
    }
}

fn of_attempt(fact: &AttemptFact, line: &Line, glyphs: &'static Glyphs) -> Option<Vec<Span>> {
    let times = line.times;
    let line = match fact {
        AttemptFact::Moved { phase, cause, .. } => phase_words(*phase, cause.as_deref(), glyphs),
        AttemptFact::TaskSeen { state: seen, via, .. } => {
            let (mark, role) = state(seen, glyphs);
            let mut line = one(format!("{}{}", spaced(mark), seen.word()), role);
            let words = match via {
                Via::Send => "  accepted as a task".to_owned(),
                via => format!("  accepted as a task, seen in {}", via.as_str()),
            };
            line.push(span(words, Role::Quiet));
            line
        }
        AttemptFact::StateSeen { state: seen, via, .. } => {
            let (mark, role) = state(seen, glyphs);
            let mut line = one(format!("{}{}", spaced(mark), seen.word()), role);
            if !matches!(via, Via::Send | Via::Subscribe) {
                line.push(span(format!("  by {}", via.as_str()), Role::Quiet));
            }
            line
        }
        AttemptFact::ClaimSeen { says: Some(says), via, .. } => {
            one(format!("{} reports {}; the first end counts", via.as_str(), says.word()), Role::Warn)
        }
        AttemptFact::ClaimSeen { says: None, via, .. } => {
            one(format!("{} agrees again", via.as_str()), Role::Plain)
        }
        AttemptFact::MessageSeen { message, .. } => {
            let text = message.text();
            if text.is_empty() {
                one("a message without text", Role::Quiet)
            } else {
                one(quoted(&text.headline(400), 400), Role::Plain)
            }
        }
        AttemptFact::ArtifactSeen { artifact, name, append, last, .. } => {
            let name = name.as_ref().unwrap_or(artifact).line();
            let word = match (*last, *append, times) {
                (true, _, _) => "is done",
                (false, false, 1) => "begins",
                (false, ..) => "grows",
            };
            let chunks =
                if times > 1 { format!(", {} chunks", format::count(times as usize)) } else { String::new() };
            one(format!("{name} {word}{chunks}"), Role::Plain)
        }
        AttemptFact::GapOpened { cause, .. } => {
            one(format!("{0}{0}{0} no updates{1}", glyphs.gap, because(cause.as_deref())), Role::Doubt)
        }
        AttemptFact::GapClosed { via, changed, .. } => {
            let compared = if *changed { "something had changed" } else { "nothing was missed" };
            one(format!("{0}{0}{0} updated again by {1}: {compared}", glyphs.gap, via.as_str()), Role::Plain)
        }
        AttemptFact::VerdictChanged { verdict, usual } => {
            return Some(verdict_words(*verdict, *usual, glyphs));
        }
        AttemptFact::CancelMoved { late: Some(late), .. } => one(format!("cancel: {late}"), Role::Warn),
        AttemptFact::CancelMoved { mark, cause, .. } => {
            let (text, role) = match mark {
                CancelMark::Asked => ("cancel: asked", Role::Warn),
                CancelMark::Agreed => ("cancel: the agent agreed", Role::Warn),
                CancelMark::Verified => ("cancel: task ended", Role::Plain),
                CancelMark::TooLate => ("cancel: too late", Role::Warn),
                CancelMark::Refused => ("cancel: refused, the task continues", Role::Warn),
                CancelMark::Unconfirmed => ("cancel: unconfirmed, still checking", Role::Warn),
            };
            one(format!("{text}{}", because(cause.as_deref())), role)
        }
        AttemptFact::CancelWithdrawn { .. } => {
            one("cancel: not requested, the journal could not be written".to_owned(), Role::Warn)
        }
        AttemptFact::CascadeAsked { asked } => return Some(cascade_words(*asked)),
        AttemptFact::CancelIgnored { events, .. } => {
            one(format!("agreed, but still active: {events} events since"), Role::Bad)
        }
        AttemptFact::AnswerMoved { phase, cause, message, .. } => {
            let words = quoted(&message.headline(80), 80);
            let (text, role) = match phase {
                Phase::Planned | Phase::Sending => (format!("answered {words}"), Role::Plain),
                Phase::Accepted | Phase::Answered => ("the agent has the answer".to_owned(), Role::Plain),
                Phase::Uncertain => ("it is unknown whether the answer arrived".to_owned(), Role::You),
                Phase::Refused => ("the answer was refused".to_owned(), Role::Bad),
                Phase::Unsent => ("the answer was not sent".to_owned(), Role::Warn),
                Phase::PresumedLost => ("the answer is presumed lost".to_owned(), Role::Doubt),
            };
            one(format!("{text}{}", because(cause.as_deref())), role)
        }
        AttemptFact::ReasonGiven { why } => match &line.actor {
            Some(by) => one(format!("{}: {}", by.line(), quoted(why, 200)), Role::Plain),
            None => one(format!("because {}", why.shortened(200).line()), Role::Plain),
        },
        AttemptFact::ViolationObserved { violation, .. } => {
            one(format!("protocol violation: it {violation}"), Role::Warn)
        }
        AttemptFact::Won => one(format!("{} won: it was the first to complete", glyphs.completed), Role::Ok),
        AttemptFact::Overdue { cause } => one(format!("{cause}, so its agent is asked to stop"), Role::Warn),
        AttemptFact::Planned { .. } | AttemptFact::Settled => return None,
    };
    Some(line)
}

fn cascade_words(asked: bool) -> Vec<Span> {
    let words = if asked {
        "cancel: for what it delegated too"
    } else {
        "cancel: not for what it delegated, the journal could not be written"
    };
    vec![span(words, Role::Warn)]
}

fn spaced(mark: &str) -> String {
    if mark.is_empty() { String::new() } else { format!("{mark} ") }
}

fn phase_words(phase: Phase, cause: Option<&Cause>, glyphs: &'static Glyphs) -> Vec<Span> {
    let (text, role) = match phase {
        Phase::Planned => ("planned".to_owned(), Role::Plain),
        Phase::Sending => ("sent".to_owned(), Role::Plain),
        Phase::Accepted => ("accepted".to_owned(), Role::Plain),
        Phase::Answered => (format!("{} answered with a message and no task", glyphs.completed), Role::Ok),
        Phase::Refused => (format!("{} refused", glyphs.rejected), Role::Bad),
        Phase::Unsent => (format!("{} was not sent", glyphs.rejected), Role::Warn),
        Phase::Uncertain => (format!("{} it is unknown whether it arrived", glyphs.uncertain), Role::You),
        Phase::PresumedLost => (format!("{} presumed lost", glyphs.lost), Role::Doubt),
    };
    one(format!("{text}{}", because(cause)), role)
}

fn verdict_words(verdict: Option<Verdict>, usual: Option<UsualPause>, glyphs: &'static Glyphs) -> Vec<Span> {
    let text = match verdict {
        None => return one("no longer in doubt", Role::Plain),
        Some(Verdict::Silent) => "silent: no event for long; what is usual is not known yet",
        Some(Verdict::Unheard) => "unheard: its stream is open, but nothing ever arrived on it",
        Some(Verdict::Stuck) if usual.is_some() => "stuck",
        Some(Verdict::Stuck) => "stuck: no event for many times the usual pause",
        Some(Verdict::Looping) => "looping: it repeats the same status",
        Some(Verdict::Stalled) => "stalled: its stream was cut, and its reported state has not changed since",
        Some(Verdict::Stale) => "stale: its agent no longer answers",
        Some(Verdict::Unreachable) => {
            "unreachable: its agent has not answered for long; wait, or presume it lost"
        }
        Some(Verdict::Conflict) => "disputed: two sources of one agent disagree",
        Some(Verdict::Lost) => {
            return one(
                format!("{} lost: its agent came back and no longer knows it", glyphs.lost),
                Role::Bad,
            );
        }
    };
    let usual = usual.map_or_else(String::new, |usual| format!(": {usual}"));
    one(format!("{} {text}{usual}", glyphs.doubtful), Role::Warn)
}
