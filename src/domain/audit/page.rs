//! Reading the audit: filters, pages, and what a verification found.

use super::{AuditRecord, Hash, Surface};
use crate::domain::fact::Owner;
use crate::domain::id::{AgentId, JobId, TaskId};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The records that are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Of this operator, whatever the case of the letters.
    pub who: Option<Untrusted>,
    /// From this surface.
    pub surface: Option<Surface>,
    /// Of this intent.
    pub intent: Option<Untrusted>,
    /// About something with these words, whatever the case of the letters.
    pub about: Option<Untrusted>,
    /// About this agent.
    pub agent: Option<AgentId>,
    /// About this job.
    pub job: Option<JobId>,
    /// About this task.
    pub task: Option<TaskId>,
    /// Not older than this.
    pub since: Option<At>,
    /// Only what was refused or withdrawn.
    pub failed: bool,
}

impl AuditFilter {
    /// True if a record is wanted, its time aside.
    pub fn passes(&self, record: &AuditRecord) -> bool {
        let target = &record.target;
        let of_agent = |agent: &AgentId| target.agent == Some(*agent) || record.owner == Owner::Agent(*agent);
        let of_job = |job: &JobId| target.job == Some(*job) || record.owner == Owner::Job(*job);
        let who = |who: &Untrusted| *who.raw().to_lowercase() == record.who.raw().to_lowercase();
        self.who.as_ref().is_none_or(who)
            && self.surface.is_none_or(|surface| surface == record.surface)
            && self.intent.as_ref().is_none_or(|intent| *intent.raw() == *record.intent)
            && self.about.as_ref().is_none_or(|about| target.words.contains_ignore_case(about.raw()))
            && self.agent.as_ref().is_none_or(of_agent)
            && self.job.as_ref().is_none_or(of_job)
            && self.task.as_ref().is_none_or(|task| target.task.as_ref() == Some(task))
            && !(self.failed && record.outcome == super::ActOutcome::Accepted)
    }
}

/// A record with its place in the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Its number in the order in which all records were written.
    pub number: u64,
    /// Its number in the chain of its owner, from 1.
    pub seq: u64,
    /// The hash that ends the chain up to it.
    pub hash: Hash,
    /// The record.
    pub record: AuditRecord,
}

/// A part of the records, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditPage {
    /// The records.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins; `None` if nothing older is left.
    pub next: Option<u64>,
}

/// The end of the fleet's chain. Kept elsewhere, it shows whether that chain was cut or written anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its number in the fleet's chain; 0 if only the hash is known.
    pub seq: u64,
    /// The hash of that row.
    pub hash: Hash,
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = ();

    /// `SEQ:HASH`, or the hash alone.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            Some((seq, hash)) => Ok(Self { seq: seq.parse().map_err(|_| ())?, hash: hash.parse()? }),
            None => Ok(Self { seq: 0, hash: text.parse()? }),
        }
    }
}

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verification {
    /// Rows that were read.
    pub rows: u64,
    /// Chains that were read.
    pub owners: u64,
    /// Seals of the fleet's chain whose heads were compared.
    pub seals: u64,
    /// The head to keep elsewhere; `None` if nothing was recorded yet, or the fleet's chain is broken.
    pub head: Option<Head>,
    /// Everything before this time was removed by retention; `None` if nothing was.
    pub pruned_until: Option<At>,
    /// The first place where the chain does not hold; `None` if it does.
    pub broken: Option<Break>,
}

/// A place where the chain does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Break {
    /// The owner of the chain, as [`owner_words`](super::owner_words) writes it.
    pub owner: Untrusted,
    /// The number of the row in that chain.
    pub seq: u64,
    /// What is wrong.
    pub what: Untrusted,
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.owner.line(), self.seq, self.what.line())
    }
}
