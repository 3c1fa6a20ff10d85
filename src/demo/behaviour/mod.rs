//! How embedded agents behave on the wire: a file for each behaviour, and a line of the table below.

mod chatty;
mod dies;
mod disagrees;
mod drops_mid_event;
mod endless_artifacts;
mod endless_card;
mod endless_chunks;
mod failing;
mod forgets;
mod gzip_bomb;
mod gzip_bomb_card;
mod hostile;
mod huge;
mod huge_card;
mod huge_page;
mod ignores_cancel;
mod many_skills;
mod message_only;
mod needs_input;
mod silent;
mod slow;
mod steady;
mod too_many_skills;
mod wrong_shapes;

use serde::{Deserialize, Deserializer, de};

use super::agent::Agent;
use super::answer::Answer;
use super::work::Work;
use crate::domain::job::task::TaskState;
use crate::domain::trace::TraceParent;
use crate::protocol::{self, Incoming};

/// Something that a behaviour does and that takes time.
pub(super) type BehaviourFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;

/// A request to an agent.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub agent: &'a Agent,
    /// The request's id, as JSON.
    pub id: &'a str,
    pub request: &'a Incoming,
    /// The span that calls.
    pub caller: Option<TraceParent>,
}

/// An agent's conduct on the wire. What a behaviour does not override is done correctly.
pub(super) trait OnWire: Sync {
    /// Answers a request for the card of an agent that is served at `url`.
    fn card(&self, agent: &Agent, url: &str) -> Answer {
        Answer::Document(protocol::card::encode(&agent.card(url)))
    }

    /// The behaviour's own answer to a request; `None` for the correct one.
    fn answer<'a>(&'a self, _asked: Asked<'a>) -> BehaviourFuture<'a, Option<Answer>> {
        Box::pin(async { None })
    }

    /// Works on a task, up to its end if it has one.
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(work.steady(3))
    }

    /// Goes on with a task that was under way when the agent was killed.
    fn resume<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(work.finish())
    }

    /// The state that `GetTask` reports of every task; `None` for the real one.
    fn claims(&self) -> Option<TaskState> {
        None
    }

    /// True if many of its tasks fail.
    fn fails_often(&self) -> bool {
        false
    }

    /// False if its tasks continue although it agrees to cancel them.
    fn stops_when_canceled(&self) -> bool {
        true
    }

    /// True if a restart loses its tasks.
    fn forgets_tasks(&self) -> bool {
        false
    }

    /// True if its configuration allows a second subscription although it speaks 0.3. This is safe here: the demo
    /// servers do not replay events into their store.
    fn allows_resubscribe(&self) -> bool {
        false
    }
}

/// Makes the enum and its tables from one line a behaviour: variant, word in scenario files and in JSON, type.
macro_rules! behaviours {
    ($($variant:ident $word:literal $behaviour:path,)*) => {
        /// A behaviour, by name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Behaviour {
            $(#[doc = concat!("`", $word, "`; its file says what it does.")] $variant,)*
        }

        impl Behaviour {
            /// All behaviours.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word in scenario files and JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            pub(super) fn fails_often(self) -> bool {
                self.on_wire().fails_often()
            }

            pub(super) fn on_wire(self) -> &'static dyn OnWire {
                match self {
                    $(Self::$variant => &$behaviour,)*
                }
            }
        }
    };
}

behaviours! {
    Steady "steady" steady::Steady,
    Slow "slow" slow::Slow,
    DropsMidEvent "drops-mid-event" drops_mid_event::DropsMidEvent,
    MessageOnly "message-only" message_only::MessageOnly,
    Chatty "chatty" chatty::Chatty,
    Dies "dies" dies::Dies,
    NeedsInput "needs-input" needs_input::NeedsInput,
    Failing "failing" failing::Failing,
    Silent "silent" silent::Silent,
    IgnoresCancel "ignores-cancel" ignores_cancel::IgnoresCancel,
    Disagrees "disagrees" disagrees::Disagrees,
    Forgets "forgets" forgets::Forgets,
    Huge "huge" huge::Huge,
    Hostile "hostile" hostile::Hostile,
    HugeCard "huge-card" huge_card::HugeCard,
    EndlessCard "endless-card" endless_card::EndlessCard,
    GzipBombCard "gzip-bomb-card" gzip_bomb_card::GzipBombCard,
    GzipBomb "gzip-bomb" gzip_bomb::GzipBomb,
    HugePage "huge-page" huge_page::HugePage,
    ManySkills "many-skills" many_skills::ManySkills,
    TooManySkills "too-many-skills" too_many_skills::TooManySkills,
    EndlessChunks "endless-chunks" endless_chunks::EndlessChunks,
    EndlessArtifacts "endless-artifacts" endless_artifacts::EndlessArtifacts,
    WrongShapes "wrong-shapes" wrong_shapes::WrongShapes,
}

impl<'de> Deserialize<'de> for Behaviour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|behaviour| behaviour.as_str() == word);
        known.copied().ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|behaviour| behaviour.as_str()).collect();
            de::Error::custom(format!("no behaviour is called {word:?}; there are {}", words.join(", ")))
        })
    }
}
