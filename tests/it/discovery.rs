//! Sources of agents, which are filled and emptied while an engine runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use quarterdeck::config::{self, AgentSource};
use quarterdeck::demo::{Behaviour, Fleet};
use quarterdeck::domain::agent::{Agent, AgentSpec, Health};
use quarterdeck::domain::cause::Cause;
use quarterdeck::domain::fleet::source::{SourceHealth, SourceKind, SourceRow};
use quarterdeck::domain::id::AgentId;
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::{Engine, Handle, Options, discovery};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{fleet, options, part, rules, send, task_of, until};

/// A registry from PyPI in a separate process.
struct RealRegistry {
    process: tokio::process::Child,
    url: String,
}

impl RealRegistry {
    /// Starts it, or prints why it cannot be started.
    async fn start() -> Option<Self> {
        if std::env::var_os("QUARTERDECK_INTEROP").is_none() {
            println!("skipped: QUARTERDECK_INTEROP=1 starts the registry a2a-registry of PyPI");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/registry");
        let mut process = tokio::process::Command::new("bash")
            .arg(script)
            .arg(port.to_string())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let begun = tokio::time::Instant::now();
        // Missing packages are installed first.
        while begun.elapsed() < Duration::from_secs(300) {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "tests/interop/registry ended, {ended:?}; run it by hand to see why");
            let health = ["--retry", "5", "--retry-connrefused", "--retry-delay", "1"];
            if curl(&health, &format!("{url}/health")).await.is_ok() {
                return Some(Self { process, url });
            }
        }
        panic!("tests/interop/registry did not answer in five minutes");
    }
}

async fn curl(args: &[&str], url: &str) -> Result<String, String> {
    let output =
        tokio::process::Command::new("curl").args(["-fsS"]).args(args).arg(url).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The interval at which sources are read in tests.
pub(crate) const EVERY: Duration = Duration::from_millis(150);

/// The requests to a stage: method and path, login, body.
type Asked = Arc<Mutex<Vec<(String, Option<String>, String)>>>;
type Pages = Arc<Mutex<BTreeMap<String, (u16, Vec<(&'static str, String)>, String)>>>;

/// A server whose pages a test changes while it is read. The key of a page is `GET /path`, or `POST /path TOKEN` for
/// the page of a search with that token.
pub(crate) struct Stage {
    pub(crate) url: String,
    pages: Pages,
    asked: Asked,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (pages, asked) = (Pages::default(), Asked::default());
        let stage = Self { url, pages: pages.clone(), asked: asked.clone() };
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let (pages, asked) = (pages.clone(), asked.clone());
                let service = service_fn(move |request| respond(request, pages.clone(), asked.clone()));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(socket), service));
            }
        });
        stage
    }

    pub(crate) fn set(&self, page: &str, text: impl Into<String>) {
        self.answer(page, 200, Vec::new(), text);
    }

    fn answer(&self, page: &str, status: u16, headers: Vec<(&'static str, String)>, text: impl Into<String>) {
        self.pages.lock().unwrap().insert(page.to_owned(), (status, headers, text.into()));
    }

    pub(crate) fn remove(&self, page: &str) {
        self.pages.lock().unwrap().remove(page);
    }

    fn asked(&self) -> Vec<(String, Option<String>, String)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn respond(
    request: Request<Incoming>,
    pages: Pages,
    asked: Asked,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (login, known) = (text("authorization"), text("if-none-match"));
    let mut page = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    asked.lock().unwrap().push((page.clone(), login, body.clone()));
    let question: Value = serde_json::from_str(&body).unwrap_or_default();
    if let Some(token) = question["pageToken"].as_str() {
        page = format!("{page} {token}");
    }
    let found = pages.lock().unwrap().get(&page).cloned();
    let (status, headers, text) = found.unwrap_or((404, Vec::new(), "no such page".into()));
    let etag = format!("\"{:x}\"", quarterdeck::domain::job::message::text_hash(&text));
    let mut response = Response::builder().status(status).header("etag", &etag);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let same = status == 200 && known.as_deref() == Some(&etag);
    let response = if same { response.status(304) } else { response };
    Ok(response.body(Full::new(Bytes::from(if same { String::new() } else { text }))).unwrap())
}

/// A source that is read at short intervals.
pub(crate) fn source(kind: SourceKind, at: impl Into<String>) -> AgentSource {
    AgentSource { every: EVERY, ..AgentSource::new(kind, at) }
}

pub(crate) fn engine(specs: Vec<AgentSpec>, sources: Vec<AgentSource>, dir: Option<&Path>) -> Engine {
    let fleet = config::Fleet { sources, ..config::Fleet::default() };
    let sources = discovery::of_fleet(&fleet);
    Engine::start(Options { sources, ..options(specs, dir, rules()) }).unwrap()
}

/// Two agents that sources can list.
pub(crate) fn two() -> (Fleet, [String; 2]) {
    let fleet = fleet(vec![part("one", Behaviour::Steady), part("two", Behaviour::Steady)]);
    let urls: Vec<String> = fleet.specs().iter().map(|spec| spec.url.to_string()).collect();
    (fleet, urls.try_into().unwrap())
}

pub(crate) fn card(name: &str, url: &str) -> Value {
    json!({
        "name": name, "description": name, "version": "1",
        "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {"streaming": true}, "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"], "skills": []
    })
}

pub(crate) fn listed<'s>(snapshot: &'s Snapshot, url: &str) -> Option<&'s Agent> {
    let same = |agent: &&Agent| {
        quarterdeck::domain::agent::normalise_url(&agent.spec.url)
            == quarterdeck::domain::agent::normalise_url(url)
    };
    snapshot.agents.iter().map(|(_, agent)| agent).filter(|agent| agent.listed).find(same)
}

pub(crate) fn the_source(snapshot: &Snapshot) -> Option<&SourceRow> {
    snapshot.sources.iter().map(|(_, row)| row).next()
}

/// Waits until exactly these agents are listed and up, and the source has this health.
pub(crate) async fn fleet_is(
    handle: &Handle,
    what: &str,
    urls: &[&str],
    health: SourceHealth,
) -> Vec<AgentId> {
    let wanted: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    until(handle, what, move |snapshot| {
        let there = snapshot.agents.iter().filter(|(_, agent)| agent.listed).count();
        let ids: Option<Vec<AgentId>> = wanted
            .iter()
            .map(|url| listed(snapshot, url).filter(|agent| agent.health == Health::Up).map(|agent| agent.id))
            .collect();
        let problem = snapshot.open_problems().any(|(_, problem)| problem.kind == Kind::SourceFailing);
        let row = the_source(snapshot)?;
        let fits = there == wanted.len()
            && row.health == health
            && problem == (health == SourceHealth::Failing)
            && (health == SourceHealth::Failing || row.agents as usize == wanted.len());
        ids.filter(|_| fits)
    })
    .await
}

/// Fills, changes, breaks, repairs and empties a source; `None` breaks it.
pub(crate) async fn lives(source: AgentSource, mut list: impl FnMut(Option<&[&str]>)) {
    let (_fleet, urls) = two();
    let [a, b] = [urls[0].as_str(), urls[1].as_str()];
    let (name, kind) = (source.name.clone(), source.kind);
    list(Some(&[a]));
    let engine = engine(Vec::new(), vec![source], None);
    let handle = engine.handle();
    let say = |step: &str| format!("{kind:?} {step}");
    let first = fleet_is(&handle, &say("names one"), &[a], SourceHealth::Working).await;
    let named =
        listed(&handle.snapshot(), a).unwrap().sources.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    assert_eq!(named, [name]);
    list(Some(&[a, b]));
    fleet_is(&handle, &say("names two"), &[a, b], SourceHealth::Working).await;
    list(Some(&[b]));
    fleet_is(&handle, &say("names the other"), &[b], SourceHealth::Working).await;
    list(None);
    fleet_is(&handle, &say("fails"), &[b], SourceHealth::Failing).await;
    list(Some(&[a, b]));
    let again = fleet_is(&handle, &say("is mended"), &[a, b], SourceHealth::Working).await;
    assert_eq!(again[0], first[0], "{kind:?}: who comes back is who it was");
    list(Some(&[]));
    fleet_is(&handle, &say("is empty"), &[], SourceHealth::Working).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_file_names_agents() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agents.json");
    lives(source(SourceKind::Path, file.display().to_string()), |urls| match urls {
        Some(urls) => std::fs::write(&file, json!({ "agents": urls }).to_string()).unwrap(),
        None => std::fs::write(&file, "{\"agents\": [").unwrap(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_folder_of_cards_names_agents() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cards");
    lives(source(SourceKind::Path, folder.display().to_string()), |urls| {
        let _it_may_not_be_there = std::fs::remove_dir_all(&folder);
        let Some(urls) = urls else { return };
        // It is replaced atomically, as in a deployment.
        let new = dir.path().join("new");
        std::fs::create_dir(&new).unwrap();
        for (at, url) in urls.iter().enumerate() {
            std::fs::write(new.join(format!("{at}.json")), card(&format!("n{at}"), url).to_string()).unwrap();
        }
        std::fs::write(new.join("README.md"), "no card").unwrap();
        std::fs::rename(&new, &folder).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_names_agents() {
    let stage = Stage::open().await;
    lives(source(SourceKind::Url, format!("{}/agents.json", stage.url)), |urls| match urls {
        Some(urls) => stage.set("GET /agents.json", json!(urls).to_string()),
        None => stage.answer("GET /agents.json", 503, Vec::new(), "down for the night"),
    })
    .await;
}

/// A broken file in a folder is reported; the other files and the agents that it had before stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_removes_no_agent() {
    let (_fleet, [a, b]) = two();
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put("a.json", &card("one", &a).to_string());
    put("b.json", &card("two", &b).to_string());
    let engine = engine(Vec::new(), vec![source(SourceKind::Path, dir.path().display().to_string())], None);
    let handle = engine.handle();
    fleet_is(&handle, "two cards", &[&a, &b], SourceHealth::Working).await;
    put("a.json", "{");
    fleet_is(&handle, "a broken card", &[&a, &b], SourceHealth::Failing).await;
    let cause = the_source(&handle.snapshot()).unwrap().cause.clone().unwrap();
    assert!(cause.to_string().contains("a.json"), "{cause}");
    std::fs::remove_file(dir.path().join("a.json")).unwrap();
    fleet_is(&handle, "no broken card", &[&b], SourceHealth::Working).await;
    engine.stop().await;
}

/// A card from a source is shown before its agent has ever answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reported_card_counts_until_the_agent_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("card.json");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    std::fs::write(&file, card("asleep", &url).to_string()).unwrap();
    let mut source = source(SourceKind::Path, file.display().to_string());
    source.labels.insert("region".into(), "eu".into());
    let engine = engine(Vec::new(), vec![source], None);
    let agent = until(&engine.handle(), "the card", |snapshot| {
        listed(snapshot, &url).filter(|agent| agent.health == Health::Down).cloned()
    })
    .await;
    assert_eq!(agent.name.raw(), "asleep");
    assert!(agent.card.is_some());
    let labels: Vec<_> = agent.spec.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["region=eu"]);
    engine.stop().await;
}

/// An agent that the configuration and two sources list is one agent, as long as any of them lists it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_several_names_is_one_and_keeps_its_history() {
    let (fleet, [a, b]) = two();
    let stage = Stage::open().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("one.json");
    let data = tempfile::tempdir().unwrap();
    stage.set("GET /l", json!([format!("{a}/.well-known/agent-card.json"), b]).to_string());
    std::fs::write(&file, card("one", &a).to_string()).unwrap();
    let sources = || {
        let named = |name: &str, source: AgentSource| AgentSource { name: name.into(), ..source };
        vec![
            named("list", source(SourceKind::Url, format!("{}/l", stage.url))),
            named("file", source(SourceKind::Path, file.display().to_string())),
        ]
    };
    let configured: Vec<AgentSpec> = fleet.specs().into_iter().take(1).collect();
    let named = |handle: &Handle, url: &str, expected: &[&str]| {
        let (url, expected) = (url.to_owned(), expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let what = format!("{url} named by {expected:?}");
        let handle = handle.clone();
        async move {
            until(&handle, &what, move |snapshot| {
                let agent = listed(snapshot, &url)?;
                let mut by: Vec<String> = agent.sources.iter().map(ToString::to_string).collect();
                by.sort();
                (by == expected).then_some(agent.id)
            })
            .await
        }
    };
    let engine_one = engine(configured, sources(), Some(data.path()));
    let handle = engine_one.handle();
    let id = named(&handle, &a, &["demo", "file", "list"]).await;
    named(&handle, &b, &["list"]).await;
    let count = handle.snapshot().agents.iter().filter(|(_, agent)| agent.listed).count();
    assert_eq!(count, 2);
    let (_, attempt) = send(&handle, "two", "hello").await;
    until(&handle, "a task that ended", |snapshot| {
        task_of(snapshot, attempt).filter(|task| task.state.is_terminal()).map(|_| ())
    })
    .await;
    std::fs::write(&file, "[]").unwrap();
    named(&handle, &a, &["demo", "list"]).await;
    stage.set("GET /l", "[]");
    named(&handle, &a, &["demo"]).await;
    until(&handle, "two has left", |snapshot| listed(snapshot, &b).is_none().then_some(())).await;
    assert!(task_of(&handle.snapshot(), attempt).is_some(), "its history stays");
    engine_one.stop().await;

    // After a restart without the configured agent, only the sources list it, and it is still the same agent.
    stage.set("GET /l", json!([a, b]).to_string());
    let engine_two = engine(Vec::new(), sources(), Some(data.path()));
    let handle = engine_two.handle();
    assert_eq!(named(&handle, &a, &["list"]).await, id);
    named(&handle, &b, &["list"]).await;
    assert!(task_of(&handle.snapshot(), attempt).is_some(), "its history is there again");
    engine_two.stop().await;
}

/// A hostile list fails with its cause and removes no agents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_lists_are_refused() {
    let (_fleet, [a, _]) = two();
    let stage = Stage::open().await;
    let good = json!([a]).to_string();
    stage.set("GET /l", good.clone());
    let engine = engine(Vec::new(), vec![source(SourceKind::Url, format!("{}/l", stage.url))], None);
    let handle = engine.handle();
    fleet_is(&handle, "a good list", &[&a], SourceHealth::Working).await;
    let huge = format!("[{}]", " ".repeat(65 << 20));
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let away = |to: &str| (302, vec![("location", to.to_owned())], String::new());
    let rows: Vec<(u16, Vec<(&str, String)>, String, &str)> = vec![
        (200, vec![], huge, "a JSON body (64 MiB)"),
        (200, vec![], deep, "JSON nesting depth"),
        (200, vec![], "<html>".into(), "not a JSON object"),
        (200, vec![], String::new(), "not a JSON object"),
        (401, vec![("www-authenticate", "Bearer".into())], String::new(), "requires a login"),
        (200, vec![], format!("[\"{a}\",\"http://x/\\u001b[2J\"]"), "[1]: a URL with characters"),
    ];
    let (status, headers, text) = away("http://169.254.169.254/latest/meta-data");
    let rows = rows.into_iter().chain([(status, headers, text, "must not be contacted: 169.254.169.254")]);
    let (status, headers, text) = away("/l");
    let rows = rows.chain([(status, headers, text, "a redirect in a circle")]);
    for (status, headers, text, why) in rows {
        stage.answer("GET /l", status, headers, text);
        until(&handle, why, |snapshot| {
            let row = the_source(snapshot)?;
            let cause = row.cause.as_ref()?.to_string();
            (row.health == SourceHealth::Failing && cause.contains(why)).then_some(())
        })
        .await;
        assert!(listed(&handle.snapshot(), &a).is_some(), "{why}: it stays");
    }
    // A link-local address is listed but never called.
    stage.set("GET /l", json!([a, "http://169.254.169.254/"]).to_string());
    let cause = until(&handle, "the blocked agent", |snapshot| {
        listed(snapshot, "http://169.254.169.254").and_then(|agent| agent.cause.clone())
    })
    .await;
    assert!(matches!(&*cause, Cause::Blocked(_)), "{cause}");
    stage.set("GET /l", good);
    fleet_is(&handle, "a good list again", &[&a], SourceHealth::Working).await;
    engine.stop().await;
}

/// Credentials are sent only to the origin of the source, and an unchanged list is not sent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_of_a_source_go_only_to_its_origin() {
    let (_fleet, [a, _]) = two();
    let stage = Stage::open().await;
    stage.set("GET /l", json!([a]).to_string());
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("token");
    std::fs::write(&secret, "t0p-s3cret").unwrap();
    let mut source = source(SourceKind::Url, format!("{}/l", stage.url));
    source.credentials.bearer = Some(config::secret::SecretRef::File(secret));
    let engine = engine(Vec::new(), vec![source], None);
    let handle = engine.handle();
    fleet_is(&handle, "the list", &[&a], SourceHealth::Working).await;
    let asked = stage.asked();
    assert!(asked.iter().all(|(_, login, _)| login.as_deref() == Some("Bearer t0p-s3cret")), "{asked:?}");
    let answer = handle.query(quarterdeck::engine::Query::Wire { agent: None, known: 0 }).await;
    let debug = format!("{answer:?}");
    assert!(debug.contains("GET") && !debug.contains("t0p-s3cret"), "{debug}");
    engine.stop().await;
}

fn entry(name: &str, url: &str) -> Value {
    json!({
        "identifier": format!("urn:air:example.com:agent:{name}"), "displayName": name,
        "type": "application/a2a-agent-card+json", "url": url, "tags": ["eu"]
    })
}

fn manifest(urls: &[&str]) -> String {
    let entries: Vec<Value> =
        urls.iter().enumerate().map(|(at, url)| entry(&format!("n{at}"), url)).collect();
    json!({ "entries": entries }).to_string()
}

/// A manifest is found wherever a domain may publish it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_names_agents() {
    let stage = Stage::open().await;
    let page = "<!doctype html><head><link rel=\"ard\" href=\"deep/entries.json\"></head>";
    for (extra, place) in [
        (None, "GET /.well-known/ard.json"),
        (Some(("GET /", page)), "GET /deep/entries.json"),
        (Some(("GET /robots.txt", "User-agent: *\nAgentmap: /map.json\n")), "GET /map.json"),
        (None, "GET /.well-known/ai-catalog.json"),
    ] {
        if let Some((page, text)) = extra {
            stage.set(page, text);
        }
        lives(source(SourceKind::Ard, stage.url.clone()), |urls| match urls {
            Some(urls) => stage.set(place, manifest(urls)),
            None => stage.answer(place, 500, Vec::new(), "out of order"),
        })
        .await;
        stage.remove(place);
        if let Some((page, _)) = extra {
            stage.remove(page);
        }
    }
}

/// A manifest leads to other catalogs and to registries, also on other hosts, to which no secret is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_leads_to_catalogs_and_registries() {
    let (_fleet, [a, b]) = two();
    let (stage, other) = (Stage::open().await, Stage::open().await);
    let leads = |kind: &str, url: String| json!({"identifier": "urn:air:x:y", "type": kind, "url": url});
    let entries = json!({ "entries": [
        leads("application/ai-catalog+json", format!("{}/more.json", other.url)),
        leads("application/ai-registry+json", format!("{}/api/v1/", other.url)),
        leads("application/mcp-server-card+json", "http://127.0.0.1:1/".into()),
        leads("application/ai-catalog+json", format!("{}/.well-known/ard.json", stage.url)),
    ]});
    stage.set("GET /.well-known/ard.json", entries.to_string());
    other.set("GET /more.json", manifest(&[&a]));
    let page = json!({ "results": [entry("one", &a)], "pageToken": "p 2" });
    other.set("POST /api/v1/search", page.to_string());
    let named_only = json!({ "identifier": "urn:air:example.com:agent:two", "score": 7, "source": "x" });
    other.set("POST /api/v1/search p 2", json!({ "results": [named_only] }).to_string());
    other.set("GET /api/v1/agents/urn%3Aair%3Aexample.com%3Aagent%3Atwo", entry("two", &b).to_string());
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("token");
    std::fs::write(&secret, "t0p-s3cret").unwrap();
    let mut ard = source(SourceKind::Ard, stage.url.clone());
    ard.credentials.bearer = Some(config::secret::SecretRef::File(secret));
    let engine = engine(Vec::new(), vec![ard], None);
    let handle = engine.handle();
    fleet_is(&handle, "both agents", &[&a, &b], SourceHealth::Working).await;
    let labels: Vec<String> = listed(&handle.snapshot(), &b)
        .unwrap()
        .spec
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(labels, ["identifier=urn:air:example.com:agent:two", "tags=eu"]);
    assert!(stage.asked().iter().all(|(_, login, _)| login.is_some()));
    assert!(other.asked().iter().all(|(_, login, _)| login.is_none()));
    let (_, _, question) = other.asked().into_iter().find(|(page, ..)| page.starts_with("POST")).unwrap();
    let question: Value = serde_json::from_str(&question).unwrap();
    assert_eq!(question["query"]["filter"]["type"][0], "application/a2a-agent-card+json");
    assert_eq!((&question["federation"], &question["pageSize"]), (&json!("none"), &json!(100)));

    // Linked documents that cannot be read are reported; the rest stays. A cycle of pages ends.
    other.set("POST /api/v1/search p 2", json!({ "results": [], "pageToken": "p 2" }).to_string());
    other.remove("GET /more.json");
    until(&handle, "what is broken", |snapshot| {
        let cause = the_source(snapshot)?.cause.as_ref()?.to_string();
        (cause.contains("/more.json") && cause.contains("go round")).then_some(())
    })
    .await;
    assert!(listed(&handle.snapshot(), &a).is_some() && listed(&handle.snapshot(), &b).is_some());
    // Nested catalogs are followed up to a limit, so that a reading ends.
    for at in 0..80 {
        let next = leads("application/ai-catalog+json", format!("{}/c{}.json", stage.url, at + 1));
        stage.set(&format!("GET /c{at}.json"), json!({ "entries": [next] }).to_string());
    }
    let wide: Vec<Value> = (0..200)
        .map(|at| leads("application/ai-catalog+json", format!("{}/w{at}.json", stage.url)))
        .collect();
    for (entries, why) in [
        (vec![leads("application/ai-catalog+json", format!("{}/c0.json", stage.url))], "deeper than 3"),
        (wide, "and 197 more"),
    ] {
        stage.set("GET /.well-known/ard.json", json!({ "entries": entries }).to_string());
        until(&handle, why, |snapshot| {
            the_source(snapshot)?.cause.as_ref()?.to_string().contains(why).then_some(())
        })
        .await;
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_names_agents() {
    let stage = Stage::open().await;
    lives(source(SourceKind::Registry, stage.url.clone()), |urls| match urls {
        Some(urls) => {
            let cards: Vec<Value> = urls.iter().map(|url| json!({ "agent_card": card("x", url) })).collect();
            stage.set("GET /agents", json!({ "agents": cards, "count": cards.len() }).to_string());
        }
        None => stage.answer("GET /agents", 503, Vec::new(), "busy"),
    })
    .await;
    stage.remove("GET /agents");
    // It offers no list, so it is searched as ARD specifies, with pages.
    lives(source(SourceKind::Registry, stage.url.clone()), |urls| {
        let Some(urls) = urls else { return stage.answer("POST /search", 503, Vec::new(), "busy") };
        let mut page = "POST /search".to_owned();
        for (at, url) in urls.iter().enumerate() {
            let more = json!({ "results": [entry("x", url)], "pageToken": format!("p{at}") });
            stage.set(&page, more.to_string());
            page = format!("POST /search p{at}");
        }
        stage.set(&page, "{\"results\":[]}");
    })
    .await;
    // The optional list of ARD, also with pages.
    stage.remove("POST /search");
    let (_fleet, [a, b]) = two();
    stage
        .set("GET /agents", json!({ "items": [entry("a", &a)], "total": 2, "pageToken": "n/2" }).to_string());
    stage.set("GET /agents?pageToken=n%2F2", json!({ "items": [entry("b", &b)] }).to_string());
    let engine = engine(Vec::new(), vec![source(SourceKind::Registry, stage.url.clone())], None);
    fleet_is(&engine.handle(), "both pages", &[&a, &b], SourceHealth::Working).await;
    engine.stop().await;
}

/// A registry that people really use: agents are registered, found and unregistered, and stay when the registry is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_of_pypi_names_agents() {
    let Some(mut registry) = RealRegistry::start().await else { return };
    let (_fleet, [a, b]) = two();
    let agents = format!("{}/agents", registry.url);
    let register = |name: &'static str, url: String| {
        let agents = agents.clone();
        async move {
            let card = json!({ "agent_card": {
                "name": name, "description": name, "url": url, "version": "1", "protocol_version": "0.3.0",
                "capabilities": {}, "skills": []
            }});
            let card = card.to_string();
            curl(&["-H", "content-type: application/json", "-d", &card], &agents).await.unwrap();
        }
    };
    let engine = engine(Vec::new(), vec![source(SourceKind::Registry, registry.url.clone())], None);
    let handle = engine.handle();
    fleet_is(&handle, "an empty registry", &[], SourceHealth::Working).await;
    register("one", a.clone()).await;
    fleet_is(&handle, "one is registered", &[&a], SourceHealth::Working).await;
    register("two", b.clone()).await;
    fleet_is(&handle, "two is registered", &[&a, &b], SourceHealth::Working).await;
    curl(&["-X", "DELETE"], &format!("{agents}/one")).await.unwrap();
    fleet_is(&handle, "one is unregistered", &[&b], SourceHealth::Working).await;
    registry.process.kill().await.unwrap();
    fleet_is(&handle, "the registry is gone", &[&b], SourceHealth::Failing).await;
    println!("a2a-registry 0.1.5 of PyPI: registered, listed, unregistered, gone");
    engine.stop().await;
}
