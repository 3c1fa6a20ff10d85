//! The one integration binary: a module for each subject.
#![allow(
    clippy::print_stdout,
    clippy::format_collect,
    clippy::type_complexity,
    reason = "what is measured is printed"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::disallowed_types,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "small numbers, real time"
)]

mod architecture;
mod audit;
mod batch;
mod cli;
#[cfg(feature = "kubernetes")]
mod cluster;
mod console;
mod credentials;
mod demo;
mod departed;
mod discovery;
#[cfg(feature = "dns")]
mod dns;
mod field;
mod field_core;
mod health;
mod hostile;
mod http2;
mod inbound;
mod interop;
mod interop_batch;
mod journal;
mod kill;
mod listing;
mod messages;
mod metrics;
mod notify;
mod once;
mod ops;
mod otlp;
mod printed;
mod recordings;
mod registry;
mod replicas;
mod reported_cards;
mod routing;
mod scripted;
mod secrets;
mod shell_words;
mod shutdown;
mod simulator;
mod sse;
mod store;
mod support;
mod trace_context;
mod uncertainty;
mod watching;
