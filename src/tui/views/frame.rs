//! Parts that all views share: the frame, and the text of an empty list.

use ratatui::layout::Rect;

use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// The inside of a body: without its title line and its sides.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    }
}

/// The area of a page that is one text, with a cell before and behind it.
pub fn page(area: Rect) -> Rect {
    let inner = inside(area);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// A page that is one text, read as in less.
#[derive(Debug, Default)]
pub struct TextPage {
    /// The text.
    pub lines: Vec<Vec<Span>>,
    /// How far it is scrolled, and what is searched for.
    pub state: TextState,
}

impl TextPage {
    /// From its first line on.
    pub fn new(lines: Vec<Vec<Span>>) -> Self {
        Self { lines, state: TextState::default() }
    }

    fn height(area: Rect) -> usize {
        usize::from(page(area).height)
    }

    /// Draws it below its title; the facts end with the lines that are shown.
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, title: String, mut facts: Vec<Span>) {
        let first = self.state.first_line(self.lines.len(), Self::height(area));
        let last = (first + Self::height(area)).min(self.lines.len());
        facts.push(span(format!("{}–{last} of {}", first + 1, self.lines.len()), Role::Quiet));
        canvas.rule(area, area.y, Edge::Top, &[span(title, Role::Title)], &facts);
        text::draw(canvas, page(area), &self.lines, &self.state);
    }

    /// Handles actions that move in it; false for other actions.
    pub fn act(&mut self, action: Action, area: Rect) -> bool {
        self.state.act(action, &self.lines, Self::height(area))
    }

    /// Searches for something; returns how many lines match.
    pub fn look_for(&mut self, text: &str, area: Rect) -> usize {
        self.state.look_for(text, &self.lines, Self::height(area))
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
