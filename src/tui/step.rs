//! What a view or an overlay wants done after a key: go somewhere, open a menu, tell the operator something.

use super::actions::Action;
use super::cmd::Cmd;
use super::destination::Destination;
use super::draft::Draft;
use super::saved_view::SavedView;
use super::theme::Role;
use super::window::{Baseline, Window};
use crate::domain::id::AttemptKey;

/// What a view or an overlay wants done.
#[derive(Debug)]
pub enum Step {
    /// Something outside the console.
    Cmd(Cmd),
    /// Go to another view.
    Open(Box<Destination>),
    /// Open a menu over the view.
    Menu(Box<Menu>),
    /// Ask for the name under which a view is saved.
    SaveView(Box<SavedView>),
    /// What a key of this action does.
    Act(Action),
    /// What this text does after `:`.
    Command(String),
    /// Every view speaks of another stretch of time.
    Window(Window),
    /// The window is compared with another one.
    Baseline(Baseline),
    /// Open the command line with this text.
    Type(String),
    /// Filter or search the view.
    Search(String),
    /// Answer the task of this attempt in words.
    AnswerInWords(AttemptKey),
    /// A message was sent; the composer offers it again.
    Sent(Box<Draft>),
    /// Tell the operator something.
    Say(Role, String),
    /// Go back to the view before.
    Back,
}

/// What a key did to an overlay.
#[derive(Debug)]
pub enum Pressed {
    /// It stays open.
    Stays(Vec<Step>),
    /// It closes.
    Closes(Vec<Step>),
    /// The view behind is searched for this; it stays open.
    Searches(String),
    /// It closes, and the message is kept as a draft.
    Keeps,
}

/// A line of a menu.
#[derive(Debug)]
pub struct Line {
    /// The letter that chooses it.
    pub key: char,
    /// What it does, in a few words.
    pub label: &'static str,
    /// What it does it to, or with what effect.
    pub detail: String,
    /// What is done when it is chosen.
    pub step: Step,
}

/// A menu: one more key chooses a line.
#[derive(Debug)]
pub struct Menu {
    pub(super) title: &'static str,
    pub(super) facts: String,
    pub(super) lines: Vec<Line>,
    pub(super) chosen: usize,
}

impl Menu {
    /// A menu of lines; `facts` stand at the right of its title.
    pub fn new(title: &'static str, facts: String, lines: Vec<Line>) -> Self {
        Self { title, facts, lines, chosen: 0 }
    }
}
