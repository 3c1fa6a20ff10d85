//! What is wrong: the facts, what it means, whom it hits, the next step, and how it clears.

use ratatui::layout::Rect;

use super::listing::{List, Listing, Order, Rows};
use super::tasks::{TasksView, empty, list_facts};
use super::{ListKind, Screen, Target, View, about, inside, labelled};
use crate::domain::id::{AttemptKey, ProblemKey};
use crate::domain::problem::{Kind, Problem, Subject};
use crate::domain::snapshot::Snapshot;
use crate::domain::state::Changed;
use crate::tui::actions::Action;
use crate::tui::model::{Shared, Step};
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Joint, Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Column, Row, fixed, share};
use crate::tui::widgets::text::{self, TextState};

/// Problems: the open ones, and those that were over lately.
#[derive(Clone, Debug)]
pub struct ProblemRows;

struct Seen<'s>(&'s Snapshot, &'s Problem);

impl Filtered for Seen<'_> {
    fn words(&self) -> Vec<String> {
        vec![headline(self.0, self.1), self.1.kind.as_str().into(), format!("p-{}", self.1.number)]
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "kind" => Some(self.1.kind.as_str().into()),
            "severity" => Some(self.1.kind.severity().as_str().into()),
            "agent" => agent_name(self.0, self.1),
            "state" => Some(self.1.state().into()),
            "owner" => self.1.taken.as_ref().map(|taken| taken.by.line().into_string()),
            _ => None,
        }
    }
}

fn agent_name(snapshot: &Snapshot, problem: &Problem) -> Option<String> {
    let agent = problem.agent.and_then(|key| snapshot.agents.get(key))?;
    Some(agent.name.line().into_string())
}

/// `hotel-alps: its port refuses connections`
pub fn headline(snapshot: &Snapshot, problem: &Problem) -> String {
    let text = problem.text.line();
    match agent_name(snapshot, problem) {
        Some(name) => format!("{name} {text}"),
        None => text.into_string(),
    }
}

/// Whom it hits, in a few words.
fn hits(snapshot: &Snapshot, problem: &Problem) -> String {
    match problem.subject {
        Subject::Agent(_) if Kind::OF_TASKS.contains(&problem.kind) => {
            let hit = evidence(snapshot, problem, usize::MAX);
            let first = hit.first().and_then(|key| snapshot.attempts.get(*key));
            let job = first.and_then(|attempt| snapshot.job_of(attempt));
            match (hit.len(), job) {
                (1, Some(job)) => job.title.line().into_string(),
                (0 | 1, _) => "a task that is gone".into(),
                (count, _) => format!("{count} tasks"),
            }
        }
        Subject::Agent(key) => match snapshot.agents.get(key).map(|agent| agent.counts) {
            Some(counts) if counts.doubtful > 0 => {
                format!("{} in doubt, {} live", counts.doubtful, counts.live)
            }
            Some(counts) if counts.live > 0 => format!("{} live", counts.live),
            _ => "nobody now".into(),
        },
        Subject::Console => "everything that acts".into(),
        Subject::Source(key) => match snapshot.sources.get(key).map(|source| source.agents) {
            Some(agents) if agents > 0 => format!("{agents} agents, as it told before"),
            _ => "nobody known".into(),
        },
    }
}

impl Rows for ProblemRows {
    type Key = ProblemKey;

    const KIND: ListKind = ListKind::Problems;

    const COLUMNS: &'static [Column] = &[
        share("PROBLEM", 'P', 24, 6, 9),
        fixed("BEGAN", 'B', 9, 5),
        fixed("AGE", 'E', 4, 8).right(),
        share("HITS", 'H', 12, 3, 4),
        fixed("OWNER", 'O', 8, 3),
        fixed("STATE", 'S', 5, 2),
        fixed("ID", 'I', 6, 1).wide(),
    ];

    fn keys<'s>(&'s self, snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = ProblemKey> + 's> {
        Box::new(snapshot.problems.iter().map(|(key, _)| key))
    }

    fn changed(&self, _snapshot: &Snapshot, changed: Changed, rows: &mut Vec<ProblemKey>) {
        if let Changed::Problem(key) = changed {
            rows.push(key);
        }
    }

    fn shows(&self, snapshot: &Snapshot, key: ProblemKey, order: &Order) -> bool {
        let Some(problem) = snapshot.problems.get(key) else { return false };
        (!order.faults || (problem.cleared.is_none() && problem.muted.is_none()))
            && order.filter.passes(&Seen(snapshot, problem))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: ProblemKey, by: char) -> SortKey {
        let Some(problem) = snapshot.problems.get(key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            'P' => text(headline(snapshot, problem)),
            'H' => text(hits(snapshot, problem)),
            'B' => SortKey::Number(problem.since.micros()),
            // What is shown is an age: the youngest has the least.
            'E' => SortKey::Pair(-problem.since.micros(), -i64::from(problem.number)),
            'I' => SortKey::Number(i64::from(problem.number)),
            'O' => {
                text(problem.taken.as_ref().map(|taken| taken.by.line().into_string()).unwrap_or_default())
            }
            // Open before muted before over, then by how much it hurts, then the oldest.
            _ => {
                let over = match (problem.cleared, &problem.muted) {
                    (Some(_), _) => 2,
                    (None, Some(_)) => 1,
                    (None, None) => 0,
                };
                let hurts = 2 - problem.kind.severity() as i64;
                SortKey::Pair(over * 4 + hurts, problem.since.micros())
            }
        }
    }

    fn highest_first(by: char) -> bool {
        matches!(by, 'B' | 'I')
    }

    fn row(&self, canvas: &Canvas<'_>, shared: &Shared, key: ProblemKey) -> Row {
        let Some(problem) = shared.snapshot.problems.get(key) else {
            return Row { mark: span(" ", Role::Plain), cells: Vec::new(), marked: false };
        };
        let over = problem.cleared.is_some();
        let told = states::severity(problem.kind.severity(), shared.glyphs());
        let mark = if over { span(shared.glyphs().completed, Role::Ok) } else { span(told.mark, told.role) };
        let plain = if over || problem.muted.is_some() { Role::Quiet } else { Role::Plain };
        Row {
            mark,
            cells: vec![
                span(headline(&shared.snapshot, problem), plain),
                span(shared.clocks.second(problem.since, shared.now), plain),
                span(canvas.coarse_age(problem.since), plain),
                span(hits(&shared.snapshot, problem), plain),
                owner(problem),
                span(problem.state(), plain),
                span(format!("p-{}", problem.number), Role::Quiet),
            ],
            marked: false,
        }
    }
}

/// Who attends to it.
fn owner(problem: &Problem) -> Span {
    match &problem.taken {
        Some(taken) => span(taken.by.line().into_string(), Role::Plain),
        None => span("–", Role::Quiet),
    }
}

/// The view.
#[derive(Debug)]
pub struct ProblemsView {
    list: Listing<ProblemRows>,
    seen: Option<(ProblemKey, u64)>,
}

impl ProblemsView {
    /// What hurts now first.
    pub fn new() -> Self {
        Self { list: Listing::new(ProblemRows, 'S'), seen: None }
    }

    /// The same with the cursor on one.
    #[must_use]
    pub fn at(mut self, key: ProblemKey) -> Self {
        self.list.state.selected = Some(key);
        self
    }

    fn selected<'s>(&self, shared: &'s Shared) -> Option<(ProblemKey, &'s Problem)> {
        let key = self.list.target()?;
        Some((key, shared.snapshot.problems.get(key)?))
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 14 || self.list.rows.is_empty() {
            return (inner, None);
        }
        let below = (inner.height / 2).clamp(8, 18);
        let list = Rect { height: inner.height - below, ..inner };
        (list, Some(Rect { y: list.bottom(), height: below, ..inner }))
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }
}

impl Default for ProblemsView {
    fn default() -> Self {
        Self::new()
    }
}

/// Attempts that a problem is about: the evidence.
fn evidence(snapshot: &Snapshot, problem: &Problem, most: usize) -> Vec<AttemptKey> {
    match problem.subject {
        Subject::Agent(agent) if Kind::OF_TASKS.contains(&problem.kind) => snapshot
            .attention
            .of(agent)
            .filter(|key| snapshot.attempts.get(*key).is_some_and(|attempt| problem.kind.is_about(attempt)))
            .take(most)
            .collect(),
        Subject::Agent(agent) => {
            let hit = |(_, attempt): &(AttemptKey, &crate::domain::job::Attempt)| {
                attempt.agent == agent && problem.kind.is_about(attempt)
            };
            snapshot
                .attempts
                .iter()
                .rev()
                .take(super::listing::LARGE)
                .filter(hit)
                .map(|(key, _)| key)
                .take(most)
                .collect()
        }
        Subject::Console | Subject::Source(_) => Vec::new(),
    }
}

/// Everything about a problem, in lines.
fn explain(
    canvas: &Canvas<'_>,
    shared: &Shared,
    problem: &Problem,
    width: usize,
    height: usize,
) -> about::Lines {
    let mut lines = about::wrapped("SEEN", &headline(&shared.snapshot, problem), Role::Plain, width);
    lines.extend(about::wrapped("MEANS", problem.kind.meaning(), Role::Plain, width));
    let agent = problem.agent.and_then(|key| shared.snapshot.agents.get(key));
    if let (Subject::Agent(_), Some(agent)) = (problem.subject, agent) {
        lines.push(labelled("AGENT", about::state_line(canvas, shared, agent)));
    }
    if let Some(taken) = &problem.taken {
        let words = format!("{}, {}", taken.by.line(), canvas.since(taken.at));
        lines.extend(about::wrapped("OWNER", &words, Role::Plain, width));
    }
    if let Some(muted) = &problem.muted {
        let until = shared.clocks.second(muted.until, shared.now);
        let words = format!("until {until} by {}: {}", muted.by.line(), muted.why.line());
        lines.extend(about::wrapped("MUTED", &words, Role::Quiet, width));
    }
    lines.extend(about::wrapped("HITS", &hits(&shared.snapshot, problem), Role::Plain, width));
    match problem.cleared {
        Some(cleared) => {
            let text = format!(
                "{}, after {}",
                canvas.since(cleared),
                super::story::precise(cleared.since(problem.since))
            );
            lines.push(labelled("OVER", vec![span(text, Role::Ok)]));
        }
        None => {
            // What the core says has the usual key in front.
            let next = problem.next.line();
            let next = match next.strip_prefix("r: ") {
                Some(rest) => format!("{}: {rest}", shared.key(Action::Again)),
                None => next.into_string(),
            };
            lines.extend(about::wrapped("NEXT", &next, Role::You, width));
            lines.extend(about::wrapped("CLEARS", problem.kind.clears(), Role::Quiet, width));
        }
    }
    let room = height.saturating_sub(lines.len() + 2);
    let rows = evidence(&shared.snapshot, problem, room.min(8));
    if room > 0 && !rows.is_empty() {
        lines.push(Vec::new());
        for (at, key) in rows.iter().enumerate() {
            let Some(attempt) = shared.snapshot.attempts.get(*key) else { continue };
            let told = states::attempt(attempt, shared.glyphs());
            let job = shared.snapshot.job_of(attempt).map(|job| job.title.line().fit(48)).unwrap_or_default();
            let task = attempt.task.as_ref().map_or_else(|| "–".to_owned(), |task| task.id.short());
            lines.push(labelled(
                if at == 0 { "EVIDENCE" } else { "" },
                vec![
                    span(format!("{} ", told.mark), told.role),
                    span(format!("{task:<6}"), Role::Quiet),
                    span(format!("{job}  "), Role::Plain),
                    span(told.word, told.role),
                ],
            ));
        }
    }
    lines
}

impl Screen for ProblemsView {
    fn word(&self) -> &'static str {
        "problems"
    }

    fn settle(&mut self, shared: &Shared, area: Rect) -> bool {
        let lines = self.lines(area);
        let visible = self.list.settle(&shared.snapshot, lines);
        // Whom an agent's problem hits changes with its tasks.
        let agent = self.selected(shared).and_then(|(_, problem)| problem.agent);
        let live = agent
            .and_then(|key| shared.snapshot.agents.get(key))
            .map_or(0, |agent| u64::from(agent.counts.live) << 32 | u64::from(agent.counts.doubtful));
        let seen = self.list.target().map(|key| (key, live));
        let news = seen != self.seen;
        self.seen = seen;
        visible || news
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let not_over = shared.snapshot.open_problems().count();
        let over = shared.snapshot.problems.len() - not_over;
        let muted = shared.snapshot.open_problems().filter(|(_, problem)| problem.muted.is_some()).count();
        let open = not_over - muted;
        let muted = if muted > 0 { format!(" · {muted} muted") } else { String::new() };
        let first = format!("{open} open{muted} · {over} over lately");
        canvas.rule(area, area.y, Joint::Top, &self.list.title(), &list_facts(&self.list, shared, first));
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.look.filter.is_empty() || self.list.state.look.faults;
            return empty(
                canvas,
                shared,
                list,
                filtered,
                &[
                    "No problem is known.",
                    "What goes wrong with agents, tasks or this console appears here by itself, with the next step.",
                ],
            );
        }
        self.list.draw(canvas, list, shared);
        if let (Some(pane), Some((_, problem))) = (below, self.selected(shared)) {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            let title = [span(format!("p-{} {}", problem.number, problem.kind.as_str()), Role::Title)];
            let facts = [span(format!("began {}", canvas.since(problem.since)), Role::Quiet)];
            canvas.rule(whole, pane.y, Joint::Middle, &title, &facts);
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let lines = explain(canvas, shared, problem, usize::from(inner.width), usize::from(inner.height));
            text::draw(canvas, inner, &lines, &TextState::default());
        }
    }

    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let (_, problem) = self.selected(shared)?;
                let view = match problem.subject {
                    Subject::Agent(_) if Kind::OF_TASKS.contains(&problem.kind) => {
                        let hit = evidence(&shared.snapshot, problem, 2);
                        match (hit.as_slice(), agent_name(&shared.snapshot, problem)) {
                            ([one], _) => View::attempt(shared, *one),
                            (_, Some(agent)) => {
                                let doubtful = TasksView::new().filtered(&format!("agent={agent}"));
                                Some(doubtful.into())
                            }
                            _ => None,
                        }
                    }
                    Subject::Agent(key) => View::agent(shared, key),
                    Subject::Source(key) => Some(super::sources::SourcesView::new().at(key).into()),
                    Subject::Console => Some(super::messages::MessagesView::new().into()),
                };
                Some(view.map(|view| Step::Open(Box::new(view))).into_iter().collect())
            }
            Action::Back => self.list.clear_one().then(Vec::new),
            _ => None,
        }
    }

    fn keys(&self, shared: &Shared) -> Vec<(Action, &'static str)> {
        let mut keys =
            vec![(Action::Open, "what it is about"), (Action::Answer, "take it"), (Action::Mute, "mute")];
        if let Some((_, problem)) = self.selected(shared) {
            match problem.kind {
                Kind::SendUncertain => keys.push((Action::Again, "again, or lost")),
                Kind::TaskSilent | Kind::TaskStalled | Kind::CancelIgnored => {
                    keys.push((Action::Cancel, "cancel"));
                }
                Kind::TaskLost => keys.push((Action::EditCopy, "send a copy")),
                _ => {}
            }
        }
        keys.extend([
            (Action::Check, "check now"),
            (Action::GoTo, "go to"),
            (Action::Filter, "filter"),
            (Action::Faults, "open only"),
            (Action::Copy, "copy"),
        ]);
        keys
    }

    fn list(&self) -> Option<&dyn List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(&mut self.list)
    }

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, shared: &Shared) -> Target {
        let Some((key, problem)) = self.selected(shared) else { return Target::default() };
        let of_tasks = Kind::OF_TASKS.contains(&problem.kind);
        let attempt = if of_tasks { evidence(&shared.snapshot, problem, 1).first().copied() } else { None };
        Target { agent: problem.agent, attempt, problem: Some(key) }
    }

    fn marked(&self, shared: &Shared) -> Vec<AttemptKey> {
        let Some((_, problem)) = self.selected(shared) else { return Vec::new() };
        if Kind::OF_TASKS.contains(&problem.kind) {
            evidence(&shared.snapshot, problem, usize::MAX)
        } else {
            Vec::new()
        }
    }
}
