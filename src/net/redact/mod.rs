//! Removes secrets from everything that agents send, before it is decoded, kept, shown or logged.
//!
//! A peer may send a secret back as it is, escaped as JSON allows, URL-encoded or in base64, whole or in pieces.
//! Secrets are therefore searched for twice. Every text that comes in is searched with its escapes undone
//! ([`Redactor::redact`]), so that neither what is decoded from it, nor the raw JSON that is kept with it, nor the
//! frames of the wire view contain a secret. Outcomes are searched again before the core receives them, with the parts
//! of a message and the chunks of an output joined ([`Redactor::join`]).
//!
//! Each agent has its own [`Redactor`], which knows the secrets that were sent to that agent. If there are none,
//! nothing is searched.

mod forms;
mod joined;
mod levels;
mod needles;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::secret::{SHORTEST, Secret};
use joined::Tails;
use needles::Needles;

/// The number of secrets that are remembered for one agent. If there are more, the oldest are forgotten: with tokens
/// that are renewed every hour, the list would grow without end otherwise.
const SECRETS: usize = 64;
/// The same for all agents together.
const ALL_SECRETS: usize = 4096;

/// Knows the secrets that were sent to one agent. Clones share them.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Known>);

#[derive(Default)]
struct Known {
    /// Knows the secrets that are common to all agents.
    common: Option<Redactor>,
    secrets: Mutex<Vec<Secret>>,
    /// How many secrets were learnt so far; 0 if there is none.
    version: AtomicU64,
    prepared: ArcSwapOption<Prepared>,
    tails: Mutex<Tails>,
    /// What this one and all its children know, for what no agent in particular sent.
    all: OnceLock<Redactor>,
}

/// A prepared search, and the versions of the own and the common secrets that it covers.
struct Prepared {
    versions: (u64, u64),
    needles: Needles,
}

/// Text of a peer without the secrets that were sent to it. Only a [`Redactor`] creates it, and no part of a peer's
/// body leaves `net` in any other form.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redacted<'t>(Cow<'t, str>);

impl Redacted<'_> {
    /// The same text, owned.
    pub fn into_owned(self) -> Redacted<'static> {
        Redacted(Cow::Owned(self.0.into_owned()))
    }

    /// The text itself, for decoders.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }

    /// Its beginning, at most `most` bytes long.
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
    /// A redactor that knows what `self` knows, now and later, and has secrets of its own in addition.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Known { common: Some(self.clone()), ..Known::default() }))
    }

    /// Learns a secret.
    pub fn learn(&self, secret: &Secret) {
        self.learn_up_to(secret, SECRETS);
        let common = self.0.common.as_ref().unwrap_or(self);
        common.0.all.get_or_init(Self::default).learn_up_to(secret, ALL_SECRETS);
    }

    fn learn_up_to(&self, secret: &Secret, most: usize) {
        let value = secret.expose().trim();
        if value.len() < SHORTEST {
            return;
        }
        let mut secrets = self.0.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.iter().any(|known| known.expose() == value) {
            return;
        }
        if secrets.len() >= most {
            secrets.remove(0);
        }
        secrets.push(Secret::new(value));
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Learns the value of a header. What follows a scheme (`Bearer`, `Basic`) is also a secret of its own, and so is
    /// the password in a Basic login.
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

    /// Calls `search` with the search for all secrets known now; `None` if there are none.
    fn with_needles<R>(&self, search: impl FnOnce(&Needles) -> R) -> Option<R> {
        let known = &*self.0;
        let common = known.common.as_ref();
        let version = |of: &Redactor| of.0.version.load(Ordering::Acquire);
        let versions = (version(self), common.map_or(0, version));
        if versions == (0, 0) {
            return None;
        }
        // Every event is searched, on several threads: the guard changes no count that they share.
        let prepared = known.prepared.load();
        if let Some(prepared) = prepared.as_ref().filter(|prepared| prepared.versions == versions) {
            return Some(search(&prepared.needles));
        }
        drop(prepared);
        let mut secrets = known.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(common) = common {
            secrets.extend(common.0.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        }
        let prepared = Arc::new(Prepared { versions, needles: Needles::new(secrets.iter()) });
        known.prepared.store(Some(prepared.clone()));
        Some(search(&prepared.needles))
    }

    /// The text without any known secret, in whatever way it is escaped in JSON.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        // Nearly every event has no name, and no secret is that short.
        if text.len() < SHORTEST {
            return Cow::Borrowed(text);
        }
        self.with_needles(|needles| needles.redact(text)).unwrap_or(Cow::Borrowed(text))
    }

    /// Bytes without any secret of this redactor or of its children: each is overwritten with asterisks, so that lengths
    /// within the bytes stay true.
    pub fn mask<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let hits = self.0.all.get().and_then(|all| all.with_needles(|needles| needles.find(bytes)));
        let Some(hits) = hits.filter(|hits| !hits.is_empty()) else { return Cow::Borrowed(bytes) };
        let mut masked = bytes.to_vec();
        for hit in hits {
            masked[hit.start..hit.end].fill(b'*');
        }
        Cow::Owned(masked)
    }

    /// The same for a text that came from a peer.
    pub fn redacted<'t>(&self, text: &'t str) -> Redacted<'t> {
        Redacted(self.redact(text))
    }

    /// The same for an owned text, which is not copied if it contains no secret.
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
