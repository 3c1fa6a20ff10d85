//! The console's state: data for views, the history of views, and the open overlays.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, Info, Message};
use super::destination::Target;
use super::draft::Draft;
use super::header::Counts;
use super::overlays::Overlay;
use super::queries::Queries;
use super::theme::Role;
use super::views::View;
use super::views::now::NowView;
use crate::domain::fact::JournalEntry;
use crate::domain::id::JobId;
use crate::domain::intent::Intent;
use crate::domain::time::At;

/// A message stays over the last border for this long.
pub const TOAST: Duration = Duration::from_secs(4);
/// Drafts and sent messages kept.
const DRAFTS: usize = 50;

/// The reverse of an act that was done at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastAct {
    /// What it was about.
    pub about: Target,
    /// What takes it back, and the message for that.
    pub reverse: (Intent, String),
}

/// The console.
#[derive(Debug)]
pub struct Model {
    /// Data that views read.
    pub context: Context,
    /// The current time; `context.now` is the displayed one, frozen while the screen is held.
    pub time: At,
    /// The current view.
    pub view: View,
    /// Views that were left, newest last.
    pub past: Vec<View>,
    /// Views that were gone back from, the next one last.
    pub future: Vec<View>,
    /// Open overlays, topmost last.
    pub overlays: Vec<Overlay>,
    /// A message over the last border, with the time at which it disappears.
    pub toast: Option<(Message, At)>,
    /// Messages that were written and not sent, one for each purpose, newest last.
    pub drafts: Vec<Draft>,
    /// Messages that were sent, newest last.
    pub sent: Vec<Draft>,
    /// Overlays that wait while help is read.
    pub parked: Vec<Overlay>,
    /// The queries of the current view.
    pub queries: Queries,
    /// Facts of the followed job that came while the screen is held.
    pub waiting: Vec<(JobId, Arc<JournalEntry>)>,
    /// The counts drawn last in the first line.
    pub counts: Counts,
    /// Something on the screen has changed since the last drawing.
    pub dirty: bool,
    /// True if the job being sent is to be opened once the engine has accepted it.
    pub opens: bool,
    /// What `u` takes back, if the row under the cursor offers nothing else.
    pub last_act: Option<LastAct>,
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
            last_act: None,
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

    /// Shows a message over the last border, and keeps it for `:messages`. Hints about keys are quiet and not kept.
    pub fn say(&mut self, role: Role, text: String) {
        let message = if role == Role::Quiet {
            Message { at: self.context.now, role, text }
        } else {
            self.context.note(role, text)
        };
        self.toast = Some((message, self.time + TOAST));
        self.dirty = true;
    }

    /// Keeps an unsent message, one for each purpose; false if it is empty.
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

    /// The next time at which the screen changes without input; `None` if it does not.
    pub fn wakes_at(&self) -> Option<At> {
        let toast = self.toast.as_ref().map(|(_, until)| *until);
        let keys = self.keys.front().map(|(_, until)| *until);
        let running = (!self.context.held).then_some(&self.queries);
        let query = running.and_then(Queries::wakes_at);
        let metrics = running.and_then(Queries::metrics).map(|every| self.context.metrics.due(every));
        [toast, keys, query, metrics].into_iter().flatten().min()
    }
}
