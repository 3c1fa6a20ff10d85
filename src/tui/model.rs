//! The state of the console: what views read, the views that were gone through, and what is open over them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, Info, Message};
use super::draft::Draft;
use super::header::Counts;
use super::overlays::Overlay;
use super::queries::Queries;
use super::theme::Role;
use super::views::View;
use super::views::now::NowView;
use crate::domain::fact::JournalEntry;
use crate::domain::id::JobId;
use crate::domain::time::At;

/// A message stays over the last border for this long.
pub const TOAST: Duration = Duration::from_secs(4);
/// Drafts and sent messages kept.
const DRAFTS: usize = 50;

/// The console.
#[derive(Debug)]
pub struct Model {
    /// What views read.
    pub context: Context,
    /// The time. `context.now` is what is shown, and stands still while the screen is held.
    pub time: At,
    /// The view that is shown.
    pub view: View,
    /// Views that were left, newest last.
    pub past: Vec<View>,
    /// Views that were gone back from, the next one last.
    pub future: Vec<View>,
    /// What is open over the view, the uppermost last.
    pub overlays: Vec<Overlay>,
    /// A message over the last border, and until when it is shown.
    pub toast: Option<(Message, At)>,
    /// Messages that were written and not sent, one for each purpose, newest last.
    pub drafts: Vec<Draft>,
    /// Messages that were sent, newest last.
    pub sent: Vec<Draft>,
    /// Overlays that wait while help is read.
    pub parked: Vec<Overlay>,
    /// The queries of the view that is shown.
    pub queries: Queries,
    /// Facts of the followed job that came while the screen is held.
    pub waiting: Vec<(JobId, Arc<JournalEntry>)>,
    /// The first line as it was drawn last.
    pub counts: Counts,
    /// Something on the screen has changed since the last drawing.
    pub dirty: bool,
    /// The job that is sent now is opened once the engine has accepted it.
    pub opens: bool,
    /// A job that was accepted, and is opened once its row has come.
    pub opening: Option<JobId>,
    /// The highest number of a problem that has rung.
    pub rung: u32,
    /// The mouse is captured.
    pub mouse: bool,
    /// When ctrl-c was pressed once.
    pub interrupted: Option<At>,
    /// Keys that are shown on stage, and until when.
    pub keys: VecDeque<(String, At)>,
    /// The engine has ended.
    pub gone: bool,
}

impl Model {
    /// A console on a fleet, at its first view.
    pub fn new(context: Context, mouse: bool) -> Self {
        let numbers = context.latest.problems.iter().map(|(_, problem)| problem.number);
        Self {
            time: context.now,
            rung: numbers.max().unwrap_or(0),
            context,
            view: NowView::new().into(),
            past: Vec::new(),
            future: Vec::new(),
            overlays: Vec::new(),
            toast: None,
            drafts: Vec::new(),
            sent: Vec::new(),
            parked: Vec::new(),
            queries: Queries::default(),
            waiting: Vec::new(),
            counts: Counts::default(),
            dirty: true,
            opens: false,
            opening: None,
            mouse,
            interrupted: None,
            keys: VecDeque::new(),
            gone: false,
        }
    }

    /// About the fleet and the operator.
    pub fn info(&self) -> &Info {
        &self.context.info
    }

    /// Shows a message over the last border, and keeps it for `:messages`.
    pub fn say(&mut self, role: Role, text: String) {
        let message = self.context.note(role, text);
        self.toast = Some((message, self.time + TOAST));
        self.dirty = true;
    }

    /// Keeps what was written, one draft for each purpose; false if nothing was written.
    pub fn keep_draft(&mut self, draft: Draft) -> bool {
        self.drafts.retain(|kept| kept.purpose != draft.purpose);
        if draft.is_empty() {
            return false;
        }
        if self.drafts.len() == DRAFTS {
            self.drafts.remove(0);
        }
        self.drafts.push(draft);
        true
    }

    /// Keeps a message that was sent, to be offered again.
    pub fn keep_sent(&mut self, draft: Draft) {
        self.drafts.retain(|kept| kept.purpose != draft.purpose);
        self.sent.push(draft);
        if self.sent.len() > DRAFTS {
            self.sent.remove(0);
        }
    }

    /// When something happens by the clock alone; `None` if nothing does.
    pub fn wakes_at(&self) -> Option<At> {
        let toast = self.toast.as_ref().map(|(_, until)| *until);
        let keys = self.keys.front().map(|(_, until)| *until);
        let running = (!self.context.held).then_some(&self.queries);
        let query = running.and_then(Queries::wakes_at);
        let metrics = running.and_then(Queries::metrics).map(|every| self.context.metrics.due(every));
        [toast, keys, query, metrics].into_iter().flatten().min()
    }
}
