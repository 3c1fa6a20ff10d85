//! `failing`: fails every second task, by chance, with a clear error.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;

pub(super) struct Failing;

impl OnWire for Failing {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            if work.chance.below(2) == 0 {
                work.fail().await;
            } else {
                work.steady(3).await;
            }
        })
    }

    fn fails_often(&self) -> bool {
        true
    }

    fn resume<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            if work.chance.below(2) == 0 {
                work.fail().await;
            } else {
                work.finish().await;
            }
        })
    }
}
