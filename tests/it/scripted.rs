//! The core alone on a clock of its own, with agents whose answers the test controls.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck::config::Agent as Configured;
use quarterdeck::domain::agent::card::{Card, FetchedCard, Offer};
use quarterdeck::domain::agent::{Agent, Source};
use quarterdeck::domain::call::{
    Answered, CallKind, Outcome, Page, Probed, SendOutcome, StreamOutcome, SubscribeOutcome,
};
use quarterdeck::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent};
use quarterdeck::domain::core::{Core, Out};
use quarterdeck::domain::effect::{Effect, Order};
use quarterdeck::domain::fact::JournalEntry;
use quarterdeck::domain::fleet::source::{DiscoveredAgent, SourceReport};
use quarterdeck::domain::id::CallId;
use quarterdeck::domain::input::{Input, Rules, ServerTraits};
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::message::Part;
use quarterdeck::domain::job::task::{StreamEvent, TaskReport};
use quarterdeck::domain::state::{Rows, State};
use quarterdeck::domain::time::At;
use quarterdeck::store::record::Record;

pub(crate) const TOOK: Duration = Duration::from_millis(3);

/// Agents that answer what the core orders.
pub(crate) trait Agents {
    /// The outcomes of a call so far, or `None` for those of [`usual`].
    fn answer(&mut self, effect: &Effect) -> Option<Vec<Outcome>>;
}

pub(crate) type Script = Box<dyn FnMut(&Order) -> Option<Outcome>>;

impl Agents for Script {
    fn answer(&mut self, effect: &Effect) -> Option<Vec<Outcome>> {
        Some(vec![self(&effect.order)?])
    }
}

/// An open stream of a call.
#[derive(Clone, Copy)]
pub(crate) struct OpenStream {
    call: CallId,
    wrap: fn(StreamOutcome) -> Outcome,
}

impl OpenStream {
    /// The stream of this call, if it is one that opens a stream.
    pub(crate) fn of(effect: &Effect) -> Option<Self> {
        let wrap: fn(StreamOutcome) -> Outcome = match effect.order {
            Order::Send { .. } => |outcome| Outcome::Send(SendOutcome::Stream(outcome)),
            Order::Subscribe { .. } => |outcome| Outcome::Subscribe(SubscribeOutcome::Stream(outcome)),
            _ => return None,
        };
        Some(Self { call: effect.call, wrap })
    }

    pub(crate) fn opened(self) -> Outcome {
        (self.wrap)(StreamOutcome::Opened { took: TOOK, server: ServerTraits::default() })
    }

    pub(crate) fn event(self, event: StreamEvent) -> Outcome {
        (self.wrap)(StreamOutcome::Events(vec![event]))
    }
}

/// A core, what it did so far, and the agents that it calls.
pub(crate) struct Scripted<A = Script> {
    pub core: Core,
    pub now: At,
    pub facts: Vec<JournalEntry>,
    pub orders: Vec<Order>,
    pub agents: A,
}

impl Scripted {
    /// A core that has just started with these rules; whatever the script does not answer is answered by [`usual`].
    pub(crate) fn new(rules: Rules, script: impl FnMut(&Order) -> Option<Outcome> + 'static) -> Self {
        Self::with(rules, Box::new(script))
    }

    /// Other answers from here on.
    pub(crate) fn script(&mut self, script: impl FnMut(&Order) -> Option<Outcome> + 'static) {
        self.agents = Box::new(script);
    }
}

impl<A: Agents> Scripted<A> {
    /// A core that has just started with these rules, among these agents.
    pub(crate) fn with(rules: Rules, agents: A) -> Self {
        let now = At::from_micros(1_795_000_000_000_000);
        let core = Core::new(State::default(), rules, 7);
        let mut scripted = Self { core, now, facts: Vec::new(), orders: Vec::new(), agents };
        scripted.resume(None);
        scripted
    }

    fn resume(&mut self, watched_until: Option<At>) {
        let mut out = Out::default();
        self.core.resume(self.now, watched_until, &mut out);
        self.take(out);
    }

    /// The process ends and another one starts on the rows of agents and sources, those of agents as they are stored.
    pub(crate) fn restart(&mut self) {
        let agents = self.core.state().agents().iter();
        let agents = agents.map(|(_, agent)| Agent::get(&agent.put()).unwrap()).collect();
        let sources = self.core.state().sources().iter().map(|(_, row)| row.clone()).collect();
        let rows = Rows { agents, sources, ..Rows::default() };
        self.core = Core::new(State::restore(rows, 3), self.core.rules().clone(), 8);
        self.resume(Some(self.now));
    }

    /// Another process starts on this state.
    pub(crate) fn replace(&mut self, state: State, rules: Rules) {
        self.core = Core::new(state, rules, 8);
        self.resume(Some(self.now));
    }

    pub(crate) fn feed(&mut self, input: Input) {
        let mut out = Out::default();
        self.core.step(self.now, input, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Out) {
        self.facts.extend(out.facts);
        for effect in out.effects {
            let answer = self.agents.answer(&effect);
            let outcomes = answer.unwrap_or_else(|| usual(&effect.order).into_iter().collect());
            let Effect { call, order, .. } = effect;
            self.orders.push(order);
            for outcome in outcomes {
                self.feed(Input::Outcome { call, outcome });
            }
        }
    }

    /// The configuration names these URLs and no others.
    pub(crate) fn configure(&mut self, urls: &[&str]) {
        self.feed(Input::Configured(
            urls.iter().map(|url| Configured::at(*url).spec(Source::Config)).collect(),
        ));
    }

    /// A source names these agents and no others.
    pub(crate) fn report(&mut self, source: &str, found: Vec<DiscoveredAgent>) {
        self.feed(Input::Discovered { source: source.into(), news: SourceReport::Agents(found) });
    }

    /// Time passes; everything that becomes due meanwhile happens at its time.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.core.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.feed(Input::Deadline);
        }
        self.now = until;
    }

    /// Lets some seconds pass.
    pub(crate) fn pass_seconds(&mut self, seconds: impl Into<f64>) {
        self.pass(Duration::from_secs_f64(seconds.into()));
    }

    /// The operator sends work to the first agent.
    pub(crate) fn send(&mut self, skill: Option<&str>) {
        let agent = self.core.state().agents().iter().next().unwrap().1.id;
        let send = Send { skill: skill.map(Into::into), ..Send::new(agent, vec![Part::text("work")]) };
        self.feed(Input::Intent { ticket: 0, intent: Intent::Send(Box::new(send)), by: None });
    }

    /// The agent sends an event on a stream.
    pub(crate) fn emit_on(&mut self, stream: OpenStream, event: StreamEvent) {
        self.feed(Input::Outcome { call: stream.call, outcome: stream.event(event) });
    }

    /// The agent ends a stream.
    pub(crate) fn end(&mut self, stream: OpenStream) {
        let outcome = (stream.wrap)(StreamOutcome::Ended(Ok(())));
        self.feed(Input::Outcome { call: stream.call, outcome });
    }

    /// The agent that is known by a URL.
    pub(crate) fn agent(&self, url: &str) -> Option<&Agent> {
        self.core.state().agents().iter().map(|(_, agent)| agent).find(|agent| &*agent.spec.url == url)
    }
}

/// A card whose only interface is at `url`.
pub(crate) fn card_at(url: &str) -> Arc<Card> {
    let version = Some("1.0".into());
    let offer = Offer { url: url.into(), binding: "JSONRPC".into(), version, tenant: None };
    Arc::new(Card { name: "toy".into(), streaming: true, offers: vec![offer], ..Card::empty() })
}

/// The agent serves this card.
pub(crate) fn served(card: Arc<Card>, url: &str) -> Outcome {
    let card = Some(FetchedCard { card, url: url.into(), etag: None });
    let value = Probed { card, server: ServerTraits::default() };
    Outcome::Probe(Ok(Answered { value, took: TOOK }))
}

/// The answer to a probe has this HTTP status.
pub(crate) fn status(status: u16) -> Outcome {
    let cause = Cause::status(status, "");
    CallKind::Probe.failed(Failure { sent: Sent::Maybe, cause })
}

/// The agent answers as one without tasks does: with a card for its own URL, and with no such task.
pub(crate) fn usual(order: &Order) -> Option<Outcome> {
    match order {
        Order::Probe { url, .. } => Some(served(card_at(url), url)),
        Order::List { .. } => Some(page(Vec::new(), None)),
        Order::Check { .. } | Order::Get { .. } | Order::Cancel { .. } => {
            let error = RpcError { name: ErrorName::TaskNotFound, code: None, message: "".into() };
            Some(order.kind()?.failed(Failure { sent: Sent::Maybe, cause: Cause::Rpc(error) }))
        }
        Order::Send { .. }
        | Order::Subscribe { .. }
        | Order::Close { .. }
        | Order::Notify(_)
        | Order::LoadMessage { .. } => None,
    }
}

/// The agent reports a task.
pub(crate) fn got(task: TaskReport) -> Outcome {
    Outcome::Get(Ok(Answered { value: Box::new(task), took: TOOK }))
}

/// A page of tasks.
pub(crate) fn page(tasks: Vec<TaskReport>, next: Option<&str>) -> Outcome {
    let value = Page { tasks, next: next.map(Into::into), total: None, unread: 0 };
    Outcome::List(Ok(Answered { value, took: TOOK }))
}
