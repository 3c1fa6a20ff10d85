//! The problems of the fleet: a list, and the details, the evidence and the log of the one under the cursor.

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::id::{AttemptKey, ProblemKey};
use crate::domain::problem::diagnosis;
use crate::domain::problem::{Kind, Problem, Subject};
use crate::domain::time::At;
use crate::engine::Answer;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::fact_cache::{AGENT_FACTS, FLEET_FACTS, FactCache};
use crate::tui::queries::{Ask, Subscription};
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside, with_scratch};
use crate::tui::views::listing::{List, Listing, shows_list};
use crate::tui::views::problem;
use crate::tui::views::problem::{Item, Known};
use crate::tui::views::problem_rows::{ProblemColumn, ProblemRows, agent_name, headline};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span, width};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// The shortest time between two counts over many tasks.
const ANEW: Duration = Duration::from_secs(1);
/// From this width on, evidence and log are shown side by side.
const WIDE: u16 = 100;

/// Cells of the time in a log.
const AFTER_TIME: usize = 10;

/// A part of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pane {
    List,
    About,
    Evidence,
    Log,
}

impl Pane {
    const ALL: [Self; 4] = [Self::List, Self::About, Self::Evidence, Self::Log];
}

/// Where the parts are.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    list: Rect,
    /// With its title line.
    about: Option<Rect>,
    evidence: Option<Rect>,
    log: Option<Rect>,
}

/// The log of a problem, and the facts that it was made from.
type ProblemLog = (ProblemKey, (u64, u64), Vec<Vec<Span>>);

/// The view.
#[derive(Debug)]
pub struct ProblemsView {
    list: Listing<ProblemRows>,
    pane: Pane,
    about: TextState,
    /// The line under the cursor in the evidence.
    item: usize,
    log: TextState,
    /// The analysis of the selected problem.
    known: Option<Known>,
    /// The log, with the inputs it was built from.
    log_lines: Option<ProblemLog>,
    /// Facts of the whole fleet.
    fleet_facts: FactCache,
    agent_facts: FactCache,
    /// Facts of the selected problem's agent so far.
    seq: u64,
    /// The publication and the time that were counted last.
    counted: Option<(u64, At)>,
}

impl ProblemsView {
    /// Open problems, worst first.
    pub fn new() -> Self {
        Self {
            list: Listing::new(ProblemRows::default(), ProblemColumn::State),
            pane: Pane::List,
            about: TextState::default(),
            item: 0,
            log: TextState::following(),
            known: None,
            log_lines: None,
            fleet_facts: FactCache::default(),
            agent_facts: FactCache::default(),
            seq: 0,
            counted: None,
        }
    }

    /// The same with the cursor on one.
    #[must_use]
    pub fn at(mut self, key: ProblemKey) -> Self {
        self.list.state.selected = Some(key);
        self
    }

    fn selected<'s>(&self, ctx: &'s Context) -> Option<(ProblemKey, &'s Problem)> {
        let key = self.list.target()?;
        Some((key, ctx.snapshot.problems.get(key)?))
    }

    fn parts(&self, area: Rect) -> Parts {
        let inner = inside(area);
        let alone = Parts { list: inner, ..Parts::default() };
        if !self.list.state.details || inner.height < 14 || self.list.rows.is_empty() {
            return alone;
        }
        let below = (inner.height * 2 / 3).clamp(8, 40);
        let list = Rect { height: inner.height - below, ..inner };
        let whole = Rect { x: area.x, width: area.width, y: list.bottom(), height: below };
        // Panes that do not fit side by side are shown one at a time, under `tab`.
        let lower = if below < 14 { 0 } else { (below * 2 / 5).max(5) };
        let about = Rect { height: below - lower, ..whole };
        let rest = Rect { y: about.bottom(), height: lower, ..whole };
        // Evidence is a list, and gets what its lines need; the log can be wrapped.
        let shown = self.known.as_ref().map_or(&[][..], |known| &known.shown);
        let needs = shown.iter().map(|line| width(line).saturating_add(5)).max().unwrap_or(0);
        let needs = needs.saturating_add(7) / 8 * 8;
        let half = Rect { width: needs.clamp(area.width / 3, area.width * 3 / 5), ..rest };
        let other = Rect { x: half.right(), width: area.width - half.width, ..rest };
        let one = |pane: Pane| (self.pane == pane).then_some(if lower == 0 { whole } else { rest });
        let (about, evidence, log) = match (lower, area.width >= WIDE) {
            (0, _) => {
                let first = matches!(self.pane, Pane::List | Pane::About);
                (first.then_some(whole), one(Pane::Evidence), one(Pane::Log))
            }
            (_, true) => (Some(about), Some(half), Some(other)),
            (_, false) => {
                let log = (self.pane != Pane::Evidence).then_some(rest);
                (Some(about), one(Pane::Evidence), log)
            }
        };
        Parts { list, about, evidence, log }
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).list.height.saturating_sub(1))
    }

    fn items(&self) -> &[Item] {
        self.known.as_ref().map_or(&[], |known| &known.evidence)
    }

    fn about_lines(&self, canvas: &Canvas<'_>, ctx: &Context, width: usize) -> Vec<Vec<Span>> {
        let (Some((key, problem)), Some(known)) = (self.selected(ctx), &self.known) else {
            return Vec::new();
        };
        if known.key != key {
            return Vec::new();
        }
        let headline = headline(&ctx.snapshot, problem);
        problem::explain(canvas, ctx, problem, known, &headline, width)
    }

    fn log_lines(&self, width: usize) -> Vec<Vec<Span>> {
        match (&self.log_lines, self.list.target()) {
            (Some((of, _, lines)), Some(key)) if *of == key => text::wrap_spans(lines, width, AFTER_TIME),
            _ if self.fleet_facts.of(Owner::Fleet).is_none() => vec![vec![span("reading", Role::Doubt)]],
            _ => Vec::new(),
        }
    }

    /// Updates outdated counts and data; true if the display changes.
    fn find_out(&mut self, ctx: &Context) -> bool {
        let now = (ctx.snapshot.rev, ctx.now);
        let selected = self.selected(ctx);
        let other = self.known.as_ref().map(|known| known.key) != selected.map(|(key, _)| key);
        let old = self.counted.is_none_or(|(rev, at)| {
            // A held screen is not older than what it shows.
            rev != now.0 && ctx.now.since(at) >= ANEW
        });
        let mut news = false;
        if old || other {
            if other {
                (self.about, self.item, self.log) = (TextState::default(), 0, TextState::following());
            }
            if old {
                let impacts = diagnosis::impacts(&ctx.snapshot, ctx.snapshot.problems.iter());
                news |= impacts != *self.list.source.impacts;
                self.list.source.impacts = Arc::new(impacts);
                self.counted = Some(now);
            }
            let known = self.selected(ctx).map(|(key, problem)| Known::of(ctx, &ctx.clocks, key, problem));
            news |= known != self.known;
            self.known = known;
        }
        let Some((key, problem)) = self.selected(ctx) else { return news };
        let own = problem.agent.and_then(|key| ctx.snapshot.agents.get(key)).map_or(0, |agent| agent.seq);
        let made_from = (self.fleet_facts.reads(), self.agent_facts.reads());
        news |= self.seq != own;
        self.seq = own;
        if self.log_lines.as_ref().is_none_or(|(of, from, _)| *of != key || *from != made_from) {
            let lines = problem::log(ctx, &ctx.clocks, problem, |owner| self.facts(owner));
            news |= self.log_lines.is_some() || lines.is_some();
            self.log_lines = lines.map(|lines| (key, made_from, lines));
        }
        news
    }

    /// Moves in the pane that has the focus; none if the list has it, or if it means something else.
    fn in_pane(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let parts = self.parts(area);
        let size = |pane: Option<Rect>| {
            pane.map_or((0, 0), |pane| {
                (usize::from(pane.width.saturating_sub(4)), usize::from(pane.height.saturating_sub(1)))
            })
        };
        match self.pane {
            Pane::List => None,
            Pane::About => {
                let (width, height) = size(parts.about);
                let lines = with_scratch(ctx, |canvas| self.about_lines(canvas, ctx, width));
                self.about.act(action, &lines, height).then(Vec::new)
            }
            Pane::Log => {
                let (width, height) = size(parts.log);
                self.log.act(action, &self.log_lines(width), height).then(Vec::new)
            }
            Pane::Evidence => {
                let last = self.items().len().saturating_sub(1);
                let half = (size(parts.evidence).1 / 2).max(1);
                self.item = match action {
                    Action::Down => (self.item + 1).min(last),
                    Action::Up => self.item.saturating_sub(1),
                    Action::HalfDown => (self.item + half).min(last),
                    Action::HalfUp => self.item.saturating_sub(half),
                    Action::First => 0,
                    Action::Last => last,
                    _ => return None,
                };
                Some(Vec::new())
            }
        }
    }

    /// The destination of `enter`.
    fn opened(&self, ctx: &Context) -> Option<Destination> {
        if self.pane == Pane::Evidence {
            return match *self.items().get(self.item)? {
                Item::Attempt(key) => Destination::attempt(ctx, key),
                Item::Agent(key) => Destination::agent(ctx, key),
                Item::Card(key) => {
                    let id = ctx.snapshot.agents.get(key)?.id;
                    Some(Destination::AgentHistory(key, id))
                }
                Item::Wire(key) => Some(Destination::Wire(Some(key))),
            };
        }
        let (_, problem) = self.selected(ctx)?;
        match problem.subject {
            Subject::Agent(_) if problem::is_of_tasks(problem) => {
                let hit = diagnosis::evidence(&ctx.snapshot, problem, 2);
                match (hit.as_slice(), agent_name(&ctx.snapshot, problem)) {
                    ([one], _) => Destination::attempt(ctx, *one),
                    (_, Some(agent)) => Some(Destination::Tasks(format!("agent={agent}"))),
                    _ => None,
                }
            }
            Subject::Agent(key) | Subject::Host(key) => Destination::agent(ctx, key),
            Subject::Source(key) => Some(Destination::Source(key)),
            Subject::Objective(_) => Some(Destination::MetricsBy(crate::domain::metrics::Dimension::Skill)),
            Subject::Console => Some(Destination::Messages),
        }
    }

    fn draw_parts(&self, canvas: &mut Canvas<'_>, parts: &Parts, ctx: &Context, problem: &Problem) {
        let title = |pane: Pane, words: String| {
            [span(words, if self.pane == pane { Role::Accent } else { Role::Title })]
        };
        let inner = |pane: Rect| Rect {
            x: pane.x + 2,
            y: pane.y + 1,
            width: pane.width.saturating_sub(4),
            height: pane.height.saturating_sub(1),
        };
        if let Some(pane) = parts.about {
            let name = title(Pane::About, format!("p-{} {}", problem.number, problem.kind.as_str()));
            let facts = [span(format!("began {}", canvas.since(problem.since)), Role::Quiet)];
            canvas.rule(pane, pane.y, Edge::Middle, &name, &facts);
            let area = inner(pane);
            let lines = self.about_lines(canvas, ctx, usize::from(area.width));
            text::draw(canvas, area, &lines, &self.about);
        }
        if let (Some(evidence), Some(log)) = (parts.evidence, parts.log) {
            // Side by side: one line over both, and one between them.
            let both = Rect { width: evidence.width + log.width, ..evidence };
            canvas.rule(both, both.y, Edge::Middle, &[], &[]);
            canvas.divider(log.x, both.y, both.bottom());
        }
        if let Some(pane) = parts.evidence {
            let count = self.items().len();
            let name = title(Pane::Evidence, "evidence".into());
            let facts = [span(format!("{count}"), Role::Quiet)];
            head(canvas, pane, parts.log.is_some(), &name, &facts);
            let area = inner(pane);
            let first = self.item.saturating_sub(usize::from(area.height).saturating_sub(1));
            let shown = self.known.as_ref().map_or(&[][..], |known| &known.shown);
            for (row, (at, line)) in (0..area.height).zip(shown.iter().enumerate().skip(first)) {
                let y = area.y + row;
                canvas.put_spans(area.x, y, &problem::fitted(line, area.width), area.width);
                if self.pane == Pane::Evidence && at == self.item {
                    canvas.put(area.x - 1, y, ctx.glyphs().cursor, Role::Accent, 1);
                }
            }
            if count == 0 {
                canvas.put(area.x, area.y, "nothing to open", Role::Doubt, area.width);
            }
        }
        if let Some(pane) = parts.log {
            let name = title(Pane::Log, "log of this problem".into());
            let facts = [span(problem::clears(problem), Role::Quiet)];
            head(canvas, pane, parts.evidence.is_some(), &name, &facts);
            let area = inner(pane);
            text::draw(canvas, area, &self.log_lines(usize::from(area.width)), &self.log);
        }
    }
}

/// The title line of a lower pane: the whole line, or its part of one that two share.
fn head(canvas: &mut Canvas<'_>, pane: Rect, shares: bool, title: &[Span], facts: &[Span]) {
    if !shares {
        return canvas.rule(pane, pane.y, Edge::Middle, title, facts);
    }
    let room = pane.width.saturating_sub(5);
    let used = width(title);
    canvas.put(pane.x + 1, pane.y, " ", Role::Plain, 1);
    canvas.put_spans(pane.x + 2, pane.y, title, room);
    canvas.put(pane.x + 2 + used.min(room), pane.y, " ", Role::Plain, 1);
    let most = room.saturating_sub(used + 3);
    let text = facts.first().map(|fact| crate::domain::text::fit(&fact.text, usize::from(most)));
    if let Some(text) = text.filter(|_| most >= 12) {
        let text = format!(" {text} ");
        canvas.put_right(pane.right().saturating_sub(2), pane.y, &text, Role::Quiet, most + 2);
    }
}

impl Default for ProblemsView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for ProblemsView {
    fn word(&self) -> &'static str {
        "problems"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let lines = self.lines(area);
        let visible = self.list.refresh(&ctx.snapshot, lines);
        self.find_out(ctx) || visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let over = ctx.snapshot.problems.len() - ctx.snapshot.open_problems().count();
        let over = if over > 0 { format!(" · {over} cleared lately") } else { String::new() };
        let first = format!("{}{over}", ctx.snapshot.problem_counts().words());
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &self.list.facts(ctx, area, first));
        let parts = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty() || self.list.state.settings.faults;
            return empty(
                canvas,
                ctx,
                parts.list,
                filtered,
                &[
                    "No problems are known.",
                    "Problems of agents, tasks or this console appear here automatically, with the next step.",
                ],
            );
        }
        self.list.draw(canvas, parts.list, ctx);
        if let Some((_, problem)) = self.selected(ctx) {
            self.draw_parts(canvas, &parts, ctx, problem);
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if matches!(action, Action::NextPane | Action::PrevPane) {
            if self.parts(area).about.is_none() && self.parts(area).log.is_none() && self.pane == Pane::List {
                return Some(Vec::new());
            }
            let at = Pane::ALL.iter().position(|pane| *pane == self.pane).unwrap_or(0);
            let by = if action == Action::NextPane { 1 } else { Pane::ALL.len() - 1 };
            self.pane = Pane::ALL[(at + by) % Pane::ALL.len()];
            return Some(Vec::new());
        }
        if let Some(steps) = self.in_pane(action, ctx, area) {
            return Some(steps);
        }
        if action == Action::Back && self.pane != Pane::List {
            self.pane = Pane::List;
            return Some(Vec::new());
        }
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                Some(self.opened(ctx).map(|page| Step::Open(Box::new(page))).into_iter().collect())
            }
            _ => None,
        }
    }

    fn keys(&self, ctx: &Context) -> Vec<(Action, &'static str)> {
        let opens = if self.pane == Pane::Evidence { "open it" } else { "what it is about" };
        let mut keys = vec![(Action::Open, opens), (Action::Answer, "take it"), (Action::Mute, "mute")];
        if let Some((_, problem)) = self.selected(ctx) {
            match problem.kind {
                Kind::SendUncertain => keys.push((Action::Again, "again, or lost")),
                Kind::TaskSilent
                | Kind::TaskStalled
                | Kind::TaskStuck
                | Kind::TaskLooping
                | Kind::StreamSilent
                | Kind::CancelIgnored => keys.push((Action::Cancel, "cancel")),
                Kind::TaskLost => keys.push((Action::EditCopy, "send a copy")),
                Kind::AgentFailing | Kind::SkillFailing | Kind::BreakerOpen => {
                    keys.push((Action::Service, "in/out of service"));
                    keys.push((Action::Again, "again, or elsewhere"));
                }
                Kind::ShiftBack => keys.push((Action::Service, "the shift")),
                Kind::AgentDown | Kind::AgentFrozen => keys.push((Action::Again, "elsewhere")),
                _ => {}
            }
        }
        let pane = match self.pane {
            Pane::List => "what it means",
            Pane::About => "evidence",
            Pane::Evidence => "log",
            Pane::Log => "list",
        };
        keys.extend([
            (Action::NextPane, pane),
            (Action::Note, "note"),
            (Action::Save, "report"),
            (Action::Check, "check now"),
            (Action::GoTo, "go to"),
            (Action::Filter, "filter"),
            (Action::Faults, "open only"),
            (Action::Copy, "copy"),
        ]);
        keys
    }

    fn target(&self, ctx: &Context) -> Target {
        let Some((key, problem)) = self.selected(ctx) else { return Target::default() };
        if let (Pane::Evidence, Some(Item::Attempt(attempt))) = (self.pane, self.items().get(self.item)) {
            return Target { agent: problem.agent, attempt: Some(*attempt), problem: Some(key), trace: None };
        }
        let attempt = if problem::is_of_tasks(problem) {
            diagnosis::evidence(&ctx.snapshot, problem, 1).first().copied()
        } else {
            None
        };
        Target { agent: problem.agent, attempt, problem: Some(key), trace: None }
    }

    fn marked(&self, ctx: &Context) -> Vec<AttemptKey> {
        let Some((_, problem)) = self.selected(ctx) else { return Vec::new() };
        if problem::is_of_tasks(problem) && self.pane != Pane::Evidence {
            diagnosis::evidence(&ctx.snapshot, problem, usize::MAX)
        } else {
            Vec::new()
        }
    }

    fn in_text(&self) -> bool {
        matches!(self.pane, Pane::About | Pane::Log)
    }

    fn click(&mut self, ctx: &Context, area: Rect, x: u16, y: u16) -> bool {
        let parts = self.parts(area);
        let within = |pane: Option<Rect>| pane.is_some_and(|pane| pane.contains((x, y).into()));
        let _ = ctx;
        if within(parts.evidence) {
            self.pane = Pane::Evidence;
        } else if within(parts.log) {
            self.pane = Pane::Log;
        } else if within(parts.about) {
            self.pane = Pane::About;
        } else {
            self.pane = Pane::List;
            return self.list.click(parts.list, y);
        }
        false
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).list
    }

    fn searched(&self) -> String {
        match self.pane {
            Pane::About => self.about.search.clone(),
            Pane::Log => self.log.search.clone(),
            Pane::List | Pane::Evidence => self.list.state.settings.filter.text().to_owned(),
        }
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        let parts = self.parts(area);
        let height = |pane: Option<Rect>| pane.map_or(0, |pane| usize::from(pane.height.saturating_sub(1)));
        match self.pane {
            Pane::About => {
                let wide = parts.about.map_or(0, |pane| usize::from(pane.width.saturating_sub(4)));
                let lines = with_scratch(ctx, |canvas| self.about_lines(canvas, ctx, wide));
                Some(self.about.look_for(text, &lines, height(parts.about)))
            }
            Pane::Log => {
                let wide = parts.log.map_or(0, |pane| usize::from(pane.width.saturating_sub(4)));
                Some(self.log.look_for(text, &self.log_lines(wide), height(parts.log)))
            }
            Pane::List | Pane::Evidence => {
                self.list.state.settings.filter = Filter::parse(text);
                None
            }
        }
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let Some((_, problem)) = self.selected(ctx) else { return Vec::new() };
        let fleet = FactCache::query("fleet facts", Owner::Fleet, ctx.snapshot.fleet_seq, FLEET_FACTS);
        let agent = problem.agent.and_then(|key| ctx.snapshot.agents.get(key));
        let agent = agent
            .map(|agent| FactCache::query("agent facts", Owner::Agent(agent.id), agent.seq, AGENT_FACTS));
        std::iter::once(fleet).chain(agent).collect()
    }

    fn on_answer(&mut self, ask: &Ask, answer: Answer) {
        let cache = if ask.name == "fleet facts" { &mut self.fleet_facts } else { &mut self.agent_facts };
        cache.take(ask, answer);
    }

    fn facts(&self, owner: Owner) -> Option<&[JournalEntry]> {
        self.fleet_facts.of(owner).or_else(|| self.agent_facts.of(owner))
    }
}
