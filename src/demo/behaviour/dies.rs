//! `dies`: works like `steady`; the story kills it.

use super::OnWire;

pub(super) struct Dies;

impl OnWire for Dies {}
