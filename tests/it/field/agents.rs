//! The results of sending a message to agents as they behave in the field.

use std::collections::HashMap;
use std::sync::Mutex;

use quarterdeck::domain::agent::{AgentSpec, Health, Source};
use quarterdeck::domain::id::{AgentId, AttemptId, JobId};
use quarterdeck::domain::job::message::Role;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::Handle;
use quarterdeck::engine::credentials::CredentialBook;
use serde_json::{Value, json};

use super::describe_parts;
use crate::credentials::{Answer, Stand, ok};
use crate::support::{LONG, agent_of, attempt_of, engine_on, known, rules, send};

/// A request to an agent.
pub(super) struct Asked<'a> {
    /// Where the agent is, without a slash at its end.
    pub url: &'a str,
    pub path: &'a str,
    /// The JSON-RPC method; empty for a GET.
    pub method: &'a str,
    /// The JSON-RPC id.
    id: &'a Value,
    pub params: &'a Value,
    /// Number of earlier requests by method.
    earlier: &'a HashMap<String, usize>,
}

impl Asked<'_> {
    /// Number of earlier requests with this method.
    pub(super) fn earlier(&self, method: &str) -> usize {
        self.earlier.get(method).copied().unwrap_or_default()
    }

    pub(super) fn answer(&self, result: Value) -> Answer {
        ok(self.envelope(result))
    }

    fn envelope(&self, result: Value) -> String {
        json!({"jsonrpc": "2.0", "id": self.id, "result": result}).to_string()
    }

    fn event(&self, result: Value) -> String {
        format!("data: {}\n\n", self.envelope(result))
    }

    pub(super) fn error(&self, code: i32) -> Answer {
        ok(json!({"jsonrpc": "2.0", "id": self.id, "error": {"code": code, "message": "no"}}).to_string())
    }
}

/// An agent, and the expected result of sending "hello" to it: the state, the texts after a colon, and `!` for each
/// violation that is recorded. If the agent takes no work, its health and the reason are expected instead.
struct AgentRow {
    name: &'static str,
    answers: fn(&Asked<'_>) -> Answer,
    expected: &'static str,
}

pub(super) fn page(status: u16, text: &str) -> Answer {
    (status, vec![("content-type", "text/html".into())], text.to_owned())
}

fn stream(body: String) -> Answer {
    stream_as("text/event-stream", body)
}

fn stream_as(kind: &str, body: String) -> Answer {
    (200, vec![("content-type", kind.into())], body)
}

/// A card of 1.0 that streams and whose interface is at this URL.
pub(super) fn card_1_0(url: &str) -> Answer {
    ok(crate::discovery::card("field", url).to_string())
}

fn card_without_version(url: &str) -> Answer {
    let mut card = crate::discovery::card("field", url);
    card["supportedInterfaces"][0].as_object_mut().unwrap().remove("protocolVersion");
    ok(card.to_string())
}

pub(super) fn card_0_3(url: &str, version: &str, streaming: bool) -> Answer {
    ok(json!({
        "name": "field", "description": "d", "version": "1", "url": url, "protocolVersion": version,
        "capabilities": {"streaming": streaming}, "defaultInputModes": [], "defaultOutputModes": [], "skills": []
    })
    .to_string())
}

pub(super) const CARD: &str = "/.well-known/agent-card.json";
const OLD_CARD: &str = "/.well-known/agent.json";

pub(super) fn task_1_0(state: &str) -> Value {
    json!({
        "id": "t", "contextId": "c", "status": {"state": state},
        "artifacts": [{"artifactId": "o", "parts": [{"text": "words"}]}]
    })
}

fn task_0_3(state: &str) -> Value {
    json!({
        "kind": "task", "id": "t", "contextId": "c", "status": {"state": state},
        "artifacts": [{"artifactId": "o", "parts": [{"kind": "text", "text": "words"}]}]
    })
}

/// An agent of 1.0 that sends this body as its stream, and whose task has completed.
fn streams_1_0(asked: &Asked<'_>, kind: &str, body: impl FnOnce() -> String) -> Answer {
    match (asked.method, asked.path) {
        ("", CARD) => card_1_0(asked.url),
        ("SendStreamingMessage", _) => stream_as(kind, body()),
        ("GetTask", _) => asked.answer(task_1_0("TASK_STATE_COMPLETED")),
        ("", _) => page(404, "<h1>no</h1>"),
        _ => asked.error(-32601),
    }
}

fn rpc_0_3(asked: &Asked<'_>) -> Answer {
    match asked.method {
        "message/send" => asked.answer(task_0_3("completed")),
        "tasks/get" => asked.answer(task_0_3("completed")),
        _ => asked.error(-32601),
    }
}

fn message_1_0() -> Value {
    json!({"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "words"}]}})
}

const AGENTS: &[AgentRow] = &[
    AgentRow {
        name: "an agent that does everything right",
        answers: |asked| {
            streams_1_0(asked, "text/event-stream", || {
                asked.event(json!({"task": task_1_0("TASK_STATE_COMPLETED")}))
            })
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "the card's URL is relative",
        answers: |asked| match (asked.method, asked.path) {
            ("", CARD) => card_1_0("/a2a/rpc"),
            ("SendStreamingMessage", "/a2a/rpc") => stream(asked.event(message_1_0())),
            (_, "/a2a/rpc") => asked.error(-32001),
            _ => page(404, "Not Found"),
        },
        expected: "answered: words",
    },
    AgentRow {
        name: "403 without a challenge before the card",
        answers: |asked| match (asked.method, asked.path) {
            ("", OLD_CARD) => card_0_3(asked.url, "0.3.0", false),
            ("", _) => (403, Vec::new(), json!({"message": "Missing Authentication Token"}).to_string()),
            _ => rpc_0_3(asked),
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "a server error before the card",
        answers: |asked| match (asked.method, asked.path) {
            ("", CARD) => page(502, "<h1>Bad Gateway</h1>"),
            ("", OLD_CARD) => card_0_3(asked.url, "0.3.0", false),
            _ => rpc_0_3(asked),
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "403 everywhere",
        answers: |asked| match asked.path {
            CARD => (403, Vec::new(), "no".into()),
            _ => page(404, "Not Found"),
        },
        expected: "LoginNeeded, it requires a login (403)",
    },
    AgentRow {
        name: "401 ends the search",
        answers: |asked| match asked.path {
            CARD => (401, Vec::new(), "no".into()),
            _ => card_0_3(asked.url, "0.3.0", false),
        },
        expected: "LoginNeeded, it requires a login (401)",
    },
    AgentRow {
        name: "403 with a challenge ends the search",
        answers: |asked| match asked.path {
            CARD => (403, vec![("www-authenticate", "Bearer".into())], "no".into()),
            _ => card_0_3(asked.url, "0.3.0", false),
        },
        expected: "LoginNeeded, it requires a login (403, Bearer)",
    },
    AgentRow {
        name: "a version that is not spoken",
        answers: |asked| match (asked.method, asked.path) {
            ("", OLD_CARD) => card_0_3(asked.url, "0.2.6", false),
            _ => page(404, "Not Found"),
        },
        expected: "NotSpoken, reachable, not spoken: it offers JSONRPC 0.2.6",
    },
    AgentRow {
        name: "0.3's words in 1.0",
        answers: |asked| {
            match asked.method {
            "SendStreamingMessage" => stream(
                asked.event(json!({"task": {"id": "t", "contextId": "c", "status": {"state": "working"}}}))
                    + &asked.event(json!({"artifactUpdate": {"taskId": "t", "contextId": "c", "artifact":
                        {"artifactId": "o", "parts": [{"text": "words"}]}}}))
                    + &asked.event(json!({"statusUpdate": {"taskId": "t", "contextId": "c", "status": {"state": "completed"}}})),
            ),
            "GetTask" => asked.answer(task_1_0("completed")),
            _ => streams_1_0(asked, "", String::new),
        }
        },
        expected: "completed: words~~",
    },
    AgentRow {
        name: "bare events in 1.0",
        answers: |asked| {
            streams_1_0(asked, "text/event-stream", || {
                let mut task = task_1_0("TASK_STATE_WORKING");
                task["kind"] = "task".into();
                asked.event(task)
                    + &asked.event(
                        json!({"kind": "status-update", "taskId": "t", "contextId": "c", "final": true,
                        "status": {"state": "TASK_STATE_COMPLETED"}}),
                    )
            })
        },
        expected: "completed: words~~",
    },
    AgentRow {
        name: "the last event has no empty line",
        answers: |asked| {
            streams_1_0(asked, "text/event-stream", || format!("data: {}\n", asked.envelope(message_1_0())))
        },
        expected: "answered: words",
    },
    AgentRow {
        name: "JSON documents in lines",
        answers: |asked| {
            streams_1_0(asked, "application/x-ndjson", || {
                let task =
                    json!({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}});
                let done = json!({"task": task_1_0("TASK_STATE_COMPLETED")});
                format!("{}\n{}", asked.envelope(task), asked.envelope(done))
            })
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "JSON documents in lines with the content type of a single document",
        answers: |asked| {
            streams_1_0(asked, "application/json", || {
                let task =
                    json!({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}});
                let done = json!({"task": task_1_0("TASK_STATE_COMPLETED")});
                format!("{}\n{}\n", asked.envelope(task), asked.envelope(done))
            })
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "one document in place of a stream",
        answers: |asked| streams_1_0(asked, "application/json", || asked.envelope(message_1_0())),
        expected: "answered: words",
    },
    AgentRow {
        name: "keep-alives of every kind",
        answers: |asked| {
            streams_1_0(asked, "text/event-stream", || {
                let pings = "event: ping\ndata: 2026-11-28T00:00:00Z\n\ndata:\n\n: comment\n\nevent: heartbeat\n\
                    data: {\"at\":1}\n\ndata: ping\n\ndata: {\"type\":\"ping\"}\n\ndata: {}\n\n";
                let done = asked.event(json!({"task": task_1_0("TASK_STATE_COMPLETED")}));
                format!("{pings}id: 7\n{done}{pings}data: [DONE]\n\n")
            })
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "streaming is refused, the plain call is not",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            "SendMessage" => asked.answer(json!({"task": task_1_0("TASK_STATE_COMPLETED")})),
            "GetTask" => asked.answer(task_1_0("TASK_STATE_COMPLETED")),
            _ => asked.error(-32004),
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "the streaming method is unknown",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            "SendMessage" => asked.answer(message_1_0()),
            _ => asked.error(-32601),
        },
        expected: "answered: words",
    },
    AgentRow {
        name: "streaming is refused by HTTP alone",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            "SendStreamingMessage" => (405, Vec::new(), "no".into()),
            "SendMessage" => asked.answer(message_1_0()),
            _ => asked.error(-32001),
        },
        expected: "answered: words",
    },
    AgentRow {
        name: "neither streaming nor the plain call is known in the dialect of the card",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            "message/send" | "tasks/get" => asked.answer(task_0_3("completed")),
            _ => asked.error(-32601),
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "the stream ends properly while the task works, as with a proxy's time limit",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            "SendStreamingMessage" | "SubscribeToTask" => stream(asked.event(
                json!({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}}),
            )),
            "GetTask" if asked.earlier("GetTask") > 4 => asked.answer(task_1_0("TASK_STATE_COMPLETED")),
            "GetTask" => {
                asked.answer(json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}))
            }
            _ => asked.error(-32601),
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "the answer is in the message of the status alone",
        answers: |asked| {
            let message = json!({"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "words"}]});
            let task = json!({"id": "t", "contextId": "c",
                "status": {"state": "TASK_STATE_COMPLETED", "message": message}});
            match asked.method {
                "" => card_1_0(asked.url),
                "SendStreamingMessage" => asked.answer(json!({"task": task})),
                "GetTask" => asked.answer(task),
                _ => asked.error(-32601),
            }
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "401 with a JSON-RPC error whose code means task not found",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            _ => {
                let error = json!({"code": -32001, "message": "Missing Authentication Token"});
                (401, Vec::new(), json!({"jsonrpc": "2.0", "error": error, "id": "null"}).to_string())
            }
        },
        expected: "LoginNeeded, it requires a login (401)",
    },
    AgentRow {
        name: "an interface without a version that speaks 1.0",
        answers: |asked| match asked.path {
            CARD => card_without_version(asked.url),
            _ => streams_1_0(asked, "text/event-stream", || {
                asked.event(json!({"task": task_1_0("TASK_STATE_COMPLETED")}))
            }),
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "an interface without a version that speaks 0.3",
        answers: |asked| match asked.path {
            CARD => card_without_version(asked.url),
            _ => rpc_0_3(asked),
        },
        expected: "completed: words",
    },
    AgentRow {
        name: "the interface of the card is a web server's page",
        answers: |asked| match (asked.method, asked.path) {
            ("", CARD) => card_1_0(asked.url),
            _ => page(404, "<!DOCTYPE html><h1>Not Found</h1>"),
        },
        expected: "NotSpoken, its interface does not answer in A2A: HTTP 404 with an HTML page at {url}",
    },
    AgentRow {
        name: "an artifact in several pieces with one id",
        answers: |asked| {
            let piece = |text: &str| json!({"artifactId": "o", "parts": [{"text": text}]});
            let mut task = task_1_0("TASK_STATE_COMPLETED");
            task["artifacts"] = json!([piece("Hello"), piece(" world")]);
            match asked.method {
                "" => card_1_0(asked.url),
                "SendStreamingMessage" => stream(asked.event(json!({"task": task}))),
                "GetTask" => asked.answer(task),
                _ => asked.error(-32601),
            }
        },
        expected: "completed: Hello world",
    },
    AgentRow {
        name: "messages of a history without ids",
        answers: |asked| {
            let message = |text: &str| json!({"role": "ROLE_AGENT", "parts": [{"text": text}]});
            let mut task = task_1_0("TASK_STATE_COMPLETED");
            task["history"] = json!([message("one"), message("two"), message("two")]);
            match asked.method {
                "" => card_1_0(asked.url),
                "SendStreamingMessage" => stream(asked.event(json!({"task": task}))),
                "GetTask" => asked.answer(task),
                _ => asked.error(-32601),
            }
        },
        expected: "completed: one | two | two | words",
    },
    AgentRow {
        name: "an event that is not a keep-alive and cannot be read",
        answers: |asked| {
            streams_1_0(asked, "text/event-stream", || {
                format!("data: oh no\n\n{}", asked.event(json!({"task": task_1_0("TASK_STATE_COMPLETED")})))
            })
        },
        expected: "completed: words!",
    },
];

/// The result of a send, in the format of the rows.
async fn result(handle: &Handle, job: JobId, attempt: AttemptId) -> String {
    let snapshot = handle.snapshot();
    let Some(of) = attempt_of(&snapshot, attempt) else { return String::new() };
    let state = match &of.task {
        Some(task) if task.verdict.is_some() => format!("{} {:?}", task.state.word(), task.verdict),
        Some(task) if task.settled => task.state.word(),
        Some(task) => format!("{}, not settled", task.state.word()),
        None => format!("{:?}", of.phase).to_lowercase(),
    };
    let detail = handle.follow(job).await.unwrap().detail();
    let messages = detail.messages.iter().filter(|entry| entry.message.role != Role::User);
    let texts = messages.map(|entry| describe_parts(&entry.message.parts));
    let texts: Vec<_> =
        texts.chain(detail.outputs.iter().map(|output| describe_parts(&output.parts))).collect();
    let (violations, deviations) = agent_of(&snapshot, "field")
        .map_or((0, 0), |agent| (agent.violations as usize, agent.deviations.len()));
    format!("{state}: {}{}{}", texts.join(" | "), "!".repeat(violations), "~".repeat(deviations))
}

/// The health of an agent that takes no work, and the reason.
fn health_without_work(snapshot: &Snapshot, agent: AgentId) -> Option<String> {
    let (_, agent) = snapshot.agents.iter().find(|(_, row)| row.id == agent)?;
    let takes_none = matches!(agent.health, Health::LoginNeeded | Health::NotSpoken | Health::Down);
    takes_none.then(|| {
        format!("{:?}, {}", agent.health, agent.cause.as_ref().map(ToString::to_string).unwrap_or_default())
    })
}

/// An agent that answers like this.
pub(super) async fn stand(answers: fn(&Asked<'_>) -> Answer) -> Stand {
    let counted = Mutex::new(HashMap::new());
    Stand::open(None, move |url, path, _, body| {
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        let method = request["method"].as_str().unwrap_or_default();
        let mut counted = counted.lock().unwrap();
        let answer = answers(&Asked {
            url,
            path,
            method,
            id: &request["id"],
            params: &request["params"],
            earlier: &counted,
        });
        *counted.entry(method.to_owned()).or_default() += 1;
        answer
    })
    .await
}

async fn check(row: &AgentRow) {
    let stand = stand(row.answers).await;
    let spec = AgentSpec { name: Some("field".into()), ..AgentSpec::at(stand.url.as_str(), Source::Config) };
    let expected = row.expected.replace("{url}", &stand.url);
    let engine = engine_on(vec![spec], CredentialBook::default(), None, rules());
    let handle = engine.handle();
    let agent = known(&handle, "field").await;
    let mut last = String::new();
    let reached = tokio::time::timeout(LONG, async {
        let mut snapshots = handle.watch();
        let mut sent = None;
        while last != expected {
            if sent.is_none() {
                let health = snapshots
                    .borrow()
                    .agents
                    .iter()
                    .find(|(_, row)| row.id == agent)
                    .map(|(_, row)| row.health);
                if health == Some(Health::Up) {
                    sent = Some(send(&handle, "field", "hello").await);
                }
            }
            last = match sent {
                Some((job, attempt)) => result(&handle, job, attempt).await,
                None => health_without_work(&snapshots.borrow(), agent).unwrap_or_default(),
            };
            if last != expected {
                snapshots.changed().await.unwrap();
            }
        }
    });
    let reached = reached.await.is_ok();
    let asked: Vec<_> = stand.asked().into_iter().map(|(path, _, body)| format!("{path} {body}")).collect();
    assert!(reached, "{}: {last:?} is not {expected:?}; it was asked {asked:#?}", row.name);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_in_the_field_do_their_work() {
    for row in AGENTS {
        check(row).await;
    }
}
