//! An output of a task: its parts in lines, its size, and whether it is complete.

use super::conversation;
use crate::domain::job::detail::Output;
use crate::tui::format;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Span, span};

/// Whether an output is complete. Agents need not mark its last chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its task still runs.
    Growing,
    /// The agent closed it, or completed its task.
    Done,
    /// Its task ended in another state or was lost, so it is unknown whether the output is complete.
    Over,
}

/// `1.2 kB · growing`
pub(super) fn size_words(output: &Output, stage: Stage) -> String {
    let word = match stage {
        Stage::Growing => " · growing",
        Stage::Done => " · done",
        Stage::Over => "",
    };
    format!("{}{word}", format::bytes(output.bytes))
}

/// The parts of an output in lines, and how much of it is shown.
pub(super) fn output_lines(output: &Output, stage: Stage, width: usize) -> Vec<Vec<Span>> {
    let mut lines = Vec::new();
    for part in &output.parts {
        conversation::part_lines(part, width, Role::Plain, &mut lines);
    }
    if (output.kept as u64) < output.bytes {
        let text = format!(
            "shown: {} of {}; quarterdeck task get prints all of it",
            format::bytes(output.kept as u64),
            format::bytes(output.bytes)
        );
        lines.push(vec![span(text, Role::Doubt)]);
    } else if stage == Stage::Growing {
        lines.push(vec![span("following", Role::Quiet)]);
    }
    lines
}
