//! Every act and every row as a command that does the same, and as curl. Secrets are never in it.

use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::card::Dialect;
use crate::domain::agent::service::ServiceChange;
use crate::domain::agent::shift::{ShiftChange, ShiftTerms};
use crate::domain::agent::{Agent, Source, is_same_origin};
use crate::domain::id::AgentId;
use crate::domain::intent::{Intent, Send};
use crate::domain::job::Attempt;
use crate::domain::job::carry::{Carry, CarryContext, CarryHistory};
use crate::domain::job::message::{Content, Json, Part};
use crate::domain::problem::ProblemAct;
use crate::domain::route::Target;
use crate::domain::shell_words::{positional, quoted};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::protocol::{Request, codec};

/// How an agent is named on the command line: by its name, else by its URL.
pub fn reference(agent: &Agent) -> String {
    let name = agent.name.raw();
    if agent.spec.name.is_some() && !name.starts_with('-') { quoted(name) } else { quoted(&agent.spec.url) }
}

/// A task's own id as the last argument.
fn task_id(attempt: &Attempt) -> String {
    attempt.task.as_ref().map(|task| positional(&task.id.raw())).unwrap_or_default()
}

fn parts(parts: &[Part]) -> String {
    let mut words = String::new();
    for part in parts {
        match &part.content {
            Content::Text(text) => words.push_str(&format!(" --text={}", quoted(text.raw()))),
            Content::Url(url) => words.push_str(&format!(" --file={}", quoted(url.raw()))),
            Content::Raw(_) => words.push_str(" --file=FILE"),
            Content::Data(_) | Content::Unknown(_) => words.push_str(" --data=-"),
        }
    }
    words
}

/// JSON goes in by a pipe: `printf %s '{…}' | `.
fn piped(parts: &[Part]) -> String {
    let json = parts.iter().find_map(|part| match &part.content {
        Content::Data(json) | Content::Unknown(json) => Some(json),
        Content::Text(_) | Content::Raw(_) | Content::Url(_) => None,
    });
    json.map(|json| format!("printf %s {} | ", quoted(json.raw()))).unwrap_or_default()
}

/// The flag that names where a message goes.
fn target(snapshot: &Snapshot, to: &Target) -> String {
    match to {
        Target::Agent(id) => format!(" -a {}", named(snapshot, *id)),
        Target::Skill(skill) => format!(" --skill={}", quoted(skill.raw())),
        Target::Tag(tag) => format!(" --tag={}", quoted(tag.raw())),
        Target::Route(route) => format!(" --route={}", quoted(route)),
        Target::Any => String::new(),
    }
}

/// An agent as the command line names it; empty if it is gone.
fn named(snapshot: &Snapshot, id: AgentId) -> String {
    let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == id);
    agent.map(|(_, agent)| reference(agent)).unwrap_or_default()
}

/// The flag that names the agent of another attempt; empty if the router chooses.
fn elsewhere(snapshot: &Snapshot, to: Option<AgentId>) -> String {
    let agent = to.and_then(|id| snapshot.agents.iter().find(|(_, agent)| agent.id == id));
    agent.map(|(_, agent)| format!(" --to={}", quoted(agent.name.raw()))).unwrap_or_default()
}

/// The flags of `drain`.
fn service(to: &ServiceChange) -> String {
    let time = |name: &str, time: &Option<Duration>| {
        time.map(|time| format!(" --{name}={}s", time.as_secs())).unwrap_or_default()
    };
    match to {
        ServiceChange::Resume => " --resume".to_owned(),
        ServiceChange::Cordon { window } => format!(" --cordon{}", time("for", window)),
        ServiceChange::Drain { window, move_after } => {
            format!(" --no-wait{}{}", time("for", window), time("move-after", move_after))
        }
    }
}

/// The words of `route shift` behind the legacy agent.
fn shift(snapshot: &Snapshot, change: &ShiftChange) -> String {
    let terms = match change {
        ShiftChange::Begin(terms) => terms,
        ShiftChange::Hold => return " --hold".to_owned(),
        ShiftChange::Resume => return " --resume".to_owned(),
        ShiftChange::Back => return " --back".to_owned(),
        ShiftChange::End => return " --end".to_owned(),
    };
    let mut words = format!(" {}", named(snapshot, terms.to));
    let usual = ShiftTerms::to(terms.to);
    if let Some(skill) = &terms.skill {
        words.push_str(&format!(" --skill={}", quoted(skill.raw())));
    }
    if terms.steps != usual.steps {
        let steps: Vec<String> = terms.steps.iter().map(ToString::to_string).collect();
        words.push_str(&format!(" --step={}", steps.join(",")));
    }
    if terms.time != usual.time {
        words.push_str(&format!(" --time={}s", terms.time.as_secs()));
    }
    if terms.jobs != usual.jobs {
        words.push_str(&format!(" --jobs={}", terms.jobs));
    }
    if terms.ok_limit != usual.ok_limit {
        words.push_str(&format!(" --ok-limit={}", terms.ok_limit));
    }
    words
}

fn metadata(json: Option<&Json>) -> String {
    json.map(|json| format!(" --metadata={}", quoted(json.raw()))).unwrap_or_default()
}

fn of_send(snapshot: &Snapshot, flags: &str, send: &Send) -> String {
    let context = send.context.as_ref().map(|context| format!(" --context-id={}", quoted(&context.raw())));
    let deadline = send.deadline.map(|limit| format!(" --deadline={}s", limit.as_secs()));
    let priority = send.priority.map(|priority| format!(" --priority={priority}"));
    let skill = send.skill.as_ref().filter(|_| matches!(send.target, Target::Agent(_)));
    let skill = skill.map(|skill| format!(" --skill={}", quoted(skill.raw())));
    let more: String = [skill, context, deadline, priority].into_iter().flatten().collect();
    format!(
        "{}quarterdeck{flags} send{}{more}{}{}",
        piped(&send.parts),
        target(snapshot, &send.target),
        metadata(send.metadata.as_ref()),
        parts(&send.parts)
    )
}

/// The command that does the same as an intent.
pub fn of_intent(snapshot: &Snapshot, flags: &str, intent: &Intent) -> String {
    let agent_of = |attempt: &Attempt| snapshot.agents.get(attempt.agent).map(reference).unwrap_or_default();
    let find =
        |id| snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id).map(|(_, attempt)| attempt);
    let task_of =
        |attempt: &Attempt| attempt.task.as_ref().map(|task| quoted(&task.id.raw())).unwrap_or_default();
    match intent {
        Intent::Send(send) => of_send(snapshot, flags, send),
        Intent::Answer { attempt, parts: answer, metadata: extra } => match find(*attempt) {
            Some(attempt) => format!(
                "{}quarterdeck{flags} send -a {} --task-id={}{}{}",
                piped(answer),
                agent_of(attempt),
                task_of(attempt),
                metadata(extra.as_ref()),
                parts(answer)
            ),
            None => String::new(),
        },
        Intent::Cancel { attempt, why } | Intent::CancelWithDelegated { attempt, why } => {
            let alone = if matches!(intent, Intent::Cancel { .. }) { " --no-cascade" } else { "" };
            let why = reason(why.as_ref());
            find(*attempt).map_or_else(String::new, |attempt| {
                let (agent, task) = (agent_of(attempt), task_id(attempt));
                format!("quarterdeck{flags} task cancel -a {agent}{alone}{why} {task}")
            })
        }
        Intent::CheckTask { attempt } => match find(*attempt) {
            Some(attempt) => {
                format!("quarterdeck{flags} task get -a {} {}", agent_of(attempt), task_id(attempt))
            }
            None => String::new(),
        },
        Intent::Resend { attempt, why } => {
            format!("quarterdeck{flags} task resend {attempt}{}", reason(why.as_ref()))
        }
        Intent::PresumeLost { attempt, why } => {
            format!("quarterdeck{flags} task presume-lost {attempt}{}", reason(why.as_ref()))
        }
        Intent::Retry { attempt, to, carry, why } => {
            format!("quarterdeck{flags} task retry {attempt}{}", anew(snapshot, *to, *carry, why.as_ref()))
        }
        Intent::Reroute { attempt, to, carry, why } => {
            format!("quarterdeck{flags} task reroute {attempt}{}", anew(snapshot, *to, *carry, why.as_ref()))
        }
        Intent::Race { attempt, to, why } => {
            let to = to.map(|to| format!(" --agent={}", named(snapshot, to))).unwrap_or_default();
            format!("quarterdeck{flags} task race {attempt}{to}{}", reason(why.as_ref()))
        }
        Intent::Requeue { job, to, why } => {
            format!(
                "quarterdeck{flags} queue retry {job}{}",
                anew(snapshot, *to, Carry::default(), why.as_ref())
            )
        }
        Intent::CheckAgent { .. } | Intent::AddAgents { .. } => format!("quarterdeck{flags} agents"),
        Intent::AddAgent { url, .. } => format!("quarterdeck{flags} agents --add={}", quoted(url)),
        Intent::RemoveAgent { agent, why, .. } => {
            let why = reason(why.as_ref());
            format!("quarterdeck{flags} agents --remove={}{why}", named(snapshot, *agent))
        }
        Intent::Service { agent, to, why, .. } => {
            format!(
                "quarterdeck{flags} drain {}{}{}",
                named(snapshot, *agent),
                service(to),
                reason(why.as_ref())
            )
        }
        Intent::Shift { agent, change, why, .. } => {
            let (agent, change) = (named(snapshot, *agent), shift(snapshot, change));
            format!("quarterdeck{flags} route shift {agent}{change}{}", reason(why.as_ref()))
        }
        Intent::Breaker { agent, to, why, .. } => {
            let agent = named(snapshot, *agent);
            let to = match to {
                Some(BreakerState::Open) => "open",
                Some(_) => "close",
                None => "auto",
            };
            format!("quarterdeck{flags} breaker {agent} {to}{}", reason(why.as_ref()))
        }
        Intent::OnProblem { number, act, .. } => on_problem(flags, *number, act),
        Intent::Note { problem, agent, attempt, text, .. }
        | Intent::TakeBackNote { problem, agent, attempt, text, .. } => {
            let named = |id: &AgentId| snapshot.agents.iter().find(|(_, row)| row.id == *id);
            let on = problem
                .map(|number| format!("p-{number}"))
                .or_else(|| attempt.map(|attempt| attempt.to_string()))
                .or_else(|| agent.as_ref().and_then(named).map(|(_, row)| reference(row)));
            let on = on.map(|on| format!(" --on {on}")).unwrap_or_default();
            let back = matches!(intent, Intent::TakeBackNote { .. });
            let back = if back { " --take-back" } else { "" };
            format!("quarterdeck{flags} note{back}{on} {}", positional(text.raw()))
        }
        Intent::Adopt { agent, task } => {
            let agent = named(snapshot, *agent);
            format!("quarterdeck{flags} task subscribe -a {agent} {}", positional(&task.raw()))
        }
    }
}

/// The flag that chooses all tasks of an agent.
pub fn agent_flag(agent: &Agent) -> String {
    format!(" --agent={}", quoted(agent.name.raw()))
}

/// An act on many tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bulk {
    /// Cancel them.
    Cancel {
        /// What they delegated stays as it is.
        alone: bool,
    },
    /// Try their jobs again.
    Retry,
    /// Move their jobs.
    Reroute,
}

/// The command that does an act to many tasks; `which` are their ids, or the flag that chooses them.
pub fn of_bulk(
    snapshot: &Snapshot,
    flags: &str,
    act: Bulk,
    which: &str,
    to: Option<AgentId>,
    why: &str,
) -> String {
    let verb = match act {
        Bulk::Cancel { alone: true } => "cancel --no-cascade",
        Bulk::Cancel { alone: false } => "cancel",
        Bulk::Retry => "retry",
        Bulk::Reroute => "reroute",
    };
    let why = if why.is_empty() { String::new() } else { format!(" --why={}", quoted(why)) };
    format!("quarterdeck{flags} task {verb}{which}{}{why}", elsewhere(snapshot, to))
}

fn on_problem(flags: &str, number: u32, act: &ProblemAct) -> String {
    match act {
        ProblemAct::Take => format!("quarterdeck{flags} problems take p-{number}"),
        ProblemAct::GiveBack => format!("quarterdeck{flags} problems give-back p-{number}"),
        ProblemAct::Unmute => format!("quarterdeck{flags} problems unmute p-{number}"),
        ProblemAct::Mute { time, why } => {
            let (time, why) = (time.as_secs(), reason(Some(why)));
            format!("quarterdeck{flags} problems mute p-{number} --for {time}s{why}")
        }
    }
}

/// The options of another attempt: where it goes, what it takes along, and why.
fn anew(snapshot: &Snapshot, to: Option<AgentId>, carry: Carry, why: Option<&Untrusted>) -> String {
    format!("{}{}{}", elsewhere(snapshot, to), carrying(carry), reason(why))
}

/// The options for what another attempt takes along.
fn carrying(carry: Carry) -> String {
    let context = match carry.context {
        CarryContext::Given => String::new(),
        context => format!(" --context={}", context.as_str()),
    };
    let history = match carry.history {
        CarryHistory::None => String::new(),
        history => format!(" --carry={}", history.as_str()),
    };
    context + &history
}

fn reason(why: Option<&Untrusted>) -> String {
    why.map(|why| format!(" --why={}", quoted(why.raw()))).unwrap_or_default()
}

/// The command for an agent's row.
pub fn of_agent(agent: &Agent, flags: &str) -> String {
    format!("quarterdeck{flags} card get -a {}", reference(agent))
}

/// A task, or an agent's card, by curl.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Curl {
    /// The command. A credential is named in it, never written.
    pub command: String,
    /// True if the agent requires a credential and the command names none, because its address is not at the origin
    /// that credentials are configured for.
    pub is_without_credential: bool,
}

/// The command that reads a task, or an agent's card, by curl.
pub fn curl(agent: &Agent, attempt: Option<&Attempt>) -> Option<Curl> {
    let url = match attempt.map(|attempt| attempt.task.as_ref()) {
        None => format!("{}/.well-known/agent-card.json", agent.spec.url.trim_end_matches('/')),
        Some(_) => agent.interface.as_ref()?.url.raw().to_owned(),
    };
    let asks = agent.card.as_ref().is_some_and(|card| !card.required_security.is_empty());
    // The operator did not configure agents that a source found, so no credential is set for them.
    let is_set = agent.spec.source != Source::Discovery && is_same_origin(&agent.spec.url, &url);
    let login = if asks && is_set { " -H \"authorization: Bearer $TOKEN\"" } else { "" };
    let command = match attempt.map(|attempt| attempt.task.as_ref()) {
        None => format!("curl -s{login} {}", quoted(&url)),
        Some(task) => {
            let (task, interface) = (task?, agent.interface.as_ref()?);
            let tenant = interface.tenant.as_ref().map(|tenant| tenant.raw());
            let body = codec(interface.dialect).encode_request("1", tenant, &Request::Get(&task.id));
            let version = if interface.dialect == Dialect::V1_0 { " -H 'a2a-version: 1.0'" } else { "" };
            format!(
                "curl -s {} -H 'content-type: application/json'{version}{login} -d {}",
                quoted(&url),
                quoted(&body)
            )
        }
    };
    Some(Curl { command, is_without_credential: asks && !is_set })
}
