//! Shifts: work moves from a legacy agent to its successor step by step, and back at once if the successor does worse.

use std::sync::Arc;

use crate::domain::agent::shift::{Outlook, Shift, ShiftChange, ShiftEvent, ShiftStage, ShiftTerms};
use crate::domain::decide::live::Timer;
use crate::domain::decide::routing;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::{instead, not_now, unknown};
use crate::domain::fact::AgentFact;
use crate::domain::id::{AgentId, AgentKey};
use crate::domain::intent::{Receipt, Refusal, Remedy};
use crate::domain::route::message::MessageFields;
use crate::domain::route::shift::Pair;
use crate::domain::route::{Selector, Target};
use crate::domain::text::Untrusted;

/// An operator begins a shift, or changes one.
pub(super) fn change(
    turn: &mut Turn,
    agent: AgentId,
    change: ShiftChange,
    why: Option<Untrusted>,
    by: Untrusted,
) -> Result<Receipt, Refusal> {
    let key = turn.state().agent_key(agent).ok_or_else(|| unknown("agent"))?;
    let (event, shift) = match change {
        ShiftChange::Begin(terms) => {
            may_begin(turn, key, &terms)?;
            (ShiftEvent::Began, Some(Shift::new(terms, turn.at, by.clone())))
        }
        ShiftChange::Hold => {
            let shift = running(turn, key)?;
            match shift.stage {
                ShiftStage::Running => (ShiftEvent::Held, Some(Shift { stage: ShiftStage::Held, ..shift })),
                stage => return Err(not_now(format!("its shift is {}: nothing to hold", stage.as_str()))),
            }
        }
        ShiftChange::Resume => {
            let shift = running(turn, key)?;
            let resumed = match shift.stage {
                ShiftStage::Held => Shift { stage: ShiftStage::Running, ..shift },
                ShiftStage::Back => shift.at(ShiftStage::Running, 0, turn.at, None),
                stage => return Err(not_now(format!("its shift is {}: nothing to resume", stage.as_str()))),
            };
            (ShiftEvent::Resumed, Some(resumed))
        }
        ShiftChange::Back => {
            let shift = running(turn, key)?;
            if shift.stage == ShiftStage::Back {
                return Err(not_now("its shift is back at 0 already"));
            }
            (ShiftEvent::WentBack, Some(shift.at(ShiftStage::Back, 0, turn.at, None)))
        }
        ShiftChange::End => {
            running(turn, key)?;
            (ShiftEvent::Ended, None)
        }
    };
    record(turn, key, event, shift.map(Arc::new), Some(by.clone()));
    if let Some(why) = why.filter(|why| !why.is_empty()) {
        let note = crate::domain::fact::FleetFact::NoteMade {
            problem: None,
            agent: Some(agent),
            attempt: None,
            text: why,
        };
        turn.fleet_fact_by(Some(by), note);
    }
    Ok(Receipt::Done)
}

fn running(turn: &Turn, key: AgentKey) -> Result<Shift, Refusal> {
    let shift = turn.state().agent(key).and_then(|agent| agent.shift.as_deref());
    shift.cloned().ok_or_else(|| not_now("its work is not shifted to anybody"))
}

/// Refuses a shift that could move nothing, or that would be unclear.
fn may_begin(turn: &mut Turn, key: AgentKey, terms: &ShiftTerms) -> Result<(), Refusal> {
    if let Some(fault) = terms.fault() {
        return Err(not_now(fault));
    }
    let to = turn.state().agent_key(terms.to).ok_or_else(|| unknown("successor"))?;
    if to == key {
        return Err(not_now("an agent cannot be its own successor"));
    }
    for one in [key, to] {
        let Some(agent) = turn.state().agent(one) else { return Err(unknown("agent")) };
        let name = agent.name.line().into_string();
        if !agent.listed {
            return Err(not_now(format!("{name} is not part of the fleet")));
        }
        if turn.state().shift_of(one).is_some() {
            let why = format!("{name} takes part in another shift: end that first");
            return Err(instead(why, Remedy::LookAtShifts));
        }
    }
    let routes = turn.live.routes.clone();
    let stages = routes.rules.iter().flat_map(|rule| rule.stages());
    let in_a_rule =
        stages.filter(|to| terms.skill.as_ref().is_none_or(|skill| **to == Selector::Skill(skill.clone())));
    let both = |turn: &mut Turn, selector: &Selector| {
        let agents = routing::selected(turn, selector);
        agents.contains(&key) && agents.contains(&to)
    };
    let mut shared = in_a_rule.cloned().collect::<Vec<_>>();
    let skills = turn.state().agent(key).and_then(|agent| agent.card.clone());
    let skills = skills.iter().flat_map(|card| &card.skills).map(|skill| skill.id.clone());
    let wanted = skills.filter(|id| terms.skill.as_ref().is_none_or(|skill| skill == id));
    shared.extend(wanted.map(Selector::Skill));
    if terms.skill.is_some() && !shared.iter().any(|selector| matches!(selector, Selector::Skill(_))) {
        return Err(not_now("the legacy agent does not have this skill"));
    }
    if shared.iter().any(|selector| both(turn, selector)) {
        return Ok(());
    }
    Err(not_now(
        "nothing would move: no rule sends to both, and they share no skill; put both into one rule, such as \
         to = { set = [\"OLD\", \"NEW\"] }",
    ))
}

fn record(
    turn: &mut Turn,
    key: AgentKey,
    event: ShiftEvent,
    shift: Option<Arc<Shift>>,
    by: Option<Untrusted>,
) {
    let before = turn.state().agent(key).and_then(|agent| agent.shift.clone());
    // Where the counts go on, nothing is over.
    let over = before.filter(|before| {
        shift.as_ref().is_none_or(|shift| (shift.step, shift.since) != (before.step, before.since))
    });
    let evidence = over.map(|before| before.counts);
    turn.agent_fact_by(by, key, AgentFact::ShiftMoved { event, evidence, shift });
    schedule(turn, key);
}

fn schedule(turn: &mut Turn, key: AgentKey) {
    turn.clear_timer(Timer::Shift(key));
    let shift = turn.state().agent(key).and_then(|agent| agent.shift.clone());
    if let Some(due) = shift.filter(|shift| shift.stage == ShiftStage::Running).map(|shift| shift.due())
        && due > turn.at
    {
        turn.set_timer(Timer::Shift(key), due);
    }
}

/// Looks whether the shift that an agent takes part in reaches its next step, or goes back.
pub(super) fn look(turn: &mut Turn, agent: AgentKey) {
    let Some(key) = turn.state().shift_of(agent) else { return };
    let Some(shift) = turn.state().agent(key).and_then(|agent| agent.shift.clone()) else { return };
    let (event, next) = match shift.outlook(turn.at) {
        Outlook::Waits => return,
        Outlook::GoesBack(why) => {
            (ShiftEvent::WentBack, shift.at(ShiftStage::Back, 0, turn.at, Some(why.into())))
        }
        Outlook::Advances if usize::from(shift.step) + 1 < shift.steps() => {
            (ShiftEvent::Advanced, shift.at(ShiftStage::Running, shift.step + 1, turn.at, None))
        }
        Outlook::Advances => {
            (ShiftEvent::Completed, shift.at(ShiftStage::Complete, shift.step, turn.at, None))
        }
    };
    record(turn, key, event, Some(Arc::new(next)), None);
}

/// The shifts that concern a decision.
pub(super) fn pairs(turn: &Turn, target: &Target, fields: &MessageFields, selector: &Selector) -> Vec<Pair> {
    let of_skill = |skill: &Untrusted| {
        matches!(selector, Selector::Skill(to) if to == skill)
            || matches!(target, Target::Skill(asked) if asked == skill)
            || fields.skill.as_ref() == Some(skill)
    };
    let pair = |(from, to): (AgentKey, AgentKey)| {
        let legacy = turn.state().agent(from)?;
        let shift = legacy.shift.as_ref()?;
        if !shift.terms.skill.as_ref().is_none_or(of_skill) {
            return None;
        }
        let step = if shift.stage == ShiftStage::Back { 0 } else { shift.step.saturating_add(1) };
        Some(Pair {
            from: legacy.id,
            to: turn.state().agent(to)?.id,
            percent: shift.percent(),
            step,
            steps: u8::try_from(shift.steps()).unwrap_or(u8::MAX),
            decided: shift.counts.decided,
            given: shift.counts.given,
        })
    };
    turn.state().shifts().filter_map(pair).collect()
}

/// True if both are the same but for what was counted.
pub(super) fn is_same(one: Option<&Arc<Shift>>, other: Option<&Arc<Shift>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.stands_as(other),
        _ => false,
    }
}

/// Puts a shift back to where it stood before an act that was not kept, unless it has moved on by itself since.
pub(super) fn restore(turn: &mut Turn, key: AgentKey, before: Option<Arc<Shift>>, made: Option<&Arc<Shift>>) {
    let now = turn.state().agent(key).and_then(|agent| agent.shift.clone());
    if !is_same(now.as_ref(), made) || is_same(now.as_ref(), before.as_ref()) {
        return;
    }
    // What was counted meanwhile happened all the same, if it was counted for the same step.
    let before = before.map(|before| match &now {
        Some(now) if (now.step, now.since) == (before.step, before.since) => {
            Arc::new(Shift { counts: now.counts, ..(*before).clone() })
        }
        _ => before,
    });
    record(turn, key, ShiftEvent::Restored, before, None);
}

/// After a start: the timers of shifts.
pub(super) fn resume(turn: &mut Turn) {
    let legacy: Vec<_> = turn.state().shifts().map(|(from, _)| from).collect();
    for key in legacy {
        schedule(turn, key);
        look(turn, key);
    }
}
