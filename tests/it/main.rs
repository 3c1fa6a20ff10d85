//! The one integration binary: a module for each subject.

mod recordings;
mod simulator;
mod sse;
