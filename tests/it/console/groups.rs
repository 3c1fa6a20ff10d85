//! The fleet in groups that fold: by keys, by command, by menu, and kept up with what changes.

use std::sync::Arc;

use quarterdeck::domain::agent::Health;
use quarterdeck::domain::agent::breaker::BreakerState;
use quarterdeck::domain::agent::card::Card;
use quarterdeck::domain::cause::Cause;
use quarterdeck::domain::fact::{AgentFact, Fact};
use quarterdeck::domain::id::AgentId;

use super::Console;
use super::scene::NOW;

/// The first two agents and the fifth are replicas, of two versions.
fn replicas(width: u16, height: u16) -> Console {
    let mut console = Console::new(width, height);
    for (place, version) in [(0, "2.4.1"), (1, "2.4.0"), (4, "2.4.0")] {
        card(&mut console, place, "cashier", version);
    }
    console.publish();
    console.press("1 : \"group_replicas\" enter");
    console
}

fn card(console: &mut Console, place: usize, name: &str, version: &str) {
    let rows: Vec<_> = console.scene.state.agents().iter().map(|(_, agent)| agent.clone()).collect();
    let known = rows[place].card.clone().unwrap();
    let provider = Some("Cashiers".into());
    let card = Card { name: name.into(), version: version.into(), provider, ..(*known).clone() };
    console.scene.add_fact(
        NOW,
        Fact::Agent(rows[place].id, AgentFact::CardSeen { card: Arc::new(card), reported: false }),
    );
}

fn id(console: &Console, place: usize) -> AgentId {
    let rows: Vec<_> = console.scene.state.agents().iter().map(|(_, agent)| agent.id).collect();
    rows[place]
}

/// The rows of the table: the mark and the name.
fn rows(console: &mut Console) -> Vec<String> {
    let screen = console.screen();
    let head = screen.lines().nth(2).unwrap_or_default();
    let until = head.find("STATE").map_or(0, |at| head[..at].chars().count());
    let table = screen.lines().skip(3).take_while(|line| !line.starts_with('├'));
    let names = table.map(|line| line.chars().take(until).skip(2).collect::<String>().trim_end().to_owned());
    names.filter(|line| !line.is_empty()).collect()
}

#[test]
fn replicas_fold_into_one_row_that_opens() {
    let mut ungrouped = Console::new(120, 40);
    ungrouped.press("1");
    let mut console = replicas(120, 40);
    let folded = rows(&mut console);
    assert!(folded.contains(&"◐ ▸ cashier ×3".to_owned()), "{folded:#?}");
    assert!(rows(&mut ungrouped).iter().any(|row| row.contains("cashier-2")), "nothing folds unasked");
    assert!(!folded.iter().any(|row| row.contains("cashier-") || row.contains("refund-desk")), "{folded:#?}");
    insta::assert_snapshot!("groups-folded", console.press("/ \"provider=cashiers\" enter").screen());
    console.press("right");
    let open = rows(&mut console);
    assert_eq!(open.len(), 4, "{open:#?}");
    assert!(open[0].contains("▾ cashier ×3") && open[1].contains("  cashier-2"), "{open:#?}");
    insta::assert_snapshot!("groups-open", console.screen());
    // A member is an agent like any other; from it the group folds again.
    console.press("j j enter");
    assert!(console.screen().contains("fleet › "), "{}", console.screen());
    console.press("esc left");
    assert_eq!(rows(&mut console), ["◐ ▸ cashier ×3"], "it is folded");
    console.press("enter");
    assert_eq!(rows(&mut console).len(), 4);
    console.press("enter");
    assert_eq!(rows(&mut console).len(), 1);
}

#[test]
fn a_group_keeps_up_with_its_members() {
    let mut console = replicas(120, 40);
    console.press("/ \"provider=cashiers\" enter right");
    let down = AgentFact::HealthChanged {
        health: Health::Down,
        cause: Some(Arc::new(Cause::Refused)),
        last_seen: super::scene::at(NOW),
    };
    let agent = id(&console, 4);
    console.scene.add_fact(NOW, Fact::Agent(agent, down));
    console.publish();
    let screen = console.screen();
    assert!(screen.contains("1/3 down"), "{screen}");
    assert!(rows(&mut console)[0].starts_with('✖'), "the worst counts");
    let outlier =
        Cause::Outlier { failed: 9, of: 20, others_failed: 0, others_of: 57, replicas: 3, tasks: true };
    let agent = id(&console, 0);
    let moved = AgentFact::BreakerMoved {
        position: BreakerState::Open,
        cause: Some(Arc::new(outlier)),
        forced: None,
    };
    console.scene.add_fact(NOW, Fact::Agent(agent, moved));
    console.publish();
    console.press("home");
    let screen = console.screen();
    assert!(screen.contains("ejected") && screen.contains("1 open"), "{screen}");
    assert!(screen.contains("it failed 9 of 20 tasks; its 3 replicas failed 0 of 57"), "{screen}");
    // Two leave for cards of their own: one replica stands alone, and the cursor stays in the list.
    card(&mut console, 0, "cashier-x", "1");
    card(&mut console, 1, "cashier-y", "1");
    console.publish();
    let alone = rows(&mut console);
    assert!(alone.len() == 3 && !alone.iter().any(|row| row.contains('×')), "{alone:#?}");
    card(&mut console, 0, "cashier", "2.4.0");
    console.publish();
    let again = rows(&mut console);
    assert!(again.iter().any(|row| row.contains("▾ cashier ×2")), "it opens as it was: {again:#?}");
}

#[test]
fn the_fleet_is_grouped_as_requested() {
    let mut console = replicas(120, 40);
    console.press(": \"group_version\" enter");
    let mut by = rows(&mut console);
    by.sort();
    assert!(by.iter().any(|row| row.contains("▸ 2.4.0 ×2")), "{by:#?}");
    assert!(by.iter().any(|row| row.contains("▸ – ×1")), "nobody says which version {by:#?}");
    assert!(console.screen().contains("fleet · by version"), "{}", console.screen());
    console.press(": \"group_label_region\" enter");
    assert_eq!(rows(&mut console), ["✖ ▸ eu ×8"]);
    console.press(": \"group_none\" enter");
    assert_eq!(rows(&mut console).len(), 8);
    console.press(": \"group_shoe-size\" enter");
    assert!(console.last_line().contains("group declared, replicas, provider"), "{}", console.last_line());
    console.press("v g");
    insta::assert_snapshot!("groups-menu", console.screen());
    console.press("p");
    assert!(rows(&mut console).iter().any(|row| row.contains("▸ Example")));
    console.press("A");
    let first = rows(&mut console)[0].clone();
    console.press("A");
    assert_ne!(rows(&mut console)[0], first, "groups are sorted too");
}

#[test]
fn every_agent_is_under_one_row_whatever_is_folded() {
    let mut console = replicas(200, 60);
    for sort in ["S", "A", "L"] {
        for keys in [sort, sort] {
            console.press("home");
            console.press(keys);
            console.press(": \"group_provider\" enter");
            // Groups are unfolded one after the other, wherever they stand.
            let groups = rows(&mut console).len();
            for _ in 0..groups {
                console.press("right");
                console.press("j");
                while console.screen().lines().any(|line| line.contains('▌') && !line.contains('▸')) {
                    let before = console.screen();
                    console.press("j");
                    if console.screen() == before {
                        break;
                    }
                }
            }
            let open = rows(&mut console);
            assert_eq!(open.len(), groups + 8, "{sort}: {open:#?}");
            let mut under = 0;
            for row in open.iter().rev() {
                if row.contains('▾') {
                    let count: usize = row.rsplit('×').next().unwrap().trim().parse().unwrap();
                    assert_eq!(under, count, "{sort}: a head stands above its members {open:#?}");
                    under = 0;
                } else {
                    under += 1;
                }
            }
            assert_eq!(under, 0);
        }
    }
}
