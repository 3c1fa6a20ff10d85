//! Now, the first screen: the impact on callers, the problems, what changed before them, what the failed tasks have in
//! common, the next step, the agents over time, and the live tasks.

mod draw;
mod fields;
mod impact;
mod lead;
mod next;

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::fleet::changes::Change;
use crate::domain::id::{AgentKey, AttemptKey, JobId, ProblemKey};
use crate::domain::metrics::{Dimension, DimensionValue, Minute};
use crate::domain::problem::Problem;
use crate::domain::problem::diagnosis;
use crate::domain::problem::shared_attributes::Comparison;
use crate::domain::time::At;
use crate::engine::Answer;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::fact_cache::{FLEET_FACTS, FactCache};
use crate::tui::metrics::{Groups, Split};
use crate::tui::queries::{Ask, Subscription};
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::views::changes;
use crate::tui::views::listing::{LARGE, List, Listing};
use crate::tui::views::measured::MeasuredGroups;
use crate::tui::views::now::fields::FieldCache;
use crate::tui::views::now::impact::GroupRisk;
pub use crate::tui::views::now::impact::{ImpactColumn, ImpactRows};
use crate::tui::views::now::next::NextStep;
use crate::tui::views::problem_rows::{ProblemColumn, ProblemRows};
use crate::tui::views::pulse::{PulseColumn, PulseRows};
use crate::tui::views::task_rows::{TaskColumn, TaskRows};

/// The interval between two reads while the view is shown.
const EVERY: Duration = Duration::from_secs(5);
/// Jobs whose messages are read at most, to compare their fields.
const READ: usize = 400;

/// Where the cursor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pane {
    Impact,
    Problems,
    Changes,
    Comparison,
    Agents,
    Live,
}

impl Pane {
    const ALL: [Self; 6] =
        [Self::Impact, Self::Problems, Self::Changes, Self::Comparison, Self::Agents, Self::Live];
}

/// The panes about the selected row, rebuilt when their inputs change.
#[derive(Debug, Default)]
struct DetailPanes {
    began: At,
    changes: Vec<Change>,
    common: Comparison,
    errors: Vec<(String, u32)>,
    /// Tasks of the row, or of all, that were refused and lost.
    refused: u32,
    lost: u32,
    /// The probable cause with its certainty.
    cause: Option<String>,
    /// Jobs whose messages are compared.
    jobs: Arc<[JobId]>,
}

/// The inputs of [`DetailPanes`]: counts of the metrics, the row, the problem, and the numbers of facts and fields read.
type DetailInputs = ((u64, u64, u64), Option<DimensionValue>, Option<ProblemKey>, u64, usize);

/// The view.
#[derive(Debug)]
pub struct NowView {
    groups: Groups,
    impact: Listing<ImpactRows>,
    problems: Listing<ProblemRows>,
    agents: Groups,
    pulse: Listing<PulseRows>,
    live: Listing<TaskRows>,
    lead: DetailPanes,
    next: NextStep,
    /// The inputs that `lead` was built from.
    of: Option<DetailInputs>,
    /// Facts of the whole fleet.
    facts: FactCache,
    /// Fields of the compared jobs' first messages.
    fields: FieldCache,
    pane: Pane,
    change: usize,
    /// The selected row among the shared attributes.
    alike: usize,
    /// The row and the problem that the panes spoke of when a key was pressed last.
    stuck: Option<(Option<DimensionValue>, ProblemKey)>,
}

impl NowView {
    /// By rule, else by skill, the worst first.
    pub fn new() -> Self {
        let newest = u32::try_from(LARGE).ok();
        let mut problems = Listing::new(ProblemRows::default(), ProblemColumn::State);
        // Only the view of problems shows cleared or muted problems.
        problems.state.settings.faults = true;
        Self {
            groups: Groups::new(Dimension::Rule),
            impact: Listing::new(ImpactRows::default(), ImpactColumn::Ok),
            problems,
            agents: Groups::new(Dimension::Agent),
            pulse: Listing::new(PulseRows::default(), PulseColumn::Heat),
            live: Listing::new(TaskRows { newest, ..TaskRows::default() }, TaskColumn::State),
            lead: DetailPanes::default(),
            next: NextStep::default(),
            of: None,
            facts: FactCache::default(),
            fields: FieldCache::default(),
            pane: Pane::Impact,
            change: 0,
            alike: 0,
            stuck: None,
        }
    }

    /// The dimension of the rows.
    fn by(&self) -> Dimension {
        match *self.groups.by() {
            Split::Series(by) => by,
            Split::Fleet(_) => Dimension::Rule,
        }
    }

    /// The row that the panes below are about.
    fn selected(&self) -> Option<u32> {
        self.impact.target()
    }

    /// The skill or caller of that row.
    fn value_of(&self) -> Option<DimensionValue> {
        self.selected().and_then(|key| self.groups.value_of(key))
    }

    /// True if something is unusual about the selected row.
    fn speaks_for_itself(&self) -> bool {
        let of = &self.impact.source;
        self.selected().is_some_and(|key| {
            of.groups.get(key).is_some_and(|group| {
                group.total.bad() > 0 || impact::is_unusual(group, of.risk(key), of.step)
            })
        })
    }

    /// The problem of the panes: the one under the cursor, else the worst that affects the selected skill or caller. If
    /// nobody has moved to a row, and nothing is unusual about the first, the worst of all. One that was shown when a key
    /// was pressed stays until the cursor moves, so that no key means a problem that came in just before.
    fn problem<'s>(&self, ctx: &'s Context) -> Option<(ProblemKey, &'s Problem)> {
        let is_open = |key: &ProblemKey| self.problems.rows.contains(*key);
        let stuck =
            self.stuck.as_ref().filter(|(who, _)| self.pane != Pane::Problems && *who == self.value_of());
        if let Some(key) = stuck.map(|(_, key)| *key).filter(is_open) {
            return Some((key, ctx.snapshot.problems.get(key)?));
        }
        let hits_it = match self.value_of().filter(|_| self.pane != Pane::Problems) {
            Some(who) => self.problems.rows.iter().find(|key| self.is_hit(*key, &who)),
            None => None,
        };
        let gone_to = self.pane != Pane::Problems && (self.impact.state.moved || self.speaks_for_itself());
        let key = hits_it.or_else(|| self.problems.target().filter(|_| !gone_to))?;
        Some((key, ctx.snapshot.problems.get(key)?))
    }

    /// True if a problem hits this rule, skill or caller.
    fn is_hit(&self, problem: ProblemKey, who: &DimensionValue) -> bool {
        let Some(impact) = self.problems.source.impacts.get(&problem) else { return false };
        let (counts, name) = match who {
            DimensionValue::Rule(name) => (&impact.rules, name),
            DimensionValue::Named(Some(name)) if self.by() == Dimension::Caller => (&impact.callers, name),
            DimensionValue::Named(Some(name)) => (&impact.skills, name),
            DimensionValue::Named(None) | DimensionValue::Agent(_) => return false,
        };
        counts.iter().any(|(hit, _)| hit == name)
    }

    /// What the rows are, in words.
    fn by_words(&self) -> &'static str {
        match (self.by(), self.groups.has_rules()) {
            (Dimension::Rule, (true, true)) => "rule or skill",
            (Dimension::Rule, (false, _)) => Dimension::Skill.word(),
            (by, _) => by.word(),
        }
    }

    /// Takes new metrics; true if there were any.
    fn refresh_metrics(&mut self, ctx: &Context) -> bool {
        let mut visible = false;
        if self.groups.refresh(ctx) {
            let risk = impact::risk(&ctx.snapshot, self.by());
            for who in risk.keys() {
                self.groups.add(ctx, who);
            }
            let groups = MeasuredGroups::new(self.groups.all());
            let risk: Vec<GroupRisk> = groups
                .keys()
                .map(|key| {
                    self.groups.value_of(key).and_then(|who| risk.get(&who)).copied().unwrap_or_default()
                })
                .collect();
            let step = ctx.window.parts(ctx.now).step;
            self.impact.source = ImpactRows { groups, risk: Arc::new(risk), step };
            self.impact.rebuild();
            visible = true;
        }
        if self.agents.refresh(ctx) {
            self.pulse.source = PulseRows { groups: MeasuredGroups::new(self.agents.all()) };
            self.pulse.rebuild();
            visible = true;
        }
        visible
    }

    /// Rebuilds the panes if the row or another input changed.
    fn refresh_problems_pane(&mut self, ctx: &Context) -> bool {
        let problem = self.problem(ctx);
        // Calls alone do not change it, so an idle fleet is not analysed repeatedly.
        let work: u64 =
            self.groups.all().iter().map(|group| u64::from(group.total.begun + group.total.ended())).sum();
        let minute = u64::from(Minute::of(ctx.now).0);
        let of = (
            (work, minute, ctx.metrics.older()),
            self.value_of(),
            problem.map(|(key, _)| key),
            self.facts.reads(),
            self.fields.len(),
        );
        if self.of.as_ref() == Some(&of) {
            return false;
        }
        let began = problem.map_or(ctx.now, |(_, problem)| problem.since);
        let who = of.1.as_ref().map(|who| (self.by(), who));
        let ended = lead::ended(ctx, who);
        let anything = ended.iter().any(|(_, failed)| *failed);
        let job = |(key, _): &(AttemptKey, bool)| {
            let attempt = ctx.snapshot.attempts.get(*key)?;
            Some(ctx.snapshot.job_of(attempt)?.id)
        };
        let open = ctx.snapshot.open_problems();
        self.problems.source.impacts = Arc::new(diagnosis::impacts(&ctx.snapshot, open));
        let cause = problem.map(|(key, problem)| {
            let usual = diagnosis::Impact::default();
            let impact = self.problems.source.impacts.get(&key).unwrap_or(&usual);
            diagnosis::cause(&ctx.snapshot, problem, impact).sentence()
        });
        let facts = self.facts.of(Owner::Fleet).unwrap_or_default();
        let row =
            self.selected().and_then(|key| self.impact.source.groups.get(key)).filter(|_| who.is_some());
        let (refused, lost) = match row {
            Some(group) => (group.total.refused, group.total.lost),
            None => self.groups.all().iter().fold((0, 0), |(refused, lost), group| {
                (refused + group.total.refused, lost + group.total.lost)
            }),
        };
        self.lead = DetailPanes {
            cause,
            began,
            changes: lead::what_changed(ctx, facts, problem.map(|(_, problem)| problem), self.groups.all()),
            common: lead::in_common(&ctx.snapshot, &ended, &self.fields),
            errors: lead::errors(&ctx.snapshot, &ended),
            refused,
            lost,
            jobs: if anything { ended.iter().filter_map(job).take(READ).collect() } else { Arc::default() },
        };
        self.change = self.change.min(self.lead.changes.len().saturating_sub(1));
        self.alike = self.alike.min(self.lead.common.shared.len().saturating_sub(1));
        self.of = Some(of);
        true
    }

    /// The next step for what the panes are about.
    fn next_step(&self, ctx: &Context) -> NextStep {
        if let Some((_, problem)) = self.problem(ctx) {
            return next::of_problem(ctx, problem, self.lead.cause.as_deref());
        }
        let of = &self.impact.source;
        let row = self.selected().and_then(|key| Some((key, of.groups.get(key)?)));
        row.map(|(key, group)| next::of_row(ctx, group, of.risk(key), of.step)).unwrap_or_default()
    }

    fn turn(&mut self, area: Rect, back: bool) {
        let parts = self.parts(area);
        let shown: Vec<Pane> = Pane::ALL.into_iter().filter(|pane| parts.of(*pane).is_some()).collect();
        let at = shown.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        let next = if back { at + shown.len().saturating_sub(1) } else { at + 1 };
        if let Some(pane) = shown.get(next % shown.len().max(1)) {
            self.pane = *pane;
        }
        // There the panes are about the row again, else about the problem that was chosen.
        if self.pane == Pane::Impact {
            self.stuck = None;
        }
    }

    fn moved(&mut self, action: Action, lines: usize) -> bool {
        let at = match self.pane {
            Pane::Impact => return self.impact.act(action, lines),
            // It leaves another pane.
            _ if action == Action::Back => return false,
            Pane::Problems => return self.problems.act(action, lines),
            Pane::Agents => return self.pulse.act(action, lines),
            Pane::Live => return self.live.act(action, lines),
            Pane::Changes => (&mut self.change, self.lead.changes.len()),
            Pane::Comparison => (&mut self.alike, self.lead.common.shared.len()),
        };
        let (at, count) = at;
        match action {
            Action::Down => *at = (*at + 1).min(count.saturating_sub(1)),
            Action::Up => *at = at.saturating_sub(1),
            Action::First => *at = 0,
            Action::Last => *at = count.saturating_sub(1),
            _ => return false,
        }
        true
    }

    fn open(&self, ctx: &Context) -> Option<Destination> {
        match self.pane {
            Pane::Impact => {
                let key = self.selected()?;
                let name = self.impact.source.groups.get(key)?.name.clone();
                let by = match (self.by(), self.groups.value_of(key)?) {
                    (Dimension::Rule, DimensionValue::Named(_)) => Dimension::Skill,
                    (by, _) => by,
                };
                Some(Destination::WorstTasks(filter_of(by.word(), &name)))
            }
            Pane::Problems => Some(Destination::Problem(self.problems.target()?)),
            Pane::Changes => changes::destination(ctx, self.lead.changes.get(self.change)?),
            Pane::Comparison => {
                let alike = self.lead.common.shared.get(self.alike)?;
                let words: Vec<String> = alike
                    .attributes
                    .iter()
                    .map(|(key, value)| filter_of(&key.line(), &value.line()))
                    .collect();
                Some(Destination::Tasks(words.join(" ")))
            }
            Pane::Agents => Destination::agent(ctx, self.agent()?),
            Pane::Live => Destination::attempt(ctx, self.live.target()?),
        }
    }

    fn agent(&self) -> Option<AgentKey> {
        self.pulse.target().and_then(|key| self.pulse.source.groups.get(key)).and_then(|group| group.agent)
    }
}

/// A filter for a value. Filters have no spaces, so that it matches the first word of the value.
fn filter_of(key: &str, value: &str) -> String {
    format!("{key}={}", value.split_whitespace().next().unwrap_or_default())
}

impl Default for NowView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for NowView {
    fn word(&self) -> &'static str {
        "now"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let mut visible = self.refresh_metrics(ctx);
        let parts = self.parts(area);
        let lines = |pane: Pane| parts.lines(pane, area);
        visible |= self.impact.refresh(&ctx.snapshot, lines(Pane::Impact));
        self.impact.state.keep_first(&self.impact.rows, lines(Pane::Impact));
        visible |= self.problems.refresh(&ctx.snapshot, lines(Pane::Problems));
        visible |= self.pulse.refresh(&ctx.snapshot, lines(Pane::Agents));
        visible |= self.live.refresh_window(&ctx.snapshot, lines(Pane::Live));
        visible |= self.refresh_problems_pane(ctx);
        let next = self.next_step(ctx);
        visible |= next != self.next;
        self.next = next;
        // How many rows there are decides how high the panes are.
        if parts.of(self.pane).is_none() {
            self.pane = Pane::Impact;
        }
        visible
    }

    fn draw(&self, canvas: &mut crate::tui::widgets::canvas::Canvas<'_>, area: Rect, ctx: &Context) {
        self.draw_all(canvas, area, ctx);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        let lines = self.parts(area).lines(self.pane, area).max(1);
        if self.moved(action, lines) {
            if action == Action::First {
                self.stuck = None;
            }
            return Some(Vec::new());
        }
        match action {
            Action::Open => Some(self.open(ctx).map(|page| Step::Open(Box::new(page))).into_iter().collect()),
            Action::NextPane | Action::PrevPane => {
                self.turn(area, action == Action::PrevPane);
                Some(Vec::new())
            }
            Action::Left | Action::Right => {
                let (has_rules, _) = self.groups.has_rules();
                let next = match (self.by(), action == Action::Left) {
                    // Without rules, the first are the skills.
                    (Dimension::Rule, false) if has_rules => Dimension::Skill,
                    (Dimension::Rule, _) | (Dimension::Skill, false) => Dimension::Caller,
                    (Dimension::Caller, true) => Dimension::Skill,
                    _ => Dimension::Rule,
                };
                self.groups = Groups::new(next);
                self.impact.state.first();
                Some(Vec::new())
            }
            Action::Back if self.pane != Pane::Impact => {
                (self.pane, self.stuck) = (Pane::Impact, None);
                Some(Vec::new())
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::NextPane, "next pane"),
            (Action::Answer, "take it, answer"),
            (Action::Service, "in/out of service"),
            (Action::Changes, "changes"),
            (Action::Time, "time"),
            (Action::Right, "rule, skill, caller"),
            (Action::ViewFleet, "fleet"),
            (Action::ViewTasks, "tasks"),
            (Action::New, "new task"),
            (Action::Copy, "copy"),
            (Action::Note, "note"),
            (Action::Save, "report"),
        ]
    }

    fn target(&self, ctx: &Context) -> Target {
        let of_attempt = |key: AttemptKey| {
            let agent = ctx.snapshot.attempts.get(key).map(|attempt| attempt.agent);
            Target { attempt: Some(key), agent, ..Target::default() }
        };
        match self.pane {
            // The keys mean the problem that the panes below speak of.
            Pane::Impact | Pane::Problems => {
                let problem = self.problem(ctx);
                // In a fleet of one agent that agent is meant.
                let mut listed = ctx.snapshot.agents.iter().filter(|(_, agent)| agent.listed);
                let only = listed.next().map(|(key, _)| key).filter(|_| listed.next().is_none());
                let agent = problem.and_then(|(_, problem)| problem.agent).or(only);
                Target { problem: problem.map(|(key, _)| key), agent, ..Target::default() }
            }
            Pane::Changes => {
                let agent = self.lead.changes.get(self.change).and_then(|change| change.agent);
                Target { agent, ..Target::default() }
            }
            Pane::Comparison => Target::default(),
            Pane::Agents => Target { agent: self.agent(), ..Target::default() },
            Pane::Live => self.live.target().map(of_attempt).unwrap_or_default(),
        }
    }

    fn click(&mut self, _ctx: &Context, area: Rect, x: u16, y: u16) -> bool {
        let parts = self.parts(area);
        let hit =
            |pane: &Pane| parts.of(*pane).is_some_and(|at| at.contains(ratatui::layout::Position { x, y }));
        let Some(pane) = Pane::ALL.into_iter().find(hit) else { return false };
        let had_focus = self.pane == pane;
        self.pane = pane;
        let Some(line) = parts.row_at(pane, area, (x, y)) else { return false };
        let same = match pane {
            Pane::Impact => self.impact.click_line(line),
            Pane::Problems => self.problems.click_line(line),
            Pane::Live => self.live.click_line(line),
            Pane::Changes => std::mem::replace(&mut self.change, line) == line,
            Pane::Comparison => std::mem::replace(&mut self.alike, line) == line,
            Pane::Agents => self.pulse.click_line(line),
        };
        self.change = self.change.min(self.lead.changes.len().saturating_sub(1));
        self.alike = self.alike.min(self.lead.common.shared.len().saturating_sub(1));
        had_focus && same
    }

    fn stick(&mut self) {
        self.stuck = self.of.as_ref().and_then(|(_, who, problem, ..)| Some((who.clone(), (*problem)?)));
        if let Some(list) = self.list_mut() {
            list.stick();
        }
    }

    fn list(&self) -> Option<&dyn List> {
        Some(match self.pane {
            Pane::Problems => &self.problems,
            Pane::Agents => &self.pulse,
            Pane::Live => &self.live,
            Pane::Impact | Pane::Changes | Pane::Comparison => &self.impact,
        })
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(match self.pane {
            Pane::Problems => &mut self.problems,
            Pane::Agents => &mut self.pulse,
            Pane::Live => &mut self.live,
            Pane::Impact | Pane::Changes | Pane::Comparison => &mut self.impact,
        })
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let facts = FactCache::query("fleet facts", Owner::Fleet, ctx.snapshot.fleet_seq, FLEET_FACTS);
        let fields = self.fields.query(&self.lead.jobs);
        [Subscription::Metrics(EVERY), facts].into_iter().chain(fields).collect()
    }

    fn on_answer(&mut self, ask: &Ask, answer: Answer) {
        match answer {
            Answer::Fields(fields) => self.fields.take(ask, fields, &self.lead.jobs),
            answer => self.facts.take(ask, answer),
        }
    }

    fn facts(&self, owner: Owner) -> Option<&[JournalEntry]> {
        self.facts.of(owner)
    }
}
