//! The first frame: reading the journal may take a second, and a blank terminal looks broken. The only possible action
//! is to leave.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::format::Clocks;
use super::layout::LEAST;
use super::theme::{Role, Theme};
use super::widgets::canvas::{Canvas, Edge, span};
use crate::domain::time::At;

/// Draws it.
pub fn frame(buffer: &mut Buffer, fleet: &str, theme: &Theme, clocks: &Clocks) {
    let mut canvas = Canvas::new(buffer, theme, clocks, At::ZERO);
    let area = canvas.area();
    canvas.tint(area, Role::Plain);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return;
    }
    let wide = canvas.put(area.x + 1, area.y, fleet, Role::Title, area.width - 2);
    canvas.put(area.x + wide + 4, area.y, "recovering", Role::Warn, area.width.saturating_sub(wide + 5));
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    canvas.rule(body, body.y, Edge::Top, &[span("opening", Role::Title)], &[]);
    canvas.sides(body, body.y + 1, body.bottom() - 1);
    let lines = ["recovering: reading the journal", "no action is possible until then"];
    for (y, line) in (body.y + 2..body.bottom() - 1).zip(lines) {
        canvas.put(body.x + 3, y, line, Role::Quiet, body.width.saturating_sub(5));
    }
    canvas.rule(body, body.bottom() - 1, Edge::Bottom, &[], &[]);
    canvas.put(body.x + 2, body.bottom() - 1, " q quit ", Role::Quiet, body.width.saturating_sub(4));
}
