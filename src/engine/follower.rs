//! A follower of a job, with a bound on what it has not received yet.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::gate::carried;
use super::{FOLLOW, FOLLOW_BYTES};
use crate::domain::fact::{Fact, JobFact, JournalEntry};

/// Receives the facts of a job.
#[derive(Debug)]
pub(super) struct Follower {
    facts: mpsc::Sender<Arc<JournalEntry>>,
    /// The sizes of the facts in the channel, oldest first, and their sum.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Follower {
    /// A follower, and the channel that it reads.
    pub fn new() -> (Self, mpsc::Receiver<Arc<JournalEntry>>) {
        let (facts, more) = mpsc::channel(FOLLOW);
        (Self { facts, sizes: VecDeque::new(), bytes: 0 }, more)
    }

    /// Sends a fact. False if the follower is too far behind or has gone, and is to be dropped.
    pub fn send(&mut self, fact: &Arc<JournalEntry>) -> bool {
        let unread = self.facts.max_capacity() - self.facts.capacity();
        while self.sizes.len() > unread {
            self.bytes -= self.sizes.pop_front().unwrap_or_default();
        }
        let size = match &fact.fact {
            Fact::Job(_, JobFact::Attempt(_, fact)) => carried(fact),
            Fact::Fleet(_) | Fact::Agent(..) | Fact::Job(..) => 0,
        };
        if unread > 0 && self.bytes + size > FOLLOW_BYTES {
            return false;
        }
        self.sizes.push_back(size);
        self.bytes += size;
        self.facts.try_send(fact.clone()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fact::AttemptFact;
    use crate::domain::id::{AttemptId, JobId};
    use crate::domain::job::message::Part;
    use crate::domain::time::At;

    fn chunk(bytes: usize) -> Arc<JournalEntry> {
        let fact = AttemptFact::ArtifactSeen {
            artifact: "a".into(),
            name: None,
            append: true,
            parts: Arc::new(vec![Part::text("x".repeat(bytes))]),
            last: false,
        };
        let (job, attempt) = (JobId(uuid::Uuid::nil()), AttemptId(uuid::Uuid::nil()));
        let fact = Fact::Job(job, JobFact::Attempt(attempt, fact));
        Arc::new(JournalEntry { at: At::ZERO, seq: 1, actor: None, fact })
    }

    #[test]
    fn a_follower_that_is_too_many_bytes_behind_is_dropped() {
        let (mut follower, mut more) = Follower::new();
        let half = chunk(FOLLOW_BYTES / 2);
        assert!(follower.send(&half) && follower.send(&half));
        assert!(!follower.send(&chunk(1)), "it has read nothing");
        // Reading a fact makes room.
        assert!(more.try_recv().is_ok());
        assert!(follower.send(&half));
        // A single fact is never too large for a follower that is up to date.
        while more.try_recv().is_ok() {}
        assert!(follower.send(&chunk(FOLLOW_BYTES * 2)));
    }
}
