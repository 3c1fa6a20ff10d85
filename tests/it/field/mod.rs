//! How agents, gateways and registries behave in the field, and what is expected then.
//!
//! Each module has a table: how one answer or event is decoded (`replies`), how a card is decoded (`cards`), the result
//! of sending "hello" to an agent with a certain behaviour (`agents`), what commands print (`commands`), which agents
//! are found in lists (`lists`). A new case is a new row.

mod agents;
mod cards;
mod commands;
mod lists;
mod replies;

use quarterdeck::domain::job::message::{Content, Part};

/// Describes parts: text as it is, the size of a file, the target of a link.
fn describe_parts(parts: &[Part]) -> String {
    parts.iter().map(describe_part).collect::<Vec<_>>().join(", ")
}

fn describe_part(part: &Part) -> String {
    let described = |kind: &str, content: String| {
        let details = [&part.filename, &part.media_type].map(|text| text.as_ref().map(ToString::to_string));
        let words = [Some(kind.to_owned())].into_iter().chain(details).chain([Some(content)]);
        words.flatten().collect::<Vec<_>>().join(" ")
    };
    match &part.content {
        Content::Text(text) => text.raw().to_owned(),
        Content::Raw(_) => described("file", format!("{} B", part.file_size().unwrap())),
        Content::Url(url) => described("link", url.raw().to_owned()),
        Content::Data(json) => described("data", json.raw().to_owned()),
        Content::Unknown(json) => described("unknown", json.raw().to_owned()),
    }
}
