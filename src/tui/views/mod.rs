//! The views: one file each, one line in the table below.

pub mod about;
pub mod agent;
pub mod candidates;
pub mod changes;
pub mod conversation;
pub mod did;
pub mod facts;
pub mod fleet;
pub mod groups;
pub mod help;
pub mod inbox;
pub mod listing;
pub mod messages;
pub mod metrics;
pub mod now;
pub mod problem;
pub mod problem_rows;
pub mod problems;
pub mod pulse;
pub mod raw;
pub mod report;
pub mod sources;
pub mod story;
pub mod strip;
pub mod task;
pub mod tasks;
pub mod wire;

use std::sync::Arc;

use ratatui::layout::Rect;

use listing::{List, Rows};

use super::actions::Action;
use super::model::{Shared, Step};
use super::preferences::SavedView;
use super::widgets::canvas::{Canvas, Span};
use super::widgets::filter::Filter;
use super::widgets::list::Look;
use super::widgets::sorted::Sorted;
use super::widgets::table::Column;
use crate::domain::id::{AgentKey, AttemptKey, JobId, JobKey, ProblemKey};

/// The lists that can be saved as views, and whose columns can be chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ListKind {
    /// Agents.
    Fleet,
    /// Tasks.
    Tasks,
    /// What waits for a person.
    Inbox,
    /// What is wrong.
    Problems,
    /// What was sent and received.
    Wire,
    /// Where agents are found.
    Sources,
    /// Agents that cards of others name.
    Candidates,
    /// What changed.
    Changes,
    /// What callers feel.
    Now,
    /// How many, how well and how long.
    Metrics,
    /// Agents over time.
    Pulse,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Fleet,
        Self::Tasks,
        Self::Inbox,
        Self::Problems,
        Self::Wire,
        Self::Sources,
        Self::Candidates,
        Self::Changes,
        Self::Now,
        Self::Metrics,
        Self::Pulse,
    ];

    /// Its name, as views and the configuration have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Tasks => "tasks",
            Self::Inbox => "inbox",
            Self::Problems => "problems",
            Self::Wire => "wire",
            Self::Sources => "sources",
            Self::Candidates => "candidates",
            Self::Changes => "changes",
            Self::Now => "now",
            Self::Metrics => "metrics",
            Self::Pulse => "pulse",
        }
    }

    /// Every column that it has.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Fleet => fleet::AgentRows::COLUMNS,
            Self::Tasks => tasks::TaskRows::COLUMNS,
            Self::Inbox => inbox::WaitingRows::COLUMNS,
            Self::Problems => problems::ProblemRows::COLUMNS,
            Self::Wire => wire::COLUMNS,
            Self::Sources => sources::SourceRows::COLUMNS,
            Self::Candidates => candidates::CandidateRows::COLUMNS,
            Self::Changes => changes::ChangeRows::COLUMNS,
            Self::Now => now::FeelRows::COLUMNS,
            Self::Metrics => metrics::GroupRows::COLUMNS,
            Self::Pulse => pulse::PulseRows::COLUMNS,
        }
    }

    /// True for columns whose highest value comes first.
    pub fn highest_first(self, by: char) -> bool {
        match self {
            Self::Fleet => fleet::AgentRows::highest_first(by),
            Self::Tasks => tasks::TaskRows::highest_first(by),
            Self::Inbox => inbox::WaitingRows::highest_first(by),
            Self::Problems => problems::ProblemRows::highest_first(by),
            Self::Wire => wire::highest_first(by),
            Self::Sources => sources::SourceRows::highest_first(by),
            Self::Candidates => candidates::CandidateRows::highest_first(by),
            Self::Changes => changes::ChangeRows::highest_first(by),
            Self::Now => now::FeelRows::highest_first(by),
            Self::Metrics => metrics::GroupRows::highest_first(by),
            Self::Pulse => pulse::PulseRows::highest_first(by),
        }
    }

    /// The letter of the column that it is sorted by when it is opened.
    pub fn usual_sort(self) -> char {
        match self {
            Self::Fleet | Self::Problems => 'S',
            Self::Tasks => 'E',
            Self::Inbox => 'W',
            Self::Wire | Self::Sources | Self::Metrics => 'T',
            Self::Now => 'O',
            Self::Candidates => 'U',
            Self::Changes => 'W',
            Self::Pulse => 'H',
        }
    }

    /// Its view, of everything.
    pub fn view(self) -> View {
        match self {
            Self::Fleet => fleet::FleetView::new().into(),
            Self::Tasks => tasks::TasksView::new().into(),
            Self::Inbox => inbox::InboxView::new().into(),
            Self::Problems => problems::ProblemsView::new().into(),
            Self::Wire => wire::WireView::new(None).into(),
            Self::Sources => sources::SourcesView::new().into(),
            Self::Candidates => candidates::CandidatesView::new().into(),
            Self::Changes => changes::ChangesView::new(None).into(),
            Self::Now => now::NowView::new().into(),
            Self::Metrics => metrics::MetricsView::new().into(),
            Self::Pulse => pulse::PulseView::new().into(),
        }
    }
}

/// What is under the cursor, for everything that acts on it, goes there or copies it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// The agent.
    pub agent: Option<AgentKey>,
    /// The attempt with its task.
    pub attempt: Option<AttemptKey>,
    /// The problem.
    pub problem: Option<ProblemKey>,
}

/// What a view must be told beside the snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wants {
    /// The story of this job.
    pub story: Option<JobId>,
    /// What was on the wire, of one agent or of all.
    pub wire: Option<Option<AgentKey>>,
    /// What happened to an agent, as of its how-manieth fact.
    pub history: Option<(AgentKey, u64)>,
    /// What happened to the watch, as of its how-manieth fact.
    pub watch: Option<u64>,
    /// Metrics of the window, read so often.
    pub metrics: Option<std::time::Duration>,
    /// The fields of what these jobs began with.
    pub fields: std::sync::Arc<[JobId]>,
}

/// What every view can do. `area` is always the body of the screen: its first line is the view's title
/// line, below it come the contents between the sides, and the last border is not part of it.
pub trait Screen {
    /// Its name, for `:views`, history and snapshots.
    fn word(&self) -> &'static str;

    /// Takes in what has changed; true if something that is seen has.
    fn settle(&mut self, shared: &Shared, area: Rect) -> bool;

    /// Draws it.
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared);

    /// Does what a key means here; none if it means nothing.
    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>>;

    /// The actions of the last border, most useful first, with other words where they are needed.
    fn keys(&self, shared: &Shared) -> Vec<(Action, &'static str)>;

    /// What is under the cursor.
    fn target(&self, shared: &Shared) -> Target;

    /// Attempts that are marked.
    fn marked(&self, _shared: &Shared) -> Vec<AttemptKey> {
        Vec::new()
    }

    /// Takes all marks away: what they were made for has been done.
    fn unmark(&mut self) {}

    /// True where `n` is the next match and `space` pages.
    fn in_text(&self) -> bool {
        false
    }

    /// The list that it shows now, if it shows one: it is clicked, sorted, filtered and copied.
    fn list(&self) -> Option<&dyn List> {
        None
    }

    /// The same, to change it.
    fn list_mut(&mut self) -> Option<&mut dyn List> {
        None
    }

    /// Where that list is, its head included.
    fn list_area(&self, area: Rect) -> Rect {
        inside(area)
    }

    /// A click; true if it was on the row that was selected already.
    fn click(&mut self, _shared: &Shared, area: Rect, _x: u16, y: u16) -> bool {
        let area = self.list_area(area);
        self.list_mut().is_some_and(|list| list.click(area, y))
    }

    /// Sorts by a column; false if there is no such column.
    fn sort(&mut self, letter: char) -> bool {
        self.list_mut().is_some_and(|list| list.sort(letter))
    }

    /// What is filtered or searched for.
    fn searched(&self) -> Option<String> {
        self.list().map(|list| list.look().filter.text().to_owned())
    }

    /// Filters or searches.
    fn search(&mut self, text: &str, _shared: &Shared, _area: Rect) {
        if let Some(list) = self.list_mut() {
            list.look_mut().filter = Filter::parse(text);
        }
    }

    /// What it must be told.
    fn wants(&self, _shared: &Shared) -> Wants {
        Wants::default()
    }

    /// An order that a worker should build, once.
    fn index(&mut self) -> Option<tasks::Work> {
        None
    }

    /// Rows as a worker has built them.
    fn indexed(&mut self, _order: &listing::Order, _rev: u64, _rows: &mut Sorted<AttemptKey>) {}

    /// The table that is shown, for the clipboard.
    fn table(&self, shared: &Shared) -> Option<Vec<Vec<String>>> {
        self.list().map(|list| list.table(shared))
    }
}

macro_rules! views {
    ($($name:ident $type:ty),* $(,)?) => {
        /// A view, with where somebody is in it.
        #[derive(Debug)]
        pub enum View {
            $(#[doc = stringify!($name)] $name(Box<$type>),)*
        }

        impl View {
            /// What it can do.
            pub fn screen(&self) -> &dyn Screen {
                match self { $(Self::$name(view) => view.as_ref(),)* }
            }

            /// The same, to change it.
            pub fn screen_mut(&mut self) -> &mut dyn Screen {
                match self { $(Self::$name(view) => view.as_mut(),)* }
            }
        }

        $(impl From<$type> for View {
            fn from(view: $type) -> Self {
                Self::$name(Box::new(view))
            }
        })*
    };
}

views! {
    Now now::NowView,
    Fleet fleet::FleetView,
    Agent agent::AgentView,
    Tasks tasks::TasksView,
    Task task::TaskView,
    Inbox inbox::InboxView,
    Problems problems::ProblemsView,
    Metrics metrics::MetricsView,
    Pulse pulse::PulseView,
    Wire wire::WireView,
    Sources sources::SourcesView,
    Candidates candidates::CandidatesView,
    Changes changes::ChangesView,
    Messages messages::MessagesView,
    Raw raw::RawView,
    Help help::HelpView,
}

impl View {
    /// The view that an action goes to, as it is opened first.
    pub fn of(action: Action) -> Option<Self> {
        Some(match action {
            Action::ViewNow => now::NowView::new().into(),
            Action::ViewFleet => fleet::FleetView::new().into(),
            Action::ViewTasks => tasks::TasksView::new().into(),
            Action::ViewInbox => inbox::InboxView::new().into(),
            Action::ViewProblems => problems::ProblemsView::new().into(),
            Action::ViewMetrics => metrics::MetricsView::new().into(),
            Action::ViewPulse => pulse::PulseView::new().into(),
            Action::ViewWire => wire::WireView::new(None).into(),
            Action::ViewSources => sources::SourcesView::new().into(),
            Action::ViewCandidates => candidates::CandidatesView::new().into(),
            Action::ViewMessages => messages::MessagesView::new().into(),
            _ => return None,
        })
    }

    /// A saved view.
    pub fn saved(saved: &Arc<SavedView>) -> Self {
        let mut view = saved.of.view();
        if let Some(list) = view.screen_mut().list_mut() {
            *list.look_mut() = Look::of(saved.clone());
        }
        view
    }

    /// The page of a job, if it is there.
    pub fn job(shared: &Shared, key: JobKey) -> Option<Self> {
        let job = shared.snapshot.jobs.get(key).or_else(|| shared.latest.jobs.get(key))?;
        Some(task::TaskView::new(key, job.id).into())
    }

    /// The page of an attempt's job, if it is there.
    pub fn attempt(shared: &Shared, key: AttemptKey) -> Option<Self> {
        let attempt = shared.snapshot.attempts.get(key).or_else(|| shared.latest.attempts.get(key))?;
        Self::job(shared, attempt.job)
    }

    /// The page of an agent, if it is there.
    pub fn agent(shared: &Shared, key: AgentKey) -> Option<Self> {
        let agent = shared.snapshot.agents.get(key).or_else(|| shared.latest.agents.get(key))?;
        Some(agent::AgentView::new(key, agent.id).into())
    }
}

/// The inside of a body: without its title line and its sides.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    }
}

/// A line of words about something, its label in front.
pub fn labelled(label: &str, mut words: Vec<Span>) -> Vec<Span> {
    use super::theme::Role;
    use super::widgets::canvas::span;
    let mut line = vec![span(format!("{label:<10}"), Role::Quiet)];
    line.append(&mut words);
    line
}
