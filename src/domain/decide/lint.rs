//! Lints over what a step has touched: each finds one kind of fault and says it in words.

use std::collections::BTreeMap;

use super::super::agent::{Agent, Health};
use super::super::core::Turn;
use super::super::discovery::SourceHealth;
use super::super::fact::What;
use super::super::id::{AgentKey, AttemptKey, SourceKey};
use super::super::job::{Attempt, Phase};
use super::super::problem::{Kind, Subject};
use super::super::task::{CancelMark, Verdict};
use super::super::text::Untrusted;

/// What a lint found, in words.
struct Finding {
    kind: Kind,
    text: String,
    next: &'static str,
}

/// Looks at everything that the step has touched; raises, rewords and clears.
pub(super) fn run(turn: &mut Turn) {
    let touched = std::mem::take(&mut turn.touched);
    if touched.console {
        let found = turn.core.live.unsaved.as_ref().map(|why| Finding {
            kind: Kind::JournalUnsaved,
            text: format!("the journal cannot be written: {why}"),
            next: "free the disk or unlock the file; acting is refused until then",
        });
        settle(turn, Subject::Console, &[Kind::JournalUnsaved], found.into_iter().collect());
    }
    for key in &touched.agents {
        let found = about_agent(turn, *key);
        settle(turn, Subject::Agent(*key), AGENT_KINDS, found);
    }
    for key in &touched.attempts {
        let found = about_attempt(turn, *key);
        settle(turn, Subject::Attempt(*key), ATTEMPT_KINDS, found);
    }
    for key in &touched.sources {
        let found = about_source(turn, *key);
        settle(turn, Subject::Source(*key), &[Kind::SourceFailing], found.into_iter().collect());
    }
    turn.touched = touched;
}

/// A source that is no longer configured has no problems.
pub(super) fn clear_source(turn: &mut Turn, key: SourceKey) {
    settle(turn, Subject::Source(key), &[Kind::SourceFailing], Vec::new());
}

fn about_source(turn: &Turn, key: SourceKey) -> Option<Finding> {
    let row = turn.state().sources().get(key).filter(|row| row.health == SourceHealth::Failing)?;
    let cause = row.cause.as_deref();
    let why = cause.map_or_else(String::new, |cause| format!(": {cause}"));
    Some(Finding {
        kind: Kind::SourceFailing,
        text: format!("source {} cannot be read{why}", row.spec.name),
        next: cause.map_or("look at the source", |cause| cause.next_step_of_source()),
    })
}

const AGENT_KINDS: &[Kind] = &[
    Kind::AgentDown,
    Kind::LoginNeeded,
    Kind::AgentDegraded,
    Kind::NotSpoken,
    Kind::ProtocolBroken,
    Kind::HostileText,
];

fn about_agent(turn: &Turn, key: AgentKey) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(agent) = turn.state().agent(key).filter(|agent| agent.listed) else { return found };
    if let Some((kind, at_risk)) = match agent.health {
        Health::Down => Some((Kind::AgentDown, true)),
        Health::LoginNeeded => Some((Kind::LoginNeeded, false)),
        Health::Degraded => Some((Kind::AgentDegraded, true)),
        Health::NotSpoken => Some((Kind::NotSpoken, false)),
        Health::Unknown | Health::Up | Health::Stale => None,
    } {
        found.push(health_finding(agent, kind, at_risk));
    }
    if agent.oddities > 0 {
        let times = if agent.oddities == 1 { "once" } else { "more than once" };
        found.push(Finding {
            kind: Kind::ProtocolBroken,
            text: format!("did what the protocol does not allow, {times}"),
            next: "see its tasks' stories and the wire view; tell its owner",
        });
    }
    if agent.disarmed > 0 {
        found.push(Finding {
            kind: Kind::HostileText,
            text: "sent control sequences; shown as text, none obeyed".into(),
            next: "see the wire view; tell its owner, or stop using it",
        });
    }
    found
}

fn health_finding(agent: &Agent, kind: Kind, at_risk: bool) -> Finding {
    let cause = agent.cause.as_deref();
    let why = cause.map_or_else(String::new, ToString::to_string);
    let mut text = match kind {
        Kind::AgentDown => format!("is down: {why}"),
        Kind::LoginNeeded => format!("needs a login: {why}"),
        Kind::NotSpoken => why,
        _ => format!("is degraded: {why}"),
    };
    if at_risk && agent.counts.live > 0 {
        let tasks = if agent.counts.live == 1 { "task" } else { "tasks" };
        text.push_str(&format!("; {} {tasks} at risk", agent.counts.live));
    }
    Finding { kind, text, next: cause.map_or("look at the agent", |cause| cause.next_step()) }
}

const ATTEMPT_KINDS: &[Kind] = &[
    Kind::SendUncertain,
    Kind::TaskLost,
    Kind::TaskStalled,
    Kind::TaskSilent,
    Kind::TaskConflict,
    Kind::CancelIgnored,
    Kind::CancelUnconfirmed,
];

fn about_attempt(turn: &Turn, key: AttemptKey) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(attempt) = turn.state().attempt(key) else { return found };
    if attempt.phase == Phase::Uncertain {
        let why = attempt.cause.as_deref().map_or_else(String::new, |cause| format!(": {cause}"));
        found.push(Finding {
            kind: Kind::SendUncertain,
            text: format!("may or may not have taken {}{why}", subject(turn, attempt)),
            next: "r: send it again with the same id, or take it as lost",
        });
    }
    let Some(task) = &attempt.task else { return found };
    let cancels = matches!(task.cancel, Some(CancelMark::Agreed | CancelMark::Unconfirmed));
    if matches!(task.verdict, Some(Verdict::Stale) | None) && !cancels {
        return found;
    }
    let words = subject(turn, attempt);
    let says = task.says.as_ref().map_or_else(|| task.state.word(), |says| says.word());
    match task.verdict {
        Some(Verdict::Lost) => found.push(Finding {
            kind: Kind::TaskLost,
            text: format!("no longer knows {words}"),
            next: "it was lost when its agent restarted; send it again if it is still wanted",
        }),
        Some(Verdict::Stalled) => found.push(Finding {
            kind: Kind::TaskStalled,
            text: format!("cut the stream of {words} and still says {says}"),
            next: "look at the agent; cancel the task or wait",
        }),
        Some(Verdict::Silent) => found.push(Finding {
            kind: Kind::TaskSilent,
            text: format!("says {says} and sends nothing about {words}"),
            next: "look at the agent; cancel the task or wait",
        }),
        Some(Verdict::Conflict) => found.push(Finding {
            kind: Kind::TaskConflict,
            text: format!("ended {words} as {}, and also says {says}", task.state.word()),
            next: "believe neither before you have looked at its result",
        }),
        Some(Verdict::Stale) | None => {}
    }
    if !task.is_over() && cancels {
        let watch = turn.core.live.watches.get(&key);
        if watch.is_some_and(|watch| watch.alarmed > 0) {
            found.push(Finding {
                kind: Kind::CancelIgnored,
                text: format!("agreed to end {words} and goes on"),
                next: "stop the agent itself; its yes is worth nothing",
            });
        } else if task.cancel == Some(CancelMark::Unconfirmed) {
            found.push(Finding {
                kind: Kind::CancelUnconfirmed,
                text: format!("did not confirm the end of {words}"),
                next: "it is asked again until it is known; look at the agent",
            });
        }
    }
    found
}

fn subject(turn: &Turn, attempt: &Attempt) -> String {
    let title =
        turn.state().job_of(attempt).map(|job| job.title.shortened(40)).filter(|title| !title.is_empty());
    match (&attempt.task, title) {
        (Some(task), Some(title)) => format!("task {} \"{title}\"", task.id.short()),
        (Some(task), None) => format!("task {}", task.id.short()),
        (None, Some(title)) => format!("\"{title}\""),
        (None, None) => "a message".into(),
    }
}

/// Brings the open problems of a subject in line with what was found.
fn settle(turn: &mut Turn, subject: Subject, kinds: &[Kind], found: Vec<Finding>) {
    // Nearly every step finds nothing where nothing was.
    if found.is_empty() && turn.state().raises_nothing() {
        return;
    }
    let mut found: BTreeMap<Kind, Finding> =
        found.into_iter().map(|finding| (finding.kind, finding)).collect();
    for kind in kinds {
        let raised =
            turn.state().raised(*kind, subject).map(|problem| (problem.number, problem.text.clone()));
        match (raised, found.remove(kind)) {
            (None, Some(finding)) => raise(turn, subject, &finding),
            (Some((number, text)), Some(finding)) => {
                let new = Untrusted::from(finding.text);
                if new != text {
                    turn.watch_fact(What::ProblemReworded { number, text: new, next: finding.next.into() });
                }
            }
            (Some((number, _)), None) => turn.watch_fact(What::ProblemCleared { number }),
            (None, None) => {}
        }
    }
}

fn raise(turn: &mut Turn, subject: Subject, finding: &Finding) {
    let state = turn.state();
    let (agent, attempt) = match subject {
        Subject::Console | Subject::Source(_) => (None, None),
        Subject::Agent(key) => (state.agent(key).map(|agent| agent.id), None),
        Subject::Attempt(key) => {
            let attempt = state.attempt(key);
            let agent = attempt.and_then(|attempt| state.agent(attempt.agent)).map(|agent| agent.id);
            let ids = attempt.and_then(|attempt| Some((state.job_of(attempt)?.id, attempt.id)));
            (agent, ids)
        }
    };
    let source = match subject {
        Subject::Source(key) => state.sources().get(key).map(|row| row.spec.name.clone()),
        _ => None,
    };
    let number = state.next_problem();
    turn.watch_fact(What::ProblemRaised {
        number,
        kind: finding.kind,
        agent,
        attempt,
        source,
        text: finding.text.as_str().into(),
        next: finding.next.into(),
    });
}
