//! Interfaces of this process for others: the control socket of its user, and services over HTTP.

mod exposition;
pub mod http;
pub mod metrics;
pub mod otlp;
pub mod registry;
pub mod socket;
