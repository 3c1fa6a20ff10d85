//! Secrets are taken out of everything that is kept, shown or logged, also when a peer echoes them.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use memchr::memmem::Finder;

use crate::config::secret::Secret;

/// What stands where a secret stood.
const MARK: &str = "[redacted]";

/// A secret shorter than this is a word; taking it out everywhere would tear up texts.
const SHORTEST: usize = 6;

/// Knows every secret that was used so far.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    needles: Arc<ArcSwap<Vec<Finder<'static>>>>,
}

impl Redactor {
    /// Learns a secret, as it is and as it looks inside a JSON string.
    pub fn learn(&self, secret: &Secret) {
        let value = secret.expose().trim();
        if value.len() < SHORTEST {
            return;
        }
        let mut shapes = vec![value.to_owned()];
        let quoted = serde_json::Value::from(value).to_string();
        shapes.push(quoted[1..quoted.len() - 1].to_owned());
        shapes.dedup();
        self.needles.rcu(|known| {
            let mut needles = Vec::clone(known);
            for shape in &shapes {
                if !needles.iter().any(|needle| needle.needle() == shape.as_bytes()) {
                    needles.push(Finder::new(shape).into_owned());
                }
            }
            // A long secret that contains a short one goes first.
            needles.sort_by_key(|needle| std::cmp::Reverse(needle.needle().len()));
            needles
        });
    }

    /// True if there is nothing to take out.
    pub fn is_empty(&self) -> bool {
        self.needles.load().is_empty()
    }

    /// The text without any known secret.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let needles = self.needles.load();
        let mut text = Cow::Borrowed(text);
        for needle in needles.iter() {
            if needle.find(text.as_bytes()).is_some() {
                let secret = String::from_utf8_lossy(needle.needle()).into_owned();
                text = Cow::Owned(text.replace(&secret, MARK));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_are_taken_out() {
        let redactor = Redactor::default();
        for secret in ["sk-canary-1", "sk-canary-1-long", "with \"quote\"", "abc"] {
            redactor.learn(&Secret::new(secret));
        }
        for (text, expected) in [
            ("plain", "plain"),
            ("Bearer sk-canary-1!", "Bearer [redacted]!"),
            ("sk-canary-1-long", "[redacted]"),
            (r#"{"echo":"with \"quote\""}"#, r#"{"echo":"[redacted]"}"#),
            ("abc", "abc"),
        ] {
            assert_eq!(redactor.redact(text), expected);
        }
    }
}
