//! Menus: the second key may follow the first as fast as the operator types.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::context::Context;
use crate::tui::keymap::Chord;
use crate::tui::layout;
use crate::tui::step::KeyOutcome;
pub use crate::tui::step::{Line, Menu};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::text::wrap;

/// The width of a menu at most, however wide the screen.
const WIDEST: u16 = 110;
/// Details that would have fewer cells than this beside their labels stand below.
const NARROW: usize = 24;

impl Menu {
    /// Takes a key.
    pub fn key(&mut self, chord: Chord) -> KeyOutcome {
        let at = match chord.code {
            KeyCode::Esc => return KeyOutcome::Closes(Vec::new()),
            KeyCode::Down => {
                self.chosen = (self.chosen + 1).min(self.lines.len().saturating_sub(1));
                return KeyOutcome::Stays(Vec::new());
            }
            KeyCode::Up => {
                self.chosen = self.chosen.saturating_sub(1);
                return KeyOutcome::Stays(Vec::new());
            }
            KeyCode::Enter => self.chosen,
            _ => match chord.typed().and_then(|c| self.lines.iter().position(|line| line.key == c)) {
                Some(at) => at,
                None => return KeyOutcome::Stays(Vec::new()),
            },
        };
        if at >= self.lines.len() {
            return KeyOutcome::Closes(Vec::new());
        }
        KeyOutcome::Closes(vec![self.lines.swap_remove(at).step])
    }

    /// Draws it; details that are too long continue on further lines.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        let label = self.lines.iter().map(|line| line.label.width()).max().unwrap_or(0);
        let details = self.lines.iter().flat_map(|line| line.detail.lines());
        let detail = details.map(UnicodeWidthStr::width).max().unwrap_or(0);
        let title = self.title.width() + self.facts.width() + 8;
        let width = (label + detail + 10).max(title).max(34);
        let width = u16::try_from(width).unwrap_or(u16::MAX).min(WIDEST).min(ctx.size.0);
        let at = u16::try_from(label).unwrap_or(20) + 7;
        let room = usize::from(width.saturating_sub(at + 2));
        let most = usize::from(ctx.size.1.saturating_sub(4));
        let mut details: Vec<Vec<String>> =
            self.lines.iter().map(|line| wrap(&line.detail, room.max(10))).collect();
        let mut foot = Vec::new();
        let is_compact =
            details.iter().map(Vec::len).sum::<usize>() > most || (detail > room && room < NARROW);
        if is_compact {
            // Every line is seen; what the chosen one does is said below.
            details = vec![vec![String::new()]; self.lines.len()];
            let chosen = self.lines.get(self.chosen).map_or("", |line| line.detail.as_str());
            foot = wrap(chosen, usize::from(width.saturating_sub(4)));
            foot.truncate(most.saturating_sub(self.lines.len() + 1).clamp(2, 3));
            foot.retain(|line| !line.is_empty());
        }
        let below = if foot.is_empty() { 0 } else { foot.len() + 1 };
        let height = details.iter().map(Vec::len).sum::<usize>() + below;
        let area = layout::card(ctx, width, u16::try_from(height + 2).unwrap_or(u16::MAX));
        canvas.clear(area);
        let facts = [span(self.facts.clone(), Role::Quiet)];
        canvas.heavy_rule(area, area.y, Edge::Top, Role::Title, &[span(self.title, Role::Title)], &facts);
        let bottom = area.bottom() - 1;
        canvas.heavy_sides(area, area.y + 1, bottom, Role::Title);
        let end = bottom.saturating_sub(u16::try_from(below).unwrap_or(0)).max(area.y + 2);
        // Where not all lines fit, those around the chosen one are shown.
        let shown = usize::from(end - area.y - 1);
        let hidden = if is_compact { self.lines.len().saturating_sub(shown) } else { 0 };
        let skip = if is_compact { (self.chosen + 1).saturating_sub(shown) } else { 0 };
        let mut y = area.y + 1;
        for (index, (line, details)) in self.lines.iter().zip(details).enumerate().skip(skip) {
            if y >= end {
                break;
            }
            canvas.put(area.x + 2, y, &line.key.to_string(), Role::Key, 1);
            canvas.put(area.x + 5, y, line.label, Role::Plain, area.width.saturating_sub(7));
            let from = y;
            for (row, detail) in (from..end).zip(&details) {
                canvas.put(area.x + at, row, detail, Role::Quiet, area.width.saturating_sub(at + 2));
                y = row + 1;
            }
            if index == self.chosen {
                canvas.select(Rect::new(area.x + 1, from, area.width - 2, y - from));
            }
        }
        if !foot.is_empty() {
            canvas.heavy_rule(area, end, Edge::Middle, Role::Title, &[], &[]);
            for (y, line) in (end + 1..bottom).zip(&foot) {
                canvas.put(area.x + 2, y, line, Role::Quiet, area.width.saturating_sub(4));
            }
        }
        let more = if hidden > 0 { format!("{hidden} more, by arrow") } else { String::new() };
        let keys = [span("esc", Role::Key)];
        canvas.heavy_rule(area, bottom, Edge::Bottom, Role::Title, &keys, &[span(more, Role::You)]);
    }
}
