//! Agents that attack memory: each is held to its limit, stays in the fleet with the cause, and harms nobody beside it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use quarterdeck::demo::Behaviour;
use quarterdeck::domain::agent::Health;
use quarterdeck::domain::cause::{Cause, Limit};
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::domain::limits;

use super::support::{agent_of, engine, fleet, part, send, task_of, until};

/// A card that is over its limit is refused by its name, and the agent stays in the fleet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_over_the_limit_is_named() {
    let over = [
        ("huge", Behaviour::HugeCard),
        ("endless", Behaviour::EndlessCard),
        ("bomb", Behaviour::GzipBombCard),
        ("skills", Behaviour::TooManySkills),
    ];
    let mut parts: Vec<_> = over.iter().map(|(name, behaviour)| part(name, *behaviour)).collect();
    parts.push(part("many", Behaviour::ManySkills));
    parts.push(part("good", Behaviour::Steady));
    let fleet = fleet(parts);
    let engine = engine(&fleet, None);
    let handle = engine.handle();
    for (name, _) in over {
        until(&handle, &format!("the cause of {name}"), |snapshot| {
            let agent = agent_of(snapshot, name)?;
            (agent.cause.as_deref() == Some(&Cause::Limit(Limit::Card))).then_some(())
        })
        .await;
    }
    let skills = until(&handle, "a card with many skills", |snapshot| {
        Some(agent_of(snapshot, "many")?.card.as_ref()?.skills.len())
    });
    assert_eq!(skills.await, 20_000);
    until(&handle, "the good agent", |snapshot| {
        (agent_of(snapshot, "good")?.health == Health::Up).then_some(())
    })
    .await;
    engine.stop().await;
}

/// A page of 200,000 tasks is taken up to the limit, in slices, and the other agent's work goes on beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_too_many_tasks_is_taken_in_part() {
    let fleet = fleet(vec![part("page", Behaviour::HugePage), part("good", Behaviour::Steady)]);
    let engine = engine(&fleet, None);
    let handle = engine.handle();
    let (_, attempt) = send(&handle, "good", "work").await;
    until(&handle, "the tasks of the page", |snapshot| {
        let (key, _) = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == "page")?;
        let tasks = snapshot.attempts.iter().filter(|(_, attempt)| attempt.agent == key).count();
        assert!(tasks <= limits::TASKS_IN_PAGE, "{tasks}");
        (tasks == limits::TASKS_IN_PAGE).then_some(())
    })
    .await;
    until(&handle, "the good agent's task", |snapshot| {
        (task_of(snapshot, attempt)?.state == TaskState::Completed).then_some(())
    })
    .await;
    engine.stop().await;
}

/// Of outputs without end as many are taken as one task may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_outputs_end_at_the_limit() {
    let fleet = fleet(vec![part("heap", Behaviour::EndlessArtifacts)]);
    let engine = engine(&fleet, None);
    let handle = engine.handle();
    let (_, attempt) = send(&handle, "heap", "work").await;
    until(&handle, "as many outputs as a task may have", |snapshot| {
        let outputs = usize::from(task_of(snapshot, attempt)?.artifacts);
        assert!(outputs <= limits::ARTIFACTS, "{outputs}");
        (outputs == limits::ARTIFACTS).then_some(())
    })
    .await;
    until(&handle, "a word about the rest", |snapshot| {
        (agent_of(snapshot, "heap")?.violations > 0).then_some(())
    })
    .await;
    engine.stop().await;
}

/// The headless demo names the behaviour of each agent: one good agent and as many hostile ones as are asked for.
#[test]
fn the_demo_command_starts_the_requested_number_of_hostile_agents() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["demo", "--headless", "--scenario", "hostile", "--agents", "30", "--no-work"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines().take(31);
    let behaviours: Vec<String> = lines
        .map(|line| {
            let agent: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            agent["behaviour"].as_str().unwrap().to_owned()
        })
        .collect();
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert_eq!(behaviours.iter().filter(|behaviour| *behaviour == "steady").count(), 1);
    for behaviour in ["hostile", "huge-card", "gzip-bomb", "huge-page", "endless-chunks", "wrong-shapes"] {
        assert!(behaviours.iter().any(|known| known == behaviour), "{behaviour}: {behaviours:?}");
    }
    let refused = Command::new(env!("CARGO_BIN_EXE_quarterdeck"))
        .args(["demo", "--headless", "--scenario", "storm", "--agents", "3"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
