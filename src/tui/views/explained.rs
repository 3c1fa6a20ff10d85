//! What the router says, in lines: about a rule, about a message, and about a job at the time of its decisions.

use unicode_width::UnicodeWidthStr;

use crate::domain::fact::{Fact, JobFact, JournalEntry};
use crate::domain::id::AgentId;
use crate::domain::job::plan::WaitReason;
use crate::domain::route::Fit;
use crate::domain::route::decision::{Considered, Decision, Obstacle, Verdict};
use crate::domain::route::explanation::{Explanation, Outcome, RuleRow};
use crate::domain::text::{Untrusted, fit};
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::views::about::{Lines, wrapped};
use crate::tui::widgets::canvas::{Span, span};
use crate::tui::widgets::text::wrap;
use crate::tui::{format, states};

/// The widest column of rules' names.
const RULE: usize = 18;

/// Text of the configuration, for the screen.
pub fn printed(text: &str) -> String {
    Untrusted::from(text).line().into_string()
}

/// What a rule asks of a message.
pub fn matches_words(rule: &RuleRow) -> String {
    if rule.conditions.is_empty() { "every message".into() } else { printed(&rule.conditions.join(", ")) }
}

/// Where a rule sends to, with its fallbacks.
pub fn sends_to(rule: &RuleRow) -> String {
    printed(&rule.to.join(", then "))
}

/// Why a rule can never decide, if so.
pub fn never(rule: &RuleRow) -> Option<String> {
    let earlier = rule.shadowed_by.as_ref()?;
    Some(format!("can never decide: rule {} takes all of its messages", printed(earlier)))
}

/// Everything about a rule.
pub fn of_rule(rule: &RuleRow, width: usize) -> Lines {
    let mut lines = Lines::new();
    if let Some(never) = never(rule) {
        lines.extend(wrapped("WARNING", &never, Role::Warn, width));
    }
    lines.extend(wrapped("MATCHES", &matches_words(rule), Role::Plain, width));
    let to = format!("{}, {}", sends_to(rule), rule.balance.in_words());
    lines.extend(wrapped("SENDS TO", &to, Role::Plain, width));
    let settings = if rule.settings.is_empty() {
        "one attempt, without a time limit".to_owned()
    } else {
        printed(&rule.settings.join(" · "))
    };
    lines.extend(wrapped("SETTINGS", &settings, Role::Plain, width));
    if let Some(budget) = rule.budget {
        let role = if budget.spent >= budget.allowed { Role::Warn } else { Role::Plain };
        lines.extend(wrapped("BUDGET", &budget.to_string(), role, width));
    }
    if rule.route != rule.name {
        lines.extend(wrapped("ROUTE", &printed(&rule.route), Role::Plain, width));
    }
    lines
}

/// Where a message would go now, what each rule says about it, and the agents that were considered.
pub fn of_message(ctx: &Context, explained: &Explanation, width: usize) -> Lines {
    let mut lines = Lines::new();
    let name = |id| name_of(ctx, &explained.names, id);
    let (words, role) = match &explained.outcome {
        Some(Outcome::Goes(agent)) => (format!("goes to {}", name(*agent)), Role::Ok),
        Some(Outcome::Waits(why)) => (format!("waits for {}", why.in_words()), Role::Warn),
        Some(Outcome::Nowhere(why)) => (format!("not accepted: {}", why.line()), Role::Bad),
        None => (String::new(), Role::Plain),
    };
    lines.extend(wrap(&words, width).into_iter().map(|line| vec![span(line, role)]));
    let names = explained.rules.iter().map(|rule| printed(&rule.name).width()).max().unwrap_or(0).min(RULE);
    for rule in &explained.rules {
        let Some(says) = &rule.fit else { continue };
        let (mark, role) = match says {
            Fit::Decides => (ctx.glyphs().completed, Role::Ok),
            Fit::Unmet(_) | Fit::OtherRoute | Fit::Later => (ctx.glyphs().info, Role::Quiet),
        };
        let words = match (says, never(rule)) {
            (Fit::Decides, _) => says.in_words(),
            (_, Some(never)) => never,
            (_, None) => printed(&says.in_words()),
        };
        let name = padded(&fit(&printed(&rule.name), names), names);
        let mut head = vec![span(format!("{mark} "), role), span(format!("{name}  "), Role::Plain)];
        for line in wrap(&words, width.saturating_sub(names + 4)) {
            let mut line = vec![span(line, if *says == Fit::Decides { Role::Title } else { Role::Quiet })];
            head.append(&mut line);
            lines.push(std::mem::replace(&mut head, vec![span(" ".repeat(names + 4), Role::Plain)]));
        }
    }
    if let Some(decision) = explained.decision.as_ref().filter(|decision| !decision.candidates.is_empty()) {
        lines.push(Vec::new());
        let rule =
            decision.rule.as_ref().and_then(|name| explained.rules.iter().find(|row| row.name == *name));
        let of = rule.and_then(|rule| rule.to.get(usize::from(decision.stage)));
        let of = of.map(|to| format!(" of {}", printed(to))).unwrap_or_default();
        lines.push(vec![span(format!("candidates{of}{}", after(decision)), Role::Title)]);
        lines.extend(candidates(ctx, decision, &explained.names, width));
        lines.extend(shift(ctx, decision, &explained.names, width));
    }
    lines
}

/// Rules whose reasons are named where none fits.
const NAMED: usize = 3;
/// Agents that are named behind the one that is taken.
const BEHIND: usize = 2;

/// Where a message would go now, in a sentence or two.
pub fn in_short(explained: &Explanation, name: &dyn Fn(AgentId) -> String) -> Vec<(String, Role)> {
    let candidates =
        explained.decision.as_ref().map(|decision| decision.candidates.as_slice()).unwrap_or_default();
    // The agents of which one is to be taken.
    let of = explained.decision.as_ref().and_then(|decision| {
        let rule = format!("rule {}", printed(decision.rule.as_ref()?));
        Some(match decision.stage {
            0 => rule,
            stage => format!("fallback {stage} of {rule}"),
        })
    });
    match &explained.outcome {
        Some(Outcome::Goes(agent)) => {
            let by = of.map_or_else(|| " by turns, as no rule fits".to_owned(), |of| format!(" by {of}"));
            let behind: Vec<_> = candidates.iter().filter(|one| one.verdict == Verdict::Behind).collect();
            let mut names: Vec<String> = behind.iter().take(BEHIND).map(|one| name(one.agent)).collect();
            if behind.len() > BEHIND {
                names.push(format!("{} more", behind.len() - BEHIND));
            }
            let then = if names.is_empty() { String::new() } else { format!("; then {}", listed(&names)) };
            vec![(format!("→ {}{by}{then}.", name(*agent)), Role::Plain)]
        }
        Some(Outcome::Waits(WaitReason::Concurrency)) => {
            let of = of.unwrap_or_else(|| "its rule".to_owned());
            vec![(format!("Waits: {of} already runs as many jobs as it may."), Role::Warn)]
        }
        Some(Outcome::Waits(why)) => {
            let words = waiting(candidates, of.as_deref(), name).unwrap_or_else(|| why.in_words().to_owned());
            vec![(format!("Waits: {words}."), Role::Warn)]
        }
        Some(Outcome::Nowhere(why)) => {
            let mut lines = vec![(format!("Not accepted: {}.", not_accepted(why)), Role::Bad)];
            let unmet = explained.rules.iter().filter_map(|rule| match &rule.fit {
                Some(says @ Fit::Unmet(_)) => {
                    Some(format!("{}: {}", printed(&rule.name), printed(&says.in_words())))
                }
                _ => None,
            });
            let unmet: Vec<String> = unmet.take(NAMED).collect();
            if !unmet.is_empty() {
                lines.push((unmet.join("; "), Role::Quiet));
            }
            lines
        }
        None => Vec::new(),
    }
}

/// Why the router accepts a message nowhere. Its command for a shell is left out: what the rules say stands beside it.
pub fn not_accepted(why: &Untrusted) -> String {
    let why = why.line();
    why.split_once("; `quarterdeck ").map_or(&*why, |(why, _)| why).to_owned()
}

/// Why none of the agents takes a message now; `None` without agents.
fn waiting(candidates: &[Considered], of: Option<&str>, name: &dyn Fn(AgentId) -> String) -> Option<String> {
    let out: Vec<(AgentId, Obstacle)> = candidates
        .iter()
        .filter_map(|one| match one.verdict {
            Verdict::Out(obstacle) => Some((one.agent, obstacle)),
            Verdict::Taken | Verdict::Behind => None,
        })
        .collect();
    let words = |obstacle: Obstacle, many: bool| {
        let be = if many { "are" } else { "is" };
        match obstacle {
            Obstacle::Full if many => "are at their limit".to_owned(),
            Obstacle::Full => "is at its limit".to_owned(),
            Obstacle::Breaker => format!("{be} behind an open breaker"),
            Obstacle::Health(_) | Obstacle::Cordoned => format!("{be} {obstacle}"),
        }
    };
    // Different states of health are the same obstacle to whoever reads it.
    let mut counts: Vec<(usize, Obstacle)> = Vec::new();
    for (_, obstacle) in &out {
        match counts.iter_mut().find(|(_, of)| words(*of, false) == words(*obstacle, false)) {
            Some((count, _)) => *count += 1,
            None => counts.push((1, *obstacle)),
        }
    }
    counts.sort_by_key(|(count, obstacle)| (std::cmp::Reverse(*count), *obstacle));
    let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
    Some(match (out.as_slice(), counts.as_slice()) {
        ([], _) | (_, []) => return None,
        ([(agent, obstacle)], _) if of.is_empty() => format!("{} {}", name(*agent), words(*obstacle, false)),
        ([(agent, obstacle)], _) => {
            format!("{}, the only agent{of}, {}", name(*agent), words(*obstacle, false))
        }
        ([_, _], [(_, obstacle)]) => format!("both agents{of} {}", words(*obstacle, true)),
        (all, [(_, obstacle)]) => format!("all {} agents{of} {}", all.len(), words(*obstacle, true)),
        (all, several) => {
            let several =
                several.iter().map(|(count, obstacle)| format!("{count} {}", words(*obstacle, *count > 1)));
            format!("of {} agents{of}, {}", all.len(), listed(&several.collect::<Vec<_>>()))
        }
    })
}

/// `a, b and c`
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The decisions about a job, oldest first, each with what it looked at then.
pub fn of_job(ctx: &Context, facts: &[JournalEntry], width: usize) -> Lines {
    let mut lines = Lines::new();
    for entry in facts {
        let Fact::Job(_, JobFact::Routed { decision, retry }) = &entry.fact else { continue };
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        let by = match &decision.rule {
            Some(rule) => format!("rule {}", printed(rule)),
            None => "no rule: by turns".to_owned(),
        };
        let matched = printed(&decision.matched.join(", "));
        let matched = if matched.is_empty() { matched } else { format!(", {matched}") };
        let again = if *retry { ", after an earlier attempt" } else { "" };
        let words = format!("{by}{matched}{}{again}", after(decision));
        let mut head = vec![span(format!("{}  ", ctx.clocks.second(entry.at, ctx.now)), Role::Quiet)];
        for line in wrap(&words, width.saturating_sub(10)) {
            head.push(span(line, Role::Title));
            lines.push(std::mem::replace(&mut head, vec![span(" ".repeat(10), Role::Plain)]));
        }
        lines.extend(candidates(ctx, decision, &[], width));
        lines.extend(shift(ctx, decision, &[], width));
    }
    if lines.is_empty() {
        let words =
            "No decision about it is kept: it was sent to an agent by name, or waits for its first agent.";
        lines.extend(wrap(words, width).into_iter().map(|line| vec![span(line, Role::Doubt)]));
    }
    lines
}

/// What a shift did in a decision.
fn shift(ctx: &Context, decision: &Decision, names: &[(AgentId, Untrusted)], width: usize) -> Lines {
    let Some(shifted) = &decision.shift else { return Lines::new() };
    let words = shifted.in_words(&name_of(ctx, names, shifted.from), &name_of(ctx, names, shifted.to));
    wrap(&words, width).into_iter().map(|line| vec![span(line, Role::Plain)]).collect()
}

/// Behind the agents of a fallback.
fn after(decision: &Decision) -> String {
    match decision.stage {
        0 => String::new(),
        stage => format!(", fallback {stage}"),
    }
}

/// The name of an agent that a decision looked at.
pub fn name_of(ctx: &Context, names: &[(AgentId, Untrusted)], id: AgentId) -> String {
    let known = names.iter().find(|(of, _)| *of == id).map(|(_, name)| name);
    let listed =
        || ctx.snapshot.agents.iter().find(|(_, agent)| agent.id == id).map(|(_, agent)| &agent.name);
    known.or_else(listed).map_or_else(|| "an agent that has left".into(), |name| name.line().into_string())
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn verdict(one: &Considered) -> (String, Role) {
    match one.verdict {
        Verdict::Taken => ("taken".into(), Role::Ok),
        Verdict::Behind => ("could take it".into(), Role::Plain),
        Verdict::Out(obstacle) => (format!("out: {obstacle}"), Role::Warn),
    }
}

/// The heads of the agents' columns, and which of them goes first where there is no room.
const HEADS: [&str; 5] = ["AGENT", "SCORE", "IN FLIGHT", "TASK TIME", "VERDICT"];
const LEFT_OUT: [usize; 3] = [3, 1, 2];
/// Cells of an agent's name at least.
const NAME: usize = 8;

/// The agents that a decision looked at.
fn candidates(
    ctx: &Context,
    decision: &Decision,
    names: &[(AgentId, Untrusted)],
    width: usize,
) -> impl Iterator<Item = Vec<Span>> {
    let rows: Vec<(&Considered, [String; 5])> = decision
        .candidates
        .iter()
        .map(|one| {
            let in_flight = match one.capacity {
                Some(capacity) => format!("{}/{capacity}", one.in_flight),
                None => one.in_flight.to_string(),
            };
            let cells = [
                name_of(ctx, names, one.agent),
                one.score.map_or_else(|| "–".into(), |score| score.to_string()),
                in_flight,
                one.latency.map_or_else(|| "–".into(), format::measured),
                verdict(one).0,
            ];
            (one, cells)
        })
        .collect();
    let mut widths: Vec<usize> = (0..HEADS.len())
        .map(|at| rows.iter().map(|(_, cells)| cells[at].width()).max().unwrap_or(0).max(HEADS[at].width()))
        .collect();
    let mut shown = vec![0, 1, 2, 3, 4];
    // A mark stands before each row, and two cells between two columns.
    let total = |shown: &[usize], name: usize, widths: &[usize]| {
        2 + name + shown[1..].iter().map(|at| widths[*at] + 2).sum::<usize>()
    };
    for at in LEFT_OUT {
        if total(&shown, widths[0].min(RULE), &widths) > width {
            shown.retain(|one| *one != at);
        }
    }
    widths[0] =
        widths[0].min((width + widths[0]).saturating_sub(total(&shown, widths[0], &widths)).max(NAME));
    let cell = move |at: usize, text: &str| {
        let text = fit(text, widths[at]);
        match at {
            0 => padded(&text, widths[0]),
            4 => format!("  {text}"),
            _ => format!("  {}{text}", " ".repeat(widths[at].saturating_sub(text.width()))),
        }
    };
    let head: String = shown.iter().map(|at| cell(*at, HEADS[*at])).collect();
    let mut lines = vec![vec![span(format!("  {head}"), Role::Quiet)]];
    for (one, cells) in &rows {
        let label = states::health(one.health, ctx.glyphs());
        let mut line = vec![span(format!("{} ", label.mark), label.role)];
        for at in &shown {
            let role = if *at == 4 { verdict(one).1 } else { Role::Plain };
            line.push(span(cell(*at, &cells[*at]), role));
        }
        lines.push(line);
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::Health;

    fn decision(rule: Option<&str>, stage: u8, verdicts: &[Verdict]) -> Decision {
        let considered = |(at, verdict): (u128, &Verdict)| Considered {
            agent: AgentId(uuid::Uuid::from_u128(at)),
            score: None,
            health: Health::Up,
            in_flight: 0,
            capacity: None,
            latency: None,
            failing: 0,
            verdict: *verdict,
        };
        Decision {
            rule: rule.map(Into::into),
            route: rule.map(Into::into),
            revision: 1,
            matched: Vec::new(),
            stage,
            candidates: (1..).zip(verdicts).map(considered).collect(),
            shift: None,
        }
    }

    #[test]
    fn a_decision_is_told_in_a_sentence() {
        use Verdict::{Behind, Taken};
        let [full, down, breaker, cordoned] =
            [Obstacle::Full, Obstacle::Health(Health::Down), Obstacle::Breaker, Obstacle::Cordoned]
                .map(Verdict::Out);
        let goes = Outcome::Goes(AgentId(uuid::Uuid::from_u128(1)));
        let waits = Outcome::Waits(WaitReason::Capacity);
        for (outcome, rule, stage, verdicts, words) in [
            (&goes, Some("r"), 0, &[Taken][..], "→ a1 by rule r."),
            (&goes, Some("r"), 0, &[Taken, Behind, full], "→ a1 by rule r; then a2."),
            (&goes, Some("r"), 1, &[Taken, Behind, Behind], "→ a1 by fallback 1 of rule r; then a2 and a3."),
            (
                &goes,
                None,
                0,
                &[Taken, Behind, Behind, Behind, Behind],
                "→ a1 by turns, as no rule fits; then a2, a3 and 2 more.",
            ),
            (&waits, Some("r"), 0, &[full, full, full], "Waits: all 3 agents of rule r are at their limit."),
            (&waits, None, 0, &[down, down], "Waits: both agents are down."),
            (&waits, None, 0, &[cordoned], "Waits: a1 is cordoned."),
            (
                &waits,
                Some("r"),
                0,
                &[breaker],
                "Waits: a1, the only agent of rule r, is behind an open breaker.",
            ),
            (
                &waits,
                Some("r"),
                2,
                &[down, full, full, cordoned],
                "Waits: of 4 agents of fallback 2 of rule r, 2 are at their limit, 1 is down and 1 is cordoned.",
            ),
            (&waits, Some("r"), 0, &[], "Waits: a free place."),
            (
                &Outcome::Waits(WaitReason::Concurrency),
                Some("r"),
                0,
                &[],
                "Waits: rule r already runs as many jobs as it may.",
            ),
            (&Outcome::Nowhere("no\u{1b}[2J rule".into()), None, 0, &[], "Not accepted: no␛[2J rule."),
        ] {
            let outcome = Some(outcome.clone());
            let explained = Explanation {
                outcome,
                decision: Some(decision(rule, stage, verdicts)),
                ..Explanation::default()
            };
            let told = in_short(&explained, &|id| format!("a{}", id.0.as_u128()));
            assert_eq!(told[0].0, words);
        }
    }
}
