//! `steady`: works, reports progress, streams a result, completes.

use super::OnWire;

pub(super) struct Steady;

impl OnWire for Steady {}
