//! The body of an answer, whichever way it was asked for.

use std::time::Duration;

use http_body_util::BodyExt;

use super::{cause, plain};
use crate::domain::cause::Cause;

/// A body that is still to be read.
#[derive(Debug)]
pub(super) enum Body {
    /// From a connection that others use too, before or after or, with HTTP/2, at the same time.
    Shared(reqwest::Body),
    /// From a connection of its own.
    Own(plain::Body),
}

impl Body {
    /// Waits for bytes and hands each piece to `take`. False once the body has ended.
    ///
    /// # Errors
    /// The connection broke, or `take` had enough.
    pub async fn read(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Cause>) -> Result<bool, Cause> {
        match self {
            Self::Own(body) => body.read(take).await.map_err(cause::of_reading),
            Self::Shared(body) => {
                let Some(frame) = body.frame().await else { return Ok(false) };
                let frame =
                    frame.map_err(|error| cause::of_reading(cause::of_request(&error, Duration::ZERO)))?;
                // Trailers say nothing to us.
                if let Ok(bytes) = frame.into_data() {
                    take(&bytes)?;
                }
                Ok(true)
            }
        }
    }
}
