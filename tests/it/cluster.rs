//! The source for Kubernetes, with a fake API server that supports lists and watches over TLS. Its answers are written
//! after the documentation; no real server was run.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use quarterdeck::config::AgentSource;
use quarterdeck::domain::fleet::source::{SourceHealth, SourceKind};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::credentials::Authority;
use crate::discovery::{engine, fleet_is, listed, lives, the_source, two};
use crate::support::until;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Line = Result<Frame<Bytes>, io::Error>;

/// The objects of the server, and its watchers.
#[derive(Default)]
struct Inside {
    objects: BTreeMap<(&'static str, String), Value>,
    version: u64,
    /// Statuses that it answers with instead: for all kinds, or for one.
    refuses: BTreeMap<&'static str, u16>,
    watches: Vec<(&'static str, mpsc::Sender<Line>)>,
    /// The path with query, and the login, of every request.
    asked: Vec<(String, Option<String>)>,
}

#[derive(Clone)]
struct Server {
    port: u16,
    inside: Arc<Mutex<Inside>>,
}

const KINDS: [(&str, &str); 2] = [("services", "Service"), ("pods", "Pod")];

impl Server {
    async fn open(authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server("localhost", (2040, 1, 1))));
        let server = Self { port, inside: Arc::default() };
        server.inside.lock().unwrap().version = 10;
        let own = server.clone();
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let (acceptor, own) = (acceptor.clone(), own.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let service = service_fn(move |request| {
                        let response = own.respond(&request);
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _it_may_hang_up = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        server
    }

    fn respond(&self, request: &Request<Incoming>) -> Response<Body> {
        let mut inside = self.inside.lock().unwrap();
        let login = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        inside.asked.push((request.uri().to_string(), login));
        let path = request.uri().path();
        let Some((kind, name)) = KINDS.into_iter().find(|(kind, _)| path.ends_with(&format!("/{kind}")))
        else {
            return document(404, &status(404, "NotFound"));
        };
        if let Some(code) = inside.refuses.get(kind) {
            return document(*code, &status(*code, "Refused"));
        }
        let query = request.uri().query().unwrap_or_default();
        if query.contains("watch=") {
            let (lines, receives) = mpsc::channel(64);
            inside.watches.push((kind, lines));
            let body =
                stream::unfold(
                    receives,
                    |mut receives| async move { Some((receives.recv().await?, receives)) },
                );
            let body = StreamBody::new(Box::pin(body)).boxed_unsync();
            return Response::builder().header("content-type", "application/json").body(body).unwrap();
        }
        let items: Vec<&Value> =
            inside.objects.iter().filter(|((of, _), _)| *of == kind).map(|(_, object)| object).collect();
        let list = json!({
            "kind": format!("{name}List"), "apiVersion": "v1",
            "metadata": {"resourceVersion": inside.version.to_string()}, "items": items
        });
        document(200, &list)
    }

    /// Creates, changes or removes an object, and notifies the watchers.
    fn put(&self, kind: &'static str, name: &str, object: Option<Value>) {
        let mut inside = self.inside.lock().unwrap();
        inside.version += 1;
        let version = inside.version.to_string();
        let key = (kind, name.to_owned());
        let before = inside.objects.get(&key).cloned();
        let (what, mut sent) = match (before, object) {
            (None, None) => return,
            (Some(before), None) => ("DELETED", before),
            (None, Some(object)) => ("ADDED", object),
            (Some(_), Some(object)) => ("MODIFIED", object),
        };
        sent["metadata"]["resourceVersion"] = json!(version);
        match what {
            "DELETED" => inside.objects.remove(&key),
            _ => inside.objects.insert(key, sent.clone()),
        };
        drop(inside);
        self.send_event(kind, json!({"type": what, "object": sent}));
    }

    /// Changes an object without notifying the watchers.
    fn put_silently(&self, kind: &'static str, name: &str, object: Option<Value>) {
        let mut inside = self.inside.lock().unwrap();
        inside.version += 100;
        let key = (kind, name.to_owned());
        match object {
            Some(object) => inside.objects.insert(key, object),
            None => inside.objects.remove(&key),
        };
    }

    fn send_event(&self, kind: &str, event: Value) {
        let line = format!("{event}\n");
        let mut inside = self.inside.lock().unwrap();
        inside.watches.retain(|(of, watch)| {
            *of != kind || watch.try_send(Ok(Frame::data(Bytes::from(line.clone())))).is_ok()
        });
    }

    /// Cuts off every watch in the middle of its body.
    fn cut(&self) {
        let watches = std::mem::take(&mut self.inside.lock().unwrap().watches);
        for (_, watch) in watches {
            let _it_may_be_gone = watch.try_send(Err(io::ErrorKind::ConnectionReset.into()));
        }
    }

    fn refuse(&self, kinds: &[&'static str], code: Option<u16>) {
        let mut inside = self.inside.lock().unwrap();
        for kind in kinds {
            match code {
                Some(code) => inside.refuses.insert(kind, code),
                None => inside.refuses.remove(kind),
            };
        }
    }

    fn asked(&self) -> Vec<(String, Option<String>)> {
        self.inside.lock().unwrap().asked.clone()
    }

    /// Waits for a request that contains all parts, after this many requests.
    async fn asked_for(&self, after: usize, parts: &[&str]) {
        let asked = || {
            let asked = self.asked();
            asked.iter().skip(after).any(|(uri, _)| parts.iter().all(|part| uri.contains(part)))
        };
        let begun = tokio::time::Instant::now();
        while !asked() {
            assert!(begun.elapsed() < crate::support::LONG, "never asked {parts:?}: {:#?}", self.asked());
            tokio::task::yield_now().await;
        }
    }

    /// A kubeconfig for it, which trusts the authority if there is one.
    fn kubeconfig(&self, dir: &Path, authority: Option<&Authority>) -> String {
        let mut cluster = json!({"server": format!("https://localhost:{}", self.port)});
        if let Some(authority) = authority {
            let pem = base64::engine::general_purpose::STANDARD.encode(authority.pem());
            cluster["certificate-authority-data"] = json!(pem);
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "k8s-t0ken-s3cret"}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]
        });
        let file = dir.join("kubeconfig");
        // JSON is valid YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        file.display().to_string()
    }
}

fn status(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("the test says {code} to k8s-t0ken-s3cret"), "reason": reason, "code": code
    })
}

fn document(code: u16, value: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

/// The host and port of a URL.
fn place(url: &str) -> (String, u16) {
    let place = url.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = place.rsplit_once(':').unwrap();
    (host.to_owned(), port.parse().unwrap())
}

/// A Pod as an API server writes it, reduced to the relevant members.
fn pod(name: &str, url: &str) -> Value {
    let (host, port) = place(url);
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": "shop", "uid": "6f6b", "resourceVersion": "5",
            "labels": {"app.kubernetes.io/component": "a2a-agent", "tier": "front"}
        },
        "spec": {"containers": [
            {"name": "side", "image": "i", "ports": [{"name": "metrics", "containerPort": 9, "protocol": "TCP"}]},
            {"name": "agent", "image": "i", "ports": [{"name": "a2a", "containerPort": port, "protocol": "TCP"}]}
        ]},
        "status": {"phase": "Running", "podIP": host, "podIPs": [{"ip": host}]}
    })
}

fn service(name: &str, url: &str) -> Value {
    let (host, port) = place(url);
    json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": "5", "labels": {"tier": "back"}},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.7",
            "ports": [{"name": "http", "protocol": "TCP", "port": port, "targetPort": 8080}]},
        "status": {"loadBalancer": {"ingress": [{"ip": host}]}}
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_names_agents() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::open(&authority).await;
    let source = AgentSource::new(SourceKind::Kubernetes, server.kubeconfig(dir.path(), Some(&authority)));
    lives(source, |urls| {
        let Some(urls) = urls else {
            server.refuse(&["pods", "services"], Some(500));
            return server.cut();
        };
        server.refuse(&["pods", "services"], None);
        let wanted: BTreeMap<String, &str> =
            urls.iter().map(|url| (format!("p{}", place(url).1), *url)).collect();
        let there: Vec<String> =
            server.inside.lock().unwrap().objects.keys().map(|(_, name)| name.clone()).collect();
        for name in there.iter().filter(|name| !wanted.contains_key(*name)) {
            server.put("pods", name, None);
        }
        for (name, url) in wanted {
            server.put("pods", &name, Some(pod(&name, url)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_resumes_where_it_was() {
    let (_fleet, [a, b]) = two();
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::open(&authority).await;
    server.put_silently("pods", "a", Some(pod("a", &a)));
    let mut pending = pod("late", &b);
    pending["status"]["phase"] = json!("Pending");
    server.put_silently("pods", "late", Some(pending));
    let at = server.kubeconfig(dir.path(), Some(&authority));
    let mut source = AgentSource::new(SourceKind::Kubernetes, at);
    source.namespace = Some("shop".into());
    let engine = engine(Vec::new(), vec![source], None);
    let handle = engine.handle();
    fleet_is(&handle, "a running Pod", &[&a], SourceHealth::Working).await;
    let labels: Vec<String> = listed(&handle.snapshot(), &a)
        .unwrap()
        .spec
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(labels, ["namespace=shop", "app.kubernetes.io/component=a2a-agent", "tier=front"]);
    server
        .asked_for(0, &["/namespaces/shop/pods", "labelSelector=app.kubernetes.io%2Fcomponent%3Da2a-agent"])
        .await;
    server.asked_for(0, &["/services", "watch=true"]).await;
    server.asked_for(0, &["/pods", "watch=true"]).await;
    assert!(server.asked().iter().all(|(_, login)| login.as_deref() == Some("Bearer k8s-t0ken-s3cret")));

    // A watch that is cut off resumes at the last bookmark, and does not count as a failure.
    server.send_event(
        "pods",
        json!({"type": "BOOKMARK", "object": {
        "kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "4711"}}}),
    );
    server.put("services", "b", Some(service("b", &b)));
    fleet_is(&handle, "a Service too", &[&a, &b], SourceHealth::Working).await;
    let asked = server.asked().len();
    server.cut();
    server.asked_for(asked, &["/pods", "watch=true", "resourceVersion=4711"]).await;
    server.asked_for(asked, &["/services", "watch=true"]).await;
    server.put("services", "b", None);
    fleet_is(&handle, "the Service has gone", &[&a], SourceHealth::Working).await;
    assert!(handle.snapshot().problems.is_empty(), "a cut is no problem");

    // The server no longer has that version: everything is listed again, including what was missed.
    server.put_silently("pods", "a", None);
    server.put_silently("pods", "b", Some(pod("b", &b)));
    server.send_event("pods", json!({"type": "ERROR", "object": status(410, "Expired")}));
    fleet_is(&handle, "the list after 410", &[&b], SourceHealth::Working).await;
    assert!(handle.snapshot().problems.is_empty(), "nor is that");

    // A Pod that has ended or is ending is not an agent.
    let mut ending = pod("b", &b);
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    server.asked_for(asked, &["/pods", "watch=true"]).await;
    let watching = |inside: &Inside| inside.watches.iter().any(|(kind, _)| *kind == "pods");
    let begun = tokio::time::Instant::now();
    while !watching(&server.inside.lock().unwrap()) {
        assert!(begun.elapsed() < crate::support::LONG, "nobody watches");
        tokio::task::yield_now().await;
    }
    server.put("pods", "b", Some(ending));
    until(&handle, "no agent", |snapshot| listed(snapshot, &b).is_none().then_some(())).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_cluster_is_reported() {
    let (_fleet, [a, _]) = two();
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::open(&authority).await;
    server.put_silently("services", "a", Some(service("a", &a)));
    server.refuse(&["pods"], Some(403));
    let at = server.kubeconfig(dir.path(), Some(&authority));
    let source = || AgentSource::new(SourceKind::Kubernetes, at.clone());
    let engine_one = engine(Vec::new(), vec![source()], None);
    let handle = engine_one.handle();
    fleet_is(&handle, "Services alone", &[&a], SourceHealth::Failing).await;
    let cause = the_source(&handle.snapshot()).unwrap().cause.clone().unwrap().to_string();
    assert!(cause.contains("pods: ") && cause.contains("the test says 403"), "{cause}");
    assert!(!cause.contains("s3cret"), "{cause}");
    server.refuse(&["pods"], None);
    fleet_is(&handle, "both", &[&a], SourceHealth::Working).await;
    engine_one.stop().await;

    // A watch that fails before its first list neither removes nor adds agents.
    server.refuse(&["pods"], Some(500));
    let engine_two = engine(Vec::new(), vec![source()], None);
    fleet_is(&engine_two.handle(), "half a cluster", &[], SourceHealth::Failing).await;
    server.refuse(&["pods"], None);
    fleet_is(&engine_two.handle(), "all of it", &[&a], SourceHealth::Working).await;
    engine_two.stop().await;

    for (why, at) in [
        ("UnknownIssuer", server.kubeconfig(dir.path(), None)),
        ("No such file", dir.path().join("nothing").display().to_string()),
    ] {
        let engine = engine(Vec::new(), vec![AgentSource::new(SourceKind::Kubernetes, at)], None);
        until(&engine.handle(), why, |snapshot| {
            the_source(snapshot)?.cause.as_ref()?.to_string().contains(why).then_some(())
        })
        .await;
        engine.stop().await;
    }
}
