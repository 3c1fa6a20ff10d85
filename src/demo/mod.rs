//! The embedded fleet: real A2A servers on loopback, scripted by scenario files.
//!
//! The same agents are the tests' fakes. Everything follows from a scenario and a seed, so the same thing fails in the
//! same second of every run.

mod agent;
mod answer;
mod behaviour;
mod condition;
mod errand;
mod fault;
mod fleet;
mod folder;
mod incident;
mod operator;
mod runs;
pub mod scenario;
mod server;
mod story;
mod task_log;
mod tasks;
mod telemetry;
mod work;
mod yesterday;

pub use behaviour::Behaviour;
pub use condition::Condition;
pub use fault::Fault;
pub use fleet::{Fleet, Listed};
pub use folder::Folder;
pub use incident::{Report, StepReport};
pub use scenario::{AgentPart, Scenario};
pub use story::{Caption, Story, StoryOptions};
pub use telemetry::Instrumentation;

/// The abilities of this build. A step that needs another one is skipped.
pub const ABILITIES: &[&str] =
    &["fleet", "tasks", "inbox", "problems", "wire", "cancel", "answer", "routing"];
