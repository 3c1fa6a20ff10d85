//! The result of each batch of facts: durable, lost, or recovered after a period in which nothing could be written.

use std::sync::Arc;

use super::run::Runner;
use crate::domain::cause::Cause;
use crate::domain::input::{Input, Reply};
use crate::domain::intent::Refusal;
use crate::domain::time::At;
use crate::store::Done;

/// A period in which the journal cannot be written.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// The time of the first failure.
    from: At,
    /// The number of facts that are lost.
    facts: u64,
    /// The batch with the fact that ends this period: once it is durable, the period is over. `None` until the rows
    /// were written.
    proof: Option<u64>,
}

impl Runner {
    pub(super) fn on_done(&mut self, done: Done) {
        let now = self.clock.now();
        let at = self.at(now);
        match done {
            Done::Committed { number, size } => {
                let released = self.gate.end(number, true);
                self.release(released);
                self.made_up = Vec::new();
                if self
                    .unsaved
                    .as_ref()
                    .and_then(|unsaved| unsaved.proof)
                    .is_some_and(|proof| proof <= number)
                {
                    self.unsaved = None;
                    self.step(at, Input::JournalRecovered);
                }
                if let Some(size) = size {
                    self.step(at, Input::StoreSize(size));
                }
            }
            Done::Failed { number, why } => {
                let withheld = self.gate.end(number, false);
                self.unsaved.get_or_insert(Unsaved { from: at, facts: 0, proof: None }).proof = None;
                self.step(at, Input::JournalFailed(why.clone()));
                for effect in withheld.effects {
                    let call = effect.call;
                    let input = match effect.order.kind() {
                        Some(kind) => {
                            Input::Outcome { call, outcome: kind.unsent(Cause::Unsaved(why.clone())) }
                        }
                        None => Input::Withheld(call),
                    };
                    self.step(at, input);
                }
                for Reply { ticket, result } in withheld.replies {
                    let result = if self.core.is_unsaved_act(ticket) {
                        self.step(at, Input::ActUnsaved { ticket, why: why.clone() });
                        Err(Refusal::Cause(Arc::new(Cause::Unsaved(why.clone()))))
                    } else {
                        // Intents without durable facts need no journal.
                        result
                    };
                    self.reply(Reply { ticket, result });
                }
            }
            Done::Recovered { facts } => {
                let unsaved = self.unsaved.get_or_insert(Unsaved { from: at, facts: 0, proof: None });
                unsaved.facts += facts;
                unsaved.proof = Some(self.gate.filling());
                let (from, facts) = (unsaved.from, unsaved.facts);
                self.step(at, Input::JournalRetried { from, facts });
            }
        }
    }

    pub(super) fn hand_over(&mut self, at: At) {
        if let Some(failed) = self.gate.hand_over(self.core.state(), at) {
            self.on_done(failed);
        }
    }

    /// The writer has panicked: everything that waits for it fails, as do all later commits.
    pub(super) fn on_writer_gone(&mut self) {
        if let Some(failed) = self.gate.abandoned() {
            self.on_done(failed);
        }
    }
}
