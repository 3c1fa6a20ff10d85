//! Documents of sources of agents: the same client, credentials, limits and address policy as calls have.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::body::{BodyLimits, Size};
use super::budget::Room;
use super::credentials::{Access, parse_url};
use super::redact::Redacted;
use super::request::{ConnectionUse, Net, Request, beginning, etag_of};
use super::tap::{Kind, Label, TapHandle};
use crate::domain::cause::{Cause, Failure};
use crate::domain::text::Untrusted;
use crate::protocol::reply::status_cause;

/// The number of bytes read of an answer without use.
const DROPPED: usize = 64 * 1024;

/// A fetched document.
#[derive(Debug)]
pub struct Document {
    /// The final URL; links are relative to it.
    pub url: Url,
    /// Its version.
    pub etag: Option<Untrusted>,
    /// The text; `None` if it has not changed.
    pub text: Option<Redacted<'static>>,
    /// The room of a large text, held as long as the document is.
    pub room: Option<Room>,
}

impl Net {
    /// Fetches a document, unless its version is still `etag`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn document(
        &self,
        access: &Access,
        line: &TapHandle,
        url: &str,
        etag: Option<&Untrusted>,
        limit: Duration,
    ) -> Result<Document, Cause> {
        let etag = etag.and_then(|etag| HeaderValue::from_str(etag.raw()).ok());
        let own = etag.map(|etag| (IF_NONE_MATCH, etag));
        self.ask(access, line, Method::GET, url, own, Bytes::new(), limit).await
    }

    /// Posts a question, and gets the document that answers it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask_document(
        &self,
        access: &Access,
        line: &TapHandle,
        url: &str,
        question: String,
        limit: Duration,
    ) -> Result<Document, Cause> {
        let own = Some((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self.ask(access, line, Method::POST, url, own, question.into(), limit).await
    }

    /// Posts a message of this media type whose answer matters only by its status. The body is read up to 64 KiB and dropped; errors after
    /// a successful status are ignored.
    ///
    /// # Errors
    /// Why the news did not arrive.
    pub async fn post(
        &self,
        access: &Access,
        line: &TapHandle,
        url: &str,
        kind: &'static str,
        news: impl Into<Bytes>,
        limit: Duration,
    ) -> Result<(), Cause> {
        let url = source_url(url)?;
        let headers = || {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers
        };
        let begun = Instant::now();
        let (method, body, connection) = (Method::POST, news.into(), ConnectionUse::Pooled);
        let request = Request { method, url, headers: &headers, body, connection, limit };
        let answer = self.exchange(access, line, request).await.map_err(|failure| failure.cause)?;
        let status = answer.status;
        let text = beginning(answer, line, limit.saturating_sub(begun.elapsed()), DROPPED).await;
        if status.is_success() {
            return Ok(());
        }
        let cause = status_cause(status.as_u16(), &text);
        line.answered_with(&cause);
        Err(cause)
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one request")]
    async fn ask(
        &self,
        access: &Access,
        line: &TapHandle,
        method: Method,
        url: &str,
        own: Option<(HeaderName, HeaderValue)>,
        body: Bytes,
        limit: Duration,
    ) -> Result<Document, Cause> {
        let url = source_url(url)?;
        // A source asks for several documents at once.
        let line = &line.another();
        let headers = || {
            let mut headers: HeaderMap = own.clone().into_iter().collect();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
            headers
        };
        let begun = Instant::now();
        let cause = |failure: Failure| failure.cause;
        let request =
            Request { method, url, headers: &headers, body, connection: ConnectionUse::Pooled, limit };
        let answer = self.exchange(access, line, request).await.map_err(cause)?;
        let url = answer.url.clone();
        let status = answer.status;
        if status == StatusCode::NOT_MODIFIED {
            line.keep(Kind::Response, &format!("304 in {} ms", answer.took.as_millis()), "");
            line.answered(Label::Unchanged);
            return Ok(Document { url, etag: None, text: None, room: None });
        }
        let etag = etag_of(&answer.headers, line.redactor());
        let left = limit.saturating_sub(begun.elapsed());
        let text =
            self.body(answer, line, BodyLimits { size: Size::Answer, left, limit }).await.map_err(cause)?;
        let (text, room) = text.into_parts();
        Ok(Document { url, etag, text: Some(text), room })
    }
}

fn source_url(url: &str) -> Result<Url, Cause> {
    parse_url(url).ok_or_else(|| Cause::Source(Untrusted::from(format!("{url:?} is no URL"))))
}
