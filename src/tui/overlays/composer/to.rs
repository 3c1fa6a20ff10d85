//! Where a message can go: what the fleet has, and what a typed text names.

use std::collections::{BTreeMap, BTreeSet};

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::domain::agent::Agent;
use crate::domain::agent::card::Skill;
use crate::domain::id::AgentKey;
use crate::domain::route::Target;
use crate::domain::route::explanation::RuleRow;
use crate::domain::text::{self, Untrusted};
use crate::tui::context::Context;

/// Destinations that are offered while one is typed.
pub(super) const OFFERED: usize = 5;
/// The text of a message for which the rules decide.
pub(super) const BY_RULES: &str = "by rules";
/// What stands before the names of what is no agent.
const SKILL: &str = "skill:";
const TAG: &str = "tag:";
const ROUTE: &str = "route:";

/// A destination that completes the typed text.
#[derive(Debug)]
pub(super) struct Offer {
    /// The text that names it.
    pub text: String,
    /// Where it leads.
    pub target: Target,
    /// What is shown beside it.
    pub about: About,
}

/// What is shown beside a destination.
#[derive(Debug)]
pub(super) enum About {
    /// The row of an agent.
    Agent(AgentKey),
    /// How many agents or rules there are, and what they are.
    Others(String, String),
}

/// A text that names no destination.
#[derive(Debug)]
pub(super) struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What to do instead.
    pub next: String,
}

fn agents(ctx: &Context) -> impl Iterator<Item = (AgentKey, &Agent)> {
    ctx.latest.agents.iter().filter(|(_, agent)| agent.listed)
}

fn skills(ctx: &Context) -> impl Iterator<Item = &Skill> {
    agents(ctx).filter_map(|(_, agent)| agent.card.as_ref()).flat_map(|card| &card.skills)
}

/// The names by which the rules can be asked for: of routes, and of rules.
fn routes(rules: &[RuleRow]) -> BTreeSet<&str> {
    rules.iter().flat_map(|rule| [&*rule.route, &*rule.name]).collect()
}

/// The destination that a text names, whether or not the fleet has any agent for it; `None` if it names none.
pub(super) fn named(ctx: &Context, typed: &str) -> Option<Target> {
    let typed = typed.trim();
    if typed == BY_RULES {
        return Some(Target::Any);
    }
    let rest = |kind| typed.strip_prefix(kind).map(str::trim);
    // What is typed is compared with the printable form, the only one that the operator sees.
    let same = |known: &&Untrusted, name: &str| *known.line() == *name;
    if let Some(name) = rest(SKILL) {
        let known = skills(ctx).map(|skill| &skill.id).find(|id| same(id, name)).cloned();
        return (!name.is_empty()).then(|| Target::Skill(known.unwrap_or_else(|| name.into())));
    }
    if let Some(name) = rest(TAG) {
        let known = skills(ctx).flat_map(|skill| &skill.tags).find(|tag| same(tag, name)).cloned();
        return (!name.is_empty()).then(|| Target::Tag(known.unwrap_or_else(|| name.into())));
    }
    if let Some(name) = rest(ROUTE) {
        return (!name.is_empty()).then(|| Target::Route(name.into()));
    }
    agents(ctx).find(|(_, agent)| *agent.name.line() == *typed).map(|(_, agent)| Target::Agent(agent.id))
}

/// True if the fleet has it: completion then leaves it as it is.
pub(super) fn exists(ctx: &Context, rules: &[RuleRow], target: &Target) -> bool {
    match target {
        Target::Agent(_) | Target::Any => true,
        Target::Skill(wanted) => skills(ctx).any(|skill| skill.id == *wanted),
        Target::Tag(wanted) => skills(ctx).any(|skill| skill.tags.contains(wanted)),
        Target::Route(wanted) => routes(rules).contains(&**wanted),
    }
}

/// The words behind "sent".
pub(super) fn in_words(ctx: &Context, target: &Target) -> String {
    match target {
        Target::Agent(id) => {
            let agent = agents(ctx).find(|(_, agent)| agent.id == *id);
            format!("to {}", agent.map(|(_, agent)| agent.name.line().into_string()).unwrap_or_default())
        }
        Target::Skill(skill) => format!("to an agent with skill {}", skill.line()),
        Target::Tag(tag) => format!("to an agent with tag {}", tag.line()),
        Target::Route(route) => format!("to route {}", Untrusted::from(&**route).line()),
        Target::Any => BY_RULES.to_owned(),
    }
}

/// Why a typed text leads nowhere, with the next step; `None` if it names a destination. Rules that have not been read
/// yet (`None`) accept every route.
pub(super) fn wrong(
    ctx: &Context,
    rules: Option<&[RuleRow]>,
    typed: &str,
    target: Option<&Target>,
) -> Option<Wrong> {
    let typed = typed.trim();
    let has_rules = rules.is_some_and(|rules| !rules.is_empty());
    let ways = if has_rules {
        "an agent, skill:ID, tag:TAG, route:NAME, or by rules"
    } else {
        "an agent, skill:ID or tag:TAG"
    };
    match target {
        Some(Target::Route(route)) => {
            let known = routes(rules?);
            if known.contains(&**route) {
                return None;
            }
            let next = if known.is_empty() {
                format!("this fleet has no rules; name {ways}")
            } else {
                let known: Vec<_> = known.into_iter().take(OFFERED).collect();
                format!("there are {}", Untrusted::from(known.join(", ")).line())
            };
            Some(Wrong { what: format!("no rule has the route {}", Untrusted::from(&**route).line()), next })
        }
        Some(_) => None,
        None if typed.is_empty() => {
            Some(Wrong { what: "choose where it goes first".into(), next: format!("name {ways}") })
        }
        None => {
            let near = nearest(ctx, rules.unwrap_or_default(), typed);
            let next = near.map_or_else(|| format!("name {ways}"), |near| format!("nearest: {near}"));
            let what = match [SKILL, TAG, ROUTE].iter().find(|kind| typed == **kind) {
                Some(kind) => format!("{kind} names nothing yet"),
                None => format!("no agent has the name {}", Untrusted::from(typed).line()),
            };
            Some(Wrong { what, next })
        }
    }
}

/// The destination of the fleet whose text, or whose name alone, is close to what was typed.
pub(super) fn nearest(ctx: &Context, rules: &[RuleRow], typed: &str) -> Option<String> {
    let named = |kind: &str, name: &Untrusted| format!("{kind}{}", name.line());
    let mut known: BTreeSet<String> = agents(ctx).map(|(_, agent)| agent.name.line().into_string()).collect();
    for skill in skills(ctx) {
        known.insert(named(SKILL, &skill.id));
        known.extend(skill.tags.iter().map(|tag| named(TAG, tag)));
    }
    known.extend(routes(rules).into_iter().map(|route| named(ROUTE, &route.into())));
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    if let Some(found) = text::nearest(typed, &words) {
        return Some(found.to_owned());
    }
    let bare = |word: &str| word.split_once(':').map_or_else(|| word.to_owned(), |(_, name)| name.to_owned());
    let names: Vec<String> = known.iter().map(|word| bare(word)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = text::nearest(&bare(typed), &names)?;
    known.iter().find(|word| bare(word) == found).cloned()
}

/// What may complete a text.
enum Candidate<'c> {
    Any,
    Route(&'c str),
    Skill(&'c Untrusted, &'c Untrusted, usize),
    Tag(&'c Untrusted, usize),
    Agent(AgentKey, &'c Agent),
}

/// The destinations that are similar to what was typed, the most similar first; agents that take work before others.
pub(super) fn offered(ctx: &Context, rules: &[RuleRow], typed: &str) -> Vec<Offer> {
    let typed = typed.trim();
    let kind = [SKILL, TAG, ROUTE].into_iter().find(|kind| typed.starts_with(kind));
    let words = kind.map_or(typed, |kind| typed[kind.len()..].trim());
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let pattern = Pattern::parse(words, CaseMatching::Ignore, Normalization::Smart);
    let mut score = |name: &str| pattern.score(Utf32Str::new(name, &mut buffer), &mut matcher);
    let mut scored: Vec<(u32, u32, Candidate<'_>)> = Vec::new();
    // The same name as an agent's is rated higher: an agent of exactly this name would not have to be completed.
    let rated = |score: u32, is_exact: bool| score + 11_000 + if is_exact { 100_000 } else { 0 };
    if kind.is_none() && !rules.is_empty() {
        let found = if words.is_empty() { Some(20_000) } else { score(BY_RULES) };
        scored.extend(found.map(|score| (rated(score, false), u32::MAX, Candidate::Any)));
    }
    let is_wanted = |of| kind.map_or(!words.is_empty(), |kind| kind == of);
    if is_wanted(SKILL) {
        let mut known: BTreeMap<&Untrusted, (&Untrusted, usize)> = BTreeMap::new();
        for skill in skills(ctx) {
            known.entry(&skill.id).or_insert((&skill.name, 0)).1 += 1;
        }
        for (id, (name, count)) in known {
            let line = id.line();
            let found = score(&format!("{line} {}", name.line()));
            let one = Candidate::Skill(id, name, count);
            scored.extend(found.map(|score| (rated(score, *line == *words), u32::MAX - 1, one)));
        }
    }
    if is_wanted(ROUTE) {
        for name in routes(rules) {
            let one = Candidate::Route(name);
            scored.extend(score(name).map(|score| (rated(score, name == words), u32::MAX - 2, one)));
        }
    }
    if is_wanted(TAG) {
        let mut known: BTreeMap<&Untrusted, usize> = BTreeMap::new();
        for (_, agent) in agents(ctx) {
            let skills = agent.card.iter().flat_map(|card| &card.skills);
            let tags: BTreeSet<_> = skills.flat_map(|skill| &skill.tags).collect();
            for tag in tags {
                *known.entry(tag).or_default() += 1;
            }
        }
        for (tag, count) in known {
            let line = tag.line();
            let one = Candidate::Tag(tag, count);
            scored.extend(score(&line).map(|score| (rated(score, *line == *words), u32::MAX - 3, one)));
        }
    }
    for (key, agent) in agents(ctx).filter(|_| kind.is_none()) {
        let of_name = score(&agent.name.line()).map(|score| score + 1000);
        let skills = agent.card.iter().flat_map(|card| &card.skills);
        let found = of_name.or_else(|| {
            let of_skill =
                skills.filter_map(|skill| score(&format!("{} {}", skill.id.line(), skill.name.line())));
            of_skill.max()
        });
        let usable = if agent.health.takes_work() { 10_000 } else { 0 };
        let order = (u32::MAX - 4).saturating_sub(agent.order);
        scored.extend(found.map(|score| (score + usable, order, Candidate::Agent(key, agent))));
    }
    scored.sort_by_key(|(score, order, _)| std::cmp::Reverse((*score, *order)));
    scored.truncate(OFFERED);
    scored.into_iter().map(|(_, _, one)| offer(rules, one)).collect()
}

fn offer(rules: &[RuleRow], one: Candidate<'_>) -> Offer {
    let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    match one {
        Candidate::Any => Offer {
            text: BY_RULES.into(),
            target: Target::Any,
            about: About::Others(counted(rules.len(), "rule"), "the first that fits the message".into()),
        },
        Candidate::Route(name) => {
            let of = rules.iter().filter(|rule| *rule.route == *name || *rule.name == *name);
            let to: BTreeSet<&str> = of.clone().filter_map(|rule| rule.to.first()).map(|to| &**to).collect();
            let to = to.into_iter().collect::<Vec<_>>().join(", ");
            Offer {
                text: format!("{ROUTE}{}", Untrusted::from(name).line()),
                target: Target::Route(name.into()),
                about: About::Others(counted(of.count(), "rule"), Untrusted::from(to).line().into_string()),
            }
        }
        Candidate::Skill(id, name, count) => Offer {
            text: format!("{SKILL}{}", id.line()),
            target: Target::Skill(id.clone()),
            about: About::Others(counted(count, "agent"), name.line().into_string()),
        },
        Candidate::Tag(tag, count) => Offer {
            text: format!("{TAG}{}", tag.line()),
            target: Target::Tag(tag.clone()),
            about: About::Others(counted(count, "agent"), "any of their skills with this tag".into()),
        },
        Candidate::Agent(key, agent) => Offer {
            text: agent.name.line().into_string(),
            target: Target::Agent(agent.id),
            about: About::Agent(key),
        },
    }
}
