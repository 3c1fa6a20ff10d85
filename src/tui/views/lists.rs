//! The lists that can be saved as views: the columns of each, and how many rows a saved view shows.

use super::listing::{LARGE, List, Order, Rows};
use super::queue::QueueRows;
use super::task_rows::TaskRows;
use super::{
    View, agent_rows, audit, candidates, changes, fleet, inbox, logs, metrics, now, problem_rows, problems,
    pulse, queue, route_rows, routes, sources, task_rows, tasks, trace_rows, traces, wire,
};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::tui::context::Context;
use crate::tui::destination::LogsOf;
use crate::tui::preferences::Columns;
use crate::tui::saved_view::{ListKind, ListSettings, SavedView};
use crate::tui::widgets::table::{Column, TableColumn};

impl ListKind {
    /// Every column that it has.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Fleet => agent_rows::AgentColumn::COLUMNS,
            Self::Tasks => task_rows::TaskColumn::COLUMNS,
            Self::Inbox => inbox::WaitingColumn::COLUMNS,
            Self::Problems => problem_rows::ProblemColumn::COLUMNS,
            Self::Traces => trace_rows::TraceColumn::COLUMNS,
            Self::Logs => logs::LogColumn::COLUMNS,
            Self::Queue => queue::QueueColumn::COLUMNS,
            Self::Routes => route_rows::RouteColumn::COLUMNS,
            Self::Wire => wire::FrameColumn::COLUMNS,
            Self::Sources => sources::SourceColumn::COLUMNS,
            Self::Candidates => candidates::CandidateColumn::COLUMNS,
            Self::Changes => changes::ChangeColumn::COLUMNS,
            Self::Audit => audit::AuditColumn::COLUMNS,
            Self::Now => now::ImpactColumn::COLUMNS,
            Self::Metrics => metrics::MetricsColumn::COLUMNS,
            Self::Pulse => pulse::PulseColumn::COLUMNS,
        }
    }

    /// The number of the default sort column.
    pub fn usual_sort(self) -> usize {
        let view = self.view();
        view.screen().list().map_or(0, |list| list.settings().sort)
    }

    /// Its view, of everything.
    pub fn view(self) -> View {
        match self {
            Self::Fleet => fleet::FleetView::new().into(),
            Self::Tasks => tasks::TasksView::new().into(),
            Self::Inbox => inbox::InboxView::new().into(),
            Self::Problems => problems::ProblemsView::new().into(),
            Self::Traces => traces::TracesView::new().into(),
            Self::Logs => logs::LogsView::new(LogsOf::default()).into(),
            Self::Queue => queue::QueueView::new().into(),
            Self::Routes => routes::RoutesView::new().into(),
            Self::Wire => wire::WireView::new(None).into(),
            Self::Sources => sources::SourcesView::new().into(),
            Self::Candidates => candidates::CandidatesView::new().into(),
            Self::Changes => changes::ChangesView::new(None).into(),
            Self::Audit => audit::AuditView::new().into(),
            Self::Now => now::NowView::new().into(),
            Self::Metrics => metrics::MetricsView::new().into(),
            Self::Pulse => pulse::PulseView::new().into(),
        }
    }
}

impl ListKind {
    /// The words before `=` in a filter; a fleet also takes the names of labels.
    pub fn filter_keys(self) -> &'static [&'static str] {
        match self {
            Self::Fleet => &[
                "agent",
                "state",
                "speaks",
                "breaker",
                "url",
                "skill",
                "source",
                "says",
                "version",
                "provider",
                "region",
                "framework",
                "label",
                "name",
            ],
            Self::Tasks => {
                &["agent", "state", "skill", "from", "job", "task", "note", "context", "is", "caller"]
            }
            Self::Inbox => &["agent", "wants", "question", "job"],
            Self::Problems => &["agent", "state", "kind", "severity", "owner"],
            Self::Traces => trace_rows::FILTER_KEYS,
            Self::Logs => &["severity", "agent", "text", "trace", "span", "logger", "level"],
            Self::Queue => &["job", "waits-for", "rule", "cause", "from", "caller", "is"],
            Self::Routes => &["rule", "matches", "sends-to", "balance"],
            Self::Wire => &["agent", "kind", "call", "method", "task", "frame"],
            Self::Sources => &["source", "kind", "at", "state", "error", "name", "where"],
            Self::Candidates => &["url", "name", "by"],
            Self::Changes => &["agent", "kind"],
            Self::Audit => &["who", "surface", "did", "target", "why", "outcome", "intent", "agent"],
            Self::Now => &["skill", "caller", "name"],
            Self::Metrics => &["agent", "skill", "caller", "name"],
            Self::Pulse => &["agent", "name"],
        }
    }
}

/// What is wrong with the filter of a list: it names no column that there is.
pub fn no_column(ctx: &Context, list: &dyn List) -> Option<String> {
    let keys = list.kind().filter_keys();
    let labels = |key: &str| {
        let mut agents = ctx.snapshot.agents.iter();
        list.kind() == ListKind::Fleet
            && agents.any(|(_, agent)| agent.spec.labels.iter().any(|(name, _)| &**name == key))
    };
    let unknown = list.settings().filter.keys().find(|key| !keys.contains(key) && !labels(key))?;
    let unknown = Untrusted::from(unknown).shortened(30);
    Some(format!("no column {unknown}; there are {}", keys.join(", ")))
}

impl Columns {
    /// The default columns of a list, by name.
    pub fn names(&self, list: ListKind) -> Vec<String> {
        let shown = self.of(list, list.columns(), &ListSettings::new(list.usual_sort()));
        shown.into_iter().map(|at| list.columns()[at].word()).collect()
    }
}

impl SavedView {
    /// The name of the sort column.
    pub fn sort(&self) -> String {
        self.of.columns().get(self.settings.sort).map(Column::word).unwrap_or_default()
    }

    /// True if the highest value comes first.
    pub fn descending(&self) -> bool {
        let highest_first =
            self.of.columns().get(self.settings.sort).is_some_and(|column| column.highest_first);
        highest_first != self.settings.reversed
    }

    /// The names of its columns; `None` shows those of the preferences.
    pub fn columns(&self) -> Option<Vec<String>> {
        let chosen = self.settings.columns.as_ref()?;
        Some(chosen.iter().map(|at| self.of.columns()[*at].word()).collect())
    }
}

/// The number of rows that a saved view shows, counted over the newest if there are very many; `None` if unknown. Those of
/// the queue are found before.
pub fn counted(snapshot: &Snapshot, saved: &SavedView, queue: &QueueRows) -> Option<usize> {
    fn count<R: Rows>(source: &R, snapshot: &Snapshot, order: &Order) -> usize {
        source.keys(snapshot).filter(|key| source.shows(snapshot, *key, order)).count()
    }
    let settings = &saved.settings;
    let order = Order {
        by: settings.sort,
        reversed: settings.reversed,
        filter: settings.filter.clone(),
        faults: settings.faults,
        list: 0,
    };
    Some(match saved.of {
        ListKind::Fleet => count(&agent_rows::AgentRows::default(), snapshot, &order),
        ListKind::Tasks => {
            let newest = u32::try_from(LARGE).ok();
            count(&TaskRows { newest, ..TaskRows::default() }, snapshot, &order)
        }
        ListKind::Inbox => count(&inbox::WaitingRows, snapshot, &order),
        ListKind::Problems => count(&problem_rows::ProblemRows::default(), snapshot, &order),
        ListKind::Sources => count(&sources::SourceRows, snapshot, &order),
        ListKind::Queue => count(queue, snapshot, &order),
        // Their rows are read only while their view is shown.
        ListKind::Wire
        | ListKind::Traces
        | ListKind::Logs
        | ListKind::Routes
        | ListKind::Now
        | ListKind::Metrics
        | ListKind::Pulse
        | ListKind::Candidates
        | ListKind::Changes
        | ListKind::Audit => return None,
    })
}
