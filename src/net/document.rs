//! Documents of sources of agents: the same client, credentials, limits and address policy as calls have.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::body::Size;
use super::budget::Room;
use super::credentials::{Access, parse_url};
use super::request::{ConnectionUse, Net, Request, header_text, status_cause};
use super::tap::{Kind, TapHandle};
use crate::domain::cause::{Cause, Failure};
use crate::domain::text::Untrusted;

/// A document that was asked for.
#[derive(Debug)]
pub struct Document {
    /// Where it was in the end; what it links to is relative to this.
    pub url: Url,
    /// What names this version of it.
    pub etag: Option<Untrusted>,
    /// What it says; `None`: it has not changed.
    pub text: Option<String>,
    /// The room of a large text, held as long as the document is.
    pub room: Option<Room>,
}

impl Net {
    /// Gets a document, unless it is still the one that `etag` names.
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
        let fault = || Cause::Source(Untrusted::from(format!("{url:?} is no URL")));
        let url = parse_url(url).ok_or_else(fault)?;
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
            return Ok(Document { url, etag: None, text: None, room: None });
        }
        let etag = answer.headers.get(ETAG).map(header_text).map(Untrusted::from);
        let left = limit.saturating_sub(begun.elapsed());
        let text = self.body(answer, line, Size::Answer, left, limit).await.map_err(cause)?;
        if !status.is_success() {
            return Err(status_cause(status, &text));
        }
        let (text, room) = text.into_parts();
        Ok(Document { url, etag, text: Some(text), room })
    }
}
