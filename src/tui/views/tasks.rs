//! The tasks of all agents, of one agent, or of one A2A context.

use ratatui::layout::Rect;

use super::frame::empty;
use crate::domain::id::{AgentKey, AttemptKey, ContextId};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::inside;
use crate::tui::views::listing::{List, Listing, Order, shows_list};
use crate::tui::views::task_rows::{TaskColumn, TaskRows, Work, explain};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::sorted::Sorted;
use crate::tui::widgets::text;

/// The view.
#[derive(Debug)]
pub struct TasksView {
    list: Listing<TaskRows>,
    agent_name: Option<String>,
}

impl TasksView {
    /// All tasks, newest first.
    pub fn new() -> Self {
        Self { list: Listing::new(TaskRows::default(), TaskColumn::Age), agent_name: None }
    }

    /// All tasks, those first that somebody has to look at.
    pub fn worst_first() -> Self {
        Self { list: Listing::new(TaskRows::default(), TaskColumn::State), agent_name: None }
    }

    /// True if it is about all tasks.
    pub fn is_all(&self) -> bool {
        let settings = &self.list.state.settings;
        self.list.source == TaskRows::default() && settings.saved.is_none() && settings.opened.is_empty()
    }

    /// The tasks of one conversation.
    pub fn of_context(context: ContextId) -> Self {
        let rows = TaskRows { context: Some(context), ..TaskRows::default() };
        Self { list: Listing::new(rows, TaskColumn::Age), agent_name: None }
    }

    /// The tasks of one agent.
    pub fn of_agent(ctx: &Context, agent: AgentKey) -> Self {
        let name = ctx.snapshot.agents.get(agent).map(|agent| agent.name.line().into_string());
        let rows = TaskRows { agent: Some(agent), ..TaskRows::default() };
        Self { list: Listing::new(rows, TaskColumn::Age), agent_name: name }
    }

    /// Applies a filter.
    #[must_use]
    pub fn filtered(mut self, text: &str) -> Self {
        self.list.state.settings.open_with(text);
        self
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        let details =
            if self.list.state.details && inner.height >= 14 { (inner.height / 4).clamp(5, 9) } else { 0 };
        if details == 0 {
            return (inner, None);
        }
        let list = Rect { height: inner.height - details, ..inner };
        let below = Rect { y: inner.y + list.height, height: details, ..inner };
        (list, Some(below))
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }
}

impl Default for TasksView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for TasksView {
    fn word(&self) -> &'static str {
        "tasks"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let lines = self.lines(area);
        self.list.refresh(&ctx.snapshot, lines)
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let mut title = self.list.title();
        if let Some(name) = &self.agent_name {
            title.push(span(format!(" of {name}"), Role::Title));
        }
        if let Some(context) = &self.list.source.context {
            title.push(span(format!(" of context {context}"), Role::Title));
        }
        let live = ctx.snapshot.task_counts().live;
        let whole = self.list.source.agent.is_none() && self.list.source.context.is_none();
        let shown = format::count(self.list.rows.len());
        let first = if whole && self.list.state.settings.filter.is_empty() && !self.list.state.settings.faults
        {
            format!("{} live of {shown}", format::count(live as usize))
        } else {
            format!("{shown} of {}", format::count(ctx.snapshot.attempts.len()))
        };
        canvas.rule(area, area.y, Edge::Top, &title, &self.list.facts(ctx, area, first));
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let settings = &self.list.state.settings;
            if !settings.opened.is_empty() && settings.filter == settings.opened && !settings.faults {
                let goes_back = format!("{} goes back.", ctx.key(Action::Back));
                return empty(canvas, ctx, list, false, &["No task passes this filter.", &goes_back]);
            }
            let filtered = settings.leaves_out();
            empty(
                canvas,
                ctx,
                list,
                filtered,
                &[
                    "No tasks yet.",
                    &ctx.hint(Action::New, "sends one."),
                    "Tasks that others send appear by themselves where the agent lists its tasks.",
                ],
            );
        } else {
            self.list.draw(canvas, list, ctx);
        }
        if let Some(below) = below {
            let whole = Rect { x: area.x, width: area.width, ..below };
            let attempt = self.list.target().and_then(|key| ctx.snapshot.attempts.get(key));
            let title = attempt.and_then(|attempt| attempt.task.as_ref()).map(|task| task.id.short());
            let title: Vec<Span> = title.map(|id| span(id, Role::Title)).into_iter().collect();
            canvas.rule(whole, below.y, Edge::Middle, &title, &[]);
            if let Some(attempt) = attempt {
                let pane = Rect {
                    x: below.x + 1,
                    y: below.y + 1,
                    width: below.width.saturating_sub(2),
                    height: below.height - 1,
                };
                let lines = explain(canvas, ctx, attempt, usize::from(pane.width));
                text::draw(canvas, pane, &lines, &text::TextState::default());
            }
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let page = self.list.target().and_then(|key| Destination::attempt(ctx, key));
                Some(page.map(|page| Step::Open(Box::new(page))).into_iter().collect())
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::New, "new"),
            (Action::Answer, "answer"),
            (Action::Cancel, "cancel"),
            (Action::Again, "again"),
            (Action::Filter, "filter"),
            (Action::Faults, "faults"),
            (Action::EditCopy, "edit a copy"),
            (Action::GoTo, "go to"),
            (Action::Mark, "mark"),
            (Action::Copy, "copy"),
            (Action::Wide, "wide"),
        ]
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, ctx: &Context) -> Target {
        let attempt = self.list.target();
        let agent = attempt.and_then(|key| ctx.snapshot.attempts.get(key)).map(|attempt| attempt.agent);
        Target { agent: agent.or(self.list.source.agent), attempt, problem: None, trace: None }
    }

    fn unmark(&mut self) {
        self.list.state.marks.clear();
    }

    fn marked(&self, _ctx: &Context) -> Vec<AttemptKey> {
        self.list.state.marks.iter().copied().collect()
    }

    fn index(&mut self) -> Option<Work> {
        let order = self.list.work()?;
        Some(Work { source: self.list.source.clone(), order })
    }

    fn indexed(&mut self, order: &Order, rev: u64, rows: &mut Sorted<AttemptKey>) {
        self.list.built(order, rev, rows);
    }
}
