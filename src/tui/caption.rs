//! Captions that a presenter shows in the console: the presenter's interface and the current caption.
//!
//! The console does not know where the commentary comes from.

/// The current caption, shown above the last border.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Caption {
    /// One line; empty hides the caption.
    pub text: String,
    /// The key to try now, for people who follow on their own.
    pub tour: Option<String>,
    /// Seconds since the presentation began; `None` once it is over.
    pub second: Option<u32>,
    /// True if the presentation waits for the presenter to advance it.
    pub waits: bool,
}

/// How this console is presented.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Presenter {
    /// In front of an audience: larger captions, and the pressed keys are shown.
    pub stage: bool,
    /// Captions name the key to try next.
    pub tour: bool,
}

/// Commands to the presentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PresenterCommand {
    /// Advance to the next step.
    Next,
    /// Return to the previous step and repeat it.
    Again,
}
