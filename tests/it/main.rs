//! The one integration binary: a module for each subject.

mod cli;
mod console;
mod kill;
mod recordings;
mod simulator;
mod sse;
mod store;
mod support;
mod watching;
