//! The engine on real sockets: each behaviour of agents, and how it must be reported.

use quarterdeck::demo::Behaviour;
use quarterdeck::domain::agent::Health;
use quarterdeck::domain::fact::{Fact, FleetFact, Owner};
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::job::Phase;
use quarterdeck::domain::job::message::Part;
use quarterdeck::domain::job::task::{CancelMark, TaskState, Verdict};
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::state::Changed;
use quarterdeck::engine::Handle;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::handle::remote::join;
use quarterdeck::engine::handle::wire::{Hello, Tasks};
use quarterdeck::serve::socket::deltas::Deltas;
use quarterdeck::serve::socket::listen;

use crate::support::{
    agent_of, attempt_of, engine, engine_on, engine_with, fleet, old_part, part, rules, send, task_of, until,
};

/// Checks the result of a task.
#[track_caller]
fn check(
    behaviour: Behaviour,
    old: bool,
    text: &'static str,
    fits: impl Fn(&quarterdeck::domain::job::Attempt) -> bool,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let agent = if old { old_part("one", behaviour) } else { part("one", behaviour) };
        let fleet = fleet(vec![agent]);
        let quick = quarterdeck::domain::input::Rules {
            silent_after: std::time::Duration::from_secs(2),
            stalled_after: std::time::Duration::from_secs(2),
            ..rules()
        };
        let engine = engine_with(&fleet, None, quick);
        let handle = engine.handle();
        let (_, attempt) = send(&handle, "one", text).await;
        until(&handle, &format!("{behaviour:?} {text}"), |snapshot| {
            attempt_of(snapshot, attempt).filter(|attempt| fits(attempt)).map(|_| ())
        })
        .await;
        assert_eq!(fleet.received().1, 0, "nothing is doubled");
        engine.stop().await;
    });
}

fn ends(attempt: &quarterdeck::domain::job::Attempt, state: TaskState, verdict: Option<Verdict>) -> bool {
    attempt.task.as_ref().is_some_and(|task| task.settled && task.state == state && task.verdict == verdict)
}

#[test]
fn a_steady_agent_completes() {
    check(Behaviour::Steady, false, "work", |a| ends(a, TaskState::Completed, None));
    check(Behaviour::Steady, true, "work", |a| ends(a, TaskState::Completed, None));
    check(Behaviour::Slow, false, "work", |a| ends(a, TaskState::Completed, None));
}

#[test]
fn a_stream_cut_within_an_event_is_resumed() {
    check(Behaviour::DropsMidEvent, false, "work", |a| ends(a, TaskState::Completed, None));
    // It is known that the embedded 0.3 agent can be resubscribed to safely.
    check(Behaviour::DropsMidEvent, true, "work", |a| ends(a, TaskState::Completed, None));
}

#[test]
fn a_message_without_a_task_answers_the_job() {
    check(Behaviour::MessageOnly, false, "work", |a| a.phase == Phase::Answered && a.task.is_none());
    check(Behaviour::MessageOnly, true, "work", |a| a.phase == Phase::Answered && a.task.is_none());
}

#[test]
fn a_silent_agent_is_reported_as_silent() {
    check(Behaviour::Silent, false, "work", |a| {
        a.task.as_ref().is_some_and(|t| t.state == TaskState::Working && t.verdict == Some(Verdict::Silent))
    });
}

#[test]
fn a_stream_and_a_store_that_disagree_are_both_shown() {
    for old in [false, true] {
        check(Behaviour::Disagrees, old, "work", |a| {
            ends(a, TaskState::Completed, Some(Verdict::Conflict))
                && a.task.as_ref().is_some_and(|t| t.says.as_deref() == Some(&TaskState::Working))
        });
    }
}

#[test]
fn a_huge_output_is_kept_completely() {
    check(Behaviour::Huge, false, "work", |a| {
        ends(a, TaskState::Completed, None) && a.task.as_ref().is_some_and(|t| t.bytes > 40_000_000)
    });
}

#[test]
fn a_hostile_agent_harms_nobody() {
    for old in [false, true] {
        check(Behaviour::Hostile, old, "one offer", |a| ends(a, TaskState::Completed, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_and_the_task_goes_on() {
    for old in [false, true] {
        let agent =
            if old { old_part("one", Behaviour::NeedsInput) } else { part("one", Behaviour::NeedsInput) };
        let fleet = fleet(vec![agent]);
        let engine = engine(&fleet, None);
        let handle = engine.handle();
        let (_, attempt) = send(&handle, "one", "refund 412 EUR").await;
        until(&handle, "the question", |snapshot| {
            let waits = attempt_of(snapshot, attempt)?.needs_you();
            (waits && snapshot.inbox().len() == 1).then_some(())
        })
        .await;
        let answer = Intent::Answer { attempt, parts: vec![Part::text("approve")], metadata: None };
        handle.submit(answer.clone()).await.unwrap();
        until(&handle, "the end", |snapshot| {
            attempt_of(snapshot, attempt).filter(|a| ends(a, TaskState::Completed, None)).map(|_| ())
        })
        .await;
        assert!(handle.submit(answer).await.is_err(), "an ended task takes no answer");
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_is_verified_or_reported_as_ignored() {
    let fleet = fleet(vec![part("good", Behaviour::Silent), part("deaf", Behaviour::IgnoresCancel)]);
    let engine = engine(&fleet, None);
    let handle = engine.handle();
    let (_, good) = send(&handle, "good", "work").await;
    let (_, deaf) = send(&handle, "deaf", "work").await;
    for attempt in [good, deaf] {
        until(&handle, "the task", |snapshot| {
            task_of(snapshot, attempt).filter(|task| task.state == TaskState::Working).map(|_| ())
        })
        .await;
        handle.submit(Intent::Cancel { attempt, why: None }).await.unwrap();
    }
    until(&handle, "the end that was asked for", |snapshot| {
        let task = task_of(snapshot, good)?;
        (task.state == TaskState::Canceled && task.cancel == Some(CancelMark::Verified)).then_some(())
    })
    .await;
    until(&handle, "the yes", |snapshot| {
        (task_of(snapshot, deaf)?.cancel == Some(CancelMark::Agreed)).then_some(())
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_agent_is_down_within_four_seconds_and_its_tasks_are_stale() {
    let busy = quarterdeck::demo::AgentPart { takes: [600.0, 600.0], ..part("one", Behaviour::Dies) };
    let fleet = fleet(vec![busy, part("two", Behaviour::Steady)]);
    let engine = engine(&fleet, None);
    let handle = engine.handle();
    let (_, attempt) = send(&handle, "one", "work").await;
    until(&handle, "work", |snapshot| {
        task_of(snapshot, attempt).filter(|task| task.state == TaskState::Working).map(|_| ())
    })
    .await;
    fleet.kill("one");
    let killed = tokio::time::Instant::now();
    until(&handle, "the death", |snapshot| {
        let down = agent_of(snapshot, "one")?.health == Health::Down;
        let stale = task_of(snapshot, attempt)?.verdict == Some(Verdict::Stale);
        let raised = snapshot.open_problems().any(|(_, problem)| problem.kind == Kind::AgentDown);
        (down && stale && raised).then_some(())
    })
    .await;
    assert!(killed.elapsed() < std::time::Duration::from_secs(4), "it took {:?}", killed.elapsed());
    let open = handle.snapshot();
    assert_eq!(open.open_problems().filter(|(_, p)| p.kind == Kind::AgentDown).count(), 1);
    assert_eq!(agent_of(&open, "two").map(|agent| agent.health), Some(Health::Up));
    fleet.revive("one").await;
    until(&handle, "its return", |snapshot| {
        let up = agent_of(snapshot, "one")?.health == Health::Up;
        let ended = task_of(snapshot, attempt)?.state == TaskState::Completed;
        let cleared = snapshot.open_problems().all(|(_, problem)| problem.kind != Kind::AgentDown);
        (up && ended && cleared).then_some(())
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_forgets_has_lost_its_tasks() {
    let fleet = fleet(vec![quarterdeck::demo::AgentPart {
        takes: [300.0, 300.0],
        ..part("one", Behaviour::Forgets)
    }]);
    let engine = engine(&fleet, None);
    let handle = engine.handle();
    let (_, attempt) = send(&handle, "one", "work").await;
    until(&handle, "work", |snapshot| {
        task_of(snapshot, attempt).filter(|task| task.state == TaskState::Working).map(|_| ())
    })
    .await;
    fleet.kill("one");
    fleet.revive("one").await;
    until(&handle, "the loss", |snapshot| {
        let lost = task_of(snapshot, attempt)?.verdict == Some(Verdict::Lost);
        let raised = snapshot.open_problems().any(|(_, problem)| problem.kind == Kind::TaskLost);
        (lost && raised).then_some(())
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_other_clients_are_found_and_followed() {
    let mut caller = part("caller", Behaviour::Steady);
    caller.delegates = vec![quarterdeck::demo::scenario::Delegation {
        to: "worker".into(),
        text: "for {text}".into(),
        after: 0.1,
        one_in: 1,
    }];
    let fleet = fleet(vec![caller, part("worker", Behaviour::Slow)]);
    let engine = engine(&fleet, None);
    let handle = engine.handle();
    let (_, attempt) = send(&handle, "caller", "Ana").await;
    let (title, caller, parent, task) = until(&handle, "the delegated task", |snapshot| {
        let worker = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == "worker")?.0;
        let (_, found) = snapshot.attempts.iter().find(|(_, attempt)| attempt.agent == worker)?;
        let job = snapshot.job_of(found)?;
        let done = found.task.as_ref()?.state == TaskState::Completed;
        let parent = task_of(snapshot, attempt)?.id.clone();
        done.then(|| (job.title.raw().to_owned(), job.caller.clone(), job.parent.clone(), parent))
    })
    .await;
    assert_eq!(title, "for Ana");
    assert_eq!(caller.map(|caller| caller.raw().to_owned()).as_deref(), Some("caller"));
    assert_eq!(parent, Some(task));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(vec![part("one", Behaviour::Silent), part("two", Behaviour::Steady)]);
    let first = engine(&fleet, Some(dir.path()));
    let handle = first.handle();
    let (_, silent) = send(&handle, "one", "work").await;
    let (_, steady) = send(&handle, "two", "work").await;
    until(&handle, "both", |snapshot| {
        let working = task_of(snapshot, silent)?.state == TaskState::Working;
        let done = attempt_of(snapshot, steady).is_some_and(|a| ends(a, TaskState::Completed, None));
        (working && done).then_some(())
    })
    .await;
    drop(handle);
    first.stop().await;
    let second = engine(&fleet, Some(dir.path()));
    let handle = second.handle();
    let snapshot = handle.snapshot();
    assert_eq!(task_of(&snapshot, steady).map(|task| &task.state), Some(&TaskState::Completed));
    assert!(
        task_of(&snapshot, silent).is_some_and(|task| task.gap_since().is_some() || task.verdict.is_some())
    );
    until(&handle, "the task again", |snapshot| {
        let task = task_of(snapshot, silent)?;
        (task.state == TaskState::Working && task.verdict.is_none() && task.gap_since().is_none())
            .then_some(())
    })
    .await;
    assert_eq!(fleet.received(), (2, 0));
    second.stop().await;
}

/// A separate process that can be stopped, like a machine that hangs.
struct Process {
    child: tokio::process::Child,
    urls: Vec<String>,
}

impl Process {
    async fn start(agents: usize) -> Self {
        use tokio::io::AsyncBufReadExt as _;
        let mut child = crate::kill::binary()
            .args(["demo", "--headless", "--no-work", "--agents", &agents.to_string()])
            .spawn()
            .unwrap();
        let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let mut urls = Vec::new();
        while urls.len() < agents {
            let line = lines.next_line().await.unwrap().expect("a line per agent");
            let agent: serde_json::Value = serde_json::from_str(&line).unwrap();
            urls.push(agent["url"].as_str().unwrap().to_owned());
        }
        Self { child, urls }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_agent_is_down_within_its_interval_and_ten_seconds() {
    use quarterdeck::domain::agent::Source;
    let process = Process::start(1).await;
    let spec = quarterdeck::config::Agent::at(process.urls[0].as_str()).spec(Source::CommandLine);
    let well = fleet(vec![part("well", Behaviour::Slow)]);
    let specs = well.specs().into_iter().chain([spec]).collect();
    let engine = engine_on(specs, CredentialBook::default(), None, rules());
    let handle = engine.handle();
    let frozen = |snapshot: &quarterdeck::domain::state::snapshot::Snapshot| {
        snapshot
            .agents
            .iter()
            .find(|(_, agent)| *agent.spec.url == process.urls[0])
            .map(|(_, agent)| agent.health)
    };
    until(&handle, "it up", |snapshot| (frozen(snapshot)? == Health::Up).then_some(())).await;
    let (_, attempt) = send(&handle, "well", "work").await;
    process.signal(rustix::process::Signal::STOP);
    let stopped = tokio::time::Instant::now();
    until(&handle, "it down", |snapshot| (frozen(snapshot)? == Health::Down).then_some(())).await;
    let took = stopped.elapsed();
    assert!(took < rules().probe_interval + std::time::Duration::from_secs(10), "it took {took:?}");
    // The other agent is not delayed by it.
    until(&handle, "the other's work", |snapshot| {
        task_of(snapshot, attempt).filter(|task| task.state == TaskState::Completed).map(|_| ())
    })
    .await;
    process.signal(rustix::process::Signal::CONT);
    until(&handle, "it up again", |snapshot| (frozen(snapshot)? == Health::Up).then_some(())).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_from_a_joined_console_are_attributed_to_their_operator() {
    let fleet = fleet(vec![part("silent", Behaviour::Silent)]);
    let engine = engine_with(&fleet, None, rules());
    let dir = tempfile::tempdir().unwrap();
    let listening = listen(&dir.path().join("own"), engine.handle(), Hello::default()).unwrap();
    let (joined, _) = join(listening.path(), Tasks::All).await.unwrap();
    let long = "x".repeat(500);
    let mut attempts = Vec::new();
    for _ in 0..3 {
        attempts.push(send(&engine.handle(), "silent", "work").await.1);
    }
    for (attempt, handle) in attempts.iter().zip([
        joined.clone().acting_as("mia\u{1b}[2J\n"),
        joined.clone().acting_as(&long),
        joined.clone().acting_as(" "),
    ]) {
        let attempt = *attempt;
        until(&joined, "a task", |snapshot| {
            let row = snapshot.attempts.iter().find(|(_, row)| row.id == attempt)?.1;
            row.task.as_ref().map(|_| ())
        })
        .await;
        handle.submit(Intent::Cancel { attempt, why: None }).await.unwrap();
    }
    let query = quarterdeck::engine::Query::Facts { owner: Owner::Fleet, limit: 1000 };
    let Ok(quarterdeck::engine::Answer::Facts(facts)) = joined.query(query).await else { panic!() };
    let acted = facts.iter().filter_map(|entry| match &entry.fact {
        Fact::Fleet(FleetFact::Acted { .. }) => entry.actor.as_ref().map(|by| by.raw().to_owned()),
        _ => None,
    });
    let unnamed = "unnamed".to_owned();
    assert_eq!(acted.collect::<Vec<_>>(), ["mia␛[2J".to_owned(), "x".repeat(64), unnamed]);
    engine.stop().await;
}

/// A client that needs no ended tasks does not receive a hundred thousand of them, but it receives every change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_joins_for_open_tasks_gets_those_and_changes() {
    let fleet = fleet(vec![part("steady", Behaviour::Steady), part("silent", Behaviour::Silent)]);
    let engine = engine_with(&fleet, None, rules());
    let own = engine.handle();
    let dir = tempfile::tempdir().unwrap();
    let listening = listen(&dir.path().join("own"), own.clone(), Hello::default()).unwrap();
    let (_, over) = send(&own, "steady", "work").await;
    let (_, open) = send(&own, "silent", "work").await;
    until(&own, "one over, one open", |snapshot| {
        let known = task_of(snapshot, open).is_some();
        (known && task_of(snapshot, over)?.state == TaskState::Completed).then_some(())
    })
    .await;
    let (all, _) = join(listening.path(), Tasks::All).await.unwrap();
    let (few, _) = join(listening.path(), Tasks::Open).await.unwrap();
    let known = |handle: &Handle| {
        let snapshot = handle.snapshot();
        [over, open].map(|id| snapshot.attempts.iter().any(|(_, row)| row.id == id))
    };
    assert_eq!((known(&all), known(&few)), ([true, true], [false, true]));
    assert_eq!((all.snapshot().agents.len(), few.snapshot().agents.len()), (2, 2));
    // A client that was slow receives everything again, because tasks that it has may be over in the meantime.
    let mut deltas = Deltas::new(Tasks::Open);
    let key = own.snapshot().attempts.iter().find(|(_, row)| row.id == open).unwrap().0;
    assert!(deltas.next(&own.snapshot(), None).contains(&Changed::Attempt(key)));
    own.submit(Intent::Cancel { attempt: open, why: None }).await.unwrap();
    until(&own, "the end", |snapshot| task_of(snapshot, open)?.state.is_terminal().then_some(())).await;
    assert!(deltas.next(&own.snapshot(), None).contains(&Changed::Attempt(key)));
    let news = deltas.next(&own.snapshot(), Some(vec![Changed::Attempt(key)]));
    assert_eq!(news, [Changed::Attempt(key)], "changes to rows that it has");
    // Rows that it has may be gone; a client that has nothing yet is not notified of that.
    let mut pruned = (*own.snapshot()).clone();
    let job = pruned.attempts.remove(key).unwrap().job;
    pruned.jobs.remove(job);
    for which in [Tasks::All, Tasks::Open] {
        let mut deltas = Deltas::new(which);
        for is_reported in [false, true] {
            let news = deltas.next(&pruned, None);
            let is = |changed| news.contains(&changed);
            assert_eq!(
                (is(Changed::Attempt(key)), is(Changed::Job(job))),
                (is_reported, is_reported),
                "{which:?}"
            );
        }
    }
    let (job, new) = send(&few, "steady", "more").await;
    until(&few, "the end of what was sent", |snapshot| {
        let row = snapshot.attempts.iter().find(|(_, row)| row.id == new)?.1;
        let whole = snapshot.job_of(row)?.id == job;
        (whole && task_of(snapshot, new)?.state == TaskState::Completed).then_some(())
    })
    .await;
    engine.stop().await;
}

/// An agent of 1.0 whose answers to some methods have the wrong shape. A task works until it has been read once.
struct WrongShapes {
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl WrongShapes {
    /// `wrong` is the method, how many of its answers are wrong, and their `result`.
    async fn start(wrong: (&'static str, u32, &'static str)) -> Self {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let own = url.clone();
        let server = tokio::spawn(async move {
            let (mut lies, mut reads) = (0, 0);
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                let request = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let length = head.lines().find_map(|line| {
                            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                        });
                        if body.len() >= length.unwrap_or(0) {
                            break text;
                        }
                    }
                    if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                        break String::new();
                    }
                };
                let is = |method: &str| request.contains(&format!("\"{method}\""));
                // A cancel that is never confirmed needs a task that goes on.
                let working = if wrong.0 == "CancelTask" { u32::MAX } else { 1 };
                let state = if reads < working { "WORKING" } else { "COMPLETED" };
                let task = format!(r#"{{"id":"t","status":{{"state":"TASK_STATE_{state}"}}}}"#);
                let result = if request.starts_with("GET") {
                    None
                } else if is(wrong.0) && !request.contains(quarterdeck::net::NOBODYS_TASK) && lies < wrong.1 {
                    lies += 1;
                    Some(wrong.2.to_owned())
                } else if is("ListTasks") {
                    Some(r#"{"tasks":[]}"#.to_owned())
                } else if is("SendMessage") {
                    Some(format!(r#"{{"task":{task}}}"#))
                } else {
                    reads += u32::from(is("GetTask") && !request.contains(quarterdeck::net::NOBODYS_TASK));
                    Some(task)
                };
                let body = result.map_or_else(
                    || {
                        format!(
                            r#"{{"name":"wrong","version":"1","skills":[],"capabilities":{{}},"supportedInterfaces":[{{"url":"{own}","protocolBinding":"JSONRPC","protocolVersion":"1.0"}}]}}"#
                        )
                    },
                    |result| format!(r#"{{"jsonrpc":"2.0","id":"1","result":{result}}}"#),
                );
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _whoever_has_gone = connection.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, server }
    }
}

/// Checks the result of sending to such an agent. If the agent creates a task and `cancels` is set, a cancel is
/// requested too.
async fn check_shape(
    wrong: (&'static str, u32, &'static str),
    cancels: bool,
    fits: impl Fn(&quarterdeck::domain::job::Attempt) -> bool,
) {
    use quarterdeck::domain::agent::Source;
    let agent = WrongShapes::start(wrong).await;
    let spec = quarterdeck::config::Agent::at(agent.url.as_str()).spec(Source::CommandLine);
    let engine = engine_on(vec![spec], CredentialBook::default(), None, rules());
    let handle = engine.handle();
    let (_, attempt) = send(&handle, "wrong", "work").await;
    if cancels {
        until(&handle, "a task", |snapshot| task_of(snapshot, attempt).map(|_| ())).await;
        handle.submit(Intent::Cancel { attempt, why: None }).await.unwrap();
    }
    until(&handle, &format!("{wrong:?}"), |snapshot| {
        attempt_of(snapshot, attempt).filter(|attempt| fits(attempt)).map(|_| ())
    })
    .await;
    engine.stop().await;
    agent.server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_the_wrong_shape_ends_its_call() {
    let page = r#"{"tasks":[]}"#;
    let message = r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"no"}]}}"#;
    let task = r#"{"task":{"id":"t","status":{"state":"TASK_STATE_WORKING"}}}"#;
    check_shape(("SendMessage", 99, page), false, |a| a.phase == Phase::Uncertain).await;
    check_shape(("SendMessage", 99, "null"), false, |a| a.phase == Phase::Uncertain).await;
    let unconfirmed = |a: &quarterdeck::domain::job::Attempt| {
        a.task.as_ref().is_some_and(|task| task.cancel == Some(CancelMark::Unconfirmed))
    };
    check_shape(("CancelTask", 99, page), true, unconfirmed).await;
    check_shape(("CancelTask", 99, message), true, unconfirmed).await;
    check_shape(("GetTask", 1, message), false, |a| ends(a, TaskState::Completed, None)).await;
    check_shape(("GetTask", 1, page), false, |a| ends(a, TaskState::Completed, None)).await;
    check_shape(("ListTasks", 99, task), false, |a| ends(a, TaskState::Completed, None)).await;
}

/// A note changes no row, and is published all the same: views that show it read it then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_is_published_though_it_changes_no_row() {
    let engine = engine_on(Vec::new(), CredentialBook::default(), None, rules());
    let handle = engine.handle();
    let before = handle.snapshot().fleet_seq;
    let note =
        Intent::Note { problem: None, agent: None, attempt: None, by: "mia".into(), text: "seen".into() };
    handle.submit(note).await.unwrap();
    until(&handle, "the note", |snapshot| (snapshot.fleet_seq > before).then_some(())).await;
    engine.stop().await;
}
