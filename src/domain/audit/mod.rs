//! The audit: every act that was asked for, by whom, through which surface, on what and why, and its outcome.
//!
//! A record is made in the step that decides the intent, and is written in the same transaction as the facts of that
//! step. The store numbers the records of each owner and chains them; see `store/audit/`.

pub mod page;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::fact::Owner;
use crate::domain::id::{AgentId, AttemptId, JobId, TaskId};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Who submits an intent, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Submitter {
    /// The operator's name; `None` for the operator of the engine's own configuration.
    pub name: Option<Untrusted>,
    /// The surface.
    pub surface: Surface,
    /// The user id of the process behind the control socket, as the system reports it. Name and surface are then claims of
    /// that process. `None` for a surface in the engine's own process.
    pub peer: Option<u32>,
    /// How many things the operator acts on at once; this is one of them.
    pub bulk: u32,
}

/// Where an intent comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Surface {
    /// The console.
    Console,
    /// The command line.
    Cli,
    /// A client of the control socket that does not say what it is.
    Socket,
    /// The engine's own process, without an operator: the demo.
    #[default]
    Engine,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Self; 4] = [Self::Console, Self::Cli, Self::Socket, Self::Engine];

    /// Its word in records and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Cli => "cli",
            Self::Socket => "socket",
            Self::Engine => "engine",
        }
    }
}

impl FromStr for Surface {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|surface| surface.as_str() == word).ok_or(())
    }
}

/// One act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRecord {
    /// When it was decided.
    pub at: At,
    /// Whose chain it belongs to.
    pub owner: Owner,
    /// The operator's name.
    pub who: Untrusted,
    /// The surface.
    pub surface: Surface,
    /// As in [`Submitter`]: if set, name and surface are claims.
    pub peer: Option<u32>,
    /// The word of the intent.
    pub intent: Arc<str>,
    /// What it is about.
    pub target: AuditTarget,
    /// The operator's reason.
    pub why: Option<Untrusted>,
    /// How many things the operator acted on at once, if more than one.
    pub bulk: u32,
    /// What came of it.
    pub outcome: ActOutcome,
}

impl AuditRecord {
    /// True if name and surface are claims of a client of the socket.
    pub fn is_claimed(&self) -> bool {
        self.peer.is_some()
    }
}

/// What an act is about: the ids that it names, and words that stay readable when nothing else of it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditTarget {
    /// The job.
    pub job: Option<JobId>,
    /// The attempt.
    pub attempt: Option<AttemptId>,
    /// The agent's id of the task.
    pub task: Option<TaskId>,
    /// The agent.
    pub agent: Option<AgentId>,
    /// The N of `p-N`.
    pub problem: Option<u32>,
    /// The same in words.
    pub words: Untrusted,
}

/// What came of an act. What an agent did about it later is told by the facts of the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActOutcome {
    /// It was accepted, and its facts are durable.
    Accepted,
    /// It was refused, and why.
    Refused(Untrusted),
    /// It was accepted and taken back, because the journal could not be written.
    Withdrawn,
}

impl ActOutcome {
    /// Its word in records.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The same with the reason: `refused: it has ended`.
    pub fn in_words(&self) -> String {
        match self {
            Self::Refused(why) => format!("refused: {}", why.line()),
            Self::Accepted => "accepted".to_owned(),
            Self::Withdrawn => "withdrawn: the journal could not be written".to_owned(),
        }
    }
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(());
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| ())?;
        }
        Ok(Self(hash))
    }
}

/// An owner as it is written in records, exports and messages: `fleet`, `agent:ID` or `job:ID`.
pub fn owner_words(owner: Owner) -> String {
    match owner {
        Owner::Fleet => "fleet".to_owned(),
        Owner::Agent(id) => format!("agent:{id}"),
        Owner::Job(id) => format!("job:{id}"),
    }
}

/// Reads [`owner_words`].
pub fn owner_of_words(words: &str) -> Option<Owner> {
    let id = |id: &str| Uuid::try_parse(id).ok();
    match words.split_once(':') {
        None => (words == "fleet").then_some(Owner::Fleet),
        Some(("agent", text)) => Some(Owner::Agent(AgentId(id(text)?))),
        Some(("job", text)) => Some(Owner::Job(JobId(id(text)?))),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written() {
        let id = Uuid::from_u128(7);
        for owner in [Owner::Fleet, Owner::Agent(AgentId(id)), Owner::Job(JobId(id))] {
            assert_eq!(owner_of_words(&owner_words(owner)), Some(owner));
        }
        for wrong in ["", "fleet:", "job:", "job:x", "task:00000000-0000-0000-0000-000000000007"] {
            assert_eq!(owner_of_words(wrong), None, "{wrong}");
        }
        let hash = Hash(std::array::from_fn(|at| u8::try_from(at * 7).unwrap_or(0)));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for wrong in ["", "ab", &"x".repeat(64), &"é".repeat(32)] {
            assert_eq!(wrong.parse::<Hash>(), Err(()), "{wrong}");
        }
        for surface in Surface::ALL {
            assert_eq!(surface.as_str().parse(), Ok(surface));
        }
    }
}
