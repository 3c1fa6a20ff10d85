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
