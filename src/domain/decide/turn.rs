//! One step of the core: what a decision reads, records, orders and replies.

use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::agent::replicas::ReplicaKey;
use crate::domain::apply::apply;
use crate::domain::audit::AuditRecord;
use crate::domain::decide::live::{AgentLive, Live, Pending, PendingCall, Timer, Watch};
use crate::domain::decide::measure;
use crate::domain::effect::{Effect, Order, Recipient};
use crate::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry};
use crate::domain::id::{AgentKey, AttemptKey, CallId, JobId, Rng, SourceKey};
use crate::domain::input::{Reply, Rules};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::{Attempt, Job};
use crate::domain::metrics::Metrics;
use crate::domain::route::Target;
use crate::domain::state::State;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::TraceParent;

/// What one step has decided.
#[derive(Clone, Debug, Default)]
pub struct Out {
    /// To be journaled, in order; already applied.
    pub facts: Vec<JournalEntry>,
    /// To be carried out; gated ones only once the facts of this step are durable.
    pub effects: Vec<Effect>,
    /// Replies to callers, delivered once the facts of this step are durable.
    pub replies: Vec<Reply>,
    /// Records of the acts that were decided, durable with the facts of this step.
    pub audits: Vec<AuditRecord>,
}

/// One step of the core while it is taken.
pub(in crate::domain) struct Turn<'a> {
    pub state: &'a mut State,
    pub live: &'a mut Live,
    pub seed: &'a mut Rng,
    pub rules: &'a Rules,
    pub metrics: &'a mut Metrics,
    pub at: At,
    pub out: &'a mut Out,
    pub touched: Touched,
    /// The operator whose intent is decided; `None` for the engine's own operator or for other inputs.
    pub by: Option<Untrusted>,
}

/// What the lints must look at after this step.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Touched {
    pub agents: Vec<AgentKey>,
    pub attempts: Vec<AttemptKey>,
    pub sources: Vec<SourceKey>,
    /// Agents whose version may be judged otherwise than before, and the replicas among which they are or were.
    pub versions: Vec<AgentKey>,
    pub replica_keys: Vec<ReplicaKey>,
    pub console: bool,
    /// True if a waiting job may find a place now.
    pub freed: bool,
}

impl Touched {
    /// Each once, in the order of their keys.
    pub fn sort(&mut self) {
        self.agents.sort_unstable();
        self.agents.dedup();
        self.attempts.sort_unstable();
        self.attempts.dedup();
        self.versions.sort_unstable();
        self.versions.dedup();
        self.replica_keys.sort_unstable();
        self.replica_keys.dedup();
    }

    pub(in crate::domain) fn clear(&mut self) {
        self.agents.clear();
        self.attempts.clear();
        self.sources.clear();
        self.versions.clear();
        self.replica_keys.clear();
        self.console = false;
        self.freed = false;
    }
}

impl Turn<'_> {
    pub fn state(&self) -> &State {
        self.state
    }

    pub fn agent_live(&mut self, key: AgentKey) -> &mut AgentLive {
        self.live.agents.entry(key).or_default()
    }

    pub fn watch(&mut self, key: AttemptKey) -> &mut Watch {
        let at = self.at;
        self.live.watches.entry(key).or_insert_with(|| Watch { last_activity: at, ..Watch::default() })
    }

    /// The operator whose intent is decided.
    pub fn operator(&self) -> Untrusted {
        self.by.clone().unwrap_or_else(|| Untrusted::new(self.rules.operator.clone()))
    }

    /// Where a job goes: its plan's target, or the agent that it was sent to.
    pub fn target_of(&self, job: &Job) -> Target {
        let first = || self.state().agent(self.state().attempt(*job.attempts.first()?)?.agent);
        match &job.plan {
            Some(plan) => plan.target.clone(),
            None => first().map_or(Target::Any, |agent| Target::Agent(agent.id)),
        }
    }

    /// The health of an agent now.
    pub fn health(&self, key: AgentKey) -> Health {
        self.state().agent(key).map_or(Health::Unknown, |agent| agent.health)
    }

    fn record(&mut self, seq: u64, actor: Option<Untrusted>, fact: Fact) {
        let entry = JournalEntry { at: self.at, seq, actor, fact };
        apply(self.state, &entry);
        self.out.facts.push(entry);
    }

    /// The first fact of an owner that does not exist yet.
    pub fn record_new(&mut self, fact: Fact) {
        self.record(1, None, fact);
    }

    /// A fact of the fleet that the engine brought about.
    pub fn fleet_fact(&mut self, fact: FleetFact) {
        self.fleet_fact_by(None, fact);
    }

    /// Records a fact of the fleet with its actor.
    pub fn fleet_fact_by(&mut self, actor: Option<Untrusted>, fact: FleetFact) {
        let seq = self.state().fleet_seq() + 1;
        self.record(seq, actor, Fact::Fleet(fact));
    }

    /// A fact of an agent that the engine brought about.
    pub fn agent_fact(&mut self, key: AgentKey, fact: AgentFact) {
        self.agent_fact_by(None, key, fact);
    }

    /// Records a fact of an agent with its actor.
    pub fn agent_fact_by(&mut self, actor: Option<Untrusted>, key: AgentKey, fact: AgentFact) {
        let Some(agent) = self.state().agent(key) else { return };
        let (id, seq) = (agent.id, agent.seq + 1);
        let about_version = matches!(
            fact,
            AgentFact::CardSeen { .. }
                | AgentFact::Relisted { .. }
                | AgentFact::Unlisted
                | AgentFact::Named { .. }
                | AgentFact::HealthChanged { .. }
        );
        let healthy = matches!(fact, AgentFact::HealthChanged { .. });
        let before = agent.replica_key.clone();
        if about_version && !healthy {
            self.live.selected.clear();
        }
        self.touched.freed |= about_version || matches!(fact, AgentFact::BreakerMoved { .. });
        self.record(seq, actor, Fact::Agent(id, fact));
        if self.state().agent(key).is_some() {
            self.touched.agents.push(key);
        }
        if about_version {
            self.touched.versions.push(key);
        }
        if about_version && !healthy {
            let after = self.state().agent(key).and_then(|agent| agent.replica_key.clone());
            self.touched.replica_keys.extend(before.into_iter().chain(after));
        }
    }

    /// A fact of a job.
    pub fn job_fact(&mut self, job: JobId, fact: JobFact) {
        self.job_fact_by(None, job, fact);
    }

    /// Records a fact of a job with its actor.
    pub fn job_fact_by(&mut self, actor: Option<Untrusted>, job: JobId, fact: JobFact) {
        let known = self.state().job_key(job).and_then(|key| self.state().jobs().get(key));
        let seq = known.map_or(0, |job| job.seq) + 1;
        measure::job_fact(self, job, &fact);
        self.record(seq, actor, Fact::Job(job, fact));
    }

    /// A fact of an attempt that the engine brought about.
    pub fn attempt_fact(&mut self, key: AttemptKey, fact: AttemptFact) {
        self.attempt_fact_by(None, key, fact);
    }

    /// Records a fact of an attempt with its actor.
    pub fn attempt_fact_by(&mut self, actor: Option<Untrusted>, key: AttemptKey, fact: AttemptFact) {
        let Some(attempt) = self.state().attempt(key) else { return };
        let (id, agent) = (attempt.id, attempt.agent);
        let Some(job) = self.state().job_of(attempt) else { return };
        let (job, seq) = (job.id, job.seq + 1);
        measure::fact(self, key, &fact);
        let was_live = self.state().attempt(key).is_some_and(Attempt::is_live);
        self.record(seq, actor, Fact::attempt(job, id, fact));
        self.touched.freed |= was_live && !self.state().attempt(key).is_some_and(Attempt::is_live);
        // Facts of one step are mostly about one attempt.
        if self.touched.attempts.last() != Some(&key) {
            self.touched.attempts.push(key);
            self.touched.agents.push(agent);
        }
    }

    /// The parent of what an agent does for an attempt, if it is wanted in `headers` or else in the metadata of messages.
    pub fn trace_parent(&self, key: AttemptKey, headers: bool) -> Option<TraceParent> {
        let attempt = self.state().attempt(key)?;
        let carrier = self.state().agent(attempt.agent)?.spec.trace_carrier();
        let wanted = if headers { carrier.in_headers() } else { carrier.in_metadata() };
        wanted.then(|| Some(TraceParent::of(self.state().job_of(attempt)?.id, attempt.id)))?
    }

    /// Orders a call and remembers it.
    pub fn call(&mut self, agent: AgentKey, pending: PendingCall, order: Order) -> CallId {
        self.live.next_call += 1;
        let call = CallId(self.live.next_call);
        self.live.calls.insert(call, Pending { agent, issued: self.at, call: pending });
        self.out.effects.push(Effect { call, to: Recipient::Agent(agent), order });
        call
    }

    /// Orders something of the shell.
    pub fn order_of_shell(&mut self, order: Order) -> CallId {
        self.live.next_call += 1;
        let call = CallId(self.live.next_call);
        self.out.effects.push(Effect { call, to: Recipient::Shell, order });
        call
    }

    /// Closes a stream; later events of it are ignored.
    pub fn close(&mut self, stream: CallId) {
        if let Some(pending) = self.live.calls.remove(stream) {
            let call = CallId(self.live.next_call + 1);
            self.live.next_call += 1;
            self.out.effects.push(Effect {
                call,
                to: Recipient::Agent(pending.agent),
                order: Order::Close { stream },
            });
        }
    }

    pub fn reply(&mut self, ticket: u64, result: Result<Receipt, Refusal>) {
        self.out.replies.push(Reply { ticket, result });
    }

    pub fn set_timer(&mut self, timer: Timer, at: At) {
        self.clear_timer(timer);
        self.live.due.insert(timer, at);
        self.live.timers.insert((at, timer));
    }

    /// Sets a timer unless one of its kind is due earlier.
    pub fn set_timer_by(&mut self, timer: Timer, at: At) {
        if self.live.due.get(&timer).is_none_or(|due| *due > at) {
            self.set_timer(timer, at);
        }
    }

    pub fn clear_timer(&mut self, timer: Timer) {
        if let Some(due) = self.live.due.remove(&timer) {
            self.live.timers.remove(&(due, timer));
        }
    }

    pub fn timer_is_set(&self, timer: Timer) -> bool {
        self.live.due.contains_key(&timer)
    }

    /// The pause before a call to an agent: `base` give or take a fifth.
    pub fn jittered(&mut self, agent: AgentKey, base: Duration) -> Duration {
        let order = self.state().agent(agent).map_or(0, |agent| agent.order);
        let seed = self.live.jitter.seed;
        let own =
            self.agent_live(agent).jitter.get_or_insert_with(|| Rng::new(seed ^ u64::from(order) << 32));
        give_or_take(own, base)
    }

    /// The pause before another attempt of a job: `base` give or take a fifth.
    pub fn jittered_retry(&mut self, base: Duration) -> Duration {
        give_or_take(&mut self.live.jitter.retries, base)
    }
}

fn give_or_take(chance: &mut Rng, base: Duration) -> Duration {
    let micros = u64::try_from(base.as_micros()).unwrap_or(u64::MAX);
    let span = micros / 5 * 2;
    Duration::from_micros(micros - micros / 5 + chance.below(span + 1))
}
