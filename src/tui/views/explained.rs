//! What the router says, in lines: about a rule, about a message, and about a job at the time of its decisions.

use unicode_width::UnicodeWidthStr;

use crate::domain::fact::{Fact, JobFact, JournalEntry};
use crate::domain::id::AgentId;
use crate::domain::route::Fit;
use crate::domain::route::decision::{Considered, Decision, Verdict};
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
    }
    lines
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
    }
    if lines.is_empty() {
        let words =
            "No decision about it is kept: it was sent to an agent by name, or waits for its first agent.";
        lines.extend(wrap(words, width).into_iter().map(|line| vec![span(line, Role::Doubt)]));
    }
    lines
}

/// Behind the agents of a fallback.
fn after(decision: &Decision) -> String {
    match decision.stage {
        0 => String::new(),
        stage => format!(", fallback {stage}"),
    }
}

fn name_of(ctx: &Context, names: &[(AgentId, Untrusted)], id: AgentId) -> String {
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
