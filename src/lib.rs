//! Quarterdeck: the terminal supervisor for fleets of A2A agents.
pub mod config;
pub mod domain;
pub mod net;
pub mod protocol;
