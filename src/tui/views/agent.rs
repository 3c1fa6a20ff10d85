//! One agent: its card readable and raw, skills, tasks, and what happened.

use ratatui::layout::Rect;

use super::facts;
use super::listing::{List, Listing, Order};
use super::tasks::{TaskRows, Work, empty, list_facts};
use super::{Screen, Target, View, Wants, about, inside};
use crate::domain::agent::Agent;
use crate::domain::id::{AgentId, AgentKey, AttemptKey};
use crate::tui::actions::Action;
use crate::tui::model::{Shared, Step};
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Joint, Span, span};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::sorted::Sorted;
use crate::tui::widgets::text::{self, TextState};

/// What is shown of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tab {
    Card,
    Skills,
    Tasks,
    Happened,
    Raw,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Card, Self::Skills, Self::Tasks, Self::Happened, Self::Raw];

    fn word(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Skills => "skills",
            Self::Tasks => "tasks",
            Self::Happened => "what happened",
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
    /// The card as text, for the card that it was made from.
    raw: (u64, Vec<Vec<Span>>),
    seen: Option<(u64, crate::domain::agent::Counts)>,
    seen_history: usize,
}

impl AgentView {
    /// The page of an agent.
    pub fn new(key: AgentKey, id: AgentId) -> Self {
        let rows = TaskRows { agent: Some(key), ..TaskRows::default() };
        Self {
            key,
            id,
            tab: Tab::Card,
            list: Listing::new(rows, 'E'),
            text: TextState::default(),
            raw: (0, Vec::new()),
            seen: None,
            seen_history: 0,
        }
    }

    /// The same with its raw card open.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.tab = Tab::Raw;
        self
    }

    /// The same with what happened to it open.
    #[must_use]
    pub fn happened_there(mut self) -> Self {
        self.tab = Tab::Happened;
        self
    }

    fn agent<'s>(&self, shared: &'s Shared) -> Option<&'s Agent> {
        shared.snapshot.agents.get(self.key).filter(|agent| agent.id == self.id)
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

    fn text_lines(&self, canvas: &Canvas<'_>, shared: &Shared, width: usize) -> Vec<Vec<Span>> {
        let Some(agent) = self.agent(shared) else { return Vec::new() };
        match self.tab {
            Tab::Card => about::card(canvas, shared, agent, width),
            Tab::Skills => about::skills(shared, agent, width),
            Tab::Raw => self.raw.1.clone(),
            Tab::Happened => self.happened(canvas, shared),
            Tab::Tasks => Vec::new(),
        }
    }

    fn happened(&self, canvas: &Canvas<'_>, shared: &Shared) -> Vec<Vec<Span>> {
        let facts = match &shared.history {
            Some((key, facts)) if *key == self.key => facts,
            _ => return vec![vec![span("reading", Role::Doubt)]],
        };
        let line = |fact: &crate::domain::fact::JournalEntry| {
            let mut line = vec![
                span(format!("{:<19}", shared.clocks.second(fact.at, shared.now)), Role::Quiet),
                span(format!("{:>5}   ", canvas.coarse_age(fact.at)), Role::Quiet),
            ];
            line.extend(
                fact.fact.of_agent().map(|of| facts::of_agent(of, &fact.actor_name())).unwrap_or_default(),
            );
            line
        };
        let mut lines = about::uptime(shared, facts);
        lines.extend(facts.iter().rev().map(line));
        lines
    }
}

impl Screen for AgentView {
    fn word(&self) -> &'static str {
        "agent"
    }

    fn settle(&mut self, shared: &Shared, area: Rect) -> bool {
        let Some(agent) = self.agent(shared) else { return self.seen.take().is_some() };
        let now = Some((agent.seq, agent.counts));
        let digest = agent.card.as_ref().map_or(0, |card| card.digest);
        let card = agent.card.clone();
        let mut visible = self.seen != now;
        self.seen = now;
        if self.raw.0 != digest || self.raw.1.is_empty() {
            let raw = card.as_ref().and_then(|card| card.raw.as_ref());
            let lines = match (raw, &card) {
                (Some(raw), _) => super::raw::pretty(raw),
                (None, Some(_)) => {
                    vec![vec![span("The card is larger than 64 kB; its raw text is not kept.", Role::Doubt)]]
                }
                (None, None) => {
                    vec![vec![span(about::never_read(shared), Role::Doubt)]]
                }
            };
            self.raw = (digest, lines);
        }
        let history =
            shared.history.as_ref().filter(|(key, _)| *key == self.key).map_or(0, |(_, facts)| facts.len());
        visible |= self.seen_history != history && self.tab == Tab::Happened;
        self.seen_history = history;
        if self.tab == Tab::Tasks {
            visible |=
                self.list.settle(&shared.snapshot, usize::from(Self::pane(area).height.saturating_sub(1)));
        }
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let Some(agent) = self.agent(shared) else {
            canvas.rule(area, area.y, Joint::Top, &[span("agent", Role::Title)], &[]);
            return empty(
                canvas,
                shared,
                inside(area),
                false,
                &["This agent is not known any more.", &format!("{} goes back.", shared.key(Action::Back))],
            );
        };
        let told = states::agent(agent, shared.glyphs());
        let title = [span(format!("fleet › {}", agent.name.line()), Role::Title)];
        let mut facts = vec![span(format!("{} {}", told.mark, told.word), told.role)];
        if self.tab == Tab::Tasks {
            facts = list_facts(&self.list, shared, format!("{} {}", told.mark, told.word));
        }
        canvas.rule(area, area.y, Joint::Top, &title, &facts);
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
                let filtered = !self.list.state.look.filter.is_empty() || self.list.state.look.faults;
                empty(
                    canvas,
                    shared,
                    pane,
                    filtered,
                    &[
                        "No tasks of this agent are known.",
                        &format!("{} sends one.", shared.key(Action::New)),
                    ],
                );
            } else {
                self.list.draw(canvas, pane, shared);
            }
            return;
        }
        let pane = Self::text_pane(area);
        let lines = self.text_lines(canvas, shared, usize::from(pane.width));
        text::draw(canvas, pane, &lines, &self.text);
    }

    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>> {
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
                    let view = self.list.target().and_then(|key| View::attempt(shared, key));
                    Some(view.map(|view| Step::Open(Box::new(view))).into_iter().collect())
                }
                Action::Back => self.list.clear_one().then(Vec::new),
                _ => None,
            };
        }
        let pane = Self::text_pane(area);
        let lines = super::tasks::with_scratch(shared, |canvas| {
            self.text_lines(canvas, shared, usize::from(pane.width))
        });
        self.text.act(action, &lines, usize::from(pane.height)).then(Vec::new)
    }

    fn keys(&self, _shared: &Shared) -> Vec<(Action, &'static str)> {
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

    fn target(&self, _shared: &Shared) -> Target {
        let attempt = if self.tab == Tab::Tasks { self.list.target() } else { None };
        Target { agent: Some(self.key), attempt, problem: None }
    }

    fn unmark(&mut self) {
        self.list.state.marks.clear();
    }

    fn marked(&self, _shared: &Shared) -> Vec<AttemptKey> {
        if self.tab == Tab::Tasks { self.list.state.marks.iter().copied().collect() } else { Vec::new() }
    }

    fn in_text(&self) -> bool {
        self.tab != Tab::Tasks
    }

    fn click(&mut self, _shared: &Shared, area: Rect, x: u16, y: u16) -> bool {
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

    fn searched(&self) -> Option<String> {
        let searched = || self.text.search.clone();
        Some(self.list().map_or_else(searched, |list| list.look().filter.text().to_owned()))
    }

    fn search(&mut self, text: &str, shared: &Shared, area: Rect) {
        if let Some(list) = self.list_mut() {
            list.look_mut().filter = Filter::parse(text);
            return;
        }
        let pane = Self::text_pane(area);
        let lines = super::tasks::with_scratch(shared, |canvas| {
            self.text_lines(canvas, shared, usize::from(pane.width))
        });
        self.text.look_for(text, &lines, usize::from(pane.height));
    }

    fn wants(&self, shared: &Shared) -> Wants {
        let seq = self.agent(shared).map_or(0, |agent| agent.seq);
        Wants { history: (self.tab == Tab::Happened).then_some((self.key, seq)), ..Wants::default() }
    }

    fn index(&mut self) -> Option<Work> {
        let order = self.list.work()?;
        Some(Work { source: self.list.source.clone(), order })
    }

    fn indexed(&mut self, order: &Order, rev: u64, rows: &mut Sorted<AttemptKey>) {
        self.list.built(order, rev, rows);
    }
}
