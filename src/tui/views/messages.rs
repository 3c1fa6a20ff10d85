//! What this console has told, for those who looked away.

use ratatui::layout::Rect;

use super::tasks::{empty, with_scratch};
use super::{Screen, Target, inside};
use crate::tui::actions::Action;
use crate::tui::model::{Shared, Step};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Joint, Span, span};
use crate::tui::widgets::text::{self, TextState};

/// The page.
#[derive(Debug, Default)]
pub struct MessagesView {
    state: TextState,
    seen: usize,
}

impl MessagesView {
    /// The newest first.
    pub fn new() -> Self {
        Self::default()
    }

    fn pane(area: Rect) -> Rect {
        let inner = inside(area);
        Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
    }

    fn lines(canvas: &Canvas<'_>, shared: &Shared, width: usize) -> Vec<Vec<Span>> {
        let mut lines = Vec::new();
        for message in shared.messages.iter().rev() {
            let time = format!("{:<20}", shared.clocks.second(message.at, canvas.now));
            for (at, text) in text::wrap(&message.text, width.saturating_sub(20)).into_iter().enumerate() {
                let first = if at == 0 { time.clone() } else { " ".repeat(20) };
                lines.push(vec![span(first, Role::Quiet), span(text, message.role)]);
            }
        }
        lines
    }
}

impl Screen for MessagesView {
    fn word(&self) -> &'static str {
        "messages"
    }

    fn settle(&mut self, shared: &Shared, _area: Rect) -> bool {
        let news = self.seen != shared.messages.len();
        self.seen = shared.messages.len();
        news
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let facts = [span(format!("{} told", shared.messages.len()), Role::Quiet)];
        canvas.rule(area, area.y, Joint::Top, &[span("messages", Role::Title)], &facts);
        if shared.messages.is_empty() {
            return empty(
                canvas,
                shared,
                inside(area),
                false,
                &["Nothing was told yet.", &format!("{} goes back.", shared.key(Action::Back))],
            );
        }
        let pane = Self::pane(area);
        let lines = Self::lines(canvas, shared, usize::from(pane.width));
        text::draw(canvas, pane, &lines, &self.state);
    }

    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>> {
        let pane = Self::pane(area);
        let lines = with_scratch(shared, |canvas| Self::lines(canvas, shared, usize::from(pane.width)));
        self.state.act(action, &lines, usize::from(pane.height)).then(Vec::new)
    }

    fn keys(&self, _shared: &Shared) -> Vec<(Action, &'static str)> {
        vec![(Action::Back, "back"), (Action::Filter, "search"), (Action::NextMatch, "next")]
    }

    fn target(&self, _shared: &Shared) -> Target {
        Target::default()
    }

    fn in_text(&self) -> bool {
        true
    }

    fn searched(&self) -> Option<String> {
        Some(self.state.search.clone())
    }

    fn search(&mut self, text: &str, shared: &Shared, area: Rect) {
        let pane = Self::pane(area);
        let lines = with_scratch(shared, |canvas| Self::lines(canvas, shared, usize::from(pane.width)));
        self.state.look_for(text, &lines, usize::from(pane.height));
    }
}
