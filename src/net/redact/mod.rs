//! Secrets are taken out of everything that agents send, before it is decoded, kept, shown or logged.
//!
//! A peer may send a secret back as it is, escaped as JSON allows, URL-encoded or in base64, whole or in pieces. So
//! two things are searched. Every text that comes in is searched with its escapes undone ([`Redactor::redact`]):
//! what is decoded from it, the raw JSON that is kept beside it and the frames of the wire view are without secrets
//! alike. And what the core is told is searched once more with the parts of a message, and the chunks of an output,
//! joined ([`Redactor::join`]).
//!
//! Each agent has a [`Redactor`] of its own, which knows what was sent to it. Nothing is searched for an agent without
//! secrets.

mod forms;
mod joined;
mod levels;
mod needles;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::secret::{SHORTEST, Secret};
use joined::Tails;
use needles::Needles;

/// So many secrets of one agent are known; of more, the oldest are forgotten. Tokens that are renewed every hour
/// would grow without end otherwise.
const SECRETS: usize = 64;

/// Knows the secrets that were sent to one agent. A clone knows the same.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Known>);

#[derive(Default)]
struct Known {
    /// Knows what is secret for everybody.
    common: Option<Redactor>,
    secrets: Mutex<Vec<Secret>>,
    /// How often a secret was learnt; 0 if there is none.
    version: AtomicU64,
    prepared: ArcSwapOption<Prepared>,
    tails: Mutex<Tails>,
}

/// The search for the secrets of these versions: own, and common.
struct Prepared {
    versions: (u64, u64),
    needles: Needles,
}

/// Text of a peer without the secrets that were sent to it. Only a [`Redactor`] makes it, and nothing else of a peer's
/// body leaves `net`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redacted<'t>(Cow<'t, str>);

impl Redacted<'_> {
    /// The same, kept.
    pub fn into_owned(self) -> Redacted<'static> {
        Redacted(Cow::Owned(self.0.into_owned()))
    }

    /// The text itself, for what decodes it.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }

    /// Its beginning, of at most so many bytes.
    #[must_use]
    pub fn beginning(self, most: usize) -> Redacted<'static> {
        let mut text = self.0.into_owned();
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
        Redacted(Cow::Owned(text))
    }
}

impl Deref for Redacted<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Redactor {
    /// One that knows what `self` knows, now and later, and has secrets of its own beside it.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Known { common: Some(self.clone()), ..Known::default() }))
    }

    /// Learns a secret.
    pub fn learn(&self, secret: &Secret) {
        let value = secret.expose().trim();
        if value.len() < SHORTEST {
            return;
        }
        let mut secrets = self.0.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.iter().any(|known| known.expose() == value) {
            return;
        }
        if secrets.len() >= SECRETS {
            secrets.remove(0);
        }
        secrets.push(Secret::new(value));
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Learns the value of a header. What follows a scheme (`Bearer`, `Basic`) is a secret by itself, and so is the
    /// password in a Basic login.
    pub fn learn_header(&self, value: &Secret) {
        self.learn(value);
        let Some((scheme, rest)) = value.expose().trim().split_once(' ') else { return };
        self.learn(&Secret::new(rest));
        if scheme.eq_ignore_ascii_case("basic")
            && let Some(pair) =
                STANDARD.decode(rest.trim()).ok().and_then(|pair| String::from_utf8(pair).ok())
        {
            if let Some((_, password)) = pair.split_once(':') {
                self.learn(&Secret::new(password));
            }
            self.learn(&Secret::new(pair));
        }
    }

    /// The search for what is known now; `None` if that is nothing.
    fn prepared(&self) -> Option<Arc<Prepared>> {
        let known = &*self.0;
        let common = known.common.as_ref();
        let version = |of: &Redactor| of.0.version.load(Ordering::Acquire);
        let versions = (version(self), common.map_or(0, version));
        if versions == (0, 0) {
            return None;
        }
        if let Some(prepared) = known.prepared.load_full()
            && prepared.versions == versions
        {
            return Some(prepared);
        }
        let mut secrets = known.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(common) = common {
            secrets.extend(common.0.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        }
        let prepared = Arc::new(Prepared { versions, needles: Needles::new(secrets.iter()) });
        known.prepared.store(Some(prepared.clone()));
        Some(prepared)
    }

    /// The text without any known secret, however JSON escapes it.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.prepared() {
            Some(prepared) => prepared.needles.redact(text),
            None => Cow::Borrowed(text),
        }
    }

    /// The same, of a text that is a peer's.
    pub fn redacted<'t>(&self, text: &'t str) -> Redacted<'t> {
        Redacted(self.redact(text))
    }

    /// The same; a text without secrets is not copied.
    pub fn redacted_owned(&self, text: String) -> Redacted<'static> {
        let redacted = match self.redact(&text) {
            Cow::Owned(redacted) => Some(redacted),
            Cow::Borrowed(same) if same == text => None,
            Cow::Borrowed(mark) => Some(mark.to_owned()),
        };
        Redacted(Cow::Owned(redacted.unwrap_or(text)))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
