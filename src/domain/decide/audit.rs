//! The audit's record of an intent, and what a protected fleet wants of one.
//!
//! What an act is about is noted before it is decided: afterwards its target may be gone.

use crate::domain::agent::Agent;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::service::ServiceChange;
use crate::domain::agent::shift::ShiftChange;
use crate::domain::audit::{ActOutcome, AuditRecord, AuditTarget, Submitter, Surface};
use crate::domain::decide::turn::Turn;
use crate::domain::decide::{dispatch, fleet, instead, person};
use crate::domain::fact::Owner;
use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::domain::intent::{Intent, Receipt, Refusal, Remedy, Send};
use crate::domain::job::message::Part;
use crate::domain::problem::ProblemAct;
use crate::domain::route::Target;
use crate::domain::text::Untrusted;

/// Longer reasons are cut.
const REASON_CHARS: usize = 500;
/// Longer words about a target are cut.
const TARGET_CHARS: usize = 200;
/// The part of a title in them.
const TITLE_CHARS: usize = 80;

/// What an intent is about, before it is decided; `None` for intents that change nothing.
pub(super) fn begun(turn: &Turn, intent: &Intent, by: &Submitter) -> Option<AuditRecord> {
    if !intent.acts() {
        return None;
    }
    let (owner, target) = target(turn, intent);
    let words = Untrusted::from(&*target.words.line()).shortened(TARGET_CHARS);
    Some(AuditRecord {
        at: turn.at,
        owner,
        who: turn.operator(),
        surface: by.surface,
        peer: by.peer,
        intent: word(intent).into(),
        target: AuditTarget { words, ..target },
        why: intent.why().map(|why| why.shortened(REASON_CHARS)).filter(|why| !why.is_empty()),
        bulk: if by.bulk > 1 { by.bulk } else { 0 },
        outcome: ActOutcome::Accepted,
    })
}

/// Records what came of an intent.
pub(super) fn ended(turn: &mut Turn, begun: Option<AuditRecord>, result: &Result<Receipt, Refusal>) {
    let Some(mut record) = begun else { return };
    match result {
        Ok(receipt) => note_receipt(turn, &mut record, receipt),
        Err(refusal) => {
            let why = Untrusted::from(refusal.to_string()).shortened(REASON_CHARS);
            record.outcome = ActOutcome::Refused(why);
        }
    }
    turn.out.audits.push(record);
}

/// Adds the ids that the act brought about.
fn note_receipt(turn: &Turn, record: &mut AuditRecord, receipt: &Receipt) {
    match receipt {
        Receipt::Taken { job, attempt } => {
            record.owner = Owner::Job(*job);
            record.target.job = Some(*job);
            if record.target.attempt.is_none() {
                record.target.attempt = *attempt;
                let key = attempt.and_then(|attempt| turn.state().attempt_key(attempt));
                let agent = key.and_then(|key| turn.state().agent(turn.state().attempt(key)?.agent));
                record.target.agent = record.target.agent.or(agent.map(|agent| agent.id));
            }
        }
        Receipt::Agents(agents) => {
            if let Some(agent) = agents.first() {
                record.owner = Owner::Agent(*agent);
                record.target.agent = Some(*agent);
            }
        }
        Receipt::Done => {}
    }
}

/// What a protected fleet refuses: acts on an agent and acts on several tasks at once need a reason, whatever surface
/// they come from.
pub(super) fn protected(turn: &Turn, intent: &Intent, by: &Submitter) -> Result<(), Refusal> {
    let has_reason = intent.why().is_some_and(|why| !why.line().trim().is_empty());
    if !turn.rules.protect || has_reason || !intent.wants_reason(by.bulk > 1) {
        return Ok(());
    }
    Err(instead("this fleet is protected and takes this with a reason only", Remedy::GiveReason))
}

/// Who does it, in the record and in the facts alike. What the engine's own process does without a name is done by the
/// program, and a client of the socket without a name is not the operator.
pub(super) fn who(turn: &Turn, intent: &Intent, by: &Submitter) -> Untrusted {
    let named = by.name.clone().or_else(|| intent.by().cloned()).and_then(person);
    named.unwrap_or_else(|| match (by.surface, by.peer) {
        (_, Some(_)) => Untrusted::from("unnamed"),
        (Surface::Engine, None) => Untrusted::from("quarterdeck"),
        (Surface::Console | Surface::Cli | Surface::Socket, None) => turn.operator(),
    })
}

/// The word of an intent.
fn word(intent: &Intent) -> &'static str {
    match intent {
        Intent::Send(_) => "send",
        Intent::Answer { .. } => "answer",
        Intent::Cancel { .. } => "cancel",
        Intent::CancelWithDelegated { .. } => "cancel-with-delegated",
        Intent::Requeue { .. } => "requeue",
        Intent::Race { .. } => "race",
        Intent::Resend { .. } => "resend",
        Intent::PresumeLost { .. } => "presume-lost",
        Intent::Retry { .. } => "retry",
        Intent::Reroute { .. } => "reroute",
        Intent::CheckAgent { .. } => "check-agent",
        Intent::CheckTask { .. } => "check-task",
        Intent::AddAgents { .. } => "add-for-this-run",
        Intent::AddAgent { .. } => "add-agent",
        Intent::RemoveAgent { .. } => "remove-agent",
        Intent::Breaker { to, .. } => match to {
            Some(BreakerState::Open) => "breaker-open",
            Some(BreakerState::Closed) => "breaker-close",
            Some(BreakerState::HalfOpen) => "breaker-half-open",
            None => "breaker-auto",
        },
        Intent::Service { to, .. } => match to {
            ServiceChange::Resume => "resume",
            ServiceChange::Cordon { .. } => "cordon",
            ServiceChange::Drain { .. } => "drain",
        },
        Intent::Shift { change, .. } => match change {
            ShiftChange::Begin(_) => "shift",
            ShiftChange::Hold => "shift-hold",
            ShiftChange::Resume => "shift-resume",
            ShiftChange::Back => "shift-back",
            ShiftChange::End => "shift-end",
        },
        Intent::OnProblem { act, .. } => match act {
            ProblemAct::Take => "take",
            ProblemAct::GiveBack => "give-back",
            ProblemAct::Mute { .. } => "mute",
            ProblemAct::Unmute => "unmute",
        },
        Intent::Note { .. } => "note",
        Intent::TakeBackNote { .. } => "take-back-note",
        Intent::Adopt { .. } => "adopt",
    }
}

/// The chain that an act belongs to, and what it is about.
fn target(turn: &Turn, intent: &Intent) -> (Owner, AuditTarget) {
    match intent {
        Intent::Send(send) => of_send(turn, send),
        Intent::Answer { attempt, .. }
        | Intent::Cancel { attempt, .. }
        | Intent::CancelWithDelegated { attempt, .. }
        | Intent::Resend { attempt, .. }
        | Intent::PresumeLost { attempt, .. }
        | Intent::CheckTask { attempt } => of_attempt(turn, *attempt, ""),
        Intent::Retry { attempt, to, .. }
        | Intent::Reroute { attempt, to, .. }
        | Intent::Race { attempt, to, .. } => {
            let to = to.map(|to| format!(", to {}", agent_words(turn, to)));
            of_attempt(turn, *attempt, &to.unwrap_or_default())
        }
        Intent::Requeue { job, to, .. } => {
            let to = to.map(|to| format!(", to {}", agent_words(turn, to)));
            of_job(turn, *job, &to.unwrap_or_default())
        }
        Intent::CheckAgent { agent }
        | Intent::RemoveAgent { agent, .. }
        | Intent::Breaker { agent, .. }
        | Intent::Adopt { agent, .. } => of_agent(turn, *agent, ""),
        Intent::Shift { agent, change, .. } => {
            let to = match change {
                ShiftChange::Begin(terms) => format!(", to {}", agent_words(turn, terms.to)),
                ShiftChange::Hold | ShiftChange::Resume | ShiftChange::Back | ShiftChange::End => {
                    String::new()
                }
            };
            of_agent(turn, *agent, &to)
        }
        Intent::Service { agent, to, .. } => {
            let window = match to {
                ServiceChange::Cordon { window } | ServiceChange::Drain { window, .. } => *window,
                ServiceChange::Resume => None,
            };
            let window = window.map(|time| format!(" for {}", crate::domain::time::format_duration(time)));
            of_agent(turn, *agent, &window.unwrap_or_default())
        }
        Intent::AddAgents { specs } => {
            let url = specs.first().map(|spec| without_login(&spec.url));
            (Owner::Fleet, worded(url.unwrap_or_default().into()))
        }
        Intent::AddAgent { url, .. } => {
            let known = fleet::by_url(turn, url, false).and_then(|key| turn.state().agent(key));
            match known.map(|agent| agent.id) {
                Some(agent) => of_agent(turn, agent, ""),
                None => (Owner::Fleet, worded(Untrusted::from(without_login(url)))),
            }
        }
        Intent::OnProblem { number, act, .. } => {
            let time = match act {
                ProblemAct::Mute { time, .. } => {
                    format!(" for {}", crate::domain::time::format_duration(*time))
                }
                ProblemAct::Take | ProblemAct::GiveBack | ProblemAct::Unmute => String::new(),
            };
            of_problem(turn, *number, &time)
        }
        Intent::Note { problem, agent, attempt, text, .. }
        | Intent::TakeBackNote { problem, agent, attempt, text, .. } => {
            let text = format!(": {}", text.line());
            let (_, target) = match (problem, agent, attempt) {
                (Some(number), _, _) => of_problem(turn, *number, &text),
                (None, Some(agent), _) => of_agent(turn, *agent, &text),
                (None, None, Some(attempt)) => of_attempt(turn, *attempt, &text),
                (None, None, None) => (Owner::Fleet, worded(Untrusted::from(format!("the fleet{text}")))),
            };
            // The facts of notes are the fleet's too.
            (Owner::Fleet, target)
        }
    }
}

/// A URL without what may be a secret: its login and its query.
fn without_login(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else { return plain.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn worded(words: Untrusted) -> AuditTarget {
    AuditTarget { words, ..AuditTarget::default() }
}

fn agent_words(turn: &Turn, agent: AgentId) -> String {
    let row = turn.state().agent_key(agent).and_then(|key| turn.state().agent(key));
    row.map_or_else(|| format!("agent {agent}"), |row| row.name.line().into_string())
}

fn of_agent(turn: &Turn, agent: AgentId, more: &str) -> (Owner, AuditTarget) {
    let words = format!("{}{more}", agent_words(turn, agent)).into();
    (Owner::Agent(agent), AuditTarget { agent: Some(agent), words, ..AuditTarget::default() })
}

fn of_problem(turn: &Turn, number: u32, more: &str) -> (Owner, AuditTarget) {
    let agent = turn.state().problem(number).and_then(|problem| problem.agent);
    let agent = agent.and_then(|key| turn.state().agent(key));
    let name = agent.map(|agent| format!(" {}", agent.name.line())).unwrap_or_default();
    let words = format!("p-{number}{name}{more}").into();
    let agent = agent.map(|agent| agent.id);
    (Owner::Fleet, AuditTarget { problem: Some(number), agent, words, ..AuditTarget::default() })
}

/// A job of which no attempt was made.
fn of_job(turn: &Turn, id: JobId, more: &str) -> (Owner, AuditTarget) {
    let state = turn.state();
    let Some(job) = state.job_key(id).and_then(|key| state.jobs().get(key)) else {
        return (Owner::Fleet, worded(format!("job {id}{more}").into()));
    };
    let words = format!("{}{more}", titled(&job.title)).into();
    (Owner::Job(id), AuditTarget { job: Some(id), words, ..AuditTarget::default() })
}

/// `"charge order 88213" at cashier-1`
fn of_attempt(turn: &Turn, id: AttemptId, more: &str) -> (Owner, AuditTarget) {
    let state = turn.state();
    let Some(attempt) = state.attempt_key(id).and_then(|key| state.attempt(key)) else {
        let words = format!("attempt {id}{more}").into();
        return (Owner::Fleet, AuditTarget { attempt: Some(id), words, ..AuditTarget::default() });
    };
    let (job, agent) = (state.job_of(attempt), state.agent(attempt.agent));
    let title = job.map(|job| titled(&job.title)).unwrap_or_default();
    let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
    let target = AuditTarget {
        job: job.map(|job| job.id),
        attempt: Some(id),
        task: attempt.task.as_ref().map(|task| task.id.clone()),
        agent: agent.map(|agent: &Agent| agent.id),
        problem: None,
        words: format!("{title} at {name}{more}").into(),
    };
    (target.job.map_or(Owner::Fleet, Owner::Job), target)
}

fn titled(title: &Untrusted) -> String {
    if title.is_empty() {
        "a task".to_owned()
    } else {
        format!("\"{}\"", title.shortened(TITLE_CHARS).line())
    }
}

fn of_send(turn: &Turn, send: &Send) -> (Owner, AuditTarget) {
    let texts = send.parts.iter().filter_map(Part::as_text).map(|text| text.headline(TITLE_CHARS));
    let title = titled(&texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default());
    let (agent, to) = match &send.target {
        Target::Agent(agent) => (Some(*agent), agent_words(turn, *agent)),
        Target::Skill(skill) => (None, format!("skill {}", skill.line())),
        Target::Tag(tag) => (None, format!("tag {}", tag.line())),
        Target::Route(route) => (None, format!("route {route}")),
        Target::Any => (None, "any agent".to_owned()),
    };
    let known = send.job.and_then(|job| dispatch::existing(turn, job)).is_some();
    let again = if known { ", sent before" } else { "" };
    let words = format!("{title} to {to}{again}").into();
    let target =
        AuditTarget { job: send.job, task: send.task.clone(), agent, words, ..AuditTarget::default() };
    // A job that is refused leaves no row, and so no chain of its own.
    let owner = if known { send.job.map(Owner::Job) } else { agent.map(Owner::Agent) };
    (owner.unwrap_or(Owner::Fleet), target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_kept_without_logins() {
        for (url, kept) in [
            ("http://h:1/a", "http://h:1/a"),
            ("https://mia:secret@h/a/b@c?key=1#x", "https://h/a/b@c"),
            ("https://h?token=1", "https://h"),
            ("h/a?b", "h/a"),
        ] {
            assert_eq!(without_login(url), kept, "{url}");
        }
    }
}
