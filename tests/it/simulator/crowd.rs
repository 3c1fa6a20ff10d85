//! Storms in which more is sent than the queue holds: what is refused leaves nothing, and what was accepted stays.

use quarterdeck::domain::limits;

use super::*;

/// Jobs that may wait in a crowded storm.
const ROOM: usize = 2;
/// What is sent beside everything else.
const SENT: u64 = 60;

impl World {
    /// How many jobs may wait; every fourth storm is crowded.
    pub(super) fn room(number: u64) -> usize {
        if number.is_multiple_of(4) { ROOM } else { limits::QUEUED_JOBS }
    }

    /// Lets a crowd come in a storm that has little room.
    pub(super) fn expect_crowd(&mut self) {
        if self.room > ROOM {
            return;
        }
        let storm = STORM.as_micros() as u64;
        for _ in 0..SENT {
            // They come together, so that an agent does not take one after the other.
            let at = self.seed.below(storm) / 10_000_000 * 10_000_000 + self.seed.below(1_000_000);
            self.at(Duration::from_micros(at), Happening::Crowd);
        }
    }

    /// Somebody sends more work.
    pub(super) fn crowd(&mut self) {
        let intent = routing::send(&mut self.seed);
        self.submit(intent);
    }

    /// A send was decided while so many jobs were known and waited.
    pub(super) fn check_sent(&mut self, (jobs, waiting): (usize, usize), out: &Out) {
        let [reply] = out.replies.as_slice() else { panic!("a send has one reply: {out:?}") };
        let state = self.core.state();
        match &reply.result {
            Err(refusal) => {
                assert_eq!(state.jobs().len(), jobs, "a refused send left a job");
                if refusal.to_string().contains("the queue is full") {
                    assert!(waiting >= self.room, "it was refused, and {waiting} jobs waited");
                    self.seen.insert("queue_full");
                }
            }
            Ok(_) => {
                let waits = state.queue().len() > waiting;
                assert!(!waits || waiting < self.room, "it waits beside {waiting} others");
            }
        }
    }
}
