//! Inbound: the control socket that consoles and commands of the same user join.

pub mod socket;
