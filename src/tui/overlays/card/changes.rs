//! What changes about a card while it is open, and when it asks again.
//!
//! A card about one task asks again if its key could no longer do what was read: the task has ended, asks something, or
//! somebody else has canceled it. Tasks of a busy agent change all the time, so a card about many asks again only if its
//! key would now do more than was read, or something else. What ended meanwhile is skipped, and counted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{About, Card, Said, asked, delegated, state_of};
use crate::domain::id::AttemptId;
use crate::domain::rehearsal::plan::{Becomes, Plan};
use crate::domain::time::At;
use crate::tui::again::Again;
use crate::tui::context::Context;
use crate::tui::overlays::card::pick::Pick;
use crate::tui::widgets::field::Field;

/// How often a card about many looks for what was delegated meanwhile, and asks the engine again.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

impl Card {
    /// Applies changes of the snapshot; asks again if what its key would do has changed.
    pub fn refresh(&mut self, ctx: &Context) -> bool {
        let (is_bulk, answers) = (self.is_bulk(), matches!(self.about, About::Answer(_)));
        let (mut news, mut is_redrawn) = (None, false);
        for subject in self.subjects.iter_mut().filter(|subject| !subject.left) {
            // A card shows the latest state, even while the screen is held.
            let row = ctx.latest.attempts.get(subject.key).filter(|row| row.id == subject.id);
            let is_meant = row.is_some_and(|row| self.about.fits(&ctx.latest, row));
            let state = row.map_or_else(|| "gone".to_owned(), state_of);
            let question = row.map_or((At::ZERO, None), asked);
            let is_other_question = question != subject.asked;
            subject.asked = question;
            let cancel = row.and_then(|row| row.task.as_ref()?.cancel);
            // A task that only goes on leaves what the key would do as it was read.
            let is_news = is_meant != subject.is_meant || cancel != subject.cancel || is_other_question;
            (subject.is_meant, subject.cancel) = (is_meant, cancel);
            if is_bulk && !(answers && is_other_question) {
                is_redrawn |= !is_meant || state != subject.state;
                // Whatever becomes of it later, it is no longer what was read.
                subject.left = !is_meant;
            } else if is_news || (!is_meant && state != subject.state) {
                let id = row.and_then(|row| row.task.as_ref()).map(|task| task.id.short());
                news = Some(format!("{} is {state} now", id.unwrap_or_else(|| "it".into())));
            } else {
                is_redrawn |= state != subject.state;
            }
            subject.state = state;
        }
        let news = news.or_else(|| self.delegates(ctx, is_redrawn)).or_else(|| self.loses_its_choice(ctx));
        if let Some(news) = news {
            self.ask_again(ctx, news);
            return true;
        }
        is_redrawn
    }

    /// Looks again for what its tasks delegated, and lets the engine be asked again. News if its key would cancel more.
    fn delegates(&mut self, ctx: &Context, changed: bool) -> Option<String> {
        let attempts = ctx.latest.attempts.len();
        self.is_stale |= changed || attempts != self.attempts;
        if !self.is_stale || ctx.latest.at.since(self.looked) < LOOKS_EVERY {
            return None;
        }
        (self.is_stale, self.looked, self.attempts) = (false, ctx.latest.at, attempts);
        self.version += u64::from(changed || self.is_bulk());
        let cancels = match self.about {
            About::Cancel => self.cascade,
            About::Orphans | About::Again(Again::Live) => true,
            About::Again(_) | About::Requeue | About::Answer(_) | About::Quit => return None,
        };
        let keys: Vec<_> =
            self.subjects.iter().filter(|subject| !subject.left).map(|subject| subject.key).collect();
        let with = delegated::of(&ctx.latest, &keys);
        let known: BTreeSet<_> = self.with.values().flatten().copied().collect();
        let is_live = |key| ctx.latest.attempts.get(key).is_some_and(crate::domain::job::Attempt::is_live);
        let new: BTreeSet<_> =
            with.values().flatten().filter(|key| !known.contains(key) && is_live(**key)).collect();
        let news = match new.len() {
            0 => None,
            1 => Some("1 more task was delegated".to_owned()),
            more => Some(format!("{more} more tasks were delegated")),
        };
        self.with = with;
        news.filter(|_| cancels)
    }

    /// Follows what was chosen if its place among the choices changes. News if it can no longer be done.
    fn loses_its_choice(&mut self, ctx: &Context) -> Option<String> {
        let act = self.act?;
        let place = self.again(ctx).iter().position(|choice| choice.act == act);
        if place.is_none() {
            return Some("what was chosen can no longer be done".to_owned());
        }
        self.choice = place;
        None
    }

    fn ask_again(&mut self, ctx: &Context, news: String) {
        let keys: Vec<_> = self.subjects.iter().map(|subject| subject.key).collect();
        if !self.with.is_empty() {
            self.with = delegated::of(&ctx.latest, &keys);
        }
        self.version += 1;
        self.changed = Some(news);
        self.seen = None;
        self.quiet_until = None;
        self.lit = false;
        (self.choice, self.act) = (None, None);
        self.number = Field::default();
        self.pick = Pick::default();
        self.said = Said { opened: self.ready(ctx).len() + self.dead_letters(ctx).len(), planned: None };
    }

    /// The number that confirms a card about many: what it said when it was read.
    pub(super) fn number_to_type(&self, ctx: &Context) -> usize {
        let planned = self.said.planned.as_ref().filter(|_| self.plan(ctx).is_some());
        planned.map_or(self.said.opened, |(number, _)| *number)
    }

    /// The engine has said what would become of its tasks. Asks again if some that were to stay would go now.
    pub(super) fn take_plan(&mut self, ctx: &Context, plan: &Plan, is_first: bool) {
        let left: BTreeSet<AttemptId> =
            self.subjects.iter().filter(|subject| subject.left).map(|subject| subject.id).collect();
        let rows = plan.rows.iter().filter(|row| !left.contains(&row.attempt));
        let stays: BTreeSet<AttemptId> =
            rows.filter(|row| matches!(row.becomes, Becomes::Stays(_))).map(|row| row.attempt).collect();
        if let Some((_, known)) = self.said.planned.as_ref().filter(|_| !is_first) {
            let go = known.iter().filter(|id| !left.contains(id) && !stays.contains(id)).count();
            if go == 0 {
                return;
            }
            self.ask_again(ctx, format!("{go} that stayed can be included now"));
        }
        let number = self.said.opened.saturating_sub(stays.len());
        self.said.planned = Some((number, stays));
    }

    /// `3 have ended since, and are skipped`
    pub(super) fn since_words(&self, ctx: &Context) -> Option<String> {
        let left: Vec<_> = self.subjects.iter().filter(|subject| subject.left).collect();
        let live = left.iter().filter(|subject| {
            let row = ctx.latest.attempts.get(subject.key).filter(|row| row.id == subject.id);
            row.is_some_and(crate::domain::job::Attempt::is_live)
        });
        let changed = if matches!(self.about, About::Cancel | About::Again(Again::Live)) {
            live.count()
        } else {
            left.len()
        };
        let words = |count: usize, what: &str| {
            let have = if count == 1 { "has" } else { "have" };
            (count > 0).then(|| format!("{count} {have} {what} since"))
        };
        let parts = [words(left.len() - changed, "ended"), words(changed, "changed")];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        let skipped = if left.len() == 1 { "is skipped" } else { "are skipped" };
        (!words.is_empty()).then(|| format!("{}, and {skipped}", words.join(", ")))
    }
}
