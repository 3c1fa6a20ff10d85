//! The id of a job, which follows from what is sent and from where it stands.

use sha2::{Digest, Sha256};

use crate::domain::id::JobId;

/// What the id of a job follows from, so that the same command finds what it has sent before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    /// The name of the batch.
    pub batch: &'p str,
    /// The agent, as the line or the command names it.
    pub agent: &'p str,
    /// The number of the line.
    pub line: u64,
    /// The hash of the line.
    pub digest: &'p [u8; 32],
    /// Which of the line's repetitions it is, from 1.
    pub repeat: u32,
    /// Which of its sendings it is, from 0.
    pub retry: u8,
}

impl Place<'_> {
    /// The id of the job: a UUID of version 8 from a hash.
    pub fn job(&self) -> JobId {
        let mut hash = Sha256::new_with_prefix("quarterdeck batch 1");
        for text in [self.batch, self.agent] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update(self.line.to_be_bytes());
        hash.update(self.digest);
        hash.update(self.repeat.to_be_bytes());
        hash.update([self.retry]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        JobId(uuid::Builder::from_custom_bytes(id).into_uuid())
    }
}

/// True for an id that a batch may have given.
pub(super) fn is_of_batch(job: JobId) -> bool {
    job.0.get_version_num() == 8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_follows_from_everything_that_makes_a_sending() {
        let (one, other) = ([1; 32], [2; 32]);
        let place = Place { batch: "b", agent: "a", line: 1, digest: &one, repeat: 1, retry: 0 };
        let all = [
            place,
            Place { batch: "ba", agent: "", ..place },
            Place { batch: "c", ..place },
            Place { agent: "c", ..place },
            Place { line: 2, ..place },
            Place { digest: &other, ..place },
            Place { repeat: 2, ..place },
            Place { retry: 1, ..place },
        ];
        let ids: BTreeSet<JobId> = all.iter().map(Place::job).collect();
        assert_eq!(ids.len(), all.len());
        assert!(ids.iter().all(|id| is_of_batch(*id)));
        // A later version must find what this one has sent.
        assert_eq!(place.job().to_string(), "6062bcbf-8849-82ef-88f4-b92f161fb26e");
    }
}
