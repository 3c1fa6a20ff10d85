//! Work that moves to a successor, and rules that are not loaded yet, as the console shows them.

use std::sync::Arc;

use quarterdeck::domain::agent::shift::{
    Results, Shift, ShiftChange, ShiftCounts, ShiftEvent, ShiftStage, ShiftTerms,
};
use quarterdeck::domain::fact::{AgentFact, Fact};
use quarterdeck::domain::id::AgentId;
use quarterdeck::domain::intent::Intent;
use quarterdeck::tui::cmd::Cmd;

use super::Console;
use super::scene::{NOW, at};

fn agent(console: &Console, name: &str) -> AgentId {
    let agents = &console.model.context.snapshot.agents;
    agents.iter().find(|(_, agent)| &*agent.name.line() == name).map(|(_, agent)| agent.id).unwrap()
}

/// A shift from the first cashier to the second that is in its second step, or back because of the numbers.
fn shifting(width: u16, height: u16, stage: ShiftStage) -> Console {
    let mut console = Console::new(width, height);
    let (from, to) = (agent(&console, "cashier-1"), agent(&console, "cashier-2"));
    let results = |ok, failed| Results { ok, failed, ..Results::default() };
    let shift = Shift::new(ShiftTerms::to(to), at(100.0), "mia".into());
    let why = (stage == ShiftStage::Back).then(|| "90.0 % ok of 50, the limit is 95 %".into());
    let shift = shift.at(stage, 1, at(200.0), why);
    let counts = ShiftCounts { decided: 640, given: 32, legacy: results(600, 6), successor: results(29, 1) };
    let shift = Some(Arc::new(Shift { counts, ..shift }));
    let fact = AgentFact::ShiftMoved { event: ShiftEvent::Advanced, evidence: None, shift };
    console.scene.add_fact(200.0, Fact::Agent(from, fact));
    console.now = at(NOW);
    console.publish();
    console
}

/// What was submitted about shifts: the legacy agent, and the words of the change.
fn submitted(console: &Console) -> Vec<String> {
    let words = |cmd: &Cmd| match cmd {
        Cmd::Submit(Intent::Shift { change, .. }, _) => Some(match change {
            ShiftChange::Begin(terms) => {
                let skill =
                    terms.skill.as_ref().map(|skill| format!(" {}", skill.line())).unwrap_or_default();
                format!("begin {:?}{skill}", terms.steps)
            }
            other => format!("{other:?}"),
        }),
        _ => None,
    };
    console.asked.iter().filter_map(words).collect()
}

#[test]
fn a_shift_is_shown_with_its_numbers() {
    for (keys, stage, shown) in [
        (
            "v r",
            ShiftStage::Running,
            &[
                "cashier-1 → cashier-2  5 %  step 2 of 5",
                "cashier-2 96.7 % ok of 30 · cashier-1 99.0 % ok of 606",
                "25 % after",
            ][..],
        ),
        ("v r", ShiftStage::Back, &["0 %  back at 0", "90.0 % ok of 50, the limit is 95 %"]),
        ("v r", ShiftStage::Held, &["5 %  held at step 2 of 5"]),
        (
            "1 / \"cashier-1\" enter",
            ShiftStage::Running,
            &["5 % of what cashier-1 would get goes to", "step 2 of 5"],
        ),
        ("1 / \"cashier-2\" enter", ShiftStage::Running, &["5 % of what cashier-1 would get goes to"]),
        ("c", ShiftStage::Running, &["5 % of the work of cashier-1 goes to cashier-2, step 2 of 5"]),
        ("c", ShiftStage::Back, &["all work of cashier-1 comes back from cashier-2"]),
    ] {
        let mut console = shifting(160, 40, stage);
        console.press(keys);
        let screen = console.screen();
        for words in shown {
            assert!(screen.contains(words), "{keys} {stage:?}: {words}\n{screen}");
        }
    }
}

#[test]
fn a_card_says_what_a_shift_will_do_and_begins_it() {
    let begin = ": \"shift_cashier-1_cashier-2\" enter";
    for (keys, shown) in [
        (begin, &["move traffic", "1, 5, 25, 50, 100 % of the jobs", "back to 0 if", "begin"][..]),
        (": \"shift_cashier-1\" enter", &["the names of two agents"]),
        (": \"shift_cashier-1_cashier-2_50\" enter", &["must rise and end at 100"]),
        (": \"shift_cashier-1_cashier-2_x\" enter", &["steps are percentages"]),
        ("1 / \"cashier-1\" enter o", &["move traffic to a successor"]),
    ] {
        let mut console = Console::new(160, 40);
        console.press(keys);
        let screen = console.screen();
        for words in shown {
            assert!(screen.contains(words), "{keys}: {words}\n{screen}");
        }
    }
    for (keys, done) in [
        (format!("{begin} y \"the_old_one_goes\" enter"), "begin [1, 5, 25, 50, 100]"),
        (": \"shift_cashier-1_cashier-2_10,100\" enter y \"again\" enter".to_owned(), "begin [10, 100]"),
    ] {
        let mut console = Console::new(160, 40);
        console.press(&keys);
        assert_eq!(submitted(&console), [done], "{keys}\n{}", console.screen());
    }
    for (keys, stage, done) in [
        ("v r o 1 h y", ShiftStage::Running, "Hold"),
        ("v r o 1 b y", ShiftStage::Running, "Back"),
        ("v r o 1 e y", ShiftStage::Complete, "End"),
        ("v r o 1 r y", ShiftStage::Back, "Resume"),
        ("1 / \"cashier-2\" enter o m r y", ShiftStage::Held, "Resume"),
    ] {
        let mut console = shifting(160, 40, stage);
        console.press(keys);
        assert_eq!(submitted(&console), [done], "{keys}\n{}", console.screen());
    }
}

#[test]
fn rules_of_a_file_are_compared_and_the_past_is_replayed() {
    let compare = ": \"routes_next.toml\" enter";
    for (keys, shown) in [
        (
            compare.to_owned(),
            &[
                "if next.toml were loaded",
                "1 difference · not loaded yet",
                "rule eu-first balances by \"lowest latency\", not \"fewest in flight\"",
                "replays the jobs of the last 24 h",
            ][..],
        ),
        (
            format!("{compare} r"),
            &[
                "50,118 jobs of the last 24 h again: 30 would go elsewhere, 8 to nobody",
                "to nobody",
                "80 by chance",
            ],
        ),
        ("v r r".to_owned(), &["nothing to replay: the file says what is in force"]),
    ] {
        let mut console = Console::new(160, 40);
        console.press(&keys);
        let screen = console.screen();
        for words in shown {
            assert!(screen.contains(words), "{keys}: {words}\n{screen}");
        }
    }
    let mut console = Console::new(120, 40);
    console.press(compare).press("esc");
    assert!(!console.screen().contains("were loaded"), "{}", console.screen());
}

#[test]
fn the_view_of_the_rules_fits_any_screen() {
    let mut all = String::new();
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut console = shifting(width, height, ShiftStage::Running);
        let screen = console.press(": \"routes_next.toml\" enter r").screen();
        all.push_str(&format!("── {width}x{height}\n{screen}\n"));
    }
    insta::assert_snapshot!("screen-routes-shift", all);
}
