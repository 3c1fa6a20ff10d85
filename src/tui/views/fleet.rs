//! The fleet: every agent and its health, the one under the cursor explained below.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::agent::replicas::GroupBy;
use crate::domain::id::AttemptKey;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::metrics;
use crate::tui::queries::Subscription;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about;
use crate::tui::views::agent_metrics::AgentMetrics;
use crate::tui::views::agent_rows::{AgentColumn, AgentRows, passes, speaks};
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::group_rows::draw_group;
use crate::tui::views::groups::{Group, Key};
use crate::tui::views::listing::{LARGE, List, Listing, shows_list};
use crate::tui::views::task_rows::{TaskColumn, TaskRows};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::table::TableColumn;
use crate::tui::widgets::text;

/// The view.
#[derive(Debug)]
pub struct FleetView {
    list: Listing<AgentRows>,
    /// The tasks of the agent under the cursor.
    work: Listing<TaskRows>,
    measured: metrics::Groups,
}

impl FleetView {
    /// The fleet, worst agents first.
    pub fn new() -> Self {
        let newest = u32::try_from(LARGE).ok();
        let work = TaskRows { newest, ..TaskRows::default() };
        Self {
            list: Listing::new(AgentRows::default(), AgentColumn::State),
            work: Listing::new(work, TaskColumn::State),
            measured: metrics::Groups::new(metrics::Split::Series(crate::domain::metrics::Dimension::Agent)),
        }
    }

    /// The same, only those that pass a filter.
    #[must_use]
    pub fn filtered(mut self, filter: &str) -> Self {
        self.list.state.settings.filter = Filter::parse(filter);
        self
    }

    /// Groups by something else.
    pub fn group(&mut self, by: GroupBy) {
        self.list.source.groups.set(by);
        self.list.rebuild();
    }

    /// Updates the groups before the rows.
    fn sync(&mut self, snapshot: &Snapshot) {
        let order = self.list.order();
        let AgentRows { groups, troubled, .. } = &mut self.list.source;
        groups.descending =
            AgentColumn::COLUMNS[AgentColumn::at(order.by).number()].highest_first != order.reversed;
        groups.sync(snapshot, &order, |agent| passes(agent, &order, troubled), speaks);
    }

    /// True if the order depends on metrics, which change without an agent's row.
    fn is_sorted_by_results(&self) -> bool {
        let by = AgentColumn::at(self.list.state.settings.sort);
        matches!(by, AgentColumn::Done | AgentColumn::Failed | AgentColumn::Refused | AgentColumn::Lost)
    }

    /// The group under the cursor.
    fn group_here(&self) -> Option<(u32, &Group)> {
        match self.list.target()? {
            Key::Group(number) => Some((number, self.list.source.groups.get(number)?)),
            Key::Agent(_) => None,
        }
    }

    /// Unfolds or folds the group under the cursor, or the group of the agent under it. False if there is none.
    fn fold(&mut self, open: bool) -> bool {
        let groups = &self.list.source.groups;
        let number = match self.list.target() {
            Some(Key::Group(number)) => Some(number),
            Some(Key::Agent(key)) if !open => groups.of(key).map(|(number, _)| number),
            _ => None,
        };
        let Some(number) = number else { return false };
        if groups.get(number).is_none_or(|group| groups.is_open(group) == open) {
            return false;
        }
        self.list.state.selected = Some(Key::Group(number));
        self.list.source.groups.open(number, open);
        self.list.rebuild();
        true
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>, Option<Rect>) {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 14 {
            return (inner, None, None);
        }
        let rows = u16::try_from(self.list.rows.len()).unwrap_or(u16::MAX).saturating_add(1);
        let about = if inner.height >= 30 { 9 } else { 7 };
        let work = if inner.height >= 24 { (inner.height / 4).clamp(5, 12) } else { 0 };
        // Lines that a short list does not need go to the tasks below.
        let list = rows.max(6).min(inner.height - about - work);
        let rest = inner.height - list - about;
        let about = Rect { y: inner.y + list, height: if work > 0 { about } else { about + rest }, ..inner };
        let below = (work > 0).then_some(Rect {
            y: about.bottom(),
            height: inner.bottom() - about.bottom(),
            ..inner
        });
        (Rect { height: list, ..inner }, Some(about), below)
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }
}

impl Default for FleetView {
    fn default() -> Self {
        Self::new()
    }
}

/// The interval between two reads.
const EVERY: Duration = Duration::from_secs(5);

impl Screen for FleetView {
    fn word(&self) -> &'static str {
        "fleet"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let lines = self.lines(area);
        let mut visible = false;
        if self.measured.refresh(ctx) {
            self.list.source.metrics = AgentMetrics::new(self.measured.all());
            visible = true;
            if self.is_sorted_by_results() {
                self.list.rebuild();
            }
        }
        if self.list.state.settings.faults && self.list.source.look_for_trouble(&ctx.snapshot) {
            self.list.source.groups.rebuild();
            self.list.rebuild();
        }
        self.sync(&ctx.snapshot);
        visible |= self.list.refresh(&ctx.snapshot, lines);
        let agent = self.list.target().and_then(Key::agent);
        if self.work.source.agent != agent {
            self.work.source.agent = agent;
            self.work.rebuild();
        }
        if let (_, _, Some(below)) = self.parts(area) {
            visible |= self.work.refresh_window(&ctx.snapshot, usize::from(below.height.saturating_sub(2)));
        }
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let listed = ctx.snapshot.agents.iter().filter(|(_, agent)| agent.listed).count();
        let groups = &self.list.source.groups;
        let shown = groups.agents();
        let word = if listed == 1 { "agent" } else { "agents" };
        let first =
            if shown == listed { format!("{listed} {word}") } else { format!("{shown} of {listed} {word}") };
        let first = format!("{first} · results of the {}", ctx.window_words());
        let mut facts = self.list.facts(ctx, area, first);
        if ctx.snapshot.watching_since > At::ZERO {
            let text =
                format!(" · watching since {}", ctx.clocks.second(ctx.snapshot.watching_since, ctx.now));
            facts.push(span(text, Role::Quiet));
        }
        let by = match groups.by() {
            GroupBy::Declared => String::new(),
            GroupBy::None => " · each alone".to_owned(),
            by => format!(" · by {}", Untrusted::from(by.words()).line()),
        };
        let mut title = self.list.title();
        title.push(span(by, Role::Quiet));
        canvas.rule(area, area.y, Edge::Top, &title, &facts);
        let (list, about_area, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty() || self.list.state.settings.faults;
            empty(
                canvas,
                ctx,
                list,
                filtered,
                &[
                    "No agents yet.",
                    "Name some on the command line: quarterdeck http://127.0.0.1:9101",
                    "or in the configuration, as [[fleet.NAME.agents]]; quarterdeck config example shows how.",
                    "quarterdeck demo starts a demo fleet.",
                ],
            );
            return;
        }
        self.list.draw(canvas, list, ctx);
        if let (Some((_, group)), Some(pane)) = (self.group_here(), about_area) {
            let below = below.map_or(0, |below| below.height);
            return draw_group(canvas, area, Rect { height: pane.height + below, ..pane }, ctx, group);
        }
        let agent = self.list.target().and_then(Key::agent).and_then(|key| ctx.snapshot.agents.get(key));
        if let (Some(pane), Some(agent)) = (about_area, agent) {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            let title = [span(agent.name.line().into_string(), Role::Title)];
            let version =
                agent.card.as_ref().map(|card| span(card.version.line().into_string(), Role::Quiet));
            let facts: Vec<Span> = version.into_iter().collect();
            canvas.rule(whole, pane.y, Edge::Middle, &title, &facts);
            let pane = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let lines = about::short(canvas, ctx, agent, usize::from(pane.width));
            text::draw(canvas, pane, &lines, &text::TextState::default());
        }
        if let (Some(below), Some(_)) = (below, agent) {
            let whole = Rect { x: area.x, width: area.width, ..below };
            let facts = [span("needs you first, then doubtful, then running", Role::Quiet)];
            canvas.rule(whole, below.y, Edge::Middle, &[span("its tasks", Role::Title)], &facts);
            let pane = Rect { y: below.y + 1, height: below.height - 1, ..below };
            if self.work.rows.is_empty() {
                let none = format!("No recent tasks. {}", ctx.hint(Action::New, "sends one."));
                canvas.put(pane.x + 2, pane.y, &none, Role::Doubt, pane.width - 2);
            } else {
                self.work.draw_plain(canvas, pane, ctx);
            }
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        // An agent is not marked: nothing acts on several of them.
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Right => self.fold(true).then(Vec::new),
            Action::Left => self.fold(false).then(Vec::new),
            Action::Open if self.group_here().is_some() => {
                let _one_of_both = self.fold(true) || self.fold(false);
                Some(Vec::new())
            }
            Action::Open => {
                let page =
                    self.list.target().and_then(Key::agent).and_then(|key| Destination::agent(ctx, key));
                Some(page.map(|page| Step::Open(Box::new(page))).into_iter().collect())
            }
            // What is done to an agent is done to one of them.
            Action::Service if self.group_here().is_some() => {
                let _it_may_be_open = self.fold(true);
                let key = ctx.key(Action::Service);
                Some(vec![Step::Say(
                    Role::Quiet,
                    format!("these are several agents: choose one, then {key}"),
                )])
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        let unfold = self.group_here().map(|(_, group)| {
            if self.list.source.groups.is_open(group) {
                (Action::Left, "fold")
            } else {
                (Action::Right, "unfold")
            }
        });
        let mut keys: Vec<_> = unfold.into_iter().collect();
        keys.extend([
            (Action::Open, "open"),
            (Action::New, "new task"),
            (Action::ViewTasks, "tasks"),
            (Action::ViewInbox, "inbox"),
            (Action::ViewProblems, "problems"),
            (Action::Service, "in/out of service"),
            (Action::Check, "check now"),
            (Action::Filter, "filter"),
            (Action::Faults, "faults"),
            (Action::GoTo, "go to"),
            (Action::Raw, "raw"),
            (Action::Copy, "copy"),
        ]);
        keys
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, _ctx: &Context) -> Target {
        Target { agent: self.list.target().and_then(Key::agent), attempt: None, problem: None, trace: None }
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        vec![Subscription::Metrics(EVERY)]
    }

    fn marked(&self, _ctx: &Context) -> Vec<AttemptKey> {
        Vec::new()
    }
}
