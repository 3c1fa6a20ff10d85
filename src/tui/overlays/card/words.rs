//! What a card says: its title, what will happen, and the same as commands.

use super::{About, Card};
use crate::domain::job::Attempt;
use crate::tui::again::Again;
use crate::tui::command;
use crate::tui::context::Context;

/// What becomes of a dead letter in the queue.
const LEAVES: &str = "It has no deadline there, and leaves once an agent takes it.";

impl Card {
    pub(super) fn words(&self, ctx: &Context, id: &str) -> String {
        match &self.about {
            About::Cancel => format!("cancel of {id} requested"),
            About::Orphans => format!("cancel of what {id} delegated requested"),
            About::Again(again) => again.done(self.act_again(ctx), id),
            About::Answer(_) => format!("{id} answered"),
            About::Requeue => format!("{id} is tried again"),
            About::Quit => String::new(),
        }
    }

    /// The same as commands.
    pub(super) fn commands(&self, ctx: &Context, most: usize) -> Vec<String> {
        if let Some(command) = self.bulk_command(ctx) {
            return vec![command];
        }
        // Two commands are shown, and only as many are copied as an operator would read.
        let ready: Vec<_> = self.ready(ctx).into_iter().take(most).collect();
        let intents = ready.iter().flat_map(|(_, attempt)| self.intents(ctx, attempt));
        let intents = intents.chain(self.requeues(ctx).into_iter().take(most));
        intents.map(|intent| command::of_intent(&ctx.latest, &ctx.info.flags, &intent)).collect()
    }

    pub(super) fn title(&self) -> &'static str {
        match &self.about {
            About::Orphans => "cancel what it delegated",
            About::Cancel if self.is_bulk() => "cancel tasks",
            About::Cancel => "cancel",
            About::Again(again) => again.title(self.is_bulk()),
            About::Requeue => Again::Ended.title(self.is_bulk()),
            About::Answer(_) => "answer",
            About::Quit => "quit",
        }
    }

    /// The effect, in sentences.
    pub(super) fn what_will_happen(&self, ctx: &Context) -> Vec<String> {
        let ready = self.ready(ctx);
        let name = |attempt: &Attempt| {
            let agent = ctx.latest.agents.get(attempt.agent);
            agent.map(|agent| agent.name.line().into_string()).unwrap_or_default()
        };
        if self.is_bulk() && ready.is_empty() && !matches!(self.about, About::Requeue) {
            return vec!["Nothing is left that it applies to.".to_owned()];
        }
        match &self.about {
            About::Orphans => self.with_words(ctx).into_iter().collect(),
            About::Cancel => {
                let agents: std::collections::BTreeSet<String> =
                    ready.iter().map(|(_, row)| name(row)).collect();
                let is = if agents.len() == 1 { "is" } else { "are" };
                let who = agents.into_iter().collect::<Vec<_>>().join(", ");
                let asked = format!(
                    "{who} {is} asked to cancel {}. Quarterdeck watches until the cancel is confirmed, and raises a problem if the work continues.",
                    if ready.len() == 1 { "it" } else { "them" }
                );
                std::iter::once(asked).chain(self.with_words(ctx)).collect()
            }
            About::Again(again) => {
                let rows: Vec<&Attempt> = ready.iter().map(|(_, row)| *row).collect();
                let (act, name) = (self.act_again(ctx), self.pick.name(ctx));
                let effect = again.effect(act, &ctx.latest, &rows, name.as_deref(), self.carry);
                let unsent = self
                    .kinds(ctx)
                    .map(|_| format!("What was never sent goes back into the queue. {LEAVES}"));
                effect.into_iter().chain(self.with_words(ctx)).chain(unsent).collect()
            }
            About::Answer(choices) => {
                let chosen = self.choice.and_then(|at| choices.get(at));
                let chosen = chosen
                    .map(|choice| format!("\"{}\" is sent as {}. ", choice.label.line(), ctx.info.operator));
                vec![format!(
                    "{}It continues the same task, in the same context.",
                    chosen.unwrap_or_default()
                )]
            }
            About::Requeue => {
                vec![format!(
                    "It was never sent, so nothing is done twice. It goes back into the queue. {LEAVES}"
                )]
            }
            About::Quit => leaving(ctx),
        }
    }
}

/// What continues after the console ends.
pub fn leaving(ctx: &Context) -> Vec<String> {
    let live = ctx.latest.task_counts().live;
    if ctx.info.presenter.is_some() {
        let with = match live {
            0 => String::new(),
            1 => ", and its running task with it".to_owned(),
            live => format!(", and its {live} running tasks with it"),
        };
        return vec![format!("The demo fleet ends with this console{with}.")];
    }
    let goes_on = match live {
        0 => "No task runs.".to_owned(),
        1 => "1 task continues at its agent; quitting cancels nothing.".to_owned(),
        live => format!("{live} tasks continue at their agents; quitting cancels nothing."),
    };
    let watching = if ctx.info.own_engine {
        "The fleet is not watched until a console or `quarterdeck serve` runs again; missed changes are read then."
    } else {
        "The engine that this console is attached to continues watching."
    };
    let batch = ctx.batch.as_ref().map(|batch| {
        format!("Batch {} ends with this console; the same command goes on where it was.", batch.name)
    });
    std::iter::once(format!("{goes_on} {watching}")).chain(batch).collect()
}
