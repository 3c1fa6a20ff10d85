//! The body of an answer, over any kind of connection.

use std::io::Read;
use std::ops::Deref;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::budget::{Budget, LOOK, Room, RoomPurpose};
use super::coding::{Coding, coding, gunzip};
use super::redact::{Redacted, Redactor};
use super::{cause, http1, http2};
use crate::domain::cause::{Cause, Limit};
use crate::domain::limits;
use crate::domain::text::Untrusted;

/// An unread body.
#[derive(Debug)]
pub(super) enum Body {
    /// Over the client's connections.
    Client(reqwest::Body),
    /// Of work, over a connection of its own.
    Http1(http1::Body),
    /// From a dedicated HTTP/2 connection, shared with other streams.
    Http2(http2::Body),
}

impl Body {
    /// Useful data arrived: counting of other frames on its connection starts again.
    pub fn progress(&self) {
        if let Self::Http2(body) = self {
            body.progress();
        }
    }

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
                // Trailers are ignored.
                if let Ok(bytes) = frame.into_data() {
                    take(&bytes)?;
                }
                Ok(true)
            }
        }
    }
}

/// The kind of a document, which decides its size limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    Card,
    Answer,
}

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    pub size: Size,
    /// The time that is left for it.
    pub left: Duration,
    /// The timeout of the whole call, for the error message.
    pub limit: Duration,
}

impl Size {
    fn most(self) -> usize {
        match self {
            Self::Card => limits::CARD,
            Self::Answer => limits::BODY,
        }
    }

    fn exceeded(self) -> Cause {
        Cause::Limit(match self {
            Self::Card => Limit::Card,
            Self::Answer => Limit::Body,
        })
    }
}

/// The redacted text of an answer. A large one holds room in the budget of all agents until it is dropped.
#[derive(Debug, Default)]
pub struct Text {
    text: Redacted<'static>,
    room: Option<Room>,
}

impl Text {
    /// The text, and its room, to be held as long as anything made of the text waits to be taken.
    pub fn into_parts(self) -> (Redacted<'static>, Option<Room>) {
        (self.text, self.room)
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

/// A document being read.
pub(super) struct Reading<'b> {
    budget: &'b Budget,
    url: &'b Url,
    limits: BodyLimits,
    bytes: Vec<u8>,
    room: Option<Room>,
    waits: bool,
}

impl<'b> Reading<'b> {
    /// A document of which nothing has been read; `url` is its origin.
    pub fn new(budget: &'b Budget, url: &'b Url, limits: BodyLimits) -> Self {
        Self { budget, url, limits, bytes: Vec::new(), room: None, waits: false }
    }

    /// Reads and redacts all of it. The bytes received so far are returned in any case, for the wire view.
    pub async fn read(
        mut self,
        mut body: Body,
        headers: &HeaderMap,
        redactor: &Redactor,
    ) -> (Text, Result<(), Cause>) {
        let BodyLimits { left, limit, .. } = self.limits;
        let read = timeout(left, self.read_all(&mut body, headers)).await;
        let late = if self.waits { Cause::Limit(Limit::InFlight) } else { Cause::TimedOut(limit) };
        let read = read.unwrap_or(Err(late));
        let (text, read) = match redact(std::mem::take(&mut self.bytes), redactor).await {
            Ok(text) => (text, read),
            Err(cause) => (Redacted::default(), read.and(Err(cause))),
        };
        if read.is_ok() {
            return (Text { text, room: self.room }, read);
        }
        // The rest is only displayed. It is cut after redaction, because a cut secret would not be found.
        (Text { text: text.beginning(limits::RAW), room: None }, read)
    }

    async fn read_all(&mut self, body: &mut Body, headers: &HeaderMap) -> Result<(), Cause> {
        let coding = coding(headers)?;
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let most = self.limits.size.most();
        if length.is_some_and(|length| length > most) {
            return Err(self.limits.size.exceeded());
        }
        // The unpacked size is known only at the end.
        let may_become = length.filter(|_| coding == Coding::Plain).unwrap_or(most);
        loop {
            if self.bytes.len() > limits::SMALL {
                self.take_room(may_become).await;
            }
            let (bytes, size) = (&mut self.bytes, self.limits.size);
            let take = |piece: &[u8]| {
                if bytes.len() + piece.len() > most {
                    return Err(size.exceeded());
                }
                bytes.extend_from_slice(piece);
                Ok(())
            };
            if !with_room(self.room.as_ref(), body.read(take)).await? {
                break;
            }
            body.progress();
        }
        if coding == Coding::Gzip { self.unpack().await } else { Ok(()) }
    }

    /// Unpacks the received bytes, one piece at a time.
    async fn unpack(&mut self) -> Result<(), Cause> {
        let packed = std::mem::take(&mut self.bytes);
        let mut reader = gunzip(&packed);
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = reader.read(&mut piece).map_err(|error| {
                Cause::Malformed(Untrusted::from(format!("its compression is broken, {error}")))
            })?;
            if read == 0 {
                return Ok(());
            }
            if packed.len() + self.bytes.len() + read > self.limits.size.most() {
                return Err(self.limits.size.exceeded());
            }
            if self.bytes.len() + read > limits::SMALL {
                self.take_room(self.limits.size.most()).await;
            }
            self.bytes.extend_from_slice(&piece[..read]);
            // A compression bomb delays nothing else.
            tokio::task::consume_budget().await;
        }
    }

    async fn take_room(&mut self, bytes: usize) {
        if self.room.is_none() {
            self.waits = true;
            self.room = Some(self.budget.room(RoomPurpose::Answer, self.url, bytes).await);
            self.waits = false;
            self.bytes.reserve_exact(limits::RESERVED.saturating_sub(self.bytes.len()));
        }
    }
}

/// Redacts a text; a large one on a thread where it delays nothing else.
async fn redact(bytes: Vec<u8>, redactor: &Redactor) -> Result<Redacted<'static>, Cause> {
    let (is_small, redactor) = (bytes.len() <= limits::SMALL, redactor.clone());
    let redact = move || {
        // Nearly every text is valid UTF-8 and is not copied.
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned());
        redactor.redacted_owned(text)
    };
    if is_small {
        return Ok(redact());
    }
    let redacted = tokio::task::spawn_blocking(redact).await;
    redacted.map_err(|error| Cause::Malformed(Untrusted::from(format!("redacting it failed: {error}"))))
}

/// Waits for bytes of an answer that has room, as long as it may keep the room.
///
/// # Errors
/// Reading failed, or others wait for the room.
pub(super) async fn with_room(
    room: Option<&Room>,
    read: impl Future<Output = Result<bool, Cause>>,
) -> Result<bool, Cause> {
    let Some(room) = room else { return read.await };
    // Few answers are large: every idle stream would have memory for this.
    Box::pin(async move {
        let mut read = std::pin::pin!(read);
        loop {
            room.check()?;
            if let Ok(read) = timeout_at(Instant::now() + LOOK, read.as_mut()).await {
                return read;
            }
        }
    })
    .await
}
