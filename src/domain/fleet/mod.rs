//! The fleet as a whole: where agents come from, who may register, and what changed.

pub mod changes;
pub mod registry;
pub mod source;
