//! The forms in which a peer may send a secret back: as it is, escaped, or encoded.

use std::fmt::Write;

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::config::secret::SHORTEST;

/// One form of a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Form {
    pub text: String,
    /// The form is part of a base64 text, which must stay decodable.
    pub base64: bool,
}

/// What JSON encoders escape beyond what they must: nothing, `/` (PHP), HTML and `+` (.NET, Go).
const JSON_ESCAPED: [&str; 3] = ["", "/", "&'+<>`"];

/// What URL encoders leave as it is besides letters and digits: RFC 3986, JavaScript's `encodeURIComponent`, Python's
/// `quote`, JavaScript's `encodeURI`, and HTML forms.
const URL_KEPT: [&str; 5] = ["-_.~", "-_.!~*'()", "/-_.~", ";,/?:@&=+$-_.!~*'()#", "*-._"];

/// Every form of a secret without duplicates, the secret itself first.
pub(super) fn forms(secret: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut add = |text: String, base64: bool| {
        if text.len() >= SHORTEST && !forms.iter().any(|known| known.text == text) {
            forms.push(Form { text, base64 });
        }
    };
    add(secret.to_owned(), false);
    for upper in [false, true] {
        for escaped in JSON_ESCAPED {
            add(json_escaped(secret, escaped, upper), false);
        }
        for kept in URL_KEPT {
            let encoded = url_encoded(secret, kept, upper);
            add(encoded.replace("%20", "+"), false);
            add(encoded, false);
        }
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for offset in 0..3 {
            add(base64_at(engine, secret, offset), true);
        }
    }
    forms
}

fn json_escaped(secret: &str, also: &str, upper: bool) -> String {
    let mut out = String::with_capacity(secret.len());
    for c in secret.chars() {
        let _infallible = match c {
            '"' if !also.contains('&') => write!(out, "\\\""),
            '/' if also.contains('/') => write!(out, "\\/"),
            '\\' => write!(out, "\\\\"),
            '"' | '\0'..' ' => code_units(&mut out, c, upper),
            _ if also.contains(c) => code_units(&mut out, c, upper),
            _ => write!(out, "{c}"),
        };
    }
    out
}

fn code_units(out: &mut String, c: char, upper: bool) -> std::fmt::Result {
    for unit in c.encode_utf16(&mut [0; 2]) {
        if upper {
            write!(out, "\\u{unit:04X}")?;
        } else {
            write!(out, "\\u{unit:04x}")?;
        }
    }
    Ok(())
}

fn url_encoded(secret: &str, kept: &str, upper: bool) -> String {
    let mut out = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        let _infallible = match byte {
            _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => {
                write!(out, "{}", char::from(byte))
            }
            _ if upper => write!(out, "%{byte:02X}"),
            _ => write!(out, "%{byte:02x}"),
        };
    }
    out
}

/// The base64 characters that depend on nothing but the secret. They are part of the encoding of every text that has
/// the secret at a byte position congruent to `offset` modulo three.
fn base64_at(engine: &GeneralPurpose, secret: &str, offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(secret.as_bytes());
    let encoded = engine.encode(&bytes);
    let (first, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(first..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn all_encoded_forms_of_a_secret_are_known() {
        let secret = "sk-CANARY+9f8e/7d6c==\"q";
        let known: Vec<_> = forms(secret).into_iter().map(|form| form.text).collect();
        for form in [
            secret,
            r#"sk-CANARY+9f8e/7d6c==\"q"#,
            r#"sk-CANARY+9f8e\/7d6c==\"q"#,
            r"sk-CANARY\u002B9f8e/7d6c==\u0022q",
            r"sk-CANARY\u002b9f8e/7d6c==\u0022q",
            "sk-CANARY%2B9f8e%2F7d6c%3D%3D%22q",
            "sk-CANARY%2b9f8e%2f7d6c%3d%3d%22q",
            "sk-CANARY%2B9f8e/7d6c%3D%3D%22q",
            "sk-CANARY+9f8e/7d6c==%22q",
        ] {
            assert!(known.iter().any(|known| known == form), "{form}: {known:#?}");
        }
        assert!(forms("two words").iter().any(|form| form.text == "two+words"));
        // The forms of a plain word are the word itself and its base64.
        assert_eq!(forms("canary").iter().filter(|form| !form.base64).count(), 1);
    }

    #[test]
    fn base64_holds_a_secret_at_every_offset() {
        for secret in ["secret", "sk-CANARY+9f8e/7d6c==", "\u{ff}\u{fe}\u{fb}ÿÿÿ??>>"] {
            for before in ["", "a", "ab", "abc", "Bearer ", "user:"] {
                for behind in ["", "x", "xy", "xyz"] {
                    for engine in [&STANDARD, &base64::engine::general_purpose::URL_SAFE_NO_PAD] {
                        let encoded = engine.encode(format!("{before}{secret}{behind}"));
                        let found =
                            forms(secret).iter().any(|form| form.base64 && encoded.contains(&form.text));
                        assert!(found, "{before}{secret}{behind}: {encoded}");
                    }
                }
            }
        }
    }
}
