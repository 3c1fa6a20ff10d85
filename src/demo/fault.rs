//! Faults that agents of a large fleet have from the start.

/// A fault that an agent has from the start, whatever its behaviour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Its port refuses connections.
    Down,
    /// It accepts connections and never answers.
    Frozen,
    /// It answers each request after five seconds.
    Slow,
    /// Every task fails.
    Failing,
    /// Its tasks start to work and then send nothing more.
    Silent,
    /// It answers every request with 401.
    Login,
}

impl Fault {
    /// All faults, in the order in which `--faults` deals them out.
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
