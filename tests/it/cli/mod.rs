//! The command line: the shapes of results, exit codes, errors with a next step, help.

mod agents;
mod configuration;
mod failures;
mod help;
mod offered;
mod results;

use std::path::Path;
use std::process::Output;

use quarterdeck::demo::{Behaviour, Fleet};
use quarterdeck::domain::limits;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::kill::{binary, configure};
use crate::support::{fleet, old_part, part, polled};
pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) fleet: Fleet,
}

impl Desk {
    pub(crate) fn new(parts: Vec<quarterdeck::demo::AgentPart>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fleet = fleet(parts);
        configure(dir.path(), &fleet);
        Self { dir, fleet }
    }

    fn url(&self, name: &str) -> String {
        self.fleet.list().into_iter().find(|agent| agent.name == name).unwrap().url
    }

    /// A command on its fleet.
    pub(crate) fn command(&self) -> Command {
        let mut command = binary();
        command.arg("--config").arg(self.dir.path().join("config.toml"));
        command.arg("--data-dir").arg(self.dir.path().join("data"));
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().await.unwrap()
    }

    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["-o", "json"]].concat()).await;
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{args:?}: {}", text(&output.stdout)))
    }

    /// The exit code of a command that fails, and its error.
    async fn failure(&self, args: &[&str]) -> (i32, Value) {
        let output = self.run(&[args, &["-o", "json"]].concat()).await;
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{args:?}: {}{}", text(&output.stdout), text(&output.stderr)));
        assert!(value["error"]["message"].is_string(), "{value}");
        (output.status.code().unwrap(), value["error"].clone())
    }

    /// The exit code and the error's code of a command that fails.
    async fn error(&self, args: &[&str]) -> (i32, String) {
        let (exit, error) = self.failure(args).await;
        (exit, error["code"].as_str().unwrap().to_owned())
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The schemas in `docs/` describe everything that is printed, and nothing else.
pub(crate) fn fits(schema: &Value, value: &Value, place: &str) {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{place}: the schema says no type"),
    };
    let kind = match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Number(_) if kinds.contains(&"number") => "number",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.contains(&kind), "{place}: {value} is no {kinds:?}");
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{place}: {value} is none of {allowed:?}");
    }
    if let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(members.contains_key(name.as_str().unwrap()), "{place}: {name} is missing");
        }
        for (name, member) in members {
            let Some(known) = known.get(name) else { panic!("{place}: {name} is in no schema") };
            fits(known, member, &format!("{place}.{name}"));
        }
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(&schema["items"], item, &format!("{place}[{at}]"));
    }
}

pub(crate) fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
