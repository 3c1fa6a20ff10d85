//! An agent's card, independent of the protocol version.

use std::fmt;
use std::sync::Arc;

use crate::domain::text::Untrusted;

/// A dialect of A2A that we speak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dialect {
    /// A2A 0.3.
    V0_3,
    /// A2A 1.0 and 1.0.1.
    V1_0,
}

impl Dialect {
    /// As in `protocolVersion`: major and minor.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_3 => "0.3",
            Self::V1_0 => "1.0",
        }
    }

    /// By `protocolVersion`; the patch level is ignored (A2A 1.0 section 3.6), and every 1.x is 1.0's.
    pub fn from_version(version: &str) -> Option<Self> {
        let version = version.trim();
        let mut numbers = version.strip_prefix(['v', 'V']).unwrap_or(version).split('.');
        match (numbers.next()?, numbers.next()) {
            ("1", _) => Some(Self::V1_0),
            ("0", Some("3")) => Some(Self::V0_3),
            _ => None,
        }
    }
}

/// Optional operations of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ability {
    /// It lists its tasks.
    ListTasks,
    /// A second stream of a task changes nothing there. Servers of 0.3 exist that append each chunk once more to the
    /// stored task for each such stream.
    Resubscribe,
}

impl Dialect {
    /// True if servers of this dialect have the ability.
    pub fn can(self, ability: Ability) -> bool {
        match (self, ability) {
            (Self::V1_0, Ability::ListTasks | Ability::Resubscribe) => true,
            (Self::V0_3, Ability::ListTasks | Ability::Resubscribe) => false,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One way to call an agent, as its card offers it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The URL.
    pub url: Untrusted,
    /// `JSONRPC`, `HTTP+JSON`, `GRPC` or a URI, as in the card.
    pub binding: Untrusted,
    /// `protocolVersion`, or none if the card leaves it out.
    pub version: Option<Untrusted>,
    /// The tenant that must be echoed in each request.
    pub tenant: Option<Untrusted>,
}

/// The interface that we call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The dialect spoken there.
    pub dialect: Dialect,
    /// The binding as the card spells it.
    pub binding: Untrusted,
    /// Where; already corrected where the card names an address of its own machine.
    pub url: Untrusted,
    /// The tenant to echo.
    pub tenant: Option<Untrusted>,
}

impl Interface {
    /// True if it has the ability, by its dialect.
    pub fn can(&self, ability: Ability) -> bool {
        self.dialect.can(ability)
    }
}

/// A skill that an agent declares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skill {
    /// Unique in its card.
    pub id: Untrusted,
    /// The display name.
    pub name: Untrusted,
    /// The description.
    pub description: Untrusted,
    /// Search tags.
    pub tags: Vec<Untrusted>,
    /// Example messages.
    pub examples: Vec<Untrusted>,
    /// Media types taken, if they differ from the card's.
    pub input_modes: Vec<Untrusted>,
    /// Media types given, if they differ from the card's.
    pub output_modes: Vec<Untrusted>,
}

/// Another agent that a card names: offered to the operator, never called automatically.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its name in the card.
    pub name: Option<Untrusted>,
    /// Its URL: `http` or `https`, without credentials, normalised.
    pub url: Arc<str>,
}

/// A security scheme.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecurityScheme {
    /// Its name in the card.
    pub name: Untrusted,
    /// The scheme in a few words: `http Bearer (JWT)`, `apiKey in header X-Key`.
    pub kind: Untrusted,
}

/// An agent card, of either dialect or of both at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    /// For people; not unique.
    pub name: Untrusted,
    /// The description.
    pub description: Untrusted,
    /// The agent's own version.
    pub version: Untrusted,
    /// The organization that runs it.
    pub provider: Option<Untrusted>,
    /// Where to read more.
    pub documentation: Option<Untrusted>,
    /// The ways to call it, in the card's order; those of 1.0 before those of 0.3.
    pub offers: Vec<Offer>,
    /// Server-sent events.
    pub streaming: bool,
    /// Webhooks.
    pub push_notifications: bool,
    /// True if an extended card is available after a login.
    pub extended_card: bool,
    /// Protocol extensions, by URI.
    pub extensions: Vec<Untrusted>,
    /// The region (`metadata.region`, or in the params of an extension); `None` if not given.
    pub region: Option<Untrusted>,
    /// The framework (`metadata.framework`, or in the params of an extension); `None` if not given.
    pub framework: Option<Untrusted>,
    /// Other agents that the card names.
    pub peers: Vec<Peer>,
    /// The declared skills.
    pub skills: Vec<Skill>,
    /// Media types that it takes.
    pub input_modes: Vec<Untrusted>,
    /// Media types that it gives.
    pub output_modes: Vec<Untrusted>,
    /// How to log in.
    pub security: Vec<SecurityScheme>,
    /// Names of schemes that are required; empty if none is.
    pub required_security: Vec<Untrusted>,
    /// How many signatures it carries; they are not verified yet.
    pub signatures: u32,
    /// Faults of the card, each naming the member.
    pub faults: Vec<Untrusted>,
    /// The card as received, if it is at most 64 KiB.
    pub raw: Option<Untrusted>,
    /// A hash of the card as received, to detect changes.
    pub digest: u64,
}

impl Card {
    /// Roughly the bytes that it takes in memory.
    pub fn bytes(&self) -> u64 {
        /// What a short text takes beside its letters.
        const TEXT: usize = 40;
        let texts = |texts: &[Untrusted]| texts.iter().map(|text| text.raw().len() + TEXT).sum::<usize>();
        let skills = self.skills.iter().map(|skill| {
            let words = [&skill.id, &skill.name, &skill.description];
            let lists = [&skill.tags, &skill.examples, &skill.input_modes, &skill.output_modes];
            words.iter().map(|text| text.raw().len() + TEXT).sum::<usize>()
                + lists.iter().map(|list| texts(list)).sum::<usize>()
        });
        let offers = self.offers.iter().map(|offer| offer.url.raw().len() + 3 * TEXT);
        let peers = self.peers.iter().map(|peer| peer.url.len() + 2 * TEXT);
        let raw = self.raw.as_ref().map_or(0, |raw| raw.raw().len());
        let bytes = size_of::<Self>()
            + self.description.raw().len()
            + raw
            + skills.sum::<usize>()
            + offers.sum::<usize>()
            + peers.sum::<usize>()
            + self.security.len() * 4 * TEXT
            + texts(&self.extensions)
            + texts(&self.faults);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The offered interfaces: `JSONRPC 1.0, HTTP+JSON 0.3`.
    pub fn offers_in_words(&self) -> Untrusted {
        if self.offers.is_empty() {
            return Untrusted::from("no interface at all");
        }
        let mut words: Vec<String> = Vec::new();
        for offer in &self.offers {
            let version = offer.version.as_ref().map_or("of no version", |version| version.raw());
            let word = format!("{} {version}", offer.binding.raw());
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Untrusted::from(words.join(", "))
    }

    /// The only skill, if there is exactly one.
    pub fn only_skill(&self) -> Option<&Skill> {
        match self.skills.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// A card together with where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedCard {
    /// The card.
    pub card: Arc<Card>,
    /// The URL that answered.
    pub url: Arc<str>,
    /// The `ETag`, for conditional requests.
    pub etag: Option<Untrusted>,
}

impl Card {
    /// A card without content.
    pub fn empty() -> Self {
        let nothing = || Untrusted::from("");
        Self {
            name: nothing(),
            description: nothing(),
            version: nothing(),
            provider: None,
            documentation: None,
            offers: Vec::new(),
            streaming: false,
            push_notifications: false,
            extended_card: false,
            extensions: Vec::new(),
            region: None,
            framework: None,
            peers: Vec::new(),
            skills: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
            security: Vec::new(),
            required_security: Vec::new(),
            signatures: 0,
            faults: Vec::new(),
            raw: None,
            digest: 0,
        }
    }
}
