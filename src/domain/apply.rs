//! The one place where facts become state. It is total and decides nothing.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::domain::agent::breaker::{Breaker, BreakerState};
use crate::domain::agent::replicas::{ReplicaKey, ReplicaMembership};
use crate::domain::agent::{Agent, Counts, Health};
use crate::domain::fact::{Fact, Owner, What};
use crate::domain::fleet::source::{SourceHealth, SourceRow};
use crate::domain::id::{AgentId, AttemptId, AttemptKey, JobId, JobKey};
use crate::domain::job::message::{Fingerprint, text_hash};
use crate::domain::job::task::CancelMark;
use crate::domain::job::{Answer, ArtifactMeta, Attempt, Job, Phase, Progress, Task};
use crate::domain::problem::{Kind, Muted, Problem, Subject, Taken};
use crate::domain::state::{Changed, State};
use crate::domain::time::At;

/// Takes a fact into the state. Facts about things that are not there change nothing.
pub fn apply(state: &mut State, fact: &Fact) {
    match fact.owner {
        Owner::Watch => {
            state.watch_seq = fact.seq;
            apply_to_watch(state, fact);
        }
        Owner::Agent(id) => apply_to_agent(state, id, fact),
        Owner::Job(id) => apply_to_job(state, id, fact),
    }
}

fn apply_to_watch(state: &mut State, fact: &Fact) {
    match &fact.what {
        What::ProblemRaised { number, kind, agent, source, text, next, .. } => {
            let agent = agent.and_then(|id| state.agent_key(id));
            let objective = source.clone().filter(|_| *kind == Kind::ObjectiveMissed);
            let source = source.as_deref().and_then(|name| state.source_key(name));
            let subject = match &objective {
                Some(name) => Subject::objective(name),
                None => Subject::of(*kind, agent, source),
            };
            state.last_problem = state.last_problem.max(*number);
            state.insert_problem(Problem {
                number: *number,
                kind: *kind,
                subject,
                agent: subject.one(),
                objective,
                text: text.clone(),
                next: next.clone(),
                since: fact.at,
                cleared: None,
                taken: None,
                muted: None,
            });
        }
        What::ProblemReworded { number, text, next } => edit_problem(state, *number, |problem| {
            problem.text = text.clone();
            problem.next = next.clone();
        }),
        What::ProblemCleared { number, .. } => {
            edit_problem(state, *number, |problem| problem.cleared = Some(fact.at));
            let key = state.problem_numbers.get(number).copied();
            if let Some(key) = key
                && let Some(problem) = state.problems.get(key)
                && state.raised.get(&(problem.kind, problem.subject)) == Some(&key)
            {
                state.raised.remove(&(problem.kind, problem.subject));
            }
        }
        What::ProblemTaken { number, by } => edit_problem(state, *number, |problem| {
            problem.taken = Some(Taken { by: by.clone(), at: fact.at });
        }),
        What::ProblemGivenBack { number, .. } => {
            edit_problem(state, *number, |problem| problem.taken = None);
        }
        What::ProblemMuted { number, by, why, until } => edit_problem(state, *number, |problem| {
            problem.muted = Some(Muted { by: by.clone(), why: why.clone(), until: *until });
        }),
        What::ProblemUnmuted { number, .. } => {
            edit_problem(state, *number, |problem| problem.muted = None);
        }
        What::ProblemForgotten { number } => {
            if let Some(key) = state.problem_numbers.remove(number) {
                if let Some(gone) = state.problems.remove(key)
                    && state.raised.get(&(gone.kind, gone.subject)) == Some(&key)
                {
                    state.raised.remove(&(gone.kind, gone.subject));
                }
                state.changes.push(Changed::Problem(key));
            }
        }
        What::SourceListed { spec } => {
            let known = state.source_key(&spec.name).and_then(|key| state.sources.get(key)).cloned();
            let row = match known {
                Some(known) => SourceRow { spec: spec.clone(), ..known },
                None => SourceRow {
                    spec: spec.clone(),
                    health: SourceHealth::Unknown,
                    since: fact.at,
                    cause: None,
                    agents: 0,
                },
            };
            state.insert_source(row);
        }
        What::SourceUnlisted { name } => {
            if let Some(key) = state.source_names.remove(name) {
                state.sources.remove(key);
                state.changes.push(Changed::Source(key));
            }
        }
        What::SourceTold { name, health, cause, agents } => {
            if let Some(key) = state.source_key(name)
                && let Some(row) = state.sources.get_mut(key)
            {
                if row.health != *health {
                    row.since = fact.at;
                }
                row.health = *health;
                row.cause.clone_from(cause);
                row.agents = *agents;
                state.changes.push(Changed::Source(key));
            }
        }
        _ => {}
    }
}

fn edit_problem(state: &mut State, number: u32, edit: impl FnOnce(&mut Problem)) {
    if let Some(key) = state.problem_numbers.get(&number).copied()
        && let Some(problem) = state.problems.get_mut(key)
    {
        edit(problem);
        state.changes.push(Changed::Problem(key));
    }
}

fn apply_to_agent(state: &mut State, id: AgentId, fact: &Fact) {
    if let What::AgentListed { spec, order, name } = &fact.what {
        let key = state.agents.insert(Agent {
            id,
            seq: fact.seq,
            order: *order,
            spec: spec.clone(),
            name: name.clone(),
            listed: true,
            sources: Arc::default(),
            card: None,
            replica_key: None,
            server: None,
            card_since: At::ZERO,
            card_change: None,
            certificate_until: None,
            interface: None,
            settled: None,
            health: Health::Unknown,
            since: fact.at,
            cause: None,
            last_seen: At::ZERO,
            breaker: Breaker::default(),
            oddities: 0,
            disarmed: 0,
            counts: Counts::default(),
        });
        state.agent_ids.insert(id, key);
        state.changes.push(Changed::Agent(key));
        return;
    }
    let Some(key) = state.agent_key(id) else { return };
    let Some(agent) = state.agents.get_mut(key) else { return };
    let before = ReplicaMembership::of(agent);
    agent.seq = fact.seq;
    match &fact.what {
        What::AgentRelisted { spec, order } => {
            agent.spec = spec.clone();
            agent.order = *order;
            agent.listed = true;
        }
        What::AgentSourced { sources } => agent.sources = sources.as_slice().into(),
        What::AgentUnlisted => agent.listed = false,
        What::AgentNamed { name } => agent.name = name.clone(),
        What::CardSeen { card } => {
            agent.replica_key = ReplicaKey::of(card);
            agent.card = Some(card.clone());
            agent.card_since = fact.at;
        }
        What::CertificateSeen { until } => agent.certificate_until = *until,
        What::ServerSeen { server } => agent.server.clone_from(server),
        What::CardChanged { words } => agent.card_change = Some((fact.at, words.clone())),
        What::InterfaceChosen { interface } => agent.interface.clone_from(interface),
        What::DialectSettled { dialect } => agent.settled = Some(*dialect),
        What::HealthChanged { health, cause, last_seen } => {
            if agent.health != *health {
                agent.since = fact.at;
            }
            agent.health = *health;
            agent.cause.clone_from(cause);
            agent.last_seen = *last_seen;
        }
        What::BreakerMoved { position, cause, forced } => {
            let opened = match position {
                BreakerState::Open => agent.breaker.opened.saturating_add(1),
                BreakerState::HalfOpen => agent.breaker.opened,
                BreakerState::Closed => 0,
            };
            agent.breaker = Breaker {
                position: *position,
                since: fact.at,
                cause: cause.clone(),
                forced: forced.clone(),
                opened,
            };
        }
        What::TextDisarmed { count } => agent.disarmed = agent.disarmed.saturating_add(*count),
        _ => {}
    }
    let after = ReplicaMembership::of(agent);
    state.replicas.moved(key, &before, &after);
    state.changes.push(Changed::Agent(key));
}

fn apply_to_job(state: &mut State, id: JobId, fact: &Fact) {
    if let What::JobOpened { origin, title, caller, skill, context, parent, message } = &fact.what {
        state.insert_job(Job {
            id,
            seq: fact.seq,
            title: title.clone(),
            origin: *origin,
            caller: caller.clone(),
            skill: skill.clone(),
            context: context.clone(),
            parent: parent.clone(),
            created: fact.at,
            attempts: SmallVec::new(),
            message: message.clone(),
        });
        return;
    }
    let Some(key) = state.job_key(id) else { return };
    let Some(job) = state.jobs.get_mut(key) else { return };
    job.seq = fact.seq;
    match &fact.what {
        What::JobExplained { title, caller, skill, parent } => {
            job.title = title.clone();
            job.caller.clone_from(caller);
            job.skill.clone_from(skill);
            let before = std::mem::replace(&mut job.parent, parent.clone());
            if let (None, Some(parent)) = (before, parent) {
                state.children.entry(parent.clone()).or_default().push(key);
            }
        }
        What::AttemptPlanned { attempt, agent, message_id } => {
            let number = u16::try_from(job.attempts.len() + 1).unwrap_or(u16::MAX);
            if let Some(agent) = state.agent_key(*agent) {
                state.insert_attempt(Attempt {
                    id: *attempt,
                    job: key,
                    number,
                    agent,
                    message_id: message_id.clone(),
                    phase: Phase::Planned,
                    phase_since: fact.at,
                    created: fact.at,
                    cause: None,
                    task: None,
                    answer: None,
                    progress: None,
                });
            }
        }
        What::JobForgotten => state.remove_job(key),
        what => {
            let attempt = attempt_of(what).and_then(|id| state.attempt_key(id));
            if let Some(attempt) = attempt {
                state.changes.push(Changed::Story(key));
                return apply_to_attempt(state, key, attempt, fact);
            }
        }
    }
    state.changes.push(Changed::Job(key));
}

/// The attempt that a fact of a job is about.
pub fn attempt_of(what: &What) -> Option<AttemptId> {
    match what {
        What::AttemptPlanned { attempt, .. }
        | What::AttemptMoved { attempt, .. }
        | What::TaskSeen { attempt, .. }
        | What::StateSeen { attempt, .. }
        | What::ClaimSeen { attempt, .. }
        | What::MessageSeen { attempt, .. }
        | What::ArtifactSeen { attempt, .. }
        | What::GapOpened { attempt, .. }
        | What::GapClosed { attempt, .. }
        | What::VerdictChanged { attempt, .. }
        | What::CancelMoved { attempt, .. }
        | What::CancelIgnored { attempt, .. }
        | What::AnswerMoved { attempt, .. }
        | What::ReasonGiven { attempt, .. }
        | What::OddityObserved { attempt, .. }
        | What::Settled { attempt } => Some(*attempt),
        _ => None,
    }
}

fn apply_to_attempt(state: &mut State, job: JobKey, key: AttemptKey, fact: &Fact) {
    if let What::OddityObserved { .. } = &fact.what {
        let agent = state.attempts.get(key).map(|attempt| attempt.agent);
        if let Some(key) = agent
            && let Some(agent) = state.agents.get_mut(key)
        {
            agent.oddities = agent.oddities.saturating_add(1);
            state.changes.push(Changed::Agent(key));
        }
    }
    if matches!(fact.what, What::MessageSeen { .. } | What::ArtifactSeen { .. }) {
        return state.touch_attempt(key, |attempt| change_attempt(attempt, fact));
    }
    let mut needs_no_message = false;
    state.edit_attempt(key, |attempt| {
        change_attempt(attempt, fact);
        needs_no_message = attempt.task.is_some() || attempt.phase.is_over();
    });
    // A message is kept only while a resend may need it.
    if needs_no_message && state.jobs.get_mut(job).is_some_and(|row| row.message.take().is_some()) {
        state.changes.push(Changed::Job(job));
    }
}

fn change_attempt(attempt: &mut Attempt, fact: &Fact) {
    let at = fact.at;
    match &fact.what {
        What::AttemptMoved { phase, cause, .. } => {
            attempt.phase = *phase;
            attempt.phase_since = at;
            attempt.cause.clone_from(cause);
        }
        What::TaskSeen { task, context, state, peer_time, .. } => {
            attempt.phase = Phase::Accepted;
            attempt.phase_since = at;
            attempt.cause = None;
            attempt.progress.get_or_insert_default();
            attempt.task = Some(Task {
                id: task.clone(),
                context: context.clone(),
                state: state.clone(),
                state_since: at,
                peer_time: *peer_time,
                says: None,
                verdict: None,
                cancel: None,
                ignored: false,
                last_sign: at,
                gap_since: None,
                note: None,
                artifacts: 0,
                bytes: 0,
                settled: false,
            });
        }
        What::AnswerMoved { message, phase, cause, .. } => {
            attempt.answer = if *phase == Phase::Accepted {
                None
            } else {
                Some(Box::new(Answer { message: message.clone(), phase: *phase, cause: cause.clone() }))
            };
        }
        What::MessageSeen { message, status, .. } => {
            let progress = Arc::make_mut(attempt.progress.get_or_insert_default());
            let hash = text_hash(&message.id.raw());
            if !progress.messages.contains(&hash) {
                if progress.messages.len() == Progress::MESSAGES {
                    progress.messages.remove(0);
                }
                progress.messages.push(hash);
            }
            if let Some(task) = &mut attempt.task {
                task.last_sign = at;
                if *status {
                    let words = message.headline(200);
                    task.note = (!words.is_empty()).then_some(words);
                }
            }
        }
        What::ArtifactSeen { artifact, name, append, parts, last, .. } => {
            let progress = Arc::make_mut(attempt.progress.get_or_insert_default());
            let at_index = progress.artifacts.iter().position(|meta| meta.id == *artifact);
            let index = at_index.unwrap_or_else(|| {
                progress.artifacts.push(ArtifactMeta {
                    id: artifact.clone(),
                    name: name.clone(),
                    print: Fingerprint::default(),
                    closed: false,
                });
                progress.artifacts.len() - 1
            });
            let meta = &mut progress.artifacts[index];
            if !append {
                meta.print = Fingerprint::default();
            }
            if name.is_some() {
                meta.name.clone_from(name);
            }
            meta.print.add_parts(parts);
            meta.closed = *last;
            let bytes = progress.artifacts.iter().map(|meta| meta.print.bytes).sum();
            let artifacts = u16::try_from(progress.artifacts.len()).unwrap_or(u16::MAX);
            if let Some(task) = &mut attempt.task {
                task.last_sign = at;
                task.bytes = bytes;
                task.artifacts = artifacts;
            }
        }
        What::Settled { .. } => {
            attempt.progress = None;
            if let Some(task) = &mut attempt.task {
                task.settled = true;
                task.gap_since = None;
            }
        }
        what => {
            if let Some(task) = &mut attempt.task {
                change_task(task, what, at);
            }
        }
    }
}

fn change_task(task: &mut Task, what: &What, at: At) {
    match what {
        What::StateSeen { state, context, peer_time, .. } => {
            if task.context.is_none() {
                task.context.clone_from(context);
            }
            if task.state != *state {
                task.state_since = at;
                task.note = None;
            }
            task.state = state.clone();
            task.peer_time = peer_time.or(task.peer_time);
            task.last_sign = at;
            if task.state.is_terminal() {
                task.gap_since = None;
            }
        }
        What::ClaimSeen { says, .. } => task.says.clone_from(says),
        What::GapOpened { since, .. } => task.gap_since = Some(*since),
        What::GapClosed { .. } => task.gap_since = None,
        What::VerdictChanged { verdict, .. } => task.verdict = *verdict,
        What::CancelMoved { mark, .. } => {
            task.cancel = Some(*mark);
            // Asked anew, it may be heard this time.
            task.ignored &= *mark != CancelMark::Asked;
        }
        What::CancelIgnored { .. } => task.ignored = true,
        _ => {}
    }
}
