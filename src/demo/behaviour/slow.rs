//! `slow`: works like `steady`, in eight steps instead of three.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;

pub(super) struct Slow;

impl OnWire for Slow {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(work.steady(8))
    }
}
