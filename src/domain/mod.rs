//! The pure core: the model of a fleet, and all decisions.
//!
//! Nothing here knows a clock, a socket, a terminal, SQL, a wire format or randomness. Time is passed in as
//! [`time::At`]; ids and jitter come from a seed; one deadline is returned. [`core::Core::step`] turns one
//! [`input::Input`] into [`fact::Fact`]s and [`effect::Effect`]s, and [`apply`] is the only code that changes
//! [`state::State`].

pub mod agent;
pub mod apply;
pub mod audit;
pub mod call;
pub mod cause;
pub mod core;
pub mod decide;
pub mod effect;
pub mod fact;
pub mod fleet;
pub mod id;
pub mod input;
pub mod intent;
pub mod job;
pub mod limits;
pub mod metrics;
pub mod problem;
pub mod rehearsal;
pub mod route;
pub mod shell_words;
pub mod state;
pub mod text;
pub mod time;
pub mod trace;
