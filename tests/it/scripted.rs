//! The core alone on a clock of its own, with agents that answer as a test scripts them.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck::config::Agent as Configured;
use quarterdeck::domain::agent::card::{Card, FetchedCard, Offer};
use quarterdeck::domain::agent::{Agent, Source};
use quarterdeck::domain::call::{Answered, CallKind, Outcome, Page, Probed};
use quarterdeck::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent};
use quarterdeck::domain::core::{Core, Out};
use quarterdeck::domain::effect::{Effect, Order};
use quarterdeck::domain::fact::Fact;
use quarterdeck::domain::fleet::source::{DiscoveredAgent, SourceReport};
use quarterdeck::domain::input::{Input, Rules, ServerTraits};
use quarterdeck::domain::state::{Rows, State};
use quarterdeck::domain::time::At;
use quarterdeck::store::record::Record;

pub(crate) const TOOK: Duration = Duration::from_millis(3);

type Script = Box<dyn FnMut(&Order) -> Option<Outcome>>;

/// A core and what it ordered so far.
pub(crate) struct Scripted {
    pub core: Core,
    pub now: At,
    pub facts: Vec<Fact>,
    pub orders: Vec<Order>,
    script: Script,
}

impl Scripted {
    /// A core that has just started with these rules; whatever the script does not answer is answered by [`usual`].
    pub(crate) fn new(rules: Rules, script: impl FnMut(&Order) -> Option<Outcome> + 'static) -> Self {
        let now = At::from_micros(1_795_000_000_000_000);
        let core = Core::new(State::default(), rules, 7);
        let mut scripted =
            Self { core, now, facts: Vec::new(), orders: Vec::new(), script: Box::new(script) };
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

    /// Other answers from here on.
    pub(crate) fn script(&mut self, script: impl FnMut(&Order) -> Option<Outcome> + 'static) {
        self.script = Box::new(script);
    }

    pub(crate) fn feed(&mut self, input: Input) {
        let mut out = Out::default();
        self.core.step(self.now, input, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Out) {
        self.facts.extend(out.facts.into_iter().map(|entry| entry.fact));
        for Effect { call, order, .. } in out.effects {
            let outcome = (self.script)(&order).or_else(|| usual(&order));
            self.orders.push(order);
            if let Some(outcome) = outcome {
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
    let cause = Cause::Status { status, says: "".into() };
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
        Order::Send { .. } | Order::Subscribe { .. } | Order::Close { .. } | Order::Notify(_) => None,
    }
}

/// A page of tasks.
pub(crate) fn page(tasks: Vec<quarterdeck::domain::job::task::TaskReport>, next: Option<&str>) -> Outcome {
    let value = Page { tasks, next: next.map(Into::into), total: None, unread: 0 };
    Outcome::List(Ok(Answered { value, took: TOOK }))
}
