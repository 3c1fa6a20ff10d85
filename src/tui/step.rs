//! Steps that a view or an overlay requests after a key: navigate, open a menu, show a message.

use super::actions::Action;
use super::cmd::Cmd;
use super::destination::Destination;
use super::draft::Draft;
use super::saved_view::SavedView;
use super::theme::Role;
use super::window::{Baseline, Window};
use crate::domain::id::AttemptKey;
use crate::domain::intent::Intent;

/// A requested step.
#[derive(Debug)]
pub enum Step {
    /// Something outside the console.
    Cmd(Cmd),
    /// Go to another view.
    Open(Box<Destination>),
    /// Open a menu over the view.
    Menu(Box<Menu>),
    /// Prompt for the operator's reason; without one, a protected fleet refuses the act.
    AskWhy(Box<WantsReason>),
    /// Prompt for the name of a view to save.
    SaveView(Box<SavedView>),
    /// Perform an action, as its key would.
    Act(Action),
    /// Run a command line.
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
    /// Show a message.
    Say(Role, String),
    /// Prompt for a text before the agents of the drill die for real.
    ForReal(String),
    /// That text was typed.
    Kill,
    /// Go back to the view before.
    Back,
}

impl Step {
    /// True if it submits something.
    pub fn submits(&self) -> bool {
        matches!(self, Self::Cmd(Cmd::Submit(..) | Cmd::SubmitInOrder(..) | Cmd::SubmitOneOf(..)))
    }
}

/// An act that is submitted with the operator's reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantsReason {
    /// The act.
    pub intent: Intent,
    /// What it is about.
    pub name: String,
    /// The message once it is accepted.
    pub done: String,
}

/// The effect of a key on an overlay.
#[derive(Debug)]
pub enum KeyOutcome {
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
    /// A short label.
    pub label: &'static str,
    /// The item it applies to, or its effect.
    pub detail: String,
    /// The step to take when it is chosen.
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
    /// A menu of lines; `facts` are shown at the right of its title.
    pub fn new(title: &'static str, facts: String, lines: Vec<Line>) -> Self {
        Self { title, facts, lines, chosen: 0 }
    }
}
