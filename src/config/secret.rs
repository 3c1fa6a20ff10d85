//! Secrets: references to them, and values that never show.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// The minimum length of a secret in bytes. A shorter one could not be redacted without damaging unrelated text.
pub const SHORTEST: usize = 6;

/// The maximum length of a secret in bytes; no server accepts longer headers.
pub const LONGEST: usize = 16 * 1024;

/// A secret value. It has no `Display`, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
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
    /// `cmd:COMMAND`, run by the shell; its output is trimmed.
    Command(String),
    /// The value itself: from the command line, with a warning, or a header that is not secret.
    Literal(Secret),
}

impl SecretRef {
    /// True if the value itself was written down.
    pub fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// The reason why the secret cannot be used, as far as that is known without running a command: it is too short or
    /// too long to be redacted. Read errors are reported when it is used.
    pub fn length_fault(&self) -> Option<String> {
        let value = match self {
            Self::Env(name) => std::env::var(name).ok()?,
            // Reading a pipe would consume the secret before its actual reader.
            Self::File(path) => {
                let is_file = std::fs::metadata(path).is_ok_and(|file| file.is_file());
                is_file.then(|| std::fs::read_to_string(path).ok()).flatten()?
            }
            Self::Command(_) => return None,
            Self::Literal(secret) => secret.expose().to_owned(),
        };
        length_fault(value.trim()).filter(|_| !value.trim().is_empty())
    }

    /// The reference as written, without a literal's value.
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

/// The reason why a value cannot be a secret: it is too short or too long to be redacted.
pub fn length_fault(value: &str) -> Option<String> {
    match value.len() {
        ..SHORTEST => Some(format!(
            "is shorter than {SHORTEST} bytes, so it could not be redacted; use a longer secret"
        )),
        SHORTEST..=LONGEST => None,
        _ => {
            Some(format!("is longer than {LONGEST} bytes, so it could not be redacted; use a shorter secret"))
        }
    }
}

/// True for headers that carry secrets by custom: their values are never written down.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "key", "secret", "password", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

/// The replacement for the secret part of a URL.
pub const HIDDEN: &str = "/[redacted]";

/// Everything of a URL behind its host.
pub fn secret_part(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let path = url[host..].find(['/', '?'])? + host;
    Some(&url[path..]).filter(|part| part.len() > 1)
}

/// The displayable form of a secret URL: its origin.
pub fn shown_url(url: &str) -> String {
    secret_part(url).map_or_else(|| url.to_owned(), |part| url.replace(part, HIDDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_cannot_be_redacted_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            format!("file:{}", dir.path().join(name).display())
        };
        let long = "x".repeat(LONGEST + 1);
        for (text, fault) in [
            ("s3cr3", Some("is shorter than 6 bytes")),
            ("s3cret", None),
            (&*long, Some("is longer than 16384 bytes")),
            (&file("short", "  abc\n"), Some("is shorter than 6 bytes")),
            (&file("good", "abcdef\n"), None),
            ("file:/nowhere/at/all", None),
            ("file:/dev/zero", None),
            ("env:QUARTERDECK_IS_NOT_SET", None),
            ("cmd:echo a", None),
        ] {
            let Ok(secret) = text.parse::<SecretRef>();
            let reported = secret.length_fault();
            assert_eq!(reported.is_some(), fault.is_some(), "{text:.40}");
            assert!(reported.unwrap_or_default().contains(fault.unwrap_or_default()));
        }
    }

    #[test]
    fn references_are_resolved_and_values_are_never_shown() {
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
