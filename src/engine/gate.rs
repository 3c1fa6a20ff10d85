//! The durability gate: facts that must not be lost are durable before anything acts on them or confirms them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::audit::AuditRecord;
use crate::domain::effect::Effect;
use crate::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry, Owner};
use crate::domain::id::{AgentId, JobId};
use crate::domain::input::Reply;
use crate::domain::metrics::{Block, Minute};
use crate::domain::problem::Subject;
use crate::domain::state::{Changed, State};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::store::record::{AttemptRow, ProblemRow};
use crate::store::{Batch, Done, Writer};

/// The longest delay of commits that nothing waits for, so that a busy stream costs a row per interval and not one per
/// event. A send, a cancel, an answer or a reply is never delayed by it.
const APART: Duration = Duration::from_millis(50);
/// The number of facts that may wait for the disk before agents are slowed down.
const MOST_FACTS: usize = 16_384;
/// The bytes of content in them. The writer may hold as many again.
const MOST_BYTES: usize = 8 << 20;

/// The facts of the last commit are kept if there are at most so many, with so many bytes of content.
const RECENT_FACTS: usize = 64;
const RECENT_BYTES: usize = 64 * 1024;

/// Effects and replies that wait for a commit.
#[derive(Debug, Default)]
struct Waiting {
    batch: u64,
    effects: Vec<Effect>,
    replies: Vec<Reply>,
}

/// Holds back gated effects, and hands batches to the journal.
#[derive(Debug)]
pub(super) struct Gate {
    writer: Option<Writer>,
    /// The number of the batch being filled.
    number: u64,
    facts: Vec<JournalEntry>,
    /// Empty: the memory of the next batch's facts.
    spare: Vec<JournalEntry>,
    /// The facts of the last commit, if they are few: whoever has just submitted a job follows it next, and finds all of
    /// its facts here instead of in the journal.
    recent: Vec<JournalEntry>,
    bytes: usize,
    audits: Vec<AuditRecord>,
    /// How long the audit is kept, if the next batch is to remove what is older.
    keep_audits: Option<Duration>,
    changed: BTreeSet<Changed>,
    gone_jobs: Vec<JobId>,
    gone_agents: Vec<AgentId>,
    gone_problems: Vec<u32>,
    gone_sources: Vec<Arc<str>>,
    minutes: Vec<(Minute, Arc<Block>)>,
    effects: Vec<Effect>,
    replies: Vec<Reply>,
    /// The batch that the writer holds, with its facts, until it is durable.
    committing: Option<(u64, Arc<Vec<JournalEntry>>)>,
    /// The time at which the last batch was handed over.
    last: At,
    waiting: VecDeque<Waiting>,
    beat: bool,
    ending: bool,
}

/// What may be carried out now.
#[derive(Debug, Default)]
pub(super) struct Released {
    pub effects: Vec<Effect>,
    pub replies: Vec<Reply>,
}

impl Gate {
    /// A gate in front of a journal. Without a journal nothing is held back, and nothing is kept.
    pub fn new(writer: Option<Writer>) -> Self {
        Self {
            writer,
            number: 1,
            facts: Vec::new(),
            spare: Vec::new(),
            recent: Vec::new(),
            bytes: 0,
            audits: Vec::new(),
            keep_audits: None,
            changed: BTreeSet::new(),
            gone_jobs: Vec::new(),
            gone_agents: Vec::new(),
            gone_problems: Vec::new(),
            gone_sources: Vec::new(),
            minutes: Vec::new(),
            effects: Vec::new(),
            replies: Vec::new(),
            committing: None,
            last: At::ZERO,
            waiting: VecDeque::new(),
            beat: false,
            ending: false,
        }
    }

    /// True if there is a journal.
    pub fn is_durable(&self) -> bool {
        self.writer.is_some()
    }

    /// Takes the decisions of a step. Returns what may be carried out at once.
    pub fn take(
        &mut self,
        facts: &mut Vec<JournalEntry>,
        audits: &mut Vec<AuditRecord>,
        changed: &[Changed],
        effects: &mut Vec<Effect>,
        replies: &mut Vec<Reply>,
    ) -> Released {
        if self.writer.is_none() {
            facts.clear();
            audits.clear();
            return Released { effects: std::mem::take(effects), replies: std::mem::take(replies) };
        }
        for entry in facts.iter() {
            match &entry.fact {
                Fact::Fleet(FleetFact::ProblemForgotten { number }) => self.gone_problems.push(*number),
                Fact::Fleet(FleetFact::SourceUnlisted { name }) => self.gone_sources.push(name.clone()),
                Fact::Agent(agent, AgentFact::Forgotten) => self.gone_agents.push(*agent),
                Fact::Job(job, JobFact::Forgotten) => self.gone_jobs.push(*job),
                Fact::Job(_, JobFact::Attempt(_, fact)) => self.bytes += carried(fact),
                Fact::Fleet(_) | Fact::Agent(..) | Fact::Job(..) => {}
            }
        }
        self.facts.append(facts);
        self.audits.append(audits);
        self.changed.extend(changed.iter().filter(|changed| !matches!(changed, Changed::Timeline(_))));
        let (gated, free): (Vec<Effect>, Vec<Effect>) =
            effects.drain(..).partition(|effect: &Effect| effect.order.is_gated());
        self.effects.extend(gated);
        // A reply depends on the facts of its step and on earlier ones, and a refusal on its record.
        if self.facts.is_empty() && self.audits.is_empty() && self.committing.is_none() {
            return Released { effects: free, replies: std::mem::take(replies) };
        }
        self.replies.append(replies);
        Released { effects: free, replies: Vec::new() }
    }

    /// Records that the engine is alive, with new metrics, in the next batch.
    pub fn beat(&mut self, minutes: Vec<(Minute, Arc<Block>)>) {
        self.beat = true;
        if self.writer.is_some() {
            self.minutes.retain(|(minute, _)| minutes.iter().all(|(newer, _)| newer != minute));
            self.minutes.extend(minutes);
        }
    }

    /// Lets the next batch remove records of the audit that are older than this.
    pub fn prune_audit(&mut self, keep: Duration) {
        self.keep_audits = Some(keep);
    }

    /// The number of the batch that is being filled.
    pub fn filling(&self) -> u64 {
        self.number
    }

    /// True if agents must wait until the disk has caught up.
    pub fn is_overfull(&self) -> bool {
        self.facts.len() > MOST_FACTS || self.bytes > MOST_BYTES
    }

    /// From now on, batches are due at once.
    pub fn end_soon(&mut self, minutes: Vec<(Minute, Arc<Block>)>) {
        self.beat(minutes);
        self.ending = true;
    }

    /// The time at which the filled batch is due, if there is one and the writer is free.
    pub fn due(&self) -> Option<At> {
        let waited_for = !self.effects.is_empty() || !self.replies.is_empty();
        let nothing =
            self.facts.is_empty() && self.audits.is_empty() && self.changed.is_empty() && !waited_for;
        if self.writer.is_none() || self.committing.is_some() || (nothing && !self.beat) {
            return None;
        }
        Some(if waited_for || self.ending || self.is_overfull() { At::ZERO } else { self.last + APART })
    }

    /// Hands the filled batch to the writer if it is due. Returns the error if there is no writer any more.
    pub fn hand_over(&mut self, state: &State, at: At) -> Option<Done> {
        if self.due().is_none_or(|due| due > at) {
            return None;
        }
        let writer = self.writer.as_ref()?;
        self.last = at;
        let mut batch = rows(state, &std::mem::take(&mut self.changed));
        batch.number = self.number;
        batch.alive = at;
        batch.gone_jobs = std::mem::take(&mut self.gone_jobs);
        batch.gone_agents = std::mem::take(&mut self.gone_agents);
        batch.gone_problems = std::mem::take(&mut self.gone_problems);
        batch.gone_sources = std::mem::take(&mut self.gone_sources);
        batch.minutes = std::mem::take(&mut self.minutes);
        batch.audits = std::mem::take(&mut self.audits);
        batch.keep_audits = self.keep_audits.take();
        let facts = Arc::new(std::mem::replace(&mut self.facts, std::mem::take(&mut self.spare)));
        batch.facts = facts.clone();
        self.bytes = 0;
        self.beat = false;
        self.waiting.push_back(Waiting {
            batch: self.number,
            effects: std::mem::take(&mut self.effects),
            replies: std::mem::take(&mut self.replies),
        });
        let number = self.number;
        self.committing = Some((number, facts));
        self.number += 1;
        writer.hand_over(batch).err().map(|why| Done::Failed { number, why })
    }

    /// The writer has ended without a result for the batch that it held: that batch is not durable.
    pub fn abandoned(&self) -> Option<Done> {
        let why = Untrusted::from("the journal's writer has stopped; restart to write again");
        self.committing.as_ref().map(|(number, _)| Done::Failed { number: *number, why })
    }

    /// Releases or fails what waited for a batch.
    pub fn end(&mut self, number: u64, durable: bool) -> Released {
        if let Some((_, facts)) = self.committing.take_if(|(committing, _)| *committing == number) {
            self.recent.clear();
            match Arc::into_inner(facts) {
                Some(facts) if durable && is_small(&facts) => self.recent = facts,
                Some(facts) => self.reuse(facts),
                None => {}
            }
        }
        let mut released = Released::default();
        while self.waiting.front().is_some_and(|waiting| waiting.batch <= number) {
            if let Some(waiting) = self.waiting.pop_front() {
                released.effects.extend(waiting.effects);
                released.replies.extend(waiting.replies);
            }
        }
        released
    }

    /// Keeps the memory of committed facts for later ones, unless a busy time that needed so much is over.
    fn reuse(&mut self, mut facts: Vec<JournalEntry>) {
        if facts.capacity() / 8 <= facts.len() {
            facts.clear();
            self.spare = facts;
        }
    }

    /// The newest facts of an owner, without a gap: those that a reader of the journal may not see yet, and possibly some
    /// that it does.
    pub fn newest(&self, owner: Owner) -> Vec<JournalEntry> {
        let committing = self.committing.iter().flat_map(|(_, facts)| facts.iter());
        let all = self.recent.iter().chain(committing).chain(&self.facts);
        all.filter(|fact| fact.owner() == owner).cloned().collect()
    }

    /// True if nothing waits for the disk.
    pub fn is_settled(&self) -> bool {
        self.committing.is_none() && self.facts.is_empty() && self.audits.is_empty()
    }

    /// Commits the batches handed over and closes the journal.
    pub fn close(&mut self) {
        self.writer = None;
    }
}

/// The rows that changed, related by durable ids.
fn rows(state: &State, changed: &BTreeSet<Changed>) -> Batch {
    let mut batch = Batch::default();
    let agent_id = |key| state.agent(key).map(|agent| agent.id);
    for changed in changed {
        match *changed {
            Changed::Agent(key) => batch.agents.extend(state.agent(key).cloned()),
            Changed::Job(key) => batch.jobs.extend(state.jobs().get(key).cloned()),
            // The row of the attempt includes it.
            Changed::Timeline(_) => {}
            Changed::Attempt(key) => {
                if let Some(attempt) = state.attempt(key)
                    && let (Some(job), Some(agent)) = (state.job_of(attempt), agent_id(attempt.agent))
                {
                    let (attempt, job, job_seq) = (attempt.clone(), job.id, job.seq);
                    batch.attempts.push(AttemptRow { attempt, job, job_seq, agent });
                }
            }
            Changed::Problem(key) => {
                if let Some(problem) = state.problems().get(key) {
                    let source = match problem.subject {
                        Subject::Source(key) => {
                            state.sources().get(key).map(|source| source.spec.name.clone())
                        }
                        Subject::Objective(_) => problem.objective.clone(),
                        Subject::Agent(_) | Subject::Host(_) | Subject::Console => None,
                    };
                    let agent = problem.subject.agent().and_then(agent_id);
                    batch.problems.push(ProblemRow { problem: problem.clone(), agent, source });
                }
            }
            Changed::Source(key) => {
                batch.sources.extend(state.sources().get(key).map(|source| (key.0, source.clone())));
            }
        }
    }
    batch
}

/// True if keeping the facts of a commit costs next to nothing.
fn is_small(facts: &[JournalEntry]) -> bool {
    let bytes = |entry: &JournalEntry| match &entry.fact {
        Fact::Job(_, JobFact::Attempt(_, fact)) => carried(fact),
        Fact::Job(_, JobFact::Opened { message, .. }) => {
            message.as_ref().map_or(0, |message| usize::try_from(message.size()).unwrap_or(usize::MAX))
        }
        Fact::Fleet(_) | Fact::Agent(..) | Fact::Job(..) => 0,
    };
    facts.len() <= RECENT_FACTS && facts.iter().map(bytes).sum::<usize>() <= RECENT_BYTES
}

/// The bytes of content in a fact, not counting what every fact takes.
pub(super) fn carried(fact: &AttemptFact) -> usize {
    match fact {
        AttemptFact::ArtifactSeen { parts, .. } => {
            parts.iter().map(crate::domain::job::message::Part::len).sum()
        }
        AttemptFact::MessageSeen { message, .. } => {
            message.parts.iter().map(crate::domain::job::message::Part::len).sum()
        }
        AttemptFact::TaskSeen { raw: Some(raw), .. } | AttemptFact::StateSeen { raw: Some(raw), .. } => {
            raw.raw().len()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::agent::card::{Dialect, Interface};
    use crate::domain::effect::{Order, Recipient};
    use crate::domain::id::{AgentKey, AttemptKey, CallId};

    fn cancel(number: u64) -> Effect {
        let interface = Interface {
            dialect: Dialect::V1_0,
            binding: "JSONRPC".into(),
            url: "http://h".into(),
            tenant: None,
        };
        let order = Order::Cancel {
            attempt: AttemptKey(0),
            interface: Arc::new(interface),
            task: "t".into(),
            trace: None,
        };
        Effect { call: CallId(number), to: Recipient::Agent(AgentKey(0)), order }
    }

    /// A message that is sent once more, without streaming, needs no fact. It waits for a commit like any other, which
    /// is due at once, also if another commit was under way.
    #[test]
    fn a_gated_effect_without_facts_is_carried_out_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, done) = std::sync::mpsc::channel();
        let writer = Writer::open(dir.path(), false, move |done| sender.send(done).unwrap()).unwrap();
        let mut gate = Gate::new(Some(writer));
        let take = |gate: &mut Gate, number| {
            let free =
                gate.take(&mut Vec::new(), &mut Vec::new(), &[], &mut vec![cancel(number)], &mut Vec::new());
            assert!(free.effects.is_empty());
        };
        take(&mut gate, 1);
        for number in 1..=2 {
            assert_eq!(gate.due(), Some(At::ZERO), "effect {number}");
            assert!(gate.hand_over(&State::default(), At::from_micros(1)).is_none());
            if number == 1 {
                take(&mut gate, 2);
            }
            let Ok(Done::Committed { number: batch, .. }) = done.recv_timeout(Duration::from_secs(20)) else {
                panic!("batch {number} was not written");
            };
            let calls: Vec<_> = gate.end(batch, true).effects.iter().map(|effect| effect.call).collect();
            assert_eq!(calls, [CallId(number)]);
        }
        assert_eq!(gate.due(), None);
    }

    /// A job of whose facts none is missing need not be read from the journal. What was lost is never shown.
    #[test]
    fn the_facts_of_the_last_commit_are_kept_while_they_are_few() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, done) = std::sync::mpsc::channel();
        let writer = Writer::open(dir.path(), false, move |done| sender.send(done).unwrap()).unwrap();
        let mut gate = Gate::new(Some(writer));
        let job = JobId(uuid::Uuid::from_u128(1));
        let mut seq = 0;
        let mut commit = |gate: &mut Gate, facts: usize, durable: bool| {
            let mut fact = || {
                seq += 1;
                let fact = Fact::Job(job, JobFact::Ended { cause: None, spent: None });
                JournalEntry { at: At::from_micros(1), seq, actor: None, fact }
            };
            let mut facts: Vec<_> = (0..facts).map(|_| fact()).collect();
            gate.take(&mut facts, &mut Vec::new(), &[], &mut Vec::new(), &mut Vec::new());
            gate.end_soon(Vec::new());
            assert!(gate.hand_over(&State::default(), At::from_micros(1)).is_none());
            let Ok(Done::Committed { number, .. }) = done.recv_timeout(Duration::from_secs(20)) else {
                panic!("a batch was not written");
            };
            gate.end(number, durable);
            gate.newest(Owner::Job(job)).iter().map(|fact| fact.seq).collect::<Vec<u64>>()
        };
        assert_eq!(commit(&mut gate, 2, true), [1, 2]);
        assert_eq!(commit(&mut gate, 1, true), [3]);
        assert_eq!(commit(&mut gate, RECENT_FACTS + 1, true), [0u64; 0]);
        assert_eq!(commit(&mut gate, 1, false), [0u64; 0]);
    }
}
