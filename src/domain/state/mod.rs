//! The durable state of a fleet, with the indexes that decisions need.
//!
//! Only [`crate::domain::apply`] changes it; everybody else reads.

pub(in crate::domain) mod departed;
pub(in crate::domain) mod index;
pub mod queue;
mod restore;
pub mod slab;
pub mod snapshot;
pub(in crate::domain) mod sourced_cards;

pub use restore::{ProblemRow, Rows};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::domain::agent::replicas::{Group, Replicas};
use crate::domain::agent::shift::{Ended, ShiftCounts};
use crate::domain::agent::{Agent, Counts};
use crate::domain::fleet::source::SourceRow;
use crate::domain::id::{
    AgentId, AgentKey, AttemptId, AttemptKey, JobId, JobKey, MessageId, ProblemKey, SourceKey, TaskId,
};
use crate::domain::job::attention::Attention;
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Job, Phase};
use crate::domain::problem::{Kind, Problem, Subject};
use crate::domain::state::departed::Departed;
use crate::domain::state::index::Index;
use crate::domain::state::queue::Queue;
use crate::domain::state::slab::Slab;
use crate::domain::state::sourced_cards::SourcedCards;
use crate::domain::time::At;

/// One row that changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Changed {
    /// An agent.
    Agent(AgentKey),
    /// A job.
    Job(JobKey),
    /// A job has one more fact, and of its row nothing else has changed.
    Timeline(JobKey),
    /// An attempt or its task.
    Attempt(AttemptKey),
    /// A problem.
    Problem(ProblemKey),
    /// A source of agents.
    Source(SourceKey),
}

/// The durable state of a fleet.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) agents: Slab<AgentKey, Agent>,
    pub(super) jobs: Slab<JobKey, Job>,
    pub(super) attempts: Slab<AttemptKey, Attempt>,
    pub(super) problems: Slab<ProblemKey, Problem>,
    pub(super) sources: Slab<SourceKey, SourceRow>,
    /// The number of the fleet's last fact.
    pub(super) fleet_seq: u64,
    /// The highest problem number ever given.
    pub(super) last_problem: u32,

    pub(super) agent_ids: BTreeMap<AgentId, AgentKey>,
    job_ids: Index<JobKey>,
    attempt_ids: Index<AttemptKey>,
    /// By agent and the agent's id of the task.
    tasks: Index<AttemptKey>,
    /// Our messages without a known task: a listing may reveal them.
    pub(super) wanted: BTreeMap<AgentKey, BTreeMap<MessageId, AttemptKey>>,
    /// Messages that were presumed lost: their tasks may come back all the same.
    given_up: BTreeMap<AgentKey, BTreeMap<MessageId, AttemptKey>>,
    pub(super) children: BTreeMap<TaskId, Vec<JobKey>>,
    /// Attempts that have not ended, and ended ones that are not yet settled.
    pub(super) open: BTreeMap<AgentKey, BTreeSet<AttemptKey>>,
    pub(super) attention: Attention,
    pub(super) problem_numbers: BTreeMap<u32, ProblemKey>,
    pub(super) source_names: BTreeMap<Arc<str>, SourceKey>,
    pub(super) raised: BTreeMap<(Kind, Subject), ProblemKey>,
    /// Listed agents by replica key.
    pub(super) replicas: Replicas,
    /// Agents by who names them now.
    named_by: BTreeMap<Arc<str>, BTreeSet<AgentKey>>,
    /// How many attempts and problems of an agent are kept; no entry is none.
    kept: BTreeMap<AgentKey, u32>,
    departed: Departed,
    sourced_cards: SourcedCards,
    /// Jobs of which no attempt goes on, by the second in which they were created: see [`second`].
    ended: BTreeSet<(u32, JobKey)>,
    queue: Queue,
    /// Agents whose work is shifted, each with the legacy agent whose row has the shift.
    shifts: BTreeMap<AgentKey, AgentKey>,
    /// Problems that are over, by when they cleared.
    pub(super) cleared: BTreeSet<(At, ProblemKey)>,
    /// The place behind all agents that ever were there.
    pub(super) next_order: u32,
    pub(super) changes: Vec<Changed>,
}

impl State {
    /// The agents, in order of place.
    pub fn agents(&self) -> &Slab<AgentKey, Agent> {
        &self.agents
    }

    /// The jobs.
    pub fn jobs(&self) -> &Slab<JobKey, Job> {
        &self.jobs
    }

    /// The attempts with their tasks.
    pub fn attempts(&self) -> &Slab<AttemptKey, Attempt> {
        &self.attempts
    }

    /// Attempts that a person may have to look at.
    pub fn attention(&self) -> &Attention {
        &self.attention
    }

    /// The problems, open and cleared.
    pub fn problems(&self) -> &Slab<ProblemKey, Problem> {
        &self.problems
    }

    /// The sources of agents, in the order configured.
    pub fn sources(&self) -> &Slab<SourceKey, SourceRow> {
        &self.sources
    }

    /// The listed agents by replica key.
    pub fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// The replicas of an agent, itself among them.
    pub fn replicas_of(&self, key: AgentKey) -> Option<&Group> {
        let agent = self.agents.get(key).filter(|agent| agent.listed)?;
        self.replicas.group(agent.replica_key.as_ref()?)
    }

    /// A source of agents by its name.
    pub fn source_key(&self, name: &str) -> Option<SourceKey> {
        self.source_names.get(name).copied()
    }

    /// An agent.
    pub fn agent(&self, key: AgentKey) -> Option<&Agent> {
        self.agents.get(key)
    }

    /// An attempt.
    pub fn attempt(&self, key: AttemptKey) -> Option<&Attempt> {
        self.attempts.get(key)
    }

    /// The job of an attempt.
    pub fn job_of(&self, attempt: &Attempt) -> Option<&Job> {
        self.jobs.get(attempt.job)
    }

    /// An agent by its durable id.
    pub fn agent_key(&self, id: AgentId) -> Option<AgentKey> {
        self.agent_ids.get(&id).copied()
    }

    /// A job by its durable id.
    pub fn job_key(&self, id: JobId) -> Option<JobKey> {
        self.job_ids.find(id, |key| job_name(&self.jobs, key))
    }

    /// An attempt by its durable id.
    pub fn attempt_key(&self, id: AttemptId) -> Option<AttemptKey> {
        self.attempt_ids.find(id, |key| attempt_name(&self.attempts, key))
    }

    /// The attempt that is a task of an agent.
    pub fn attempt_of_task(&self, agent: AgentKey, task: &TaskId) -> Option<AttemptKey> {
        self.tasks.find((agent, task), |key| task_name(&self.attempts, key))
    }

    /// Our attempt that sent this message, while its task is unknown, or was presumed lost.
    pub fn attempt_wanting(&self, agent: AgentKey, message: &MessageId) -> Option<AttemptKey> {
        let of = |index: &BTreeMap<AgentKey, BTreeMap<MessageId, AttemptKey>>| {
            index.get(&agent)?.get(message).copied()
        };
        of(&self.wanted).or_else(|| of(&self.given_up))
    }

    /// True if a message to this agent has no known task.
    pub fn wants_messages(&self, agent: AgentKey) -> bool {
        self.wanted.contains_key(&agent)
    }

    /// Jobs that a task delegated.
    pub fn children(&self, task: &TaskId) -> &[JobKey] {
        self.children.get(task).map_or(&[], Vec::as_slice)
    }

    /// The jobs of which a parent is known.
    pub(in crate::domain) fn delegated_jobs(&self) -> impl Iterator<Item = JobKey> + '_ {
        self.children.values().flatten().copied()
    }

    /// Attempts of an agent that are not settled, oldest place first.
    pub fn open_attempts(&self, agent: AgentKey) -> Vec<AttemptKey> {
        self.open.get(&agent).map(|keys| keys.iter().copied().collect()).unwrap_or_default()
    }

    /// How many attempts of an agent are not settled.
    pub fn open_count(&self, agent: AgentKey) -> usize {
        self.open.get(&agent).map_or(0, BTreeSet::len)
    }

    /// A problem by its number.
    pub fn problem(&self, number: u32) -> Option<&Problem> {
        self.problems.get(*self.problem_numbers.get(&number)?)
    }

    /// The open problem of a kind about a subject.
    pub fn raised(&self, kind: Kind, subject: Subject) -> Option<&Problem> {
        self.problems.get(*self.raised.get(&(kind, subject))?)
    }

    /// Which problem is the open one of a kind about a subject.
    pub fn raised_key(&self, kind: Kind, subject: Subject) -> Option<ProblemKey> {
        self.raised.get(&(kind, subject)).copied()
    }

    /// The subjects of the open problems of a kind.
    pub fn raised_of(&self, kind: Kind) -> impl Iterator<Item = Subject> + '_ {
        let from = (kind, Subject::Console);
        self.raised
            .range(from..)
            .take_while(move |((of, _), _)| *of == kind)
            .map(|((_, subject), _)| *subject)
    }

    /// True if there is no open problem at all.
    pub fn raises_nothing(&self) -> bool {
        self.raised.is_empty()
    }

    /// The agents that a source, the configuration or the command line names now.
    pub fn named_by(&self, source: &str) -> impl Iterator<Item = AgentKey> + '_ {
        self.named_by.get(source).into_iter().flatten().copied()
    }

    /// The place behind all agents that ever were there.
    pub fn next_order(&self) -> u32 {
        self.next_order
    }

    /// The agents that have left and wait to be forgotten.
    pub(in crate::domain) fn sourced_cards(&self) -> &SourcedCards {
        &self.sourced_cards
    }

    pub(in crate::domain) fn departed(&self) -> &Departed {
        &self.departed
    }

    /// How many jobs have ended.
    pub fn ended_count(&self) -> usize {
        self.ended.len()
    }

    /// The job that was created first among those that have ended.
    pub fn oldest_ended(&self) -> Option<&Job> {
        self.jobs.get(self.ended.first()?.1)
    }

    /// The jobs that wait.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The legacy agent of the shift that an agent takes part in, as that or as the successor.
    pub fn shift_of(&self, agent: AgentKey) -> Option<AgentKey> {
        self.shifts.get(&agent).copied()
    }

    /// The legacy agents of all shifts with their successors, in order.
    pub fn shifts(&self) -> impl Iterator<Item = (AgentKey, AgentKey)> + '_ {
        self.shifts.iter().filter(|(agent, legacy)| agent != legacy).map(|(to, from)| (*from, *to))
    }

    /// How many problems are over.
    pub fn cleared_count(&self) -> usize {
        self.cleared.len()
    }

    /// The problem that cleared first.
    pub fn oldest_cleared(&self) -> Option<&Problem> {
        self.problems.get(self.cleared.first()?.1)
    }

    /// The number that the next problem gets.
    pub fn next_problem(&self) -> u32 {
        self.last_problem + 1
    }

    /// The number of the fleet's last fact.
    pub fn fleet_seq(&self) -> u64 {
        self.fleet_seq
    }

    /// Takes the changes since the last call, in order, with repeats.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        std::mem::take(&mut self.changes)
    }

    /// Appends the changes to `to`.
    pub fn move_changes(&mut self, to: &mut Vec<Changed>) {
        to.append(&mut self.changes);
    }

    pub(super) fn insert_job(&mut self, job: Job) -> JobKey {
        let (id, parent) = (job.id, job.parent.clone());
        let key = self.jobs.insert(Job { attempts: SmallVec::new(), ..job });
        self.job_ids.put(id, key, |key| job_name(&self.jobs, key));
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().push(key);
        }
        self.place_job(key);
        self.queue.place(key, self.jobs.get(key));
        self.changes.push(Changed::Job(key));
        key
    }

    /// Changes a job and keeps its indexes in step.
    pub(super) fn edit_job(&mut self, key: JobKey, edit: impl FnOnce(&mut Job)) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        edit(job);
        self.queue.place(key, self.jobs.get(key));
        self.place_job(key);
        self.changes.push(Changed::Job(key));
    }

    /// Notes whether a job has ended.
    fn place_job(&mut self, key: JobKey) {
        let Some(job) = self.jobs.get(key) else { return };
        let goes_on = |key: &AttemptKey| self.attempts.get(*key).is_some_and(Attempt::goes_on);
        let place = (second(job.created), key);
        if job.phase == JobPhase::Queued || job.attempts.iter().any(goes_on) {
            self.ended.remove(&place);
        } else {
            self.ended.insert(place);
        }
    }

    pub(super) fn insert_attempt(&mut self, attempt: Attempt) -> AttemptKey {
        let (id, job, agent) = (attempt.id, attempt.job, attempt.agent);
        let key = self.attempts.insert(attempt);
        self.attempt_ids.put(id, key, |key| attempt_name(&self.attempts, key));
        if let Some(job) = self.jobs.get_mut(job) {
            job.attempts.push(key);
        }
        self.count_kept(Some(agent), true);
        self.index_attempt(key);
        self.place_job(job);
        key
    }

    /// An attempt or a problem of an agent is kept from now on, or no longer.
    pub(super) fn count_kept(&mut self, agent: Option<AgentKey>, more: bool) {
        let Some(key) = agent else { return };
        let kept = self.kept.entry(key).or_default();
        *kept = if more { kept.saturating_add(1) } else { kept.saturating_sub(1) };
        if *kept == 0 {
            self.kept.remove(&key);
        }
        if !more || self.kept.get(&key) == Some(&1) {
            self.place_departed(key);
        }
    }

    /// Notes whether an agent waits to be forgotten, and what its card takes.
    pub(super) fn place_departed(&mut self, key: AgentKey) {
        self.departed.place(key, self.agents.get(key), self.kept.contains_key(&key));
        self.sourced_cards.place(key, self.agents.get(key));
    }

    /// Notes who names an agent.
    pub(super) fn name_by(&mut self, key: AgentKey, before: &[Arc<str>], now: &[Arc<str>]) {
        if std::ptr::eq(before, now) {
            return;
        }
        for name in before.iter().filter(|name| !now.contains(name)) {
            if let Some(keys) = self.named_by.get_mut(name) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.named_by.remove(name);
                }
            }
        }
        for name in now.iter().filter(|name| !before.contains(name)) {
            self.named_by.entry(name.clone()).or_default().insert(key);
        }
    }

    /// Notes whose work is shifted to whom.
    pub(super) fn place_shift(&mut self, legacy: AgentId) {
        let Some(from) = self.agent_key(legacy) else { return };
        self.shifts.retain(|_, of| *of != from);
        let shift = self.agents.get(from).and_then(|agent| agent.shift.as_ref());
        if let Some(to) = shift.and_then(|shift| self.agent_key(shift.terms.to)) {
            self.shifts.insert(from, from);
            self.shifts.insert(to, from);
        }
    }

    /// Changes what is counted of the shift that an agent takes part in.
    pub(super) fn count_shift(&mut self, agent: AgentKey, count: impl FnOnce(&mut ShiftCounts, bool)) {
        let Some(legacy) = self.shift_of(agent) else { return };
        if let Some(shift) = self.agents.get_mut(legacy).and_then(|row| row.shift.as_mut()) {
            count(&mut Arc::make_mut(shift).counts, agent == legacy);
            self.changes.push(Changed::Agent(legacy));
        }
    }

    /// An operator acted on an agent or wrote a note about it.
    pub(super) fn note_operator(&mut self, id: AgentId, at: At) {
        let Some(key) = self.agent_key(id) else { return };
        let Some(agent) = self.agents.get_mut(key) else { return };
        agent.operator_at = Some(at);
        self.place_departed(key);
        self.changes.push(Changed::Agent(key));
    }

    /// Removes an agent. One that is listed, or of which tasks or problems are kept, stays.
    pub(super) fn remove_agent(&mut self, id: AgentId) {
        let Some(key) = self.agent_key(id) else { return };
        if self.kept.contains_key(&key) || self.agents.get(key).is_none_or(|agent| agent.listed) {
            return;
        }
        self.agents.remove(key);
        self.agent_ids.remove(&id);
        self.shifts.retain(|agent, legacy| *agent != key && *legacy != key);
        self.open.remove(&key);
        self.place_departed(key);
        self.changes.push(Changed::Agent(key));
    }

    pub(super) fn insert_source(&mut self, row: SourceRow) {
        let name = row.spec.name.clone();
        let key = match self.source_names.get(&name) {
            Some(key) => {
                self.sources.set(*key, Some(row));
                *key
            }
            None => self.sources.insert(row),
        };
        self.source_names.insert(name, key);
        self.changes.push(Changed::Source(key));
    }

    pub(super) fn insert_problem(&mut self, problem: Problem) -> ProblemKey {
        let (number, cleared, at) = (problem.number, problem.cleared, (problem.kind, problem.subject));
        let key = self.problems.insert(problem);
        self.problem_numbers.insert(number, key);
        match cleared {
            None => {
                self.raised.insert(at, key);
            }
            Some(cleared) => {
                self.cleared.insert((cleared, key));
            }
        }
        self.count_kept(at.1.agent(), true);
        self.changes.push(Changed::Problem(key));
        key
    }

    /// Changes an attempt and keeps every index and count in step with it. Most changes touch none of them.
    pub(super) fn edit_attempt(&mut self, key: AttemptKey, edit: impl FnOnce(&mut Attempt)) {
        let shifts = !self.shifts.is_empty();
        let Some(attempt) = self.attempts.get_mut(key) else { return };
        let (before, job) = (IndexEntry::of(attempt), attempt.job);
        let ended = |attempt: &Attempt| if shifts { Ended::of(attempt) } else { None };
        let ended_before = ended(attempt);
        edit(attempt);
        let after = IndexEntry::of(attempt);
        if let (None, Some(ended)) = (ended_before, ended(attempt)) {
            self.count_shift(after.agent, |counts, is_legacy| {
                let results = if is_legacy { &mut counts.legacy } else { &mut counts.successor };
                results.count(ended);
            });
        }
        if before != after {
            self.leave_place(key, &before);
            self.take_place(key, &after);
            if before.open != after.open {
                self.place_job(job);
            }
            if before.marks != after.marks {
                self.changes.push(Changed::Agent(after.agent));
            }
        }
        self.changes.push(Changed::Attempt(key));
    }

    /// Changes messages and outputs, which no index and no count depends on.
    pub(super) fn touch_attempt(&mut self, key: AttemptKey, edit: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.attempts.get_mut(key) {
            edit(attempt);
            self.changes.push(Changed::Attempt(key));
        }
    }

    pub(super) fn index_attempt(&mut self, key: AttemptKey) {
        let Some(place) = self.attempts.get(key).map(IndexEntry::of) else { return };
        self.take_place(key, &place);
        self.changes.push(Changed::Attempt(key));
        self.changes.push(Changed::Agent(place.agent));
    }

    pub(super) fn unindex_attempt(&mut self, key: AttemptKey) {
        let Some(place) = self.attempts.get(key).map(IndexEntry::of) else { return };
        self.leave_place(key, &place);
    }

    fn take_place(&mut self, key: AttemptKey, place: &IndexEntry) {
        let IndexEntry { agent, task, wanted, given_up, open, marks } = place;
        if let Some(task) = task {
            self.tasks.put((*agent, task), key, |key| task_name(&self.attempts, key));
        }
        if let Some(message) = wanted {
            self.wanted.entry(*agent).or_default().insert(message.clone(), key);
        }
        if let Some(message) = given_up {
            self.given_up.entry(*agent).or_default().insert(message.clone(), key);
        }
        if *open {
            self.open.entry(*agent).or_default().insert(key);
        }
        self.attention.put(*agent, key, marks.attention);
        if let Some(agent) = self.agents.get_mut(*agent) {
            marks.add_to(&mut agent.counts, 1);
        }
    }

    fn leave_place(&mut self, key: AttemptKey, place: &IndexEntry) {
        let IndexEntry { agent, task, wanted, given_up, marks, .. } = place;
        if let Some(task) = task {
            self.tasks.take((*agent, task), key);
        }
        for (message, index) in [(wanted, &mut self.wanted), (given_up, &mut self.given_up)] {
            if let Some(message) = message
                && let Some(of_agent) = index.get_mut(agent)
            {
                of_agent.remove(message);
                if of_agent.is_empty() {
                    index.remove(agent);
                }
            }
        }
        if let Some(open) = self.open.get_mut(agent) {
            open.remove(&key);
            if open.is_empty() {
                self.open.remove(agent);
            }
        }
        if marks.attention {
            self.attention.put(*agent, key, false);
        }
        if let Some(agent) = self.agents.get_mut(*agent) {
            marks.add_to(&mut agent.counts, u32::MAX);
        }
    }

    pub(super) fn remove_job(&mut self, key: JobKey) {
        let Some(job) = self.jobs.remove(key) else { return };
        self.ended.remove(&(second(job.created), key));
        self.queue.place(key, None);
        for attempt in &job.attempts {
            self.unindex_attempt(*attempt);
            if let Some(gone) = self.attempts.remove(*attempt) {
                self.attempt_ids.take(gone.id, *attempt);
                self.count_kept(Some(gone.agent), false);
            }
            self.changes.push(Changed::Attempt(*attempt));
        }
        self.job_ids.take(job.id, key);
        if let Some(parent) = &job.parent
            && let Some(children) = self.children.get_mut(parent)
        {
            children.retain(|child| *child != key);
            if children.is_empty() {
                self.children.remove(parent);
            }
        }
        self.changes.push(Changed::Job(key));
    }
}

/// The second of a time, in four bytes: the index of ended jobs has an entry for each of millions.
fn second(at: At) -> u32 {
    u32::try_from(at.millis() / 1000).unwrap_or(if at < At::ZERO { 0 } else { u32::MAX })
}

fn job_name(jobs: &Slab<JobKey, Job>, key: JobKey) -> Option<JobId> {
    jobs.get(key).map(|job| job.id)
}

fn attempt_name(attempts: &Slab<AttemptKey, Attempt>, key: AttemptKey) -> Option<AttemptId> {
    attempts.get(key).map(|attempt| attempt.id)
}

/// A task is named by its agent too: two agents may call theirs alike.
fn task_name(attempts: &Slab<AttemptKey, Attempt>, key: AttemptKey) -> Option<(AgentKey, &TaskId)> {
    let attempt = attempts.get(key)?;
    Some((attempt.agent, &attempt.task.as_ref()?.id))
}

/// The index entries of an attempt.
#[derive(PartialEq, Eq)]
struct IndexEntry {
    agent: AgentKey,
    task: Option<TaskId>,
    /// Its message, as long as a task may turn out to be its answer.
    wanted: Option<MessageId>,
    /// Its message, if it was presumed lost.
    given_up: Option<MessageId>,
    open: bool,
    marks: CountedAs,
}

impl IndexEntry {
    fn of(attempt: &Attempt) -> Self {
        let task = attempt.task.as_ref();
        let looks = task.is_none() && matches!(attempt.phase, Phase::Sending | Phase::Uncertain);
        Self {
            agent: attempt.agent,
            task: task.map(|task| task.id.clone()),
            wanted: attempt.message_id.clone().filter(|_| looks),
            given_up: attempt
                .message_id
                .clone()
                .filter(|_| task.is_none() && attempt.phase == Phase::PresumedLost),
            open: attempt.goes_on(),
            marks: CountedAs::of(attempt),
        }
    }
}

/// The contribution of an attempt to its agent's counts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct CountedAs {
    live: bool,
    need_you: bool,
    completed: bool,
    failed: bool,
    stopped: bool,
    doubtful: bool,
    attention: bool,
}

impl CountedAs {
    fn of(attempt: &Attempt) -> Self {
        let state = attempt.task.as_ref().map(|task| &task.state);
        Self {
            live: attempt.is_live(),
            need_you: attempt.needs_you(),
            completed: state == Some(&TaskState::Completed) || attempt.phase == Phase::Answered,
            failed: state == Some(&TaskState::Failed),
            stopped: matches!(state, Some(TaskState::Canceled | TaskState::Rejected)),
            doubtful: attempt.is_doubtful(),
            attention: attempt.wants_attention(),
        }
    }

    /// Adds each mark `by` times, wrapping, so that `u32::MAX` takes it away once.
    fn add_to(self, counts: &mut Counts, by: u32) {
        for (mark, count) in [
            (self.live, &mut counts.live),
            (self.need_you, &mut counts.need_you),
            (self.completed, &mut counts.completed),
            (self.failed, &mut counts.failed),
            (self.stopped, &mut counts.stopped),
            (self.doubtful, &mut counts.doubtful),
        ] {
            if mark {
                *count = count.wrapping_add(by);
            }
        }
    }
}
