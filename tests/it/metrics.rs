//! What is measured on real sockets: counts that add up, minutes that survive a restart, objectives that are missed.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck::demo::Behaviour;
use quarterdeck::domain::id::AgentId;
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::domain::metrics::objective::Objective;
use quarterdeck::domain::metrics::{Block, Minute, MinuteRange, Tally};
use quarterdeck::domain::problem::Kind;
use quarterdeck::engine::{Answer, Handle, Query};

use crate::support::{agent_of, attempt_of, engine, engine_with, fleet, known, part, rules, send, until};

/// Everything of an agent that is known of the last hour.
async fn of(handle: &Handle, agent: AgentId) -> Tally {
    let query = Query::Metrics(MinuteRange::since(Minute(0)));
    let Ok(Answer::Metrics(blocks)) = handle.query(query).await else { panic!("no metrics") };
    let mut all = Block::default();
    for (_, block) in &blocks {
        all.merge(block);
    }
    all.total(|series| series.agent == agent)
}

/// A task from its beginning to its end, and how it ended.
async fn ended(handle: &Handle, agent: &str) -> TaskState {
    let (_, attempt) = send(handle, agent, "work").await;
    until(handle, &format!("the end of a task of {agent}"), |snapshot| {
        let task = attempt_of(snapshot, attempt)?.task.as_ref()?;
        task.settled.then(|| task.state.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_counted_and_survive_a_restart() {
    let fleet = fleet(vec![part("good", Behaviour::Steady), part("bad", Behaviour::Failing)]);
    let dir = tempfile::tempdir().unwrap();
    let first = engine(&fleet, Some(dir.path()));
    let handle = first.handle();
    let (good, bad) = (known(&handle, "good").await, known(&handle, "bad").await);
    for _ in 0..3 {
        assert_eq!(ended(&handle, "good").await, TaskState::Completed);
    }
    let failed = u32::from(ended(&handle, "bad").await == TaskState::Failed);
    let of_good = of(&handle, good).await;
    assert_eq!((of_good.begun, of_good.ok, of_good.bad()), (3, 3, 0), "{of_good:?}");
    assert_eq!((of_good.took.count(), of_good.first.count()), (3, 3), "{of_good:?}");
    assert!(of_good.took.percentile(50) >= of_good.first.percentile(50), "{of_good:?}");
    assert!(of_good.between.count() > 0 && of_good.calls > 0 && of_good.answer.count() > 0, "{of_good:?}");
    assert!(of_good.live >= 1);
    let of_bad = of(&handle, bad).await;
    assert_eq!((of_bad.begun, of_bad.ok, of_bad.failed), (1, 1 - failed, failed), "{of_bad:?}");
    first.stop().await;

    let second = engine(&fleet, Some(dir.path()));
    let handle = second.handle();
    until(&handle, "both are up", |snapshot| {
        let up = |name| agent_of(snapshot, name).is_some_and(|agent| agent.health.takes_work());
        (up("good") && up("bad")).then_some(())
    })
    .await;
    let again = of(&handle, good).await;
    assert_eq!((again.begun, again.ok, again.bad()), (3, 3, 0), "nothing is counted twice: {again:?}");
    assert_eq!(again.took, of_good.took);
    ended(&handle, "good").await;
    assert_eq!(of(&handle, good).await.ok, 4);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_objective_that_is_missed_is_a_problem_of_its_own() {
    let fleet = fleet(vec![part("good", Behaviour::Steady), part("bad", Behaviour::Failing)]);
    let of_agent = |name: &str| Objective {
        skill: None,
        caller: None,
        agent: Some(Arc::from(name)),
        ok: Some(990),
        p95: Some(Duration::from_secs(60)),
    };
    let rules = Rules { objectives: vec![of_agent("good"), of_agent("bad")], ..rules() };
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(&fleet, Some(dir.path()), rules.clone());
    let handle = engine.handle();
    // It fails half of the time.
    for _ in 0..8 {
        ended(&handle, "good").await;
        ended(&handle, "bad").await;
    }
    let text = until(&handle, "an objective is missed", |snapshot| {
        let mut missed =
            snapshot.open_problems().filter(|(_, problem)| problem.kind == Kind::ObjectiveMissed);
        missed.next().map(|(_, problem)| problem.text.line().into_string())
    })
    .await;
    assert!(
        text.starts_with("agent bad: ")
            && text.contains("% succeeded")
            && text.contains("the objective is 99.0 %"),
        "{text}"
    );
    let all = handle.snapshot();
    let missed = all.open_problems().filter(|(_, problem)| problem.kind == Kind::ObjectiveMissed);
    assert_eq!(missed.count(), 1, "and nobody else's");
    engine.stop().await;
    // It is still the same one after a restart, and over where nobody asks for it any more.
    let engine = engine_with(&fleet, Some(dir.path()), rules);
    let count = |snapshot: &quarterdeck::domain::state::snapshot::Snapshot| {
        let all = snapshot.problems.iter().map(|(_, problem)| problem);
        let of: Vec<_> = all.filter(|problem| problem.kind == Kind::ObjectiveMissed).collect();
        (of.len(), of.iter().filter(|problem| problem.cleared.is_none()).count())
    };
    until(&engine.handle(), "it goes on", |snapshot| (count(snapshot) == (1, 1)).then_some(())).await;
    engine.stop().await;
    let engine = engine_with(&fleet, Some(dir.path()), crate::support::rules());
    until(&engine.handle(), "it is over", |snapshot| (count(snapshot).1 == 0).then_some(())).await;
    engine.stop().await;
}
