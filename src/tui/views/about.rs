//! Descriptions of an agent and of a group of agents, in lines.

use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::card::{Card, Offer};
use crate::domain::agent::replicas::{framework, region};
use crate::domain::agent::uptime::{self, Condition};
use crate::domain::agent::version;
use crate::domain::agent::{Agent, Health};
use crate::domain::fact::JournalEntry;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::views::frame::labelled;
use crate::tui::views::groups::Group;
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::text::wrap;
use crate::tui::{format, states};

/// Lines of a text.
pub type Lines = Vec<Vec<Span>>;

/// `● up since 03:01:10  3m`
pub fn state_line(canvas: &Canvas<'_>, ctx: &Context, agent: &Agent) -> Vec<Span> {
    let label = states::agent(agent, ctx.glyphs());
    let mut line = vec![span(format!("{} {}", label.mark, label.word), label.role)];
    if agent.since > At::ZERO && agent.health != Health::Unknown {
        let since = canvas.since(states::agent_since(agent));
        line.push(span(format!(" since {since}"), Role::Plain));
    }
    line
}

/// The cause of an agent's state and the next step, if there is anything to say.
pub fn cause_lines(agent: &Agent, width: usize) -> Lines {
    let mut lines = Vec::new();
    if let Some(cause) = &agent.cause {
        lines.extend(wrapped("because", &cause.to_string(), Role::Plain, width));
        lines.extend(wrapped("next", cause.next_step(), Role::You, width));
    }
    lines
}

/// Words under a label, over as many lines as they take.
pub fn wrapped(label: &str, text: &str, role: Role, width: usize) -> Lines {
    let wrapped = wrap(text, width.saturating_sub(10));
    let line =
        |(at, text): (usize, String)| labelled(if at == 0 { label } else { "" }, vec![span(text, role)]);
    wrapped.into_iter().enumerate().map(line).collect()
}

fn joined(words: &[Untrusted]) -> String {
    words.iter().map(|word| word.line().into_string()).collect::<Vec<_>>().join(", ")
}

/// The interface that is called: `JSONRPC 1.0 at http://…`
pub fn calls(agent: &Agent) -> String {
    match (&agent.interface, &agent.card) {
        (Some(interface), _) => {
            let settled = if agent.confirmed_dialect.is_some() { ", as a call has shown" } else { "" };
            format!("{} {} at {}{settled}", interface.binding, interface.dialect, interface.url)
        }
        (None, Some(card)) => format!("none that we speak: it offers {}", card.offers_in_words()),
        (None, None) => "not known yet: its card was never read".into(),
    }
}

/// `3 live · 12 completed · 1 failed`
pub fn counts(agent: &Agent) -> Vec<Span> {
    let counts = agent.counts;
    let mut line = vec![span(format!("{} live", counts.live), Role::Plain)];
    for (count, word, role) in [
        (counts.need_you, "need you", Role::You),
        (counts.completed, "completed", Role::Plain),
        (counts.failed, "failed", Role::Bad),
        (counts.stopped, "canceled or rejected", Role::Plain),
        (counts.doubtful, "in doubt", Role::Warn),
    ] {
        if count > 0 {
            line.push(span(" · ", Role::Quiet));
            line.push(span(format!("{} {word}", format::count(count as usize)), role));
        }
    }
    line
}

/// Uptime by hour, day and week, and minute by minute for the last hour.
pub fn uptime(ctx: &Context, facts: &[JournalEntry]) -> Lines {
    let now = ctx.now;
    let stretches = uptime::health_spans(facts, now);
    let hour = Duration::from_secs(3600);
    let mut shares = Vec::new();
    for (window, word) in [(hour, "1 h"), (hour * 24, "24 h"), (hour * 24 * 7, "7 d")] {
        let share = uptime::uptime(&stretches, now, window);
        let (text, role) = match share.per_mille() {
            None => ("not watched".to_owned(), Role::Doubt),
            Some(1000) => ("100 %".to_owned(), Role::Ok),
            Some(share) => {
                let role = if share >= 990 { Role::Warn } else { Role::Bad };
                (format!("{}.{} %", share / 10, share % 10), role)
            }
        };
        shares.push(span(format!("{word} "), Role::Quiet));
        shares.push(span(format!("{text}   "), role));
    }
    let known = stretches.iter().filter(|stretch| stretch.condition != Condition::Unknown);
    let watched: Duration = known.map(|stretch| stretch.until.since(stretch.from)).sum();
    shares.push(span(format!("of the watched time, {} in all", format::duration(watched)), Role::Quiet));
    let ascii = ctx.theme.is_ascii();
    let cells = uptime::cells(&stretches, now, hour, 60).into_iter().map(|was| match (was, ascii) {
        (Condition::Unknown, _) => span(" ", Role::Doubt),
        (Condition::Up, false) => span("·", Role::Ok),
        (Condition::Up, true) => span(".", Role::Ok),
        (Condition::Degraded, false) => span("▒", Role::Warn),
        (Condition::Degraded, true) => span("~", Role::Warn),
        (Condition::Down, false) => span("█", Role::Bad),
        (Condition::Down, true) => span("X", Role::Bad),
    });
    let mut strip = vec![span("60 min ago ", Role::Quiet)];
    strip.extend(cells);
    strip.push(span(" now", Role::Quiet));
    vec![labelled("uptime", shares), labelled("last hour", strip), Vec::new()]
}

/// The few lines below the fleet's table.
pub fn short(canvas: &Canvas<'_>, ctx: &Context, agent: &Agent, width: usize) -> Lines {
    let mut lines = vec![labelled("state", state_line(canvas, ctx, agent))];
    lines.extend(cause_lines(agent, width));
    if let Some(out) = &agent.service {
        let until = out.until.map(|until| format!(", until {}", ctx.clocks.second(until, ctx.snapshot.at)));
        let words =
            format!("out, {} {}{}", out.in_words(), canvas.since(out.since), until.unwrap_or_default());
        lines.extend(wrapped("service", &words, Role::Warn, width));
    }
    if let Some(words) = shift_words(ctx, agent) {
        lines.extend(wrapped("shift", &words, Role::Plain, width));
    }
    if agent.breaker.position != BreakerState::Closed || agent.breaker.forced.is_some() {
        let by =
            agent.breaker.forced.as_ref().map(|by| format!(", held by {}", by.line())).unwrap_or_default();
        let why = agent.breaker.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let what = match agent.breaker.position {
            BreakerState::Open => "open: nothing is sent",
            BreakerState::HalfOpen => "half-open: one task is tried",
            BreakerState::Closed => "closed: everything is sent",
        };
        let words = format!("{what}{by} {}{why}", canvas.since(agent.breaker.since));
        lines.extend(wrapped("breaker", &words, Role::Warn, width));
    }
    lines.push(labelled("tasks", counts(agent)));
    if let Some(card) = &agent.card {
        if !card.description.is_empty() {
            lines.extend(
                wrapped("says", &card.description.shortened(2000).line(), Role::Plain, width)
                    .into_iter()
                    .take(2),
            );
        }
        let skills: Vec<Untrusted> = card.skills.iter().map(|skill| skill.name.clone()).collect();
        lines.push(labelled("skills", vec![span(joined(&skills), Role::Plain)]));
    }
    lines.extend(wrapped("calls", &calls(agent), Role::Plain, width).into_iter().take(2));
    if agent.sanitised > 0 {
        lines.push(labelled("sanitised", vec![span(sanitised(agent.sanitised), Role::Warn)]));
    }
    lines
}

/// The shift that the agent takes part in, as the legacy agent or as the successor.
fn shift_words(ctx: &Context, agent: &Agent) -> Option<String> {
    let (legacy, shift) = ctx.snapshot.agents.iter().find_map(|(_, legacy)| {
        let shift = legacy.shift.as_deref()?;
        (legacy.id == agent.id || shift.terms.to == agent.id).then_some((legacy, shift))
    })?;
    let to = ctx.snapshot.agents.iter().find(|(_, agent)| agent.id == shift.terms.to);
    let to = to.map_or_else(|| "an agent that has left".to_owned(), |(_, to)| to.name.line().fit(40));
    let next = shift.missing_in_words(ctx.snapshot.at);
    let next = if next.is_empty() { next } else { format!("; {next}") };
    let why = shift.why.as_ref().map(|why| format!("; {}", why.line())).unwrap_or_default();
    let (percent, place, from) = (shift.percent(), shift.place(), legacy.name.line().fit(40));
    Some(format!(
        "{percent} % of what {from} would get goes to {to}, {place}; {to} {}, {from} {}{why}{next}",
        shift.counts.successor.in_words(),
        shift.counts.legacy.in_words()
    ))
}

/// The lines about a group below the fleet's table: its versions, and the health of the agents of each.
pub fn group(canvas: &Canvas<'_>, ctx: &Context, group: &Group, width: usize, height: usize) -> Lines {
    let agents = &ctx.snapshot.agents;
    let mut versions: Vec<_> = group.versions.iter().collect();
    versions.sort_by(|(a, _), (b, _)| version::newest_first(a, b));
    let words = versions.iter().take(6).map(|(version, count)| {
        let version =
            if version.is_empty() { "none".to_owned() } else { version.shortened(40).line().into_string() };
        format!("{version} on {count}")
    });
    let more = if versions.len() > 6 { format!(" · {} more", versions.len() - 6) } else { String::new() };
    let words = format!("{}{more}", words.collect::<Vec<_>>().join(" · "));
    let mut lines =
        wrapped(if versions.len() == 1 { "version" } else { "versions" }, &words, Role::Plain, width);
    // Only as many as fit: a group may have a thousand members.
    for (at, key) in group.members.iter().take(height).enumerate() {
        let Some(agent) = agents.get(*key) else { continue };
        let label = states::agent(agent, ctx.glyphs());
        let version = agent.card.as_ref().map(|card| card.version.line().fit(12)).unwrap_or_default();
        let mut line = vec![
            span(format!("{} ", label.mark), label.role),
            span(format!("{:<18} ", agent.name.line().fit(18)), Role::Plain),
            span(format!("{version:<12} "), Role::Plain),
            span(format!("{:<12} ", label.word), label.role),
            span(format!("{:>5} live  ", agent.counts.live), Role::Plain),
        ];
        if agent.breaker.position != BreakerState::Closed {
            line.push(span(format!("breaker {}", agent.breaker.position.as_str()), Role::Warn));
        } else if let Some(cause) = &agent.cause {
            line.push(span(cause.to_string(), Role::Plain));
        } else {
            let since = canvas.since(states::agent_since(agent));
            line.push(span(format!("since {since}"), Role::Quiet));
        }
        lines.push(labelled(if at == 0 { "agents" } else { "" }, line));
        if let (true, Some(cause)) = (agent.breaker.position != BreakerState::Closed, &agent.breaker.cause) {
            lines.extend(wrapped("", &format!("  {cause}"), Role::Warn, width));
        }
    }
    lines
}

/// `14 control sequences shown, none obeyed`
pub fn sanitised(count: u32) -> String {
    let word = if count == 1 { "control sequence" } else { "control sequences" };
    format!("{} {word} shown, none executed", format::count(count as usize))
}

/// The whole card in readable form, with what Quarterdeck adds to it.
pub fn card(canvas: &Canvas<'_>, ctx: &Context, agent: &Agent, width: usize) -> Lines {
    let mut lines = vec![labelled("state", state_line(canvas, ctx, agent))];
    lines.extend(cause_lines(agent, width));
    lines.push(labelled("tasks", counts(agent)));
    lines.push(Vec::new());
    let url = Untrusted::from(&*agent.spec.url);
    lines.extend(wrapped("url", &url.line(), Role::Plain, width));
    let named = match (agent.sources.is_empty(), agent.listed) {
        (false, _) => agent.sources.join(", "),
        (true, true) => agent.spec.source.as_str().into(),
        (true, false) => "nothing any more".into(),
    };
    lines.extend(wrapped("named by", &named, Role::Plain, width));
    if !agent.spec.labels.is_empty() {
        let label = |(key, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| {
            Untrusted::from(format!("{key}={value}")).line().into_string()
        };
        let labels: Vec<String> = agent.spec.labels.iter().map(label).collect();
        lines.extend(wrapped("labels", &labels.join("  "), Role::Plain, width));
    }
    for (label, value) in
        [("region", region(agent)), ("made with", framework(agent)), ("server", agent.server.clone())]
    {
        if let Some(value) = value {
            lines.extend(wrapped(label, &value.line(), Role::Plain, width));
        }
    }
    lines.extend(wrapped("calls", &calls(agent), Role::Plain, width));
    if agent.violations > 0 || agent.sanitised > 0 {
        let mut words = Vec::new();
        if agent.violations > 0 {
            words.push(span(format!("{} protocol violations", agent.violations), Role::Warn));
        }
        if agent.sanitised > 0 {
            let gap = if words.is_empty() { "" } else { " · " };
            words.push(span(format!("{gap}{}", sanitised(agent.sanitised)), Role::Warn));
        }
        lines.push(labelled("odd", words));
    }
    for (number, what) in agent.deviations.iter().enumerate() {
        let label = if number == 0 { "wrote" } else { "" };
        lines.extend(wrapped(label, &format!("{}, which was understood", what.line()), Role::Quiet, width));
    }
    let Some(card) = &agent.card else {
        lines.push(Vec::new());
        lines.push(vec![span(never_read(ctx), Role::Doubt)]);
        return lines;
    };
    lines.push(Vec::new());
    card_lines(canvas, ctx, agent, card, width, &mut lines);
    lines
}

fn card_lines(
    canvas: &Canvas<'_>,
    ctx: &Context,
    agent: &Agent,
    card: &Card,
    width: usize,
    lines: &mut Lines,
) {
    let name = format!("{}  {}", card.name.line(), card.version.line());
    lines.push(labelled(
        "card",
        vec![
            span(name, Role::Title),
            span(format!("   unchanged since {}", canvas.since(agent.card_since)), Role::Quiet),
        ],
    ));
    let mut text = |label: &str, text: &Untrusted| {
        if !text.is_empty() {
            lines.extend(wrapped(label, &text.line(), Role::Plain, width));
        }
    };
    text("says", &card.description);
    for (label, value) in [("provider", &card.provider), ("more at", &card.documentation)] {
        if let Some(value) = value {
            text(label, value);
        }
    }
    let mut can = vec![if card.streaming { "streams" } else { "does not stream" }];
    for (has, word) in
        [(card.push_notifications, "push notifications"), (card.extended_card, "extended card")]
    {
        if has {
            can.push(word);
        }
    }
    lines.push(labelled("can", vec![span(can.join(", "), Role::Plain)]));
    for (label, modes) in [("takes", &card.input_modes), ("gives", &card.output_modes)] {
        if !modes.is_empty() {
            lines.extend(wrapped(label, &joined(modes), Role::Plain, width));
        }
    }
    for (label, uris) in [("extends", &card.extensions)] {
        if !uris.is_empty() {
            lines.extend(wrapped(label, &joined(uris), Role::Plain, width));
        }
    }
    if !card.peers.is_empty() {
        let urls: Vec<Untrusted> = card.peers.iter().map(|peer| Untrusted::from(&*peer.url)).collect();
        lines.extend(wrapped("names", &joined(&urls), Role::Plain, width));
    }
    lines.push(Vec::new());
    interfaces(ctx, agent, card, lines);
    lines.push(Vec::new());
    security(card, width, lines);
    if !card.faults.is_empty() {
        lines.push(Vec::new());
        lines.push(vec![span("faults of its card", Role::Title)]);
        for fault in &card.faults {
            lines.extend(wrapped("", &fault.line(), Role::Warn, width));
        }
    }
}

fn interfaces(ctx: &Context, agent: &Agent, card: &Card, lines: &mut Lines) {
    lines.push(vec![span("interfaces, in the card's order", Role::Title)]);
    if card.offers.is_empty() {
        lines.push(labelled("", vec![span("none at all", Role::Warn)]));
    }
    let glyphs = ctx.glyphs();
    for offer in &card.offers {
        let ours = agent.interface.as_ref().is_some_and(|interface| is_called(offer, interface));
        let version = offer
            .version
            .as_ref()
            .map_or_else(|| "no version".into(), |version| version.line().into_string());
        let mut line = vec![
            span(if ours { format!("        {} ", glyphs.working) } else { " ".repeat(10) }, Role::Ok),
            span(format!("{} {version}", offer.binding.line()), if ours { Role::Plain } else { Role::Doubt }),
            span(format!("  {}", offer.url.line()), if ours { Role::Plain } else { Role::Doubt }),
        ];
        if let Some(tenant) = &offer.tenant {
            line.push(span(format!("  tenant {}", tenant.line()), Role::Plain));
        }
        if ours {
            line.push(span("  called", Role::Ok));
        }
        lines.push(line);
    }
}

fn is_called(offer: &Offer, interface: &crate::domain::agent::card::Interface) -> bool {
    use crate::domain::agent::card::Dialect;
    let version = offer.version.as_ref().and_then(|version| Dialect::from_version(&version.line()));
    offer.binding == interface.binding && version == Some(interface.dialect)
}

fn security(card: &Card, width: usize, lines: &mut Lines) {
    lines.push(vec![span("security", Role::Title)]);
    if card.security.is_empty() {
        lines.push(labelled("", vec![span("declares none", Role::Plain)]));
    }
    for scheme in &card.security {
        let required = card.required_security.contains(&scheme.name);
        let word = if required { "  required" } else { "" };
        let text = format!("{}  {}{word}", scheme.name.line(), scheme.kind.line());
        lines.extend(wrapped("", &text, Role::Plain, width));
    }
    if card.signatures > 0 {
        let text = format!("{} signatures, not verified", card.signatures);
        lines.push(labelled("signed", vec![span(text, Role::Doubt)]));
    }
}

/// The agent's skills in full.
pub fn skills(ctx: &Context, agent: &Agent, width: usize) -> Lines {
    let Some(card) = &agent.card else {
        return vec![vec![span(never_read(ctx), Role::Doubt)]];
    };
    let mut lines = Vec::new();
    for skill in &card.skills {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![
            span(skill.name.line().into_string(), Role::Title),
            span(format!("  {}", skill.id.line()), Role::Quiet),
        ]);
        lines.extend(wrapped("says", &skill.description.line(), Role::Plain, width));
        for (label, words) in
            [("tags", &skill.tags), ("takes", &skill.input_modes), ("gives", &skill.output_modes)]
        {
            if !words.is_empty() {
                lines.extend(wrapped(label, &joined(words), Role::Plain, width));
            }
        }
        for example in &skill.examples {
            lines.extend(wrapped("example", &example.line(), Role::Plain, width));
        }
    }
    if lines.is_empty() {
        let hint = ctx.hint(Action::New, "sends one.");
        let words = format!("Its card names no skill. It may still take any message. {hint}");
        lines.push(vec![span(words.trim_end(), Role::Doubt)]);
    }
    lines
}

/// Shown instead of a card that was never read.
pub fn never_read(ctx: &Context) -> String {
    format!("Its card was never read; {} reads it now.", ctx.key(Action::Check))
}
