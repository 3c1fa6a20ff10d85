//! The console: what is known is drawn, what is pressed becomes intents. It sees the engine through its handle.

pub mod actions;
mod acts;
pub mod caption;
pub mod command;
pub mod commands;
pub mod format;
mod going;
pub mod header;
pub mod input;
pub mod keymap;
pub mod keys;
pub mod layout;
pub mod metrics;
pub mod model;
pub mod opening;
pub mod overlays;
pub mod preferences;
pub mod render;
pub mod run;
pub mod states;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod views;
mod wants;
pub mod widgets;
pub mod window;
