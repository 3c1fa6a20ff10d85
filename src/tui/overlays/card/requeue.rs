//! The card that tries dead letters again of which no attempt was made.

use super::{About, Card, Said};
use crate::domain::id::{JobId, JobKey};
use crate::domain::intent::Intent;
use crate::domain::job::plan::JobPhase;
use crate::domain::text::Untrusted;
use crate::tui::again;
use crate::tui::context::Context;

impl Card {
    /// The card of dead letters of which no attempt was made; `left_out` others are marked too.
    pub fn requeue(ctx: &Context, jobs: Vec<(JobKey, JobId)>, left_out: usize) -> Self {
        let said = Said { opened: jobs.len(), planned: None };
        Self { left_out, said, ..Self::new(ctx, About::Requeue(jobs), &[]) }
    }

    /// The dead letters that can still be tried again.
    pub(super) fn dead_letters(&self, ctx: &Context) -> Vec<JobId> {
        let About::Requeue(jobs) = &self.about else { return Vec::new() };
        let is_dead = |(key, id): &&(JobKey, JobId)| {
            let job = ctx.latest.jobs.get(*key).filter(|job| job.id == *id);
            job.is_some_and(|job| job.phase == JobPhase::Over && job.attempts.is_empty())
        };
        jobs.iter().filter(is_dead).map(|(_, id)| *id).collect()
    }

    /// The intent for each dead letter.
    pub(super) fn requeues(&self, ctx: &Context) -> Vec<Intent> {
        let why = Some(self.why.text().trim()).filter(|why| !why.is_empty()).map(Untrusted::from);
        let to = match self.act_again(ctx) {
            Some(again::Act::Chosen) => self.pick.chosen,
            Some(_) => None,
            None => return Vec::new(),
        };
        let jobs = self.dead_letters(ctx).into_iter();
        jobs.map(|job| Intent::Requeue { job, to, why: why.clone() }).collect()
    }
}
