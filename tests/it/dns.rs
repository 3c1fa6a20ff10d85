//! SRV records, as a server of a test's own answers them over UDP.

use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record};
use quarterdeck::config::AgentSource;
use quarterdeck::domain::fleet::source::SourceKind;
use tokio::net::UdpSocket;

use crate::discovery::{lives, source};

/// What is answered: records, or that something is wrong.
type Zone = Arc<Mutex<Result<Vec<SRV>, ResponseCode>>>;

async fn serve(socket: UdpSocket, zone: Zone) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(asked) = Message::from_vec(&buffer[..length]) else { continue };
        let mut answer = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        let Some(query) = asked.queries.first().cloned() else { continue };
        match &*zone.lock().unwrap() {
            Ok(records) => {
                for srv in records {
                    answer.add_answer(Record::from_rdata(query.name().clone(), 0, RData::SRV(srv.clone())));
                }
            }
            Err(code) => answer.metadata.response_code = *code,
        }
        answer.add_query(query);
        let bytes = answer.to_vec().unwrap();
        let _it_may_be_gone = socket.send_to(&bytes, from).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_name_agents() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let zone: Zone = Arc::new(Mutex::new(Ok(Vec::new())));
    let serving = tokio::spawn(serve(socket, zone.clone()));
    for broken in [ResponseCode::ServFail, ResponseCode::NXDomain] {
        let source = AgentSource { resolver: Some(at), ..source(SourceKind::Dns, "_a2a._tcp.example.com") };
        lives(source, |urls| {
            *zone.lock().unwrap() = match urls {
                None => Err(broken),
                // A lone dot says that there is none.
                Some([]) => Ok(vec![SRV::new(0, 0, 0, Name::root())]),
                Some(urls) => Ok(urls.iter().map(|url| record(url)).collect()),
            };
        })
        .await;
    }
    serving.abort();
}

fn record(url: &str) -> SRV {
    let place = url.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = place.rsplit_once(':').unwrap();
    SRV::new(0, 0, port.parse().unwrap(), Name::from_ascii(format!("{host}.")).unwrap())
}
