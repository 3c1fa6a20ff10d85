//! The messages of a job as lines, with their senders and times.

use unicode_width::UnicodeWidthStr;

use crate::domain::job::Job;
use crate::domain::job::message::{Content, Part, Role as Speaker};
use crate::tui::context::Context;
use crate::tui::followed_job::FollowedJob;
use crate::tui::format;
use crate::tui::theme::Role;
use crate::tui::views::raw;
use crate::tui::widgets::canvas::{Span, span, width as cells};
use crate::tui::widgets::text::wrap;

/// A part of any kind, in lines: nothing is left out silently.
pub fn part_lines(part: &Part, width: usize, role: Role, lines: &mut Vec<Vec<Span>>) {
    let named = |what: &str| {
        let name = part.filename.as_ref().map_or_else(|| what.to_owned(), |name| name.line().into_string());
        match &part.media_type {
            Some(kind) => format!("{name}  {}", kind.line()),
            None => name,
        }
    };
    match &part.content {
        Content::Text(text) => {
            lines.extend(wrap(&text.block(), width).into_iter().map(|line| vec![span(line, role)]));
        }
        Content::Data(json) | Content::Unknown(json) => {
            let short = json.0.line();
            if short.width() <= width {
                lines.push(vec![span(short.into_string(), role)]);
            } else {
                lines.extend(raw::pretty(&json.0));
            }
        }
        Content::Raw(_) => {
            let size = format::bytes(part.file_size().unwrap_or_default());
            lines.push(vec![span(format!("{}  {size}", named("file")), Role::Key)]);
        }
        Content::Url(url) => {
            let text = format!("{}  {}", named("link"), url.line());
            lines.extend(wrap(&text, width).into_iter().map(|line| vec![span(line, Role::Key)]));
        }
    }
}

/// From this width on, text is shown beside its sender, at this column.
const BESIDE: usize = 70;
const NAMES: usize = 26;

fn beside_head(head: Vec<Span>, words: Vec<Vec<Span>>, lines: &mut Vec<Vec<Span>>) {
    let used = usize::from(cells(&head));
    let mut head = head;
    if used >= NAMES {
        // A sender's name that is too long gets its own line.
        lines.push(std::mem::take(&mut head));
    }
    for mut words in words {
        let used = usize::from(cells(&head));
        let mut line = std::mem::take(&mut head);
        line.push(span(" ".repeat(NAMES.saturating_sub(used)), Role::Plain));
        line.append(&mut words);
        lines.push(line);
    }
    if !head.is_empty() {
        lines.push(head);
    }
}

/// The conversation.
pub fn messages(ctx: &Context, job: Option<&Job>, followed: &FollowedJob, width: usize) -> Vec<Vec<Span>> {
    let mut lines = Vec::new();
    let caller = job.and_then(|job| job.caller.as_ref()).map(|caller| caller.line().into_string());
    for (place, entry) in followed.detail.messages.iter().enumerate() {
        let attempt = entry.attempt.and_then(|id| {
            let mut attempts = crate::tui::views::timeline::attempts(ctx, job?);
            Some(attempts.find(|(_, attempt)| attempt.id == id)?.1)
        });
        let agent = attempt
            .and_then(|attempt| Some(ctx.snapshot.agents.get(attempt.agent)?.name.line().into_string()));
        // The question of a task that was found was asked when its agent says, not when it was found.
        let is_last = place + 1 == followed.detail.messages.len();
        let asked = attempt.filter(|attempt| is_last && attempt.needs_you() && attempt.message_id.is_none());
        let asked = asked.filter(|_| entry.message.role == Speaker::Agent);
        let at = asked.map_or(entry.at, |attempt| attempt.since().at.min(entry.at));
        let (who, role) = match &entry.message.role {
            Speaker::User => (caller.clone().unwrap_or_else(|| "caller".into()), Role::Key),
            Speaker::Agent => (agent.unwrap_or_else(|| "agent".into()), Role::Title),
            Speaker::Other(word) => (word.line().into_string(), Role::Doubt),
        };
        let head = vec![span(format!("{}  ", ctx.clocks.second(at, ctx.now)), Role::Quiet), span(who, role)];
        let mut words = Vec::new();
        let beside = width >= BESIDE;
        for part in &entry.message.parts {
            part_lines(part, if beside { width - NAMES } else { width }, Role::Plain, &mut words);
        }
        if beside {
            beside_head(head, words, &mut lines);
        } else {
            if !lines.is_empty() {
                lines.push(Vec::new());
            }
            lines.push(head);
            lines.append(&mut words);
        }
    }
    if lines.is_empty() {
        lines.push(vec![span("No message is known: its agent keeps no history.", Role::Doubt)]);
    }
    lines
}
