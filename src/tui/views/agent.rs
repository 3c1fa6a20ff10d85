//! The page of an agent: its card, readable and raw, its skills, its tasks, and its history.

use ratatui::layout::Rect;

use crate::domain::agent::Agent;
use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::id::{AgentId, AgentKey, AttemptKey};
use crate::engine::Answer;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::fact_cache::{AGENT_FACTS, FactCache};
use crate::tui::queries::{Ask, Subscription};
use crate::tui::screen::Screen;
use crate::tui::states;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order};
use crate::tui::views::task_rows::{TaskColumn, TaskRows, Work};
use crate::tui::views::{about, facts};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::sorted::Sorted;
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// The tabs of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tab {
    Card,
    Skills,
    Tasks,
    History,
    Raw,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Card, Self::Skills, Self::Tasks, Self::History, Self::Raw];

    fn word(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Skills => "skills",
            Self::Tasks => "tasks",
            Self::History => "what happened",
            Self::Raw => "raw",
        }
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// The page.
#[derive(Debug)]
pub struct AgentView {
    key: AgentKey,
    id: AgentId,
    tab: Tab,
    list: Listing<TaskRows>,
    text: TextState,
    /// The agent's facts.
    facts: FactCache,
    /// The card as text, for the card that it was made from.
    raw: (u64, Vec<Vec<Span>>),
    seen: Option<(u64, crate::domain::agent::Counts)>,
    /// How often its facts had been read when it was drawn last.
    seen_facts: u64,
}

/// Cells of the time and the age in the history.
const AFTER_TIMES: usize = 27;

impl AgentView {
    /// The page of an agent.
    pub fn new(key: AgentKey, id: AgentId) -> Self {
        let rows = TaskRows { agent: Some(key), ..TaskRows::default() };
        Self {
            key,
            id,
            tab: Tab::Card,
            list: Listing::new(rows, TaskColumn::Age),
            text: TextState::default(),
            facts: FactCache::default(),
            raw: (0, Vec::new()),
            seen: None,
            seen_facts: 0,
        }
    }

    /// The same with its raw card open.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.tab = Tab::Raw;
        self
    }

    /// Opens the page at the agent's history.
    #[must_use]
    pub fn history(mut self) -> Self {
        self.tab = Tab::History;
        self
    }

    fn agent<'s>(&self, ctx: &'s Context) -> Option<&'s Agent> {
        ctx.snapshot.agents.get(self.key).filter(|agent| agent.id == self.id)
    }

    /// The pane below the line of tabs.
    fn pane(area: Rect) -> Rect {
        let inner = inside(area);
        Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner }
    }

    fn text_pane(area: Rect) -> Rect {
        let pane = Self::pane(area);
        Rect { x: pane.x + 1, width: pane.width.saturating_sub(2), ..pane }
    }

    fn text_lines(&self, canvas: &Canvas<'_>, ctx: &Context, width: usize) -> Vec<Vec<Span>> {
        let Some(agent) = self.agent(ctx) else { return Vec::new() };
        match self.tab {
            Tab::Card => about::card(canvas, ctx, agent, width),
            Tab::Skills => about::skills(ctx, agent, width),
            Tab::Raw => self.raw.1.clone(),
            Tab::History => text::wrap_spans(&self.history_lines(canvas, ctx), width, AFTER_TIMES),
            Tab::Tasks => Vec::new(),
        }
    }

    fn history_lines(&self, canvas: &Canvas<'_>, ctx: &Context) -> Vec<Vec<Span>> {
        let Some(facts) = self.facts.of(Owner::Agent(self.id)) else {
            return vec![vec![span("reading", Role::Doubt)]];
        };
        let line = |fact: &JournalEntry| {
            let mut line = vec![
                span(format!("{:<19}", ctx.clocks.second(fact.at, ctx.now)), Role::Quiet),
                span(format!("{:>5}   ", canvas.coarse_age(fact.at)), Role::Quiet),
            ];
            line.extend(
                fact.fact.of_agent().map(|of| facts::of_agent(of, &fact.actor_name())).unwrap_or_default(),
            );
            line
        };
        let mut lines = about::uptime(ctx, facts);
        lines.extend(facts.iter().rev().map(line));
        lines
    }
}

impl Screen for AgentView {
    fn word(&self) -> &'static str {
        "agent"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let Some(agent) = self.agent(ctx) else { return self.seen.take().is_some() };
        let now = Some((agent.seq, agent.counts));
        let digest = agent.card.as_ref().map_or(0, |card| card.digest);
        let card = agent.card.clone();
        let mut visible = self.seen != now;
        self.seen = now;
        if self.raw.0 != digest || self.raw.1.is_empty() {
            let raw = card.as_ref().and_then(|card| card.raw.as_ref());
            let lines = match (raw, &card) {
                (Some(raw), _) => crate::tui::views::raw::pretty(raw),
                (None, Some(_)) => {
                    vec![vec![span("The card is larger than 64 kB; its raw text is not kept.", Role::Doubt)]]
                }
                (None, None) => {
                    vec![vec![span(about::never_read(ctx), Role::Doubt)]]
                }
            };
            self.raw = (digest, lines);
        }
        visible |= self.seen_facts != self.facts.reads() && self.tab == Tab::History;
        self.seen_facts = self.facts.reads();
        if self.tab == Tab::Tasks {
            visible |=
                self.list.refresh(&ctx.snapshot, usize::from(Self::pane(area).height.saturating_sub(1)));
        }
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let Some(agent) = self.agent(ctx) else {
            canvas.rule(area, area.y, Edge::Top, &[span("agent", Role::Title)], &[]);
            return empty(
                canvas,
                ctx,
                inside(area),
                false,
                &["This agent is no longer known.", &format!("{} goes back.", ctx.key(Action::Back))],
            );
        };
        let label = states::agent(agent, ctx.glyphs());
        let title = [span(format!("fleet › {}", agent.name.line()), Role::Title)];
        let mut facts = vec![span(format!("{} {}", label.mark, label.word), label.role)];
        if self.tab == Tab::Tasks {
            facts = self.list.facts(ctx, area, format!("{} {}", label.mark, label.word));
        }
        canvas.rule(area, area.y, Edge::Top, &title, &facts);
        let inner = inside(area);
        let mut x = inner.x + 1;
        for tab in Tab::ALL {
            let role = if tab == self.tab { Role::Accent } else { Role::Quiet };
            x += canvas.put(x, inner.y, &format!(" {} ", tab.word()), role, inner.right().saturating_sub(x))
                + 1;
        }
        if self.tab == Tab::Tasks {
            let pane = Self::pane(area);
            if self.list.rows.is_empty() {
                let filtered = !self.list.state.settings.filter.is_empty() || self.list.state.settings.faults;
                empty(
                    canvas,
                    ctx,
                    pane,
                    filtered,
                    &["No tasks of this agent are known.", &ctx.hint(Action::New, "sends one.")],
                );
            } else {
                self.list.draw(canvas, pane, ctx);
            }
            return;
        }
        let pane = Self::text_pane(area);
        let lines = self.text_lines(canvas, ctx, usize::from(pane.width));
        text::draw(canvas, pane, &lines, &self.text);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        match action {
            Action::NextPane | Action::PrevPane => {
                let by = if action == Action::NextPane { 1 } else { Tab::ALL.len() - 1 };
                self.tab = self.tab.step(by);
                self.text = TextState::default();
                return Some(Vec::new());
            }
            Action::Raw => {
                self.tab = if self.tab == Tab::Raw { Tab::Card } else { Tab::Raw };
                self.text = TextState::default();
                return Some(Vec::new());
            }
            _ => {}
        }
        if self.tab == Tab::Tasks {
            if self.list.act(action, usize::from(Self::pane(area).height.saturating_sub(1))) {
                return Some(Vec::new());
            }
            return match action {
                Action::Open => {
                    let page = self.list.target().and_then(|key| Destination::attempt(ctx, key));
                    Some(page.map(|page| Step::Open(Box::new(page))).into_iter().collect())
                }
                _ => None,
            };
        }
        let pane = Self::text_pane(area);
        let lines = crate::tui::views::frame::with_scratch(ctx, |canvas| {
            self.text_lines(canvas, ctx, usize::from(pane.width))
        });
        self.text.act(action, &lines, usize::from(pane.height)).then(Vec::new)
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        let mut keys = vec![(Action::NextPane, "next tab")];
        if self.tab == Tab::Tasks {
            keys.extend([
                (Action::Open, "open"),
                (Action::New, "new task"),
                (Action::Cancel, "cancel"),
                (Action::Answer, "answer"),
                (Action::Filter, "filter"),
            ]);
        } else {
            keys.extend([(Action::Filter, "search"), (Action::NextMatch, "next match")]);
        }
        keys.extend([
            (Action::Check, "check now"),
            (Action::GoTo, "go to"),
            (Action::Raw, "raw"),
            (Action::Copy, "copy"),
        ]);
        keys
    }

    fn target(&self, _ctx: &Context) -> Target {
        let attempt = if self.tab == Tab::Tasks { self.list.target() } else { None };
        Target { agent: Some(self.key), attempt, problem: None, trace: None }
    }

    fn unmark(&mut self) {
        self.list.state.marks.clear();
    }

    fn marked(&self, _ctx: &Context) -> Vec<AttemptKey> {
        if self.tab == Tab::Tasks { self.list.state.marks.iter().copied().collect() } else { Vec::new() }
    }

    fn in_text(&self) -> bool {
        self.tab != Tab::Tasks
    }

    fn click(&mut self, _ctx: &Context, area: Rect, x: u16, y: u16) -> bool {
        let inner = inside(area);
        if y == inner.y {
            let mut left = inner.x + 1;
            for tab in Tab::ALL {
                let width = u16::try_from(tab.word().len()).unwrap_or(0) + 2;
                if (left..left + width).contains(&x) {
                    self.tab = tab;
                    self.text = TextState::default();
                }
                left += width + 1;
            }
            return false;
        }
        let pane = Self::pane(area);
        self.list_mut().is_some_and(|list| list.click(pane, y))
    }

    fn list(&self) -> Option<&dyn List> {
        (self.tab == Tab::Tasks).then_some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        (self.tab == Tab::Tasks).then_some(&mut self.list)
    }

    fn searched(&self) -> String {
        let searched = || self.text.search.clone();
        self.list().map_or_else(searched, |list| list.settings().filter.text().to_owned())
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        if let Some(list) = self.list_mut() {
            list.settings_mut().filter = Filter::parse(text);
            return None;
        }
        let pane = Self::text_pane(area);
        let lines = crate::tui::views::frame::with_scratch(ctx, |canvas| {
            self.text_lines(canvas, ctx, usize::from(pane.width))
        });
        Some(self.text.look_for(text, &lines, usize::from(pane.height)))
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let seq = self.agent(ctx).map_or(0, |agent| agent.seq);
        let facts = FactCache::query("facts", Owner::Agent(self.id), seq, AGENT_FACTS);
        if self.tab == Tab::History { vec![facts] } else { Vec::new() }
    }

    fn on_answer(&mut self, ask: &Ask, answer: Answer) {
        self.facts.take(ask, answer);
    }

    fn facts(&self, owner: Owner) -> Option<&[JournalEntry]> {
        self.facts.of(owner)
    }

    fn index(&mut self) -> Option<Work> {
        let order = self.list.work()?;
        Some(Work { source: self.list.source.clone(), order })
    }

    fn indexed(&mut self, order: &Order, rev: u64, rows: &mut Sorted<AttemptKey>) {
        self.list.built(order, rev, rows);
    }
}
