//! Reading an event stream: guarded, redacted, tapped.

use std::time::Duration;

use http_body_util::BodyExt;

use super::cause::cause;
use super::redact::Redactor;
use super::tap::{Kind, Line};
use crate::domain::cause::Cause;
use crate::protocol::sse::{Event, Guard};

/// An open event stream of one call.
#[derive(Debug)]
pub struct EventReader {
    body: reqwest::Body,
    guard: Guard,
    redactor: Redactor,
    line: Line,
}

impl EventReader {
    /// Keeps the body alone: headers hold on to the whole buffer that they were read into.
    pub(super) fn new(response: reqwest::Response, redactor: Redactor, line: Line) -> Self {
        let body = http::Response::<reqwest::Body>::from(response).into_body();
        Self { body, guard: Guard::new(), redactor, line }
    }

    /// Waits for bytes and hands each event that they complete to `take`. False once the stream has ended.
    ///
    /// There is no limit on silence here: servers exist that send nothing between events for minutes.
    ///
    /// # Errors
    /// The connection broke, or a limit was passed.
    pub async fn read(&mut self, mut take: impl FnMut(Event<'_>)) -> Result<bool, Cause> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        let frame = frame.map_err(|error| cause(&error, Duration::ZERO))?;
        // Trailers say nothing to us.
        let Ok(bytes) = frame.into_data() else { return Ok(true) };
        let (redactor, line) = (&self.redactor, &self.line);
        let redacts = !redactor.is_empty();
        self.guard.push(&bytes, |event| {
            if redacts {
                let event = Event { name: redactor.redact(&event.name), data: redactor.redact(&event.data) };
                line.keep_clean(Kind::Event, &event.name, &event.data);
                take(event);
            } else {
                line.keep_clean(Kind::Event, &event.name, &event.data);
                take(event);
            }
        })?;
        Ok(true)
    }

    /// Notes how the stream ended.
    pub fn ended(&self, how: &str) {
        self.line.keep(Kind::End, how, "");
    }
}
