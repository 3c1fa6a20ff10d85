//! What a source may say about an agent that the operator named, and about one that has served its own card.

use std::time::Duration;

use quarterdeck::domain::agent::Health;
use quarterdeck::domain::call::Outcome;
use quarterdeck::domain::effect::Order;
use quarterdeck::domain::fleet::source::{DiscoveredAgent, OWN_REGISTRY, SourceKind, SourceSpec};
use quarterdeck::domain::input::{Input, Rules};
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::message::Part;

use crate::scripted::{Scripted, card_at, served, status};

const BANK: &str = "http://bank:1/";
const EVIL: &str = "http://evil:2/";

/// The bank's answer to a probe.
type Answer = fn() -> Outcome;

fn start(answer: Answer) -> Scripted {
    let mut world = Scripted::new(Rules::default(), |_| None);
    world.script(script(answer));
    let kinds = SourceKind::ALL.into_iter();
    world.feed(Input::Sources(
        kinds.map(|kind| SourceSpec { name: name_of(kind).into(), kind, at: "here".into() }).collect(),
    ));
    world
}

fn script(answer: Answer) -> impl FnMut(&Order) -> Option<Outcome> {
    move |order| match order {
        Order::Probe { url, .. } if **url == *BANK => Some(answer()),
        _ => None,
    }
}

fn name_of(kind: SourceKind) -> &'static str {
    if kind == SourceKind::Own { OWN_REGISTRY } else { kind.as_str() }
}

fn reported(card: &str) -> Vec<DiscoveredAgent> {
    vec![DiscoveredAgent { card: Some(card_at(card)), ..DiscoveredAgent::at(BANK) }]
}

fn interface(world: &Scripted) -> Option<String> {
    Some(world.agent(BANK)?.interface.as_ref()?.url.raw().to_owned())
}

/// Where a message for the bank goes.
#[track_caller]
fn work_goes_to(world: &mut Scripted, expected: Option<&str>) {
    let agent = world.agent(BANK).unwrap().id;
    let before = world.orders.len();
    let send = Send::new(agent, vec![Part::text("transfer 1000")]);
    world.feed(Input::Intent { ticket: 1, intent: Intent::Send(Box::new(send)), by: None });
    world.pass(Duration::from_secs(1));
    let sent: Vec<_> = world.orders[before..]
        .iter()
        .filter_map(|order| match order {
            Order::Send { interface, .. } => Some(interface.url.raw()),
            _ => None,
        })
        .collect();
    assert_eq!(sent, Vec::from_iter(expected));
}

const NO_CARD: Answer = || status(404);
const BROKEN: Answer = || status(503);
const OWN: Answer = || served(card_at(BANK), BANK);

#[test]
fn no_kind_of_source_decides_where_the_work_of_a_configured_agent_goes() {
    for kind in SourceKind::ALL {
        for answer in [NO_CARD, BROKEN] {
            for source_first in [false, true] {
                let mut world = start(answer);
                if source_first {
                    world.report(name_of(kind), reported(EVIL));
                    world.pass(Duration::from_mins(1));
                }
                world.configure(&[BANK]);
                world.report(name_of(kind), reported(EVIL));
                world.pass(Duration::from_mins(1));
                assert_eq!(interface(&world), None, "{kind:?}, source first: {source_first}");
                assert_eq!(world.agent(BANK).unwrap().health, Health::NotSpoken);
                work_goes_to(&mut world, None);
                world.restart();
                world.configure(&[BANK]);
                world.report(name_of(kind), reported(EVIL));
                world.pass(Duration::from_mins(1));
                work_goes_to(&mut world, None);
            }
        }
    }
}

#[test]
fn a_served_card_is_never_replaced_by_a_reported_one_even_after_a_restart() {
    for answer in [NO_CARD, BROKEN] {
        let mut world = start(OWN);
        world.configure(&[BANK]);
        world.report(OWN_REGISTRY, reported(EVIL));
        world.pass(Duration::from_mins(1));
        work_goes_to(&mut world, Some(BANK));
        world.script(script(answer));
        world.pass(Duration::from_mins(1));
        work_goes_to(&mut world, Some(BANK));
        world.restart();
        world.configure(&[BANK]);
        world.report(OWN_REGISTRY, reported(EVIL));
        world.pass(Duration::from_mins(1));
        assert_eq!(world.agent(BANK).unwrap().card, Some(card_at(BANK)));
        work_goes_to(&mut world, Some(BANK));
    }
}

/// Nobody but sources named it, yet what it served stands as long as it stays.
#[test]
fn a_card_served_by_a_discovered_agent_is_not_replaced_either() {
    let mut world = start(OWN);
    world.report("url", vec![DiscoveredAgent::at(BANK)]);
    world.pass(Duration::from_mins(1));
    world.script(script(NO_CARD));
    world.restart();
    world.report(OWN_REGISTRY, reported(EVIL));
    world.pass(Duration::from_mins(1));
    assert_eq!(interface(&world).as_deref(), Some(BANK));
}

#[test]
fn a_reported_card_serves_an_agent_that_has_none() {
    // At its own origin for one that the operator named, after a restart too.
    let mut world = start(NO_CARD);
    world.configure(&[BANK]);
    world.report("url", reported("http://bank:1/a2a"));
    world.pass(Duration::from_mins(1));
    work_goes_to(&mut world, Some("http://bank:1/a2a"));
    world.restart();
    world.configure(&[BANK]);
    world.report("url", reported("http://bank:1/v2"));
    world.pass(Duration::from_mins(1));
    work_goes_to(&mut world, Some("http://bank:1/v2"));

    // Anywhere for one that only the source named, until the operator names it too.
    let mut world = start(NO_CARD);
    world.report("url", reported("http://elsewhere:3/"));
    world.pass(Duration::from_mins(1));
    assert_eq!(interface(&world).as_deref(), Some("http://elsewhere:3/"));
    world.feed(Input::Intent {
        ticket: 1,
        intent: Intent::AddAgent { url: BANK.into(), by: "ops".into() },
        by: None,
    });
    assert_eq!(interface(&world), None);
}

/// The registration of an agent that left says nothing about whom the same URL belongs to next.
#[test]
fn an_agent_at_the_url_of_a_departed_one_starts_anew() {
    let mut world = start(OWN);
    world.report("url", vec![DiscoveredAgent::at(BANK)]);
    world.pass(Duration::from_mins(1));
    world.report("url", Vec::new());
    world.script(script(NO_CARD));
    world.report("url", reported("http://elsewhere:3/"));
    world.pass(Duration::from_mins(1));
    assert_eq!(interface(&world).as_deref(), Some("http://elsewhere:3/"));
}

/// A registration may not ask for more probes than a host can be expected to bear.
#[test]
fn a_source_cannot_ask_for_more_than_a_probe_every_five_seconds() {
    for (asked, least, most) in [(1, 10, 15), (5, 10, 15), (20, 2, 4)] {
        for configured in [false, true] {
            let mut world = start(NO_CARD);
            if configured {
                world.configure(&[BANK]);
            }
            let probe_interval = Some(Duration::from_secs(asked));
            world.report(OWN_REGISTRY, vec![DiscoveredAgent { probe_interval, ..DiscoveredAgent::at(BANK) }]);
            world.pass(Duration::from_mins(1));
            let before = world.orders.len();
            world.pass(Duration::from_mins(1));
            let later = &world.orders[before..];
            let probes = later.iter().filter(|order| matches!(order, Order::Probe { .. })).count();
            assert!((least..=most).contains(&probes), "{probes} probes a minute for {asked} s");
        }
    }
}
