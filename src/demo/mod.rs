//! The embedded fleet: real A2A servers on loopback, scripted by scenario files.
//!
//! The same agents are the tests' fakes. Everything follows from a scenario and a seed: the same
//! second, the same failure, every time.

mod agent;
mod behaviour;
mod fleet;
pub mod scenario;
mod server;
mod story;
mod tasks;

pub use behaviour::{Behaviour, Fault};
pub use fleet::{Fleet, Listed};
pub use scenario::{AgentPart, Scenario};
pub use story::{Caption, Story, StoryOptions};

/// What this build can do; a beat that needs more is left out, so that the minute stays true.
pub const ABILITIES: &[&str] = &["fleet", "tasks", "inbox", "problems", "wire", "cancel", "answer"];
