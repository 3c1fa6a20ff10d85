//! A fleet of scripted agents for unit tests of the policies: inputs go in, open problems and calls are read back.
//!
//! Time is in milliseconds since the fleet was up. Nothing happens between two inputs but the core's own timers.

mod event;

pub(in crate::domain) use event::{Conduct, Event, OnCancel};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::card::{Card, FetchedCard, Offer, Skill};
use crate::domain::agent::shift::{ShiftChange, ShiftTerms};
use crate::domain::agent::{Agent, AgentSpec, Source};
use crate::domain::call::{Answered, Outcome, Probed, SendOutcome, StreamOutcome, SubscribeOutcome};
use crate::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent, TlsFault};
use crate::domain::core::{Core, Out};
use crate::domain::effect::Order;
use crate::domain::fact::{Fact, JobFact, JournalEntry, Owner};
use crate::domain::fleet::source::{DiscoveredAgent, SourceReport, SourceSpec};
use crate::domain::id::{AgentKey, AttemptKey, CallId, JobId};
use crate::domain::input::{Input, Rules, ServerTraits};
use crate::domain::intent::{Intent, Send};
use crate::domain::job::carry::{Carried, Carry, compose};
use crate::domain::job::message::{Artifact, Message, Part, Role};
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use crate::domain::job::{Attempt, Job, Phase};
use crate::domain::metrics::Minute;
use crate::domain::problem::{Kind, Problem, Severity};
use crate::domain::route::explanation::Explanation;
use crate::domain::state::{ProblemRow, Rows, State};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// Wraps the outcomes of a stream as those of a send or of a subscription.
type Stream = fn(StreamOutcome) -> Outcome;

#[derive(Default)]
struct Scripted {
    conduct: Conduct,
    on_cancel: OnCancel,
    no_subscriptions: bool,
    latency: Duration,
    version: &'static str,
    certificate_until: Option<At>,
    /// The open streams, their tasks, and how their outcomes are wrapped; newest last.
    streams: Vec<(CallId, u32, Stream)>,
    /// The number of its newest task.
    task: u32,
}

impl Scripted {
    fn new(conduct: Conduct) -> Self {
        Self { conduct, latency: Duration::from_millis(3), version: "1.0", ..Self::default() }
    }
}

/// A core and the agents that answer it.
pub(in crate::domain) struct Fleet {
    core: Core,
    start: At,
    now: At,
    agents: Vec<Scripted>,
    tasks: u32,
    /// The states that `GetTask` reports for tasks that no longer work.
    states: BTreeMap<String, TaskState>,
    /// The times that it reports for them.
    times: BTreeMap<String, PeerTime>,
    /// Every call since the fleet was up: when, of which agent, and its name.
    calls: Vec<(u64, usize, &'static str)>,
    /// The texts of refusals, oldest first.
    refusals: Vec<String>,
    /// The facts of all jobs, as a journal has them.
    journal: Vec<JournalEntry>,
    /// Every message that was sent, with its agent.
    sent: Vec<(usize, Arc<Message>)>,
}

impl Fleet {
    /// Agents that are replicas of one another, each on a host of its own, all up.
    pub(in crate::domain) fn new(agents: usize, rules: Rules) -> Self {
        let urls = (0..agents).map(|number| format!("http://host-{number}:80/"));
        Self::of(urls.map(|url| spec(&url)).collect(), rules)
    }

    pub(in crate::domain) fn of(specs: Vec<AgentSpec>, rules: Rules) -> Self {
        let start = At::from_micros(1_795_000_000_000_000);
        let mut fleet = Self {
            core: Core::new(State::default(), rules, 7),
            start,
            now: start,
            agents: specs.iter().map(|_| Scripted::new(Conduct::Works)).collect(),
            tasks: 0,
            states: BTreeMap::new(),
            times: BTreeMap::new(),
            calls: Vec::new(),
            refusals: Vec::new(),
            journal: Vec::new(),
            sent: Vec::new(),
        };
        let mut out = Out::default();
        fleet.core.resume(start, None, &mut out);
        fleet.feed(Input::Configured(specs));
        fleet.pass_until(start + Duration::from_secs(1));
        fleet.start = fleet.now;
        fleet.calls.clear();
        fleet
    }

    /// Plays a script and then waits until the given moment.
    pub(in crate::domain) fn play(&mut self, script: &[(u64, Event)], until: u64) -> &mut Self {
        for (at, event) in script {
            self.pass_until(self.start + Duration::from_millis(*at));
            self.happens(event.clone());
        }
        self.pass_until(self.start + Duration::from_millis(until));
        self
    }

    /// Every task whose stream is open ends; the state depends on the agent.
    pub(in crate::domain::decide) fn end_all(&mut self, state: impl Fn(usize) -> TaskState) {
        for agent in 0..self.agents.len() {
            while let Some((call, task, stream)) = self.agents[agent].streams.pop() {
                self.states.insert(task_id(task), state(agent));
                self.send_status((call, stream), state(agent), "", None);
            }
        }
    }

    /// The process ends, and another one goes on with the rows of its store.
    pub(in crate::domain::decide) fn restart(&mut self, rules: Rules) {
        self.restart_after(0, rules);
    }

    /// The same, so many milliseconds later.
    pub(in crate::domain::decide) fn restart_after(&mut self, pause: u64, rules: Rules) {
        let state = self.core.state();
        let agent = |attempt: &Attempt| state.agent(attempt.agent).expect("a known agent").id;
        let attempts = |job: &Job| {
            let attempts = job.attempts.iter().filter_map(|key| state.attempt(*key));
            attempts.map(|attempt| (attempt.clone(), agent(attempt))).collect()
        };
        let rows = Rows {
            fleet_seq: state.fleet_seq(),
            agents: state.agents().iter().map(|(_, agent)| agent.clone()).collect(),
            jobs: state.jobs().iter().map(|(_, job)| (job.clone(), attempts(job))).collect(),
            last_problem: state.problems().iter().map(|(_, problem)| problem.number).max().unwrap_or(0),
            problems: state.problems().iter().map(|(_, problem)| problem_row(state, problem)).collect(),
            ..Rows::default()
        };
        self.core = Core::new(State::restore(rows, 7), rules, 8);
        for agent in &mut self.agents {
            agent.streams.clear();
        }
        let mut out = Out::default();
        let watched_until = self.now;
        self.now = self.now + Duration::from_millis(pause);
        self.core.resume(self.now, Some(watched_until), &mut out);
        let specs = self.core.state().agents().iter().map(|(_, agent)| (*agent.spec).clone()).collect();
        self.feed(Input::Configured(specs));
        self.pass_until(self.now + Duration::from_secs(1));
    }

    /// The step of the core that an input takes.
    pub(in crate::domain::decide) fn input(&mut self, input: Input) {
        self.feed(input);
    }

    /// The facts of an act are durable.
    pub(in crate::domain::decide) fn saved(&mut self, ticket: u64) {
        self.core.act_saved(ticket);
    }

    /// Where a message for a target would go now.
    pub(in crate::domain::decide) fn explain(&mut self, send: &Send) -> Explanation {
        self.core.explain(self.now, Some(send))
    }

    /// A source reports agents, all of which answer.
    pub(in crate::domain) fn discover(&mut self, source: SourceSpec, found: Vec<DiscoveredAgent>) {
        self.agents.extend(found.iter().map(|_| Scripted::new(Conduct::Works)));
        let name = source.name.clone();
        self.feed(Input::Sources(vec![source]));
        self.feed(Input::Discovered { source: name, news: SourceReport::Agents(found) });
    }

    /// The configuration is read again; the agents in it answer.
    pub(in crate::domain) fn configure(&mut self, specs: Vec<AgentSpec>) {
        self.agents.extend(specs.iter().map(|_| Scripted::new(Conduct::Works)));
        self.feed(Input::Configured(specs));
    }

    /// An operator adds an agent that treats calls like this.
    pub(in crate::domain) fn add(&mut self, spec: AgentSpec, conduct: Conduct) {
        self.agents.push(Scripted::new(conduct));
        self.intent(Intent::AddAgents { specs: vec![spec] });
    }

    fn pass_until(&mut self, until: At) {
        assert!(until >= self.now, "the events of a script are in order of time");
        while let Some(due) = self.core.deadline().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.feed(Input::Deadline);
        }
        self.now = until;
    }

    /// An operator tries the job of the agent's newest attempt again.
    fn again(&mut self, agent: usize, to: Option<usize>, carry: Carry) {
        let (attempt, to) = (self.newest(agent).id, to.map(|to| self.agent(to).id));
        self.intent(Intent::Retry { attempt, to, carry, why: None });
    }

    /// The newest job without an attempt.
    fn unsent(&self) -> JobId {
        let mut jobs = self.core.state().jobs().iter().map(|(_, job)| job);
        jobs.rfind(|job| job.attempts.is_empty()).expect("a job without an attempt").id
    }

    /// An operator moves it.
    fn moves(&mut self, agent: usize, to: Option<usize>, carry: Carry) {
        let (attempt, to) = (self.newest(agent).id, to.map(|to| self.agent(to).id));
        self.intent(Intent::Reroute { attempt, to, carry, why: None });
    }

    /// Its newest task brings outputs.
    fn brings(&mut self, agent: usize, numbers: std::ops::Range<u32>) {
        let (call, _, stream) = *self.agents[agent].streams.last().expect("an open stream");
        let output = |number: u32| StreamEvent::Artifact {
            task: None,
            context: None,
            artifact: Artifact::new(format!("output-{number}").as_str(), vec![Part::text("text")]),
            append: false,
            last: true,
        };
        let events = numbers.map(output).collect();
        self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Events(events)) });
    }

    fn ends_unseen(&mut self, agent: usize, state: TaskState, millis: u64) {
        let task = task_id(self.agents[agent].task);
        let at = self.start + Duration::from_millis(millis);
        self.times.insert(task.clone(), PeerTime::from_micros(at.micros()));
        self.states.insert(task, state);
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Conduct(agent, conduct) => self.agents[agent].conduct = conduct,
            Event::OnCancel(agent, on_cancel) => self.agents[agent].on_cancel = on_cancel,
            Event::NoSubscriptions(agent) => self.agents[agent].no_subscriptions = true,
            Event::Latency(agent, millis) => self.agents[agent].latency = Duration::from_millis(millis),
            Event::Version(agent, version) => self.agents[agent].version = version,
            Event::CertificateUntil(agent, second) => {
                self.agents[agent].certificate_until = Some(self.start + Duration::from_secs(second));
            }
            Event::Send(agent, skill) => {
                let agent = self.agent(agent).id;
                let send = Send { skill: Some(skill.into()), ..Send::new(agent, vec![Part::text("work")]) };
                self.intent(Intent::Send(Box::new(send)));
            }
            Event::Says(agent, words) => self.status(agent, TaskState::Working, words, None),
            Event::Brings(agent, numbers) => self.brings(agent, numbers),
            Event::Clock(agent, ahead) => {
                let reported = PeerTime::from_micros(self.now.micros() + ahead * 1000);
                self.status(agent, TaskState::InputRequired, "", Some(reported));
                self.status(agent, TaskState::Working, "", None);
            }
            Event::Ends(agent, state) => {
                self.states.insert(task_id(self.agents[agent].task), state.clone());
                self.status(agent, state, "", None);
            }
            Event::EndsOnStreamOnly(agent, state) => self.status(agent, state, "", None),
            Event::EndsOldest(agent) => self.happens(Event::EndsOldestAs(agent, TaskState::Completed)),
            Event::EndsOldestAs(agent, state) => {
                let (call, task, stream) = self.agents[agent].streams.remove(0);
                self.states.insert(task_id(task), state.clone());
                self.send_status((call, stream), state, "", None);
            }
            Event::EndsSilently(agent, state) => {
                self.states.insert(task_id(self.agents[agent].task), state);
            }
            Event::EndsUnseen(agent, state, millis) => self.ends_unseen(agent, state, millis),
            Event::Cut(agent) => {
                let (call, _, stream) = self.agents[agent].streams.pop().expect("an open stream");
                self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Ended(Err(Cause::Reset))) });
            }
            Event::Cancel(agent) => {
                let attempt = self.newest(agent).id;
                self.intent(Intent::Cancel { attempt, why: None });
            }
            Event::Adopt(agent, task) => {
                self.intent(Intent::Adopt { agent: self.agent(agent).id, task: task.into() });
            }
            Event::Delegate(parent, to) => {
                let intent = super::cascade_tests::delegated(self, &parent, to);
                self.intent(intent);
            }
            Event::CancelWithDelegated(agent) => {
                let attempt = self.newest(agent).id;
                self.intent(Intent::CancelWithDelegated { attempt, why: None });
            }
            Event::Probe(agent) => self.intent(Intent::CheckAgent { agent: self.agent(agent).id }),
            Event::Read(agent) => {
                let attempt = self.newest(agent).id;
                self.intent(Intent::CheckTask { attempt });
            }
            Event::Breaker(agent, to) => {
                let by = Untrusted::from("ada");
                self.intent(Intent::Breaker { agent: self.agent(agent).id, to, why: None, by });
            }
            Event::Retry(agent, to) => self.again(agent, to, Carry::default()),
            Event::Reroute(agent, to) => self.moves(agent, to, Carry::default()),
            Event::RetryWith(agent, to, carry) => self.again(agent, Some(to), carry),
            Event::RerouteWith(agent, to, carry) => self.moves(agent, Some(to), carry),
            Event::Race(agent, to) => {
                let (attempt, to) = (self.newest(agent).id, to.map(|to| self.agent(to).id));
                self.intent(Intent::Race { attempt, to, why: Some("slow".into()) });
            }
            Event::Requeue(to) => {
                let (job, to) = (self.unsent(), to.map(|to| self.agent(to).id));
                self.intent(Intent::Requeue { job, to, why: None });
            }
            Event::PresumeLost(agent) => {
                let attempt = self.newest(agent).id;
                self.intent(Intent::PresumeLost { attempt, why: None });
            }
            Event::Service(agent, to) => {
                let agent = self.agent(agent).id;
                self.intent(Intent::Service { agent, to, why: Some("disk".into()), by: "ada".into() });
            }
            Event::ShiftTo(from, to, jobs) => {
                let to = self.agent(to).id;
                let terms = ShiftTerms { time: Duration::from_secs(60), jobs, ..ShiftTerms::to(to) };
                self.happens(Event::Shift(from, ShiftChange::Begin(terms)));
            }
            Event::Shift(agent, change) => {
                let agent = self.agent(agent).id;
                self.intent(Intent::Shift { agent, change, why: None, by: "ada".into() });
            }
            Event::Intent(intent) => self.intent(intent),
            Event::Input(input) => self.feed(input),
        }
    }

    fn intent(&mut self, intent: Intent) {
        self.feed(Input::Intent { ticket: 0, intent, by: None });
    }

    fn status(&mut self, agent: usize, state: TaskState, words: &str, timestamp: Option<PeerTime>) {
        let (call, _, stream) = *self.agents[agent].streams.last().expect("an open stream");
        self.send_status((call, stream), state, words, timestamp);
    }

    fn send_status(
        &mut self,
        (call, stream): (CallId, Stream),
        state: TaskState,
        words: &str,
        timestamp: Option<PeerTime>,
    ) {
        let message = (!words.is_empty()).then(|| {
            Message::new(format!("m{}", self.now.micros()).as_str(), Role::Agent, vec![Part::text(words)])
        });
        let status = Status { state, message, timestamp };
        let event = StreamEvent::status(None, None, status);
        self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Events(vec![event])) });
    }

    fn feed(&mut self, input: Input) {
        let mut out = Out::default();
        self.core.step(self.now, input, &mut out);
        self.refusals
            .extend(out.replies.iter().filter_map(|reply| Some(reply.result.as_ref().err()?.to_string())));
        self.journal.extend(out.facts.iter().filter(|entry| matches!(entry.fact, Fact::Job(..))).cloned());
        for effect in out.effects {
            if let Order::LoadMessage { job, composed, carry } = effect.order {
                let message = self.message_of(job, composed, carry.as_deref());
                self.feed(Input::MessageLoaded { job, carry, message });
                continue;
            }
            let key = effect.to.agent().expect("a call of an agent");
            let place = self.keys().iter().position(|known| *known == key);
            let agent = place.expect("a known agent");
            self.calls.push((self.millis(), agent, name_of(&effect.order)));
            if let Order::Send { message, .. } = &effect.order {
                self.sent.push((agent, message.clone()));
            }
            for outcome in self.answer(agent, &effect.order, effect.call) {
                self.feed(Input::Outcome { call: effect.call, outcome });
            }
        }
    }

    /// The message of a job as the engine reads it.
    fn message_of(&self, job: JobId, composed: bool, carry: Option<&Carried>) -> Option<Arc<Message>> {
        let facts: Vec<_> =
            self.journal.iter().filter(|entry| entry.owner() == Owner::Job(job)).cloned().collect();
        let original = facts.iter().find_map(|entry| match &entry.fact {
            Fact::Job(_, JobFact::Opened { message, .. }) => message.clone(),
            _ => None,
        })?;
        if let Some(carried) = carry {
            return Some(Arc::new(compose(&original, &facts, carried)));
        }
        let last = facts.iter().rev().find_map(|entry| match &entry.fact {
            Fact::Job(_, JobFact::Composed { message }) => Some(message.clone()),
            _ => None,
        });
        last.filter(|_| composed).or(Some(original))
    }

    /// The message that was sent last, with its agent.
    pub(in crate::domain::decide) fn last_sent(&self) -> (usize, Arc<Message>) {
        self.sent.last().expect("a message that was sent").clone()
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.now.since(self.start).as_millis()).expect("a short script")
    }

    fn keys(&self) -> Vec<AgentKey> {
        self.core.state().agents().iter().map(|(key, _)| key).collect()
    }

    fn answer(&mut self, agent: usize, order: &Order, call: CallId) -> Vec<Outcome> {
        let scripted = &self.agents[agent];
        let took = scripted.latency;
        let Some(kind) = order.kind() else { return vec![] };
        let failed = |sent, cause| vec![kind.failed(Failure { sent, cause })];
        let is_probe = matches!(order, Order::Probe { .. });
        let fault = match scripted.conduct {
            Conduct::Refuses => Some((Sent::Not, Cause::Refused)),
            Conduct::InterfaceRefuses if !is_probe => Some((Sent::Not, Cause::Refused)),
            Conduct::Hangs => Some((Sent::Maybe, Cause::TimedOut(Duration::from_secs(6)))),
            Conduct::CertificateExpired => Some((Sent::Not, Cause::Tls(TlsFault::Expired))),
            Conduct::WantsLogin => {
                Some((Sent::Maybe, Cause::Login { status: 401, challenge: None, had_credentials: false }))
            }
            Conduct::BadCard if is_probe => Some((Sent::Maybe, Cause::Malformed("not JSON".into()))),
            Conduct::Answers503 if !is_probe => Some((Sent::Maybe, Cause::status(503, "busy"))),
            _ => None,
        };
        if let Some((sent, cause)) = fault {
            return failed(sent, cause);
        }
        let server =
            ServerTraits { certificate_until: scripted.certificate_until, ..ServerTraits::default() };
        let rpc = |name| failed(Sent::Maybe, Cause::Rpc(RpcError { name, code: None, message: "".into() }));
        match order {
            Order::Probe { url, .. } => {
                let card = Arc::new(card(url, scripted.version));
                let card = Some(FetchedCard { card, url: url.clone(), etag: None });
                vec![Outcome::Probe(Ok(Answered { value: Probed { card, server }, took }))]
            }
            Order::Subscribe { .. } if scripted.no_subscriptions => rpc(ErrorName::UnsupportedOperation),
            Order::Send { .. } | Order::Subscribe { .. } => {
                let stream: Stream = if matches!(order, Order::Send { .. }) {
                    self.tasks += 1;
                    self.agents[agent].task = self.tasks;
                    |outcome| Outcome::Send(SendOutcome::Stream(outcome))
                } else {
                    |outcome| Outcome::Subscribe(SubscribeOutcome::Stream(outcome))
                };
                let task = self.agents[agent].task;
                self.agents[agent].streams.push((call, task, stream));
                let task = StreamEvent::Task(Box::new(self.report(&task_id(task))));
                vec![
                    stream(StreamOutcome::Opened { took, server }),
                    stream(StreamOutcome::Events(vec![task])),
                ]
            }
            Order::Get { .. } if scripted.conduct == Conduct::Forgets => rpc(ErrorName::TaskNotFound),
            Order::Get { task, .. } => {
                let value = Box::new(self.report(&task.raw()));
                vec![Outcome::Get(Ok(Answered { value, took }))]
            }
            Order::Cancel { task, .. } => match scripted.on_cancel {
                OnCancel::Agrees => {
                    let value = Box::new(self.report(&task.raw()));
                    vec![Outcome::Cancel(Ok(Answered { value, took }))]
                }
                OnCancel::NotCancelable => rpc(ErrorName::TaskNotCancelable),
                OnCancel::Fails => failed(Sent::Maybe, Cause::status(500, "")),
                OnCancel::NoAnswer => vec![],
            },
            // Without listings, nothing but the script and the watch of its tasks makes calls.
            Order::List { .. } => rpc(ErrorName::MethodNotFound),
            Order::Check { .. } => rpc(ErrorName::TaskNotFound),
            Order::Close { .. } | Order::Notify(_) | Order::LoadMessage { .. } => vec![],
        }
    }

    fn report(&self, id: &str) -> TaskReport {
        let state = self.states.get(id).cloned().unwrap_or(TaskState::Working);
        TaskReport::new(id, Status { timestamp: self.times.get(id).copied(), ..Status::new(state) })
    }

    /// The row of an agent.
    pub(in crate::domain) fn agent(&self, agent: usize) -> &Agent {
        self.core.state().agent(self.keys()[agent]).expect("an agent at this place")
    }

    /// The newest attempt of an agent.
    pub(in crate::domain) fn newest(&self, agent: usize) -> &Attempt {
        let key = self.keys()[agent];
        let mut attempts = self.core.state().attempts().iter().map(|(_, attempt)| attempt);
        attempts.rfind(|attempt| attempt.agent == key).expect("an attempt of this agent")
    }

    /// How long its tasks took, all together.
    pub(in crate::domain::decide) fn took(&self) -> Duration {
        self.core.metrics().since(Minute(0), |_| true).took.sum()
    }

    /// The kinds of the open problems, in order.
    pub(in crate::domain) fn problems(&self) -> Vec<Kind> {
        let open = self.core.state().problems().iter().filter(|(_, problem)| problem.cleared.is_none());
        let mut kinds: Vec<Kind> = open.map(|(_, problem)| problem.kind).collect();
        kinds.sort_unstable();
        kinds
    }

    /// How bad the open problem of a kind is; `None` without one.
    pub(in crate::domain) fn severity_of(&self, kind: Kind) -> Option<Severity> {
        let mut open = self.core.state().problems().iter().filter(|(_, problem)| problem.cleared.is_none());
        open.find(|(_, problem)| problem.kind == kind).map(|(_, problem)| problem.severity())
    }

    /// The numbers of the open problems.
    pub(in crate::domain) fn problem_numbers(&self) -> Vec<u32> {
        let open = self.core.state().problems().iter().filter(|(_, problem)| problem.cleared.is_none());
        open.map(|(_, problem)| problem.number).collect()
    }

    /// The agents with an open problem of this kind, in their order, and its text.
    pub(in crate::domain) fn texts_of(&self, kind: Kind) -> Vec<(usize, String)> {
        let open = self.core.state().problems().iter();
        let open = open.filter(|(_, problem)| problem.cleared.is_none() && problem.kind == kind);
        let text = |problem: &Problem| Some((problem.agent?.0 as usize, problem.text.raw().to_owned()));
        let mut texts: Vec<_> = open.filter_map(|(_, problem)| text(problem)).collect();
        texts.sort_unstable();
        texts
    }

    /// Each job in one line: its phase, for what it waits, why it was given up, and its attempts.
    pub(in crate::domain) fn stories(&self) -> Vec<String> {
        let state = self.core.state();
        let attempt = |key: &AttemptKey| {
            let attempt = state.attempt(*key).expect("an attempt");
            let won = state.job_of(attempt).and_then(Job::winner) == Some(*key);
            let how = match &attempt.task {
                Some(task) if attempt.phase != Phase::PresumedLost => task.state.word(),
                _ => attempt.phase.as_str().to_owned(),
            };
            format!("{} {how}{}", attempt.agent.0, if won { ", won" } else { "" })
        };
        let story = |job: &Job| {
            let plan = job.plan.as_ref();
            let waits =
                plan.and_then(|plan| plan.waiting).map(|waiting| format!(" for {}", waiting.why.as_str()));
            let dead = plan.and_then(|plan| plan.dead.as_ref()).map(|cause| format!(", {cause}"));
            let attempts: Vec<_> = job.attempts.iter().map(attempt).collect();
            let line = format!(
                "{}{}{}: {}",
                job.phase.as_str(),
                waits.unwrap_or_default(),
                dead.unwrap_or_default(),
                attempts.join(", ")
            );
            line.trim_end().to_owned()
        };
        state.jobs().iter().map(|(_, job)| story(job)).collect()
    }

    /// Each task in one line: its agent, its state, and how far its cancel is.
    pub(in crate::domain) fn cancels(&self) -> Vec<String> {
        let tasks =
            self.core.state().attempts().iter().filter_map(|(_, row)| Some((row, row.task.as_ref()?)));
        let line = |(row, task): (&Attempt, &crate::domain::job::Task)| {
            let mark = task.cancel.map(|mark| format!(" {}", mark.as_str())).unwrap_or_default();
            format!("{} {}{mark}", row.agent.0, task.state.word())
        };
        tasks.map(line).collect()
    }

    /// The core, to be copied.
    pub(in crate::domain) fn core(&self) -> (&Core, At) {
        (&self.core, self.now)
    }

    /// What would never make progress.
    pub(in crate::domain) fn unattended(&self) -> Vec<&'static str> {
        self.core.unattended().into_iter().map(|(_, what)| what).collect()
    }

    /// The timers that rows imply and that are not set.
    pub(in crate::domain) fn missing_timers(&self) -> Vec<String> {
        self.core.missing_timers(self.now)
    }

    /// The milliseconds at which calls of a name were made.
    pub(in crate::domain) fn calls(&self, name: &str) -> Vec<u64> {
        self.calls.iter().filter(|(.., called)| *called == name).map(|(at, ..)| *at).collect()
    }

    /// The same of one agent.
    pub(in crate::domain) fn calls_of(&self, name: &str, agent: usize) -> Vec<u64> {
        let of = |(_, to, called): &&(u64, usize, &'static str)| (*to, *called) == (agent, name);
        self.calls.iter().filter(of).map(|(at, ..)| *at).collect()
    }

    /// The text of the last refusal.
    pub(in crate::domain) fn last_refusal(&self) -> &str {
        self.refusals.last().map_or("", String::as_str)
    }
}

fn problem_row(state: &State, problem: &Problem) -> ProblemRow {
    let agent = problem.subject.agent().and_then(|key| state.agent(key)).map(|agent| agent.id);
    ProblemRow { problem: problem.clone(), agent, source: None }
}

/// An agent as the configuration names it.
pub(in crate::domain) fn spec(url: &str) -> AgentSpec {
    AgentSpec::at(url, Source::Config)
}

/// `times` events of the same kind, one each `step` milliseconds.
pub(in crate::domain) fn every(from: u64, step: u64, times: u64, event: &Event) -> Vec<(u64, Event)> {
    (0..times).map(|number| (from + number * step, event.clone())).collect()
}

/// `times` tasks that end at once, one each `step` milliseconds.
pub(in crate::domain) fn tasks(
    agent: usize,
    from: u64,
    step: u64,
    times: u64,
    skill: &'static str,
    state: &TaskState,
) -> Vec<(u64, Event)> {
    let of = |number| {
        let at = from + number * step;
        [(at, Event::Send(agent, skill)), (at, Event::Ends(agent, state.clone()))]
    };
    (0..times).flat_map(of).collect()
}

fn task_id(number: u32) -> String {
    format!("t{number}")
}

fn name_of(order: &Order) -> &'static str {
    match order {
        Order::Probe { .. } => "probe",
        Order::Check { .. } => "check",
        Order::Send { .. } => "send",
        Order::Get { .. } => "get",
        Order::List { .. } => "list",
        Order::Subscribe { .. } => "subscribe",
        Order::Cancel { .. } => "cancel",
        Order::Close { .. } => "close",
        Order::Notify(_) => "notify",
        Order::LoadMessage { .. } => "load message",
    }
}

fn card(url: &str, version: &str) -> Card {
    let offer =
        Offer { url: url.into(), binding: "JSONRPC".into(), version: Some("1.0".into()), tenant: None };
    let skill = |id: &str| Skill {
        id: id.into(),
        name: "".into(),
        description: "".into(),
        tags: Vec::new(),
        examples: Vec::new(),
        input_modes: Vec::new(),
        output_modes: Vec::new(),
    };
    let skills = vec![skill("a"), skill("b")];
    Card {
        name: "toy".into(),
        version: version.into(),
        streaming: true,
        offers: vec![offer],
        skills,
        ..Card::empty()
    }
}
