//! Secrets: references to them, and values that never show.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// A secret value. It has no `Display`, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value, for the request that carries it and for redaction.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretRef {
    /// `env:NAME`
    Env(String),
    /// `file:PATH`; surrounding white space is dropped.
    File(PathBuf),
    /// `cmd:COMMAND`, run by the shell; surrounding white space of what it prints is dropped.
    Command(String),
    /// The value itself: from the command line, with a warning, or a header that is no secret.
    Literal(Secret),
}

impl SecretRef {
    /// True if the value itself was written down.
    pub fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// As it was written, without the value of a literal.
    pub fn shown(&self) -> String {
        match self {
            Self::Env(name) => format!("env:{name}"),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Command(command) => format!("cmd:{command}"),
            Self::Literal(_) => "[redacted]".into(),
        }
    }

    /// How a copied command refers to it: never by value.
    pub fn as_shell(&self) -> String {
        match self {
            Self::Env(name) => format!("env:{name}"),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Command(command) => format!("cmd:{command}"),
            Self::Literal(_) => "\"$TOKEN\"".into(),
        }
    }
}

impl FromStr for SecretRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("file", path)) => Self::File(PathBuf::from(path)),
            Some(("cmd", command)) => Self::Command(command.to_owned()),
            _ => Self::Literal(Secret::new(text)),
        })
    }
}

/// True for headers that carry secrets by custom: their values are never written down.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "key", "secret", "password", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

/// What stands for a part of a URL that is as good as a password.
pub const HIDDEN: &str = "/[redacted]";

/// Everything of a URL behind its host.
pub fn secret_part(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let path = url[host..].find(['/', '?'])? + host;
    Some(&url[path..]).filter(|part| part.len() > 1)
}

/// A URL of which whoever knows it all may use it, as it may be shown: its origin.
pub fn shown_url(url: &str) -> String {
    secret_part(url).map_or_else(|| url.to_owned(), |part| url.replace(part, HIDDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_values_never_shown() {
        for (text, shown) in [
            ("env:TOKEN", "env:TOKEN"),
            ("file:/run/secret", "file:/run/secret"),
            ("cmd:pass show a:b", "cmd:pass show a:b"),
            ("sk-12345", "[redacted]"),
        ] {
            let Ok(secret) = text.parse::<SecretRef>();
            assert_eq!(secret.shown(), shown);
            assert!(!format!("{secret:?}").contains("sk-12345"));
        }
        assert!(
            is_secret_header("X-API-Key")
                && is_secret_header("Authorization")
                && !is_secret_header("X-Tenant")
        );
    }
}
