//! What every view may read: the fleet as it is shown, the clocks, the theme, and the operator's preferences.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::actions::Action;
use super::batch::Progress;
use super::caption::{Caption, Presenter};
use super::format::Clocks;
use super::metrics_cache::MetricsCache;
use super::preferences::Preferences;
use super::theme::{Glyphs, Role, Theme};
use super::window::{Baseline, Window};
use crate::domain::id::AttemptKey;
use crate::domain::job::task::TaskState;
use crate::domain::metrics::Block;
use crate::domain::metrics::objective::Objective;
use crate::domain::problem::Severity;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;

/// Messages kept for `:messages`.
const MESSAGES: usize = 500;
/// Failures of this last stretch of time are counted in the first line.
const LATELY: Duration = Duration::from_secs(60);

/// What the console knows about its fleet and operator from the start.
#[derive(Clone, Debug)]
pub struct Info {
    /// The fleet's name.
    pub fleet: String,
    /// True for a production fleet, where actions need an extra confirmation.
    pub protect: bool,
    /// Nothing can be sent, canceled or changed from here.
    pub read_only: bool,
    /// The engine runs in this process, so that the fleet is not watched once the console is closed.
    pub own_engine: bool,
    /// The operator's name, as others see it on notes, answers and takes.
    pub operator: String,
    /// What a command line needs to reach the same fleet, such as ` --fleet prod-eu`; empty for the default fleet.
    pub flags: String,
    /// The fleets of the configuration.
    pub fleets: Vec<String>,
    /// A new problem rings the terminal's bell.
    pub bell: bool,
    /// A new problem is shown as a notification of the desktop.
    pub desktop: bool,
    /// Problems of at least this severity ring.
    pub rings_from: Severity,
    /// The objectives that the configuration sets for the fleet.
    pub objectives: Vec<Objective>,
    /// Set if a presenter runs this console: captions are shown, and `.` and `,` advance the presentation.
    pub presenter: Option<Presenter>,
}

/// Data that every view may read. Data that only some views need is kept in those views.
#[derive(Debug)]
pub struct Context {
    /// The fleet as it is shown.
    pub snapshot: Arc<Snapshot>,
    /// The newest snapshot of the engine; newer than `snapshot` while the screen is held.
    pub latest: Arc<Snapshot>,
    /// The operator holds the screen still.
    pub held: bool,
    /// About the fleet and the operator.
    pub info: Info,
    /// Colours and glyphs.
    pub theme: Theme,
    /// How points in time are written.
    pub clocks: Clocks,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The stretch of time that every view speaks of.
    pub window: Window,
    /// What the window is compared with.
    pub baseline: Baseline,
    /// Metrics as last read, for all views that show some.
    pub metrics: MetricsCache,
    /// When which attempts failed, within the last minute.
    pub failures: VecDeque<(At, AttemptKey)>,
    /// Messages that were shown over the last border, oldest first.
    pub messages: VecDeque<Message>,
    /// Keys, columns and saved views.
    pub preferences: Preferences,
    /// The presenter's current caption; `None` without a presentation.
    pub caption: Option<Caption>,
    /// How far the batch has come that this console runs; `None` if none runs.
    pub batch: Option<Progress>,
    /// The displayed time; frozen while the screen is held.
    pub now: At,
}

/// A message of the console to the operator.
#[derive(Clone, Debug)]
pub struct Message {
    /// When it was shown first.
    pub at: At,
    /// Its colour.
    pub role: Role,
    /// Printable text.
    pub text: String,
}

impl Context {
    /// The context of a console that has just started, with default preferences.
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
            theme,
            clocks,
            size,
            window: if info.presenter.is_some() { Window::PRESENTED } else { Window::FIRST },
            baseline: Baseline::Day,
            metrics: MetricsCache::default(),
            failures: VecDeque::new(),
            messages: VecDeque::new(),
            preferences: Preferences::default(),
            caption: None,
            batch: None,
            now,
            info,
        }
    }

    /// `last 15m`, for titles; and until when it is made up, if a demo has made up some of it.
    pub fn window_words(&self) -> String {
        let window = self.window.word(&self.clocks);
        match self.metrics.made_up_until(self.window.parts(self.now), self.now) {
            Some(until) => {
                format!("last {window}, made up until {}", self.clocks.time_of_day(until.begins()))
            }
            None => format!("last {window}"),
        }
    }

    /// `WAS the day before`, for titles; and that it is made up, if a demo has made up some of it.
    pub fn baseline_words(&self) -> String {
        let made_up = self.metrics.previous().is_some_and(Block::is_made_up);
        format!("WAS {}{}", self.baseline.word(), if made_up { " (made up)" } else { "" })
    }

    /// True if captions are shown to an audience.
    pub fn on_stage(&self) -> bool {
        self.info.presenter.is_some_and(|presenter| presenter.stage)
    }

    /// True if an action can mean anything in this console. What it refuses is offered nowhere: not in the key bar, in
    /// help, among the commands, or in a pane.
    pub fn offers(&self, action: Action) -> bool {
        let is_refused = action.acts() && self.info.read_only;
        !is_refused && (!action.needs_presenter() || self.info.presenter.is_some())
    }

    /// A hint at an action with its key, such as `n sends one.`; empty if this console does not offer it.
    pub fn hint(&self, action: Action, words: &str) -> String {
        if self.offers(action) { format!("{} {words}", self.key(action)) } else { String::new() }
    }

    /// A next step with the key that does it, such as `a: answer it`; without the key if this console does not offer it.
    pub fn step(&self, action: Action, words: &str) -> String {
        if self.offers(action) { format!("{}: {words}", self.key(action)) } else { words.to_owned() }
    }

    /// How an action is named in a sentence: its first key, or the command if it has no key.
    pub fn key(&self, action: Action) -> String {
        self.preferences.keys.hint(action)
    }

    /// The glyphs of the theme.
    pub fn glyphs(&self) -> &'static Glyphs {
        self.theme.glyphs
    }

    /// How many attempts failed within the last minute.
    pub fn failures_a_minute(&self) -> usize {
        let since = self.now - LATELY;
        self.failures.iter().filter(|(at, _)| *at >= since).count()
    }

    /// Counts the failures among what changed with the latest snapshot.
    pub fn note_failures(&mut self, changed: &[Changed]) {
        let since = self.latest.at - LATELY;
        while self.failures.front().is_some_and(|(at, _)| *at < since) {
            self.failures.pop_front();
        }
        for changed in changed {
            let Changed::Attempt(key) = changed else { continue };
            let Some(attempt) = self.latest.attempts.get(*key) else { continue };
            if let Some(task) = &attempt.task
                && task.state == TaskState::Failed
                // A task that had already failed when it was found did so at an unknown time before.
                && task.state_since > attempt.created
                && task.state_since >= since
                && !self.failures.iter().any(|(_, known)| known == key)
            {
                self.failures.push_back((task.state_since, *key));
            }
        }
    }

    /// Keeps a message for `:messages`; the oldest is dropped once there are too many.
    pub fn note(&mut self, role: Role, text: String) -> Message {
        let message = Message { at: self.now, role, text };
        if self.messages.len() == MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message.clone());
        message
    }
}
