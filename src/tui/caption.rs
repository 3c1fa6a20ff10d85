//! Commentary on what the console shows, told by a presenter: who presents, and what is said at the moment.
//!
//! The console does not know where the commentary comes from.

/// What is said at the moment, above the last border.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Caption {
    /// One line; empty hides the caption.
    pub text: String,
    /// The key to try now, for people who follow on their own.
    pub tour: Option<String>,
    /// Seconds since the presentation began; `None` once it is over.
    pub second: Option<u32>,
    /// The presentation stands still until the presenter advances it.
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

/// What a presenter can do with the presentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cue {
    /// Go on with the next beat.
    Next,
    /// Go back to the beat before and tell it again.
    Again,
}
