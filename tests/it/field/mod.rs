//! What agents, gateways and registries do in the field, and what is to be made of it.
//!
//! Each module has a table: what one answer or event says (`said`), what a card says (`cards`), what comes of
//! sending "hello" to an agent that behaves in a certain way (`agents`), what commands print (`commands`), what
//! lists of agents name (`lists`). A new case is a new row.

mod agents;
mod cards;
mod commands;
mod lists;
mod said;

use quarterdeck::domain::job::message::{Content, Part};

/// Parts in words: text as it is, the size of a file, where a link leads.
fn tell_parts(parts: &[Part]) -> String {
    let told: Vec<String> = parts.iter().map(tell_part).collect();
    told.join(", ")
}

fn tell_part(part: &Part) -> String {
    let words = |kind: &str, what: String| {
        let beside = [&part.filename, &part.media_type].map(|text| text.as_ref().map(ToString::to_string));
        let words = [Some(kind.to_owned())].into_iter().chain(beside).chain([Some(what)]);
        words.flatten().collect::<Vec<_>>().join(" ")
    };
    match &part.content {
        Content::Text(text) => text.raw().to_owned(),
        Content::Raw(_) => words("file", format!("{} B", part.file_size().unwrap())),
        Content::Url(url) => words("link", url.raw().to_owned()),
        Content::Data(json) => words("data", json.raw().to_owned()),
        Content::Unknown(json) => words("unknown", json.raw().to_owned()),
    }
}
