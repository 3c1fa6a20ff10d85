//! Certificates and credentials: a failure keeps its cause, a secret goes nowhere else and is seen nowhere.

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::kill::binary;

/// What was asked of an agent: path, `Authorization` header, body.
type Asked = Arc<Mutex<Vec<(String, Option<String>, String)>>>;

/// How an agent answers a request: status, headers, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, String);

/// The header `traceparent` of each request, with its body.
type Traced = Arc<Mutex<Vec<(Option<String>, String)>>>;

/// An agent that answers as a test wants it.
pub(crate) struct Stand {
    pub(crate) url: String,
    asked: Asked,
    traced: Traced,
}

impl Stand {
    pub(crate) async fn open(
        tls: Option<ServerConfig>,
        answer: impl Fn(&str, &str, Option<&str>, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let url = format!("{scheme}:{port}");
        let (asked, traced) = (Asked::default(), Traced::default());
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let answer = Arc::new(answer);
        let (kept, own) = ((asked.clone(), traced.clone()), url.clone());
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let (acceptor, answer, kept, own) =
                    (acceptor.clone(), answer.clone(), kept.clone(), own.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answer, kept, own) = (answer.clone(), kept.clone(), own.clone());
                        async move {
                            Ok::<_, std::convert::Infallible>(respond(request, &*answer, &kept, &own).await)
                        }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    match acceptor {
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(socket).await else { return };
                            let _it_may_hang_up = http.serve_connection(TokioIo::new(stream), service).await;
                        }
                        None => {
                            let _it_may_hang_up = http.serve_connection(TokioIo::new(socket), service).await;
                        }
                    }
                });
            }
        });
        Self { url, asked, traced }
    }

    pub(crate) fn traced(&self) -> Vec<(Option<String>, String)> {
        self.traced.lock().unwrap().clone()
    }

    pub(crate) fn asked(&self) -> Vec<(String, Option<String>, String)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: &(dyn Fn(&str, &str, Option<&str>, &str) -> Answer + Send + Sync),
    (asked, traced): &(Asked, Traced),
    own: &str,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let login = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let parent = request.headers().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let (status, headers, text) = answer(own, &path, login.as_deref(), &body);
    traced.lock().unwrap().push((parent, body.clone()));
    asked.lock().unwrap().push((path, login, body));
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(text))).unwrap()
}

pub(crate) fn card(url: &str, description: &str) -> String {
    json!({
        "name": "strict", "description": description, "version": "1",
        "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {"streaming": false}, "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "s", "name": "s", "description": "s", "tags": []}]
    })
    .to_string()
}

pub(crate) fn ok(text: String) -> Answer {
    (200, vec![("content-type", "application/json".into())], text)
}

/// The answer to any call: a task that has completed, or an empty list.
fn rpc(body: &str, said: &str) -> Answer {
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    let result = match request["method"].as_str() {
        Some("ListTasks") => json!({"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}),
        Some("GetTask") => task(said),
        _ => json!({"task": task(said)}),
    };
    ok(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string())
}

fn task(said: &str) -> Value {
    json!({
        "id": "t-1", "contextId": "c-1",
        "status": {"state": "TASK_STATE_COMPLETED", "message": {
            "messageId": "m-9", "role": "ROLE_AGENT", "parts": [{"text": said}]}},
        "artifacts": [{"artifactId": "a", "name": said, "parts": [{"text": said}]}]
    })
}

pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        Self { dir }
    }

    pub(crate) async fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = binary();
        command.arg("--config").arg(self.dir.path().join("config.toml"));
        command.arg("--data-dir").arg(self.dir.path().join("data")).args(args);
        command.envs(variables.iter().copied()).output().await.unwrap()
    }

    async fn agent(&self, variables: &[(&str, &str)]) -> Value {
        let output = self.run(&["agents", "-o", "json"], variables).await;
        let json: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        json["agents"][0].clone()
    }
}

/// An authority, and a certificate of it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn server(&self, name: &str, until: (i32, u8, u8)) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_failure_keeps_its_cause() {
    let trusted = Authority::new();
    let unknown = Authority::new();
    let far = (2040, 1, 1);
    for (what, config, state, reason) in [
        ("good", trusted.server("localhost", far), "up", ""),
        ("expired", trusted.server("localhost", (2021, 1, 1)), "down", "certificate has expired"),
        ("unknown issuer", unknown.server("localhost", far), "down", "unknown issuer"),
        ("wrong name", trusted.server("elsewhere.example", far), "down", "another name"),
    ] {
        let stand = Stand::open(Some(config), |own, path, _, body| {
            if path.ends_with(".json") { ok(card(own, "over TLS")) } else { rpc(body, "done") }
        })
        .await;
        let desk = Desk::new(&format!(
            "[fleet.default]\nca = \"ca.pem\"\n[[fleet.default.agents]]\nurl = \"{}\"\n",
            stand.url
        ));
        let ca = desk.dir.path().join("ca.pem");
        std::fs::write(&ca, trusted.issuer.pem()).unwrap();
        let config = desk.dir.path().join("config.toml");
        let text = std::fs::read_to_string(&config)
            .unwrap()
            .replace("\"ca.pem\"", &format!("{:?}", ca.display().to_string()));
        std::fs::write(&config, text).unwrap();
        let agent = desk.agent(&[]).await;
        assert_eq!(agent["state"], state, "{what}: {agent}");
        let shown = agent["reason"].as_str().unwrap_or_default();
        assert!(shown.contains(reason), "{what}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_soon_is_a_problem_before_it_has_ended() {
    let trusted = Authority::new();
    for (days, kinds) in [(5, vec!["certificate-ends"]), (60, vec![])] {
        let end = jiff::Zoned::now().checked_add(jiff::Span::new().days(days)).unwrap().date();
        let until = (i32::from(end.year()), end.month().unsigned_abs(), end.day().unsigned_abs());
        let stand = Stand::open(Some(trusted.server("localhost", until)), |own, path, _, body| {
            if path.ends_with(".json") { ok(card(own, "over TLS")) } else { rpc(body, "done") }
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, trusted.pem()).unwrap();
        let desk = Desk::new(&format!(
            "[fleet.default]\nca = {:?}\n[[fleet.default.agents]]\nurl = \"{}\"\n",
            ca.display().to_string(),
            stand.url
        ));
        assert_eq!(desk.agent(&[]).await["state"], "up");
        let problems = desk.run(&["problems", "-o", "json"], &[]).await;
        let problems: Value = serde_json::from_slice(&problems.stdout).unwrap();
        let open = problems["problems"].as_array().unwrap();
        let found: Vec<_> = open.iter().filter_map(|problem| problem["kind"].as_str()).collect();
        assert_eq!(found, kinds, "{problems}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_a_state_of_its_own_with_the_next_step() {
    for status in [401, 403] {
        let stand = Stand::open(None, move |own, path, login, body| match login {
            _ if path.ends_with(".json") => ok(card(own, "wants to know you")),
            Some("Bearer right-token-123") => rpc(body, "done"),
            _ => (status, vec![("www-authenticate", "Bearer realm=\"desk\"".into())], String::new()),
        })
        .await;
        let agents = format!("[[fleet.default.agents]]\nurl = \"{}\"\n", stand.url);
        let desk = Desk::new(&agents);
        let refused = desk.agent(&[]).await;
        assert_eq!(refused["state"], "login-needed", "{refused}");
        assert!(refused["reason"].as_str().unwrap().contains(&status.to_string()), "{refused}");
        let problems = desk.run(&["problems", "-o", "json"], &[]).await;
        let problems: Value = serde_json::from_slice(&problems.stdout).unwrap();
        assert_eq!(problems["problems"][0]["kind"], "login-needed", "{problems}");
        let output = desk.run(&["send", "-a", &stand.url, "do it", "-o", "json"], &[]).await;
        assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stdout));

        let desk = Desk::new(&format!("{agents}bearer = \"env:DESK_TOKEN\"\n"));
        let known = desk.agent(&[("DESK_TOKEN", "right-token-123")]).await;
        assert_eq!(known["state"], "up", "{known}");
        let wrong = desk.agent(&[("DESK_TOKEN", "wrong-token-123")]).await;
        assert_eq!(wrong["state"], "login-needed", "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_stay_with_their_origin() {
    let other = Stand::open(None, |_, _, _, body| rpc(body, "done")).await;
    let elsewhere = other.url.clone();
    // Its card sends us to another origin, and its calls are redirected there.
    let stand = Stand::open(None, move |_, path, _, _| {
        if path.ends_with(".json") {
            ok(card(&elsewhere, "leads astray"))
        } else {
            (307, vec![("location", elsewhere.clone())], String::new())
        }
    })
    .await;
    let desk =
        Desk::new(&format!("[[fleet.default.agents]]\nurl = \"{}\"\nbearer = \"env:TOKEN\"\n", stand.url));
    let variables = [("TOKEN", "only-for-the-first-origin")];
    desk.agent(&variables).await;
    desk.run(&["send", "-a", "strict", "do it"], &variables).await;
    assert!(stand.asked().iter().any(|(_, login, _)| login.is_some()), "{:?}", stand.asked());
    assert!(!other.asked().is_empty(), "the interface is where the card says");
    for (path, login, body) in other.asked() {
        assert!(login.is_none() && !body.contains("only-for"), "{path} got {login:?}");
    }
}

/// Planted everywhere an agent can echo it.
const CANARY: &str = "canary-5f3e9a7c1b2d";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_appears_nowhere() {
    let echo = |login: Option<&str>| format!("you are {}", login.unwrap_or("nobody"));
    let stand = Stand::open(None, move |own, path, login, body| {
        if path.ends_with(".json") {
            return ok(card(own, &echo(login)));
        }
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        let text = request["params"]["message"]["parts"][0]["text"].as_str().unwrap_or_default().to_owned();
        match text.as_str() {
            "error" => ok(json!({"jsonrpc": "2.0", "id": request["id"],
                "error": {"code": -32603, "message": echo(login), "data": [{"reason": echo(login)}]}})
            .to_string()),
            "status" => (500, vec![], echo(login)),
            "login" => {
                (401, vec![("www-authenticate", format!("Bearer realm=\"{}\"", echo(login)))], echo(login))
            }
            "redirect" => (307, vec![("location", format!("http://127.0.0.1:1/{CANARY}"))], String::new()),
            _ => rpc(body, &echo(login)),
        }
    })
    .await;
    let config = format!(
        "[[fleet.default.agents]]\nname = \"strict\"\nurl = \"{}\"\nbearer = \"env:CANARY\"\nheaders = {{ \"x-key\" = \"env:CANARY\" }}\n",
        stand.url
    );
    let desk = Desk::new(&config);
    let variables = [("CANARY", CANARY), ("QUARTERDECK_LOG", "trace")];
    for args in [
        vec!["agents"],
        vec!["agents", "-o", "json"],
        vec!["card", "get", "-a", "strict"],
        vec!["send", "-a", "strict", "well"],
        vec!["send", "-a", "strict", "well", "-o", "json"],
        vec!["send", "-a", "strict", "well", "--stream", "-o", "json"],
        vec!["send", "-a", "strict", "error", "-o", "json"],
        vec!["send", "-a", "strict", "status"],
        vec!["send", "-a", "strict", "login"],
        vec!["send", "-a", "strict", "redirect"],
        vec!["task", "list", "-o", "json"],
        vec!["task", "get", "t-1"],
        vec!["problems"],
        vec!["config", "show"],
        vec!["config", "check"],
    ] {
        let output = desk.run(&args, &variables).await;
        for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(CANARY), "{args:?} on {stream}:\n{text}");
        }
    }
    assert!(stand.asked().iter().any(|(_, login, _)| login.as_deref() == Some(&format!("Bearer {CANARY}"))));
    search(desk.dir.path(), CANARY);
    // A literal on the command line is taken, warned of, and kept as little.
    let output = desk
        .run(&["send", "-a", &stand.url, "--bearer", CANARY, "well"], &[("QUARTERDECK_LOG", "trace")])
        .await;
    let message =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(message.contains("holds the secret itself") && !message.contains(CANARY), "{message}");
    search(desk.dir.path(), CANARY);
    crate::console::pty::shows_no_secret(desk.dir.path(), CANARY);
    search(desk.dir.path(), CANARY);
}

/// Fails if a file below a folder holds a secret.
pub(crate) fn search(dir: &Path, secret: &str) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, secret);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}
