//! Processes the reports of sources: decides which agents join, stay and leave.
//!
//! An agent belongs to the fleet as long as the configuration, the command line or a source lists it. Each report of a
//! source is complete; a source that cannot be read removes no agents.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::agent::card::Card;
use crate::domain::agent::{Agent, AgentSpec, Health, Source};
use crate::domain::cause::Cause;
use crate::domain::decide::dispatch;
use crate::domain::decide::fleet;
use crate::domain::decide::fleet::CardFrom;
use crate::domain::decide::health;
use crate::domain::decide::live::{Listing, Timer};
use crate::domain::decide::retention;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::watch;
use crate::domain::fact::{AgentFact, FleetFact};
use crate::domain::fleet::source::{DiscoveredAgent, SourceHealth, SourceReport, SourceSpec};
use crate::domain::id::AgentKey;

/// The maximum number of agents per source.
const MOST: usize = 20_000;

/// Applies the configured sources; a source that was removed no longer lists its agents.
pub(super) fn configure(turn: &mut Turn, specs: Vec<SourceSpec>) {
    let gone: Vec<_> = turn
        .state()
        .sources()
        .iter()
        .filter(|(_, row)| !specs.iter().any(|spec| spec.name == row.spec.name))
        .map(|(key, row)| (key, row.spec.name.clone()))
        .collect();
    for (key, name) in gone {
        turn.touched.sources.push(key);
        let named: Vec<_> = turn.state().named_by(&name).collect();
        for agent in named {
            remove_source(turn, agent, &name);
        }
        crate::domain::decide::lint::clear_source(turn, key);
        turn.fleet_fact(FleetFact::SourceUnlisted { name });
    }
    for spec in specs {
        let known = turn.state().source_key(&spec.name).and_then(|key| turn.state().sources().get(key));
        if known.is_none_or(|row| row.spec != spec) {
            turn.fleet_fact(FleetFact::SourceListed { spec });
        }
    }
    fleet::rename_all(turn);
}

/// Handles a report of a source.
pub(super) fn on_report(turn: &mut Turn, source: &Arc<str>, news: SourceReport) {
    let Some(key) = turn.state().source_key(source) else { return };
    turn.touched.sources.push(key);
    match news {
        SourceReport::Agents(found) => {
            let agents = u32::try_from(found.len()).unwrap_or(u32::MAX);
            named(turn, source, found);
            note(turn, source, SourceHealth::Working, None, Some(agents));
        }
        SourceReport::Partly(found, cause) => {
            let agents = u32::try_from(found.len()).unwrap_or(u32::MAX);
            named(turn, source, found);
            note(turn, source, SourceHealth::Failing, Some(cause), Some(agents));
        }
        SourceReport::Failed(cause) => note(turn, source, SourceHealth::Failing, Some(cause), None),
    }
}

fn note(
    turn: &mut Turn,
    source: &Arc<str>,
    health: SourceHealth,
    cause: Option<Arc<Cause>>,
    agents: Option<u32>,
) {
    let Some(row) = turn.state().source_key(source).and_then(|key| turn.state().sources().get(key)) else {
        return;
    };
    let agents = agents.unwrap_or(row.agents);
    if row.health != health || row.cause != cause || row.agents != agents {
        turn.fleet_fact(FleetFact::SourceReported { name: source.clone(), health, cause, agents });
    }
}

/// Updates the agents of a source to match its report.
fn named(turn: &mut Turn, source: &Arc<str>, found: Vec<DiscoveredAgent>) {
    let mut seen = BTreeSet::new();
    // A source is as untrusted as an agent: an entry without a plain URL is ignored.
    let plain = found.into_iter().filter(|found| is_plain(&found.url)).take(MOST);
    for found in plain {
        let Some(key) = fleet::by_url(turn, &found.url, false) else {
            let order = turn.state().next_order();
            let key = fleet::list(turn, spec_of(&found), order);
            seen.insert(key);
            name(turn, key, source);
            apply_reported_card(turn, key, &found);
            continue;
        };
        seen.insert(key);
        update(turn, key, &found);
        name(turn, key, source);
        apply_reported_card(turn, key, &found);
    }
    let left: Vec<_> = turn.state().named_by(source).filter(|key| !seen.contains(key)).collect();
    for key in left {
        remove_source(turn, key, source);
    }
    fleet::rename_all(turn);
}

fn spec_of(found: &DiscoveredAgent) -> AgentSpec {
    AgentSpec {
        name: None,
        url: found.url.clone(),
        source: Source::Discovery,
        dialect: None,
        resubscribe: None,
        labels: found.labels.clone(),
        replica_of: None,
        capacity: found.capacity,
        probe_interval: found.probe_interval,
        trace_context: None,
    }
}

/// The operator's settings take precedence over a source's; labels are merged.
fn update(turn: &mut Turn, key: AgentKey, found: &DiscoveredAgent) {
    let Some(agent) = turn.state().agent(key) else { return };
    let listed = agent.listed;
    let mut spec = if listed { (*agent.spec).clone() } else { spec_of(found) };
    for (label, value) in &found.labels {
        match spec.labels.iter_mut().find(|(known, _)| known == label) {
            Some((_, known)) if spec.source == Source::Discovery => known.clone_from(value),
            Some(_) => {}
            None => spec.labels.push((label.clone(), value.clone())),
        }
    }
    if spec.source == Source::Discovery {
        spec.capacity = found.capacity.or(spec.capacity);
        spec.probe_interval = found.probe_interval.or(spec.probe_interval);
    } else {
        spec.capacity = spec.capacity.or(found.capacity);
        let asked = found.probe_interval.map(|asked| health::source_interval(turn, asked));
        spec.probe_interval = spec.probe_interval.or(asked);
    }
    if !listed || spec != *agent.spec {
        let order = agent.order;
        fleet::relist(turn, key, spec, order);
    } else if !turn.timer_is_set(Timer::Probe(key)) && turn.agent_live(key).probe.is_none() {
        // It was known before a restart and is not probed yet.
        health::probe(turn, key);
    }
}

/// Stores the card that a source reports, and uses it if it is accepted.
fn apply_reported_card(turn: &mut Turn, key: AgentKey, found: &DiscoveredAgent) {
    turn.agent_live(key).reported_card.clone_from(&found.card);
    take_reported_card(turn, key);
}

/// True if a source reports a card that is accepted: the agent has never served one itself, and if the operator listed
/// the agent, the card offers an interface at the origin that the operator gave.
pub(super) fn has_reported_card(turn: &mut Turn, key: AgentKey) -> bool {
    reported_card(turn, key).is_some()
}

fn reported_card(turn: &mut Turn, key: AgentKey) -> Option<Arc<Card>> {
    let card = turn.agent_live(key).reported_card.clone()?;
    let agent = turn.state().agent(key).filter(|agent| !agent.own_card)?;
    let offered = || card.offers.iter().any(|offer| fleet::is_offered_at(offer, &agent.spec.url));
    (!agent.is_named_by_operator() || offered()).then_some(card)
}

/// Uses the card that a source reports, if it is accepted.
pub(super) fn take_reported_card(turn: &mut Turn, key: AgentKey) {
    let Some(card) = reported_card(turn, key) else { return };
    if let Some(url) = turn.state().agent(key).map(|agent| agent.spec.url.clone()) {
        fleet::take_card(turn, key, card, &url, CardFrom::Source);
    }
}

/// True for a URL that any screen and any command line can show.
pub(super) fn is_plain(url: &str) -> bool {
    let known = ["http://", "https://", "file://"].iter().any(|scheme| url.starts_with(scheme));
    known && url.len() <= 2048 && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Records that a source lists an agent.
pub(super) fn name(turn: &mut Turn, key: AgentKey, source: &Arc<str>) {
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.sources.contains(source) {
        return;
    }
    let sources = agent.sources.iter().cloned().chain([source.clone()]).collect();
    source_fact(turn, key, sources);
}

/// Records which sources list an agent. Whether the operator is one of them decides how far a reported card is trusted.
fn source_fact(turn: &mut Turn, key: AgentKey, sources: Vec<Arc<str>>) {
    let before = turn.state().agent(key).is_some_and(Agent::is_named_by_operator);
    turn.agent_fact(key, AgentFact::Sourced { sources });
    if turn.state().agent(key).is_some_and(|agent| agent.is_named_by_operator() != before && !agent.own_card)
    {
        fleet::rechoose(turn, key);
    }
}

/// A source no longer lists an agent. An agent that has no sources left leaves the fleet.
pub(super) fn remove_source(turn: &mut Turn, key: AgentKey, source: &str) {
    let Some(agent) = turn.state().agent(key) else { return };
    let left = agent.sources.iter().filter(|name| &***name != source).cloned().collect();
    set_sources(turn, key, left);
}

/// Records whether the configuration, the command line or the demo lists an agent.
pub(super) fn set_manual_source(turn: &mut Turn, key: AgentKey, by: Option<Source>) {
    let Some(agent) = turn.state().agent(key) else { return };
    let by_hand = |name: &Arc<str>| BY_HAND.iter().any(|source| source.as_str() == &**name);
    let others = agent.sources.iter().filter(|name| !by_hand(name)).cloned();
    let sources: Vec<Arc<str>> = by.map(|source| source.as_str().into()).into_iter().chain(others).collect();
    let spec = agent.spec.clone();
    let (order, only_found) = (agent.order, by.is_none() && !sources.is_empty());
    let kept = sources.iter().any(|name| &**name == Source::Kept.as_str());
    set_sources(turn, key, sources);
    let source = if kept { Source::Kept } else { Source::Discovery };
    if only_found && spec.source != source {
        fleet::relist(turn, key, AgentSpec { source, ..(*spec).clone() }, order);
    }
}

const BY_HAND: [Source; 3] = [Source::Config, Source::CommandLine, Source::Demo];

fn set_sources(turn: &mut Turn, key: AgentKey, sources: Vec<Arc<str>>) {
    let Some(agent) = turn.state().agent(key) else { return };
    let leaves = agent.listed && sources.is_empty();
    if *agent.sources != *sources {
        source_fact(turn, key, sources);
    }
    if leaves {
        // It is no longer watched. If it is listed again, its next answer restores its tasks.
        if matches!(turn.health(key), Health::Up | Health::Degraded | Health::LoginNeeded) {
            let last_seen = turn.at;
            turn.agent_fact(key, AgentFact::HealthChanged { health: Health::Stale, cause: None, last_seen });
        }
        turn.agent_fact(key, AgentFact::Unlisted);
        fleet::free_name(turn, key);
        retention::schedule(turn);
        for timer in [Timer::Probe(key), Timer::List(key), Timer::Check(key)] {
            turn.clear_timer(timer);
        }
        let live = turn.agent_live(key);
        // If it comes back, it is treated as on first contact.
        live.reached = false;
        live.etag = None;
        live.listing = Listing { call: live.listing.call, ..Listing::default() };
        watch::lose_sight(turn, key, turn.at, None);
        dispatch::agent_left(turn, key);
    }
}
