//! What sending the message will do: for a destination that the router decides about, in the router's own words.

use std::time::Duration;

use crate::domain::agent::Agent;
use crate::domain::intent::Send;
use crate::domain::job::message::{Json, Part};
use crate::domain::route::Target;
use crate::domain::route::decision::{Obstacle, Verdict};
use crate::domain::route::explanation::Outcome;
use crate::engine::{Answer, Query};
use crate::tui::context::Context;
use crate::tui::draft::Purpose;
use crate::tui::overlays::composer::{At, Composer, to};
use crate::tui::queries::{Ask, Refresh, Subscription, ViewQuery};
use crate::tui::theme::Role;
use crate::tui::views::explained;

/// The interval at which the rules are read and the message is explained again: agents come, go and fill up.
const EVERY: Duration = Duration::from_secs(2);
/// The queries of the composer.
const RULES: &str = "composer rules";
const MESSAGE: &str = "composer message";

impl Composer {
    /// What the router is asked while the composer is open.
    pub fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        if self.purpose != Purpose::New {
            return Vec::new();
        }
        let rules = Ask { name: RULES, query: Query::Explain(None).into(), refresh: Refresh::Every(EVERY) };
        let message = self.question(ctx).map(|send| Ask {
            name: MESSAGE,
            query: Query::Explain(Some(send)).into(),
            refresh: Refresh::Version(self.router.reads()),
        });
        std::iter::once(rules).chain(message).map(Subscription::Ask).collect()
    }

    /// True if the composer asked this.
    pub fn asks(&self, ask: &Ask) -> bool {
        [RULES, MESSAGE].contains(&ask.name)
    }

    /// Takes an answer; true if it says something new.
    pub fn on_answer(&mut self, ask: &Ask, answer: Answer, ctx: &Context) -> bool {
        let Answer::Explained(answer) = answer else { return false };
        match &ask.query {
            ViewQuery::Engine(Query::Explain(Some(send))) => self.router.explains(send, answer),
            _ => {
                let news = self.router.read(answer.rules);
                if news && self.at == At::To {
                    self.offer(ctx);
                }
                news
            }
        }
    }

    /// The message as it is written, for the router; `None` if it cannot be sent like this.
    fn question(&self, ctx: &Context) -> Option<Box<Send>> {
        if self.purpose != Purpose::New {
            return None;
        }
        let (parts, metadata) = (self.parts().ok()?, self.metadata().ok()?);
        let send = self.message_to(self.target(ctx)?, parts, metadata, self.options().ok()?);
        // Another operator's engine knows the caller of a message by who sends it, not of a question.
        Some(Box::new(Send { caller: Some(ctx.info.operator.as_str().into()), ..send }))
    }

    /// The message for a destination.
    pub(super) fn message_to(
        &self,
        target: Target,
        parts: Vec<Part>,
        metadata: Option<Json>,
        options: (Option<Duration>, Option<u8>),
    ) -> Send {
        let (deadline, priority) = options;
        let context = self.context.as_ref().filter(|(_, joins)| *joins).map(|(context, _)| context.clone());
        let skill = match &target {
            Target::Skill(skill) => Some(skill.clone()),
            Target::Agent(_) | Target::Tag(_) | Target::Route(_) | Target::Any => None,
        };
        Send { context, metadata, skill, deadline, priority, ..Send::to(target, parts) }
    }

    /// Why the chosen agent takes no work although it is well.
    pub(super) fn obstacle(&self, ctx: &Context) -> Option<Obstacle> {
        let target = self.target(ctx).filter(|target| matches!(target, Target::Agent(_)))?;
        let candidate = self.router.explained(&target)?.decision.as_ref()?.candidates.first()?;
        match candidate.verdict {
            Verdict::Out(obstacle) => Some(obstacle),
            Verdict::Taken | Verdict::Behind => None,
        }
    }

    /// Why the router would not accept the message.
    pub(super) fn not_accepted(&self, ctx: &Context) -> Option<String> {
        let question = self.question(ctx)?;
        match &self.router.explained_exactly(&question)?.outcome {
            Some(Outcome::Nowhere(why)) => Some(explained::not_accepted(why)),
            Some(Outcome::Goes(_) | Outcome::Waits(_)) | None => None,
        }
    }

    /// What sending the message as it is will do, in sentences.
    pub(super) fn what_will_happen(&self, ctx: &Context) -> Vec<(String, Role)> {
        let target = match &self.purpose {
            Purpose::New => self.target(ctx),
            Purpose::Answer { .. } => None,
        };
        let is_agent = matches!(target, Some(Target::Agent(_)));
        let mut lines = match (target, self.agent(ctx)) {
            (Some(target), _) if !is_agent && self.wrong(ctx).is_none() => self.by_router(ctx, &target),
            (_, Some((_, agent))) => match self.doubt(ctx) {
                Some(doubt) => {
                    let twice = "ctrl-s asks once more first.";
                    return vec![(format!("{doubt}."), Role::Warn), (twice.into(), Role::Plain)];
                }
                None => vec![self.by_agent(ctx, agent)],
            },
            (_, None) => return self.nothing_yet(ctx),
        };
        if lines.iter().any(|(_, role)| *role == Role::Bad) {
            return lines;
        }
        let what = if self.purpose == Purpose::New {
            "Creates one task; cancels nothing."
        } else {
            "Continues the same task, in the same context."
        };
        let production = if ctx.info.protect { ", PRODUCTION" } else { "" };
        lines.push((
            format!("Sent as {} to fleet {}{production}. {what}", ctx.info.operator, ctx.info.fleet),
            Role::Plain,
        ));
        lines
    }

    /// A destination has to be chosen first.
    fn nothing_yet(&self, ctx: &Context) -> Vec<(String, Role)> {
        let Some(wrong) = self.wrong(ctx) else {
            return vec![("Nothing yet: its agent has left the fleet.".into(), Role::Warn)];
        };
        let is_empty = self.to.text().trim().is_empty();
        match self.offered.get(self.chosen).filter(|_| self.at == At::To && !is_empty) {
            Some(offer) => vec![(format!("Nothing yet: enter takes {}.", offer.text), Role::Doubt)],
            None => {
                let role = if is_empty { Role::Doubt } else { Role::Warn };
                vec![(format!("Nothing yet: {}; {}.", wrong.what, wrong.next), role)]
            }
        }
    }

    fn by_agent(&self, ctx: &Context, agent: &Agent) -> (String, Role) {
        let name = agent.name.line();
        match (&agent.interface, self.obstacle(ctx)) {
            (Some(_), Some(Obstacle::Full)) => {
                (format!("Waits: {name} runs as many tasks as it accepts."), Role::Warn)
            }
            (Some(interface), _) => {
                let streams = if agent.streams() { "streaming" } else { "polled" };
                let words =
                    format!("→ {name} over {} {}, {streams}.", interface.binding.line(), interface.dialect);
                (words, Role::Plain)
            }
            (None, _) => (format!("{name} offers no protocol that we speak."), Role::Warn),
        }
    }

    fn by_router(&self, ctx: &Context, target: &Target) -> Vec<(String, Role)> {
        if let Err(why) = self.parts().and(self.metadata()).and(self.options()) {
            return vec![(format!("Not known yet: {why}."), Role::Doubt)];
        }
        let Some(explained) = self.router.explained(target) else {
            return vec![("Asking the router.".into(), Role::Doubt)];
        };
        let mut lines = explained::in_short(explained, &|id| explained::name_of(ctx, &explained.names, id));
        if let Some(Outcome::Nowhere(_)) = &explained.outcome {
            let near = || to::nearest(ctx, self.router.rules(), self.to.text());
            let next = match target {
                // Without rules, the router itself says what to do.
                Target::Any if self.router.rules().is_empty() => None,
                Target::Any | Target::Route(_) => {
                    Some("Change the message or its metadata, or name an agent or skill:ID.".to_owned())
                }
                Target::Agent(_) | Target::Skill(_) | Target::Tag(_) => {
                    Some(near().filter(|near| near != self.to.text().trim()).map_or_else(
                        || "Name an agent, or a skill or tag that one has.".to_owned(),
                        |near| format!("Nearest: {near}."),
                    ))
                }
            };
            lines.extend(next.map(|next| (next, Role::Plain)));
        }
        lines
    }

    /// Why the typed destination leads nowhere.
    pub(super) fn wrong(&self, ctx: &Context) -> Option<to::Wrong> {
        to::wrong(ctx, self.router.rules_read(), self.to.text(), self.target(ctx).as_ref())
    }
}
