//! A seeded world around the core: toy agents, a network that delays, loses and duplicates, and crashes at any point.
//! Invariants are checked after each step. A failure prints its seed: `QUARTERDECK_SIM_SEED=N cargo test simulator`
//! runs only that one.

mod agents;
mod cascade;
mod checks;
mod crowd;
mod disk;
mod people;
mod routing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

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

use agents::*;

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
    /// Somebody sends more work than the queue may hold.
    Crowd,
    /// Somebody else sends work to an agent.
    Stranger,
    /// The source reports some of the agents, or cannot be read.
    Source,
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
    /// Jobs that may wait in the queue.
    room: usize,
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
        let room = Self::room(number);
        let core = Core::new(State::default(), Self::rules(room), number);
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
            room,
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
        world.expect_crowd();
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
    fn rules(queued_jobs: usize) -> Rules {
        let breaker = BreakerRules { outlier_failed: 1, outlier_volume: 2, ..BreakerRules::default() };
        let wanted = Minimum { agent: Some("toy*".into()), skill: None, version: "1.1".into() };
        Rules {
            breaker,
            minimum_versions: vec![wanted],
            notify_from: Some(Severity::Bad),
            keep_departed: Duration::from_secs(10),
            routes: routing::rules(),
            queued_jobs,
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
            | Happening::Crowd
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
        self.core = Core::new(state, Self::rules(self.room), fresh);
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
        let sends = matches!(&input, Input::Intent { intent: Intent::Send(_), .. });
        let before = (self.core.state().jobs().len(), self.core.state().queue().len());
        self.core.step(self.now, input, &mut out);
        if sends {
            self.check_sent(before, &out);
        }
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
                    Happening::Crowd => self.crowd(),
                    Happening::Stranger => self.stranger(),
                    Happening::Source => self.source(),
                }
            }
            steps += 1;
            // After the storm little changes, so fewer checks are enough.
            if self.stormy() || steps.is_multiple_of(16) {
                let unattended = self.core.unattended();
                assert!(unattended.is_empty(), "nothing would continue these: {unattended:?}");
                let missing = self.core.missing_timers(self.now);
                assert!(missing.is_empty(), "these would never become due: {missing:?}");
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
    "queue_full",
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
