//! Quarterdeck: the terminal supervisor for fleets of A2A agents.
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod failpoint;
pub mod net;
pub mod protocol;
pub mod serve;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod tui;
