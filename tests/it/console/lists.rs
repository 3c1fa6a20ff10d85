//! Rows of lists and panes: where the cursor is seen, what is told as one row, and what stands behind a row.

use quarterdeck::domain::fact::{Act, AgentFact, AttemptFact, Fact, FleetFact, JobFact};
use quarterdeck::domain::job::task::{TaskState, Via};
use quarterdeck::domain::problem::Kind;
use quarterdeck::tui::keymap::Chord;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::render::render;
use quarterdeck::tui::theme::{Depth, Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Console;
use super::scene::{Scene, three_in_the_morning};

/// The lines that are lit, without those of a card.
fn lit(console: &mut Console) -> Vec<u16> {
    console.screen();
    let (width, height) = console.model.context.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    render(&console.model, &mut buffer);
    let accent = console.model.context.theme.style(Role::Accent).bg.unwrap();
    (1..height - 1).filter(|y| (0..width).any(|x| buffer[(x, *y)].bg == accent)).collect()
}

/// The row that keys mean is seen from the start, and nothing else looks like it.
#[test]
fn one_row_is_lit_in_every_list_before_and_after_a_key() {
    for (view, keys) in [
        ("now", "0"),
        ("fleet", "1"),
        ("tasks", "2"),
        ("inbox", "3"),
        ("problems", "4"),
        ("metrics", "7"),
        ("pulse", "v u"),
        ("wire", "v w"),
        ("sources", "v s"),
        ("changes", "c"),
    ] {
        let theme = Theme::load("dark", Depth::True, false);
        let mut console = Console::with(120, 40, super::info(), theme);
        console.press(keys);
        let first = lit(&mut console);
        assert_eq!(first.len(), 1, "{view} has one lit row\n{}", console.screen());
        console.press("j");
        let next = lit(&mut console);
        assert!(next.len() == 1 && next[0] > first[0], "{view} {first:?} {next:?}\n{}", console.screen());
    }
}

/// What one cause changed in many agents is one row, and `enter` shows each.
#[test]
fn cards_that_change_alike_are_one_row() {
    let mut console = Console::new(200, 60);
    let agents: Vec<_> = console.scene.state.agents().iter().map(|(_, agent)| agent.id).take(4).collect();
    for (seconds, agent) in (253..).zip(agents) {
        let words = format!("interfaces + JSONRPC 1.0 at http://10.0.1.{seconds}:9000/");
        console
            .scene
            .add_fact(f64::from(seconds), Fact::Agent(agent, AgentFact::CardChanged { words: words.into() }));
    }
    console.wait(10.0);
    console.publish();
    let told = "4 agents changed their cards: interfaces";
    console.press("c");
    let screen = console.screen();
    assert!(screen.contains(told) && !screen.contains("10.0.1."), "{screen}");
    console.press("/ \"bank-link\" enter");
    assert!(console.screen().contains(told), "found by the name of one\n{}", console.screen());
    console.press("enter");
    let screen = console.screen();
    assert!(screen.contains(told) && screen.matches("10.0.1.").count() == 4, "{screen}");
    console.press("0 tab tab");
    assert!(console.screen().contains(told), "{}", console.screen());
    console.press("g");
    console.press("esc");
    assert!(!console.screen().contains("10.0.1."), "{}", console.screen());
}
