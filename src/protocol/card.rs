//! Agent cards of 1.0, of 0.3, and of both at once.

use super::json::{Object, Writer, string};
use super::{card_metadata, malformed};
use crate::domain::agent::card::{Card, Offer, SecurityScheme, Skill};
use crate::domain::cause::Cause;
use crate::domain::job::message::text_hash;
use crate::domain::text::Untrusted;

/// Reads a card, whatever it lacks; what is wrong with it is listed in its faults.
///
/// # Errors
/// It is not a JSON object, or is nested too deeply, or says nothing that a card says.
pub fn decode(body: &str) -> Result<Card, Cause> {
    let card = Object::parse(body)?;
    let looks_like_one =
        ["supportedInterfaces", "url", "skills", "capabilities"].iter().any(|key| card.has(key));
    if !looks_like_one {
        return Err(malformed(
            "an object without url, supportedInterfaces, capabilities or skills is no agent card",
        ));
    }
    let capabilities = card.object("capabilities").unwrap_or_default();
    let offers = offers(&card);
    let provider = card.object("provider");
    let (region, framework) = card_metadata::traits(&card);
    Ok(Card {
        name: text(&card, "name"),
        description: text(&card, "description"),
        version: text(&card, "version"),
        provider: provider.and_then(|provider| provider.filled("organization")),
        documentation: card.filled("documentationUrl"),
        streaming: capabilities.flag("streaming"),
        push_notifications: capabilities.flag("pushNotifications"),
        extended_card: capabilities.flag("extendedAgentCard")
            || card.flag("supportsAuthenticatedExtendedCard"),
        extensions: capabilities.objects("extensions").iter().filter_map(|e| e.filled("uri")).collect(),
        region,
        framework,
        peers: card_metadata::read(&card),
        skills: skills(&card),
        input_modes: card.texts("defaultInputModes"),
        output_modes: card.texts("defaultOutputModes"),
        security: schemes(&card),
        required_security: required(&card),
        signatures: u32::try_from(card.list("signatures").len()).unwrap_or(u32::MAX),
        faults: faults(&card, &offers),
        raw: (body.len() <= super::RAW_KEPT).then(|| Untrusted::from(body)),
        digest: text_hash(body),
        offers,
    })
}

fn text(object: &Object<'_>, key: &str) -> Untrusted {
    object.untrusted(key).unwrap_or_else(|| Untrusted::from(""))
}

/// 1.0's interfaces in their order; then 0.3's `url` and `additionalInterfaces`, unless a listed
/// interface says the same already.
fn offers(card: &Object<'_>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = card
        .objects("supportedInterfaces")
        .iter()
        .filter_map(|interface| {
            Some(Offer {
                url: interface.filled("url")?,
                binding: interface.filled("protocolBinding").unwrap_or_else(|| "JSONRPC".into()),
                version: interface.filled("protocolVersion"),
                tenant: interface.filled("tenant"),
            })
        })
        .collect();
    let version = card.filled("protocolVersion").or_else(|| Some("0.3".into()));
    let mut add = |url: Option<Untrusted>, binding: Option<Untrusted>| {
        let Some(url) = url else { return };
        let offer = Offer {
            url,
            binding: binding.unwrap_or_else(|| "JSONRPC".into()),
            version: version.clone(),
            tenant: None,
        };
        let same = |other: &Offer| {
            let minor = |offer: &Offer| {
                offer
                    .version
                    .as_ref()
                    .and_then(|v| crate::domain::agent::card::Dialect::from_version(v.raw()))
            };
            other.url == offer.url && other.binding == offer.binding && minor(other) == minor(&offer)
        };
        if !offers.iter().any(same) {
            offers.push(offer);
        }
    };
    add(card.filled("url"), card.filled("preferredTransport"));
    for interface in card.objects("additionalInterfaces") {
        add(interface.filled("url"), interface.filled("transport"));
    }
    offers
}

/// Cards may have very many skills. Texts that a skill has in common with the one before are kept once.
fn skills(card: &Object<'_>) -> Vec<Skill> {
    let mut skills: Vec<Skill> = Vec::new();
    for object in card.each_object("skills") {
        let mut next = skill(&object);
        if next.name == next.id {
            next.name.clone_from(&next.id);
        }
        if let Some(last) = skills.last() {
            if next.description == last.description {
                next.description.clone_from(&last.description);
            }
            for (tag, known) in next.tags.iter_mut().zip(&last.tags) {
                if tag == known {
                    tag.clone_from(known);
                }
            }
        }
        next.tags.shrink_to_fit();
        skills.push(next);
    }
    skills.shrink_to_fit();
    skills
}

fn skill(object: &Object<'_>) -> Skill {
    Skill {
        id: text(object, "id"),
        name: text(object, "name"),
        description: text(object, "description"),
        tags: object.texts("tags"),
        examples: object.texts("examples"),
        input_modes: object.texts("inputModes"),
        output_modes: object.texts("outputModes"),
    }
}

/// Schemes of both shapes, and of servers that write both shapes into one entry.
fn schemes(card: &Object<'_>) -> Vec<SecurityScheme> {
    let Some(schemes) = card.object("securitySchemes") else { return Vec::new() };
    let describe = |raw: &str| -> Option<String> {
        let scheme = Object::parse(raw).ok()?;
        let say = |object: &Object<'_>, key: &str| object.text(key).unwrap_or_default().into_owned();
        if let Some(http) = scheme.object("httpAuthSecurityScheme") {
            return Some(http_kind(&say(&http, "scheme"), &say(&http, "bearerFormat")));
        }
        if let Some(key) = scheme.object("apiKeySecurityScheme") {
            return Some(format!("apiKey in {} {}", say(&key, "location"), say(&key, "name")));
        }
        if let Some(oauth) = scheme.object("oauth2SecurityScheme") {
            return Some(format!("oauth2, {}", flows(&oauth)));
        }
        if let Some(oidc) = scheme.object("openIdConnectSecurityScheme") {
            return Some(format!("openIdConnect at {}", say(&oidc, "openIdConnectUrl")));
        }
        if scheme.has("mtlsSecurityScheme") {
            return Some("mutualTLS".into());
        }
        Some(match say(&scheme, "type").as_str() {
            "http" => http_kind(&say(&scheme, "scheme"), &say(&scheme, "bearerFormat")),
            "apiKey" => format!("apiKey in {} {}", say(&scheme, "in"), say(&scheme, "name")),
            "oauth2" => format!("oauth2, {}", flows(&scheme)),
            "openIdConnect" => format!("openIdConnect at {}", say(&scheme, "openIdConnectUrl")),
            "mutualTLS" => "mutualTLS".into(),
            "" => "of an unknown kind".into(),
            other => other.to_owned(),
        })
    };
    schemes
        .members()
        .map(|(name, raw)| SecurityScheme {
            name: name.into(),
            kind: describe(raw.get()).unwrap_or_else(|| "of an unknown kind".into()).into(),
        })
        .collect()
}

fn http_kind(scheme: &str, format: &str) -> String {
    if format.is_empty() { format!("http {scheme}") } else { format!("http {scheme} ({format})") }
}

fn flows(scheme: &Object<'_>) -> String {
    let flows = scheme.object("flows").unwrap_or_default();
    let names: Vec<_> = flows.members().map(|(name, _)| name.to_owned()).collect();
    if names.is_empty() { "no flow".into() } else { names.join(", ") }
}

fn required(card: &Object<'_>) -> Vec<Untrusted> {
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

/// What the specification requires of a card and this one lacks (A2A 1.0 section 4.4.1, 0.3 section 5.5).
fn faults(card: &Object<'_>, offers: &[Offer]) -> Vec<Untrusted> {
    let mut faults = Vec::new();
    let mut missing = |key: &str| {
        if card.raw(key).is_none() {
            faults.push(Untrusted::from(format!("{key}: missing")));
        }
    };
    for key in [
        "name",
        "description",
        "version",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    ] {
        missing(key);
    }
    if !card.has("supportedInterfaces") {
        for key in ["url", "protocolVersion"] {
            missing(key);
        }
    }
    for (index, interface) in card.objects("supportedInterfaces").iter().enumerate() {
        for key in ["url", "protocolBinding", "protocolVersion"] {
            if interface.filled(key).is_none() {
                faults.push(Untrusted::from(format!("supportedInterfaces[{index}].{key}: missing")));
            }
        }
    }
    for (index, skill) in card.objects("skills").iter().enumerate() {
        for key in ["id", "name", "description", "tags"] {
            if skill.raw(key).is_none() {
                faults.push(Untrusted::from(format!("skills[{index}].{key}: missing")));
            }
        }
    }
    for key in ["name", "description", "version"] {
        if card.raw(key).is_some_and(|raw| !raw.starts_with('"')) {
            faults.push(Untrusted::from(format!("{key}: not a string")));
        }
    }
    let urls = offers.iter().filter(|offer| !offer.binding.raw().eq_ignore_ascii_case("GRPC"));
    for offer in urls.filter(|offer| url::Url::parse(offer.url.raw()).is_err()) {
        faults.push(Untrusted::from(format!("{}: not a URL", offer.url.shortened(80).raw())));
    }
    let names: Vec<_> = schemes(card).into_iter().map(|scheme| scheme.name).collect();
    for name in required(card).into_iter().filter(|name| !names.contains(name)) {
        faults.push(Untrusted::from(format!("securitySchemes.{}: required but not defined", name.raw())));
    }
    faults
}

/// A card as servers of both dialects write it, for the embedded fleet.
pub fn encode(card: &Card) -> String {
    let texts = |list: &[Untrusted]| super::json::array(list.iter().map(|text| string(text.raw())));
    let is_0_3 =
        |offer: &Offer| offer.version.as_ref().is_some_and(|version| version.raw().starts_with("0.3"));
    let mut capabilities =
        Writer::new().flag("streaming", card.streaming).flag("pushNotifications", card.push_notifications);
    if card.extended_card {
        capabilities = capabilities.flag("extendedAgentCard", true);
    }
    if !card.peers.is_empty() {
        let peers = card.peers.iter().map(|peer| Writer::new().text("url", &peer.url).end());
        let params = Writer::new().list("peers", peers).end();
        let extension = Writer::new().text("uri", "urn:quarterdeck:peers").raw("params", &params).end();
        capabilities = capabilities.list("extensions", [extension]);
    }
    let skills = card.skills.iter().map(|skill| {
        Writer::new()
            .text("id", skill.id.raw())
            .text("name", skill.name.raw())
            .text("description", skill.description.raw())
            .raw("tags", &texts(&skill.tags))
            .raw("examples", &texts(&skill.examples))
            .end()
    });
    let mut writer = Writer::new()
        .text("name", card.name.raw())
        .text("description", card.description.raw())
        .text("version", card.version.raw())
        .raw("capabilities", &capabilities.end())
        .raw("defaultInputModes", &texts(&card.input_modes))
        .raw("defaultOutputModes", &texts(&card.output_modes))
        .list("skills", skills);
    if let Some(provider) = &card.provider {
        let provider =
            Writer::new().text("organization", provider.raw()).text("url", "https://example.com").end();
        writer = writer.raw("provider", &provider);
    }
    if card.offers.iter().any(|offer| !is_0_3(offer)) {
        let interfaces = card.offers.iter().map(|offer| {
            Writer::new()
                .text("url", offer.url.raw())
                .text("protocolBinding", offer.binding.raw())
                .maybe("protocolVersion", offer.version.as_ref().map(Untrusted::raw))
                .end()
        });
        writer = writer.list("supportedInterfaces", interfaces);
    }
    if let Some(old) = card.offers.iter().find(|offer| is_0_3(offer)) {
        writer = writer
            .text("url", old.url.raw())
            .text("preferredTransport", old.binding.raw())
            .text("protocolVersion", "0.3.0");
    }
    writer.end()
}
