//! Interfaces of this process for others: the control socket of its user, and services over HTTP.

pub mod http;
pub mod otlp;
pub mod registry;
pub mod socket;
