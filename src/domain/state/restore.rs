//! The rows of a store, and the state that they make.

use std::sync::Arc;

use crate::domain::agent::replicas::ReplicaMembership;
use crate::domain::agent::{Agent, Counts};
use crate::domain::fleet::source::SourceRow;
use crate::domain::id::{AgentId, JobKey};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::{Attempt, Job, Origin, Phase};
use crate::domain::problem::{Kind, Problem, Subject};
use crate::domain::state::State;
use crate::domain::state::index::Index;

impl State {
    /// Restores rows loaded from a store; builds indexes and counts. A secret salt keeps agents from choosing ids that
    /// collide.
    pub fn restore(rows: Rows, salt: u64) -> Self {
        let mut state = Self {
            fleet_seq: rows.fleet_seq,
            last_problem: rows.last_problem,
            job_ids: Index::new(salt),
            attempt_ids: Index::new(salt),
            tasks: Index::new(salt),
            ..Self::default()
        };
        for mut agent in rows.agents {
            let id = agent.id;
            agent.counts = Counts::default();
            let standing = ReplicaMembership::of(&agent);
            let sources = agent.sources.clone();
            state.next_order = state.next_order.max(agent.order.saturating_add(1));
            let key = state.agents.insert(agent);
            state.name_by(key, &[], &sources);
            state.replicas.moved(key, &ReplicaMembership::nowhere(), &standing);
            state.agent_ids.insert(id, key);
        }
        let shifted = state.agents.iter().filter(|(_, agent)| agent.shift.is_some());
        let shifted: Vec<_> = shifted.map(|(_, agent)| agent.id).collect();
        for legacy in shifted {
            state.place_shift(legacy);
        }
        for (job, attempts) in rows.jobs {
            let key = state.insert_job(job);
            for (attempt, agent) in attempts {
                if let Some(agent) = state.agent_key(agent) {
                    state.insert_attempt(Attempt { job: key, agent, ..attempt });
                }
            }
            state.end_old_job(key);
        }
        for source in rows.sources {
            state.insert_source(source);
        }
        for row in rows.problems {
            let subject = match (row.source, row.agent) {
                (Some(name), _) if row.problem.kind == Kind::ObjectiveMissed => {
                    Some(Subject::objective(&name))
                }
                (Some(source), _) => state.source_key(&source).map(Subject::Source),
                (None, Some(agent)) => {
                    state.agent_key(agent).map(|key| Subject::of(row.problem.kind, Some(key), None))
                }
                (None, None) => Some(Subject::Console),
            };
            if let Some(subject) = subject {
                state.insert_problem(Problem { subject, agent: subject.one(), ..row.problem });
            }
        }
        let keys: Vec<_> = state.agents.iter().map(|(key, _)| key).collect();
        for key in keys {
            state.place_departed(key);
        }
        state.changes.clear();
        state
    }

    /// Version 0.1.0 did not record that a job was over: one that was sent to a named agent was, once its attempt was.
    fn end_old_job(&mut self, key: JobKey) {
        let Some(job) = self.jobs.get(key) else { return };
        let ended = |key: &crate::domain::id::AttemptKey| {
            self.attempts
                .get(*key)
                .is_some_and(|attempt| !attempt.is_live() && attempt.phase != Phase::Uncertain)
        };
        let sent = job.origin == Origin::Sent && job.phase == JobPhase::Running && job.plan.is_none();
        if sent && !job.attempts.is_empty() && job.attempts.iter().all(ended) {
            self.edit_job(key, |job| job.phase = JobPhase::Over);
        }
    }
}

/// Entity rows as a store keeps them: related by durable ids.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The number of the fleet's last fact.
    pub fleet_seq: u64,
    /// The highest problem number ever given.
    pub last_problem: u32,
    /// The agents.
    pub agents: Vec<Agent>,
    /// The jobs, each with its attempts in order and the agents of those.
    pub jobs: Vec<(Job, Vec<(Attempt, AgentId)>)>,
    /// The sources of agents.
    pub sources: Vec<SourceRow>,
    /// The problems.
    pub problems: Vec<ProblemRow>,
}

/// A problem whose subject is named by durable ids.
#[derive(Clone, Debug)]
pub struct ProblemRow {
    /// The problem; its subject and agent are filled in on loading.
    pub problem: Problem,
    /// Its agent.
    pub agent: Option<AgentId>,
    /// Its source of agents.
    pub source: Option<Arc<str>>,
}
