//! What others may ask of this process: the control socket of its user, and the registry of agents.

pub mod registry;
pub mod socket;
