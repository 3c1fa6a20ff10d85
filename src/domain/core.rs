//! The deterministic core: the state, the work in progress, and `step`, which decides.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::call::CallKind;
use crate::domain::decide;
use crate::domain::decide::live::{Jitter, Live};
pub use crate::domain::decide::turn::Out;
use crate::domain::decide::turn::{Touched, Turn};
use crate::domain::decide::{timers, unattended};
use crate::domain::id::{AgentKey, AttemptKey, CallId, Rng};
use crate::domain::input::{Input, Rules};
use crate::domain::intent::Send;
use crate::domain::metrics::{Block, FleetTotals, Metrics, Minute};
use crate::domain::route::explanation::Explanation;
use crate::domain::state::{Changed, State};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The core of one supervisor.
#[derive(Clone, Debug)]
pub struct Core {
    state: State,
    live: Live,
    seed: Rng,
    rules: Rules,
    metrics: Metrics,
    /// Empty between steps; kept to reuse its memory.
    touched: Touched,
}

impl Core {
    /// A core over a state that a store has loaded, or over an empty one.
    pub fn new(state: State, rules: Rules, seed: u64) -> Self {
        Self {
            state,
            live: Live { jitter: Jitter::new(seed), routes: rules.routes.clone(), ..Live::default() },
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

    /// Appends the changes since the last call to `to`, in order, with repeats.
    pub fn move_changes(&mut self, to: &mut Vec<Changed>) {
        self.state.move_changes(to);
    }

    /// Metrics of the last hour.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What was done since the start, and what waits now.
    pub fn totals(&self) -> FleetTotals {
        let (queue, jobs) = (self.state.queue(), self.state.jobs());
        FleetTotals {
            totals: self.metrics.totals.clone(),
            queued: queue.len() as u64,
            queued_bytes: queue.bytes(),
            oldest: queue.jobs().filter_map(|key| jobs.get(key)).map(|job| job.created).min(),
        }
    }

    /// Restores the stored metrics of the last hour.
    pub fn remember(&mut self, metrics: Metrics) {
        self.metrics = metrics;
    }

    /// Adds a minute that was made up.
    pub fn make_up(&mut self, minute: Minute, block: Arc<Block>) {
        self.metrics.put(minute, block);
    }

    /// Adds a usual pause between updates that was made up.
    pub fn make_up_pause(&mut self, agent: AgentKey, skill: Option<Untrusted>, pause: Duration) {
        self.live.agents.entry(agent).or_default().baselines.make_up(skill, pause);
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Decides one input.
    pub fn step(&mut self, at: At, input: Input, out: &mut Out) {
        self.take_turn(at, out, |turn| decide::decide(turn, input));
    }

    /// Derives the work to resume after a start: `watched_until` is the last moment of the previous engine.
    pub fn resume(&mut self, at: At, watched_until: Option<At>, out: &mut Out) {
        self.take_turn(at, out, |turn| decide::resume(turn, watched_until));
    }

    fn take_turn(&mut self, at: At, out: &mut Out, decide: impl FnOnce(&mut Turn<'_>)) {
        let mut turn = Turn {
            state: &mut self.state,
            live: &mut self.live,
            seed: &mut self.seed,
            rules: &self.rules,
            metrics: &mut self.metrics,
            at,
            out,
            touched: std::mem::take(&mut self.touched),
            by: None,
        };
        decide(&mut turn);
        let mut touched = turn.touched;
        touched.clear();
        self.touched = touched;
    }

    /// The rules of routing, and where a message would go now. Nothing is recorded, and nobody's turn is taken.
    pub fn explain(&mut self, at: At, send: Option<&Send>) -> Explanation {
        let mut explained = None;
        self.take_turn(at, &mut Out::default(), |turn| explained = Some(decide::explain(turn, send)));
        explained.unwrap_or_default()
    }

    /// When [`Input::Deadline`] is due next.
    pub fn deadline(&self) -> Option<At> {
        self.live.timers.first().map(|(at, _)| *at)
    }

    /// The facts of an act are durable: it can no longer be taken back.
    pub fn act_saved(&mut self, ticket: u64) {
        self.live.acts.remove(&ticket);
    }

    /// True if the intent of a ticket acts and its facts are not yet known to be durable.
    pub fn is_unsaved_act(&self, ticket: u64) -> bool {
        self.live.acts.contains_key(&ticket)
    }

    /// True while the journal cannot be written.
    pub fn is_unsaved(&self) -> bool {
        self.live.unsaved.is_some()
    }

    /// True if a call is still expected to be answered.
    pub fn expects(&self, call: CallId) -> bool {
        self.live.calls.contains(call)
    }

    /// Attempts that would never make progress, each with what is missing. Any entry is a fault of the core. Scans
    /// every attempt.
    pub fn unattended(&self) -> Vec<(AttemptKey, &'static str)> {
        unattended::find(&self.state, &self.live)
    }

    /// Timers that the rows imply at this time and that are not set. Any entry is a fault of the core. Scans every row.
    pub fn missing_timers(&self, at: At) -> Vec<String> {
        let missing = timers::missing(&self.state, &self.live, at);
        missing.into_iter().map(|timer| format!("{timer:?}")).collect()
    }

    /// The rules of routing, as last loaded.
    pub fn routes(&self) -> &Arc<crate::domain::route::Rules> {
        &self.live.routes
    }

    /// The calls to an agent that are under way, each with its kind, and true if it is about a task that is known.
    pub(in crate::domain) fn calls_of(&self, agent: AgentKey) -> Vec<(CallId, CallKind, bool)> {
        let of = |call| {
            let pending = self.live.calls.get(call)?;
            let attempt = pending.call.attempt().and_then(|key| self.state.attempt(key));
            Some((call, pending.call.kind(), attempt.is_some_and(|attempt| attempt.task.is_some())))
        };
        self.live.calls.of_agent(agent).filter_map(of).collect()
    }

    /// How many calls are under way.
    pub fn calls_under_way(&self) -> usize {
        self.live.calls.len()
    }
}
