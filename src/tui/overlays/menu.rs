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

    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        let label = self.lines.iter().map(|line| line.label.width()).max().unwrap_or(0);
        let detail = self.lines.iter().map(|line| line.detail.width()).max().unwrap_or(0);
        let title = self.title.width() + self.facts.width() + 8;
        let width = (label + detail + 10).max(title).max(34);
        let height = u16::try_from(self.lines.len()).unwrap_or(10) + 2;
        let area = layout::card(ctx, u16::try_from(width).unwrap_or(60).min(76), height);
        canvas.clear(area);
        let facts = [span(self.facts.clone(), Role::Quiet)];
        canvas.heavy_rule(area, area.y, Edge::Top, Role::Title, &[span(self.title, Role::Title)], &facts);
        let bottom = area.bottom() - 1;
        canvas.heavy_sides(area, area.y + 1, bottom, Role::Title);
        let at = u16::try_from(label).unwrap_or(20) + 7;
        for (index, line) in self.lines.iter().enumerate() {
            let y = area.y + 1 + u16::try_from(index).unwrap_or(0);
            if y >= bottom {
                break;
            }
            canvas.put(area.x + 2, y, &line.key.to_string(), Role::Key, 1);
            canvas.put(area.x + 5, y, line.label, Role::Plain, at);
            canvas.put(area.x + at, y, &line.detail, Role::Quiet, area.width.saturating_sub(at + 2));
            if index == self.chosen {
                canvas.tint(Rect::new(area.x + 1, y, area.width - 2, 1), Role::Accent);
            }
        }
        canvas.heavy_rule(area, bottom, Edge::Bottom, Role::Title, &[span("esc", Role::Key)], &[]);
    }
}
