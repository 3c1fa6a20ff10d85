//! JSON as it came, and other long texts, read as in less.

use ratatui::layout::Rect;

use super::{Screen, Target, inside};
use crate::domain::id::JobId;
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::model::{Shared, Step};
use crate::tui::theme::Role;
use crate::tui::views::Wants;
use crate::tui::widgets::canvas::{Canvas, Joint, Span, span};
use crate::tui::widgets::text::{self, TextState};

/// Where the text comes from.
#[derive(Clone, Debug)]
enum Source {
    /// It does not change.
    Text,
    /// The last object that an agent sent about a task.
    Job(JobId),
}

/// The page.
#[derive(Debug)]
pub struct RawView {
    title: String,
    source: Source,
    target: Target,
    lines: Vec<Vec<Span>>,
    shown: Option<Untrusted>,
    state: TextState,
}

/// JSON over several lines; what is no JSON stays as it is.
pub fn pretty(text: &Untrusted) -> Vec<Vec<Span>> {
    let block = crate::protocol::json::indented(text).unwrap_or_else(|| text.clone()).block();
    block.lines().map(json_line).collect()
}

/// A line of JSON, its key apart from its value.
fn json_line(line: &str) -> Vec<Span> {
    let trimmed = line.trim_start();
    if let Some(rest) = trimmed.strip_prefix('"')
        && let Some(end) = rest.find("\": ")
    {
        let key = line.len() - trimmed.len() + end + 2;
        return vec![span(&line[..key], Role::Key), span(&line[key..], Role::Plain)];
    }
    vec![span(line, Role::Plain)]
}

impl RawView {
    /// A text that does not change.
    pub fn text(title: String, text: &Untrusted, target: Target) -> Self {
        let lines = pretty(text);
        Self { title, source: Source::Text, target, lines, shown: None, state: TextState::default() }
    }

    /// Lines that are made already.
    pub fn lines(title: String, lines: Vec<Vec<Span>>, target: Target) -> Self {
        Self { title, source: Source::Text, target, lines, shown: None, state: TextState::default() }
    }

    /// The last object that an agent sent about a job's task.
    pub fn job(title: String, id: JobId, target: Target) -> Self {
        let source = Source::Job(id);
        Self { title, source, target, lines: Vec::new(), shown: None, state: TextState::default() }
    }

    fn pane(area: Rect) -> Rect {
        let inner = inside(area);
        Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
    }
}

impl Screen for RawView {
    fn word(&self) -> &'static str {
        "raw"
    }

    fn settle(&mut self, shared: &Shared, _area: Rect) -> bool {
        let Source::Job(id) = self.source else { return false };
        let Some(story) = shared.story_of(id) else { return false };
        let raw = story.detail.raw.as_ref().map(|json| json.0.clone());
        if raw.is_some() && raw == self.shown {
            return false;
        }
        self.lines = match &raw {
            Some(raw) => pretty(raw),
            None => vec![vec![span(
                "The agent has sent no object that was kept: at most 64 kB of one are.",
                Role::Doubt,
            )]],
        };
        self.shown = raw;
        true
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, _shared: &Shared) {
        let pane = Self::pane(area);
        let first = self.state.first_line(self.lines.len(), usize::from(pane.height));
        let last = (first + usize::from(pane.height)).min(self.lines.len());
        let mut facts = vec![span(format!("{}–{last} of {}", first + 1, self.lines.len()), Role::Quiet)];
        if !self.state.search.is_empty() {
            facts.insert(
                0,
                span(format!("search {} · ", Untrusted::from(self.state.search.as_str()).line()), Role::You),
            );
        }
        canvas.rule(area, area.y, Joint::Top, &[span(self.title.clone(), Role::Title)], &facts);
        text::draw(canvas, pane, &self.lines, &self.state);
    }

    fn act(&mut self, action: Action, _shared: &Shared, area: Rect) -> Option<Vec<Step>> {
        let height = usize::from(Self::pane(area).height);
        if action == Action::Raw {
            return Some(vec![Step::Back]);
        }
        self.state.act(action, &self.lines, height).then(Vec::new)
    }

    fn keys(&self, _shared: &Shared) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Filter, "search"),
            (Action::NextMatch, "next"),
            (Action::PrevMatch, "before"),
            (Action::Mark, "page"),
            (Action::Back, "back"),
            (Action::Copy, "copy"),
        ]
    }

    fn target(&self, _shared: &Shared) -> Target {
        self.target
    }

    fn in_text(&self) -> bool {
        true
    }

    fn searched(&self) -> Option<String> {
        Some(self.state.search.clone())
    }

    fn search(&mut self, text: &str, _shared: &Shared, area: Rect) {
        self.state.look_for(text, &self.lines, usize::from(Self::pane(area).height));
    }

    fn wants(&self, _shared: &Shared) -> Wants {
        match self.source {
            Source::Job(id) => Wants { story: Some(id), ..Wants::default() },
            Source::Text => Wants::default(),
        }
    }
}
