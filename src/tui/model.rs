//! What the console knows: the fleet's snapshot, where somebody is, and what is open over it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::actions::Action;
use super::caption::{Caption, Cue, Presenter};
use super::format::Clocks;
use super::overlays::Overlay;
use super::preferences::{Change, Preferences, SavedView};
use super::theme::{Role, Theme};
use super::views::View;
use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::id::{AgentKey, AttemptKey, JobId};
use crate::domain::intent::{Intent, Receipt, Refusal};
use crate::domain::job::detail::Detail;
use crate::domain::job::task::TaskState;
use crate::domain::metrics::objective::Objective;
use crate::domain::problem::Severity;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::engine::{Answer, Query, QueryError};
use crate::net::tap::Frame;
use crate::tui::keymap::Chord;
use crate::tui::widgets::sorted::Sorted;

/// A message stays over the last border for this long, in microseconds.
pub const TOAST: std::time::Duration = std::time::Duration::from_secs(4);
/// Facts of the watch that are read back at most.
const WATCH_FACTS: usize = 2000;
/// Messages kept for `:messages`.
const MESSAGES: usize = 500;

/// What the surface is told at its start.
#[derive(Clone, Debug)]
pub struct Info {
    /// The fleet's name.
    pub fleet: String,
    /// A production fleet.
    pub protect: bool,
    /// Nothing may be done.
    pub read_only: bool,
    /// The engine runs in this process: leaving ends the watching.
    pub own_engine: bool,
    /// Who acts.
    pub operator: String,
    /// What a command needs to reach the same fleet, ` --fleet prod-eu`; empty for the usual one.
    pub flags: String,
    /// The fleets of the configuration.
    pub fleets: Vec<String>,
    /// A new problem rings the terminal's bell.
    pub bell: bool,
    /// A new problem is told to the desktop.
    pub desktop: bool,
    /// From how bad on.
    pub rings_from: Severity,
    /// How well work should go.
    pub objectives: Vec<Objective>,
    /// Somebody presents this console: captions are shown, and `.` and `,` advance the presentation.
    pub presenter: Option<Presenter>,
}

/// What every view may read.
#[derive(Debug)]
pub struct Shared {
    /// The fleet as it is shown.
    pub snapshot: Arc<Snapshot>,
    /// The engine's newest; ahead of `snapshot` while the screen is held.
    pub latest: Arc<Snapshot>,
    /// The screen stands still.
    pub held: bool,
    /// About the fleet and this surface.
    pub info: Info,
    /// The looks.
    pub theme: Theme,
    /// The clocks.
    pub clocks: Clocks,
    /// The screen.
    pub size: (u16, u16),
    /// The job that is followed.
    pub story: Option<Story>,
    /// Facts that wait while the screen is held.
    pub waiting: Vec<(JobId, Arc<JournalEntry>)>,
    /// What was on the wire, as last read.
    pub wire: WireCache,
    /// Facts of an agent, as last read.
    pub history: Option<(AgentKey, Vec<JournalEntry>)>,
    /// Facts of the watch, as last read.
    pub watch: Option<Vec<JournalEntry>>,
    /// How often they were read.
    pub watch_read: u64,
    /// Metrics, as last read.
    pub metrics: super::metrics::MetricsCache,
    /// Fields of what jobs began with, as last read.
    pub fields: super::views::now::Fields,
    /// The stretch of time that every view speaks of.
    pub window: super::window::Window,
    /// What it is compared with.
    pub before: super::window::Before,
    /// When tasks failed lately.
    pub failures: VecDeque<(At, AttemptKey)>,
    /// What this console has told.
    pub messages: VecDeque<Message>,
    /// Keys, columns and saved views.
    pub preferences: Preferences,
    /// What the presenter says now; `None` without a presentation.
    pub caption: Option<Caption>,
    /// Now.
    pub now: At,
}

/// A job's story, as far as it has come.
#[derive(Debug)]
pub struct Story {
    /// Whose.
    pub job: JobId,
    /// The story.
    pub detail: Detail,
    /// The number of its last fact.
    pub seq: u64,
    /// It has arrived.
    pub ready: bool,
}

/// Frames as last read.
#[derive(Debug, Default)]
pub struct WireCache {
    /// How many there ever were.
    pub count: u64,
    /// Of which agent; of all if it is none.
    pub agent: Option<AgentKey>,
    /// The frames, oldest first.
    pub frames: Vec<(AgentKey, Frame)>,
}

/// Something that was told.
#[derive(Clone, Debug)]
pub struct Message {
    /// When.
    pub at: At,
    /// What it means.
    pub role: Role,
    /// Printable text.
    pub text: String,
}

/// The console.
#[derive(Debug)]
pub struct Model {
    /// What views read.
    pub shared: Shared,
    /// The time; `shared.now` is what is shown, and stands still while the screen is held.
    pub time: At,
    /// The view.
    pub view: View,
    /// Views that were left, newest last.
    pub past: Vec<View>,
    /// Views that were gone back from.
    pub future: Vec<View>,
    /// What is open over the view, the uppermost last.
    pub overlays: Vec<Overlay>,
    /// A message over the last border, until.
    pub toast: Option<(Message, At)>,
    /// A message that was closed and not sent.
    pub drafts: Vec<super::overlays::composer::Draft>,
    /// Messages that were sent, newest last.
    pub sent: Vec<super::overlays::composer::Draft>,
    /// Overlays that wait while help is read.
    pub parked: Vec<Overlay>,
    /// Counts queries; answers of another generation are thrown away.
    pub generation: u64,
    /// What the view wanted when it was last asked.
    pub wants: super::views::Wants,
    /// Up to which fact of the watch was asked, and whether the answer is awaited.
    pub asked_watch: (Option<u64>, bool),
    /// A query about the wire is under way.
    pub reading_wire: bool,
    /// When the wire was read last.
    pub wire_read: At,
    /// The first line as it was drawn last.
    pub counts: super::header::Counts,
    /// Something that is seen has changed since the last drawing.
    pub dirty: bool,
    /// What is sent from here now is opened once it is taken.
    pub opens: bool,
    /// It was taken, and its row has not come yet.
    pub opening: Option<JobId>,
    /// The highest number of a problem that was heard.
    pub rung: u32,
    /// The mouse is ours.
    pub mouse: bool,
    /// When ctrl-c was pressed once.
    pub interrupted: Option<At>,
    /// Keys shown on stage, with the time until which they are.
    pub keys: VecDeque<(String, At)>,
    /// The engine has ended.
    pub gone: bool,
}

/// Anything that enters `update`.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Chord),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something at a cell.
    Mouse(Mouse, u16, u16),
    /// The screen has another size.
    Resize(u16, u16),
    /// The engine has published.
    Snapshot(Arc<Snapshot>),
    /// A followed job's story so far, and the number of its last fact.
    Story(JobId, Vec<Arc<JournalEntry>>, u64),
    /// It goes on.
    Fact(JobId, Arc<JournalEntry>),
    /// A query was answered.
    Answered(Query, u64, Result<Answer, QueryError>),
    /// An intent was.
    Submitted(String, Result<Receipt, Refusal>),
    /// Rows were sorted by a worker, as of a publication.
    Indexed(super::views::listing::Order, u64, Sorted<AttemptKey>),
    /// The editor was closed; none: nothing was written.
    Edited(Option<String>),
    /// The presenter says something else.
    Caption(Caption),
    /// What is open over the view is on the screen.
    Shown,
    /// Something that is seen has become old.
    Due,
    /// The engine has ended.
    Gone,
    /// Saved views after one was saved or deleted, or why that could not be.
    Views(Change, Result<Vec<Arc<SavedView>>, String>),
    /// Something to tell.
    Say(Role, String),
}

/// What a mouse does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mouse {
    /// Left button.
    Click,
    /// Right button.
    Menu,
    /// Wheel up.
    Up,
    /// Wheel down.
    Down,
}

/// What is not needed any more.
#[derive(Clone, Debug)]
pub enum Waste {
    /// An order of rows.
    Rows(Sorted<AttemptKey>),
    /// A publication before the one that is shown.
    Snapshot(Arc<Snapshot>),
}

/// Anything that leaves `update`.
#[derive(Clone, Debug)]
pub enum Cmd {
    /// Submit an intent; the words say what it was.
    Submit(Intent, String),
    /// Follow this job instead of the one before.
    Follow(Option<JobId>),
    /// Ask a query.
    Query(Query, u64),
    /// Sort rows beside the screen's work.
    Index(super::views::tasks::Work, Arc<Snapshot>),
    /// Forget something: of a million rows, that takes longer than a key may wait.
    Drop(Waste),
    /// Save or delete a view.
    Views(Change),
    /// To the clipboard.
    Copy(String),
    /// To a new file of this name.
    Save(String, String),
    /// Edit a text in `$EDITOR`.
    Edit(String),
    /// Ring the bell, and tell the desktop.
    Ring(Option<String>),
    /// Draw everything afresh.
    Redraw,
    /// Take or leave the mouse.
    Mouse(bool),
    /// Stop this process, as ctrl-z does elsewhere.
    Suspend,
    /// Leave.
    Quit,
    /// Go to another fleet.
    Switch(String),
    /// Advance or repeat the presentation.
    Present(Cue),
}

/// What a view wants done.
#[derive(Debug)]
pub enum Step {
    /// Something outside.
    Cmd(Cmd),
    /// Another view over this one.
    Open(Box<View>),
    /// Something over the view.
    Over(Box<Overlay>),
    /// Something that a key could do.
    Act(super::actions::Action),
    /// Something typed after `:`.
    Command(String),
    /// Every view speaks of another stretch of time.
    Window(super::window::Window),
    /// It is compared with another one.
    Before(super::window::Before),
    /// The command line opens with these words.
    Type(String),
    /// The view is filtered or searched.
    Search(String),
    /// Answer this task in words.
    AnswerInWords(AttemptKey),
    /// A message was sent: it can be had again.
    Sent(Box<super::overlays::composer::Draft>),
    /// Something to tell.
    Say(Role, String),
    /// Up.
    Back,
}

impl Model {
    /// A console on a fleet, at its first view.
    pub fn new(shared: Shared, mouse: bool) -> Self {
        let rung = shared.latest.problems.iter().map(|(_, problem)| problem.number).max().unwrap_or(0);
        Self {
            time: shared.now,
            shared,
            view: super::views::now::NowView::new().into(),
            past: Vec::new(),
            future: Vec::new(),
            overlays: Vec::new(),
            toast: None,
            drafts: Vec::new(),
            sent: Vec::new(),
            parked: Vec::new(),
            generation: 0,
            wants: super::views::Wants::default(),
            asked_watch: (None, false),
            reading_wire: false,
            wire_read: At::ZERO,
            counts: super::header::Counts::default(),
            dirty: true,
            opens: false,
            opening: None,
            rung,
            mouse,
            interrupted: None,
            keys: VecDeque::new(),
            gone: false,
        }
    }

    /// Asks what happened to the watch, up to a fact. One question at a time, however much happens meanwhile.
    pub fn ask_watch(&mut self, wanted: Option<u64>) -> Option<Cmd> {
        let seq = wanted.filter(|seq| self.asked_watch != (Some(*seq), false) && !self.asked_watch.1)?;
        self.asked_watch = (Some(seq), true);
        let query = Query::Facts { owner: Owner::Fleet, limit: WATCH_FACTS };
        Some(Cmd::Query(query, self.generation))
    }

    /// What happened to the watch was answered.
    pub fn take_watch(&mut self, facts: Vec<JournalEntry>) {
        self.asked_watch.1 = false;
        self.shared.watch_read += 1;
        self.shared.watch = Some(facts);
        self.dirty = true;
    }

    /// True if captions are shown to an audience.
    pub fn on_stage(&self) -> bool {
        self.shared.on_stage()
    }

    /// About the fleet and this surface.
    pub fn info(&self) -> &Info {
        &self.shared.info
    }

    /// When something happens by the clock alone; none if nothing does.
    pub fn wakes_at(&self) -> Option<At> {
        let toast = self.toast.as_ref().map(|(_, until)| *until);
        let keys = self.keys.front().map(|(_, until)| *until);
        let wire = self.wants.wire.filter(|_| !self.reading_wire && !self.shared.held);
        let wire = wire.map(|_| self.wire_read + std::time::Duration::from_millis(500));
        let metrics = self.wants.metrics.filter(|_| !self.shared.held);
        let metrics = metrics.map(|every| self.shared.metrics.due(every));
        [toast, keys, wire, metrics].into_iter().flatten().min()
    }
}

impl Shared {
    /// What is known at the start.
    pub fn new(
        snapshot: Arc<Snapshot>,
        info: Info,
        theme: Theme,
        clocks: Clocks,
        size: (u16, u16),
        now: At,
    ) -> Self {
        Self {
            latest: snapshot.clone(),
            snapshot,
            held: false,
            info,
            theme,
            clocks,
            size,
            story: None,
            waiting: Vec::new(),
            wire: WireCache::default(),
            history: None,
            watch: None,
            watch_read: 0,
            metrics: super::metrics::MetricsCache::default(),
            fields: super::views::now::Fields::new(),
            window: super::window::Window::FIRST,
            before: super::window::Before::Day,
            failures: VecDeque::new(),
            messages: VecDeque::new(),
            preferences: Preferences::default(),
            caption: None,
            now,
        }
    }

    /// True if captions are shown to an audience.
    pub fn on_stage(&self) -> bool {
        self.info.presenter.is_some_and(|presenter| presenter.stage)
    }

    /// True if an action can mean anything in this console.
    pub fn offers(&self, action: Action) -> bool {
        !action.needs_presenter() || self.info.presenter.is_some()
    }

    /// What to press for an action, in a sentence.
    pub fn key(&self, action: Action) -> String {
        self.preferences.keys.hint(action)
    }

    /// Failures within the last minute.
    pub fn failures_a_minute(&self) -> usize {
        let since = self.now - std::time::Duration::from_secs(60);
        self.failures.iter().filter(|(at, _)| *at >= since).count()
    }

    /// Notes failures among what changed.
    pub fn note_failures(&mut self, changed: &[Changed]) {
        let since = self.latest.at - std::time::Duration::from_secs(60);
        while self.failures.front().is_some_and(|(at, _)| *at < since) {
            self.failures.pop_front();
        }
        for changed in changed {
            let Changed::Attempt(key) = changed else { continue };
            let Some(attempt) = self.latest.attempts.get(*key) else { continue };
            if let Some(task) = &attempt.task
                && task.state == TaskState::Failed
                // What had failed when it was found failed some time before.
                && task.state_since > attempt.created
                && task.state_since >= since
                && !self.failures.iter().any(|(_, known)| known == key)
            {
                self.failures.push_back((task.state_since, *key));
            }
        }
    }

    /// What must be asked for, so that metrics of the window are known; for a view that wants them so often.
    pub fn ask_metrics(&mut self, every: std::time::Duration) -> Vec<Query> {
        let wanted = self.metrics.ask(self.window, self.before, every, self.now);
        wanted.into_iter().map(Query::Metrics).collect()
    }

    /// The jobs of which nothing was read yet.
    pub fn unread_fields(&self, jobs: &[JobId]) -> Arc<[JobId]> {
        jobs.iter().filter(|job| !self.fields.contains_key(*job)).copied().collect()
    }

    /// What is no longer looked at is forgotten, once there is much of it.
    pub fn forget_fields(&mut self, wanted: &[JobId]) {
        if self.fields.len() > wanted.len() + 2000 {
            self.fields.retain(|job, _| wanted.contains(job));
        }
    }

    /// The marks.
    pub fn glyphs(&self) -> &'static super::theme::Glyphs {
        self.theme.glyphs
    }

    /// The story of a job, if it is the one that is followed and it has arrived.
    pub fn story_of(&self, job: JobId) -> Option<&Story> {
        self.story.as_ref().filter(|story| story.job == job && story.ready)
    }

    /// Notes something that was told.
    pub fn note(&mut self, role: Role, text: String) -> Message {
        let message = Message { at: self.now, role, text };
        if self.messages.len() == MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message.clone());
        message
    }
}
