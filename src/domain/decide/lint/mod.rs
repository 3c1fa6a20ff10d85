//! Lints over everything that a step has touched: each detects one kind of fault and describes it.

mod agent;
pub(in crate::domain) mod groups;
pub(in crate::domain) mod names;
pub(super) mod objectives;
mod tasks;
#[cfg(test)]
mod tests;
mod versions;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::decide::live::Timer;
use crate::domain::decide::notifications;
use crate::domain::decide::turn::Turn;
use crate::domain::fact::FleetFact;
use crate::domain::fleet::source::SourceHealth;
use crate::domain::id::{AgentKey, AttemptKey, SourceKey};
use crate::domain::problem::{Kind, Subject};
use crate::domain::text::Untrusted;

/// A fault found by a lint, described.
struct Finding {
    kind: Kind,
    text: String,
    next: Cow<'static, str>,
    /// It does no more harm.
    eased: bool,
}

/// Checks everything that the step has touched; raises, rewords and clears problems.
pub(super) fn run(turn: &mut Turn) {
    let touched = std::mem::take(&mut turn.touched);
    if touched.console {
        about_console(turn);
    }
    let mut changed = BTreeSet::new();
    for key in &touched.attempts {
        tasks::place(turn, *key, &mut changed);
    }
    for (agent, kind) in changed {
        about_tasks(turn, agent, kind);
    }
    for key in &touched.agents {
        about_agent(turn, *key);
    }
    for key in &touched.versions {
        versions::old(turn, *key);
    }
    versions::mixed(turn, &touched.replica_keys);
    for key in &touched.sources {
        let found = about_source(turn, *key);
        reconcile(turn, Subject::Source(*key), &[Kind::SourceFailing], found.into_iter().collect());
    }
    // More may have been raised than can be posted.
    if turn.touched.console {
        about_console(turn);
    }
    turn.touched = touched;
}

fn about_console(turn: &mut Turn) {
    let settles =
        turn.live.saved_since.is_some_and(|since| turn.at.since(since) < turn.rules.journal_settles);
    let unsaved = match &turn.live.unsaved {
        Some(why) => Some(Finding {
            kind: Kind::JournalUnsaved,
            text: format!("the journal cannot be written: {why}"),
            next: "free disk space or unlock the file; actions are refused until then".into(),
            eased: false,
        }),
        None => settles.then(|| Finding {
            kind: Kind::JournalUnsaved,
            text: "the journal could not be written for a while; now it can".into(),
            next: "check that the disk has room; this clears after a minute without a failure".into(),
            eased: true,
        }),
    };
    let unposted = turn.live.unposted.as_ref().map(|why| Finding {
        kind: Kind::WebhookFailing,
        text: format!("problems cannot be posted: {why}"),
        next: "check the webhook, or correct notify.webhook; nobody is notified meanwhile".into(),
        eased: false,
    });
    let unread = turn.live.routes_fault.as_ref().map(|why| Finding {
        kind: Kind::RoutesUnread,
        text: format!("the changed configuration cannot be read: {why}"),
        next: "correct the file, which is then read again; the earlier rules stay in force until then".into(),
        eased: false,
    });
    let kinds = [Kind::JournalUnsaved, Kind::WebhookFailing, Kind::RoutesUnread];
    reconcile(turn, Subject::Console, &kinds, unsaved.into_iter().chain(unposted).chain(unread).collect());
}

fn about_agent(turn: &mut Turn, key: AgentKey) {
    groups::place(turn, key);
    names::look(turn, key);
    about_one(turn, key);
}

fn about_one(turn: &mut Turn, key: AgentKey) {
    if let Some(found) = agent::findings(turn, key) {
        reconcile(turn, Subject::Agent(key), agent::KINDS, found);
    }
    if let Some(due) = agent::due(turn, key) {
        turn.set_timer_by(Timer::Lint(key), due);
    }
}

fn about_tasks(turn: &mut Turn, agent: AgentKey, kind: Kind) {
    let found = tasks::finding(turn, agent, kind);
    reconcile(turn, Subject::Agent(agent), &[kind], found.into_iter().collect());
}

/// Clears the problems of sources that are no longer configured.
pub(super) fn clear_source(turn: &mut Turn, key: SourceKey) {
    reconcile(turn, Subject::Source(key), &[Kind::SourceFailing, Kind::SourceDown], Vec::new());
}

/// Clears the problems of attempts that are about to be removed.
pub(super) fn forget(turn: &mut Turn, attempts: &[AttemptKey]) {
    let mut changed = BTreeSet::new();
    for key in attempts {
        tasks::leave(turn, *key, &mut changed);
    }
    for (agent, kind) in changed {
        about_tasks(turn, agent, kind);
    }
}

/// Brings the stored problems in line with the rows after a start.
pub(super) fn resume(turn: &mut Turn) {
    let agents: Vec<_> = turn.state().agents().iter().map(|(key, _)| key).collect();
    // An earlier version reported each task separately: of several open problems of a kind, one stays open.
    let double: Vec<_> = turn
        .state()
        .problems()
        .iter()
        .filter(|(key, problem)| {
            problem.cleared.is_none() && turn.state().raised_key(problem.kind, problem.subject) != Some(*key)
        })
        .map(|(_, problem)| problem.number)
        .collect();
    for number in double {
        clear(turn, number, None);
    }
    groups::resume(turn);
    names::resume(turn);
    objectives::resume(turn);
    let replica_keys: Vec<_> = turn.state().replicas().groups().map(|(key, _)| key.clone()).collect();
    versions::mixed(turn, &replica_keys);
    for agent in agents {
        let attention: Vec<_> = turn.state().attention().of(agent).collect();
        let mut changed: BTreeSet<_> =
            tasks::open(turn, agent).into_iter().map(|kind| (agent, kind)).collect();
        for key in attention {
            tasks::place(turn, key, &mut changed);
        }
        for (agent, kind) in changed {
            about_tasks(turn, agent, kind);
        }
    }
}

fn about_source(turn: &Turn, key: SourceKey) -> Option<Finding> {
    let row = turn.state().sources().get(key).filter(|row| row.health == SourceHealth::Failing)?;
    let cause = row.cause.as_deref();
    let why = cause.map_or_else(String::new, |cause| format!(": {cause}"));
    Some(Finding {
        kind: Kind::SourceFailing,
        text: format!("source {} cannot be read{why}", row.spec.name),
        next: cause.map_or("check the source", |cause| cause.next_step_of_source()).into(),
        eased: false,
    })
}

/// Brings the open problems of a subject in line with the findings.
fn reconcile(turn: &mut Turn, subject: Subject, kinds: &[Kind], found: Vec<Finding>) {
    // Nearly always there was no problem, and none is found.
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
                    let next = Untrusted::from(&*finding.next);
                    let eased = finding.eased;
                    turn.fleet_fact(FleetFact::ProblemReworded { number, text: new, next, eased });
                }
            }
            (Some((number, _)), None) => {
                let into = match (*kind, subject) {
                    (Kind::AgentDown | Kind::AgentFrozen, Subject::Agent(key)) => {
                        groups::covering_problem(turn, key).map(|problem| problem.number)
                    }
                    _ => None,
                };
                clear(turn, number, into);
            }
            (None, None) => {}
        }
    }
}

fn clear(turn: &mut Turn, number: u32, into: Option<u32>) {
    turn.fleet_fact(FleetFact::ProblemCleared { number, into });
    notifications::cleared(turn, number, into);
}

fn raise(turn: &mut Turn, subject: Subject, finding: &Finding) {
    let state = turn.state();
    let (mut agent, mut attempt, mut source) = (None, None, None);
    match subject {
        Subject::Console => {}
        Subject::Objective(_) => {
            let names = turn.rules.objectives.iter().map(ToString::to_string);
            source = names.into_iter().find(|name| Subject::objective(name) == subject).map(Into::into);
        }
        Subject::Source(key) => source = state.sources().get(key).map(|row| row.spec.name.clone()),
        Subject::Agent(key) | Subject::Host(key) => {
            agent = state.agent(key).map(|agent| agent.id);
            let first = turn.live.members.get(&(key, finding.kind)).and_then(BTreeSet::first);
            attempt = first.and_then(|first| {
                let first = state.attempt(*first)?;
                Some((state.job_of(first)?.id, first.id))
            });
        }
    }
    let number = state.next_problem();
    turn.fleet_fact(FleetFact::ProblemRaised {
        number,
        kind: finding.kind,
        agent,
        attempt,
        source,
        text: finding.text.as_str().into(),
        next: Untrusted::from(&*finding.next),
    });
    notifications::raised(turn, number);
}
