//! Widgets of views and overlays.

pub mod canvas;
pub mod editing;
pub mod field;
pub mod filter;
pub mod list;
pub mod sorted;
pub mod spark;
pub mod table;
pub mod text;
