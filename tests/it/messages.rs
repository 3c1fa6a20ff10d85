//! Messages of jobs, which the journal keeps whole whatever their size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quarterdeck::demo::Behaviour;
use quarterdeck::domain::id::{AgentId, JobId, TaskId};
use quarterdeck::domain::intent::{Intent, Receipt, Send};
use quarterdeck::domain::job::carry::Carry;
use quarterdeck::domain::job::message::{Content, Part};
use quarterdeck::domain::job::plan::JobPhase;
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::domain::job::{Attempt, Job};
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::handle::remote::join;
use quarterdeck::engine::handle::wire::{Hello, Tasks};
use quarterdeck::engine::{Answer, Engine, Handle, Query};
use quarterdeck::serve::socket;

use crate::support::{fleet, known, options, part, rules, send, task_of, until};

/// A text of 1 MiB, and a file of 5 MiB that cannot be compressed.
fn large() -> Vec<Part> {
    let mut random = quarterdeck::domain::id::Rng::new(7);
    let bytes: Vec<u8> = (0..5 * 1024 * 1024 / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    let file = Part {
        content: Content::Raw(STANDARD.encode(bytes).into()),
        filename: Some("noise.bin".into()),
        media_type: Some("application/octet-stream".into()),
        metadata: None,
    };
    vec![Part::text("a long text, ".repeat(1024 * 1024 / 13)), file]
}

fn job_in(snapshot: &Snapshot, id: JobId) -> Option<&Job> {
    snapshot.jobs.iter().find(|(_, job)| job.id == id).map(|(_, job)| job)
}

/// The last attempt of a job.
fn last(snapshot: &Snapshot, id: JobId) -> Option<&Attempt> {
    snapshot.attempts.get(*job_in(snapshot, id)?.attempts.last()?)
}

/// Waits for the task of the attempt of this number, and checks the message with which its agent began it.
async fn arrived(handle: &Handle, agent: AgentId, job: JobId, number: u16) {
    let task: TaskId = until(handle, "its task", |snapshot| {
        let attempt = last(snapshot, job).filter(|attempt| attempt.number == number)?;
        attempt.task.as_ref().map(|task| task.id.clone())
    })
    .await;
    let Ok(Answer::Task(task)) = handle.query(Query::ReadTask { agent, task }).await else {
        panic!("the task cannot be read")
    };
    let task: serde_json::Value = serde_json::from_str(task.raw()).unwrap();
    let parts = task["history"][0]["parts"].as_array().unwrap();
    for (part, sent) in parts.iter().zip(large()) {
        let (Content::Text(whole) | Content::Raw(whole)) = sent.content else { unreachable!() };
        let member = if sent.filename.is_some() { "raw" } else { "text" };
        assert!(part[member].as_str() == Some(whole.raw()), "its {member} has another content");
    }
    assert_eq!(parts.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_survive_the_queue_a_restart_and_the_end_of_their_job() {
    let fleet = fleet(vec![part("one", Behaviour::Silent), part("two", Behaviour::Steady)]);
    let dir = tempfile::tempdir().unwrap();
    let mut specs = fleet.specs();
    specs[0].capacity = Some(1);
    let start = || Engine::start(options(specs.clone(), Some(dir.path()), rules())).unwrap();

    // It waits for the place of another one when the engine stops.
    let engine = start();
    let handle = engine.handle();
    let (_, first) = send(&handle, "one", "takes the only place").await;
    until(&handle, "its task", |snapshot| task_of(snapshot, first).map(|_| ())).await;
    let (one, two) = (known(&handle, "one").await, known(&handle, "two").await);
    let taken = handle.submit(Intent::Send(Box::new(Send::new(one, large())))).await;
    let Ok(Receipt::Taken { job, attempt: None }) = taken else { panic!("{taken:?}") };
    engine.stop().await;

    let engine = start();
    let handle = engine.handle();
    let queued = |snapshot: &Snapshot| job_in(snapshot, job).map(|job| job.phase) == Some(JobPhase::Queued);
    until(&handle, "the job in the queue", |snapshot| queued(snapshot).then_some(())).await;
    // A client of the socket is sent the row with each fact, and without the message.
    let socket = socket::listen(dir.path(), handle.clone(), Hello::default()).unwrap();
    let (console, _) = join(socket.path(), Tasks::All).await.unwrap();
    assert!(job_in(&console.snapshot(), job).is_some_and(|job| job.message.is_none()));
    assert!(job_in(&handle.snapshot(), job).is_some_and(|job| job.message.is_some()));
    drop(socket);
    known(&handle, "one").await;
    handle.submit(Intent::Cancel { attempt: first, why: None }).await.unwrap();
    arrived(&handle, one, job, 1).await;
    let attempt = last(&handle.snapshot(), job).unwrap().id;
    handle.submit(Intent::Cancel { attempt, why: None }).await.unwrap();
    until(&handle, "the end of its job", |snapshot| {
        (job_in(snapshot, job)?.phase == JobPhase::Over).then_some(())
    })
    .await;
    engine.stop().await;

    // The message of a job that is over is in the journal alone.
    let engine = start();
    let handle = engine.handle();
    known(&handle, "two").await;
    assert!(job_in(&handle.snapshot(), job).unwrap().message.is_none());
    let retry = Intent::Retry { attempt, to: Some(two), carry: Carry::default(), why: None };
    handle.submit(retry).await.unwrap();
    arrived(&handle, two, job, 2).await;
    until(&handle, "its result", |snapshot| {
        let task = last(snapshot, job)?.task.as_ref()?;
        (task.state == TaskState::Completed).then_some(())
    })
    .await;
    engine.stop().await;
}

/// A client that says how far it has looked keeps no job that had ended by then, and may ask for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_looks_once_keeps_what_is_open_alone() {
    let fleet = fleet(vec![part("words", Behaviour::MessageOnly), part("quiet", Behaviour::Silent)]);
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(options(fleet.specs(), Some(dir.path()), rules())).unwrap();
    let socket = socket::listen(dir.path(), engine.handle(), Hello::default()).unwrap();
    let (client, _) = join(socket.path(), Tasks::Open).await.unwrap();
    let (_, open) = send(&client, "quiet", "goes on").await;
    until(&client, "its task", |snapshot| task_of(snapshot, open).map(|_| ())).await;
    let mut ended = Vec::new();
    for number in 0..20 {
        client.has_seen(client.snapshot().rev);
        let (job, _) = send(&client, "words", &format!("question {number}")).await;
        until(&client, "its end", |snapshot| (job_in(snapshot, job)?.phase == JobPhase::Over).then_some(()))
            .await;
        ended.push(job);
    }
    client.has_seen(client.snapshot().rev);
    until(&client, "no job that has ended", |snapshot| {
        client.has_seen(snapshot.rev);
        (snapshot.jobs.len() == 1 && snapshot.attempts.len() == 1).then_some(())
    })
    .await;
    let Ok(Answer::Job(Some(rows))) = client.query(Query::Job(ended[0])).await else {
        panic!("the engine knows it")
    };
    assert_eq!((rows.job.id, rows.job.phase, rows.attempts.len()), (ended[0], JobPhase::Over, 1));
    let unknown = client.query(Query::Job(JobId(uuid::Uuid::nil()))).await;
    assert!(matches!(unknown, Ok(Answer::Job(None))));
    drop(socket);
    engine.stop().await;
}
