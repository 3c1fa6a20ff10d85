//! The body of an answer, whichever way it was asked for.

use std::time::Duration;

use http_body_util::BodyExt;

use super::{cause, http1, http2};
use crate::domain::cause::Cause;

/// A body that is still to be read.
#[derive(Debug)]
pub(super) enum Body {
    /// Over the client's connections.
    Client(reqwest::Body),
    /// Of work, over a connection of its own.
    Http1(http1::Body),
    /// Of work, over a connection that other work shares.
    Http2(http2::Body),
}

impl Body {
    /// Waits for bytes and hands each piece to `take`. False once the body has ended.
    ///
    /// # Errors
    /// The connection broke, or `take` had enough.
    pub async fn read(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Cause>) -> Result<bool, Cause> {
        match self {
            Self::Http1(body) => body.read(take).await.map_err(cause::of_reading),
            Self::Http2(body) => body.read(take).await.map_err(cause::of_reading),
            Self::Client(body) => {
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
