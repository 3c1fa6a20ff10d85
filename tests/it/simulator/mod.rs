//! A seeded world around the core: toy agents, a network that delays, loses and duplicates, and crashes at any point.
//! Invariants are checked after each step. A failure prints its seed: `QUARTERDECK_SIM_SEED=N cargo test simulator`
//! runs only that one.

mod cascade;
mod disk;
mod routing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quarterdeck::domain::agent::Health;
use quarterdeck::domain::agent::breaker::{BreakerRules, BreakerState};
use quarterdeck::domain::agent::card::{Card, Dialect, FetchedCard, Offer, Peer};
use quarterdeck::domain::agent::replicas::ReplicaKey;
use quarterdeck::domain::agent::shift::ShiftChange;
use quarterdeck::domain::agent::version::Minimum;
use quarterdeck::domain::agent::{Agent, AgentSpec, Source};
use quarterdeck::domain::apply::apply;
use quarterdeck::domain::audit::{ActOutcome, AuditRecord};
use quarterdeck::domain::call::{
    Answered, CallKind, Outcome, Page, Probed, SendOutcome, StreamOutcome, SubscribeOutcome,
};
use quarterdeck::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent};
use quarterdeck::domain::core::{Core, Out};
use quarterdeck::domain::effect::{Effect, ListQuery, Order};
use quarterdeck::domain::fact::{AttemptFact, JournalEntry, Owner};
use quarterdeck::domain::fleet::source::{
    DiscoveredAgent, SourceHealth, SourceKind, SourceReport, SourceSpec,
};
use quarterdeck::domain::id::{AgentKey, CallId, JobId, MessageId, Rng, TaskId};
use quarterdeck::domain::input::{Input, PostResult, Reply, Rules, ServerTraits};
use quarterdeck::domain::intent::{Intent, Receipt, Send};
use quarterdeck::domain::job::message::{Artifact, Message, Part, Role};
use quarterdeck::domain::job::plan::JobPhase;
use quarterdeck::domain::job::task::{Status, StreamEvent, TaskReport, TaskState, Verdict};
use quarterdeck::domain::job::{Job, Phase};
use quarterdeck::domain::problem::{Kind, Severity, Subject};
use quarterdeck::domain::state::State;
use quarterdeck::domain::text::Untrusted;
use quarterdeck::domain::time::At;
use quarterdeck::protocol::recent_tasks::RecentTasks;
use quarterdeck::protocol::{Deviations, codec, jsonrpc, reply};

const AGENTS: usize = 4;
/// The number of additional agents that the source lists now and then, but not at the end.
const VISITORS: usize = 2;
const CLUSTER: &str = "cluster";
const START: i64 = 1_795_000_000_000_000;
/// Faults stop after this time; the world must then come to rest.
const STORM: Duration = Duration::from_mins(2);
const END: Duration = Duration::from_mins(20);

#[derive(Clone, Debug)]
enum Happening {
    /// Something reaches the core.
    Input(Input),
    /// The journal has committed everything up to this fact.
    Commit(usize),
    /// A request reaches an agent.
    Arrive { agent: usize, effect: Effect },
    /// A task makes progress.
    Work { agent: usize, task: String, step: u32, life: u32 },
    /// An agent dies or comes back.
    Toggle(usize),
    /// The process is killed and another one starts.
    Crash,
    /// An operator sends, answers, cancels or decides something.
    Operator,
    /// An operator acts on a problem or an agent.
    Act,
    /// The disk fails or recovers.
    Disk(disk::DiskEvent),
    /// Somebody else sends work to an agent.
    Stranger,
    /// The source reports some of the agents, or cannot be read.
    Source,
}

/// The call of an open stream, and how its outcomes are wrapped.
type Stream = (CallId, fn(StreamOutcome) -> Outcome);

#[derive(Clone, Debug)]
struct ToyTask {
    state: TaskState,
    message: MessageId,
    messages: Vec<Message>,
    text: String,
    script: u64,
    streams: Vec<Stream>,
    /// The sender's id of the job.
    job: Option<Untrusted>,
}

#[derive(Clone, Debug, Default)]
struct ToyAgent {
    up: bool,
    /// The number of its deaths, so that work from an earlier life stops.
    life: u32,
    forgets: bool,
    is_0_3: bool,
    streams: bool,
    /// Its streams report the end of tasks, but its store never does.
    lies: bool,
    tasks: BTreeMap<String, ToyTask>,
    received: BTreeMap<MessageId, u32>,
}

pub(crate) struct World {
    seed: Rng,
    now: At,
    order: u64,
    queue: BTreeMap<(At, u64), Happening>,
    core: Core,
    agents: Vec<ToyAgent>,
    journal: Vec<JournalEntry>,
    committed: usize,
    /// Gated effects, each with the length of the journal that must be durable first.
    gated: Vec<(usize, Effect)>,
    /// Replies, each with the length of the journal that must be durable first.
    replies: Vec<(usize, Reply)>,
    promised: BTreeSet<JobId>,
    resent: BTreeMap<MessageId, u32>,
    /// Messages that an operator presumed lost.
    given_up: BTreeSet<MessageId>,
    disk: disk::Disk,
    /// The kinds of facts that were recorded.
    seen: BTreeSet<&'static str>,
}

impl World {
    pub(crate) fn new(number: u64) -> Self {
        let mut seed = Rng::new(number);
        let agents = (0..AGENTS)
            .map(|_| ToyAgent {
                up: seed.below(8) > 0,
                forgets: seed.below(3) == 0,
                is_0_3: seed.below(3) == 0,
                streams: seed.below(5) > 0,
                lies: seed.below(9) == 0,
                ..ToyAgent::default()
            })
            .chain((0..VISITORS).map(|_| ToyAgent { up: true, streams: true, ..ToyAgent::default() }))
            .collect();
        let now = At::from_micros(START);
        let core = Core::new(State::default(), Self::rules(), number);
        let mut world = Self {
            seed,
            now,
            order: 0,
            queue: BTreeMap::new(),
            core,
            agents,
            journal: Vec::new(),
            committed: 0,
            gated: Vec::new(),
            replies: Vec::new(),
            promised: BTreeSet::new(),
            resent: BTreeMap::new(),
            given_up: BTreeSet::new(),
            disk: disk::Disk::new(number),
            seen: BTreeSet::new(),
        };
        world.boot(None);
        for _ in 0..20 {
            let at = world.seed.below(STORM.as_micros() as u64);
            world.at(Duration::from_micros(at), Happening::Operator);
        }
        for _ in 0..6 {
            let at = world.seed.below(STORM.as_micros() as u64);
            world.at(Duration::from_micros(at), Happening::Stranger);
        }
        for _ in 0..world.seed.below(6) {
            let (at, agent) =
                (world.seed.below(STORM.as_micros() as u64), world.seed.below(AGENTS as u64) as usize);
            world.at(Duration::from_micros(at), Happening::Toggle(agent));
        }
        for _ in 0..world.seed.below(4) {
            let at = world.seed.below(STORM.as_micros() as u64);
            world.at(Duration::from_micros(at), Happening::Crash);
        }
        world.at(Duration::ZERO, Happening::Source);
        for _ in 0..world.seed.below(6) {
            let at = world.seed.below(STORM.as_micros() as u64);
            world.at(Duration::from_micros(at), Happening::Source);
        }
        world.at(STORM, Happening::Source);
        world
    }

    fn at(&mut self, after: Duration, what: Happening) {
        self.order += 1;
        self.queue.insert((self.now + after, self.order), what);
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.seed.below(most - least + 1))
    }

    fn stormy(&self) -> bool {
        self.now.since(At::from_micros(START)) < STORM
    }

    /// True once in `n` times while the storm lasts.
    fn mischief(&mut self, n: u64) -> bool {
        self.stormy() && self.seed.below(n) == 0
    }

    /// Rules that treat replicas as outliers early, so that storms eject some of them.
    fn rules() -> Rules {
        let breaker = BreakerRules { outlier_failed: 1, outlier_volume: 2, ..BreakerRules::default() };
        let wanted = Minimum { agent: Some("toy*".into()), skill: None, version: "1.1".into() };
        Rules {
            breaker,
            minimum_versions: vec![wanted],
            notify_from: Some(Severity::Bad),
            keep_departed: Duration::from_secs(10),
            routes: routing::rules(),
            ..Rules::default()
        }
    }

    fn specs() -> Vec<AgentSpec> {
        // The last agent is known only from the source.
        (0..AGENTS - 1)
            .map(|n| AgentSpec {
                name: Some(format!("toy-{n}").into()),
                capacity: (n == 0).then_some(2),
                ..AgentSpec::at(format!("http://toy-{n}"), Source::Config)
            })
            .collect()
    }

    /// Starts a process on the durable state.
    fn boot(&mut self, watched_until: Option<At>) {
        let mut out = Out::default();
        self.core.resume(self.now, watched_until, &mut out);
        self.take(out);
        let spec = SourceSpec { name: CLUSTER.into(), kind: SourceKind::Kubernetes, at: "toys".into() };
        self.feed(Input::Sources(vec![spec]));
        self.feed(Input::Configured(Self::specs()));
    }

    fn crash(&mut self) {
        // What was not committed never happened, but the agents keep what they received.
        self.journal.truncate(self.committed);
        self.gated.clear();
        let until = self.journal.last().map(|fact| fact.at).or(self.disk.recovered);
        self.forget_callers();
        self.queue.retain(|_, what| match what {
            Happening::Input(_) | Happening::Commit(_) => false,
            Happening::Arrive { .. }
            | Happening::Work { .. }
            | Happening::Toggle(_)
            | Happening::Crash
            | Happening::Operator
            | Happening::Act
            | Happening::Disk(_)
            | Happening::Stranger
            | Happening::Source => true,
        });
        // Requests in flight still arrive; their answers are lost.
        for what in self.queue.values_mut() {
            if let Happening::Arrive { effect, .. } = what {
                effect.call = CallId(u64::MAX);
            }
        }
        for agent in &mut self.agents {
            for task in agent.tasks.values_mut() {
                task.streams.clear();
            }
        }
        let state = self.replayed();
        self.check_done(&state);
        let fresh = self.seed.next();
        self.core = Core::new(state, Self::rules(), fresh);
        self.boot(until);
    }

    fn replayed(&self) -> State {
        let mut state = self.disk.base.clone();
        for fact in &self.journal {
            apply(&mut state, fact);
        }
        state
    }

    fn feed(&mut self, input: Input) {
        let mut out = Out::default();
        let is_intent = matches!(input, Input::Intent { .. });
        let acts = matches!(&input, Input::Intent { intent, .. } if intent.acts());
        self.core.step(self.now, input, &mut out);
        // Each act has one record, and nothing else has any.
        assert_eq!(out.audits.len(), usize::from(acts), "{out:?}");
        let refused = out.replies.iter().any(|reply| reply.result.is_err());
        let says_refused = |record: &AuditRecord| matches!(record.outcome, ActOutcome::Refused(_));
        assert!(!is_intent || out.audits.iter().all(|record| says_refused(record) == refused), "{out:?}");
        if is_intent && out.replies.iter().any(|reply| reply.result.is_err()) {
            assert!(out.facts.is_empty(), "a refused intent left facts: {out:?}");
            assert!(out.effects.is_empty(), "a refused intent left effects: {out:?}");
        }
        self.take(out);
    }

    fn take(&mut self, out: Out) {
        for fact in out.facts {
            self.check_fact(&fact);
            self.seen.insert(fact.stored_as());
            self.journal.push(fact);
        }
        let length = self.journal.len();
        for effect in out.effects {
            if effect.order.is_gated() {
                self.gated.push((length, effect));
            } else {
                self.release(effect);
            }
        }
        for reply in out.replies {
            if length > self.committed.max(self.disk.failed) {
                self.replies.push((length, reply));
            } else {
                self.answer_caller(reply);
            }
        }
        if length > self.committed {
            let wait = self.millis(0, 20);
            self.at(wait, Happening::Commit(length));
        }
    }

    fn commit(&mut self, length: usize) {
        self.committed = self.committed.max(length.min(self.journal.len()));
        let committed = self.committed;
        let gated = std::mem::take(&mut self.gated);
        for (needs, effect) in gated {
            if needs <= committed { self.release(effect) } else { self.gated.push((needs, effect)) }
        }
        let replies = std::mem::take(&mut self.replies);
        for (needs, reply) in replies {
            if needs <= committed { self.answer_caller(reply) } else { self.replies.push((needs, reply)) }
        }
    }

    fn release(&mut self, effect: Effect) {
        if matches!(effect.order, Order::Close { .. }) {
            return;
        }
        let wait = self.millis(0, 200);
        if let Order::LoadMessage { job, composed, carry } = effect.order {
            let message = self.message_of(job, composed, carry.as_deref());
            return self.at(wait, Happening::Input(Input::MessageLoaded { job, carry, message }));
        }
        if let Order::Notify(notification) = &effect.order {
            let (number, event) = (notification.problem.number, notification.event);
            let failed = self.mischief(4).then(|| "no answer".into());
            return self.at(wait, Happening::Input(Input::Posted(PostResult { number, event, failed })));
        }
        let agent = effect.to.agent().and_then(|key| self.core.state().agent(key)).map(index_of);
        if let Some(agent) = agent {
            self.at(wait, Happening::Arrive { agent, effect });
        }
    }

    fn answer(&mut self, call: CallId, outcome: Outcome) {
        let wait = self.millis(0, 150);
        if self.mischief(20) {
            let late = self.millis(0, 4000);
            self.at(late, Happening::Input(Input::Outcome { call, outcome: outcome.clone() }));
        }
        self.at(wait, Happening::Input(Input::Outcome { call, outcome }));
    }

    fn fail(&mut self, (call, kind): (CallId, CallKind), sent: Sent, cause: Cause) {
        self.answer(call, kind.failed(Failure { sent, cause }));
    }

    /// A request reaches an agent or is lost.
    fn arrive(&mut self, index: usize, effect: Effect) {
        let Some(kind) = effect.order.kind() else { return };
        let call = (effect.call, kind);
        if !self.agents[index].up {
            return self.fail(call, Sent::Not, Cause::Refused);
        }
        if self.mischief(25) {
            // The request is lost.
            return self.fail(call, Sent::Maybe, Cause::TimedOut(Duration::from_secs(5)));
        }
        let lost_back = if self.mischief(25) {
            Some(Cause::Reset)
        } else if self.mischief(20) {
            self.wrong_shape(index, &effect.order)
        } else {
            None
        };
        let took = Duration::from_millis(3);
        if let Order::Get { task, .. } | Order::Cancel { task, .. } = &effect.order
            && self.mischief(20)
            && let Some(other) = self.foreign(index, &task.raw())
        {
            let answer = Ok(Answered { value: Box::new(other), took });
            let is_get = matches!(effect.order, Order::Get { .. });
            let outcome = if is_get { Outcome::Get(answer) } else { Outcome::Cancel(answer) };
            return self.answer(call.0, outcome);
        }
        match effect.order {
            Order::Probe { url, .. } => {
                let card = self.card(index);
                let card = Some(FetchedCard { card, url, etag: None });
                let value = Probed { card, server: ServerTraits::default() };
                self.answer(call.0, Outcome::Probe(Ok(Answered { value, took })));
            }
            Order::Send { message, stream, .. } => self.sent(index, call.0, &message, stream, lost_back),
            Order::Check { .. } => {
                self.fail(call, Sent::Maybe, lost_back.unwrap_or_else(|| rpc(ErrorName::TaskNotFound)));
            }
            Order::Get { task, .. } => match self.agents[index].tasks.get(&*task.raw()).cloned() {
                _ if lost_back.is_some() => self.fail(call, Sent::Maybe, lost_back.unwrap()),
                Some(mut toy) => {
                    if self.agents[index].lies && toy.state == TaskState::Completed {
                        toy.state = TaskState::Working;
                    }
                    let value = Box::new(report(&task.raw(), &toy));
                    self.answer(call.0, Outcome::Get(Ok(Answered { value, took })));
                }
                None => self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotFound)),
            },
            Order::List { query, .. } => self.list(index, call, &query, lost_back),
            Order::Subscribe { task, .. } => {
                let Some(toy) = self.agents[index].tasks.get_mut(&*task.raw()) else {
                    return self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotFound));
                };
                if toy.state.is_terminal() {
                    return self.fail(call, Sent::Maybe, rpc(ErrorName::UnsupportedOperation));
                }
                if let Some(cause) = lost_back {
                    return self.fail(call, Sent::Maybe, cause);
                }
                let stream: Stream = (call.0, subscribed);
                toy.streams.push(stream);
                let snapshot = StreamEvent::Task(Box::new(report(&task.raw(), toy)));
                self.stream_event(stream, snapshot);
                if self.mischief(20)
                    && let Some(other) = self.foreign(index, &task.raw())
                {
                    self.stream_event(stream, StreamEvent::Task(Box::new(other)));
                }
            }
            Order::Cancel { task, .. } => self.cancel(index, call, &task, lost_back),
            Order::Close { .. } | Order::Notify(_) | Order::LoadMessage { .. } => {}
        }
    }

    fn list(&mut self, index: usize, call: (CallId, CallKind), query: &ListQuery, lost_back: Option<Cause>) {
        let took = Duration::from_millis(3);
        if self.agents[index].is_0_3 {
            return self.fail(call, Sent::Maybe, rpc(ErrorName::MethodNotFound));
        }
        if let Some(cause) = lost_back {
            return self.fail(call, Sent::Maybe, cause);
        }
        let tasks = self.agents[index]
            .tasks
            .iter()
            .filter(|(_, toy)| query.state.as_ref().is_none_or(|state| *state == toy.state))
            .map(|(id, toy)| {
                let mut report = report(id, toy);
                report.artifacts = None;
                if !query.history {
                    report.history.clear();
                }
                report
            })
            .collect();
        let value = Page { tasks, ..Page::default() };
        self.answer(call.0, Outcome::List(Ok(Answered { value, took })));
    }

    fn cancel(&mut self, index: usize, call: (CallId, CallKind), task: &TaskId, lost_back: Option<Cause>) {
        let took = Duration::from_millis(3);
        let Some(toy) = self.agents[index].tasks.get_mut(&*task.raw()) else {
            return self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotFound));
        };
        if toy.state.is_terminal() {
            return self.fail(call, Sent::Maybe, rpc(ErrorName::TaskNotCancelable));
        }
        // One in four agents agrees but continues the task.
        if toy.script % 4 != 0 {
            toy.state = TaskState::Canceled;
        }
        let reported = report(&task.raw(), toy);
        if toy.state.is_terminal() {
            self.send_event(index, &task.raw(), status_of(&reported));
            self.end_streams(index, &task.raw());
        }
        if let Some(cause) = lost_back {
            self.fail(call, Sent::Maybe, cause);
        } else {
            self.answer(call.0, Outcome::Cancel(Ok(Answered { value: Box::new(reported), took })));
        }
    }

    /// The report of an ended task with an id other than the requested one.
    fn foreign(&self, index: usize, asked: &str) -> Option<TaskReport> {
        let toy = self.agents[index].tasks.get(asked)?;
        let mut other = report("another", toy);
        other.status.state = TaskState::Completed;
        Some(other)
    }

    /// The cause of the failure that an answer of a random shape leads to, decoded like an answer from the wire; `None`
    /// if the shape happens to fit the request.
    fn wrong_shape(&mut self, index: usize, order: &Order) -> Option<Cause> {
        let dialect = if self.agents[index].is_0_3 { Dialect::V0_3 } else { Dialect::V1_0 };
        let codec = codec(dialect);
        let shapes = [
            r#"{"tasks":[]}"#,
            r#"{"id":"x","kind":"task","status":{"state":"TASK_STATE_WORKING"}}"#,
            r#"{"message":{"messageId":"x","role":"ROLE_AGENT","parts":[]}}"#,
            r#"{"messageId":"x","kind":"message","role":"agent","parts":[]}"#,
            "{}",
            "null",
            "[]",
        ];
        let result = shapes[self.seed.below(shapes.len() as u64) as usize];
        let result = jsonrpc::result("1", result);
        let deviations = &mut Deviations::default();
        let method = order.kind()?.method();
        match order {
            Order::Send { .. } => reply::send(codec, method, &result, deviations).err(),
            Order::Check { .. } | Order::Get { .. } | Order::Cancel { .. } | Order::Subscribe { .. } => {
                reply::task(codec, method, &result, deviations).err()
            }
            Order::List { .. } => {
                reply::page(codec, method, &result, &mut RecentTasks::default(), deviations).err()
            }
            Order::Probe { .. } | Order::Close { .. } | Order::Notify(_) | Order::LoadMessage { .. } => None,
        }
    }

    fn sent(
        &mut self,
        index: usize,
        call: CallId,
        message: &Message,
        stream: bool,
        lost_back: Option<Cause>,
    ) {
        let asked = (call, CallKind::Send);
        let count = self.agents[index].received.entry(message.id.clone()).or_default();
        *count += 1;
        let allowed = 1 + self.resent.get(&message.id).copied().unwrap_or(0);
        assert!(*count <= allowed, "message {} arrived {count} times, {allowed} allowed", message.id);
        let took = Duration::from_millis(3);
        self.check_begun(message);
        if let Some(task) = &message.task {
            // A message that is refused was not taken, so it may be sent again, for example without streaming.
            let refused = match self.agents[index].tasks.get(&*task.raw()) {
                None => Some(ErrorName::TaskNotFound),
                Some(toy) => toy.state.is_terminal().then_some(ErrorName::UnsupportedOperation),
            };
            if let Some(name) = refused {
                *self.agents[index].received.entry(message.id.clone()).or_default() -= 1;
                return self.fail(asked, Sent::Maybe, rpc(name));
            }
            let Some(toy) = self.agents[index].tasks.get_mut(&*task.raw()) else { return };
            toy.messages.push(message.clone());
            toy.state = TaskState::Working;
            let reported = report(&task.raw(), toy);
            let life = self.agents[index].life;
            let wait = self.millis(10, 2000);
            self.at(wait, Happening::Work { agent: index, task: task.raw().to_owned(), step: 4, life });
            return self.reply_to_send(index, call, &task.raw(), reported, stream, lost_back, took);
        }
        let script = self.seed.next();
        if script.is_multiple_of(11) {
            let words = Message { id: MessageId::from("direct"), role: Role::Agent, ..words("no task") };
            return if let Some(cause) = lost_back {
                self.fail(asked, Sent::Maybe, cause);
            } else if stream {
                self.stream_event((call, sending), StreamEvent::Message(Box::new(words)));
                self.answer(call, sending(StreamOutcome::Ended(Ok(()))));
            } else {
                let answered = Answered { value: Box::new(words), took };
                self.answer(call, Outcome::Send(SendOutcome::Message(answered)));
            };
        }
        let id = format!("t{index}-{}", self.order);
        let toy = ToyTask {
            state: TaskState::Submitted,
            message: message.id.clone(),
            messages: vec![message.clone()],
            text: String::new(),
            script,
            streams: Vec::new(),
            job: message.hints.job.clone(),
        };
        let reported = report(&id, &toy);
        let life = self.agents[index].life;
        self.agents[index].tasks.insert(id.clone(), toy);
        let wait = self.millis(10, 3000);
        self.at(wait, Happening::Work { agent: index, task: id.clone(), step: 0, life });
        self.reply_to_send(index, call, &id, reported, stream, lost_back, took);
    }

    #[expect(clippy::too_many_arguments, reason = "one call of a toy")]
    fn reply_to_send(
        &mut self,
        index: usize,
        call: CallId,
        id: &str,
        reported: TaskReport,
        stream: bool,
        lost_back: Option<Cause>,
        took: Duration,
    ) {
        if let Some(cause) = lost_back {
            return self.fail((call, CallKind::Send), Sent::Maybe, cause);
        }
        if stream {
            if let Some(toy) = self.agents[index].tasks.get_mut(id) {
                toy.streams.push((call, sending));
            }
            self.stream_event((call, sending), StreamEvent::Task(Box::new(reported)));
        } else {
            let answered = Answered { value: Box::new(reported), took };
            self.answer(call, Outcome::Send(SendOutcome::Task(answered)));
        }
    }

    /// Delivers an event of a stream. Events of one stream keep their order, as with TCP.
    fn stream_event(&mut self, (call, wrap): Stream, event: StreamEvent) {
        // Sometimes a reader delivers several events at once.
        let events = if self.mischief(40) { vec![event.clone(), event] } else { vec![event] };
        let outcome = wrap(StreamOutcome::Events(events));
        self.at(
            Duration::from_millis(20),
            Happening::Input(Input::Outcome { call, outcome: outcome.clone() }),
        );
        if self.mischief(40) {
            self.at(Duration::from_millis(20), Happening::Input(Input::Outcome { call, outcome }));
        }
    }

    fn send_event(&mut self, index: usize, id: &str, event: StreamEvent) {
        let streams = self.agents[index].tasks.get(id).map(|toy| toy.streams.clone()).unwrap_or_default();
        for (call, wrap) in streams {
            if self.mischief(30) {
                self.drop_stream(index, id, call);
                let cut = wrap(StreamOutcome::Ended(Err(Cause::Reset)));
                self.at(Duration::from_millis(20), Happening::Input(Input::Outcome { call, outcome: cut }));
            } else {
                self.stream_event((call, wrap), event.clone());
            }
        }
    }

    fn drop_stream(&mut self, index: usize, id: &str, call: CallId) {
        if let Some(toy) = self.agents[index].tasks.get_mut(id) {
            toy.streams.retain(|(open, _)| *open != call);
        }
    }

    fn end_streams(&mut self, index: usize, id: &str) {
        let streams = self.agents[index]
            .tasks
            .get_mut(id)
            .map(|toy| std::mem::take(&mut toy.streams))
            .unwrap_or_default();
        for (call, wrap) in streams {
            let ended = Input::Outcome { call, outcome: wrap(StreamOutcome::Ended(Ok(()))) };
            self.at(Duration::from_millis(25), Happening::Input(ended));
        }
    }

    /// A task makes progress: a few chunks, then the end as its script says.
    fn work(&mut self, index: usize, id: &str, step: u32, life: u32) {
        if !self.agents[index].up || self.agents[index].life != life {
            return;
        }
        let Some(toy) = self.agents[index].tasks.get_mut(id) else { return };
        if toy.state.is_terminal() {
            return;
        }
        let script = toy.script;
        let (event, more) = match step {
            0 => {
                toy.state = TaskState::Working;
                (status_of(&report(id, toy)), true)
            }
            1..=3 => {
                let text = format!("chunk {step} ");
                toy.text.push_str(&text);
                let artifact = Artifact::new("a", vec![Part::text(text.as_str())]);
                let event = StreamEvent::Artifact {
                    task: None,
                    context: None,
                    artifact,
                    append: step > 1,
                    last: step == 3,
                };
                (event, true)
            }
            4 if script % 5 == 0 && toy.messages.len() == 1 => {
                toy.state = TaskState::InputRequired;
                (status_of(&report(id, toy)), false)
            }
            // One in thirteen tasks never ends.
            _ if script % 13 == 0 => return,
            _ => {
                toy.state = if script % 3 == 0 { TaskState::Failed } else { TaskState::Completed };
                (status_of(&report(id, toy)), false)
            }
        };
        let ends = toy.state.is_terminal() || toy.state.is_interrupted();
        self.send_event(index, id, event);
        if ends {
            self.end_streams(index, id);
        }
        if more {
            let wait = self.millis(10, 3000);
            self.at(wait, Happening::Work { agent: index, task: id.to_owned(), step: step + 1, life });
        }
    }

    fn toggle(&mut self, index: usize) {
        let agent = &mut self.agents[index];
        agent.up = !agent.up;
        if agent.up {
            let life = agent.life;
            if agent.forgets {
                agent.tasks.clear();
            }
            let running: Vec<_> = agent.tasks.iter().filter(|(_, toy)| !toy.state.is_terminal()).collect();
            let running: Vec<_> = running.into_iter().map(|(id, _)| id.clone()).collect();
            for task in running {
                let wait = self.millis(10, 3000);
                self.at(wait, Happening::Work { agent: index, task, step: 4, life });
            }
        } else {
            agent.life += 1;
            let streams: Vec<_> =
                agent.tasks.values_mut().flat_map(|toy| std::mem::take(&mut toy.streams)).collect();
            for (call, wrap) in streams {
                let cut = Input::Outcome { call, outcome: wrap(StreamOutcome::Ended(Err(Cause::Reset))) };
                self.at(Duration::from_millis(25), Happening::Input(cut));
            }
        }
    }

    fn operator(&mut self) {
        let state = self.core.state();
        let attempts: Vec<_> = state.attempts().iter().map(|(_, attempt)| attempt.clone()).collect();
        let agents: Vec<_> = state.agents().iter().map(|(_, agent)| agent.id).collect();
        let pick = self.seed.below(10);
        let intent = match pick {
            0 | 1 if !attempts.is_empty() => {
                let attempt = &attempts[self.seed.below(attempts.len() as u64) as usize];
                let unreached = attempts.iter().find(|attempt| {
                    let agent = state.agent(attempt.agent);
                    attempt.message_id.is_some()
                        && attempt.is_out_of_sight()
                        && agent.is_some_and(|agent| agent.health == Health::Down)
                });
                let attempt = unreached.filter(|_| pick == 1).unwrap_or(attempt);
                match (pick, attempt.phase, &attempt.task) {
                    (1, Phase::Accepted, Some(_)) if unreached.is_some() && self.seed.below(2) == 0 => {
                        self.given_up.extend(attempt.message_id.clone());
                        Intent::PresumeLost { attempt: attempt.id, why: None }
                    }
                    (1, Phase::Uncertain, _) if self.seed.below(2) == 0 => {
                        self.given_up.extend(attempt.message_id.clone());
                        Intent::PresumeLost { attempt: attempt.id, why: None }
                    }
                    (_, Phase::Uncertain, _) => {
                        if let Some(message) = &attempt.message_id {
                            *self.resent.entry(message.clone()).or_default() += 1;
                        }
                        Intent::Resend { attempt: attempt.id, why: None }
                    }
                    (0, _, Some(_)) if attempt.is_live() && self.seed.below(2) == 0 => {
                        let carry = routing::carry(&mut self.seed);
                        Intent::Reroute { attempt: attempt.id, to: None, carry, why: None }
                    }
                    (1, _, _) if !attempt.is_live() => {
                        let carry = routing::carry(&mut self.seed);
                        Intent::Retry { attempt: attempt.id, to: None, carry, why: Some("once more".into()) }
                    }
                    (1, _, Some(_)) if self.seed.below(4) > 0 => {
                        let to = agents[self.seed.below(agents.len() as u64) as usize];
                        let to = (self.seed.below(3) == 0).then_some(to);
                        Intent::Race { attempt: attempt.id, to, why: Some("slow".into()) }
                    }
                    (0, _, Some(_)) if self.seed.below(2) == 0 => {
                        Intent::CancelWithDelegated { attempt: attempt.id, why: None }
                    }
                    (0, _, Some(_)) => Intent::Cancel { attempt: attempt.id, why: Some("enough".into()) },
                    _ => Intent::CheckTask { attempt: attempt.id },
                }
            }
            3 if self.seed.below(2) == 0 => {
                let unsent = |job: &Job| job.attempts.is_empty() && job.phase == JobPhase::Over;
                let dead = state.jobs().iter().find(|(_, job)| unsent(job)).map(|(_, job)| job.id);
                match dead {
                    Some(job) => Intent::Requeue { job, to: None, why: Some("still wanted".into()) },
                    None => return,
                }
            }
            3 if self.seed.below(3) == 0 => {
                let place = self.seed.below(AGENTS as u64);
                Intent::AddAgent { url: format!("http://toy-{place}").into(), by: "sam".into() }
            }
            4 if agents.len() > 1 && self.seed.below(4) == 0 => {
                let of = |place: u64| agents[place as usize % agents.len()];
                let place = self.seed.below(AGENTS as u64);
                let change = match self.seed.below(6) {
                    0 => ShiftChange::Hold,
                    1 => ShiftChange::Resume,
                    2 => ShiftChange::Back,
                    3 => ShiftChange::End,
                    _ => ShiftChange::Begin(routing::terms(of(place + 1))),
                };
                Intent::Shift { agent: of(place), change, why: None, by: "sam".into() }
            }
            4 if !agents.is_empty() && self.seed.below(3) == 0 => {
                let agent = agents[self.seed.below(agents.len() as u64) as usize];
                Intent::RemoveAgent { agent, why: None, by: "sam".into() }
            }
            2 => {
                let waiting = attempts.iter().find(|attempt| attempt.needs_you() && attempt.task.is_some());
                match waiting {
                    Some(attempt) => Intent::Answer {
                        attempt: attempt.id,
                        parts: vec![Part::text("Lisbon")],
                        metadata: None,
                    },
                    None => return,
                }
            }
            5..8 if !agents.is_empty() => routing::send(&mut self.seed),
            _ if !agents.is_empty() => Intent::Send(Box::new(Send::new(
                agents[self.seed.below(agents.len() as u64) as usize],
                vec![Part::text("do it")],
            ))),
            _ => return,
        };
        self.submit(intent);
    }

    fn stranger(&mut self) {
        let index = self.seed.below((AGENTS + VISITORS) as u64) as usize;
        if !self.agents[index].up {
            return;
        }
        self.order += 1;
        let message = MessageId::from(format!("stranger-{}", self.order).as_str());
        let task_message = Message { id: message.clone(), role: Role::User, ..words("of somebody else") };
        let task_message = self.delegated(task_message);
        let toy = ToyTask {
            state: TaskState::Submitted,
            message,
            messages: vec![task_message],
            text: String::new(),
            script: self.seed.next(),
            streams: Vec::new(),
            job: None,
        };
        let id = format!("s{index}-{}", self.order);
        let life = self.agents[index].life;
        self.agents[index].tasks.insert(id.clone(), toy);
        let wait = self.millis(10, 9000);
        self.at(wait, Happening::Work { agent: index, task: id, step: 0, life });
    }

    /// The source reports a random selection of agents; at the end of the storm it reports all of them.
    fn source(&mut self) {
        let begins = self.now == At::from_micros(START);
        let news = if !begins && self.mischief(4) {
            SourceReport::Failed(Cause::Refused.into())
        } else {
            let mut named = Vec::new();
            for n in 0..AGENTS {
                if !self.mischief(3) || (begins && n == AGENTS - 1) {
                    named.push(DiscoveredAgent::at(format!("http://Toy-{n}/")));
                }
            }
            for n in AGENTS..AGENTS + VISITORS {
                if self.mischief(2) {
                    named.push(DiscoveredAgent::at(format!("http://toy-{n}")));
                }
            }
            SourceReport::Agents(named)
        };
        self.feed(Input::Discovered { source: CLUSTER.into(), news });
    }

    fn card(&self, index: usize) -> Arc<Card> {
        let version = if self.agents[index].is_0_3 { "0.3" } else { "1.0" };
        // Each life runs a newer version, and the last agent is no replica of another.
        let life = self.agents[index].life;
        let name = if index >= AGENTS - 1 { format!("loner {index}") } else { "toy".into() };
        let peer = |n: usize| Peer { name: None, url: format!("http://toy-{n}").into() };
        Arc::new(Card {
            name: name.as_str().into(),
            version: format!("1.{life}").into(),
            peers: vec![peer((index + 1) % AGENTS), peer(AGENTS + life as usize)],
            streaming: self.agents[index].streams,
            skills: vec![routing::skill()],
            offers: vec![Offer {
                url: format!("http://toy-{index}/").into(),
                binding: "JSONRPC".into(),
                version: Some(version.into()),
                tenant: None,
            }],
            digest: 1 + u64::from(life),
            ..Card::empty()
        })
    }

    /// The facts in order, and the final state.
    pub(crate) fn outcome(&self) -> (&[JournalEntry], &State) {
        (&self.journal, self.core.state())
    }

    pub(crate) fn run(&mut self) {
        let end = At::from_micros(START) + END;
        let mut steps = 0u64;
        loop {
            let next = self.queue.keys().next().map(|(at, _)| *at);
            let due = self.core.deadline();
            let Some(at) = next.into_iter().chain(due).min() else { break };
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            if !self.stormy() && self.agents.iter().any(|agent| !agent.up) {
                for index in 0..AGENTS {
                    if !self.agents[index].up {
                        self.toggle(index);
                    }
                }
            }
            if due.is_some_and(|due| due <= at) && next.is_none_or(|next| due.is_some_and(|due| due <= next))
            {
                self.feed(Input::Deadline);
                assert!(self.core.deadline().is_none_or(|next| next > self.now), "a deadline stays due");
            } else if let Some(((_, _), what)) = self.queue.pop_first() {
                match what {
                    Happening::Input(input) => self.feed(input),
                    Happening::Commit(length) if self.disk.fails() => self.fail_commit(length),
                    Happening::Commit(length) => self.commit(length),
                    Happening::Arrive { agent, effect } => self.arrive(agent, effect),
                    Happening::Work { agent, task, step, life } => self.work(agent, &task, step, life),
                    Happening::Toggle(agent) if self.stormy() => self.toggle(agent),
                    Happening::Toggle(_) => {}
                    Happening::Crash => self.crash(),
                    Happening::Operator => self.operator(),
                    Happening::Act => self.act(),
                    Happening::Disk(event) => self.on_disk(event),
                    Happening::Stranger => self.stranger(),
                    Happening::Source => self.source(),
                }
            }
            steps += 1;
            // After the storm little changes, so fewer checks are enough.
            if self.stormy() || steps.is_multiple_of(16) {
                let unattended = self.core.unattended();
                assert!(unattended.is_empty(), "nothing would continue these: {unattended:?}");
            }
            assert!(steps < 200_000, "the world does not come to rest");
            if steps.is_multiple_of(16) {
                self.check_counts();
                self.check_jobs();
                self.check_replicas();
            }
        }
        self.check_rest();
    }

    /// Checks that phases only change in allowed ways.
    fn check_fact(&mut self, entry: &JournalEntry) {
        if let Some((attempt, AttemptFact::Moved { phase, .. })) = entry.fact.of_attempt() {
            let before = self.journal.iter().rev().find_map(|entry| {
                match entry.fact.of_attempt().filter(|(of, _)| *of == attempt)?.1 {
                    AttemptFact::Moved { phase, .. } => Some(*phase),
                    AttemptFact::TaskSeen { .. } => Some(Phase::Accepted),
                    AttemptFact::Planned { .. } => Some(Phase::Planned),
                    _ => None,
                }
            });
            let allowed = match before {
                // One that was sent before and not taken this time may have arrived the first time.
                Some(Phase::Planned) | None => {
                    matches!(phase, Phase::Sending | Phase::Unsent | Phase::Uncertain)
                }
                Some(Phase::Sending) => {
                    !matches!(phase, Phase::Sending | Phase::Planned | Phase::PresumedLost)
                }
                Some(Phase::Uncertain) => {
                    matches!(phase, Phase::Planned | Phase::PresumedLost | Phase::Answered)
                }
                // Its agent is down.
                Some(Phase::Accepted) => phase == &Phase::PresumedLost,
                // It came back; or an operator's decision was not written, and is undone.
                Some(Phase::PresumedLost) => {
                    phase == &Phase::Accepted || (phase == &Phase::Uncertain && self.disk.fails())
                }
                Some(Phase::Unsent) => phase == &Phase::Uncertain && self.disk.fails(),
                Some(_) => false,
            };
            // Facts that a full disk did not keep are missing in front of it.
            assert!(allowed || before.is_none(), "{attempt:?} went from {before:?} to {phase:?}");
            if *phase == Phase::PresumedLost {
                self.check_given_up(attempt);
            }
        }
    }

    /// Checks that the counts in an agent's row match its attempts.
    fn check_counts(&self) {
        let state = self.core.state();
        for (key, agent) in state.agents().iter() {
            let of_agent = || state.attempts().iter().filter(move |(_, attempt)| attempt.agent == key);
            let live = of_agent().filter(|(_, attempt)| attempt.is_live()).count();
            let need_you = of_agent().filter(|(_, attempt)| attempt.needs_you()).count();
            assert_eq!(
                (agent.counts.live as usize, agent.counts.need_you as usize),
                (live, need_you),
                "counts of {}",
                agent.name
            );
            let wanted = of_agent().filter(|(_, attempt)| attempt.wants_attention()).map(|(key, _)| key);
            assert!(state.attention().of(key).eq(wanted), "attempts of {} that want attention", agent.name);
        }
    }

    /// Checks that the groups of replicas match the agents' rows, and that never more than half of a group is ejected
    /// as outliers.
    fn check_replicas(&self) {
        let state = self.core.state();
        let mut members: BTreeMap<&ReplicaKey, BTreeSet<AgentKey>> = BTreeMap::new();
        for (key, agent) in state.agents().iter().filter(|(_, agent)| agent.listed) {
            if let Some(replica_key) = &agent.replica_key {
                members.entry(replica_key).or_default().insert(key);
            }
        }
        let known: BTreeMap<_, _> = state
            .replicas()
            .groups()
            .map(|(replica_key, group)| (replica_key, group.members().clone()))
            .collect();
        assert_eq!(known, members);
        for (_, group) in state.replicas().groups() {
            let rows = || group.members().iter().filter_map(|key| Some((*key, state.agent(*key)?)));
            let able = rows().filter(|(_, agent)| {
                agent.health.takes_work() && agent.breaker.position == BreakerState::Closed
            });
            assert!(able.map(|(key, _)| key).eq(group.able().iter().copied()));
            let versions: BTreeSet<_> =
                rows().filter_map(|(_, agent)| Some(agent.card.as_ref()?.version.clone())).collect();
            assert!(versions.iter().eq(group.versions().keys()));
            for (place, (key, _)) in rows().enumerate() {
                let raised = state.raised(Kind::AgentVersionMixed, Subject::Agent(key)).is_some();
                assert_eq!(raised, place == 0 && versions.len() > 1, "versions of {key:?}: {versions:?}");
            }
            let ejected = |agent: &Agent| {
                agent.breaker.position == BreakerState::Open
                    && matches!(agent.breaker.cause.as_deref(), Some(Cause::Outlier { .. }))
            };
            let ejected = rows().filter(|(_, agent)| ejected(agent)).count();
            let together = rows().count();
            assert!(ejected * 2 <= together, "{ejected} of {together} were ejected");
        }
    }

    /// Checks that the facts of an owner are numbered without a gap, and that they contain no message twice.
    fn check_journal(&self) {
        let mut seqs: BTreeMap<Owner, u64> = BTreeMap::new();
        for fact in &self.journal {
            // After a recovery, the numbers continue those of the rows.
            let first = if self.disk.recovered.is_some() { fact.seq } else { 1 };
            let next = seqs.insert(fact.owner(), fact.seq).map_or(first, |seq| seq + 1);
            assert_eq!(fact.seq, next, "facts of {:?} have a gap", fact.owner());
        }
        let mut seen = BTreeSet::new();
        for fact in &self.journal {
            if let Some((attempt, AttemptFact::MessageSeen { message, .. })) = fact.fact.of_attempt() {
                assert!(
                    seen.insert((attempt, message.id.clone())),
                    "{:?} is recorded twice: {fact:?}",
                    message.id
                );
            }
        }
    }

    /// Checks the state after the storm: nothing is lost, nothing is in a transitional state, and what is recorded is
    /// true.
    fn check_rest(&mut self) {
        self.check_replicas();
        self.check_posted();
        self.check_jobs();
        self.check_queue();
        self.check_cascades();
        let state = self.core.state();
        for (key, agent) in state.agents().iter() {
            let old = agent.card.as_ref().is_some_and(|card| {
                card.name.raw() == "toy" && card.version.raw() == "1.0" && agent.health.takes_work()
            });
            let raised = state.raised(Kind::AgentVersionOld, Subject::Agent(key)).is_some();
            assert!(raised == old || !agent.health.takes_work(), "the version of {}", agent.name);
        }
        let replayed = self.replayed();
        if self.committed == self.journal.len() {
            let rows = |state: &State| {
                let agents: Vec<_> = state.agents().iter().map(|(k, row)| (k, row.clone())).collect();
                let jobs: Vec<_> = state.jobs().iter().map(|(k, row)| (k, row.clone())).collect();
                let attempts: Vec<_> = state.attempts().iter().map(|(k, row)| (k, row.clone())).collect();
                let problems: Vec<_> = state.problems().iter().map(|(k, row)| (k, row.clone())).collect();
                let sources: Vec<_> = state.sources().iter().map(|(k, row)| (k, row.clone())).collect();
                (agents, jobs, attempts, problems, sources)
            };
            assert_eq!(rows(state), rows(&replayed), "replaying the journal gives another state");
        }
        self.check_journal();
        for (key, agent) in state.agents().iter() {
            assert_eq!(agent.listed, index_of(agent) < AGENTS, "whether {} is listed", agent.name);
            let is_kept = agent.operator_at.is_some()
                || state.attempts().iter().any(|(_, attempt)| attempt.agent == key)
                || state.problems().iter().any(|(_, problem)| problem.subject.agent() == Some(key));
            assert!(agent.listed || is_kept, "{} has left, and no reason keeps it", agent.name);
        }
        assert!(state.sources().iter().all(|(_, row)| row.health == SourceHealth::Working));
        for job in &self.promised {
            let known = state.job_key(*job).is_some();
            assert!(known, "job {job} was promised and is lost");
        }
        for (index, toy) in self.agents.iter().enumerate().take(AGENTS).filter(|(_, toy)| !toy.is_0_3) {
            let is_it = |(_, agent): &(AgentKey, &Agent)| index_of(agent) == index;
            let (key, _) = state.agents().iter().find(is_it).expect("the source lists all of them");
            for id in toy.tasks.keys() {
                let found = state.attempt_of_task(key, &TaskId::from(id.as_str())).is_some();
                assert!(found, "task {id} of an agent that lists its tasks is unknown");
            }
        }
        for (key, attempt) in state.attempts().iter() {
            let agent = state.agent(attempt.agent).expect("an agent with attempts is never forgotten");
            // Agents that have left are not watched.
            if !agent.listed {
                continue;
            }
            let toy = &self.agents[index_of(agent)];
            assert!(
                !matches!(attempt.phase, Phase::Planned | Phase::Sending),
                "{key:?} stays {:?}: {attempt:?}",
                attempt.phase
            );
            let unfinished = attempt.answer.as_ref().is_some_and(|answer| answer.phase == Phase::Sending);
            assert!(!unfinished, "an answer of {key:?} stays unfinished: {attempt:?}");
            let Some(task) = &attempt.task else {
                if attempt.phase == Phase::Unsent
                    && let Some(message) = &attempt.message_id
                {
                    assert!(
                        !toy.received.contains_key(message),
                        "{key:?} is unsent but arrived: {attempt:?}"
                    );
                }
                continue;
            };
            match toy.tasks.get(&*task.id.raw()) {
                Some(truth) => {
                    // An end that was only reported on a stream that was lost cannot be known.
                    let unknowable =
                        toy.lies && truth.state == TaskState::Completed && task.state == TaskState::Working;
                    assert!(
                        task.state == truth.state || task.verdict.is_some() || unknowable,
                        "{key:?}: {:?} is recorded, but the agent has {:?}: {attempt:?}",
                        task.state,
                        truth.state
                    );
                    // A message that the network duplicated may have started two tasks, whose stream and store disagree
                    // forever: both states are shown.
                    if !truth.state.is_terminal() && task.verdict != Some(Verdict::Conflict) {
                        assert!(!task.settled, "{key:?} is settled but runs: {attempt:?}, {truth:?}");
                    }
                    if attempt.message_id.is_some() {
                        assert_eq!(attempt.message_id.as_ref(), Some(&truth.message));
                    }
                }
                None => assert!(task.is_over(), "{key:?} was forgotten by its agent: {attempt:?}"),
            }
        }
    }
}

/// The index of an agent among the toys.
fn index_of(agent: &Agent) -> usize {
    let url = agent.spec.url.trim_end_matches('/');
    url.rsplit_once('-').and_then(|(_, place)| place.parse().ok()).expect("the URL of a toy")
}

fn sending(outcome: StreamOutcome) -> Outcome {
    Outcome::Send(SendOutcome::Stream(outcome))
}

fn subscribed(outcome: StreamOutcome) -> Outcome {
    Outcome::Subscribe(SubscribeOutcome::Stream(outcome))
}

fn rpc(name: ErrorName) -> Cause {
    Cause::Rpc(RpcError { name, code: None, message: "toy".into() })
}

fn words(text: &str) -> Message {
    Message::new(text, Role::Agent, vec![Part::text(text)])
}

fn report(id: &str, toy: &ToyTask) -> TaskReport {
    let artifact = Artifact::new("a", vec![Part::text(toy.text.as_str())]);
    TaskReport {
        artifacts: Some(if toy.text.is_empty() { vec![] } else { vec![artifact] }),
        history: toy.messages.clone(),
        ..TaskReport::new(id, Status::new(toy.state.clone()))
    }
}

fn status_of(report: &TaskReport) -> StreamEvent {
    StreamEvent::status(Some(report.id.clone()), None, report.status.clone())
}

/// Runs a quarter of a thousand seeds, or of `QUARTERDECK_SIM_SEEDS`; there are four tests, so that they run in
/// parallel.
/// Facts that a quarter of a thousand storms must have seen, so that their consequences are checked at all.
const HAPPEN: &[&str] = &[
    "agent_forgotten",
    "job_routed",
    "job_queued",
    "job_ended",
    "job_reopened",
    "job_moving",
    "job_racing",
    "job_composed",
    "attempt_won",
    "job_came_back",
    "attempt_overdue",
    "service_changed",
    "drained",
];

fn storms(quarter: u64) {
    if let Ok(seed) = std::env::var("QUARTERDECK_SIM_SEED") {
        World::with_failing_disk(seed.parse().expect("QUARTERDECK_SIM_SEED is a number")).run();
        return;
    }
    let seeds = std::env::var("QUARTERDECK_SIM_SEEDS")
        .map_or(1000, |seeds| seeds.parse::<u64>().expect("QUARTERDECK_SIM_SEEDS is a number"));
    let mut seen = BTreeSet::new();
    for seed in quarter * seeds / 4..(quarter + 1) * seeds / 4 {
        let ran = std::panic::catch_unwind(|| {
            let mut world = World::with_failing_disk(seed);
            world.run();
            world.seen
        });
        seen.extend(ran.unwrap_or_else(|_| {
            panic!("seed {seed} failed: QUARTERDECK_SIM_SEED={seed} cargo test simulator")
        }));
    }
    let missing: Vec<_> = HAPPEN.iter().filter(|kind| !seen.contains(*kind)).collect();
    assert!(seeds < 1000 || missing.is_empty(), "these never happened: {missing:?}");
}

#[test]
fn storms_lose_and_duplicate_nothing_1() {
    storms(0);
}

#[test]
fn storms_lose_and_duplicate_nothing_2() {
    storms(1);
}

#[test]
fn storms_lose_and_duplicate_nothing_3() {
    storms(2);
}

#[test]
fn storms_lose_and_duplicate_nothing_4() {
    storms(3);
}
