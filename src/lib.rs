//! Quarterdeck: the terminal supervisor for fleets of A2A agents.
pub mod domain;
pub mod protocol;
