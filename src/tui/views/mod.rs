//! The views: one file each, one line in the table below.

pub mod about;
pub mod agent;
pub mod agent_metrics;
pub mod agent_rows;
pub mod audit;
pub mod candidates;
pub mod changes;
pub mod conversation;
pub mod delegated;
pub mod drill;
pub mod explained;
pub mod facts;
pub mod fleet;
pub mod frame;
pub mod group_rows;
pub mod groups;
pub mod help;
pub mod inbox;
pub mod listing;
pub mod lists;
pub mod logs;
pub mod measured;
pub mod messages;
pub mod metrics;
pub mod now;
pub mod output;
pub mod problem;
pub mod problem_rows;
pub mod problems;
pub mod pulse;
pub mod queue;
pub mod raw;
pub mod report;
pub mod route_rows;
pub mod routes;
pub mod rule_stats;
pub mod rules_file;
pub mod shift_lines;
pub mod sources;
pub mod span_detail;
pub mod strip;
pub mod task;
pub mod task_rows;
pub mod tasks;
pub mod timeline;
pub mod timeline_pane;
pub mod trace;
pub mod trace_rows;
pub mod trace_tree;
pub mod traces;
pub mod waiting;
pub mod waterfall;
pub mod wire;

use std::sync::Arc;

use super::actions::Action;
use super::context::Context;
use super::destination::{Destination, LogsOf};
use super::saved_view::{ListSettings, SavedView};
use super::screen::Screen;

macro_rules! views {
    ($($name:ident $word:literal $type:ty),* $(,)?) => {
        /// A view with its cursor and settings.
        #[derive(Debug)]
        pub enum View {
            $(#[doc = stringify!($name)] $name(Box<$type>),)*
        }

        impl View {
            /// The names of all views.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The view's interface.
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
    Now "now" now::NowView,
    Fleet "fleet" fleet::FleetView,
    Agent "agent" agent::AgentView,
    Tasks "tasks" tasks::TasksView,
    Task "task" task::TaskView,
    Inbox "inbox" inbox::InboxView,
    Problems "problems" problems::ProblemsView,
    Traces "traces" traces::TracesView,
    Trace "trace" trace::TraceView,
    Logs "logs" logs::LogsView,
    Queue "queue" queue::QueueView,
    Routes "routes" routes::RoutesView,
    Metrics "metrics" metrics::MetricsView,
    Pulse "pulse" pulse::PulseView,
    Wire "wire" wire::WireView,
    Sources "sources" sources::SourcesView,
    Candidates "candidates" candidates::CandidatesView,
    Changes "changes" changes::ChangesView,
    Audit "audit" audit::AuditView,
    Messages "messages" messages::MessagesView,
    Drill "drill" drill::DrillView,
    Raw "raw" raw::RawView,
    Help "help" help::HelpView,
}

impl View {
    /// The view that an action opens, in its initial state.
    pub fn of(action: Action) -> Option<Self> {
        Some(match action {
            Action::ViewNow => now::NowView::new().into(),
            Action::ViewFleet => fleet::FleetView::new().into(),
            Action::ViewTasks => tasks::TasksView::new().into(),
            Action::ViewInbox => inbox::InboxView::new().into(),
            Action::ViewProblems => problems::ProblemsView::new().into(),
            Action::ViewTraces => traces::TracesView::new().into(),
            Action::ViewLogs => logs::LogsView::new(LogsOf::default()).into(),
            Action::ViewQueue => queue::QueueView::new().into(),
            Action::ViewRoutes => routes::RoutesView::new().into(),
            Action::ViewMetrics => metrics::MetricsView::new().into(),
            Action::ViewPulse => pulse::PulseView::new().into(),
            Action::ViewWire => wire::WireView::new(None).into(),
            Action::ViewSources => sources::SourcesView::new().into(),
            Action::ViewCandidates => candidates::CandidatesView::new().into(),
            Action::ViewAudit => audit::AuditView::new().into(),
            Action::ViewMessages => messages::MessagesView::new().into(),
            _ => return None,
        })
    }

    /// The view of a destination.
    pub fn at(ctx: &Context, destination: Destination) -> Self {
        match destination {
            Destination::Agent(key, id) => agent::AgentView::new(key, id).into(),
            Destination::AgentCard(key, id) => agent::AgentView::new(key, id).raw().into(),
            Destination::AgentHistory(key, id) => agent::AgentView::new(key, id).history().into(),
            Destination::Job(key, id) => task::TaskView::new(key, id).into(),
            Destination::Fleet(filter) => fleet::FleetView::new().filtered(&filter).into(),
            Destination::FleetBy(by) => {
                let mut fleet = fleet::FleetView::new();
                fleet.group(by);
                fleet.into()
            }
            Destination::Tasks(filter) => tasks::TasksView::new().filtered(&filter).into(),
            Destination::WorstTasks(filter) => tasks::TasksView::worst_first().filtered(&filter).into(),
            Destination::TasksOfAgent(agent) => tasks::TasksView::of_agent(ctx, agent).into(),
            Destination::TasksOfContext(context) => tasks::TasksView::of_context(context).into(),
            Destination::Problem(key) => problems::ProblemsView::new().at(key).into(),
            Destination::Trace(trace, span) => trace::TraceView::new(trace, span).into(),
            Destination::Logs(of) => logs::LogsView::new(of).into(),
            Destination::Source(key) => sources::SourcesView::new().at(key).into(),
            Destination::MetricsBy(by) => metrics::MetricsView::new().by(by).into(),
            Destination::RoutesOfJob(key, id) => routes::RoutesView::new().of_job(key, id).into(),
            Destination::Wire(agent) => wire::WireView::new(agent).into(),
            Destination::Changes(around) => changes::ChangesView::new(around).into(),
            Destination::Drill(agents) => drill::DrillView::new(agents).into(),
            Destination::Messages => messages::MessagesView::new().into(),
            Destination::RawJob { title, job, target } => raw::RawView::job(title, job, target).into(),
            Destination::RawText { title, lines, target } => raw::RawView::lines(title, lines, target).into(),
        }
    }

    /// A saved view.
    pub fn saved(saved: &Arc<SavedView>) -> Self {
        let mut view = saved.of.view();
        if let Some(list) = view.screen_mut().list_mut() {
            *list.settings_mut() = ListSettings::of(saved.clone());
        }
        view
    }
}
