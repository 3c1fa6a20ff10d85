//! Every act and every row as a command that does the same, and as curl. Secrets are never in it.

use crate::domain::agent::Agent;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::card::Dialect;
use crate::domain::id::AgentId;
use crate::domain::intent::Intent;
use crate::domain::job::Attempt;
use crate::domain::job::message::{Content, Part};
use crate::domain::problem::ProblemAct;
use crate::domain::state::snapshot::Snapshot;
use crate::protocol::{Request, codec};

/// A word as the shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // Control characters would run wild in a paste; `$'…'` spells them out.
    if word.chars().any(crate::domain::text::is_control_or_hidden) {
        let mut out = String::from("$'");
        for c in word.chars() {
            match c {
                '\'' => out.push_str("\\'"),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if crate::domain::text::is_control_or_hidden(c) && (c as u32) < 0x10000 => {
                    out.push_str(&format!("\\u{:04x}", c as u32));
                }
                c if crate::domain::text::is_control_or_hidden(c) => {
                    out.push_str(&format!("\\U{:08x}", c as u32));
                }
                c => out.push(c),
            }
        }
        out.push('\'');
        return out;
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How an agent is named on the command line: by its name, else by its URL.
pub fn reference(agent: &Agent) -> String {
    let name = agent.name.raw();
    if agent.spec.name.is_some() && !name.starts_with('-') { quoted(name) } else { quoted(&agent.spec.url) }
}

fn parts(parts: &[Part]) -> String {
    let mut words = String::new();
    for part in parts {
        match &part.content {
            Content::Text(text) => words.push_str(&format!(" --text={}", quoted(text.raw()))),
            Content::Url(url) => words.push_str(&format!(" --file={}", quoted(url.raw()))),
            Content::Raw(_) => words.push_str(" --file=FILE"),
            Content::Data(_) | Content::Unknown(_) => words.push_str(" --data=-"),
        }
    }
    words
}

/// JSON goes in by a pipe: `printf %s '{…}' | `.
fn piped(parts: &[Part]) -> String {
    let json = parts.iter().find_map(|part| match &part.content {
        Content::Data(json) | Content::Unknown(json) => Some(json),
        Content::Text(_) | Content::Raw(_) | Content::Url(_) => None,
    });
    json.map(|json| format!("printf %s {} | ", quoted(json.raw()))).unwrap_or_default()
}

/// The command that does the same as an intent.
pub fn of_intent(snapshot: &Snapshot, flags: &str, intent: &Intent) -> String {
    let agent_of = |attempt: &Attempt| snapshot.agents.get(attempt.agent).map(reference).unwrap_or_default();
    let find =
        |id| snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id).map(|(_, attempt)| attempt);
    let task_of =
        |attempt: &Attempt| attempt.task.as_ref().map(|task| quoted(&task.id.raw())).unwrap_or_default();
    let metadata = |json: &Option<crate::domain::job::message::Json>| {
        json.as_ref().map(|json| format!(" --metadata={}", quoted(json.raw()))).unwrap_or_default()
    };
    match intent {
        Intent::Send(send) => {
            let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == send.agent);
            let agent = agent.map(|(_, agent)| reference(agent)).unwrap_or_default();
            let context =
                send.context.as_ref().map(|context| format!(" --context-id={}", quoted(&context.raw())));
            format!(
                "{}quarterdeck{flags} send -a {agent}{}{}{}",
                piped(&send.parts),
                context.unwrap_or_default(),
                metadata(&send.metadata),
                parts(&send.parts)
            )
        }
        Intent::Answer { attempt, parts: said, metadata: extra } => match find(*attempt) {
            Some(attempt) => format!(
                "{}quarterdeck{flags} send -a {} --task-id={}{}{}",
                piped(said),
                agent_of(attempt),
                task_of(attempt),
                metadata(extra),
                parts(said)
            ),
            None => String::new(),
        },
        Intent::Cancel { attempt, why } => match find(*attempt) {
            Some(attempt) => {
                format!(
                    "quarterdeck{flags} task cancel -a {} {}{}",
                    agent_of(attempt),
                    task_of(attempt),
                    reason(why.as_ref())
                )
            }
            None => String::new(),
        },
        Intent::CheckTask { attempt } => match find(*attempt) {
            Some(attempt) => {
                format!("quarterdeck{flags} task get -a {} {}", agent_of(attempt), task_of(attempt))
            }
            None => String::new(),
        },
        Intent::Resend { attempt, why } => {
            format!("quarterdeck{flags} task resend {attempt}{}", reason(why.as_ref()))
        }
        Intent::PresumeLost { attempt, why } => {
            format!("quarterdeck{flags} task presume-lost {attempt}{}", reason(why.as_ref()))
        }
        Intent::CheckAgent { .. } | Intent::AddAgents { .. } => format!("quarterdeck{flags} agents"),
        Intent::AddAgent { url, .. } => format!("quarterdeck{flags} agents --add={}", quoted(url)),
        Intent::RemoveAgent { agent, .. } => {
            let agent = snapshot.agents.iter().find(|(_, row)| row.id == *agent);
            let agent = agent.map(|(_, agent)| reference(agent)).unwrap_or_default();
            format!("quarterdeck{flags} agents --remove={agent}")
        }
        Intent::Breaker { agent, to, .. } => {
            let agent = snapshot.agents.iter().find(|(_, row)| row.id == *agent);
            let agent = agent.map(|(_, agent)| reference(agent)).unwrap_or_default();
            let to = match to {
                Some(BreakerState::Open) => "open",
                Some(_) => "close",
                None => "auto",
            };
            format!("quarterdeck{flags} breaker {agent} {to}")
        }
        Intent::OnProblem { number, act, .. } => match act {
            ProblemAct::Take => format!("quarterdeck{flags} problems take p-{number}"),
            ProblemAct::GiveBack => format!("quarterdeck{flags} problems give-back p-{number}"),
            ProblemAct::Unmute => format!("quarterdeck{flags} problems unmute p-{number}"),
            ProblemAct::Mute { time, why } => format!(
                "quarterdeck{flags} problems mute p-{number} --for {}s{}",
                time.as_secs(),
                reason(Some(why))
            ),
        },
        Intent::Note { problem, agent, attempt, text, .. } => {
            let named = |id: &AgentId| snapshot.agents.iter().find(|(_, row)| row.id == *id);
            let on = problem
                .map(|number| format!("p-{number}"))
                .or_else(|| attempt.map(|attempt| attempt.to_string()))
                .or_else(|| agent.as_ref().and_then(named).map(|(_, row)| reference(row)));
            let on = on.map(|on| format!(" --on {on}")).unwrap_or_default();
            format!("quarterdeck{flags} note{on} {}", quoted(text.raw()))
        }
        Intent::Adopt { agent, task } => {
            let agent = snapshot.agents.iter().find(|(_, row)| row.id == *agent);
            let agent = agent.map(|(_, agent)| reference(agent)).unwrap_or_default();
            format!("quarterdeck{flags} task subscribe -a {agent} {}", quoted(&task.raw()))
        }
    }
}

fn reason(why: Option<&crate::domain::text::Untrusted>) -> String {
    why.map(|why| format!(" --why={}", quoted(why.raw()))).unwrap_or_default()
}

/// The command for an agent's row.
pub fn of_agent(agent: &Agent, flags: &str) -> String {
    format!("quarterdeck{flags} card get -a {}", reference(agent))
}

/// A task, or an agent's card, by curl. Credentials are named, not written.
pub fn curl(agent: &Agent, attempt: Option<&Attempt>, has_login: bool) -> Option<String> {
    let login = if has_login { " -H \"authorization: Bearer $TOKEN\"" } else { "" };
    let Some(task) = attempt.map(|attempt| attempt.task.as_ref()) else {
        return Some(format!(
            "curl -s{login} {}",
            quoted(&format!("{}/.well-known/agent-card.json", agent.spec.url.trim_end_matches('/')))
        ));
    };
    let (task, interface) = (task?, agent.interface.as_ref()?);
    let codec = codec(interface.dialect);
    let tenant = interface.tenant.as_ref().map(|tenant| tenant.raw());
    let body = codec.encode_request("1", tenant, &Request::Get(&task.id));
    let version = if interface.dialect == Dialect::V1_0 { " -H 'a2a-version: 1.0'" } else { "" };
    Some(format!(
        "curl -s {} -H 'content-type: application/json'{version}{login} -d {}",
        quoted(interface.url.raw()),
        quoted(&body)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        for (word, shown) in [
            ("plain-1.2/x", "plain-1.2/x"),
            ("two words", "'two words'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("a\u{1b}[2J\n", "$'a\\u001b[2J\\n'"),
            ("x\u{202e}y", "$'x\\u202ey'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
