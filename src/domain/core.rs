//! The deterministic core: state, what is under way, and one `step` that decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::agent::card::Card;
use crate::domain::agent::replicas::ReplicaKey;
use crate::domain::apply::apply;
use crate::domain::cause::Cause;
use crate::domain::decide;
use crate::domain::decide::baseline::Baselines;
use crate::domain::decide::evidence::Evidence;
use crate::domain::decide::groups::{Group, GroupKey, GroupMembership};
use crate::domain::effect::{Effect, ListQuery, Order};
use crate::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry};
use crate::domain::id::{AgentKey, AttemptKey, CallId, JobId, Rng, SourceKey};
use crate::domain::input::{Input, Reply, Rules};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::message::Message;
use crate::domain::job::task::TaskState;
use crate::domain::metrics::{Histogram, Metrics, Minute};
use crate::domain::problem::Kind;
use crate::domain::state::State;
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// The core of one supervisor.
#[derive(Clone, Debug)]
pub struct Core {
    pub(super) state: State,
    pub(super) live: Live,
    pub(super) seed: Rng,
    pub(super) rules: Rules,
    pub(super) metrics: Metrics,
    /// Empty between two steps; what it has allocated serves again.
    touched: Touched,
}

/// What one step has decided.
#[derive(Clone, Debug, Default)]
pub struct Out {
    /// To be journaled, in order; already applied.
    pub facts: Vec<JournalEntry>,
    /// To be carried out; gated ones only once the facts of this step are durable.
    pub effects: Vec<Effect>,
    /// To be told to callers, once the facts of this step are durable.
    pub replies: Vec<Reply>,
}

impl Core {
    /// A core over a state that a store has loaded, or over an empty one.
    pub fn new(state: State, rules: Rules, seed: u64) -> Self {
        Self {
            state,
            live: Live::default(),
            seed: Rng::new(seed),
            rules,
            metrics: Metrics::default(),
            touched: Touched::default(),
        }
    }

    /// The durable state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The durable state, to take its changes.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// What happened in the last hour.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes over what a store knows of the last hour.
    pub fn remember(&mut self, metrics: Metrics) {
        self.metrics = metrics;
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Decides what comes of one input.
    pub fn step(&mut self, at: At, input: Input, out: &mut Out) {
        let touched = std::mem::take(&mut self.touched);
        let mut turn = Turn { core: self, at, out, touched, by: None };
        decide::decide(&mut turn, input);
        let mut touched = turn.touched;
        touched.clear();
        self.touched = touched;
    }

    /// Derives what must go on after a start: `watched_until` is the last moment of the engine before.
    pub fn resume(&mut self, at: At, watched_until: Option<At>, out: &mut Out) {
        let mut turn = Turn { core: self, at, out, touched: Touched::default(), by: None };
        decide::resume(&mut turn, watched_until);
    }

    /// When [`Input::Deadline`] is due next.
    pub fn deadline(&self) -> Option<At> {
        self.live.timers.first().map(|(at, _)| *at)
    }

    /// True if a call is still expected to be answered.
    pub fn expects(&self, call: CallId) -> bool {
        self.live.calls.contains_key(&call)
    }

    /// How many calls are under way.
    pub fn calls_under_way(&self) -> usize {
        self.live.calls.len()
    }
}

/// What is under way and gone with the process: open calls, timers, rates.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pub next_call: u64,
    pub calls: BTreeMap<CallId, Pending>,
    pub timers: BTreeSet<(At, Timer)>,
    pub due: BTreeMap<Timer, At>,
    pub agents: BTreeMap<AgentKey, AgentLive>,
    pub watches: BTreeMap<AttemptKey, Watch>,
    /// Listed agents by the name that they would have if they were alone, in order.
    pub names: BTreeMap<Untrusted, BTreeSet<(u32, AgentKey)>>,
    /// Agents, listed or not, by their normalised URL and by the name that the operator gave them.
    pub by_url: BTreeMap<String, BTreeSet<AgentKey>>,
    pub by_name: BTreeMap<Arc<str>, BTreeSet<AgentKey>>,
    /// Attempts that belong to a problem, by agent and kind.
    pub members: BTreeMap<(AgentKey, Kind), BTreeSet<AttemptKey>>,
    /// Agents by what they have in common.
    pub groups: BTreeMap<GroupKey, Group>,
    /// Why the journal cannot be written.
    pub unsaved: Option<Untrusted>,
    pub store_bytes: u64,
    /// Why problems cannot be posted.
    pub unposted: Option<Untrusted>,
    /// This machine lets the engine wait.
    pub busy: bool,
}

/// One thing that becomes due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// Probe the agent.
    Probe(AgentKey),
    /// List the agent's tasks.
    List(AgentKey),
    /// Resubscribe, poll or compare.
    Watch(AttemptKey),
    /// Look whether a task has become silent or stalled.
    Quiet(AttemptKey),
    /// Look how a cancel goes on.
    Cancel(AttemptKey),
    /// Look once more for a sending that may have arrived.
    Lookup(AttemptKey),
    /// Ask the agent's interface again whether it answers.
    Check(AgentKey),
    /// Look whether an agent's problems are over by themselves.
    Lint(AgentKey),
    /// A breaker is tried again.
    Breaker(AgentKey),
    /// A problem is heard of again.
    Mute(u32),
    /// Look how objectives stand.
    Objectives,
    /// Forget what is older than the rules keep.
    Retention,
}

/// A call that was ordered and has not ended.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub agent: AgentKey,
    pub issued: At,
    pub what: PendingWhat,
}

#[derive(Clone, Debug)]
pub(super) enum PendingWhat {
    Probe,
    /// A cheap real call of the interface.
    Check,
    /// A sending of an attempt, or an answer within it.
    Send(SendCall),
    /// A subscription.
    Stream(AttemptKey),
    Get(AttemptKey, GetReason),
    List(ListReason, ListQuery),
    Cancel(AttemptKey),
}

#[derive(Clone, Debug)]
pub(super) struct SendCall {
    pub attempt: AttemptKey,
    /// The message; kept to try the other dialect once.
    pub message: Arc<Message>,
    /// True if it answers a question of the attempt's task.
    pub answer: bool,
    pub stream: bool,
    /// The cause of the first refusal, if this is the try with the other dialect.
    pub fallback: Option<Arc<Cause>>,
}

/// Why a task is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GetReason {
    /// To know where it stands.
    Reconcile,
    /// To compare with the end that its stream told.
    Confirm,
    /// To see whether an uncertain answer arrived.
    Answer,
}

/// Why tasks are listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ListReason {
    /// First contact: state by state.
    Adopt,
    /// What is new.
    Refresh,
    /// Our message, that may have arrived.
    Lookup(AttemptKey),
    /// To compare with the end that a stream told, without its large outputs.
    Confirm(AttemptKey),
}

/// What is known of an agent only while this process runs.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentLive {
    /// The name it would have if it were alone.
    pub base: Option<Untrusted>,
    /// Under what it is found.
    pub found_by: Option<(String, Option<Arc<str>>)>,
    pub etag: Option<Untrusted>,
    /// The card that a source tells; it counts until the agent answers with one.
    pub told: Option<Arc<Card>>,
    /// The agent has answered with a card of its own.
    pub own_card: bool,
    pub probe: Option<CallId>,
    /// Refused or reset probes in a row.
    pub strikes: u8,
    /// True once a probe of this process has answered.
    pub reached: bool,
    pub last_sign: At,
    pub evidence: Evidence,
    /// How long its tasks usually tell nothing.
    pub usual: Baselines,
    /// Where it stands among agents of its host and its sources.
    pub place: GroupMembership,
    /// The sending that a half-open breaker let through.
    pub trial: Option<AttemptKey>,
    /// A check of the interface that is under way.
    pub check: Option<CallId>,
    /// The agent is up once this check has been answered.
    pub awaited: bool,
    /// Checks of the interface that failed in a row.
    pub check_strikes: u8,
    /// Its card answers, its interface does not.
    pub interface_fault: Option<Arc<Cause>>,
    /// The last call of its interface that was answered.
    pub answered: At,
    pub express: bool,
    /// A call, not the card, was refused for want of a login.
    pub login: Option<Arc<Cause>>,
    /// The card answered, but cannot be read.
    pub card_fault: Option<Arc<Cause>>,
    pub listing: Listing,
    /// Streams of tasks that are not ours.
    pub foreign_streams: u16,
    /// True once a call of the chosen interface succeeded.
    pub proven: bool,
    /// The most live tasks of a minute, as counted.
    pub measured: (Minute, u32),
}

/// How far an agent's tasks have been listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub call: Option<CallId>,
    /// It has no `ListTasks`.
    pub unsupported: bool,
    pub adopted: bool,
    /// States still to be asked for, last first.
    pub states: Vec<TaskState>,
    /// Tasks that may still be adopted.
    pub budget: u32,
    pub changed: At,
    pub rounds: u32,
    /// The last listing showed tasks that were new.
    pub busy: bool,
}

/// How a task is watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    pub stream: Option<CallId>,
    /// The stream is one of the 32 for tasks that are not ours.
    pub foreign_slot: bool,
    pub get: Option<CallId>,
    pub get_again: bool,
    pub tries: u32,
    /// Subscriptions since the last event that was not a snapshot.
    pub resubscribed: u32,
    /// The wait before the next subscription is over.
    pub ready: bool,
    /// The agent does not let us subscribe.
    pub poll_only: bool,
    /// The stream was cut here, and nothing has moved since.
    pub cut: Option<At>,
    /// The last event or change.
    pub sign: At,
    /// Something came on a stream of it.
    pub heard: bool,
    /// It waited for a person when it was last heard of.
    pub waited: bool,
    /// The longest time between two signs so far.
    pub longest: Duration,
    /// What it said last, as a hash, and how often again since.
    pub said: (Option<u64>, u32),
    pub missing: u8,
    pub confirms: u8,
    pub lookups: u8,
    pub cancel_call: Option<CallId>,
    pub cancel_tries: u32,
    pub agreed: Option<At>,
    pub events_since_agreed: u32,
    pub alarmed: u32,
    /// The agent's clock when its task was first seen.
    pub peer_began: Option<PeerTime>,
    /// Times between words of its stream that are not counted yet, and the minute of the last one.
    pub between: Histogram,
    pub minute: Minute,
}

/// One step of the core while it is taken.
pub(super) struct Turn<'a> {
    pub core: &'a mut Core,
    pub at: At,
    pub out: &'a mut Out,
    pub touched: Touched,
    /// Who wishes what is decided; none: the engine's operator, or nobody.
    pub by: Option<Untrusted>,
}

/// What the lints must look at after this step.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    pub agents: Vec<AgentKey>,
    pub attempts: Vec<AttemptKey>,
    pub sources: Vec<SourceKey>,
    /// Agents whose version may be judged otherwise than before, and the replicas among which they are or were.
    pub versions: Vec<AgentKey>,
    pub replica_key: Vec<ReplicaKey>,
    pub console: bool,
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
        self.replica_key.sort_unstable();
        self.replica_key.dedup();
    }

    fn clear(&mut self) {
        self.agents.clear();
        self.attempts.clear();
        self.sources.clear();
        self.versions.clear();
        self.replica_key.clear();
        self.console = false;
    }
}

impl Turn<'_> {
    pub fn state(&self) -> &State {
        &self.core.state
    }

    pub fn agent_live(&mut self, key: AgentKey) -> &mut AgentLive {
        self.core.live.agents.entry(key).or_default()
    }

    pub fn watch(&mut self, key: AttemptKey) -> &mut Watch {
        let at = self.at;
        self.core.live.watches.entry(key).or_insert_with(|| Watch { sign: at, ..Watch::default() })
    }

    /// Who wishes what is decided.
    pub fn operator(&self) -> Untrusted {
        self.by.clone().unwrap_or_else(|| Untrusted::new(self.core.rules.operator.clone()))
    }

    /// The health of an agent now.
    pub fn health(&self, key: AgentKey) -> Health {
        self.state().agent(key).map_or(Health::Unknown, |agent| agent.health)
    }

    fn record(&mut self, seq: u64, actor: Option<Untrusted>, fact: Fact) {
        let entry = JournalEntry { at: self.at, seq, actor, fact };
        apply(&mut self.core.state, &entry);
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

    /// A fact of the fleet that somebody brought about.
    pub fn fleet_fact_by(&mut self, actor: Option<Untrusted>, fact: FleetFact) {
        let seq = self.state().fleet_seq() + 1;
        self.record(seq, actor, Fact::Fleet(fact));
    }

    /// A fact of an agent that the engine brought about.
    pub fn agent_fact(&mut self, key: AgentKey, fact: AgentFact) {
        self.agent_fact_by(None, key, fact);
    }

    /// A fact of an agent that somebody brought about.
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
        self.record(seq, actor, Fact::Agent(id, fact));
        self.touched.agents.push(key);
        if about_version {
            self.touched.versions.push(key);
        }
        if about_version && !healthy {
            let after = self.state().agent(key).and_then(|agent| agent.replica_key.clone());
            self.touched.replica_key.extend(before.into_iter().chain(after));
        }
    }

    /// A fact of a job.
    pub fn job_fact(&mut self, job: JobId, fact: JobFact) {
        let known = self.state().job_key(job).and_then(|key| self.state().jobs().get(key));
        let seq = known.map_or(0, |job| job.seq) + 1;
        self.record(seq, None, Fact::Job(job, fact));
    }

    /// A fact of an attempt that the engine brought about.
    pub fn attempt_fact(&mut self, key: AttemptKey, fact: AttemptFact) {
        self.attempt_fact_by(None, key, fact);
    }

    /// A fact of an attempt that somebody brought about.
    pub fn attempt_fact_by(&mut self, actor: Option<Untrusted>, key: AttemptKey, fact: AttemptFact) {
        let Some(attempt) = self.state().attempt(key) else { return };
        let (id, agent) = (attempt.id, attempt.agent);
        let Some(job) = self.state().job_of(attempt) else { return };
        let (job, seq) = (job.id, job.seq + 1);
        decide::measure::fact(self, key, &fact);
        self.record(seq, actor, Fact::attempt(job, id, fact));
        // Facts of one step are mostly about one attempt.
        if self.touched.attempts.last() != Some(&key) {
            self.touched.attempts.push(key);
            self.touched.agents.push(agent);
        }
    }

    /// Orders a call and remembers it.
    pub fn call(&mut self, agent: AgentKey, pending: PendingWhat, order: Order) -> CallId {
        self.core.live.next_call += 1;
        let call = CallId(self.core.live.next_call);
        self.core.live.calls.insert(call, Pending { agent, issued: self.at, what: pending });
        self.out.effects.push(Effect { call, agent, what: order });
        call
    }

    /// Closes a stream; what it still sends is late and ignored.
    pub fn close(&mut self, stream: CallId) {
        if let Some(pending) = self.core.live.calls.remove(&stream) {
            let call = CallId(self.core.live.next_call + 1);
            self.core.live.next_call += 1;
            self.out.effects.push(Effect { call, agent: pending.agent, what: Order::Close { stream } });
        }
    }

    pub fn reply(&mut self, ticket: u64, result: Result<Receipt, Refusal>) {
        self.out.replies.push(Reply { ticket, result });
    }

    pub fn set_timer(&mut self, timer: Timer, at: At) {
        self.clear_timer(timer);
        self.core.live.due.insert(timer, at);
        self.core.live.timers.insert((at, timer));
    }

    /// Sets a timer unless one of its kind is due earlier.
    pub fn set_timer_by(&mut self, timer: Timer, at: At) {
        if self.core.live.due.get(&timer).is_none_or(|due| *due > at) {
            self.set_timer(timer, at);
        }
    }

    pub fn clear_timer(&mut self, timer: Timer) {
        if let Some(due) = self.core.live.due.remove(&timer) {
            self.core.live.timers.remove(&(due, timer));
        }
    }

    pub fn timer_is_set(&self, timer: Timer) -> bool {
        self.core.live.due.contains_key(&timer)
    }

    /// `base` give or take a fifth.
    pub fn jittered(&mut self, base: Duration) -> Duration {
        let micros = u64::try_from(base.as_micros()).unwrap_or(u64::MAX);
        let span = micros / 5 * 2;
        Duration::from_micros(micros - micros / 5 + self.core.seed.below(span + 1))
    }
}
