//! JSON as an agent sent it, and other long texts, read as in less.

use ratatui::layout::Rect;

use crate::domain::id::JobId;
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::followed_job::FollowedJob;
use crate::tui::queries::Subscription;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::TextPage;
use crate::tui::widgets::canvas::{Canvas, Span, span};

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
    followed: FollowedJob,
    target: Target,
    page: TextPage,
    shown: Option<Untrusted>,
}

/// JSON on several lines; other text is unchanged.
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
        Self::of(title, Source::Text, lines, target)
    }

    /// Lines that are made already.
    pub fn lines(title: String, lines: Vec<Vec<Span>>, target: Target) -> Self {
        Self::of(title, Source::Text, lines, target)
    }

    /// The last object that an agent sent about a job's task.
    pub fn job(title: String, id: JobId, target: Target) -> Self {
        Self::of(title, Source::Job(id), Vec::new(), target)
    }

    fn of(title: String, source: Source, lines: Vec<Vec<Span>>, target: Target) -> Self {
        let (followed, page) = (FollowedJob::default(), TextPage::new(lines));
        Self { title, source, followed, target, page, shown: None }
    }
}

impl Screen for RawView {
    fn word(&self) -> &'static str {
        "raw"
    }

    fn refresh(&mut self, _ctx: &Context, _area: Rect) -> bool {
        let Source::Job(id) = self.source else { return false };
        let Some(followed) = self.followed.of(id) else { return false };
        let raw = followed.detail.raw.as_ref().map(|json| json.0.clone());
        if raw.is_some() && raw == self.shown {
            return false;
        }
        self.page.lines = match &raw {
            Some(raw) => pretty(raw),
            None => vec![vec![span(
                "The agent has sent no object that was kept: at most 64 kB of one are.",
                Role::Doubt,
            )]],
        };
        self.shown = raw;
        true
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, _ctx: &Context) {
        let search = Untrusted::from(self.page.state.search.as_str());
        let searched = (!search.is_empty()).then(|| span(format!("search {} · ", search.line()), Role::You));
        self.page.draw(canvas, area, self.title.clone(), searched.into_iter().collect());
    }

    fn act(&mut self, action: Action, _ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        if action == Action::Raw {
            return Some(vec![Step::Back]);
        }
        self.page.act(action, area).then(Vec::new)
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Filter, "search"),
            (Action::NextMatch, "next"),
            (Action::PrevMatch, "before"),
            (Action::Mark, "page"),
            (Action::Back, "back"),
            (Action::Copy, "copy"),
        ]
    }

    fn target(&self, _ctx: &Context) -> Target {
        self.target
    }

    fn in_text(&self) -> bool {
        true
    }

    fn searched(&self) -> String {
        self.page.state.search.clone()
    }

    fn search(&mut self, text: &str, _ctx: &Context, area: Rect) -> Option<usize> {
        Some(self.page.look_for(text, area))
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        match self.source {
            Source::Job(id) => vec![Subscription::Job(id)],
            Source::Text => Vec::new(),
        }
    }

    fn followed(&self) -> Option<&FollowedJob> {
        Some(&self.followed)
    }

    fn followed_mut(&mut self) -> Option<&mut FollowedJob> {
        Some(&mut self.followed)
    }
}
