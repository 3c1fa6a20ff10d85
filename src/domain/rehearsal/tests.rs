//! Rehearsals say what the core then does: a fleet is played up to a moment, a copy is rehearsed, and then the same happens
//! to the fleet itself.

use std::sync::Arc;

use crate::domain::core::Core;
use crate::domain::decide::routing_tests::{by_skill, fleet, retries, skill};
use crate::domain::decide::testing::{Conduct, Event, Fleet, every};
use crate::domain::id::{AgentId, AttemptId};
use crate::domain::intent::Intent;
use crate::domain::job::carry::Carry;
use crate::domain::job::message::{Message, Part, Role};
use crate::domain::job::plan::WaitReason;
use crate::domain::job::task::TaskState;
use crate::domain::problem::Kind;
use crate::domain::rehearsal::drill::{self, Drill, Fate};
use crate::domain::rehearsal::plan::{self, Becomes, Plan};
use crate::domain::route::Rule;

fn work() -> Arc<Message> {
    Arc::new(Message::new("m", Role::User, vec![Part::text("work")]))
}

fn ids(core: &Core, agent: usize) -> Vec<AttemptId> {
    let agent = core.state().agents().iter().nth(agent).map(|(key, _)| key);
    let all = core.state().attempts().iter();
    all.filter(|(_, row)| Some(row.agent) == agent && row.is_live()).map(|(_, row)| row.id).collect()
}

fn agent_id(core: &Core, agent: usize) -> AgentId {
    core.state().agents().iter().nth(agent).map(|(_, row)| row.id).expect("an agent at this place")
}

/// The number of an agent of the fleet.
fn place(core: &Core, id: AgentId) -> usize {
    core.state().agents().iter().position(|(_, row)| row.id == id).expect("a known agent")
}

fn reroute(fleet: &Fleet, agent: usize) -> Plan {
    let (core, now) = fleet.core();
    let acts: Vec<_> = ids(core, agent)
        .into_iter()
        .map(|attempt| Intent::Reroute { attempt, to: None, carry: Carry::default(), why: None })
        .collect();
    plan::of(core.clone(), now, &acts, &mut |_| Some(work()))
}

/// The plan in words: where how many go, what waits, what stays.
fn words(fleet: &Fleet, plan: &Plan) -> Vec<String> {
    let core = fleet.core().0;
    let loads = plan.loads.iter().map(|load| {
        let most = load.capacity.map_or("–".to_owned(), |most| most.to_string());
        format!(
            "{} to {}: {}/{most} becomes {}/{most}",
            load.gets,
            place(core, load.agent),
            load.before,
            load.after
        )
    });
    let waits = plan.waits().into_iter().map(|(why, count)| format!("{count} wait for {}", why.as_str()));
    let stays = plan.stays().into_iter().map(|(why, count)| format!("{count} stay: {}", why.raw()));
    loads.chain(waits).chain(stays).collect()
}

#[test]
fn a_plan_says_where_tasks_would_go_and_what_stays() {
    let rule = || Rule::new("r", skill());
    // Three agents with four places each: two tasks at each, then all of the first one move.
    let mut balanced = fleet(3, Some(4), rule());
    balanced.play(&every(0, 1, 6, &by_skill()), 100);
    assert_eq!(
        words(&balanced, &reroute(&balanced, 0)),
        ["1 to 1: 2/4 becomes 3/4", "1 to 2: 2/4 becomes 3/4"]
    );
    assert_eq!(balanced.stories().len(), 6, "nothing was done");

    // No other place is free: they go back to where they were, as nobody else takes them.
    let mut full = fleet(2, Some(2), rule());
    full.play(&every(0, 1, 4, &by_skill()), 100);
    assert_eq!(words(&full, &reroute(&full, 0)), ["2 to 0: 2/2 becomes 2/2"]);

    // One that is being canceled already stays.
    let mut asked = fleet(2, None, rule());
    let silent = Event::OnCancel(0, crate::domain::decide::testing::OnCancel::NoAnswer);
    asked.play(&[(0, silent), (1, by_skill()), (5, Event::Cancel(0))], 100);
    assert_eq!(words(&asked, &reroute(&asked, 0)), ["1 stay: a cancel is already in progress"]);
}

#[test]
fn a_plan_is_what_then_happens() {
    let mut fleet = fleet(4, Some(5), Rule::new("r", skill()));
    fleet.play(&every(0, 1, 12, &by_skill()), 100);
    let plan = reroute(&fleet, 0);
    let foretold: Vec<_> = plan
        .rows
        .iter()
        .map(|row| match row.becomes {
            Becomes::Goes(agent) => place(fleet.core().0, agent),
            _ => panic!("{row:?}"),
        })
        .collect();
    let acts: Vec<AttemptId> = plan.rows.iter().map(|row| row.attempt).collect();
    for attempt in &acts {
        fleet.play(
            &[(
                200,
                Event::Intent(Intent::Reroute {
                    attempt: *attempt,
                    to: None,
                    carry: Carry::default(),
                    why: None,
                }),
            )],
            200,
        );
    }
    for number in 0..acts.len() as u64 {
        fleet.play(&[(300 + number, Event::EndsOldestAs(0, TaskState::Canceled))], 300 + number);
    }
    let state = fleet.core().0.state();
    let went: Vec<_> = acts
        .iter()
        .filter_map(|attempt| {
            let row = state.attempt(state.attempt_key(*attempt)?)?;
            let last = state.attempt(*state.job_of(row)?.attempts.last()?)?;
            Some(place(fleet.core().0, state.agent(last.agent)?.id))
        })
        .collect();
    assert_eq!(went, foretold);
}

fn drill_of(fleet: &Fleet, agents: &[usize]) -> Drill {
    let (core, now) = fleet.core();
    let agents: Vec<_> = agents.iter().map(|agent| agent_id(core, *agent)).collect();
    drill::of(core.clone(), now, &agents, &mut |_| Some(work()))
}

fn fates(fleet: &Fleet, drill: &Drill) -> Vec<String> {
    let core = fleet.core().0;
    let word = |fate: &Fate| match fate {
        Fate::Moves(to) => format!("moves to {}", place(core, *to)),
        Fate::Waits(why) => format!("waits for {}", why.as_str()),
        other => other.as_str().to_owned(),
    };
    drill.tasks.iter().map(|task| word(&task.fate)).collect()
}

/// The reason of a wait, and how many wait for it now and then.
type Waits = (WaitReason, (u32, u32));
/// A name, the rule, what each agent accepts, the jobs that are sent, and what is foretold of tasks and queue.
type Case = (&'static str, Rule, Option<u32>, u64, &'static [&'static str], &'static [Waits]);

#[test]
fn a_drill_says_what_becomes_of_each_task() {
    let idempotent = || Rule { idempotent: true, retry: retries(2, 1), ..Rule::new("r", skill()) };
    let careful = || Rule { retry: retries(2, 1), ..Rule::new("r", skill()) };
    let rows: Vec<Case> = vec![
        ("by rule to the others", idempotent(), None, 3, &["moves to 1"], &[]),
        ("asked about, as twice may do harm", careful(), None, 3, &["asked"], &[]),
        (
            "nobody has a place",
            idempotent(),
            Some(1),
            3,
            &["waits for capacity"],
            &[(WaitReason::Capacity, (0, 1))],
        ),
    ];
    for (name, rule, capacity, sent, expected, queue) in rows {
        let mut fleet = fleet(3, capacity, rule);
        fleet.play(&every(0, 1, sent, &by_skill()), 1000);
        let drill = drill_of(&fleet, &[0]);
        assert_eq!(fates(&fleet, &drill), expected, "{name}");
        assert_eq!(drill.queue, queue, "{name}");
        assert!(drill.problems.iter().any(|(kind, _)| *kind == Kind::AgentDown), "{name}: {drill:?}");
        let left = &drill.left[0];
        assert_eq!((left.of, left.agents), (3, 2), "{name}");
        assert!(!drill.is_cut);
    }
    // Nobody is left.
    let mut two = fleet(2, None, idempotent());
    two.play(&every(0, 1, 2, &by_skill()), 1000);
    let drill = drill_of(&two, &[0, 1]);
    assert_eq!(fates(&two, &drill), ["waits for unavailable", "waits for unavailable"]);
    assert_eq!((drill.left[0].of, drill.left[0].agents), (2, 0));
}

#[test]
fn a_drill_is_what_then_happens() {
    for idempotent in [false, true] {
        let rule = Rule { idempotent, retry: retries(2, 1), ..Rule::new("r", skill()) };
        let mut fleet = fleet(3, Some(4), rule);
        fleet.play(&every(0, 1, 8, &by_skill()), 1000);
        let foretold = drill_of(&fleet, &[0]);
        let mut script = vec![(1000, Event::Conduct(0, Conduct::Refuses))];
        let live = ids(fleet.core().0, 0).len();
        script.extend((0..live).map(|_| (1000, Event::Cut(0))));
        let within = u64::try_from(foretold.within.as_millis()).unwrap_or(u64::MAX);
        fleet.play(&script, 1000 + within);
        let state = fleet.core().0.state();
        for task in &foretold.tasks {
            let key = state.attempt_key(task.attempt).expect("an attempt");
            let (fate, _) = drill::fate(state.agents(), state.jobs(), state.attempts(), key).expect("a fate");
            let kind = |fate: &Fate| std::mem::discriminant(fate);
            assert_eq!(kind(&fate), kind(&task.fate), "{fate:?} instead of {:?}", task.fate);
        }
        assert_eq!(foretold.tasks.len(), live);
    }
}
