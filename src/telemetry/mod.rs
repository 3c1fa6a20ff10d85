//! Traces and logs in the model of OpenTelemetry: spans and records, their encoding (OTLP), and what is derived from them.
//!
//! Pure: no clock, socket or file. What senders write is hostile, so texts are [`Untrusted`](crate::domain::text::Untrusted)
//! and every size has a limit in [`limits`].

pub mod convention;
mod found;
pub mod limits;
pub mod list;
pub mod model;
pub mod otlp;
pub mod own;
pub mod protobuf;
pub mod query;
pub mod tree;
pub mod waterfall;
