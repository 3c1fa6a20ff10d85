//! The agents of P1: a tiny server that streams A2A 1.0 frames, one HTTP chunk each, as fast as they are read.
//!
//! It is a process of its own, so that its processor time is nobody's, and prints its port once it listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::measure::{Fault, stay_on};

/// Streams that run at once; none begins before all are open.
pub const STREAMS: usize = 100;
/// Frames that are made once for a stream and sent again and again, each time with other message ids.
const BLOCK: usize = 256;
/// How often they are sent, and how often by the agents of [`SHORT`].
const BLOCKS: usize = 24;
const FEW_BLOCKS: usize = 2;
/// Events of one stream: the task, the beginning of its output, the blocks, the end.
pub const EVENTS: usize = BLOCK * BLOCKS + 3;
/// Events of a short stream, about as many as the limits were measured with.
pub const FEW_EVENTS: usize = BLOCK * FEW_BLOCKS + 3;
/// How the paths of agents begin whose streams are short.
pub const SHORT: &str = "/short";
/// How the paths of agents begin that say that they work, and then nothing.
pub const IDLE: &str = "/idle";
/// Each so manieth event is a status with a message; the others are chunks of an output.
const STATUS_EVERY: usize = 8;

/// Serves until it is killed.
pub fn serve() -> Result<(), Fault> {
    stay_on(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        println!("{port}");
        let agents = Arc::new(Agents { port, next: AtomicU64::new(0), open: watch::Sender::new(0) });
        loop {
            let (stream, _) = listener.accept().await?;
            let agents = agents.clone();
            // A client that goes away ends its connection, nothing else.
            tokio::spawn(async move { agents.connection(stream).await });
        }
    })
}

/// The size of the average frame, as it is told beside the figures.
pub fn average() -> usize {
    let (block, _) = block("\"1\"", &task_id(0));
    block.len() / BLOCK
}

struct Agents {
    port: u16,
    next: AtomicU64,
    /// Streams that were ever opened.
    open: watch::Sender<u64>,
}

impl Agents {
    async fn connection(&self, mut stream: TcpStream) -> Result<(), Fault> {
        stream.set_nodelay(true)?;
        let mut bytes = Vec::new();
        loop {
            let Some((path, body)) = request(&mut stream, &mut bytes).await? else { return Ok(()) };
            if body.is_empty() {
                let card = card(&path, &format!("http://127.0.0.1:{}", self.port));
                document(&mut stream, &card).await?;
                continue;
            }
            let body: Value = serde_json::from_slice(&body)?;
            let id = body["id"].to_string();
            match body["method"].as_str() {
                Some("SendStreamingMessage") if path.starts_with(IDLE) => {
                    self.idle(&mut stream, &id, &mut bytes).await?;
                }
                Some("SendStreamingMessage") => {
                    let blocks = if path.starts_with(SHORT) { FEW_BLOCKS } else { BLOCKS };
                    self.stream(&mut stream, &id, blocks).await?;
                }
                Some("GetTask") => {
                    let task = body["params"]["id"].as_str().unwrap_or_default();
                    let state =
                        if path.starts_with(IDLE) { "TASK_STATE_WORKING" } else { "TASK_STATE_COMPLETED" };
                    let result = task_json(task, state);
                    document(&mut stream, &envelope(&id, "result", &result)).await?;
                }
                _ => {
                    let error = r#"{"code":-32601,"message":"method not found"}"#;
                    document(&mut stream, &envelope(&id, "error", error)).await?;
                }
            }
        }
    }

    async fn stream(&self, stream: &mut TcpStream, id: &str, blocks: usize) -> Result<(), Fault> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let task = task_id(number);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let mut out = head.as_bytes().to_vec();
        let begin = format!(r#"{{"task":{}}}"#, task_json(&task, "TASK_STATE_SUBMITTED"));
        push_chunk(&mut out, &envelope(id, "result", &begin));
        let output = r#"{"artifactId":"art-1","name":"report.md","parts":[{"text":"report\n"}]}"#;
        push_chunk(
            &mut out,
            &envelope(id, "result", &update(&task, "artifactUpdate", "artifact", output, "")),
        );
        stream.write_all(&out).await?;
        self.everybody(number).await?;
        let (mut block, places) = block(id, &task);
        let mut message = 0;
        for _ in 0..blocks {
            for place in &places {
                message += 1;
                block[*place..*place + 8].copy_from_slice(format!("{message:08}").as_bytes());
            }
            stream.write_all(&block).await?;
        }
        out.clear();
        let status = r#"{"state":"TASK_STATE_COMPLETED","timestamp":"2026-11-22T08:24:08.000Z"}"#;
        push_chunk(&mut out, &envelope(id, "result", &update(&task, "statusUpdate", "status", status, "")));
        out.extend_from_slice(b"0\r\n\r\n");
        stream.write_all(&out).await?;
        Ok(())
    }

    /// A stream on which nothing comes, until it is closed.
    async fn idle(&self, stream: &mut TcpStream, id: &str, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let task = task_id(self.next.fetch_add(1, Ordering::Relaxed));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let mut out = head.as_bytes().to_vec();
        let begin = format!(r#"{{"task":{}}}"#, task_json(&task, "TASK_STATE_WORKING"));
        push_chunk(&mut out, &envelope(id, "result", &begin));
        stream.write_all(&out).await?;
        while stream.read_buf(bytes).await? > 0 {}
        Ok(())
    }

    /// Waits until all streams of a round are open.
    async fn everybody(&self, number: u64) -> Result<(), Fault> {
        let round = number / STREAMS as u64 + 1;
        self.open.send_modify(|open| *open += 1);
        self.open.subscribe().wait_for(|open| *open >= round * STREAMS as u64).await?;
        Ok(())
    }
}

/// Reads one request: its path and its body. `bytes` keeps what belongs to the next one.
pub async fn request(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
) -> Result<Option<(String, Vec<u8>)>, Fault> {
    let head = loop {
        if let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..end + 4).collect())?;
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.unwrap_or(0);
    while bytes.len() < length {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    Ok(Some((path, bytes.drain(..length).collect())))
}

pub async fn document(stream: &mut TcpStream, text: &str) -> Result<(), Fault> {
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{text}"
    );
    Ok(stream.write_all(answer.as_bytes()).await?)
}

/// The card that is asked for at `path`.
pub fn card(path: &str, origin: &str) -> String {
    card_with(path, origin, "write")
}

/// The same, of an agent with this skill.
pub fn card_with(path: &str, origin: &str, skill: &str) -> String {
    let agent = path.split("/.well-known").next().unwrap_or_default();
    let card = json!({
        "name": format!("writer {agent}"),
        "description": "writes as fast as it is read",
        "version": "1",
        "supportedInterfaces": [{
            "url": format!("{origin}{agent}"),
            "protocolBinding": "JSONRPC",
            "protocolVersion": "1.0",
        }],
        "capabilities": {"streaming": true},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": skill, "name": skill, "description": skill, "tags": []}],
    });
    card.to_string()
}

pub fn task_id(number: u64) -> String {
    format!("7d1a10e4-4000-467f-a8d0-{number:012x}")
}

const CONTEXT: &str = "8f14e45f-ceea-467f-a8d0-3c2e5b7d1a10";

pub fn task_json(id: &str, state: &str) -> String {
    format!(
        r#"{{"id":"{id}","contextId":"{CONTEXT}","status":{{"state":"{state}","timestamp":"2026-11-22T08:24:08.000Z"}}}}"#
    )
}

pub fn envelope(id: &str, kind: &str, value: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"{kind}":{value}}}"#)
}

pub fn update(task: &str, kind: &str, of: &str, value: &str, more: &str) -> String {
    format!(r#"{{"{kind}":{{"taskId":"{task}","contextId":"{CONTEXT}","{of}":{value}{more}}}}}"#)
}

/// One event as one HTTP chunk.
pub fn push_chunk(out: &mut Vec<u8>, data: &str) {
    let event = format!("data: {data}\n\n");
    out.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
}

/// The frames of a block, and where in it the numbers of its messages are.
fn block(id: &str, task: &str) -> (Vec<u8>, Vec<usize>) {
    const WORDS: [&str; 12] = [
        "the agent ",
        "reads the ",
        r"document\n",
        "and writes ",
        r#"\"a summary\" "#,
        "of the quarter ",
        "with figures, ",
        "tables ",
        "and links; ",
        "then it ",
        "asks for ",
        "more ",
    ];
    const MARK: &str = "m-00000000";
    let (mut out, mut places) = (Vec::new(), Vec::new());
    for event in 0..BLOCK {
        let from = out.len();
        let result = if event % STATUS_EVERY == 0 {
            let status = format!(
                r#"{{"state":"TASK_STATE_WORKING","timestamp":"2026-11-22T08:24:07.{event:03}Z","message":{{"role":"ROLE_AGENT","messageId":"{MARK}","parts":[{{"text":"step {event}: calling tool search"}}]}}}}"#
            );
            update(task, "statusUpdate", "status", &status, "")
        } else {
            let text: String = (0..3 + event % 7).map(|word| WORDS[(event + word) % WORDS.len()]).collect();
            let output =
                format!(r#"{{"artifactId":"art-1","name":"report.md","parts":[{{"text":"{text}"}}]}}"#);
            update(task, "artifactUpdate", "artifact", &output, r#","append":true,"lastChunk":false"#)
        };
        push_chunk(&mut out, &envelope(id, "result", &result));
        if let Some(at) = memchr::memmem::find(&out[from..], MARK.as_bytes()) {
            places.push(from + at + "m-".len());
        }
    }
    (out, places)
}
