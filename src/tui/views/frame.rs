//! Parts that all views share: the frame, and the text of an empty list.

use ratatui::layout::Rect;

use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::text;

/// The inside of a body: without its title line and its sides.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    }
}

/// A line of words with its label in front.
pub fn labelled(label: &str, mut words: Vec<Span>) -> Vec<Span> {
    let mut line = vec![span(format!("{label:<10}"), Role::Quiet)];
    line.append(&mut words);
    line
}

/// Makes lines of words without a screen to draw them on.
pub fn with_scratch<T>(ctx: &Context, draw: impl FnOnce(&Canvas<'_>) -> T) -> T {
    let mut buffer = ratatui::buffer::Buffer::empty(Rect::ZERO);
    draw(&Canvas::new(&mut buffer, &ctx.theme, &ctx.clocks, ctx.now))
}

/// Shows why a list is empty, and what to press.
pub fn empty(canvas: &mut Canvas<'_>, ctx: &Context, area: Rect, filtered: bool, why: &[&str]) {
    let clears = format!("{} clears it.", ctx.key(Action::Back));
    let filtered_words = ["Nothing here passes the filter.", clears.as_str()];
    let why: &[&str] = if filtered { &filtered_words } else { why };
    let width = usize::from(area.width.saturating_sub(4));
    let lines: Vec<String> = why.iter().flat_map(|line| text::wrap(line, width)).collect();
    // A third of the way down, or higher where the last lines would be left out.
    let latest = area.bottom().saturating_sub(u16::try_from(lines.len()).unwrap_or(u16::MAX));
    let from = (area.y + 1 + area.height.saturating_sub(4) / 3).min(latest).max(area.y);
    for (y, line) in (from..area.bottom()).zip(lines) {
        canvas.put(area.x + 2, y, &line, Role::Doubt, area.width.saturating_sub(3));
    }
}
