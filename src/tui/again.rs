//! What can be tried again, and where: the choices of the card behind `r`.

use crate::domain::id::{AgentId, AttemptKey};
use crate::domain::intent::Intent;
use crate::domain::job::carry::{Carry, CarryContext, CarryHistory};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::{TaskState, Verdict};
use crate::domain::job::{Attempt, Origin, Phase};
use crate::domain::route::Target;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::keys::Keys;
use crate::tui::states;
use crate::tui::theme::Theme;

/// How far the attempt is that a card is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// It may have arrived.
    Uncertain,
    /// Its task was alive when its agent was last reached, which it is not now.
    Unreachable,
    /// It ended without a result.
    Ended,
    /// Its task is alive.
    Live,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// The same message once more.
    Resend,
    /// Nothing is sent.
    PresumeLost,
    /// It is presumed lost, and another attempt follows.
    PresumeLostAndRetry,
    /// Another attempt, wherever the router sends it.
    Elsewhere,
    /// Another attempt at the same agent.
    Same,
    /// Another attempt at an agent that the operator chooses.
    Chosen,
    /// Another attempt beside the live one, wherever the router sends it.
    Race,
    /// The same at an agent that the operator chooses.
    RaceChosen,
}

impl Act {
    /// True if the operator chooses the agent.
    pub fn is_chosen(self) -> bool {
        matches!(self, Self::Chosen | Self::RaceChosen)
    }

    /// True if a new message is sent, which may take something along.
    pub fn carries(self) -> bool {
        match self {
            Self::PresumeLostAndRetry | Self::Elsewhere | Self::Same | Self::Chosen => true,
            Self::Resend | Self::PresumeLost | Self::Race | Self::RaceChosen => false,
        }
    }
}

/// The choice to race a task.
const RACE: &str = "race: leave this one running, first one wins";
const RACE_CHOSEN: &str = "race: choose an agent, first one wins…";

/// A choice of the card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What is done.
    pub act: Act,
    /// The letter that chooses it where digits are a number that is typed.
    pub letter: char,
    /// The choice in words.
    pub label: &'static str,
    /// What it means.
    pub meaning: String,
}

/// Where another attempt goes if nobody names an agent; `None` if that is the same agent again, as no skill is known by
/// which the router could find another one, or no other agent has it.
fn elsewhere(snapshot: &Snapshot, attempt: &Attempt, looks: bool) -> Option<String> {
    let job = snapshot.job_of(attempt)?;
    let has = |skill: &Untrusted| {
        snapshot.agents.iter().any(|(key, agent)| {
            let mut skills = agent.card.iter().flat_map(|card| &card.skills);
            key != attempt.agent && agent.listed && skills.any(|one| one.id == *skill)
        })
    };
    let target = job.plan.as_ref().map(|plan| &plan.target);
    Some(match (target, &job.skill) {
        (None | Some(Target::Agent(_)), Some(skill)) | (Some(Target::Skill(skill)), _) => {
            if looks && !has(skill) {
                return None;
            }
            format!("an agent with skill {}", skill.line())
        }
        (None | Some(Target::Agent(_)), None) => return None,
        (Some(Target::Tag(tag)), _) => format!("an agent with tag {}", tag.line()),
        (Some(Target::Route(route)), _) => format!("by route {}", Untrusted::from(&**route).line()),
        (Some(Target::Any), _) => "by the rules".to_owned(),
    })
}

/// True if nobody can see the task end, as its agent is down.
fn is_cut_off(snapshot: &Snapshot, attempt: &Attempt) -> bool {
    let agent = snapshot.agents.get(attempt.agent);
    agent.is_some_and(|agent| attempt.is_cut_off(agent.health))
}

/// True if another attempt of the same job is alive.
fn runs_beside(snapshot: &Snapshot, attempt: &Attempt) -> bool {
    let Some(job) = snapshot.job_of(attempt) else { return false };
    let mut others = job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key));
    others.any(|row| row.id != attempt.id && row.is_live())
}

/// Why nothing can be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhyNot {
    /// Another client sent it.
    Foreign,
    /// It is not the last attempt of its job, or another one is planned.
    Followed,
    /// Its message is being sent.
    OnItsWay,
    /// It has a result.
    Completed,
    /// Another attempt of its job is alive.
    Beside,
    /// Another attempt of its job has completed.
    Won,
}

impl WhyNot {
    /// In words, with what to do instead.
    pub fn words(self, attempt: &Attempt, keys: &Keys) -> String {
        let state = states::attempt(attempt, Theme::plain_glyphs()).word;
        let copy = keys.hint(Action::EditCopy);
        match self {
            Self::Foreign => format!("somebody else sent it; {copy} sends a copy"),
            Self::Followed => "another attempt follows it already".into(),
            Self::OnItsWay => format!("it is {state}: wait until it has arrived, or may not have"),
            Self::Completed => format!("it is {state}; {copy} sends a copy"),
            Self::Beside => "another attempt of it is alive: wait until it has ended".into(),
            Self::Won => format!("another attempt of it was first; {copy} sends a copy"),
        }
    }
}

impl Again {
    /// What can be done about an attempt.
    ///
    /// # Errors
    /// Nothing can; the error says why.
    pub fn of(snapshot: &Snapshot, attempt: &Attempt) -> Result<Self, WhyNot> {
        if attempt.task.is_none() && attempt.phase == Phase::Uncertain {
            return Ok(Self::Uncertain);
        }
        let job = snapshot.job_of(attempt).filter(|job| job.origin == Origin::Sent);
        let job = job.ok_or(WhyNot::Foreign)?;
        let is_it = |key: &AttemptKey| snapshot.attempts.get(*key).is_some_and(|row| row.id == attempt.id);
        if job.winner().is_some_and(|winner| !is_it(&winner)) {
            return Err(WhyNot::Won);
        }
        if !job.round().iter().any(is_it) || job.phase == JobPhase::Queued {
            return Err(WhyNot::Followed);
        }
        let completed = attempt.task.as_ref().is_some_and(|task| task.state == TaskState::Completed);
        match (attempt.is_live(), &attempt.task) {
            (true, Some(_)) if is_cut_off(snapshot, attempt) => Ok(Self::Unreachable),
            (true, Some(_)) => Ok(Self::Live),
            (true, None) => Err(WhyNot::OnItsWay),
            (false, _) if completed || attempt.phase == Phase::Answered => Err(WhyNot::Completed),
            (false, _) if runs_beside(snapshot, attempt) => Err(WhyNot::Beside),
            (false, _) => Ok(Self::Ended),
        }
    }

    /// Why the others of the marked rows are left out.
    pub fn unfit(self) -> &'static str {
        match self {
            Self::Uncertain => "they are known to have arrived",
            Self::Unreachable => "their agents are reached, or they are not ours",
            Self::Ended => "they did not end without a result, or are not ours",
            Self::Live => "they are not alive, or not ours",
        }
    }

    /// The title of the card.
    pub fn title(self, bulk: bool) -> &'static str {
        match (self, bulk) {
            (Self::Uncertain, _) => "again",
            (Self::Unreachable, _) => "its agent cannot be reached",
            (Self::Ended, _) => "send it again",
            (Self::Live, false) => "move it",
            (Self::Live, true) => "move tasks",
        }
    }

    /// The choices for attempts; `chosen` is the name of the agent that the operator has chosen.
    pub fn choices(self, snapshot: &Snapshot, of: &[&Attempt], chosen: Option<&str>) -> Vec<Choice> {
        // For many attempts it would take too long to look at every agent for each.
        let places: Option<Vec<String>> =
            of.iter().map(|attempt| elsewhere(snapshot, attempt, of.len() == 1)).collect();
        let routed = places.filter(|places| !places.is_empty()).map(|mut places| {
            places.dedup();
            match places.as_slice() {
                [one] if one.starts_with("by ") => format!("the router chooses {one}"),
                [one] => one.clone(),
                _ => "the router chooses".to_owned(),
            }
        });
        let names: std::collections::BTreeSet<String> = of
            .iter()
            .filter_map(|attempt| Some(snapshot.agents.get(attempt.agent)?.name.line().into_string()))
            .collect();
        let choice = |act, letter, label, meaning: String| Choice { act, letter, label, meaning };
        // Nothing follows while another attempt runs.
        let beside = of.iter().any(|attempt| runs_beside(snapshot, attempt));
        let routed = routed.filter(|_| !beside || self == Self::Live);
        let lost = if beside {
            "nothing is sent, and the other attempt goes on"
        } else {
            "nothing is sent, and the job ends"
        };
        let picked = chosen.map_or_else(String::new, str::to_owned);
        let mut all = Vec::new();
        match self {
            Self::Uncertain => {
                all.push(choice(
                    Act::Resend,
                    's',
                    "send it again",
                    "same id: agents that check ids drop duplicates".into(),
                ));
                all.push(choice(Act::PresumeLost, 'l', "presume it lost", lost.into()));
                if let Some(routed) = routed {
                    let label = "presume it lost, and send it to another";
                    all.push(choice(Act::PresumeLostAndRetry, 'o', label, routed));
                }
            }
            Self::Unreachable => {
                if let Some(routed) = routed {
                    let label = "presume it lost, and send it to another";
                    all.push(choice(Act::PresumeLostAndRetry, 'o', label, routed));
                }
                all.push(choice(Act::PresumeLost, 'l', "presume it lost", lost.into()));
            }
            Self::Ended => {
                if let Some(routed) = routed {
                    all.push(choice(Act::Elsewhere, 'o', "another agent", routed));
                }
                let same = names.into_iter().collect::<Vec<_>>().join(", ");
                all.push(choice(Act::Same, 's', "the same agent", same));
                all.push(choice(Act::Chosen, 'c', "choose an agent…", picked));
            }
            Self::Live => {
                let race = (of.len() == 1).then(|| match &routed {
                    Some(_) => choice(Act::Race, 'r', RACE, "at another agent".into()),
                    None => choice(Act::RaceChosen, 'r', RACE_CHOSEN, picked.clone()),
                });
                if !beside {
                    if let Some(routed) = routed {
                        all.push(choice(Act::Elsewhere, 'o', "move it to another agent", routed));
                    }
                    all.push(choice(Act::Chosen, 'c', "choose an agent…", picked));
                }
                all.extend(race);
            }
        }
        all
    }

    /// The intents of a choice, in order; none if an agent has yet to be chosen.
    pub fn intents(
        self,
        act: Act,
        snapshot: &Snapshot,
        row: &Attempt,
        chosen: Option<AgentId>,
        carry: Carry,
        why: Option<Untrusted>,
    ) -> Vec<Intent> {
        let attempt = row.id;
        let anew = |to: Option<AgentId>| match self {
            Self::Live => Intent::Reroute { attempt, to, carry, why: why.clone() },
            Self::Uncertain | Self::Unreachable | Self::Ended => {
                Intent::Retry { attempt, to, carry, why: why.clone() }
            }
        };
        match act {
            Act::Resend => vec![Intent::Resend { attempt, why }],
            Act::PresumeLost => vec![Intent::PresumeLost { attempt, why }],
            Act::PresumeLostAndRetry => {
                vec![Intent::PresumeLost { attempt, why: why.clone() }, anew(None)]
            }
            Act::Elsewhere => vec![anew(None)],
            Act::Same => {
                let agent = snapshot.agents.get(row.agent).map(|agent| agent.id);
                agent.into_iter().map(|agent| anew(Some(agent))).collect()
            }
            Act::Chosen => chosen.into_iter().map(|agent| anew(Some(agent))).collect(),
            Act::Race => vec![Intent::Race { attempt, to: None, why }],
            Act::RaceChosen => {
                let race = |to| Intent::Race { attempt, to: Some(to), why };
                chosen.map(race).into_iter().collect()
            }
        }
    }

    /// What will happen, in sentences.
    pub fn effect(
        self,
        act: Option<Act>,
        snapshot: &Snapshot,
        of: &[&Attempt],
        chosen: Option<&str>,
        carry: Carry,
    ) -> Vec<String> {
        let mut sentences = self.what_happens(act, snapshot, of, chosen);
        if act.is_none_or(Act::carries) {
            sentences.extend(carrying(act, snapshot, of, carry));
        }
        sentences
    }

    fn what_happens(
        self,
        act: Option<Act>,
        snapshot: &Snapshot,
        of: &[&Attempt],
        chosen: Option<&str>,
    ) -> Vec<String> {
        let who = match act {
            Some(Act::Same) => "the same agent".to_owned(),
            Some(Act::Chosen | Act::RaceChosen) => chosen.unwrap_or("the agent that you choose").to_owned(),
            _ => "the agent that the router chooses".to_owned(),
        };
        let tried = if act == Some(Act::Elsewhere) { " Agents that were not tried come first." } else { "" };
        match (self, act) {
            (Self::Uncertain, None) => vec![
                "It is unknown whether it arrived. If it did, the work may be done twice, unless the agent checks message ids.".into(),
            ],
            (Self::Uncertain, Some(Act::Resend)) => {
                vec!["The same message is sent again, with the same id.".into()]
            }
            (Self::Uncertain, Some(Act::PresumeLost)) => vec![
                "Nothing is sent. If it did arrive, it continues at the agent and is found there again.".into(),
            ],
            (Self::Uncertain, Some(_)) => vec![
                "It is presumed lost; then the agent that the router chooses gets another attempt, with a new id. If the first one did arrive, the work is done twice.".into(),
            ],
            (Self::Unreachable, None) => vec![
                "Its agent cannot be reached, so nobody can see it end. If you wait, it is read once its agent answers.".into(),
            ],
            (Self::Unreachable, Some(Act::PresumeLost)) => vec![
                "Nothing is sent. If its agent comes back with it, the job goes on.".into(),
            ],
            (Self::Unreachable, Some(_)) => vec![
                "It is presumed lost; then the agent that the router chooses gets another attempt, with a new id. The work may be done twice. If the first one comes back alive, its agent is asked to cancel it.".into(),
            ],
            (Self::Ended, _) => {
                let may_have_run = |row: &&Attempt| {
                    row.phase == Phase::PresumedLost
                        || row.task.as_ref().is_some_and(|task| task.verdict == Some(Verdict::Lost))
                };
                let twice = if of.iter().any(may_have_run) {
                    " It is unknown whether the work was done: it may be done twice."
                } else {
                    ""
                };
                let first = match act {
                    None => "Another attempt is a new message with the same contents.".to_owned(),
                    Some(_) => format!("Another attempt, a new message with the same contents, goes to {who}.{tried}"),
                };
                vec![format!("{first}{twice}")]
            }
            (Self::Live, Some(Act::Race | Act::RaceChosen)) => {
                let idempotent = |row: &&Attempt| {
                    let plan = snapshot.job_of(row).and_then(|job| job.plan.as_ref());
                    plan.is_some_and(|plan| plan.idempotent)
                };
                let harm = if of.iter().all(idempotent) {
                    "Its rule says that this does no harm."
                } else {
                    "No rule says that this does no harm: be sure of it."
                };
                vec![format!(
                    "Another attempt, a new message with the same contents, goes to {who} while this one runs on: the work is done twice. {harm} The first that completes wins. The others are canceled, and that is verified."
                )]
            }
            (Self::Live, _) => vec![format!(
                "Its agent is asked to cancel it, and that is verified. Nothing is sent until its end was seen; then another attempt, a new message with the same contents, goes to {who}.{tried} If it completes instead, nothing more is sent."
            )],
        }
    }

    /// The message once it was accepted.
    pub fn done(self, act: Option<Act>, id: &str) -> String {
        match (self, act) {
            (_, Some(Act::Race | Act::RaceChosen)) => format!("{id} is raced: the first one wins"),
            (_, Some(Act::Resend)) => format!("{id} is sent again"),
            (_, Some(Act::PresumeLost)) => format!("{id} is presumed lost"),
            (_, Some(Act::PresumeLostAndRetry)) => format!("{id} is presumed lost and tried again"),
            (Self::Live, _) => format!("cancel of {id} requested; it moves once its end was seen"),
            (..) => format!("{id} is tried again"),
        }
    }
}

/// The choices for dead letters of which no attempt was made; `chosen` is the name of the agent that the operator has
/// chosen.
pub fn anywhere(chosen: Option<&str>) -> Vec<Choice> {
    let (anywhere, picked) = ("as it was sent first".to_owned(), chosen.unwrap_or_default().to_owned());
    vec![
        Choice { act: Act::Elsewhere, letter: 'o', label: "let the router choose", meaning: anywhere },
        Choice { act: Act::Chosen, letter: 'c', label: "choose an agent…", meaning: picked },
    ]
}

/// What another attempt takes along, in sentences.
fn carrying(act: Option<Act>, snapshot: &Snapshot, of: &[&Attempt], carry: Carry) -> Vec<String> {
    let history = match carry.history {
        CarryHistory::None => None,
        CarryHistory::References => {
            Some("It names the earlier task and its artifacts by their ids.".to_owned())
        }
        CarryHistory::Content => Some(
            "It repeats the conversation and the artifacts so far, up to 256 KiB; larger ones are named by their ids."
                .to_owned(),
        ),
    };
    let agent = of.first().and_then(|row| snapshot.agents.get(row.agent)).map(|agent| agent.name.line());
    let context = match carry.context {
        CarryContext::Given => None,
        CarryContext::New => Some("It begins a new context.".to_owned()),
        CarryContext::Same if act == Some(Act::Same) => Some("It stays in the same context.".to_owned()),
        CarryContext::Same => Some(format!(
            "It stays in the same context, which is known to {}: another agent that is no replica of it may begin an empty conversation under its id, or refuse it.",
            agent.map_or_else(|| "its agent".to_owned(), |name| name.into_string())
        )),
    };
    history.into_iter().chain(context).collect()
}
