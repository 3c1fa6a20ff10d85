//! Our own registry: agents that register are in the fleet, and leave with their lease; hostile requests are
//! refused; the examples of its page run as they are.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use quarterdeck::demo::Behaviour;
use quarterdeck::domain::cause::Cause;
use quarterdeck::domain::problem::Kind;
use quarterdeck::engine::discovery::Discover;
use quarterdeck::engine::discovery::own::{OwnRegistry, RegisteredAgents};
use quarterdeck::engine::{Engine, Options};
use quarterdeck::net::clock::Clock;
use quarterdeck::serve::registry::{Registry, Time};
use quarterdeck::store::registry::MemoryStore;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::kill::binary;
use crate::support::{LONG, fleet, options, part, rules, until};

/// A `serve` with a registry, its data and its configuration.
pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) serve: Option<Child>,
    pub(crate) address: String,
}

/// An answer of the registry.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }
}

impl Desk {
    pub(crate) async fn new(registry: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[registry]\nlisten = \"127.0.0.1:0\"\n{registry}\n[fleet.default]\nprobe_interval = \"2s\"\n"
        );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let mut desk = Self { dir, serve: None, address: String::new() };
        desk.start().await;
        desk
    }

    fn command(&self) -> Command {
        let mut command = binary();
        command.arg("--config").arg(self.dir.path().join("config.toml"));
        command.arg("--data-dir").arg(self.dir.path().join("data"));
        command.env("REGISTRY_TEST_TOKEN", "s3cret");
        command
    }

    async fn start(&mut self) {
        let mut serve = self.command().arg("serve").spawn().unwrap();
        let mut lines = BufReader::new(serve.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, lines.next_line()).await.unwrap().unwrap().unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert!(Path::new(ready["socket"].as_str().unwrap()).exists());
        ready["registry"].as_str().unwrap().strip_prefix("http://").unwrap().clone_into(&mut self.address);
        self.serve = Some(serve);
    }

    pub(crate) async fn end(&mut self, signal: rustix::process::Signal) {
        let mut serve = self.serve.take().unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(serve.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        tokio::time::timeout(LONG, serve.wait()).await.unwrap().unwrap();
    }

    async fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().await.unwrap()
    }

    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["-o", "json"]].concat()).await;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{args:?}: {stdout}"))
    }

    /// Sends bytes as they are and reads the answer.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let exchange = async {
            let mut socket = TcpStream::connect(&self.address).await.unwrap();
            // Who is refused early may find the way closed.
            let _it_has_heard_enough = socket.write_all(request).await;
            let mut answer = Vec::new();
            let _it_may_close_hard = socket.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        let text = tokio::time::timeout(LONG, exchange).await.expect("the registry answers");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) async fn ask_with(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}",
            self.address
        );
        self.raw(request.as_bytes()).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        self.ask_with(method, path, kind, body).await
    }

    pub(crate) async fn register(&self, body: &Value) -> String {
        let answer = self.ask("POST", "/agents", &body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Asks `agents` until what it prints fits.
    async fn until_agents(&self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let until = tokio::time::Instant::now() + LONG;
        loop {
            let json = self.json(&["agents"]).await;
            let rows = json["agents"].as_array().unwrap().clone();
            if fits(&rows) {
                return rows;
            }
            assert!(tokio::time::Instant::now() < until, "never {what}: {json}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_agent_is_in_the_fleet_and_leaves_with_its_history() {
    let fleet = fleet(vec![part("steady", Behaviour::Steady)]);
    let url = fleet.list()[0].url.clone();
    let mut desk = Desk::new("").await;
    let labels = json!({"team": "night", "sh\u{1b}ift": "la\u{202e}te"});
    let registration =
        json!({"cardUrl": url, "max_concurrent_tasks": 3, "health_check_interval": 1, "labels": labels});
    let id = desk.register(&registration).await;
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
    let rows = desk.until_agents("up", |rows| rows.len() == 1 && rows[0]["state"] == "up").await;
    assert_eq!((rows[0]["name"].as_str(), rows[0]["url"].as_str()), (Some("steady"), Some(&*url)));
    // Health and card come from the fleet; the labels are shown and not obeyed.
    let entry = desk.ask("GET", &format!("/agents/{id}"), "").await;
    assert!(!entry.body.contains('\u{1b}') && !entry.body.contains('\u{202e}'), "{}", entry.body);
    let entry = entry.json();
    assert_eq!((&entry["displayName"], &entry["metadata"]["health"]), (&json!("steady"), &json!("up")));
    assert_eq!(entry["metadata"]["labels"], json!({"team": "night", "sh␛ift": "la\u{fffd}te"}));
    let sent = desk.json(&["send", "-a", &url, "do it"]).await;
    assert_eq!(sent["task"]["status"]["state"], "TASK_STATE_COMPLETED");

    // Its place is kept by a restart, and commands know it meanwhile.
    desk.end(rustix::process::Signal::TERM).await;
    desk.until_agents("known without a registry", |rows| rows.len() == 1 && rows[0]["state"] == "up").await;
    desk.start().await;
    assert_eq!(desk.register(&registration).await, id);
    desk.until_agents("up again", |rows| rows.len() == 1 && rows[0]["state"] == "up").await;

    assert_eq!(desk.ask("DELETE", &format!("/agents/{id}"), "").await.status, 204);
    assert_eq!(desk.ask("DELETE", &format!("/agents/{id}"), "").await.status, 404);
    desk.until_agents("gone", <[Value]>::is_empty).await;
    let tasks = desk.json(&["task", "list"]).await;
    assert_eq!(tasks["tasks"][0]["id"], sent["task"]["id"], "{tasks}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_by_itself_unless_it_is_renewed() {
    let desk = Desk::new("lease = \"2s\"").await;
    let id = desk.register(&json!({"cardUrl": "http://127.0.0.1:1"})).await;
    let lease = async || {
        let entry = desk.ask("GET", &format!("/agents/{id}"), "").await.json();
        let until = entry["metadata"]["lease_until"].as_str().unwrap().to_owned();
        until.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    };
    let first = lease().await;
    // It lives on, long after the first lease.
    while lease().await < first + 3000 {
        let beat = desk.ask("PUT", &format!("/agents/{id}/heartbeat"), "").await;
        assert_eq!((beat.status, beat.body.as_str()), (200, "{\"lease_seconds\":2}"));
    }
    // Nobody asks for it, and it leaves the fleet.
    desk.until_agents("gone", <[Value]>::is_empty).await;
    let beat = desk.ask("PUT", &format!("/agents/{id}/heartbeat"), "").await;
    assert_eq!((beat.status, &beat.json()["error"]["code"]), (404, &json!("QUARTERDECK_ERR_NOT_FOUND")));
    let metrics = desk.ask("GET", "/metrics", "").await.body;
    assert!(metrics.contains("\nquarterdeck_registry_leases_expired_total 1\n"), "{metrics}");
}

/// An engine that keeps nothing, with our own registry as a source.
fn engine(roll: tokio::sync::watch::Receiver<RegisteredAgents>) -> Engine {
    let sources: Vec<Box<dyn Discover>> = vec![Box::new(OwnRegistry::new("127.0.0.1:8080", roll))];
    Engine::start(Options { sources, ..options(Vec::new(), None, rules()) }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_of_a_registration_reaches_the_fleet() {
    let clock = Clock::start();
    let store = Arc::new(MemoryStore::default());
    let registry = Registry::open(store, Duration::from_secs(60), Time::new(move || clock.now())).unwrap();
    let engine = engine(registry.registered());
    let handle = engine.handle();
    let bound = quarterdeck::serve::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let serving = quarterdeck::serve::registry::serve(bound, registry.clone(), &handle, None).unwrap();
    let card = r#"{"name":"B\u001babel","url":"http://127.0.0.1:1/a","skills":[{"id":"t","tags":["x"]}]}"#;
    let body = format!(
        r#"{{"card":{card},"max_concurrent_tasks":3,"health_check_interval":"2h","labels":{{"team":"night"}}}}"#
    );
    let entry = quarterdeck::protocol::registry::registration(&body).unwrap();
    let row = registry.register(entry).await.unwrap();
    let spec = until(&handle, "the agent", |snapshot| {
        let agent = snapshot.agents.iter().map(|(_, agent)| agent).find(|agent| agent.listed)?;
        (&*agent.name.line() == "B␛abel").then(|| agent.spec.clone())
    });
    let spec = spec.await;
    assert_eq!((&*spec.url, spec.capacity), ("http://127.0.0.1:1/a", Some(3)));
    assert_eq!(spec.probe_interval, Some(Duration::from_secs(3600)));
    assert_eq!(spec.labels, [("team".into(), "night".into())]);
    assert!(registry.deregister(row.id).await.unwrap());
    until(&handle, "nobody", |snapshot| snapshot.agents.iter().all(|(_, agent)| !agent.listed).then_some(()))
        .await;
    drop(serving);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_not_served_is_a_problem() {
    let why = Cause::NotServed("127.0.0.1:8080 is in use by another program".into());
    let engine = engine(tokio::sync::watch::channel(Err(why)).1);
    let handle = engine.handle();
    let problem = until(&handle, "the problem", |snapshot| {
        let problem =
            snapshot.open_problems().map(|(_, problem)| problem).find(|p| p.kind == Kind::SourceFailing)?;
        Some(format!("{} → {}", problem.text, problem.next))
    });
    let message = problem.await;
    assert!(message.contains("registry") && message.contains("127.0.0.1:8080 is in use"), "{message}");
    assert!(message.contains("→ free the address, or set registry.listen to another one"), "{message}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_registration() {
    let mut desk = Desk::new("lease = \"10m\"").await;
    let mut ids = Vec::new();
    for port in 1..=20 {
        ids.push(desk.register(&json!({"cardUrl": format!("http://127.0.0.1:{port}")})).await);
    }
    desk.end(rustix::process::Signal::KILL).await;
    desk.start().await;
    let listed = desk.ask("GET", "/agents?page_size=100", "").await.json();
    let kept: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|row| row["metadata"]["id"].clone()).collect();
    assert_eq!((kept, &listed["total"]), (ids.iter().map(|id| json!(id)).collect(), &json!(20)));
    let first = listed["items"][0]["metadata"]["lease_until"].as_str().unwrap();
    let left = first.parse::<jiff::Timestamp>().unwrap().as_second() - jiff::Timestamp::now().as_second();
    assert!((500..=600).contains(&left), "a whole lease begins with a start, not {left} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_listen_addresses_are_restricted() {
    let desk = Desk::new("token = \"env:REGISTRY_TEST_TOKEN\"").await;
    let body = r#"{"cardUrl":"http://127.0.0.1:1"}"#;
    let refused = desk.ask("POST", "/agents", body).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (401, &json!("QUARTERDECK_ERR_TOKEN")));
    assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
    let kind = "content-type: application/json\r\n";
    for (token, status) in [("s3cre", 401), ("s3cret ", 201), ("S3CRET", 401), ("s3cret", 201)] {
        let headers = format!("{kind}authorization: Bearer {token}\r\n");
        assert_eq!(desk.ask_with("POST", "/agents", &headers, body).await.status, status, "{token:?}");
    }
    assert_eq!(desk.ask("GET", "/agents", "").await.json()["total"], 1);
    assert_eq!(desk.ask("POST", "/search", "{}").await.status, 200);
    assert_eq!(desk.ask("DELETE", "/agents/x", "").await.status, 401);
    let shown = desk.run(&["config", "show"]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("registry.token: env:REGISTRY_TEST_TOKEN") && !shown.contains("s3cret"),
        "{shown}"
    );

    // Without a token no page of a browser writes.
    let open = Desk::new("").await;
    for headers in ["origin: https://evil.example\r\n", "x-forwarded-for: 10.0.0.1\r\n"] {
        let refused = open.ask_with("POST", "/agents", &format!("{kind}{headers}"), body).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (403, &json!("QUARTERDECK_ERR_TOKEN"))
        );
    }

    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    let check = async |text: String, args: &[&str]| {
        std::fs::write(&config, text).unwrap();
        let data = dir.path().join("data");
        let mut command = binary();
        command.arg("--config").arg(&config).arg("--data-dir").arg(data).args(args);
        let output = command.output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (exit, stderr) = check("[registry]\nlisten = \"0.0.0.0:0\"\n".into(), &["config", "check"]).await;
    assert!(
        exit == 2 && stderr.contains(":2: registry.listen: others reach this address"),
        "{exit} {stderr}"
    );
    let taken = format!("[registry]\nlisten = \"{}\"\n", open.address);
    let (exit, stderr) = check(taken, &["serve"]).await;
    assert!(exit == 1 && stderr.contains(&format!("{} is in use", open.address)), "{exit} {stderr}");
    assert!(stderr.contains("→ free the address, or set registry.listen to another one"), "{stderr}");
    let (exit, stderr) =
        check("[registry]\nlisten = \"127.0.0.1:0\"\ntoken = \"file:/nowhere/token\"\n".into(), &["serve"])
            .await;
    assert!(
        exit == 4 && stderr.contains("registry.token cannot be read: file:/nowhere/token"),
        "{exit} {stderr}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_and_malformed_requests_are_refused_with_a_reason() {
    let desk = Desk::new("").await;
    let deep = format!("{{\"card\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("{{\"cardUrl\":\"http://h/{}\"}}", "a".repeat(900_000));
    for (method, path, body, status, words) in [
        ("POST", "/agents", "", 400, "not a JSON object"),
        ("POST", "/agents", "\u{0}\u{1b}[2J", 400, "not a JSON object"),
        ("POST", "/agents", &*deep, 400, "JSON nesting depth"),
        ("POST", "/agents", &*large, 400, "cardUrl: is no URL of at most"),
        ("POST", "/agents", r#"{"cardUrl":"file:///etc/passwd"}"#, 400, "cardUrl: needs the scheme"),
        (
            "POST",
            "/agents",
            r#"{"cardUrl":"http://h","labels":{"a\u001b]0;x":[]}}"#,
            400,
            "labels.a␛]0;x: is no text",
        ),
        (
            "POST",
            "/agents",
            r#"{"cardUrl":"http://h","max_concurrent_tasks":-1}"#,
            400,
            "max_concurrent_tasks: ",
        ),
        ("POST", "/search", r#"{"query":[]}"#, 400, "query: is no object"),
        ("GET", "/agents?page_size=x", "", 400, "page_size: "),
        ("GET", "/agents?page_token=x", "", 400, "page_token: "),
        ("GET", "/agents?filter=x", "", 400, "filter: is not supported in a list"),
        ("GET", "/agents/nobody", "", 404, "no agent is registered"),
        ("GET", "/agents/../../etc/passwd", "", 404, "nothing at this path"),
        ("GET", "/", "", 404, "nothing at this path"),
        ("PUT", "/agents", "", 405, "is not allowed here; allowed: GET, HEAD, POST"),
        ("OPTIONS", "/agents", "", 405, "is not allowed here"),
        ("DELETE", "/search", "", 405, "is not allowed here"),
        ("POST", "/explore", "{}", 501, "facets"),
    ] {
        let kind = "content-type: application/json\r\n";
        let answer = desk.ask_with(method, path, kind, body).await;
        let start = &body[..body.len().min(60)];
        assert_eq!(answer.status, status, "{method} {path} {start}: {}", answer.body);
        let error = &answer.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(words), "{method} {path} {start}: {error}");
        assert!(!answer.body.contains('\u{1b}') && error.as_object().unwrap().len() == 4, "{error}");
        assert_eq!(answer.head.contains("\r\nallow: "), status == 405, "{}", answer.head);
    }
    let text = desk.ask_with("POST", "/agents", "content-type: text/plain\r\n", "{}").await;
    assert_eq!((text.status, &text.json()["error"]["code"]), (415, &json!("QUARTERDECK_ERR_MEDIA_TYPE")));
    // Too large: said so in the header, and found out while it comes.
    let head =
        "POST /agents HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let said = desk.raw(format!("{head}content-length: 1048577\r\n\r\n").as_bytes()).await;
    assert_eq!((said.status, &said.json()["error"]["code"]), (413, &json!("QUARTERDECK_ERR_TOO_LARGE")));
    // Who sends everything before it reads hears the answer too.
    let sent = format!("{head}content-length: 4194304\r\n\r\n{}", "a".repeat(4_194_304));
    assert_eq!(desk.raw(sent.as_bytes()).await.status, 413);
    let chunk = format!("{head}transfer-encoding: chunked\r\n\r\n100001\r\n{}", "a".repeat(0x10_0001));
    assert_eq!(desk.raw(chunk.as_bytes()).await.status, 413);
    assert_eq!(desk.raw(b"GET / HTTP/9\r\n\r\n").await.status, 400);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(desk.ask_with("GET", "/health", &many, "").await.status, 431);
    // A name that is hostile is shown, not obeyed; and nothing of all that is registered.
    let card = json!({"name": "\u{1b}[2J\u{202e}evil", "url": "http://127.0.0.1:1", "skills": []});
    desk.register(&json!({"card": card})).await;
    let listed = desk.ask("GET", "/agents", "").await;
    assert!(!listed.body.contains('\u{1b}') && !listed.body.contains('\u{202e}'), "{}", listed.body);
    assert_eq!(listed.json()["total"], 1);
    assert!(
        listed.json()["items"][0]["data"]["name"].as_str().unwrap().ends_with("evil"),
        "it is carried as it came"
    );
    assert_eq!(desk.ask("GET", "/health", "").await.json(), json!({"status": "ok", "agents": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_found_listed_and_counted() {
    let desk = Desk::new("").await;
    for n in 0..25 {
        let skill = json!({"id": format!("skill-{}", n % 5), "name": "s", "description": "d", "tags": [format!("t{n}")]});
        let card = json!({"name": format!("agent {n}"), "url": format!("http://127.0.0.1:1/{n}"), "skills": [skill]});
        desk.register(&json!({"card": card, "labels": {"row": n.to_string()}})).await;
    }
    let search = async |body: Value| desk.ask("POST", "/search", &body.to_string()).await.json();
    let names = |found: &Value| -> Vec<String> {
        let rows = found["results"].as_array().unwrap().iter();
        rows.map(|row| row["displayName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&search(json!({"tag": "t7"})).await), ["agent 7"]);
    assert_eq!(
        search(json!({"skill": "skill-3", "pageSize": 50})).await["results"].as_array().unwrap().len(),
        5
    );
    assert_eq!(
        names(&search(json!({"query": {"filter": {"labels.row": ["3", "4"]}}})).await),
        ["agent 3", "agent 4"]
    );
    assert_eq!(names(&search(json!({"text": "t12"})).await), ["agent 12"]);
    assert_eq!(search(json!({"health": "up"})).await["results"], json!([]));
    let mut seen = Vec::new();
    let mut token = Value::Null;
    loop {
        let found = search(json!({"query": {"text": "agent"}, "pageSize": 10, "pageToken": token})).await;
        assert_eq!(found["referrals"], json!([]));
        seen.extend(names(&found));
        token = found["pageToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen, (0..25).map(|n| format!("agent {n}")).collect::<Vec<_>>());
    let first = search(json!({"tag": "t0"})).await["results"][0].clone();
    assert_eq!((&first["type"], &first["score"]), (&json!("application/a2a-agent-card+json"), &json!(100)));
    assert_eq!(first["source"], format!("http://{}", desk.address));
    let one = desk.ask("GET", &format!("/agents/{}", first["identifier"].as_str().unwrap()), "").await.json();
    assert_eq!((&one["identifier"], &one["data"]["name"]), (&first["identifier"], &json!("agent 0")));
    for path in ["/.well-known/ard.json", "/.well-known/ai-catalog.json"] {
        let manifest = desk.ask("GET", path, "").await.json();
        let entries = manifest["entries"].as_array().unwrap();
        assert_eq!((entries.len(), &entries[0]["type"]), (26, &json!("application/ai-registry+json")));
        assert_eq!(entries[0]["url"], format!("http://{}", desk.address));
    }
    let head = desk.ask("HEAD", "/agents", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let metrics = desk.ask("GET", "/metrics", "").await;
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    let values = parse_metrics(&metrics.body);
    let of = |name: &str| values.iter().find(|(sample, _)| sample == name).map(|(_, value)| *value);
    assert_eq!(of("quarterdeck_registry_registrations_total{kind=\"new\"}"), Some(25));
    assert_eq!(
        of("quarterdeck_registry_requests_total{route=\"/agents\",method=\"POST\",status=\"201\"}"),
        Some(25)
    );
    let agents = values.iter().filter(|(sample, _)| sample.starts_with("quarterdeck_registry_agents{state="));
    assert_eq!(agents.map(|(_, value)| value).sum::<u64>(), 25);
}

/// Reads the text format strictly: each sample has a type before it, a name, quoted labels and a number.
fn parse_metrics(text: &str) -> Vec<(String, u64)> {
    let mut kind = String::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(metric) = line.strip_prefix("# TYPE ") {
            let (name, word) = metric.split_once(' ').unwrap();
            assert!(matches!(word, "counter" | "gauge"), "{line}");
            name.clone_into(&mut kind);
        } else if !line.starts_with("# HELP ") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            assert_eq!(name, kind, "{line}");
            let labels = labels.strip_suffix('}').unwrap();
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (name, value) = label.split_once('=').unwrap();
                assert!(name.bytes().all(|b| b.is_ascii_lowercase()), "{line}");
                assert!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
            }
            samples.push((sample.to_owned(), value.parse().unwrap()));
        }
    }
    samples
}

/// The fenced examples of a page in one language.
fn examples(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/registry.md");
    let page = std::fs::read_to_string(path).unwrap();
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_run_as_they_are() {
    let desk = Desk::new("token = \"env:REGISTRY_TEST_TOKEN\"").await;
    for (language, needs, interpreter, args) in [
        ("sh", "curl", "sh", &["-c"][..]),
        ("python", "python3", "python3", &["-c"][..]),
        ("javascript", "node", "node", &["-e"][..]),
    ] {
        let found = examples(language);
        assert_eq!(found.len(), 1, "{language}");
        let there =
            Command::new(needs).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        if !there.is_ok_and(|status| status.success()) {
            println!("skipped: the {language} example of docs/registry.md, as {needs} is missing");
            continue;
        }
        let mut command = Command::new(interpreter);
        command.args(args).arg(&found[0]).stdin(Stdio::null()).kill_on_drop(true);
        command.env("QUARTERDECK_REGISTRY", format!("http://{}", desk.address));
        command.env("QUARTERDECK_REGISTRY_TOKEN", "s3cret");
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{language}: {stdout}{wrong}");
        assert!(stdout.contains("127.0.0.1:910"), "{language} finds the agent: {stdout}{wrong}");
        assert_eq!(desk.ask("GET", "/health", "").await.json()["agents"], 0, "{language} lets it leave");
    }
    let metrics = parse_metrics(&desk.ask("GET", "/metrics", "").await.body);
    let beats =
        "quarterdeck_registry_requests_total{route=\"/agents/{id}/heartbeat\",method=\"PUT\",status=\"200\"}";
    assert!(metrics.iter().any(|(name, count)| name == beats && *count > 0), "{metrics:?}");
}
