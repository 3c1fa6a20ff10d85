//! Credentials: read when they are needed, and sent only where they belong.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::redact::Redactor;
use crate::config::Credentials;
use crate::config::secret::{Secret, SecretRef, is_secret_header, length_fault};
use crate::domain::cause::Cause;
use crate::domain::text::Untrusted;

/// A command that prints a secret must end within this.
const COMMAND: Duration = Duration::from_secs(10);
/// The shortest time between two readings of a refused secret.
const AGAIN: Duration = Duration::from_secs(30);

/// The access to one agent: its trust, and its credentials by origin.
#[derive(Debug)]
pub struct Access {
    /// The configured URL; credentials of the agent itself go only to its origin.
    pub origin: Option<Url>,
    /// A file of authorities that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// True to skip certificate verification; only the command line can set it, with a warning.
    pub insecure: bool,
    /// The agent's own credentials, then those of matching patterns.
    pub grants: Vec<Arc<ScopedCredentials>>,
    /// Headers sent with every request (`--svc-param`), only to the origin.
    pub parameters: Vec<(HeaderName, HeaderValue)>,
}

/// Credentials together with where they may go.
#[derive(Debug)]
pub struct ScopedCredentials {
    scope: Scope,
    credentials: Credentials,
    read: Mutex<Option<Read>>,
}

#[derive(Debug)]
struct Read {
    headers: Result<HeaderMap, Cause>,
    at: Instant,
}

/// Where credentials may go.
#[derive(Clone, Debug)]
pub enum Scope {
    /// One origin: scheme, host and port.
    Origin(Url),
    /// Every URL that a pattern matches.
    Pattern(String),
}

impl Scope {
    /// True if a request to `url` may carry the credentials.
    pub fn covers(&self, url: &Url) -> bool {
        match self {
            Self::Origin(origin) => origin.origin() == url.origin(),
            Self::Pattern(pattern) => matches_pattern(pattern, url),
        }
    }
}

impl Access {
    /// Access without credentials, with the system's trust.
    pub fn open(url: &str) -> Self {
        Self { origin: parse_url(url), ca: None, insecure: false, grants: Vec::new(), parameters: Vec::new() }
    }

    /// Access to what is at a URL itself: its credentials go to its own origin, none to others.
    pub fn of_origin(url: &str, credentials: &Credentials, ca: Option<PathBuf>) -> Self {
        let open = Self::open(url);
        let grants = ScopedCredentials::of_origin(open.origin.clone(), credentials).into_iter().collect();
        Self { ca, grants, ..open }
    }

    /// True if anything would be sent to the configured origin.
    pub fn has_credentials(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| self.grants.iter().any(|grant| grant.scope.covers(origin)))
    }

    /// The headers for a request to `url`.
    ///
    /// # Errors
    /// A secret cannot be read.
    pub(super) async fn headers(&self, url: &Url, redactor: &Redactor) -> Result<HeaderMap, Cause> {
        let mut headers = HeaderMap::new();
        // The agent's own come last and win.
        for grant in self.grants.iter().rev().filter(|grant| grant.scope.covers(url)) {
            for (name, value) in &grant.headers(redactor).await? {
                headers.insert(name, value.clone());
            }
        }
        if self.origin.as_ref().is_some_and(|origin| origin.origin() == url.origin()) {
            for (name, value) in &self.parameters {
                headers.insert(name, value.clone());
            }
        }
        Ok(headers)
    }

    /// The agent refused them: they are read again before the next request, but not every time.
    pub(super) fn refused(&self, url: &Url) {
        for grant in self.grants.iter().filter(|grant| grant.scope.covers(url)) {
            let mut read = grant.read.lock().unwrap_or_else(PoisonError::into_inner);
            if read.as_ref().is_some_and(|read| read.at.elapsed() >= AGAIN) {
                *read = None;
            }
        }
    }
}

impl ScopedCredentials {
    /// Credentials that may go to `scope`.
    pub fn new(scope: Scope, credentials: Credentials) -> Self {
        Self { scope, credentials, read: Mutex::new(None) }
    }

    /// Credentials that may go to one origin, if there are both.
    pub fn of_origin(origin: Option<Url>, credentials: &Credentials) -> Option<Arc<Self>> {
        let origin = origin.filter(|_| !credentials.is_empty())?;
        Some(Arc::new(Self::new(Scope::Origin(origin), credentials.clone())))
    }

    async fn headers(&self, redactor: &Redactor) -> Result<HeaderMap, Cause> {
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Read { headers, at }) = &*read
                && (headers.is_ok() || at.elapsed() < AGAIN)
            {
                return headers.clone();
            }
        }
        let headers = self.read_all(redactor).await;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read = Some(Read { headers: headers.clone(), at: Instant::now() });
        headers
    }

    async fn read_all(&self, redactor: &Redactor) -> Result<HeaderMap, Cause> {
        let mut headers = HeaderMap::new();
        if let Some(bearer) = &self.credentials.bearer {
            let secret = read_secret(bearer).await?;
            refuse_unredactable(bearer, &secret)?;
            redactor.learn(&secret);
            headers.insert(AUTHORIZATION, value("bearer", &format!("Bearer {}", secret.expose()))?);
        }
        for (name, reference) in &self.credentials.headers {
            let secret = read_secret(reference).await?;
            let is_secret = is_secret_header(name);
            if is_secret {
                refuse_unredactable(reference, &secret)?;
            }
            if is_secret || !reference.is_literal() {
                redactor.learn_header(&secret);
            }
            let header = HeaderName::try_from(name.as_str())
                .map_err(|_| Cause::Credential(format!("{name} is no header name").into()))?;
            headers.insert(header, value(name, secret.expose())?);
        }
        Ok(headers)
    }
}

/// A secret that could not be redacted from answers is not sent.
fn refuse_unredactable(reference: &SecretRef, secret: &Secret) -> Result<(), Cause> {
    match length_fault(secret.expose().trim()) {
        Some(fault) => Err(Cause::Credential(format!("{} {fault}", reference.shown()).into())),
        None => Ok(()),
    }
}

fn value(name: &str, text: &str) -> Result<HeaderValue, Cause> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Cause::Credential(format!("{name} holds characters that no header can carry").into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a secret. Its value is in no error.
///
/// # Errors
/// Which reference cannot be read, and why.
pub async fn read_secret(reference: &SecretRef) -> Result<Secret, Cause> {
    let fault = |why: String| Cause::Credential(Untrusted::from(format!("{}: {why}", reference.shown())));
    let text = match reference {
        SecretRef::Literal(secret) => return Ok(secret.clone()),
        SecretRef::Env(name) => std::env::var(name).map_err(|_| fault("is not set".into()))?,
        SecretRef::File(path) => tokio::fs::read_to_string(path)
            .await
            .map_err(|error| fault(format!("cannot be read, {error}")))?,
        SecretRef::Command(command) => {
            let mut shell = tokio::process::Command::new("/bin/sh");
            shell.arg("-c").arg(command).stdin(std::process::Stdio::null()).kill_on_drop(true);
            let output = tokio::time::timeout(COMMAND, shell.output())
                .await
                .map_err(|_| fault("did not end within 10 s".into()))?
                .map_err(|error| fault(format!("cannot be run, {error}")))?;
            if !output.status.success() {
                return Err(fault(format!("failed, {}", output.status)));
            }
            String::from_utf8(output.stdout)
                .map_err(|_| fault("printed something that is not UTF-8".into()))?
        }
    };
    let text = text.trim();
    if text.is_empty() { Err(fault("is empty".into())) } else { Ok(Secret::new(text)) }
}

/// Parses an operator's URL; without a scheme it is http. A path alone is rejected: its first segment is not a host.
pub fn parse_url(text: &str) -> Option<Url> {
    let text = text.trim();
    if text.starts_with(['/', '.', '?', '#']) {
        return None;
    }
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    url.ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// `https://*.example.com:8443/path`: scheme and port are exact, `*` matches one or more labels of the host, the path
/// is a prefix that ends at a slash.
fn matches_pattern(pattern: &str, url: &Url) -> bool {
    let Some((scheme, rest)) = pattern.split_once("://") else { return false };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let path_fits = {
        let path = path.trim_end_matches('/');
        url.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let url_host = url.host_str().unwrap_or_default();
    let host_fits = match host.strip_prefix("*.") {
        Some(suffix) => url_host
            .to_ascii_lowercase()
            .strip_suffix(&suffix.to_ascii_lowercase())
            .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.')),
        None => host == "*" || host.eq_ignore_ascii_case(url_host),
    };
    scheme.eq_ignore_ascii_case(url.scheme())
        && host_fits
        && url.port_or_known_default() == Some(port.unwrap_or(default))
        && path_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_with_their_origin() {
        let origin = |text| Scope::Origin(Url::parse(text).unwrap());
        let pattern = |text: &str| Scope::Pattern(text.to_owned());
        for (scope, url, covered) in [
            (origin("https://a.example/x"), "https://a.example/y", true),
            (origin("https://a.example"), "http://a.example", false),
            (origin("https://a.example"), "https://a.example:8443", false),
            (origin("https://a.example"), "https://b.example", false),
            (origin("https://a.example"), "https://a.example.evil.com", false),
            (pattern("https://*.a.example"), "https://x.y.a.example/z", true),
            (pattern("https://*.a.example"), "https://a.example", false),
            (pattern("https://*.a.example"), "https://evila.example", false),
            (pattern("https://*.a.example"), "http://x.a.example", false),
            (pattern("https://a.example/api"), "https://a.example/api/v1", true),
            (pattern("https://a.example/api"), "https://a.example/apis", false),
            (pattern("https://a.example:8443"), "https://a.example", false),
        ] {
            assert_eq!(scope.covers(&Url::parse(url).unwrap()), covered, "{scope:?} {url}");
        }
    }
}
