//! The agents of P2 that offer HTTP/2: over TLS, they say that they work, and then nothing.
//!
//! They are a process of their own, as those of `frames`, and write their authority where they are told to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::frames::{card, envelope, task_id, task_json};
use crate::measure::Fault;

/// Streams of one connection, as usual servers take them.
const STREAMS: u32 = 100;
/// The number of the next task.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Serves until it is killed; `ca` is where the authority is written.
pub fn serve(ca: &Path) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let acceptor = TlsAcceptor::from(Arc::new(certified(ca)?));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        println!("{port}");
        loop {
            let (socket, _) = listener.accept().await?;
            let acceptor = acceptor.clone();
            // A client that goes away ends its connection, nothing else.
            tokio::spawn(async move { connection(&acceptor, socket, port).await });
        }
    })
}

fn certified(ca: &Path) -> Result<ServerConfig, Fault> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    std::fs::write(ca, authority.pem())?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let certificate = params.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

async fn connection(acceptor: &TlsAcceptor, socket: TcpStream, port: u16) -> Result<(), Fault> {
    let socket = acceptor.accept(socket).await?;
    let mut connection = h2::server::Builder::new().max_concurrent_streams(STREAMS).handshake(socket).await?;
    while let Some(asked) = connection.accept().await {
        let (request, respond) = asked?;
        tokio::spawn(async move { answer(request, respond, port).await });
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    port: u16,
) -> Result<(), Fault> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    drop(body);
    if bytes.is_empty() {
        return document(&mut respond, card(&path, &format!("https://localhost:{port}")));
    }
    let body: Value = serde_json::from_slice(&bytes)?;
    let id = body["id"].to_string();
    match body["method"].as_str() {
        Some("SendStreamingMessage") => {
            let task = task_id(NEXT.fetch_add(1, Ordering::Relaxed));
            let begin = format!(r#"{{"task":{}}}"#, task_json(&task, "TASK_STATE_WORKING"));
            let head = Response::builder().header("content-type", "text/event-stream").body(())?;
            let mut out = respond.send_response(head, false)?;
            out.send_data(format!("data: {}\n\n", envelope(&id, "result", &begin)).into(), false)?;
            let _until_it_is_closed = std::future::poll_fn(|cx| out.poll_reset(cx)).await;
            Ok(())
        }
        Some("GetTask") => {
            let task = body["params"]["id"].as_str().unwrap_or_default();
            document(&mut respond, envelope(&id, "result", &task_json(task, "TASK_STATE_WORKING")))
        }
        _ => {
            let error = json!({"code": -32601, "message": "method not found"}).to_string();
            document(&mut respond, envelope(&id, "error", &error))
        }
    }
}

fn document(respond: &mut SendResponse<Bytes>, text: String) -> Result<(), Fault> {
    let head = Response::builder().header("content-type", "application/json").body(())?;
    respond.send_response(head, false)?.send_data(text.into(), true)?;
    Ok(())
}
