//! The menus that move an agent's work to a successor: who it is, what will happen, and what can be done on the way.

use crate::domain::agent::Agent;
use crate::domain::agent::shift::{BEHIND, Shift, ShiftChange, ShiftStage, ShiftTerms, rounded_up};
use crate::domain::id::AgentId;
use crate::domain::intent::Intent;
use crate::domain::text::Untrusted;
use crate::tui::command;
use crate::tui::context::Context;
use crate::tui::overlays::confirmed::confirmed;
use crate::tui::step::{Line, Menu, Step};

/// Successors that a menu offers; another one is typed.
const OFFERED: usize = 9;
/// Skills that a menu offers to shift alone.
const SKILLS: usize = 5;
const DIGITS: [char; OFFERED] = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];

fn name_of(agent: &Agent) -> String {
    agent.name.line().fit(40)
}

fn named(ctx: &Context, id: AgentId) -> String {
    let agent = ctx.snapshot.agents.iter().find(|(_, agent)| agent.id == id);
    agent.map_or_else(|| "an agent that has left".to_owned(), |(_, agent)| name_of(agent))
}

/// The line of an agent's menu that leads here; `None` for an agent that nothing can be moved from.
pub fn line(ctx: &Context, agent: &Agent) -> Option<Line> {
    let (label, detail, menu) = match taken_over(ctx, agent) {
        Some((legacy, shift)) if legacy.id != agent.id => {
            let detail = format!("{} % of {}: {}", shift.percent(), name_of(legacy), shift.place());
            ("the shift…", detail, of_shift(ctx, legacy, shift))
        }
        Some((legacy, shift)) => {
            let detail =
                format!("{} % goes to {}: {}", shift.percent(), named(ctx, shift.terms.to), shift.place());
            ("the shift…", detail, of_shift(ctx, legacy, shift))
        }
        None => {
            let detail = "a growing share of its new jobs, and back at once if that does worse".to_owned();
            ("move traffic to a successor…", detail, successors(ctx, agent))
        }
    };
    agent.listed.then(|| Line { key: 'm', label, detail, step: Step::Menu(Box::new(menu)) })
}

/// The shift that an agent takes part in, with its legacy agent.
pub fn taken_over<'c>(ctx: &'c Context, agent: &Agent) -> Option<(&'c Agent, &'c Shift)> {
    ctx.snapshot.agents.iter().find_map(|(_, legacy)| {
        let shift = legacy.shift.as_deref()?;
        (legacy.id == agent.id || shift.terms.to == agent.id).then_some((legacy, shift))
    })
}

/// All shifts of the fleet, and the beginning of another one: what the view of the rules opens.
pub fn all(ctx: &Context) -> Menu {
    let shifted = ctx.snapshot.agents.iter().filter_map(|(_, agent)| Some((agent, agent.shift.as_deref()?)));
    let mut lines: Vec<Line> = shifted
        .zip(DIGITS)
        .map(|((legacy, shift), key)| Line {
            key,
            label: "shift",
            detail: format!(
                "{} → {}: {} %, {}",
                name_of(legacy),
                named(ctx, shift.terms.to),
                shift.percent(),
                shift.place()
            ),
            step: Step::Menu(Box::new(of_shift(ctx, legacy, shift))),
        })
        .collect();
    lines.push(Line {
        key: 'm',
        label: "move traffic to a successor…",
        detail: "type the legacy agent and its successor".to_owned(),
        step: Step::Type("shift ".to_owned()),
    });
    Menu::new("shifts", String::new(), lines)
}

/// Agents that may take over: those that share most skills with the agent first.
fn successors(ctx: &Context, agent: &Agent) -> Menu {
    let mut others: Vec<(usize, &Agent)> = ctx
        .snapshot
        .agents
        .iter()
        .filter(|(_, other)| other.listed && other.id != agent.id && taken_over(ctx, other).is_none())
        .map(|(_, other)| (shared(agent, other).len(), other))
        .collect();
    others.sort_by_key(|(skills, other)| (std::cmp::Reverse(*skills), other.order));
    let mut lines: Vec<Line> = others
        .into_iter()
        .filter(|(skills, _)| *skills > 0)
        .zip(DIGITS)
        .map(|((skills, other), key)| {
            let skills = if skills == 1 { "1 skill".to_owned() } else { format!("{skills} skills") };
            Line {
                key,
                label: "successor",
                detail: format!("{}, {}, shares {skills}", name_of(other), other.health.as_str()),
                step: Step::Menu(Box::new(begin(ctx, agent, other, ShiftTerms::to(other.id)))),
            }
        })
        .collect();
    lines.push(Line {
        key: 't',
        label: "another one…",
        detail: "type its name".to_owned(),
        step: Step::Type(format!("shift {} ", agent.name.line())),
    });
    Menu::new("move traffic from", name_of(agent), lines)
}

/// The skills that both have.
fn shared(one: &Agent, other: &Agent) -> Vec<Untrusted> {
    let skills = |agent: &Agent| {
        agent.card.iter().flat_map(|card| &card.skills).map(|skill| skill.id.clone()).collect::<Vec<_>>()
    };
    let of_other = skills(other);
    skills(one).into_iter().filter(|skill| of_other.contains(skill)).collect()
}

/// What will happen, before it begins.
pub fn begin(ctx: &Context, from: &Agent, to: &Agent, terms: ShiftTerms) -> Menu {
    let (old, new) = (name_of(from), name_of(to));
    let by = Untrusted::from(ctx.info.operator.as_str());
    let all = terms.clone();
    let steps: Vec<String> = terms.steps.iter().map(ToString::to_string).collect();
    let of_skill = terms.skill.as_ref().map(|skill| format!(" for skill {}", skill.line().fit(30)));
    let what = format!(
        "{new} gets {} % of the jobs that {old} would get{}. Each step takes {} and {} ended jobs at {new}. It goes \
         back to 0 if {new} is under {} % ok or {BEHIND} points below {old}. Jobs sent by name and what runs already stay.",
        steps.join(", "),
        of_skill.unwrap_or_default(),
        rounded_up(terms.time),
        terms.jobs,
        terms.ok_limit,
    );
    let (time, jobs) = (rounded_up(terms.time), terms.jobs);
    let intent = Intent::Shift { agent: from.id, change: ShiftChange::Begin(terms), why: None, by };
    let command = command::of_intent(&ctx.snapshot, &ctx.info.flags, &intent);
    let first = steps.first().cloned().unwrap_or_default();
    let done = format!("{first} % of {old} goes to {new}; the next step after {time} and {jobs} ended jobs");
    let step = confirmed(ctx, &format!("{old} → {new}"), "shift", intent, done);
    let mut lines = vec![Line { key: 'y', label: "begin", detail: what, step }];
    if all.skill.is_none() {
        let skills = shared(from, to);
        if skills.len() > 1 {
            lines.extend(skills.into_iter().take(SKILLS).zip(DIGITS).map(|(skill, key)| Line {
                key,
                label: "one skill only…",
                detail: skill.line().fit(40),
                step: Step::Menu(Box::new(begin(
                    ctx,
                    from,
                    to,
                    ShiftTerms { skill: Some(skill), ..all.clone() },
                ))),
            }));
        }
    }
    lines
        .push(Line { key: ':', label: "other steps…", detail: command, step: Step::Type(typed(from, to)) });
    Menu::new("move traffic", format!("{old} → {new}"), lines)
}

/// The command line that begins a shift, to be completed.
fn typed(from: &Agent, to: &Agent) -> String {
    format!("shift {} {} 1,5,25,50,100", from.name.line(), to.name.line())
}

/// What can be done with a shift.
fn of_shift(ctx: &Context, legacy: &Agent, shift: &Shift) -> Menu {
    let (old, new) = (name_of(legacy), named(ctx, shift.terms.to));
    let by = Untrusted::from(ctx.info.operator.as_str());
    let facts = format!("{old} → {new}, {} %", shift.percent());
    let mut lines = Vec::new();
    let mut offer = |key, label, detail: String, change, done: String| {
        let intent = Intent::Shift { agent: legacy.id, change, why: None, by: by.clone() };
        let step = confirmed(ctx, &facts, label, intent, done);
        lines.push(Line { key, label, detail, step });
    };
    let first = shift.terms.steps.first().copied().unwrap_or(100);
    match shift.stage {
        ShiftStage::Running => {
            let detail = format!(
                "stay at {} %; it still goes back by itself if {new} does worse. Now: {}",
                shift.percent(),
                shift.missing_in_words(ctx.snapshot.at)
            );
            let done = format!("{new} stays at {} % of {old}", shift.percent());
            offer('h', "hold", detail, ShiftChange::Hold, done);
        }
        ShiftStage::Held => {
            let detail = format!("go on from {} %", shift.percent());
            offer('r', "resume", detail, ShiftChange::Resume, format!("{old} → {new} goes on"));
        }
        ShiftStage::Back => {
            let detail = format!("begin again: {first} % of what {old} would get goes to {new}");
            let done = format!("{first} % of {old} goes to {new} again");
            offer('r', "resume", detail, ShiftChange::Resume, done);
        }
        ShiftStage::Complete => {}
    }
    if shift.stage != ShiftStage::Back {
        let detail = format!("{old} gets everything again, and {new} nothing of it");
        offer('b', "back to 0", detail, ShiftChange::Back, format!("{old} gets everything again"));
    }
    let detail = "no shift any more: the rules decide alone, also between these two".to_owned();
    offer('e', "end", detail, ShiftChange::End, format!("{old} → {new}: the shift is over"));
    Menu::new("shift", facts.clone(), lines)
}
