//! The members of the fleet, their names, and their interfaces.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::agent::card::{Card, Dialect, Interface, Offer};
use crate::domain::agent::card_diff;
use crate::domain::agent::{Agent, AgentSpec, Source, is_same_origin, normalise_url};
use crate::domain::decide::breaker;
use crate::domain::decide::health;
use crate::domain::decide::live::Timer;
use crate::domain::decide::not_now;
use crate::domain::decide::sources;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::fact::{AgentFact, Fact};
use crate::domain::id::{AgentId, AgentKey};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::text::Untrusted;

/// Names on screens are cut to this many characters.
const NAME_CHARS: usize = 40;

/// Applies the configured agents: new ones are listed and probed; those that nothing names any more are unlisted.
pub(super) fn configure(turn: &mut Turn, specs: Vec<AgentSpec>) {
    let mut kept = BTreeSet::new();
    for (order, spec) in specs.into_iter().enumerate() {
        let order = u32::try_from(order).unwrap_or(u32::MAX);
        let source = spec.source;
        let key = list(turn, spec, order);
        sources::set_manual_source(turn, key, Some(source));
        kept.insert(key);
    }
    let gone: Vec<_> = turn
        .state()
        .agents()
        .iter()
        .filter(|(key, agent)| agent.listed && !kept.contains(key))
        .map(|(key, _)| key)
        .collect();
    for key in gone {
        sources::set_manual_source(turn, key, None);
        // Agents named by a source before the start are watched before the source reports them again.
        ensure_probed(turn, key);
    }
    rename_all(turn);
}

/// Probes an agent unless a probe is in progress or scheduled.
fn ensure_probed(turn: &mut Turn, key: AgentKey) {
    if !turn.timer_is_set(Timer::Probe(key)) && turn.agent_live(key).probe.is_none() {
        health::probe(turn, key);
    }
}

/// Lists an agent that was unlisted, or changes its settings.
pub(super) fn relist(turn: &mut Turn, key: AgentKey, spec: AgentSpec, order: u32) {
    let before = turn.state().agent(key).map(|agent| agent.spec.url.clone());
    if let Some(before) = before.filter(|before| !is_same_origin(before, &spec.url)) {
        turn.agent_live(key).moved_from = Some(before);
    }
    turn.agent_fact(key, AgentFact::Relisted { spec: Arc::new(spec), order });
    name_base(turn, key);
    rechoose(turn, key);
    ensure_probed(turn, key);
}

/// Adds agents for this run, after the existing ones; known agents are matched.
pub(super) fn add(turn: &mut Turn, specs: Vec<AgentSpec>) -> Vec<AgentId> {
    let mut ids = Vec::new();
    for spec in specs {
        let known =
            find(turn, &spec).filter(|key| turn.state().agent(*key).is_some_and(|agent| agent.listed));
        let key = match known {
            Some(key) => {
                health::probe(turn, key);
                key
            }
            None => {
                let order = turn.state().next_order();
                list(turn, spec, order)
            }
        };
        sources::name(turn, key, &Source::CommandLine.as_str().into());
        if let Some(agent) = turn.state().agent(key) {
            ids.push(agent.id);
        }
    }
    rename_all(turn);
    ids
}

/// Adds an agent permanently: from now on the operator's own list, which is stored with the fleet, names it.
pub(super) fn add_agent(turn: &mut Turn, url: &str, by: Untrusted) -> Result<Receipt, Refusal> {
    // A peer in a card is as untrusted as the card: only URLs that may be called are accepted.
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    let web = url.starts_with("http://") || url.starts_with("https://");
    if !web || !sources::is_plain(url) || authority.is_none_or(|host| host.is_empty() || host.contains('@')) {
        return Err(not_now("only an http or https URL without credentials can be added"));
    }
    let list: Arc<str> = Source::Kept.as_str().into();
    let known =
        by_url(turn, url, false).filter(|key| turn.state().agent(*key).is_some_and(|agent| agent.listed));
    let key = known.unwrap_or_else(|| {
        let spec = AgentSpec::at(url, Source::Kept);
        let order = turn.state().next_order();
        self::list(turn, spec, order)
    });
    let kept = turn.state().agent(key).is_some_and(|agent| agent.sources.contains(&list));
    if !kept {
        turn.agent_fact_by(Some(by), key, AgentFact::Added);
        sources::name(turn, key, &list);
        rename_all(turn);
    }
    let id = turn.state().agent(key).map(|agent| agent.id);
    Ok(Receipt::Agents(id.into_iter().collect()))
}

/// Takes an agent out of the operator's list.
pub(super) fn remove_agent(turn: &mut Turn, agent: AgentId, by: Untrusted) -> Result<Receipt, Refusal> {
    let key = turn.state().agent_key(agent).ok_or_else(|| unknown("agent"))?;
    let list = Source::Kept.as_str();
    if turn.state().agent(key).is_none_or(|agent| !agent.sources.iter().any(|name| &**name == list)) {
        return Err(not_now("it was not added by an operator; the agent's page shows what names it"));
    }
    turn.agent_fact_by(Some(by), key, AgentFact::Removed);
    sources::remove_source(turn, key, list);
    rename_all(turn);
    Ok(Receipt::Done)
}

/// True if the operator added it for good.
pub(super) fn is_kept(turn: &Turn, key: AgentKey) -> bool {
    let list = Source::Kept.as_str();
    turn.state().agent(key).is_some_and(|agent| agent.sources.iter().any(|name| &**name == list))
}

/// Takes an agent off the operator's list, as its adding was not kept.
pub(super) fn unkeep(turn: &mut Turn, key: AgentKey) {
    sources::remove_source(turn, key, Source::Kept.as_str());
    rename_all(turn);
}

/// Puts an agent back on the operator's list, as its removal was not kept.
pub(super) fn rekeep(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    if !agent.listed {
        let (spec, order) = (agent.spec.clone(), agent.order);
        relist(turn, key, (*spec).clone(), order);
    }
    sources::name(turn, key, &Source::Kept.as_str().into());
    rename_all(turn);
}

/// An agent is known by its configured name, else by its normalised URL.
fn find(turn: &Turn, spec: &AgentSpec) -> Option<AgentKey> {
    let by_name = spec.name.as_ref().and_then(|name| turn.live.by_name.get(name)?.first());
    by_name.copied().or_else(|| by_url(turn, &spec.url, spec.name.is_some()))
}

/// The agent with a URL; of several, a listed one, then the oldest.
pub(super) fn by_url(turn: &Turn, url: &str, only_nameless: bool) -> Option<AgentKey> {
    let known = turn.live.by_url.get(&normalise_url(url)).into_iter().flatten();
    let rows = known.filter_map(|key| Some((*key, turn.state().agent(*key)?)));
    rows.filter(|(_, agent)| !only_nameless || agent.spec.name.is_none())
        .max_by_key(|(key, agent)| (agent.listed, std::cmp::Reverse(*key)))
        .map(|(key, _)| key)
}

/// Updates the indexes by URL and name.
fn index(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    let now = (normalise_url(&agent.spec.url), agent.spec.name.clone());
    let before = turn.agent_live(key).found_by.replace(now.clone());
    if before.as_ref() == Some(&now) {
        return;
    }
    let live = &mut *turn.live;
    if let Some((url, name)) = before {
        unfind(&mut live.by_url, url, key);
        if let Some(name) = name {
            unfind(&mut live.by_name, name, key);
        }
    }
    live.by_url.entry(now.0).or_default().insert(key);
    if let Some(name) = now.1 {
        live.by_name.entry(name).or_default().insert(key);
    }
}

pub(super) fn list(turn: &mut Turn, spec: AgentSpec, order: u32) -> AgentKey {
    if let Some(key) = find(turn, &spec) {
        let same = turn.state().agent(key).is_some_and(|agent| {
            // A URL on the command line that is also configured is the configured agent.
            let typed = spec.source == Source::CommandLine && agent.spec.source == Source::Config;
            agent.listed && agent.order == order && (*agent.spec == spec || typed)
        });
        if !same {
            relist(turn, key, spec, order);
            return key;
        }
        name_base(turn, key);
        rechoose(turn, key);
        ensure_probed(turn, key);
        return key;
    }
    let at = turn.at;
    let id = AgentId(turn.seed.uuid(at));
    let name = base_name(&spec, None);
    let listed = AgentFact::Listed { spec: Arc::new(spec), order, name };
    turn.record_new(Fact::Agent(id, listed));
    let key = turn.state().agent_key(id).unwrap_or(AgentKey(u32::MAX));
    turn.touched.agents.push(key);
    name_base(turn, key);
    health::probe(turn, key);
    key
}

/// The agent's name before numbering: configured, else from its card, else its host.
fn base_name(spec: &AgentSpec, card: Option<&Card>) -> Untrusted {
    let printable = |text: &Untrusted| Untrusted::from(text.headline(NAME_CHARS).line().into_string());
    if let Some(name) = &spec.name {
        return printable(&Untrusted::new(name.clone()));
    }
    let from_card = card.map(|card| printable(&card.name)).filter(|name| !name.is_empty());
    from_card.unwrap_or_else(|| {
        let url = normalise_url(&spec.url);
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        printable(&Untrusted::from(host))
    })
}

/// Updates the base name of an agent and the indexes.
pub(super) fn name_base(turn: &mut Turn, key: AgentKey) {
    index(turn, key);
    let Some(agent) = turn.state().agent(key) else { return };
    let (order, base) = (agent.order, base_name(&agent.spec, agent.card.as_deref()));
    let before = turn.agent_live(key).base.replace((base.clone(), order));
    if before.as_ref().is_some_and(|before| *before == (base.clone(), order)) {
        // An agent that comes back under the same name must be numbered again too.
        turn.live.to_rename.insert(base);
        return;
    }
    leave_name(turn, key, before);
    turn.live.names.entry(base.clone()).or_default().insert((order, key));
    turn.live.to_rename.insert(base);
}

/// Removes an agent from the index of agents of the same name.
fn leave_name(turn: &mut Turn, key: AgentKey, before: Option<(Untrusted, u32)>) {
    let Some((base, order)) = before else { return };
    if let Some(group) = turn.live.names.get_mut(&base) {
        group.remove(&(order, key));
        if group.is_empty() {
            turn.live.names.remove(&base);
        }
        turn.live.to_rename.insert(base);
    }
}

/// Lets other agents take the name of one that has left.
pub(super) fn free_name(turn: &mut Turn, key: AgentKey) {
    if let Some((base, _)) = turn.agent_live(key).base.clone() {
        turn.live.to_rename.insert(base);
    }
}

/// Removes an agent that is about to be forgotten from every index.
pub(super) fn forget(turn: &mut Turn, key: AgentKey) {
    let Some(live) = turn.live.agents.remove(&key) else { return };
    leave_name(turn, key, live.base);
    if let Some((url, name)) = live.found_by {
        unfind(&mut turn.live.by_url, url, key);
        if let Some(name) = name {
            unfind(&mut turn.live.by_name, name, key);
        }
    }
}

fn unfind<W: Ord>(found: &mut BTreeMap<W, BTreeSet<AgentKey>>, word: W, key: AgentKey) {
    if let Entry::Occupied(mut keys) = found.entry(word) {
        keys.get_mut().remove(&key);
        if keys.get().is_empty() {
            keys.remove();
        }
    }
}

/// Numbers the agents of every name that agents took or gave up since the last call.
pub(super) fn rename_all(turn: &mut Turn) {
    for base in std::mem::take(&mut turn.live.to_rename) {
        rename(turn, &base);
    }
}

/// Numbers the listed agents of one base name in the order configured or typed.
pub(super) fn rename(turn: &mut Turn, base: &Untrusted) {
    let group: Vec<_> = turn.live.names.get(base).into_iter().flatten().map(|(_, key)| *key).collect();
    let mut number = 0;
    for key in group {
        let Some(agent) = turn.state().agent(key).filter(|agent| agent.listed) else { continue };
        number += 1;
        let name =
            if number == 1 { base.clone() } else { Untrusted::from(format!("{}~{number}", base.raw())) };
        if agent.name != name {
            turn.agent_fact(key, AgentFact::Named { name });
        }
    }
}

/// The origin of a card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CardFrom {
    /// The agent served it.
    Agent,
    /// A source reported it.
    Source,
}

/// Accepts a card: records changes, names the agent, and chooses the interface.
pub(super) fn take_card(turn: &mut Turn, key: AgentKey, card: Arc<Card>, card_url: &str, from: CardFrom) {
    let Some(agent) = turn.state().agent(key) else { return };
    let reported = from == CardFrom::Source;
    // An earlier build may have read less of the same card.
    if agent.card.as_ref().is_none_or(|known| *known != card) || agent.own_card == reported {
        let sanitised = sanitised_in(&card);
        // Where it was moved by an operator, its card follows.
        let from = turn.live.agents.get(&key).and_then(|live| live.moved_from.as_deref());
        let changed = agent.card.as_ref().map(|known| match from {
            Some(from) => card_diff::words(&card_diff::moved(known, from, &agent.spec.url), &card),
            None => card_diff::words(known, &card),
        });
        let is_other_version = agent.card.as_ref().is_some_and(|known| known.version != card.version);
        turn.agent_live(key).moved_from = None;
        turn.agent_fact(key, AgentFact::CardSeen { card, reported });
        if let Some(words) = changed.filter(|words| !words.is_empty()) {
            turn.agent_fact(key, AgentFact::CardChanged { words: words.into() });
        }
        if is_other_version {
            health::version_changed(turn, key);
        }
        if sanitised > 0 {
            turn.agent_fact(key, AgentFact::TextSanitised { count: sanitised });
        }
        name_base(turn, key);
        rename_all(turn);
    }
    choose(turn, key, card_url);
}

/// True unless only sources name the agent, and the large cards of such agents already take what they may.
pub(super) fn has_room_for_card(turn: &Turn, key: AgentKey, card: &Card) -> bool {
    let is_own = turn.state().agent(key).is_some_and(Agent::is_named_by_operator);
    is_own || turn.state().sourced_cards().fits(key, card)
}

fn sanitised_in(card: &Card) -> u32 {
    let skills = card.skills.iter().flat_map(|skill| [&skill.name, &skill.description]);
    [&card.name, &card.description, &card.version].into_iter().chain(skills).map(Untrusted::sanitised).sum()
}

/// Chooses the interface again with the current card.
pub(super) fn rechoose(turn: &mut Turn, key: AgentKey) {
    let url = turn.state().agent(key).map(|agent| agent.spec.url.clone());
    if let Some(url) = url
        && turn.state().agent(key).is_some_and(|agent| agent.card.is_some())
    {
        choose(turn, key, &url);
    }
}

fn choose(turn: &mut Turn, key: AgentKey, card_url: &str) {
    let Some(agent) = turn.state().agent(key) else { return };
    let Some(card) = agent.card.clone() else { return };
    let only = agent.spec.dialect.or(agent.confirmed_dialect);
    let interface = if agent.own_card || !agent.is_named_by_operator() {
        choose_interface(&card, only, card_url)
    } else {
        // A source may not decide to which host, port or scheme the work of an operator's agent goes.
        let mut card = (*card).clone();
        card.offers.retain(|offer| is_offered_at(offer, &agent.spec.url));
        choose_interface(&card, only, card_url)
    };
    let interface = interface.map(Arc::new);
    if agent.interface != interface {
        turn.agent_live(key).proven = false;
        turn.agent_fact(key, AgentFact::InterfaceChosen { interface });
        breaker::judged_anew(turn, key);
    }
}

/// True if the interface has the origin of `url`, where the card was fetched or should have been.
pub(super) fn is_offered_at(offer: &Offer, url: &str) -> bool {
    is_same_origin(correct_host(&offer.url, url).raw(), url)
}

/// Picks in the card's order among supported protocols; if one URL offers both versions, 1.x before 0.3.
///
/// `only` is the configured version, or the one that a call confirmed.
pub fn choose_interface(card: &Card, only: Option<Dialect>, card_url: &str) -> Option<Interface> {
    let spoken = |offer: &Offer| -> Option<Dialect> {
        if !offer.binding.raw().eq_ignore_ascii_case("JSONRPC") {
            return None;
        }
        match &offer.version {
            Some(version) => Dialect::from_version(version.raw()),
            // No version is read as 1.0; the one fallback corrects it (PROTOCOL: robust pick).
            None => Some(Dialect::V1_0),
        }
    };
    let candidates: Vec<_> = card.offers.iter().filter_map(|offer| Some((spoken(offer)?, offer))).collect();
    let picked = match only {
        // A dialect that the card does not name may still be answered at an offered URL.
        Some(only) => candidates.iter().find(|(dialect, _)| *dialect == only).or(candidates.first()),
        None => candidates.first().map(|first| {
            let newer = candidates
                .iter()
                .find(|(dialect, offer)| *dialect == Dialect::V1_0 && offer.url == first.1.url);
            newer.unwrap_or(first)
        }),
    };
    let (dialect, offer) = picked?;
    Some(Interface {
        dialect: only.unwrap_or(*dialect),
        binding: offer.binding.clone(),
        url: correct_host(&offer.url, card_url),
        tenant: offer.tenant.clone().filter(|tenant| !tenant.is_empty()),
    })
}

/// A card may name an address of its agent's own machine: `0.0.0.0`, or loopback although it was
/// fetched from elsewhere. Then the host that answered for the card is used, and the card's port.
fn correct_host(url: &Untrusted, card_url: &str) -> Untrusted {
    let (Some((scheme, rest)), Some((_, card_rest))) =
        (url.raw().split_once("://"), card_url.split_once("://"))
    else {
        // A relative URL is resolved against the directory above the well-known path.
        let place = card_url.split_once("/.well-known/").map(|(above, _)| format!("{above}/"));
        let base = url::Url::parse(place.as_deref().unwrap_or(card_url));
        let resolved = base.and_then(|base| base.join(url.raw().trim()));
        return resolved.map_or_else(|_| url.clone(), |resolved| Untrusted::from(resolved.as_str()));
    };
    let host_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    let card_authority = &card_rest[..card_rest.find('/').unwrap_or(card_rest.len())];
    let (host, port) = split_port(authority);
    let (card_host, _) = split_port(card_authority);
    let unspecified = matches!(host, "0.0.0.0" | "[::]");
    let loopback = |host: &str| host == "localhost" || host == "[::1]" || host.starts_with("127.");
    if unspecified || (loopback(host) && !loopback(card_host)) {
        Untrusted::from(format!("{scheme}://{card_host}{port}{path}"))
    } else {
        url.clone()
    }
}

/// The host, and `:port` if present.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => authority.split_at(colon),
        _ => (authority, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(offers: &[(&str, &str, &str)]) -> Card {
        let offers = offers.iter().map(|(url, binding, version)| Offer {
            url: (*url).into(),
            binding: (*binding).into(),
            version: (!version.is_empty()).then(|| (*version).into()),
            tenant: None,
        });
        Card { offers: offers.collect(), ..crate::domain::agent::card::Card::empty() }
    }

    #[track_caller]
    fn check(offers: &[(&str, &str, &str)], only: Option<Dialect>, expected: Option<(&str, Dialect)>) {
        let picked = choose_interface(&card(offers), only, "http://h:1/.well-known/agent-card.json");
        assert_eq!(picked.as_ref().map(|i| (i.url.raw(), i.dialect)), expected);
    }

    #[test]
    fn the_interface_follows_the_card() {
        use Dialect::{V0_3, V1_0};
        check(
            &[("http://h/a", "JSONRPC", "0.3"), ("http://h/a", "JSONRPC", "1.0")],
            None,
            Some(("http://h/a", V1_0)),
        );
        check(
            &[("http://h/a", "JSONRPC", "0.3"), ("http://h/b", "JSONRPC", "1.0")],
            None,
            Some(("http://h/a", V0_3)),
        );
        check(
            &[("http://h/a", "GRPC", "1.0"), ("http://h/b", "JSONRPC", "1.0.1")],
            None,
            Some(("http://h/b", V1_0)),
        );
        check(&[("http://h/a", "JSONRPC", "")], None, Some(("http://h/a", V1_0)));
        check(&[("http://h/a", "HTTP+JSON", "0.3.0")], None, None);
        check(&[("http://h/a", "JSONRPC", "0.2.5")], None, None);
        check(&[("http://h/a", "JSONRPC", "1.0")], Some(V0_3), Some(("http://h/a", V0_3)));
        check(&[("http://0.0.0.0:9/a", "JSONRPC", "1.0")], None, Some(("http://h:9/a", V1_0)));
        check(&[("http://localhost:9/a", "JSONRPC", "1.0")], None, Some(("http://h:9/a", V1_0)));
        check(&[("/a2a/rpc", "JSONRPC", "1.0")], None, Some(("http://h:1/a2a/rpc", V1_0)));
        check(&[("rpc", "JSONRPC", "1.0")], None, Some(("http://h:1/rpc", V1_0)));
    }
}
