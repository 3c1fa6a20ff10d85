//! The messages of this console, for operators who missed one.

use ratatui::layout::Rect;

use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside, page, with_scratch};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// The page.
#[derive(Debug, Default)]
pub struct MessagesView {
    state: TextState,
    seen: usize,
}

impl MessagesView {
    /// The messages, newest first.
    pub fn new() -> Self {
        Self::default()
    }

    fn lines(canvas: &Canvas<'_>, ctx: &Context, width: usize) -> Vec<Vec<Span>> {
        let mut lines = Vec::new();
        for message in ctx.messages.iter().rev() {
            let time = format!("{:<20}", ctx.clocks.second(message.at, canvas.now));
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

    fn refresh(&mut self, ctx: &Context, _area: Rect) -> bool {
        let news = self.seen != ctx.messages.len();
        self.seen = ctx.messages.len();
        news
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let facts = [span(format!("{} since the start", ctx.messages.len()), Role::Quiet)];
        canvas.rule(area, area.y, Edge::Top, &[span("messages", Role::Title)], &facts);
        if ctx.messages.is_empty() {
            return empty(
                canvas,
                ctx,
                inside(area),
                false,
                &["No messages yet.", &format!("{} goes back.", ctx.key(Action::Back))],
            );
        }
        let pane = page(area);
        let lines = Self::lines(canvas, ctx, usize::from(pane.width));
        text::draw(canvas, pane, &lines, &self.state);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let pane = page(area);
        let lines = with_scratch(ctx, |canvas| Self::lines(canvas, ctx, usize::from(pane.width)));
        self.state.act(action, &lines, usize::from(pane.height)).then(Vec::new)
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![(Action::Back, "back"), (Action::Filter, "search"), (Action::NextMatch, "next")]
    }

    fn target(&self, _ctx: &Context) -> Target {
        Target::default()
    }

    fn in_text(&self) -> bool {
        true
    }

    fn searched(&self) -> String {
        self.state.search.clone()
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        let pane = page(area);
        let lines = with_scratch(ctx, |canvas| Self::lines(canvas, ctx, usize::from(pane.width)));
        Some(self.state.look_for(text, &lines, usize::from(pane.height)))
    }
}
