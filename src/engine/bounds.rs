//! How much one task may bring: artifacts, messages and content by `domain::limits`. What is beyond is dropped, counted
//! and told; states always pass.

use std::collections::BTreeSet;

use crate::domain::job::message::{Part, text_hash};
use crate::domain::job::task::{StreamEvent, TaskReport};
use crate::domain::limits;
use crate::domain::text::Untrusted;

/// What the stream of one task has brought so far.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// Hashes of the ids of its artifacts.
    artifacts: BTreeSet<u64>,
    messages: usize,
    /// Bytes of artifacts.
    content: u64,
    /// Events and messages that were dropped.
    dropped: u64,
    /// The number of them at which they are told next.
    tells_at: u64,
}

impl Bounds {
    /// True if an artifact is taken: it is known, or there is room for one more.
    pub fn takes_artifact(&mut self, id: &str) -> bool {
        let hash = text_hash(id);
        self.artifacts.contains(&hash)
            || (self.artifacts.len() < limits::ARTIFACTS && self.artifacts.insert(hash))
    }

    /// True if so many bytes of artifacts are taken.
    pub fn takes_bytes(&mut self, bytes: usize) -> bool {
        let content = self.content.saturating_add(bytes as u64);
        let fits = content <= limits::CONTENT;
        if fits {
            self.content = content;
        }
        fits
    }

    /// Counts something that is dropped.
    pub fn drop_one(&mut self) {
        self.dropped += 1;
    }

    /// Takes out of an event what is beyond the bounds. False if nothing of it is left.
    pub fn admit(&mut self, event: &mut StreamEvent) -> bool {
        match event {
            StreamEvent::Artifact { artifact, .. } => {
                let bytes = artifact.parts.iter().map(Part::len).sum();
                let fits = self.takes_artifact(artifact.id.raw()) && self.takes_bytes(bytes);
                self.dropped += u64::from(!fits);
                fits
            }
            StreamEvent::Status { status, .. } => {
                self.messages += usize::from(status.message.is_some());
                if self.messages > limits::MESSAGES && status.message.take().is_some() {
                    self.dropped += 1;
                }
                true
            }
            StreamEvent::Task(report) => {
                self.dropped += cut(report);
                true
            }
            StreamEvent::Message(_) | StreamEvent::Unknown(_) => true,
        }
    }

    /// Says what was dropped: once, and again each time that it is ten times as much.
    pub fn told(&mut self) -> Option<Untrusted> {
        if self.dropped == 0 || self.dropped < self.tells_at {
            return None;
        }
        self.tells_at = (self.tells_at * 10).max(10);
        Some(Untrusted::from(format!(
            "it is over the limit of a task ({} artifacts, {} messages, 1 GiB); dropped so far: {}",
            limits::ARTIFACTS,
            limits::MESSAGES,
            self.dropped
        )))
    }
}

/// Cuts a whole task to what one task may bring. Returns how many artifacts and messages were dropped.
pub(super) fn cut(report: &mut TaskReport) -> u64 {
    let mut dropped = report.history.len().saturating_sub(limits::MESSAGES);
    // The newest messages say how the task is now.
    report.history.drain(..dropped);
    if let Some(artifacts) = &mut report.artifacts {
        dropped += artifacts.len().saturating_sub(limits::ARTIFACTS);
        artifacts.truncate(limits::ARTIFACTS);
    }
    dropped as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::message::Artifact;

    fn output(id: &str, bytes: usize) -> StreamEvent {
        let artifact = Artifact {
            id: id.into(),
            name: None,
            description: None,
            parts: vec![Part::text("x".repeat(bytes))],
            metadata: None,
        };
        StreamEvent::Artifact { task: None, context: None, artifact, append: true, last: false }
    }

    #[test]
    fn what_a_task_brings_is_bounded_and_told() {
        let mut bounds = Bounds::default();
        for number in 0..limits::ARTIFACTS {
            assert!(bounds.admit(&mut output(&format!("a{number}"), 1)));
        }
        assert!(bounds.admit(&mut output("a0", 1)), "it is known");
        assert_eq!(bounds.told(), None);
        let mut told = Vec::new();
        for number in 0..200 {
            assert!(!bounds.admit(&mut output(&format!("b{number}"), 1)));
            told.extend(bounds.told());
        }
        assert_eq!(told.len(), 3, "at 1, 10 and 100");
        assert!(bounds.takes_bytes(usize::try_from(limits::CONTENT - bounds.content).unwrap()));
        assert!(!bounds.admit(&mut output("a0", 1)));
    }
}
