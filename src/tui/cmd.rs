//! Commands returned by [`update`](super::update::update): everything that the console wants done outside the model.

use std::sync::Arc;

use super::batch;
use super::caption::PresenterCommand;
use super::preferences::Change;
use super::queries::ViewQuery;
use super::views::task_rows::Work;
use super::widgets::sorted::Sorted;
use crate::domain::id::{AttemptKey, JobId};
use crate::domain::intent::Intent;
use crate::domain::state::snapshot::Snapshot;

/// Anything that leaves `update`.
#[derive(Clone, Debug)]
pub enum Cmd {
    /// Submit an intent; the text describes it in the message shown once it is accepted.
    Submit(Intent, String),
    /// Submit intents one after the other; the text describes all of them. The first refusal ends it.
    SubmitInOrder(Vec<Intent>, String),
    /// The same for one of so many things that the operator acts on at once: one of this for each of them.
    SubmitOneOf(usize, Vec<Intent>, String),
    /// Follow this job instead of the one before; `None` follows none.
    Follow(Option<JobId>),
    /// Ask a query, in a generation of queries.
    Query(ViewQuery, u64),
    /// Count the lines of a file, for the card of a batch.
    LookAtBatch(String),
    /// Run a batch beside the console.
    RunBatch(Box<batch::Run>),
    /// Sort rows on a worker thread.
    Index(Work, Arc<Snapshot>),
    /// Drop a large value on a worker thread: freeing a million rows takes longer than a key may wait.
    Drop(Discarded),
    /// Save or delete a view.
    Views(Change),
    /// Copy a text to the clipboard.
    Copy(String),
    /// Write a text, the second string, to a new file of this name.
    Save(String, String),
    /// Edit a text in `$EDITOR`.
    Edit(String),
    /// Ring the bell, and show the text on the desktop if there is one.
    Ring(Option<String>),
    /// Draw the whole screen again.
    Redraw,
    /// Capture the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Stop this process, as ctrl-z does elsewhere.
    Suspend,
    /// Leave the console.
    Quit,
    /// Go to another fleet of the configuration.
    Switch(String),
    /// Advance or repeat the presentation.
    Present(PresenterCommand),
}

/// A large value that is no longer needed.
#[derive(Clone, Debug)]
pub enum Discarded {
    /// An order of rows.
    Rows(Sorted<AttemptKey>),
    /// A snapshot that a newer one has replaced.
    Snapshot(Arc<Snapshot>),
}
