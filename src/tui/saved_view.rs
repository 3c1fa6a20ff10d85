//! The lists that can be saved as views, their display settings, and saved views.

use std::sync::Arc;

use super::widgets::filter::Filter;

/// The lists that can be saved as views, and whose columns can be chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ListKind {
    /// Agents.
    Fleet,
    /// Tasks.
    Tasks,
    /// Tasks and sendings that wait for a person.
    Inbox,
    /// Problems.
    Problems,
    /// What tasks did across agents.
    Traces,
    /// What agents logged.
    Logs,
    /// Jobs that wait, and dead letters.
    Queue,
    /// Rules of routing.
    Routes,
    /// Sent and received frames.
    Wire,
    /// Where agents are found.
    Sources,
    /// Agents named by other agents' cards.
    Candidates,
    /// Changes in and around the fleet.
    Changes,
    /// Who did what.
    Audit,
    /// How callers and skills are served.
    Now,
    /// Counts, shares and durations.
    Metrics,
    /// Agents over time.
    Pulse,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Fleet,
        Self::Tasks,
        Self::Inbox,
        Self::Problems,
        Self::Traces,
        Self::Logs,
        Self::Queue,
        Self::Routes,
        Self::Wire,
        Self::Sources,
        Self::Candidates,
        Self::Changes,
        Self::Audit,
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
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Queue => "queue",
            Self::Routes => "routes",
            Self::Wire => "wire",
            Self::Sources => "sources",
            Self::Candidates => "candidates",
            Self::Changes => "changes",
            Self::Audit => "audit",
            Self::Now => "now",
            Self::Metrics => "metrics",
            Self::Pulse => "pulse",
        }
    }
}

/// The display settings of a list: filter and order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListSettings {
    /// Rows that do not pass are left out.
    pub filter: Filter,
    /// The filter that the list was opened with: leaving it leaves the list.
    pub opened: Filter,
    /// Show only faulty or doubtful rows.
    pub faults: bool,
    /// The number of the sort column.
    pub sort: usize,
    /// True if the order is the reverse of the column's default.
    pub reversed: bool,
    /// True if all columns are shown.
    pub wide: bool,
    /// The columns by their number, in order; `None` shows those of the preferences.
    pub columns: Option<Vec<usize>>,
    /// The saved view that it began as.
    pub saved: Option<Arc<SavedView>>,
}

impl ListSettings {
    /// Everything, sorted by a column.
    pub fn new(sort: usize) -> Self {
        Self {
            filter: Filter::default(),
            opened: Filter::default(),
            faults: false,
            sort,
            reversed: false,
            wide: false,
            columns: None,
            saved: None,
        }
    }

    /// A list as it was saved.
    pub fn of(saved: Arc<SavedView>) -> Self {
        Self { saved: Some(saved.clone()), ..saved.settings.clone() }
    }

    /// Everything that passes a filter, which the list is about.
    pub fn open_with(&mut self, text: &str) {
        self.filter = Filter::parse(text);
        self.opened = self.filter.clone();
    }

    /// True if something is left out.
    pub fn leaves_out(&self) -> bool {
        self.faults || !self.filter.is_empty()
    }

    /// Sorts by a column; the same column again turns the order round.
    pub fn sort_by(&mut self, column: usize) {
        self.reversed = self.sort == column && !self.reversed;
        self.sort = column;
    }

    /// Clears the filter, or if there is none the filter of faults: back to the saved settings, to what the list was
    /// opened with, or to all rows. False if nothing was cleared.
    pub fn clear_one(&mut self) -> bool {
        let (filter, faults) = match &self.saved {
            Some(saved) => (saved.settings.filter.clone(), saved.settings.faults),
            None => (self.opened.clone(), false),
        };
        if self.filter != filter {
            self.filter = filter;
        } else if self.faults != faults {
            self.faults = faults;
        } else {
            return false;
        }
        true
    }
}

/// A list as it was saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedView {
    /// What opens it, after `:`.
    pub name: String,
    /// The list that it shows.
    pub of: ListKind,
    /// How the list is shown.
    pub settings: ListSettings,
    /// True if the console saved it and may change or delete it; false if it is defined in the configuration.
    pub kept: bool,
}

impl SavedView {
    /// A short summary of its settings.
    pub fn summary(&self) -> String {
        let mut words = vec![self.of.word().to_owned()];
        if !self.settings.filter.is_empty() {
            words.push(self.settings.filter.text().to_owned());
        }
        if self.settings.faults {
            words.push("faults only".into());
        }
        words.join(" · ")
    }
}
