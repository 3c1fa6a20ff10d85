//! The fleet as a whole: sources of agents, the registry, and changes.

pub mod changes;
pub mod registry;
pub mod source;
