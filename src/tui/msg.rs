//! Messages into [`update`](super::update::update): keys, engine updates, answers, the clock.

use std::sync::Arc;

use super::batch;
use super::caption::Caption;
use super::keymap::Chord;
use super::preferences::Change;
use super::queries::{ViewAnswer, ViewQuery};
use super::saved_view::SavedView;
use super::theme::Role;
use super::views::listing::Order;
use super::widgets::sorted::Sorted;
use crate::domain::fact::JournalEntry;
use crate::domain::id::{AttemptKey, JobId};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::state::snapshot::Snapshot;
use crate::engine::QueryError;

/// Anything that enters `update`.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Chord),
    /// Text was pasted.
    Paste(String),
    /// The mouse was used at a column and row.
    Mouse(Mouse, u16, u16),
    /// The terminal has another size, in columns and rows.
    Resize(u16, u16),
    /// The engine has published a snapshot.
    Snapshot(Arc<Snapshot>),
    /// The facts of the followed job so far, and the number of the last one.
    Job(JobId, Vec<Arc<JournalEntry>>, u64),
    /// One more fact of the followed job.
    Fact(JobId, Arc<JournalEntry>),
    /// A query was answered; the number is the query's generation.
    Answered(ViewQuery, u64, Result<ViewAnswer, QueryError>),
    /// The engine accepted or refused an intent; the text describes the intent.
    Submitted(String, Result<Receipt, Refusal>),
    /// A worker has sorted rows, as of a revision of the snapshot.
    Indexed(Order, u64, Sorted<AttemptKey>),
    /// The editor was closed; `None` if it wrote nothing.
    Edited(Option<String>),
    /// A new caption of the presenter.
    Caption(Caption),
    /// The overlay has been drawn.
    Shown,
    /// Something on the screen is no longer true, such as an age.
    Due,
    /// The engine has ended.
    Gone,
    /// The saved views after a change, or why it could not be made.
    Views(Change, Result<Vec<Arc<SavedView>>, String>),
    /// News of a batch.
    Batch(batch::News),
    /// A message for the operator.
    Say(Role, String),
}

/// A mouse action.
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
