//! Hostile and broken clients of everything that listens: the HTTP listener, the registry on it, the control socket.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use quarterdeck::demo::Behaviour;
use quarterdeck::engine::Engine;
use quarterdeck::engine::handle::remote::{JoinError, join};
use quarterdeck::engine::handle::wire::{Hello, Tasks};
use quarterdeck::serve::http::{Access, Body, Call, Caller, Limits, Reply, Route, Server, Stats, bind};
use quarterdeck::serve::socket::{Listening, listen};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

use crate::kill::binary;
use crate::registry::Desk;
use crate::support::{LONG, engine_with, fleet, part, rules, send};

/// Waits for something at most [`LONG`].
async fn soon<T>(what: &'static str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, wait).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// A listener with these routes and no token.
struct Listener {
    server: Server,
    stats: Arc<Stats>,
}

impl Listener {
    fn new(limits: Limits, routes: Vec<Route>) -> Self {
        let bound = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let stats = Arc::new(Stats::default());
        let access = Access::new(None, bound.local_addr().unwrap());
        let server = Server::start(bound, routes, access, limits, stats.clone()).unwrap();
        Self { server, stats }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.address()).await.unwrap()
    }

    /// What is answered to bytes, until the connection is closed.
    async fn ask(&self, request: &str) -> String {
        let mut socket = self.connect().await;
        let _it_may_be_refused_early = socket.write_all(request.as_bytes()).await;
        read_to_end(&mut socket).await
    }
}

async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _it_may_be_reset = soon("the end of a connection", socket.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

fn hello() -> Route {
    Route::new(Method::GET, "/hello", Body::None, Caller::Reader, async |_call| {
        Reply::json(StatusCode::OK, "{}".into())
    })
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_headers_end_at_a_deadline_and_one_address_cannot_take_all_connections() {
    let head = Duration::from_millis(700);
    let limits = Limits { per_loopback: 4, head, ..Limits::default() };
    let listener = Listener::new(limits, vec![hello()]);
    let begun = tokio::time::Instant::now();
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut socket = listener.connect().await;
        socket.write_all(b"GET /hello HTTP/1.1\r\n").await.unwrap();
        slow.spawn(async move {
            let mut byte = tokio::time::interval(Duration::from_millis(50));
            let mut answer = Vec::new();
            loop {
                tokio::select! {
                    _ = byte.tick() => if socket.write_all(b"x").await.is_err() { return },
                    read = socket.read_buf(&mut answer) => if matches!(read, Ok(0) | Err(_)) { return },
                }
            }
        });
    }
    let answer = soon("a refusal", async {
        loop {
            let answer = listener.ask("").await;
            if !answer.is_empty() {
                return answer;
            }
        }
    });
    let answer = answer.await;
    assert_eq!(status(&answer), 429, "{answer}");
    assert!(
        answer.contains("retry-after: 1") && answer.contains("too many connections from this address"),
        "{answer}"
    );
    while soon("the end of slow headers", slow.join_next()).await.is_some() {}
    assert!(begun.elapsed() >= head, "not before the deadline");
    let answer = soon("a place", async {
        loop {
            let answer = listener.ask(HELLO).await;
            if status(&answer) == 200 {
                return answer;
            }
        }
    });
    answer.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_bounded_by_their_route_and_all_together() {
    let small =
        Route::new(Method::POST, "/small", Body::Json(16 * 1024), Caller::Reader, async |call: Call| {
            Reply::json(StatusCode::OK, call.body.len().to_string())
        });
    let limits = Limits { body_bytes: 48 * 1024, ..Limits::default() };
    let listener = Listener::new(limits, vec![small]);
    let head =
        "POST /small HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let whole = |bytes: usize| format!("{head}content-length: {bytes}\r\n\r\n{}", "1".repeat(bytes));
    let chunked = |bytes: usize| {
        format!("{head}transfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{}\r\n0\r\n\r\n", "1".repeat(bytes))
    };
    for (request, expected) in [
        (whole(16 * 1024), 200),
        (chunked(16 * 1024), 200),
        (whole(16 * 1024 + 1), 413),
        (chunked(16 * 1024 + 1), 413),
    ] {
        let answer = listener.ask(&request).await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut socket = listener.connect().await;
        let expecting = format!("{head}expect: 100-continue\r\ncontent-length: 16384\r\n\r\n");
        socket.write_all(expecting.as_bytes()).await.unwrap();
        // The listener asks for the body once it has reserved its bytes.
        let mut asked = [0; 25];
        soon("100 Continue", socket.read_exact(&mut asked)).await.unwrap();
        assert!(asked.starts_with(b"HTTP/1.1 100 Continue"));
        held.push(socket);
    }
    let refused = listener.ask(&whole(9000)).await;
    assert!(
        status(&refused) == 503
            && refused.contains("too many request bodies")
            && refused.contains("retry-after: 1"),
        "{refused}"
    );
    drop(held);
    soon("room for a body", async { while status(&listener.ask(&whole(9000)).await) != 200 {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_cancelled_when_its_client_leaves_or_its_time_is_over() {
    let (begun, stopped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, stops) = (begun.clone(), stopped.clone());
    let work = Route::new(Method::GET, "/work", Body::None, Caller::Reader, move |call: Call| {
        let (starts, stops) = (starts.clone(), stops.clone());
        async move {
            let done = tokio::task::spawn_blocking(move || {
                starts.notify_one();
                while !call.cancelled.is_set() {
                    std::thread::yield_now();
                }
                stops.notify_one();
            });
            done.await.unwrap();
            Reply::json(StatusCode::OK, String::new())
        }
    });
    let request = "GET /work HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let listener = Listener::new(Limits { answer: LONG * 2, ..Limits::default() }, vec![work.clone()]);
    let mut socket = listener.connect().await;
    socket.write_all(request.as_bytes()).await.unwrap();
    soon("the work begins", begun.notified()).await;
    drop(socket);
    soon("the work of a client that left ends", stopped.notified()).await;
    let listener =
        Listener::new(Limits { answer: Duration::from_millis(100), ..Limits::default() }, vec![work]);
    let late = listener.ask(request).await;
    assert!(status(&late) == 503 && late.contains("could not be answered in time"), "{late}");
    soon("the work whose time is over ends", stopped.notified()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_cut_off_and_a_stop_answers_what_is_in_flight() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, goes) = (begun.clone(), go.clone());
    let large = Route::new(Method::GET, "/large", Body::None, Caller::Reader, async |_call| {
        Reply::json(StatusCode::OK, "x".repeat(32 * 1024 * 1024))
    });
    let waits = Route::new(Method::GET, "/waits", Body::None, Caller::Reader, move |_call| {
        let (starts, goes) = (starts.clone(), goes.clone());
        async move {
            starts.notify_one();
            goes.notified().await;
            Reply::json(StatusCode::OK, "\"answered\"".into())
        }
    });
    let limits =
        Limits { exchange: Duration::from_millis(500), reply_bytes: 40 * 1024 * 1024, ..Limits::default() };
    let listener = Listener::new(limits, vec![large.clone()]);
    let ask_large = "GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut silent = listener.connect().await;
    silent.write_all(ask_large.as_bytes()).await.unwrap();
    soon("the first byte", silent.readable()).await.unwrap();
    let mut second = listener.connect().await;
    second
        .write_all(ask_large.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let refused = read_to_end(&mut second).await;
    assert!(status(&refused) == 503 && refused.contains("too many replies"), "{}", refused.len());
    soon("the end of a client that does not read", async {
        while listener.stats.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let listener = Listener::new(Limits::default(), vec![waits]);
    let mut socket = listener.connect().await;
    socket.write_all(b"GET /waits HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    soon("the handler begins", begun.notified()).await;
    let address = listener.server.address();
    let stopping = tokio::spawn(listener.server.stop());
    soon("the port is closed", async { while TcpStream::connect(address).await.is_ok() {} }).await;
    go.notify_one();
    let answer = read_to_end(&mut socket).await;
    assert!(status(&answer) == 200 && answer.ends_with("\"answered\""), "{answer}");
    soon("the listener has stopped", stopping).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_web_page_no_proxy_and_no_foreign_host_reads_or_writes() {
    let desk = Desk::new("").await;
    let search = "content-type: application/json\r\ncontent-length: 2\r\n";
    let check = async |start: &str, headers: &str, body: &str, expected: u16| {
        let request = format!("{start}\r\nconnection: close\r\n{headers}\r\n{body}");
        let answer = desk.raw(request.as_bytes()).await;
        assert_eq!(answer.status, expected, "{request} {}", answer.body);
    };
    for foreign in [
        "host: evil.example\r\n",
        "host: localhost\r\norigin: http://evil.example\r\n",
        "host: localhost\r\norigin: null\r\n",
        "host: localhost\r\nsec-fetch-site: cross-site\r\n",
        "host: localhost\r\nsec-fetch-site: same-site\r\n",
        "host: localhost\r\nvia: 1.1 proxy\r\n",
        "host: localhost\r\nx-real-ip: 10.0.0.9\r\n",
        "host: localhost\r\nforwarded: for=10.0.0.9\r\n",
        "host: localhost\r\nx-forwarded-proto: https\r\n",
        "host: localhost\r\nx-forwarded-anything: x\r\n",
    ] {
        check("GET /agents HTTP/1.1", foreign, "", 403).await;
        check("GET /metrics HTTP/1.1", foreign, "", 403).await;
        check("POST /search HTTP/1.1", &format!("{foreign}{search}"), "{}", 403).await;
        check("POST /agents HTTP/1.1", &format!("{foreign}{search}"), "{}", 403).await;
    }
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        let start = format!("{method} /agents HTTP/1.1");
        check(&start, "", "", 400).await;
        check(&start, "host: localhost\r\nhost: localhost\r\n", "", 400).await;
        check(&start, "host: localhost\r\nHost: evil.example\r\n", "", 400).await;
    }
    check("GET http://evil.example/agents HTTP/1.1", "host: localhost\r\n", "", 400).await;
    check("GET http://evil.example/agents HTTP/1.1", "host: evil.example\r\n", "", 403).await;
    check("GET /agents HTTP/1.0", "", "", 200).await;
    check("GET /metrics HTTP/1.1", "host: localhost\r\nsec-fetch-site: none\r\n", "", 200).await;
    check("POST /search HTTP/1.1", &format!("host: 127.0.0.1\r\n{search}"), "{}", 200).await;
    // A search that is larger than any real one is not read.
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(16 * 1024));
    let answer = desk.ask("POST", "/search", &large).await;
    assert!(answer.status == 413 && answer.body.contains("larger than 16 KiB"), "{}", answer.body);
    // The token opens what a proxy in front needs.
    let desk = Desk::new("token = \"env:REGISTRY_TEST_TOKEN\"").await;
    let proxied = "via: 1.1 proxy\r\nx-forwarded-for: 10.0.0.9\r\n";
    assert_eq!(desk.ask_with("GET", "/agents", proxied, "").await.status, 403);
    let with_token = format!("{proxied}authorization: Bearer s3cret\r\n");
    assert_eq!(desk.ask_with("GET", "/agents", &with_token, "").await.status, 200);
}

/// The threads of a process.
fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// A debug build is some ten times slower than a release: 2,000 agents here are as much work as 20,000 there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_whose_clients_left_do_not_keep_the_engine_busy() {
    let mut desk = Desk::new("").await;
    let filler = "lorem ipsum dolor sit amet ".repeat(180);
    let words: Vec<String> = (0..32).map(|n| format!("word{n}")).collect();
    for n in 0..2_000 {
        let card = json!({"name": format!("agent {n}"), "url": format!("http://127.0.0.1:1/{n}"), "skills": [
            {"id": "s", "name": "s", "description": filler[..4000], "tags": [filler[4000..4400]]}
        ]});
        desk.register(&json!({"card": card, "health_check_interval": 3600})).await;
    }
    let body = json!({"text": words.join(" ")}).to_string();
    let request = format!(
        "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let pid = desk.serve.as_ref().unwrap().id().unwrap();
    let before = threads(pid);
    for _ in 0..600 {
        let mut socket = TcpStream::connect(&desk.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
    }
    let begun = tokio::time::Instant::now();
    let agents = desk.json(&["agents"]).await;
    assert_eq!(agents["agents"].as_array().unwrap().len(), 2_000);
    assert!(begun.elapsed() < Duration::from_secs(20), "joined after {:?}", begun.elapsed());
    let after = threads(pid);
    assert!(after < before + 40, "{before} threads became {after}");
    let begun = tokio::time::Instant::now();
    desk.end(rustix::process::Signal::TERM).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "ended after {:?}", begun.elapsed());
}

/// An engine that listens on a control socket.
fn controlled(name: &str, behaviour: Behaviour) -> (tempfile::TempDir, Engine, Listening, impl Sized) {
    let fleet = fleet(vec![part(name, behaviour)]);
    let engine = engine_with(&fleet, None, rules());
    let dir = tempfile::tempdir().unwrap();
    let listening = listen(&dir.path().join("own"), engine.handle(), Hello::default()).unwrap();
    (dir, engine, listening, fleet)
}

const OUR_HELLO: &str = "{\"hello\":{\"version\":3}}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_of_another_version_is_refused_with_a_reason() {
    let (_dir, engine, listening, _fleet) = controlled("steady", Behaviour::Steady);
    for (first, why) in [
        ("{\"hello\":{\"version\":0}}", "this engine speaks version 3 of the control protocol, not 0"),
        ("{\"hello\":{\"version\":99}}", "this engine speaks version 3 of the control protocol, not 99"),
        ("{\"watch\":true}", "the first line must be a hello"),
        ("nonsense", "the first line must be a hello"),
    ] {
        let mut socket = UnixStream::connect(listening.path()).await.unwrap();
        socket.write_all(format!("{first}\n{{\"id\":1}}\n").as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        let _it_may_be_reset = soon("the end of a refused client", socket.read_to_end(&mut reply)).await;
        let reply = String::from_utf8(reply).unwrap();
        let lines: Vec<&str> = reply.lines().collect();
        assert!(lines.len() == 2 && lines[0].contains("\"hello\""), "{first}: {reply}");
        assert!(lines[1].contains("\"refused\"") && lines[1].contains(why), "{first}: {reply}");
    }
    let joined = join(listening.path(), Tasks::All).await;
    assert!(joined.is_ok());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_pipelines_and_never_reads_is_not_read_from_either() {
    let (_dir, engine, listening, _fleet) = controlled("silent", Behaviour::Silent);
    let (job, _) = send(&engine.handle(), "silent", "work").await;
    let mut socket = UnixStream::connect(listening.path()).await.unwrap();
    socket.write_all(OUR_HELLO.as_bytes()).await.unwrap();
    let line = b"{\"id\":7}\n";
    let many = line.repeat(1000);
    let (mut accepted, most) = (0, 20_000_000);
    while accepted < most {
        let part = &many[accepted % line.len()..];
        match tokio::time::timeout(Duration::from_secs(2), socket.write(part)).await {
            Ok(written) => accepted += written.unwrap(),
            Err(_stalled) => break,
        }
    }
    assert!(accepted < most, "it takes everything: {accepted} bytes");
    // Others are served meanwhile.
    let (other, _) = soon("another client joins", join(listening.path(), Tasks::All)).await.unwrap();
    assert_eq!(other.snapshot().agents.len(), 1);
    // Once it reads, every request that was taken is answered.
    let (read, mut write) = socket.into_split();
    let rest = line.len() - accepted % line.len();
    let finish = async { write.write_all(&line[line.len() - rest..]).await.unwrap() };
    let mut lines = BufReader::new(read).lines();
    let expected = accepted / line.len() + 1;
    let read = async {
        assert!(lines.next_line().await.unwrap().unwrap().contains("hello"));
        for _ in 0..expected {
            assert!(lines.next_line().await.unwrap().unwrap().contains("not understood"));
        }
    };
    soon("every answer", async { tokio::join!(finish, read) }).await;
    // The oldest story ends where a client follows too many.
    let job = job.0.to_string();
    for id in 100..165 {
        write.write_all(format!("{{\"id\":{id},\"follow\":\"{job}\"}}\n").as_bytes()).await.unwrap();
    }
    soon("the end of the oldest story", async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if line.contains("\"end\":true") {
                assert!(line.contains("\"id\":100,"), "{line}");
                return;
            }
        }
    })
    .await;
    engine.stop().await;
}

/// Starts `serve`, perhaps under a shell, and waits until it listens.
async fn serve(
    umask: &str,
    data: &Path,
    temporary: &Path,
) -> Result<(tokio::process::Child, String), String> {
    let real = binary();
    let mut command = tokio::process::Command::new("sh");
    command.arg("-c").arg(format!("umask {umask}; exec \"$0\" \"$@\"")).arg(real.as_std().get_program());
    command.arg("--data-dir").arg(data).arg("serve").env("TMPDIR", temporary).env("HOME", temporary);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    if let Some(ready) = soon("a serve that is ready or has ended", lines.next_line()).await.unwrap() {
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        return Ok((child, ready["socket"].as_str().unwrap().to_owned()));
    }
    let ended = soon("the end of a serve", child.wait_with_output()).await.unwrap();
    Err(String::from_utf8_lossy(&ended.stderr).into_owned())
}

fn mode(path: impl AsRef<Path>) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_socket_is_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (_child, socket) = serve(umask, &data, dir.path()).await.unwrap();
        assert_eq!((mode(&socket), mode(&data)), (0o600, 0o700), "{umask}");
        assert!(!data.join("engine.new").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_short_socket_paths_is_private_and_not_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d".repeat(100));
    let short = dir.path().join(format!("quarterdeck-{}", rustix::process::geteuid().as_raw()));
    let (child, socket) = serve("000", &data, dir.path()).await.unwrap();
    assert!(Path::new(&socket).starts_with(&short), "{socket}");
    assert_eq!((mode(&socket), mode(&short)), (0o600, 0o700));
    drop(child);
    std::fs::remove_dir_all(&short).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &short).unwrap();
    let error = serve("022", &data, dir.path()).await.unwrap_err();
    assert!(error.contains(&format!("{} is not a folder of this user", short.display())), "{error}");
    assert!(std::fs::read_dir(&elsewhere).unwrap().next().is_none());
    std::fs::remove_file(&short).unwrap();
    std::fs::create_dir(&short).unwrap();
    std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = serve("022", &data, dir.path()).await.unwrap_err();
    assert!(error.contains("is open to others; run chmod 700"), "{error}");
}

/// Needs root, to become another user, and python3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_to_a_socket_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: nobody but root can play another user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let socket = dir.path().join("engine.sock");
    let listener = "import socket, sys\n\
        server = socket.socket(socket.AF_UNIX)\n\
        server.bind(sys.argv[1])\n\
        server.listen()\n\
        print('ready', flush=True)\n\
        for _ in range(2):\n    peer, _ = server.accept()\n    print(peer.recv(4096), flush=True)\n    peer.close()\n";
    let mut command = tokio::process::Command::new("python3");
    command.args(["-c", listener]).arg(&socket).uid(65534).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let Ok(mut fake) = command.spawn() else {
        println!("skipped: python3 is missing");
        return;
    };
    let mut lines = BufReader::new(fake.stdout.take().unwrap()).lines();
    assert_eq!(soon("the fake engine", lines.next_line()).await.unwrap().unwrap(), "ready");
    let error = join(&socket, Tasks::All).await.unwrap_err();
    assert!(matches!(error, JoinError::OtherUser(_)), "{error}");
    assert!(error.to_string().contains("a process of another user, and nothing was sent to it"), "{error}");
    assert!(!quarterdeck::engine::handle::remote::ask_to_hand_over(&socket).await);
    for _ in 0..2 {
        assert_eq!(soon("what it heard", lines.next_line()).await.unwrap().unwrap(), "b''");
    }
}
