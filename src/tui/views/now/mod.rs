//! Now, the first screen: what callers feel, what is wrong, what changed before it, what the failed have in common, the
//! next step, the agents over time, and what is live.

mod draw;
mod feel;
mod lead;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

use super::listing::{LARGE, List, Listing};
use super::problems::{ProblemRows, ProblemsView};
use super::pulse::PulseRows;
use super::tasks::{TaskRows, TasksView};
use super::{Screen, Target, View, Wants};
use crate::domain::fleet::changes::Change;
use crate::domain::id::{AgentKey, AttemptKey, JobId, ProblemKey};
use crate::domain::metrics::{Dimension, DimensionValue, Minute};
use crate::domain::problem::Problem;
use crate::domain::problem::diagnosis;
use crate::domain::problem::shared_attributes::Comparison;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::metrics::{Groups, Split};
use crate::tui::model::{Shared, Step};
pub use feel::FeelRows;
use feel::Hurt;

/// Metrics are read so often while it is looked at.
const EVERY: Duration = Duration::from_secs(5);
/// Jobs whose messages are read to compare them.
const READ: usize = 400;

/// Where the cursor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pane {
    Feel,
    Problems,
    Changes,
    Comparison,
    Agents,
    Live,
}

impl Pane {
    const ALL: [Self; 6] =
        [Self::Feel, Self::Problems, Self::Changes, Self::Comparison, Self::Agents, Self::Live];
}

/// What speaks about the selected row, made when something of it has changed.
#[derive(Debug, Default)]
struct Lead {
    began: At,
    changes: Vec<Change>,
    common: Comparison,
    errors: Vec<(String, u32)>,
    /// What probably causes the problem, and how certain that is.
    cause: Option<String>,
    /// Jobs whose messages are wanted.
    jobs: Arc<[JobId]>,
}

/// Work that began and ended, the minute and what was read of the past; the row, the problem, the facts of the watch and the fields that were read.
type LeadOf = ((u64, u64, u64), Option<DimensionValue>, Option<ProblemKey>, u64, usize);

/// The view.
#[derive(Debug)]
pub struct NowView {
    groups: Groups,
    feel: Listing<FeelRows>,
    problems: Listing<ProblemRows>,
    agents: Groups,
    pulse: Listing<PulseRows>,
    live: Listing<TaskRows>,
    lead: Lead,
    /// What `lead` was made of.
    of: Option<LeadOf>,
    pane: Pane,
    change: usize,
    shared: usize,
}

impl NowView {
    /// By skill, the worst first.
    pub fn new() -> Self {
        let newest = u32::try_from(LARGE).ok();
        let mut problems = Listing::new(ProblemRows::default(), 'S');
        // What is over or muted is on its own view.
        problems.state.look.faults = true;
        Self {
            groups: Groups::new(Dimension::Skill),
            feel: Listing::new(FeelRows::default(), 'O'),
            problems,
            agents: Groups::new(Dimension::Agent),
            pulse: Listing::new(PulseRows::default(), 'H'),
            live: Listing::new(TaskRows { newest, ..TaskRows::default() }, 'S'),
            lead: Lead::default(),
            of: None,
            pane: Pane::Feel,
            change: 0,
            shared: 0,
        }
    }

    /// By what the rows are told apart.
    fn by(&self) -> Dimension {
        if *self.groups.by() == Split::Told(Dimension::Caller) { Dimension::Caller } else { Dimension::Skill }
    }

    /// The row that the panes below speak of.
    fn selected(&self) -> Option<u32> {
        self.feel.target()
    }

    /// Who that is.
    fn value_of(&self) -> Option<DimensionValue> {
        self.selected().and_then(|key| self.groups.value_of(key))
    }

    /// The problem that the panes speak of: the one under the cursor, or the worst that hits the skill or caller of
    /// the selected row. Until somebody has gone to a row, the worst of all stands in for none.
    fn problem<'s>(&self, shared: &'s Shared) -> Option<(ProblemKey, &'s Problem)> {
        let hits_it = match self.value_of().filter(|_| self.pane != Pane::Problems) {
            Some(DimensionValue::Named(Some(name))) => {
                self.problems.rows.iter().find(|key| self.is_hit(*key, &name))
            }
            _ => None,
        };
        let gone_to = self.pane != Pane::Problems && self.feel.state.selected.is_some();
        let key = hits_it.or_else(|| self.problems.target().filter(|_| !gone_to))?;
        Some((key, shared.snapshot.problems.get(key)?))
    }

    /// True if a problem hits the skill or caller of this name.
    fn is_hit(&self, problem: ProblemKey, name: &Untrusted) -> bool {
        let Some(hits) = self.problems.source.hits.get(&problem) else { return false };
        let counts = if self.by() == Dimension::Caller { &hits.callers } else { &hits.skills };
        counts.iter().any(|(hit, _)| hit == name)
    }

    /// Takes in what has come; true if something has.
    fn settle_metrics(&mut self, shared: &Shared) -> bool {
        let mut visible = false;
        if self.groups.settle(shared) {
            let hurt = feel::hurt(&shared.snapshot, self.by());
            for who in hurt.keys() {
                self.groups.add(shared, who);
            }
            let all = self.groups.all().clone();
            let keys = 0..u32::try_from(all.len()).unwrap_or(0);
            let hurt: Vec<Hurt> = keys
                .map(|key| {
                    self.groups.value_of(key).and_then(|who| hurt.get(&who)).copied().unwrap_or_default()
                })
                .collect();
            let step = shared.window.parts(shared.now).step;
            self.feel.source = FeelRows { groups: all, hurt: Arc::new(hurt), step };
            self.feel.rebuild();
            visible = true;
        }
        if self.agents.settle(shared) {
            self.pulse.source = PulseRows::new(self.agents.all().clone());
            self.pulse.rebuild();
            visible = true;
        }
        visible
    }

    /// Makes what speaks about the selected row, if that or what it is made of is another one.
    fn settle_lead(&mut self, shared: &Shared) -> bool {
        let problem = self.problem(shared);
        // Calls alone change nothing of it: an idle fleet is not gone through again and again.
        let work: u64 =
            self.groups.all().iter().map(|group| u64::from(group.total.begun + group.total.ended())).sum();
        let minute = u64::from(Minute::of(shared.now).0);
        let of = (
            (work, minute, shared.metrics.older()),
            self.value_of(),
            problem.map(|(key, _)| key),
            shared.watch_read,
            shared.fields.len(),
        );
        if self.of.as_ref() == Some(&of) {
            return false;
        }
        let began = problem.map_or(shared.now, |(_, problem)| problem.since);
        let who = of.1.as_ref().map(|who| (self.by(), who));
        let ended = lead::ended(shared, who);
        let anything = ended.iter().any(|(_, failed)| *failed);
        let job = |(key, _): &(AttemptKey, bool)| {
            let attempt = shared.snapshot.attempts.get(*key)?;
            Some(shared.snapshot.job_of(attempt)?.id)
        };
        let open = shared.snapshot.open_problems();
        self.problems.source.hits = Arc::new(diagnosis::impacts(&shared.snapshot, open));
        let cause = problem.map(|(key, problem)| {
            let usual = diagnosis::Impact::default();
            let hits = self.problems.source.hits.get(&key).unwrap_or(&usual);
            diagnosis::cause(&shared.snapshot, problem, hits).sentence()
        });
        self.lead = Lead {
            cause,
            began,
            changes: lead::what_changed(shared, problem.map(|(_, problem)| problem), self.groups.all()),
            common: lead::in_common(&shared.snapshot, &ended, &shared.fields),
            errors: lead::errors(&shared.snapshot, &ended),
            jobs: if anything { ended.iter().filter_map(job).take(READ).collect() } else { Arc::default() },
        };
        self.change = self.change.min(self.lead.changes.len().saturating_sub(1));
        self.shared = self.shared.min(self.lead.common.shared.len().saturating_sub(1));
        self.of = Some(of);
        true
    }

    fn turn(&mut self, area: Rect, back: bool) {
        let parts = self.parts(area);
        let shown: Vec<Pane> = Pane::ALL.into_iter().filter(|pane| parts.of(*pane).is_some()).collect();
        let at = shown.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        let next = if back { at + shown.len().saturating_sub(1) } else { at + 1 };
        if let Some(pane) = shown.get(next % shown.len().max(1)) {
            self.pane = *pane;
        }
    }

    fn moved(&mut self, action: Action, lines: usize) -> bool {
        let at = match self.pane {
            Pane::Feel => return self.feel.act(action, lines),
            Pane::Problems => return self.problems.act(action, lines),
            Pane::Agents => return self.pulse.act(action, lines),
            Pane::Live => return self.live.act(action, lines),
            Pane::Changes => (&mut self.change, self.lead.changes.len()),
            Pane::Comparison => (&mut self.shared, self.lead.common.shared.len()),
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

    fn open(&self, shared: &Shared) -> Option<View> {
        match self.pane {
            Pane::Feel => {
                let key = self.selected()?;
                let name = self.feel.source.group(key)?.name.clone();
                Some(TasksView::new().filtered(&filter_of(self.by().word(), &name)).into())
            }
            Pane::Problems => Some(ProblemsView::new().at(self.problems.target()?).into()),
            Pane::Changes => View::agent(shared, self.lead.changes.get(self.change)?.agent?),
            Pane::Comparison => {
                let shared = self.lead.common.shared.get(self.shared)?;
                let words: Vec<String> = shared
                    .attributes
                    .iter()
                    .map(|(key, value)| filter_of(&key.line(), &value.line()))
                    .collect();
                Some(TasksView::new().filtered(&words.join(" ")).into())
            }
            Pane::Agents => View::agent(shared, self.agent()?),
            Pane::Live => View::attempt(shared, self.live.target()?),
        }
    }

    fn agent(&self) -> Option<AgentKey> {
        self.pulse.target().and_then(|key| self.pulse.source.group(key)).and_then(|group| group.agent)
    }
}

/// A filter has no spaces: the first word of a name is what it can say of it.
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

    fn settle(&mut self, shared: &Shared, area: Rect) -> bool {
        let mut visible = self.settle_metrics(shared);
        let parts = self.parts(area);
        let lines = |pane: Option<Rect>| pane.map_or(0, |pane| usize::from(pane.height.saturating_sub(2)));
        visible |= self.feel.settle(&shared.snapshot, lines(parts.feel));
        visible |= self.problems.settle(&shared.snapshot, lines(parts.problems));
        visible |= self.pulse.settle(&shared.snapshot, lines(parts.agents) * 2 + 2);
        visible |= self.live.settle_window(&shared.snapshot, lines(parts.live));
        visible |= self.settle_lead(shared);
        // How many rows there are decides how high the panes are.
        if parts.of(self.pane).is_none() {
            self.pane = Pane::Feel;
        }
        visible
    }

    fn draw(&self, canvas: &mut crate::tui::widgets::canvas::Canvas<'_>, area: Rect, shared: &Shared) {
        self.draw_all(canvas, area, shared);
    }

    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>> {
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        let lines = self.parts(area).of(self.pane).map_or(1, |pane| usize::from(pane.height.max(3)) - 2);
        if self.moved(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                Some(self.open(shared).map(|view| Step::Open(Box::new(view))).into_iter().collect())
            }
            Action::NextPane | Action::PrevPane => {
                self.turn(area, action == Action::PrevPane);
                Some(Vec::new())
            }
            Action::Left | Action::Right => {
                self.groups = Groups::new(if self.by() == Dimension::Skill {
                    Dimension::Caller
                } else {
                    Dimension::Skill
                });
                self.feel.state.selected = None;
                Some(Vec::new())
            }
            Action::Back => {
                if self.pane == Pane::Feel {
                    return self.feel.clear_one().then(Vec::new);
                }
                self.pane = Pane::Feel;
                Some(Vec::new())
            }
            _ => None,
        }
    }

    fn keys(&self, _shared: &Shared) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::NextPane, "next pane"),
            (Action::Answer, "take it, answer"),
            (Action::Service, "in/out of service"),
            (Action::Changes, "changes"),
            (Action::Time, "time"),
            (Action::Right, "skill, caller"),
            (Action::ViewFleet, "fleet"),
            (Action::ViewTasks, "tasks"),
            (Action::New, "new task"),
            (Action::Copy, "copy"),
            (Action::Note, "note"),
            (Action::Save, "report"),
        ]
    }

    fn target(&self, shared: &Shared) -> Target {
        let of_attempt = |key: AttemptKey| {
            let agent = shared.snapshot.attempts.get(key).map(|attempt| attempt.agent);
            Target { attempt: Some(key), agent, ..Target::default() }
        };
        match self.pane {
            // The keys mean the problem that the panes below speak of.
            Pane::Feel | Pane::Problems => {
                let problem = self.problem(shared);
                // Of a fleet of one there is no doubt who is meant.
                let mut listed = shared.snapshot.agents.iter().filter(|(_, agent)| agent.listed);
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

    fn click(&mut self, _shared: &Shared, area: Rect, x: u16, y: u16) -> bool {
        let parts = self.parts(area);
        let hit =
            |pane: &Pane| parts.of(*pane).is_some_and(|at| at.contains(ratatui::layout::Position { x, y }));
        let Some(pane) = Pane::ALL.into_iter().find(hit) else { return false };
        let was = self.pane == pane;
        self.pane = pane;
        let Some(at) = parts.of(pane) else { return false };
        let table = Rect { y: at.y + 1, height: at.height.saturating_sub(1), ..at };
        let line = usize::from(y.saturating_sub(at.y + 1));
        let same = match pane {
            Pane::Feel => self.feel.click(table, y),
            Pane::Problems => self.problems.click(table, y),
            Pane::Live => self.live.click(table, y),
            Pane::Changes => std::mem::replace(&mut self.change, line) == line,
            Pane::Comparison => std::mem::replace(&mut self.shared, line) == line,
            Pane::Agents => {
                let column = usize::from(x >= at.x + at.width / 2);
                self.pulse.state.click(line * 2 + column)
            }
        };
        self.change = self.change.min(self.lead.changes.len().saturating_sub(1));
        self.shared = self.shared.min(self.lead.common.shared.len().saturating_sub(1));
        was && same
    }

    fn list(&self) -> Option<&dyn List> {
        Some(match self.pane {
            Pane::Problems => &self.problems,
            Pane::Agents => &self.pulse,
            Pane::Live => &self.live,
            Pane::Feel | Pane::Changes | Pane::Comparison => &self.feel,
        })
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(match self.pane {
            Pane::Problems => &mut self.problems,
            Pane::Agents => &mut self.pulse,
            Pane::Live => &mut self.live,
            Pane::Feel | Pane::Changes | Pane::Comparison => &mut self.feel,
        })
    }

    fn wants(&self, shared: &Shared) -> Wants {
        Wants {
            metrics: Some(EVERY),
            watch: Some(shared.snapshot.fleet_seq),
            fields: self.lead.jobs.clone(),
            ..Wants::default()
        }
    }
}

/// Fields of messages, by job.
pub type Fields = BTreeMap<JobId, Vec<(Untrusted, Untrusted)>>;
