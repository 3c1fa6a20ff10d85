//! Security schemes of cards: 1.0's wrappers, 0.3's `type`, both in one entry, or neither.

use super::json::{Object, same_name};
use crate::domain::agent::card::SecurityScheme;
use crate::domain::text::Untrusted;

/// The type of a security scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Http,
    ApiKey,
    OAuth2,
    OpenIdConnect,
    MutualTls,
}

/// The way in which a scheme names its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// By a wrapper, as in 1.0.
    Wrapped,
    /// By `type`, as in 0.3.
    Typed,
    /// By the members that it has, and not otherwise.
    Bare,
}

/// Kinds, with 1.0's wrapper and 0.3's type.
const KINDS: [(Kind, &str, &str); 5] = [
    (Kind::Http, "httpAuthSecurityScheme", "http"),
    (Kind::ApiKey, "apiKeySecurityScheme", "apiKey"),
    (Kind::OAuth2, "oauth2SecurityScheme", "oauth2"),
    (Kind::OpenIdConnect, "openIdConnectSecurityScheme", "openIdConnect"),
    (Kind::MutualTls, "mtlsSecurityScheme", "mutualTLS"),
];

impl Kind {
    fn names(self) -> (&'static str, &'static str) {
        let row = KINDS.iter().find(|(kind, ..)| *kind == self);
        row.map_or(("", ""), |(_, wrapper, kind)| (wrapper, kind))
    }

    /// Required members, each with its name in the other version.
    fn required(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Http => &[&["scheme"]],
            Self::ApiKey => &[&["name"], &["location", "in"]],
            Self::OAuth2 => &[&["flows"]],
            Self::OpenIdConnect => &[&["openIdConnectUrl"]],
            Self::MutualTls => &[],
        }
    }

    fn describe(self, scheme: &Object<'_>) -> String {
        let say = |key: &str| scheme.text(key).unwrap_or_default().into_owned();
        match self {
            Self::Http => match (say("scheme"), say("bearerFormat")) {
                (scheme, _) if scheme.is_empty() => "http, of no scheme".into(),
                (scheme, format) if format.is_empty() => format!("http {scheme}"),
                (scheme, format) => format!("http {scheme} ({format})"),
            },
            Self::ApiKey => {
                let place =
                    Some(say("location")).filter(|place| !place.is_empty()).unwrap_or_else(|| say("in"));
                let place = if place.is_empty() { "an unknown place".to_owned() } else { place };
                format!("apiKey in {place} {}", say("name")).trim_end().to_owned()
            }
            Self::OAuth2 => format!("oauth2, {}", flows(scheme)),
            Self::OpenIdConnect => format!("openIdConnect at {}", say("openIdConnectUrl")),
            Self::MutualTls => "mutualTLS".into(),
        }
    }
}

fn flows(scheme: &Object<'_>) -> String {
    let flows = scheme.object("flows").unwrap_or_default();
    let names: Vec<_> = flows.members().map(|(name, _)| name.to_owned()).collect();
    if names.is_empty() { "no flow".into() } else { names.join(", ") }
}

/// The type of a scheme and the object with its members; `None` if it is unknown.
fn find<'a>(scheme: &Object<'a>) -> Option<(Kind, Object<'a>, Form)> {
    for (kind, wrapper, _) in KINDS {
        if scheme.has(wrapper) {
            return Some((kind, scheme.object(wrapper).unwrap_or_default(), Form::Wrapped));
        }
    }
    if let Some(text) = scheme.text("type") {
        let is_it = |name: &str| same_name(name, &text) || (name == "mutualTLS" && same_name("mtls", &text));
        let (kind, ..) = KINDS.into_iter().find(|(_, _, name)| is_it(name))?;
        return Some((kind, scheme.clone(), Form::Typed));
    }
    let has = |key: &str| scheme.raw(key).is_some();
    let kind = if has("openIdConnectUrl") {
        Kind::OpenIdConnect
    } else if has("flows") || has("oauth2MetadataUrl") {
        Kind::OAuth2
    } else if has("scheme") || has("bearerFormat") {
        Kind::Http
    } else if has("name") && (has("location") || has("in")) {
        Kind::ApiKey
    } else {
        return None;
    };
    Some((kind, scheme.clone(), Form::Bare))
}

/// The schemes of a card, in words.
pub(super) fn schemes(card: &Object<'_>) -> Vec<SecurityScheme> {
    let all = card.object("securitySchemes").unwrap_or_default();
    let describe = |raw: &str| {
        let scheme = all.inner(raw)?;
        match find(&scheme) {
            Some((kind, inner, _)) => Some(kind.describe(&inner)),
            None => scheme.text("type").map(std::borrow::Cow::into_owned).filter(|kind| !kind.is_empty()),
        }
    };
    let kinds = all.members().map(|(name, raw)| SecurityScheme {
        name: name.into(),
        kind: describe(raw.get()).unwrap_or_else(|| "of an unknown kind".into()).into(),
    });
    kinds.collect()
}

/// The names of the schemes that a card requires.
pub(super) fn required(card: &Object<'_>) -> Vec<Untrusted> {
    let mut names = Vec::new();
    for requirement in card.objects("securityRequirements") {
        if let Some(schemes) = requirement.object("schemes") {
            names.extend(schemes.members().map(|(name, _)| Untrusted::from(name)));
        }
    }
    for requirement in card.objects("security") {
        names.extend(requirement.members().map(|(name, _)| Untrusted::from(name)));
    }
    names.sort();
    names.dedup();
    names
}

/// Faults of a card's security schemes, each naming the member.
pub(super) fn faults(card: &Object<'_>, mut fault: impl FnMut(String)) {
    let all = card.object("securitySchemes").unwrap_or_default();
    // A card of both dialects may have either form.
    let is_1_0 = card.has("supportedInterfaces") && card.raw("url").is_none();
    for (name, raw) in all.members() {
        let place = format!("securitySchemes.{name}");
        let Some(scheme) = all.inner(raw.get()) else {
            fault(format!("{place}: not an object"));
            continue;
        };
        let Some((kind, inner, form)) = find(&scheme) else {
            fault(format!("{place}: of an unknown kind"));
            continue;
        };
        let (wrapper, word) = kind.names();
        match form {
            Form::Bare if is_1_0 => {
                fault(format!("{place}: not in {wrapper}; taken for {word} by its members"));
            }
            Form::Bare => fault(format!("{place}.type: missing; taken for {word} by its members")),
            Form::Typed if is_1_0 => {
                fault(format!("{place}: has a type, as in 0.3; 1.0 has it in {wrapper}"));
            }
            Form::Typed | Form::Wrapped => {}
        }
        for names in kind.required() {
            if names.iter().all(|name| inner.raw(name).is_none())
                && let Some(name) = names.first()
            {
                fault(format!("{place}.{name}: missing"));
            }
        }
    }
    let known: Vec<Untrusted> = all.members().map(|(name, _)| name.into()).collect();
    for name in required(card).into_iter().filter(|name| !known.contains(name)) {
        fault(format!("securitySchemes.{}: required but not defined", name.raw()));
    }
}
