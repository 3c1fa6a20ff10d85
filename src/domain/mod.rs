//! The pure core: what a fleet is, and what to do about it.
//!
//! Nothing here knows a clock, a socket, a terminal, SQL, a wire format or randomness.
//! Time comes in as [`time::At`]; ids and jitter come from a seed; one deadline goes out.
//! [`core::Core::step`] turns one [`input::Input`] into [`fact::Fact`]s and [`effect::Effect`]s,
//! and [`apply`] is the only code that changes [`state::State`].

pub mod agent;
pub mod apply;
pub mod attention;
pub mod breaker;
pub mod candidates;
pub mod card;
pub mod card_change;
pub mod cause;
pub mod changes;
pub mod common;
pub mod core;
pub mod decide;
pub mod detail;
pub mod discovery;
pub mod effect;
pub mod fact;
pub mod id;
mod index;
pub mod input;
pub mod insight;
pub mod intent;
pub mod job;
pub mod message;
pub mod metrics;
pub mod objective;
pub mod problem;
pub mod problem_rules;
pub mod registry;
pub mod replicas;
pub mod slab;
pub mod snapshot;
pub mod state;
pub mod task;
pub mod text;
pub mod time;
pub mod uptime;
pub mod version;
