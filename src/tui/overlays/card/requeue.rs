//! The card that tries dead letters again, also those of which no attempt was made.

use super::{About, Card, Said};
use crate::domain::id::{AttemptKey, JobId, JobKey};
use crate::domain::intent::Intent;
use crate::domain::job::plan::JobPhase;
use crate::domain::text::Untrusted;
use crate::tui::again::{self, Again};
use crate::tui::context::Context;

impl Card {
    /// The card of dead letters: of `unsent` no attempt was made, and `attempts` are the last ones of the others. Of the
    /// marked ones, `left_out` more are neither.
    pub fn requeue(
        ctx: &Context,
        unsent: Vec<(JobKey, JobId)>,
        attempts: &[AttemptKey],
        left_out: usize,
    ) -> Self {
        let card = Self::new(ctx, About::Again(Again::Ended), attempts);
        let about = if card.subjects.is_empty() { About::Requeue } else { card.about.clone() };
        let said = Said { opened: card.subjects.len() + unsent.len(), planned: None };
        Self { left_out: card.left_out + left_out, about, unsent, said, ..card }
    }

    /// Those of which no attempt was made, and which can still be tried again.
    pub(super) fn dead_letters(&self, ctx: &Context) -> Vec<JobId> {
        let is_dead = |(key, id): &&(JobKey, JobId)| {
            let job = ctx.latest.jobs.get(*key).filter(|job| job.id == *id);
            job.is_some_and(|job| job.phase == JobPhase::Over && job.attempts.is_empty())
        };
        self.unsent.iter().filter(is_dead).map(|(_, id)| *id).collect()
    }

    /// The intent for each of them.
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

    /// `3 were sent before, 2 were never sent`; `None` if they are of one kind.
    pub(super) fn kinds(&self, ctx: &Context) -> Option<String> {
        let (sent, unsent) = (self.ready(ctx).len(), self.dead_letters(ctx).len());
        let were = |count: usize| if count == 1 { "1 was".to_owned() } else { format!("{count} were") };
        let both = sent > 0 && unsent > 0;
        both.then(|| format!("{} sent before, {} never sent", were(sent), were(unsent)))
    }
}
