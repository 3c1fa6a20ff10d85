//! Identities: ours are UUIDv7, or UUIDv8 if a sender chose it, the agents' are whatever text they chose.

use std::fmt;
use std::ops::Deref;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::domain::text::Untrusted;
use crate::domain::time::At;

macro_rules! own_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )*};
}

own_id! {
    /// An agent, from its first sight on; a changed card is drift, not a new agent.
    AgentId,
    /// A unit of work that was requested once.
    JobId,
    /// One sending of a job to one agent.
    AttemptId,
    /// An agent's entry in our own registry; it stays the same when the agent registers again.
    RegistrationId,
}

impl JobId {
    /// Four characters that are easy to read out, from the random end of the id.
    pub fn short(self) -> String {
        short(self.0)
    }
}

impl AttemptId {
    /// Four characters that are easy to read out, from the random end of the id.
    pub fn short(self) -> String {
        short(self.0)
    }
}

/// Crockford's base 32 of the last 20 bits: no letter that is mistaken for a digit.
fn short(id: Uuid) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = id.as_u128();
    (0..4).rev().map(|place| LETTERS[(bits >> (place * 5)) as usize & 31] as char).collect()
}

/// An id that an agent chose: nearly always a UUID, which is kept as sixteen bytes and not as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PeerId {
    /// Text that is exactly a UUID as it is usually written: lower case, with hyphens.
    Uuid([u8; 16]),
    /// Any other text.
    Text(Untrusted),
}

impl PeerId {
    fn of(text: &str) -> Option<[u8; 16]> {
        let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == Hyphenated::LENGTH)?;
        let mut written = [0; Hyphenated::LENGTH];
        (uuid.hyphenated().encode_lower(&mut written) == text).then(|| uuid.into_bytes())
    }

    fn raw(&self) -> RawId<'_> {
        match self {
            Self::Uuid(bytes) => {
                let mut written = [0; Hyphenated::LENGTH];
                Uuid::from_bytes(*bytes).hyphenated().encode_lower(&mut written);
                RawId::Uuid(written)
            }
            Self::Text(text) => RawId::Text(text.raw()),
        }
    }

    fn text(&self) -> Untrusted {
        match self {
            Self::Uuid(_) => Untrusted::from(&*self.raw()),
            Self::Text(text) => text.clone(),
        }
    }
}

impl From<&str> for PeerId {
    fn from(text: &str) -> Self {
        Self::of(text).map_or_else(|| Self::Text(Untrusted::from(text)), Self::Uuid)
    }
}

impl From<Untrusted> for PeerId {
    fn from(text: Untrusted) -> Self {
        Self::of(text.raw()).map_or(Self::Text(text), Self::Uuid)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text(), f)
    }
}

/// The text of an agent's id as received, for codecs, stores and comparisons; see [`Untrusted::raw`].
#[derive(Debug)]
pub enum RawId<'i> {
    /// Formatted from a UUID.
    Uuid([u8; Hyphenated::LENGTH]),
    /// The stored text.
    Text(&'i str),
}

impl Deref for RawId<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            // It was written as ASCII.
            Self::Uuid(written) => std::str::from_utf8(written).unwrap_or_default(),
            Self::Text(text) => text,
        }
    }
}

impl PartialEq<str> for RawId<'_> {
    fn eq(&self, text: &str) -> bool {
        **self == *text
    }
}

impl PartialEq<&str> for RawId<'_> {
    fn eq(&self, text: &&str) -> bool {
        **self == **text
    }
}

macro_rules! peer_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(PeerId);

        impl $name {
            /// The id as received; see [`Untrusted::raw`].
            pub fn raw(&self) -> RawId<'_> {
                self.0.raw()
            }

            /// The id as text.
            pub fn text(&self) -> Untrusted {
                self.0.text()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(PeerId::from(text))
            }
        }

        impl From<Untrusted> for $name {
            fn from(text: Untrusted) -> Self {
                Self(PeerId::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.text(), f)
            }
        }
    )*};
}

peer_id! {
    /// The agent's own id of a task; unique only together with the agent.
    TaskId,
    /// A2A's `contextId`: tasks that belong to one conversation.
    ContextId,
    /// A2A's `messageId`; ours are UUIDv7 and name one attempt for ever.
    MessageId,
}

impl TaskId {
    /// The first four characters, as people quote it.
    pub fn short(&self) -> String {
        self.text().shortened(4).line().into_string()
    }
}

macro_rules! dense_id {
    ($($(#[$doc:meta])* $name:ident $(spares $spare:literal)?),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);

        impl crate::domain::state::slab::Key for $name {
            $(const SPARE: usize = $spare;)?
            fn from_index(index: u32) -> Self {
                Self(index)
            }
            fn index(self) -> u32 {
                self.0
            }
        }
    )*};
}

dense_id! {
    /// The place of an agent in this process; durable identity is [`AgentId`].
    AgentKey spares 4096,
    /// The place of a job in this process; durable identity is [`JobId`].
    JobKey,
    /// The place of an attempt in this process; durable identity is [`AttemptId`].
    AttemptKey,
    /// The place of a problem in this process; people know it by its number.
    ProblemKey,
    /// The place of a source of agents in this process; durable identity is its name.
    SourceKey,
}

/// A call that the shell was ordered to make; its answers carry the id, so that late ones can be detected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// Ids and jitter from one seed, so that the same inputs make the same decisions.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of the sequence (SplitMix64).
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A UUIDv7 whose time is `at`.
    pub fn uuid(&mut self, at: At) -> Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next().to_le_bytes());
        random[8..].copy_from_slice(&self.next().to_le_bytes()[..2]);
        let millis = u64::try_from(at.millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id chosen by an agent is returned exactly, however it is stored.
    #[test]
    fn ids_of_agents_are_kept_verbatim() {
        let usual = "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        let kept_short = |text: &str| matches!(TaskId::from(text).0, PeerId::Uuid(_));
        assert!(kept_short(usual));
        let others = [
            "",
            "task-1",
            &usual.to_uppercase(),
            &usual.replace('-', ""),
            &format!("{{{usual}}}"),
            &format!("urn:uuid:{usual}"),
            &usual.replace('a', "\u{1b}"),
        ];
        for text in others {
            assert!(!kept_short(text), "{text}");
        }
        for text in others.into_iter().chain([usual]) {
            let (one, two) = (TaskId::from(text), TaskId::from(Untrusted::from(text)));
            assert_eq!((&*one.raw(), &one), (text, &two));
            assert_eq!((one.text(), one.to_string()), (text.into(), Untrusted::from(text).to_string()));
        }
    }

    #[test]
    fn generated_ids_depend_only_on_the_seed() {
        let at = At::from_micros(1_795_000_000_000_000);
        let (mut one, mut two) = (Rng::new(7), Rng::new(7));
        let id = one.uuid(at);
        assert_eq!(id, two.uuid(at));
        assert_eq!(id.get_version_num(), 7);
        assert_ne!(id, one.uuid(at));
        assert_eq!(JobId(id).short().len(), 4);
    }
}
