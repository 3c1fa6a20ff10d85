//! `slow`: works like `steady`, in eight steps instead of three.

use super::{Doing, OnWire};
use crate::demo::work::Work;

pub(super) struct Slow;

impl OnWire for Slow {
    fn work<'a>(&'a self, work: &'a mut Work) -> Doing<'a, ()> {
        Box::pin(work.steady(8))
    }
}
