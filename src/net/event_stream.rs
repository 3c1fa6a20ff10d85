//! Reading an event stream: guarded, redacted, tapped.

use super::body::{Body, with_room};
use super::budget::{EventShare, Room};
use super::frames::Frames;
use super::label::EventLabel;
use super::redact::Redacted;
use super::tap::{Kind, TapHandle};
use crate::domain::cause::Cause;
use crate::domain::limits;
use crate::protocol::sse::{Event, Guard};

/// An open event stream of one call.
#[derive(Debug)]
pub struct EventReader {
    body: Body,
    guard: Guard,
    line: TapHandle,
    frames: Frames,
    budget: EventShare,
    /// The room that a large event has.
    room: Option<Box<Room>>,
}

impl EventReader {
    pub(super) fn new(body: Body, line: TapHandle, budget: EventShare) -> Self {
        Self { body, guard: Guard::new(), line, frames: Frames::default(), budget, room: None }
    }

    /// The room of large events handed out. It is to be held until they are processed.
    pub fn take_room(&mut self) -> Option<Box<Room>> {
        if self.guard.pending() > limits::SMALL {
            return None;
        }
        let room = self.room.take()?;
        self.guard.shrink();
        Some(room)
    }

    /// Waits for bytes and passes the name and the data of each completed event to `take`, which returns what the event
    /// says; it may be nothing that is of use. False once the stream has ended.
    ///
    /// There is no limit on silence here: some servers send nothing between events for minutes. Pieces and lines
    /// without an event are counted, as is everything below them (`net/frames.rs`).
    ///
    /// # Errors
    /// The connection broke, or a limit was passed.
    pub async fn read(
        &mut self,
        mut take: impl FnMut(&Redacted<'_>, &Redacted<'_>) -> EventLabel,
    ) -> Result<bool, Cause> {
        if self.guard.pending() > limits::SMALL && self.room.is_none() {
            self.room = Some(Box::new(Box::pin(self.budget.room()).await));
            self.guard.reserve();
        }
        let (guard, line) = (&mut self.guard, &self.line);
        let redactor = line.redactor();
        let (mut empty, mut events, idle_before) = (0u32, 0u32, guard.idle_lines());
        let mut on_event = |event: Event<'_>| {
            let (name, data) = (redactor.redacted(&event.name), redactor.redacted(&event.data));
            let EventLabel { label, task } = take(&name, &data);
            if label.is_of_use() {
                events += 1;
            } else {
                empty += 1;
            }
            if let Some(task) = task {
                line.name_task(&task);
            }
            line.keep_labelled(Kind::Event, label, &name, &data);
        };
        let mut chunks = 0u32;
        let read = self.body.read(|bytes| {
            chunks = chunks.saturating_add(1);
            guard.push(bytes, &mut on_event)
        });
        let read = with_room(self.room.as_deref(), read).await;
        // Also after a broken connection: a complete event is valid.
        if !matches!(read, Ok(true) | Err(Cause::Limit(_))) {
            guard.finish(&mut on_event);
        }
        if events > 0 {
            self.frames.progress();
            self.body.progress();
        } else if matches!(read, Ok(true)) {
            let idle = u32::try_from(self.guard.idle_lines() - idle_before).unwrap_or(u32::MAX);
            self.frames.count(idle.saturating_add(chunks).saturating_add(empty))?;
        }
        read
    }

    /// Notes how the stream ended, and the cause if it failed.
    pub fn ended(&self, how: &str, cause: Option<&Cause>) {
        self.line.ended(how, cause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use url::Url;

    use super::super::Redactor;
    use super::super::budget::Budget;
    use super::super::clock::Clock;
    use super::super::tap::{Label, Method, Tap};
    use super::*;
    use crate::domain::cause::Limit;
    use crate::domain::id::AgentKey;

    /// How a stream of these pieces ends, and how many events came before.
    async fn ends(pieces: Vec<String>) -> (u32, Result<bool, Cause>) {
        let pieces = pieces.into_iter().map(Ok::<_, std::convert::Infallible>);
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let tap = Tap::new(Arc::new(Clock::start()), Redactor::default());
        let share = Budget::new().events_of(&Url::parse("http://h/").unwrap());
        let mut reader =
            EventReader::new(Body::Client(body), tap.line(AgentKey(0), 0, Method::Subscribe, None), share);
        let mut events = 0;
        loop {
            let take = |_: &Redacted<'_>, data: &Redacted<'_>| {
                events += u32::from(!data.is_empty());
                EventLabel::from(if data.is_empty() { Label::KeepAlive } else { Label::Message })
            };
            match reader.read(take).await {
                Ok(true) => {}
                ended => return (events, ended),
            }
        }
    }

    #[tokio::test]
    async fn only_bytes_without_an_event_are_counted() {
        let flood = || Err(Cause::Limit(Limit::Frames));
        for (what, pieces, expected) in [
            ("comments at once", vec![":\n".repeat(20_000)], (0, flood())),
            ("comments", vec![":\n".to_owned(); 20_000], (0, flood())),
            ("empty lines", vec!["\n".repeat(20_000)], (0, flood())),
            ("events without data", vec!["data:\n\n".repeat(20_000)], (0, flood())),
            ("bytes", "data: x".repeat(20_000).chars().map(String::from).collect(), (0, flood())),
            ("events", vec!["data: x\n\n".to_owned(); 20_000], (20_000, Ok(false))),
            ("events between comments", vec![":\n:\n:\ndata: x\n\n".to_owned(); 20_000], (20_000, Ok(false))),
            (
                "a long event",
                vec!["data: x\n".repeat(500); 200].into_iter().chain(["\n".into()]).collect(),
                (1, Ok(false)),
            ),
        ] {
            assert_eq!(ends(pieces).await, expected, "{what}");
        }
    }
}
