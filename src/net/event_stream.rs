//! Reading an event stream: guarded, redacted, tapped.

use super::body::Body;
use super::redact::Redactor;
use super::tap::{Kind, TapHandle};
use crate::domain::cause::Cause;
use crate::protocol::sse::{Event, Guard};

/// An open event stream of one call.
#[derive(Debug)]
pub struct EventReader {
    body: Body,
    guard: Guard,
    redactor: Redactor,
    line: TapHandle,
}

impl EventReader {
    pub(super) fn new(body: Body, redactor: Redactor, line: TapHandle) -> Self {
        Self { body, guard: Guard::new(), redactor, line }
    }

    /// Waits for bytes and hands each event that they complete to `take`. False once the stream has ended.
    ///
    /// There is no limit on silence here: servers exist that send nothing between events for minutes.
    ///
    /// # Errors
    /// The connection broke, or a limit was passed.
    pub async fn read(&mut self, mut take: impl FnMut(Event<'_>)) -> Result<bool, Cause> {
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
        self.body.read(|bytes| guard.push(bytes, &mut on_event)).await
    }

    /// Notes how the stream ended.
    pub fn ended(&self, how: &str) {
        self.line.keep(Kind::End, how, "");
    }
}
