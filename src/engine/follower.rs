//! Who follows a job, and how much of what it was sent it has not taken yet.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::gate::carried;
use super::{FOLLOW, FOLLOW_BYTES};
use crate::domain::fact::{Fact, JobFact, JournalEntry};

/// Where the facts of a job go.
#[derive(Debug)]
pub(super) struct Follower {
    facts: mpsc::Sender<Arc<JournalEntry>>,
    /// Bytes of content of the facts that it may not have taken yet, oldest first, and their sum.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Follower {
    /// A follower, and what it reads.
    pub fn new() -> (Self, mpsc::Receiver<Arc<JournalEntry>>) {
        let (facts, more) = mpsc::channel(FOLLOW);
        (Self { facts, sizes: VecDeque::new(), bytes: 0 }, more)
    }

    /// Sends a fact. False if it is too far behind or has gone; then it is let go.
    pub fn send(&mut self, fact: &Arc<JournalEntry>) -> bool {
        let untaken = self.facts.max_capacity() - self.facts.capacity();
        while self.sizes.len() > untaken {
            self.bytes -= self.sizes.pop_front().unwrap_or_default();
        }
        let size = match &fact.fact {
            Fact::Job(_, JobFact::Attempt(_, fact)) => carried(fact),
            Fact::Fleet(_) | Fact::Agent(..) | Fact::Job(..) => 0,
        };
        if untaken > 0 && self.bytes + size > FOLLOW_BYTES {
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
        assert!(!follower.send(&chunk(1)), "it has taken nothing");
        // What it takes makes room.
        assert!(more.try_recv().is_ok());
        assert!(follower.send(&half));
        // One fact is never too large for a follower that is up to date.
        while more.try_recv().is_ok() {}
        assert!(follower.send(&chunk(FOLLOW_BYTES * 2)));
    }
}
