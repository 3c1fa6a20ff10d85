//! The views: one file each, one line in the table below.

pub mod about;
pub mod agent;
pub mod candidates;
pub mod conversation;
pub mod facts;
pub mod fleet;
pub mod groups;
pub mod help;
pub mod inbox;
pub mod listing;
pub mod messages;
pub mod problems;
pub mod raw;
pub mod sources;
pub mod story;
pub mod strip;
pub mod task;
pub mod tasks;
pub mod wire;

use ratatui::layout::Rect;

use super::actions::Action;
use super::model::{Shared, Step};
use super::widgets::canvas::{Canvas, Span};
use super::widgets::sorted::Sorted;
use crate::domain::id::{AgentKey, AttemptKey, JobId, JobKey, ProblemKey};

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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wants {
    /// The story of this job.
    pub story: Option<JobId>,
    /// What was on the wire, of one agent or of all.
    pub wire: Option<Option<AgentKey>>,
    /// What happened to an agent, as of its how-manieth fact.
    pub history: Option<(AgentKey, u64)>,
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

    /// A click; true if it was on the row that was selected already.
    fn click(&mut self, _shared: &Shared, _area: Rect, _x: u16, _y: u16) -> bool {
        false
    }

    /// Sorts by a column; false if there is no such column.
    fn sort(&mut self, _letter: char) -> bool {
        false
    }

    /// What is filtered or searched for.
    fn searched(&self) -> Option<String> {
        None
    }

    /// Filters or searches.
    fn search(&mut self, _text: &str, _shared: &Shared, _area: Rect) {}

    /// What it must be told.
    fn wants(&self, _shared: &Shared) -> Wants {
        Wants::default()
    }

    /// An order that a worker should build, once.
    fn index(&mut self) -> Option<tasks::Work> {
        None
    }

    /// Rows as a worker has built them.
    fn indexed(&mut self, _order: &listing::Order, _rev: u64, _rows: &Sorted<AttemptKey>) {}

    /// The table that is shown, for the clipboard.
    fn table(&self, _shared: &Shared) -> Option<Vec<Vec<String>>> {
        None
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
    Fleet fleet::FleetView,
    Agent agent::AgentView,
    Tasks tasks::TasksView,
    Task task::TaskView,
    Inbox inbox::InboxView,
    Problems problems::ProblemsView,
    Wire wire::WireView,
    Sources sources::SourcesView,
    Candidates candidates::CandidatesView,
    Messages messages::MessagesView,
    Raw raw::RawView,
    Help help::HelpView,
}

impl View {
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
