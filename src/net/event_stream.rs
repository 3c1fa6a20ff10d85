//! Reading an event stream: guarded, redacted, tapped.

use url::Url;

use super::body::{Body, with_room};
use super::budget::{Budget, For, Room};
use super::redact::Redactor;
use super::tap::{Kind, TapHandle};
use crate::domain::cause::Cause;
use crate::domain::limits;
use crate::protocol::sse::{Event, Guard};

/// An open event stream of one call.
#[derive(Debug)]
pub struct EventReader {
    body: Body,
    guard: Guard,
    redactor: Redactor,
    line: TapHandle,
    budget: Budget,
    url: Url,
    /// The room that a large event has.
    room: Option<Room>,
}

impl EventReader {
    pub(super) fn new(body: Body, redactor: Redactor, line: TapHandle, budget: Budget, url: Url) -> Self {
        Self { body, guard: Guard::new(), redactor, line, budget, url, room: None }
    }

    /// The room of large events that have been handed out. It is to be held until they are taken.
    pub fn take_room(&mut self) -> Option<Room> {
        if self.guard.pending() > limits::SMALL {
            return None;
        }
        let room = self.room.take()?;
        self.guard.shrink();
        Some(room)
    }

    /// Waits for bytes and hands each event that they complete to `take`. False once the stream has ended.
    ///
    /// There is no limit on silence here: servers exist that send nothing between events for minutes.
    ///
    /// # Errors
    /// The connection broke, or a limit was passed.
    pub async fn read(&mut self, mut take: impl FnMut(Event<'_>)) -> Result<bool, Cause> {
        if self.guard.pending() > limits::SMALL && self.room.is_none() {
            self.room = Some(self.budget.room(For::Event, &self.url, limits::EVENT).await);
        }
        let (guard, redactor, line) = (&mut self.guard, &self.redactor, &self.line);
        let redacts = !redactor.is_empty();
        let mut on_event = |event: Event<'_>| {
            if redacts {
                let event = Event { name: redactor.redact(&event.name), data: redactor.redact(&event.data) };
                line.keep_clean(Kind::Event, &event.name, &event.data);
                take(event);
            } else {
                line.keep_clean(Kind::Event, &event.name, &event.data);
                take(event);
            }
        };
        let read = self.body.read(|bytes| guard.push(bytes, &mut on_event));
        let read = with_room(self.room.as_ref(), read).await;
        // Also where the connection broke: an event that is whole is no less whole for it.
        if !matches!(read, Ok(true) | Err(Cause::Limit(_))) {
            guard.finish(&mut on_event);
        }
        read
    }

    /// Notes how the stream ended.
    pub fn ended(&self, how: &str) {
        self.line.keep(Kind::End, how, "");
    }
}
