//! Agent cards of 1.0, of 0.3, and of both at once.

use url::Url;

use super::json::{Object, Writer, string};
use super::{card_metadata, malformed, security, words};
use crate::domain::agent::card::{Card, Offer, Skill};
use crate::domain::cause::Cause;
use crate::domain::job::message::text_hash;
use crate::domain::text::Untrusted;

/// Decodes a card, however incomplete; its faults are listed.
///
/// # Errors
/// It is not a JSON object, or is nested too deeply, or says nothing that a card says.
pub fn decode(body: &str) -> Result<Card, Cause> {
    let card = Object::parse_lenient(body)?;
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
        security: security::schemes(&card),
        required_security: security::required(&card),
        signatures: u32::try_from(card.list("signatures").len()).unwrap_or(u32::MAX),
        faults: faults(&card),
        raw: (body.len() <= super::RAW_KEPT).then(|| Untrusted::from(body)),
        digest: text_hash(body),
        offers,
    })
}

fn text(object: &Object<'_>, key: &str) -> Untrusted {
    object.untrusted(key).unwrap_or_else(|| Untrusted::from(""))
}

/// Names of the three bindings in cards.
const BINDINGS: [&str; 3] = ["JSONRPC", "HTTP+JSON", "GRPC"];

/// A binding in the specification's spelling, ignoring case and punctuation.
fn binding(spelling: Option<Untrusted>) -> Untrusted {
    let letters = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let Some(spelling) = spelling else { return BINDINGS[0].into() };
    let known = BINDINGS.into_iter().find(|known| letters(known) == letters(spelling.raw()));
    known.map_or(spelling, Untrusted::from)
}

/// An interface as a card writes it: its place, and the names of its members there.
struct Interface<'a> {
    place: String,
    object: Object<'a>,
    binding: &'static str,
    is_1_0: bool,
}

impl Interface<'_> {
    fn url(&self) -> Option<Untrusted> {
        self.object.filled("url")
    }

    fn binding_as_spelled(&self) -> Option<Untrusted> {
        // Some 1.0 cards use the name of 0.3, and the reverse.
        [self.binding, "protocolBinding", "transport"].iter().find_map(|name| self.object.filled(name))
    }
}

/// 1.0's interfaces in their order; then 0.3's `url` and `additionalInterfaces`.
fn interfaces<'a>(card: &Object<'a>) -> Vec<Interface<'a>> {
    let listed = |list: &'static str, binding: &'static str, is_1_0: bool| {
        let all = card.objects(list).into_iter().enumerate();
        all.map(move |(index, object)| Interface {
            place: format!("{list}[{index}]."),
            object,
            binding,
            is_1_0,
        })
    };
    let own = Interface {
        place: String::new(),
        object: card.clone(),
        binding: "preferredTransport",
        is_1_0: false,
    };
    let mut all: Vec<_> = listed("supportedInterfaces", "protocolBinding", true).collect();
    all.push(own);
    all.extend(listed("additionalInterfaces", "transport", false));
    all
}

/// The offered interfaces; one of 0.3 is skipped if those of 1.0 include it.
fn offers(card: &Object<'_>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let of_card = card.filled("protocolVersion").or_else(|| Some("0.3".into()));
    let minor = |offer: &Offer| {
        offer
            .version
            .as_ref()
            .and_then(|version| crate::domain::agent::card::Dialect::from_version(version.raw()))
    };
    for interface in interfaces(card) {
        let Some(url) = interface.url() else { continue };
        let (version, tenant) = if interface.is_1_0 {
            (interface.object.filled("protocolVersion"), interface.object.filled("tenant"))
        } else {
            (of_card.clone(), None)
        };
        let offer = Offer { url, binding: binding(interface.binding_as_spelled()), version, tenant };
        let same = |other: &Offer| {
            other.url == offer.url && other.binding == offer.binding && minor(other) == minor(&offer)
        };
        if interface.is_1_0 || !offers.iter().any(same) {
            offers.push(offer);
        }
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

/// True for a URL without scheme and host. A name with a dot or a port at the beginning is a host without its scheme,
/// as in gRPC URLs.
fn is_relative(url: &str) -> bool {
    let url = url.trim();
    if url.starts_with(['/', '.', '?', '#']) {
        return true;
    }
    let first = url.split('/').next().unwrap_or(url);
    !url.contains("://") && url.contains('/') && !first.contains(['.', ':']) && first != "localhost"
}

/// Resolves the relative URLs of a card against its origin: the agent's base, below which the well-known path is.
pub fn resolve(card: &mut Card, came_from: &Url) {
    let mut base = came_from.clone();
    if let Some((above, _)) = came_from.path().split_once("/.well-known/") {
        base.set_path(&format!("{above}/"));
    }
    base.set_query(None);
    for offer in &mut card.offers {
        if is_relative(offer.url.raw())
            && let Ok(url) = base.join(offer.url.raw().trim())
        {
            offer.url = Untrusted::from(url.as_str());
        }
    }
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

/// Required members that the card lacks (A2A 1.0 section 4.4.1, 0.3 section 5.5), and misspelt ones.
fn faults(card: &Object<'_>) -> Vec<Untrusted> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(Untrusted::from(what));
    spelling(card, "", &mut fault);
    // A card of 1.0 is JSON of protocol buffers, which leaves out empty texts and lists.
    let is_1_0 = card.has("supportedInterfaces");
    let may_be_empty: &[&str] =
        if is_1_0 { &[] } else { &["description", "defaultInputModes", "defaultOutputModes", "skills"] };
    for key in ["name", "version", "capabilities"].iter().chain(may_be_empty) {
        if card.raw(key).is_none() {
            fault(format!("{key}: missing"));
        }
    }
    if !is_1_0 {
        for key in ["url", "protocolVersion"] {
            if card.raw(key).is_none() {
                fault(format!("{key}: missing"));
            }
        }
    }
    for interface in interfaces(card) {
        let Interface { place, .. } = &interface;
        if interface.is_1_0 {
            for key in ["url", "protocolBinding", "protocolVersion"] {
                if interface.object.filled(key).is_none() {
                    fault(format!("{place}{key}: missing"));
                }
            }
        }
        if let Some(spelling) = interface.binding_as_spelled() {
            let meant = binding(Some(spelling.clone()));
            if meant != spelling {
                let name = interface.binding;
                fault(format!("{place}{name}: {:?} for {:?}", spelling.shortened(40).raw(), meant.raw()));
            }
            if meant.raw() == "GRPC" {
                continue;
            }
        }
        let Some(url) = interface.url() else { continue };
        if is_relative(url.raw()) {
            fault(format!("{place}url: {} is not absolute", url.shortened(80).raw()));
        } else if Url::parse(url.raw()).is_err() {
            fault(format!("{place}url: {} is not a URL", url.shortened(80).raw()));
        }
    }
    for (index, skill) in card.objects("skills").iter().enumerate() {
        let may_be_empty: &[&str] = if is_1_0 { &[] } else { &["description", "tags"] };
        for key in ["id", "name"].iter().chain(may_be_empty) {
            if skill.raw(key).is_none() {
                fault(format!("skills[{index}].{key}: missing"));
            }
        }
    }
    for key in ["name", "description", "version"] {
        if card.raw(key).is_some_and(|raw| !raw.starts_with('"')) {
            fault(format!("{key}: not a string"));
        }
    }
    security::faults(card, &mut fault);
    faults
}

/// Objects of a card with members defined by the protocol; the members of others are free.
const NAMED: [&str; 5] =
    ["capabilities", "provider", "supportedInterfaces", "additionalInterfaces", "skills"];

/// Names of members that are spelt in another way than A2A spells them.
fn spelling(object: &Object<'_>, place: &str, fault: &mut impl FnMut(String)) {
    for (name, _) in object.members() {
        if let Some(meant) = words::misspelt(name) {
            let name = Untrusted::from(name).shortened(40);
            fault(format!("{place}{}: spelt {meant} in A2A", name.raw()));
        }
    }
    for key in NAMED {
        if let Some(inner) = object.object(key) {
            spelling(&inner, &format!("{place}{key}."), fault);
        }
        for (index, inner) in object.objects(key).iter().enumerate() {
            spelling(inner, &format!("{place}{key}[{index}]."), fault);
        }
    }
    for (name, raw) in object.object("securitySchemes").unwrap_or_default().members() {
        if let Some(inner) = object.inner(raw.get()) {
            spelling(&inner, &format!("{place}securitySchemes.{name}."), fault);
        }
    }
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
