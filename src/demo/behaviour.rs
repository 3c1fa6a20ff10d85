//! How agents of the embedded fleet behave, each by a name of its own.

use serde::Deserialize;

/// A way to behave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Works, tells, gives a result.
    Steady,
    /// Like steady, for longer and with more to tell.
    Slow,
    /// Cuts its stream in the middle of an event; the work goes on.
    DropsMidEvent,
    /// Answers at once with a message and makes no task.
    MessageOnly,
    /// Eighty words a second.
    Chatty,
    /// Steady until it is killed.
    Dies,
    /// Asks a person above 300 EUR.
    NeedsInput,
    /// Fails half of the time, with a clear error.
    Failing,
    /// Says that it works, then nothing.
    Silent,
    /// Agrees to a cancel and goes on.
    IgnoresCancel,
    /// Its stream says completed, `GetTask` says working.
    Disagrees,
    /// Forgets its tasks when it restarts.
    Forgets,
    /// One output of 40 MB.
    Huge,
    /// Clears screens, forges, hides, reverses, grabs clipboards, sends endless lines.
    Hostile,
}

impl Behaviour {
    /// The word in scenario files and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Slow => "slow",
            Self::DropsMidEvent => "drops-mid-event",
            Self::MessageOnly => "message-only",
            Self::Chatty => "chatty",
            Self::Dies => "dies",
            Self::NeedsInput => "needs-input",
            Self::Failing => "failing",
            Self::Silent => "silent",
            Self::IgnoresCancel => "ignores-cancel",
            Self::Disagrees => "disagrees",
            Self::Forgets => "forgets",
            Self::Huge => "huge",
            Self::Hostile => "hostile",
        }
    }
}

/// A fault that an agent of a large fleet has from the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Its port refuses.
    Down,
    /// It accepts and answers nothing.
    Frozen,
    /// Each call takes five seconds.
    Slow,
    /// Every task fails.
    Failing,
    /// Its tasks work, then nothing.
    Silent,
    /// 401 to everything.
    Login,
}

impl Fault {
    /// All of them, in the order in which they are dealt out.
    pub const ALL: [Self; 6] =
        [Self::Down, Self::Frozen, Self::Slow, Self::Failing, Self::Silent, Self::Login];

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Frozen => "frozen",
            Self::Slow => "slow",
            Self::Failing => "failing",
            Self::Silent => "silent",
            Self::Login => "login",
        }
    }
}
