//! The loop: one task owns the core. It receives inputs from lanes, and hands on facts and effects.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::commits::Unsaved;
use super::credentials::CredentialBook;
use super::discovery::{self, SourceUpdate};
use super::follower::Follower;
use super::gate::{Gate, Released};
use super::handle::{Handle, Request};
use super::lanes::{Lanes, Observed};
use super::notify::Notifier;
use super::past::RulesSource;
use super::publisher::Publisher;
use super::start::{EngineCount, Options, Stopped};
use super::telemetry::Telemetry;
use super::{LISTS, NEWS, READS, REQUESTS};
use crate::domain::agent::AgentSpec;
use crate::domain::call::StreamOutcome;
use crate::domain::core::{Core, Out};
use crate::domain::fact::{AgentFact, Fact, JobFact, JournalEntry, Owner};
use crate::domain::fleet::source::SourceSpec;
use crate::domain::id::{AgentId, AgentKey, CallId, JobId};
use crate::domain::input::{Input, PostResult, Reply};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::carry::Carried;
use crate::domain::job::message::Message;
use crate::domain::metrics::{Block, MadeUp, MadeUpPause, MadeUpTally, Metrics, Minute, Series};
use crate::domain::route::Rules;
use crate::domain::state::{Changed, State};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::failpoint;
use crate::net::clock::Clock;
use crate::net::tap::Tap;
use crate::net::{Access, Net, Redactor};
use crate::store::lock::Lock;
use crate::store::{Done, Reader, StoreError, Writer};

/// The longest interval between looks at the clock.
const BEAT: Duration = Duration::from_secs(2);
/// A heartbeat this late means that nothing was watched: the machine slept, or the process was stopped.
const PAUSE: Duration = Duration::from_secs(8);
/// A deadline this late means that the machine is overloaded.
const LATE: Duration = Duration::from_millis(250);
/// The time after it during which the machine still counts as overloaded.
const CALM: Duration = Duration::from_secs(5);
/// The interval at which the journal records that the engine is alive.
const ALIVE: Duration = Duration::from_secs(10);
/// The maximum number of inputs and the maximum duration of one turn, after which everything else gets its turn.
const TURN_INPUTS: usize = 256;
const TURN: Duration = Duration::from_millis(5);
/// The time at the end during which messages in progress may still be answered.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The channels of a loop.
pub(super) struct LoopChannels {
    pub handle: Handle,
    pub net: Net,
    requests: mpsc::Receiver<Request>,
    control: mpsc::Receiver<Observed>,
    done: mpsc::Receiver<Done>,
    source_updates: mpsc::Receiver<SourceUpdate>,
    posted: mpsc::Receiver<PostResult>,
    routes: mpsc::Receiver<RoutesRead>,
    pub routes_sender: mpsc::Sender<RoutesRead>,
    loaded: mpsc::Receiver<LoadedMessage>,
}

/// The message of a job as the journal has it.
type LoadedMessage = (JobId, Option<Arc<Carried>>, Option<Arc<Message>>);

/// The rules of routing as read again, or why the configuration cannot be read.
pub type RoutesRead = Result<Arc<Rules>, Untrusted>;

pub(super) struct Runner {
    pub(super) core: Core,
    pub(super) clock: Arc<Clock>,
    pub(super) gate: Gate,
    pub(super) lanes: Lanes,
    pub(super) net: Net,
    pub(super) reads: Arc<Semaphore>,
    pub(super) lists: Arc<Semaphore>,
    /// Verifications of the audit run one after the other.
    pub(super) verifications: Arc<Semaphore>,
    book: CredentialBook,
    /// How each agent is reached; an entry is valid as long as the agent's settings and card are the same.
    access: HashMap<AgentKey, (Arc<AgentSpec>, u64, Arc<Access>)>,
    /// The tasks of open calls, for closing streams.
    pub(super) calls: HashMap<CallId, AbortHandle>,
    /// Sends that have not been answered at all.
    pub(super) sends: BTreeSet<CallId>,
    tickets: BTreeMap<u64, oneshot::Sender<Result<Receipt, Refusal>>>,
    next_ticket: u64,
    pub(super) followers: BTreeMap<JobId, Vec<Follower>>,
    /// The facts of an engine without a journal.
    pub(super) memory: BTreeMap<Owner, Vec<JournalEntry>>,
    pub(super) reader: Option<Arc<std::sync::Mutex<Reader>>>,
    pub(super) publisher: Publisher,
    /// Reads files of rules.
    pub(super) rules: RulesSource,
    /// What the agents of the demo that this engine owns are told when they are to die; none if it owns none.
    pub(super) drill_token: Arc<OnceLock<http::HeaderValue>>,
    /// The last time the machine delayed the loop, as long as the core considers the machine busy.
    busy: Option<Instant>,
    /// The current period in which the journal cannot be written; `None` while it can.
    pub(super) unsaved: Option<Unsaved>,
    last_at: At,
    /// Minutes before this one were handed to the journal.
    measured_until: Minute,
    /// Minutes that were made up and that no reader of the journal sees yet.
    pub(super) made_up: Vec<(Minute, Arc<Block>)>,
    /// Empty between two steps; kept to reuse its buffers.
    out: Out,
    lock: Option<Lock>,
    pub(super) loaded: mpsc::Sender<LoadedMessage>,
    pub(super) notifier: Option<Notifier>,
    /// What agents send of their own accord, which the core does not see.
    pub(super) telemetry: Telemetry,
    /// Sources of agents; they end with the loop.
    _sources: tokio::task::JoinSet<()>,
    _counted: EngineCount,
}

impl Runner {
    /// Loads the durable state and decides what to resume.
    ///
    /// # Errors
    /// The data folder cannot be used.
    pub fn new(options: Options, made_up: MadeUp) -> Result<(Self, LoopChannels), StoreError> {
        let Options {
            dir,
            power_loss_safe,
            mut rules,
            specs,
            sources,
            webhook,
            access,
            telemetry,
            seed,
            lock,
        } = options;
        // Without a webhook no post is ordered.
        rules.notify_from = rules.notify_from.filter(|_| webhook.is_some());
        let (journal, done) = mpsc::channel(4);
        let (mut reader, mut writer, mut loaded) = (None, None, None);
        if let Some(dir) = &dir {
            crate::store::make_dir(dir)?;
            // The only sender. Its receiver ends with the loop, and no caller is left then.
            writer = Some(Writer::open(dir, power_loss_safe, move |done| {
                let _the_loop_has_ended = journal.blocking_send(done);
            })?);
            reader = Reader::open(dir)?;
            loaded = reader.as_ref().map(Reader::load).transpose()?;
        }
        let loaded = loaded.unwrap_or_default();
        let clock = Arc::new(Clock::start_after(loaded.alive.unwrap_or(At::ZERO)));
        let redactor = Redactor::default();
        let net = Net::new(redactor.clone(), Tap::new(clock.clone(), redactor))
            .with_probes_per_host(rules.probes_per_host);
        let telemetry = Telemetry::new(dir.as_deref(), telemetry, clock.clone(), net.redactor().clone());
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(clock.now().micros()));
        let started = clock.now();
        let mut core = Core::new(State::restore(loaded.rows, seed), rules, seed);
        core.remember(loaded.metrics);
        let (lanes, control) = Lanes::new(clock.clone());
        let (sender, requests) = mpsc::channel(REQUESTS);
        let (publisher, snapshots) = Publisher::new(clock.now());
        let handle = Handle::new(sender, snapshots);
        let source_specs = sources.iter().map(|source| source.spec()).collect();
        let (sources_sender, source_updates) = mpsc::channel(NEWS);
        let running = discovery::start(sources, &sources_sender, &net);
        let (posted_sender, posted) = mpsc::channel(NEWS);
        let (loaded_sender, loaded_receiver) = mpsc::channel(NEWS);
        let notifier = webhook.map(|webhook| {
            let line = net.tap().line_of_webhook(&webhook.url);
            Notifier::start(webhook, net.clone(), line, posted_sender)
        });
        let mut runner = Self {
            core,
            clock,
            gate: Gate::new(writer),
            lanes,
            net: net.clone(),
            reads: Arc::new(Semaphore::new(READS)),
            lists: Arc::new(Semaphore::new(LISTS)),
            verifications: Arc::new(Semaphore::new(1)),
            book: access,
            access: HashMap::new(),
            calls: HashMap::new(),
            sends: BTreeSet::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            followers: BTreeMap::new(),
            memory: BTreeMap::new(),
            reader: reader.map(|reader| Arc::new(std::sync::Mutex::new(reader))),
            publisher,
            rules: RulesSource::default(),
            drill_token: Arc::default(),
            busy: None,
            unsaved: None,
            last_at: At::ZERO,
            measured_until: Minute::of(started),
            made_up: Vec::new(),
            out: Out::default(),
            lock,
            loaded: loaded_sender,
            notifier,
            telemetry,
            _sources: running,
            _counted: EngineCount::new(),
        };
        runner.begin(loaded.alive, source_specs, specs, made_up);
        let (routes_sender, routes) = mpsc::channel(1);
        let ends = LoopChannels {
            handle,
            net,
            requests,
            control,
            done,
            source_updates,
            posted,
            routes,
            routes_sender,
            loaded: loaded_receiver,
        };
        Ok((runner, ends))
    }

    /// The time of an input. The engine's time never runs backwards, even if readers observed things in another order.
    pub(super) fn at(&mut self, observed: At) -> At {
        self.last_at = self.last_at.max(observed);
        self.last_at
    }

    fn begin(&mut self, alive: Option<At>, sources: Vec<SourceSpec>, specs: Vec<AgentSpec>, made_up: MadeUp) {
        let now = self.clock.now();
        let at = self.at(now);
        let mut out = Out::default();
        self.core.resume(at, alive, &mut out);
        self.take(out);
        self.step(at, Input::Sources(sources));
        self.step(at, Input::Configured(specs));
        self.make_up(made_up, alive.is_none());
        self.publish_now();
        self.hand_over(at);
    }

    pub(super) fn step(&mut self, at: At, input: Input) {
        let mut out = std::mem::take(&mut self.out);
        self.core.step(at, input, &mut out);
        self.take(out);
    }

    /// Hands on the decisions of a step, and keeps the buffers.
    fn take(&mut self, mut out: Out) {
        let Out { facts, effects, replies, audits } = &mut out;
        let changed = self.publisher.take_changes(&mut self.core);
        for change in changed {
            if let Changed::Agent(key) = change
                && self.core.state().agent(*key).is_none()
            {
                self.access.remove(key);
                self.lanes.forget(*key);
                self.net.tap().forget(*key);
            }
        }
        for fact in facts.iter() {
            if let Owner::Job(job) = fact.owner()
                && let Some(followers) = self.followers.get_mut(&job)
            {
                let fact = Arc::new(fact.clone());
                followers.retain_mut(|follower| follower.send(&fact));
                if followers.is_empty() {
                    self.followers.remove(&job);
                }
            }
        }
        if !self.gate.is_durable() {
            for fact in facts.iter() {
                match &fact.fact {
                    Fact::Agent(_, AgentFact::Forgotten) | Fact::Job(_, JobFact::Forgotten) => {
                        self.memory.remove(&fact.owner());
                    }
                    _ => self.memory.entry(fact.owner()).or_default().push(fact.clone()),
                }
            }
        }
        let released = self.gate.take(facts, audits, changed, effects, replies);
        self.out = out;
        self.release(released);
    }

    pub(super) fn release(&mut self, released: Released) {
        // The rows that a receipt refers to must be in the snapshot before the receipt is sent.
        if self.publisher.is_dirty() && !released.replies.is_empty() {
            self.publish_now();
        }
        for reply in released.replies {
            self.reply(reply);
        }
        for effect in released.effects {
            self.carry_out(effect);
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        self.core.act_saved(reply.ticket);
        if let Some(ticket) = self.tickets.remove(&reply.ticket) {
            let _the_surface_has_gone = ticket.send(reply.result);
        }
    }

    pub(super) fn access_of(&mut self, agent: AgentKey) -> Option<Arc<Access>> {
        let row = self.core.state().agent(agent)?;
        let (spec, card) = (row.spec.clone(), row.card.as_ref().map_or(0, |card| card.digest));
        if let Some((known, of_card, access)) = self.access.get(&agent)
            && Arc::ptr_eq(known, &spec)
            && *of_card == card
        {
            return Some(access.clone());
        }
        let access = Arc::new(self.book.access(&spec, row.card.as_deref()));
        self.access.insert(agent, (spec, card, access.clone()));
        Some(access)
    }

    /// Runs until it is stopped, or until no handle is left.
    pub async fn run(mut self, ends: LoopChannels, mut stop: oneshot::Receiver<()>) -> Stopped {
        let LoopChannels {
            handle,
            mut requests,
            mut control,
            mut done,
            mut source_updates,
            mut posted,
            mut routes,
            mut loaded,
            ..
        } = ends;
        // With its own handle dropped, the loop ends when the last handle outside is gone.
        drop(handle);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last_beat = self.clock.now();
        let mut last_alive = last_beat;
        let mut fresh = Vec::with_capacity(TURN_INPUTS);
        let mut inputs = VecDeque::with_capacity(TURN_INPUTS);
        // Without a journal no commit is reported.
        let mut writes = self.gate.is_durable();
        loop {
            let due = self.core.deadline().into_iter().chain(self.gate.due()).min();
            let deadline = due.map_or(BEAT, |at| self.clock.until(at));
            let next_publish = self.publisher.due();
            tokio::select! {
                // The order: cancellation, then the disk, then intents, then the clock and the screen, then agents'
                // outcomes, then deadlines. An operator never waits behind a busy agent, nor does the screen, and a
                // deadline never fires before an earlier event.
                biased;
                _ = &mut stop => break,
                finished = done.recv(), if writes => match finished {
                    Some(finished) => self.on_done(finished),
                    None => {
                        writes = false;
                        self.on_writer_gone();
                    }
                },
                request = requests.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => break,
                },
                Some((source, news)) = source_updates.recv() => {
                    let at = self.at(self.clock.now());
                    self.step(at, Input::Discovered { source, news });
                }
                Some(post) = posted.recv() => {
                    let at = self.at(self.clock.now());
                    self.step(at, Input::Posted(post));
                }
                Some((job, carry, message)) = loaded.recv() => {
                    let at = self.at(self.clock.now());
                    self.step(at, Input::MessageLoaded { job, carry, message });
                }
                Some(read) = routes.recv() => {
                    let at = self.at(self.clock.now());
                    self.step(at, Input::Routes(read));
                }
                _ = beat.tick() => {
                    let now = self.clock.now();
                    if now.since(last_beat) > PAUSE {
                        let at = self.at(now);
                        self.step(at, Input::Paused { from: last_beat });
                    }
                    last_beat = now;
                    if now.since(last_alive) >= ALIVE {
                        last_alive = now;
                        let measured = self.measured();
                        self.gate.beat(measured);
                        self.gate.prune_audit(self.core.rules().keep_audit);
                    }
                    self.publisher.measure_events();
                    self.calm_down();
                    let calls = &mut self.calls;
                    calls.retain(|_, task| !task.is_finished());
                }
                () = tokio::time::sleep_until(next_publish.unwrap_or_else(Instant::now)), if next_publish.is_some() => {
                    self.publish_now();
                }
                () = more(&mut control, &mut fresh, &inputs), if !self.gate.is_overfull() => {
                    inputs.extend(fresh.drain(..));
                    self.turn(&mut inputs);
                    // Let ready readers run first, so that the next turn takes all of their outcomes at once.
                    tokio::task::yield_now().await;
                }
                () = tokio::time::sleep(deadline) => self.keep_deadlines(self.clock.now()),
            }
            let at = self.last_at.max(self.clock.now());
            self.hand_over(at);
        }
        requests.close();
        for observed in inputs {
            self.on_outcome(observed);
        }
        self.end(&mut control, &mut done).await
    }

    /// Waits a moment for pending answers, then commits everything and closes every call.
    async fn end(
        mut self,
        control: &mut mpsc::Receiver<Observed>,
        done: &mut mpsc::Receiver<Done>,
    ) -> Stopped {
        let until = Instant::now() + LAST_ANSWERS;
        while !self.sends.is_empty() {
            let at = self.clock.now();
            self.hand_over(at);
            tokio::select! {
                Some(observed) = control.recv() => self.on_outcome(observed),
                Some(done) = done.recv() => self.on_done(done),
                () = tokio::time::sleep_until(until) => break,
            }
        }
        for task in self.calls.values() {
            task.abort();
        }
        let mut stopped = Stopped::Saved;
        let until = Instant::now() + LAST_ANSWERS * 3;
        let measured = self.measured();
        self.gate.end_soon(measured);
        loop {
            let at = self.clock.now();
            self.hand_over(at);
            if self.gate.is_settled() || !self.gate.is_durable() {
                break;
            }
            tokio::select! {
                finished = done.recv() => match finished {
                    Some(failed @ Done::Failed { .. }) => {
                        self.on_done(failed);
                        stopped = Stopped::Unsaved;
                        break;
                    }
                    None => {
                        self.on_writer_gone();
                        stopped = Stopped::Unsaved;
                        break;
                    }
                    Some(finished) => self.on_done(finished),
                },
                () = tokio::time::sleep_until(until) => {
                    stopped = Stopped::Unsaved;
                    break;
                }
            }
        }
        // The writer ends after its last batch, however long the disk takes.
        let Self { mut gate, lock, _counted, .. } = self;
        let closed = tokio::task::spawn_blocking(move || gate.close());
        drop(tokio::time::timeout(LAST_ANSWERS * 3, closed).await);
        drop(lock);
        stopped
    }

    /// Gives the agents a past that was made up. Minutes of this run are measured, and those of an earlier start are
    /// kept, other than usual pauses.
    fn make_up(&mut self, made_up: MadeUp, is_first: bool) {
        let agents = self.core.state().agents().iter();
        let named = agents.filter_map(|(key, agent)| Some((agent.spec.name.clone()?, (key, agent.id))));
        let named: BTreeMap<Arc<str>, (AgentKey, AgentId)> = named.collect();
        for MadeUpPause { agent, skill, pause } in made_up.pauses {
            if let Some((key, _)) = named.get(&agent) {
                self.core.make_up_pause(*key, skill, pause);
            }
        }
        if !is_first {
            return;
        }
        let measured = self.measured_until;
        let past = made_up.minutes.into_iter().filter(|(minute, _)| *minute < measured);
        for (minute, tallies) in past {
            let mut block = Block::default();
            for MadeUpTally { agent, skill, caller, rule, tally } in tallies {
                if let Some((_, agent)) = named.get(&agent) {
                    block.tally(Series { agent: *agent, skill, caller, rule }).merge(&tally);
                }
            }
            let block = Arc::new(block.made_up(true));
            if minute.after(Metrics::KEPT) > measured {
                self.core.make_up(minute, block.clone());
            }
            self.made_up.push((minute, block));
        }
        self.gate.beat(self.made_up.clone());
    }

    /// The minutes that may have changed since they were last handed to the journal.
    fn measured(&mut self) -> Vec<(Minute, Arc<Block>)> {
        let metrics = self.core.metrics();
        let minutes =
            metrics.from(self.measured_until).map(|(minute, block)| (minute, block.clone())).collect();
        self.measured_until = metrics.minutes().next_back().map_or(self.measured_until, |(minute, _)| minute);
        minutes
    }

    fn keep_deadlines(&mut self, by: At) {
        let at = self.at(by);
        let Some(due) = self.core.deadline().filter(|due| *due <= at) else { return };
        if at.since(due) > LATE {
            if self.busy.is_none() {
                self.step(at, Input::Busy(true));
            }
            self.busy = Some(Instant::now());
        }
        self.step(at, Input::Deadline);
    }

    /// Some time after the last late deadline, slow answers are attributed to the agents again.
    fn calm_down(&mut self) {
        if self.busy.is_some_and(|since| since.elapsed() > CALM) {
            self.busy = None;
            let at = self.at(self.clock.now());
            self.step(at, Input::Busy(false));
        }
    }

    /// Processes agents' outcomes, and the deadlines before each.
    fn turn(&mut self, inputs: &mut VecDeque<Observed>) {
        let begun = Instant::now();
        let was_full = inputs.len() >= TURN_INPUTS;
        while begun.elapsed() < TURN
            && let Some(observed) = inputs.pop_front()
        {
            self.on_outcome(observed);
        }
        let all_were_taken = inputs.is_empty() && !was_full;
        // If agents never pause, deadlines are processed here, but none that is later than the waiting outcomes.
        let by = if all_were_taken { self.clock.now() } else { self.last_at };
        self.keep_deadlines(by);
        let took = begun.elapsed();
        if took > TURN * 10 {
            tracing::warn!(took = took.as_millis(), "a turn of the engine was long");
        }
    }

    fn on_outcome(&mut self, observed: Observed) {
        let Observed { at, call, outcome, .. } = observed;
        let at = self.at(at);
        let was_send =
            !matches!(outcome.stream(), Some(StreamOutcome::Opened { .. })) && self.sends.remove(&call);
        if outcome.is_last() {
            self.calls.remove(&call);
        }
        self.step(at, Input::Outcome { call, outcome });
        if was_send {
            failpoint::reach("after-answer");
        }
    }

    fn on_request(&mut self, request: Request) {
        let now = self.clock.now();
        let at = self.at(now);
        match request {
            Request::Submit { intent, by, reply } => {
                self.next_ticket += 1;
                self.tickets.insert(self.next_ticket, reply);
                let ticket = self.next_ticket;
                self.step(at, Input::Intent { ticket, intent, by: Some(by) });
            }
            Request::Query { query, reply } => self.on_query(query, reply),
            Request::Telemetry { query, reply } => self.on_telemetry(query, reply),
            Request::Follow { job, reply } => self.on_follow(job, reply),
        }
    }

    fn publish_now(&mut self) {
        let at = self.last_at.max(self.clock.now());
        self.publisher.publish(&self.core, at);
    }
}

/// Waits for agents' outcomes, unless a turn has left some.
async fn more(control: &mut mpsc::Receiver<Observed>, fresh: &mut Vec<Observed>, left: &VecDeque<Observed>) {
    if left.is_empty() {
        control.recv_many(fresh, TURN_INPUTS).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::config::Agent;
    use crate::domain::agent::Source;
    use crate::domain::input::Rules;
    use crate::telemetry::limits::Retention;

    /// A loop with one agent that does not exist.
    fn runner() -> (Runner, LoopChannels) {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = Options {
            dir: None,
            power_loss_safe: false,
            rules: Rules::default(),
            specs: vec![Agent::at(format!("http://{nobody}")).spec(Source::CommandLine)],
            sources: Vec::new(),
            webhook: None,
            access: CredentialBook::default(),
            telemetry: Retention::default(),
            seed: Some(7),
            lock: None,
        };
        Runner::new(options, MadeUp::default()).unwrap()
    }

    /// A full turn leaves outcomes behind; deadlines are processed up to the last one taken, and none early.
    #[tokio::test]
    async fn a_full_turn_runs_the_deadlines_before_its_last_input() {
        let (mut runner, _ends) = runner();
        runner.keep_deadlines(runner.clock.now());
        let due = runner.core.deadline().unwrap();
        // The machine is late: the deadline has passed while earlier outcomes are still waiting.
        runner.clock = Arc::new(Clock::start_after(due + Duration::from_secs(60)));
        let mut turn_at = |at: At| {
            runner.turn(&mut (0..TURN_INPUTS).map(|_| Lanes::unasked(at)).collect());
            runner.core.deadline().unwrap()
        };
        let earlier = At::from_micros(due.micros() - 1);
        assert_eq!(turn_at(earlier), due, "nothing is kept before it is due");
        let later = due + Duration::from_millis(1);
        assert!(turn_at(later) > later, "what was due waits for agents to pause");
    }

    /// Agents that never pause fill every turn; the screen and the clock get theirs nevertheless.
    #[tokio::test(start_paused = true)]
    async fn snapshots_and_heartbeats_are_not_starved_by_a_flood() {
        let (runner, ends) = runner();
        let (clock, begun) = (runner.clock.clone(), runner.clock.now());
        let (events, flood) = (runner.publisher.events(), runner.lanes.flood());
        let (handle, (stop, stopping)) = (ends.handle.clone(), oneshot::channel());
        let flood = tokio::spawn(flood);
        let running = tokio::spawn(runner.run(ends, stopping));
        loop {
            // The result of a probe is published, as are the heartbeat's metrics.
            let snapshot = handle.snapshot();
            let refused = snapshot.agents.iter().any(|(_, agent)| agent.cause.is_some());
            if refused && snapshot.events_per_second > 0 {
                break;
            }
            assert!(clock.now().since(begun) < Duration::from_secs(30), "refused: {refused}");
            events.fetch_add(1000, Ordering::Relaxed);
            tokio::time::advance(Duration::from_millis(10)).await;
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
        running.await.unwrap();
        flood.await.unwrap();
    }
}
