//! `drill`: what would happen if agents died now; and on a demo fleet, what does.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::args::{Global, Login};
use super::output::{Failure, Printer, table};
use super::reroute::agent_named;
use super::session::{Session, Setup, probed};
use crate::config::units;
use crate::domain::agent::Health;
use crate::domain::id::{AgentId, AttemptId};
use crate::domain::intent::{Intent, Refusal};
use crate::domain::rehearsal::drill::{self, Fate, Foretold, MOST};
use crate::domain::rehearsal::words::{Names, Tone};
use crate::domain::state::snapshot::Snapshot;
use crate::engine::{Answer, Query, QueryError};
use crate::shutdown;

/// The time in which every agent is probed, so that the router knows who takes work.
const FIND: Duration = Duration::from_secs(10);
/// The time in which agents have to be back after their death.
const BACK: Duration = Duration::from_secs(60);

/// `drill`
#[derive(Args, Debug)]
#[command(after_help = "\
Without --for-real nothing is done: the engine plays it through on a copy of its state, by the rules that it would follow.

With --for-real the agents of the engine's own demo die for a while and come back by themselves. What became of each task is then
compared with what was foretold. Other agents are never killed. Before that the agent's name has to be typed, or the number
of agents if there are several; --confirm says it where nobody can type.

Examples:
  quarterdeck drill cashier-2
  quarterdeck drill cashier-2 cashier-3 -o json
  quarterdeck drill hotel-alps --for-real --for 90s")]
pub struct Drill {
    /// Names of the agents in the fleet.
    #[arg(value_name = "AGENT", required = true, num_args = 1..=MOST)]
    pub agents: Vec<String>,
    /// Let them die for real; only agents of a demo fleet.
    #[arg(long)]
    pub for_real: bool,
    /// How long they stay dead, at most 10m.
    #[arg(long = "for", value_name = "DURATION", default_value = "90s", value_parser = death, requires = "for_real")]
    pub time: Duration,
    /// What would have to be typed: the agent's name, or the number of agents.
    #[arg(long, value_name = "TEXT", requires = "for_real")]
    pub confirm: Option<String>,
}

fn death(text: &str) -> Result<Duration, String> {
    let time = units::duration(text)?;
    match time.as_secs() {
        5..=600 => Ok(time),
        _ => Err("write a time from 5s to 10m".to_owned()),
    }
}

struct Of<'s>(&'s Snapshot);

impl Names for Of<'_> {
    fn agent(&self, id: AgentId) -> String {
        super::bulk::name(self.0, id)
    }

    fn task(&self, id: AttemptId) -> String {
        let attempt = self.0.attempts.iter().find(|(_, attempt)| attempt.id == id);
        attempt.map_or_else(|| id.to_string(), |(_, attempt)| super::bulk::task_name(attempt))
    }
}

pub(super) async fn run(global: &Global, args: Drill, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    if setup.read_only && args.for_real {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    probed(&session.handle, None, FIND).await;
    let result = drill(&session, &args, out).await;
    session.close(true).await;
    result
}

async fn drill(session: &Session, args: &Drill, out: &mut Printer) -> Result<ExitCode, Failure> {
    let snapshot = session.handle.snapshot();
    let named = args.agents.iter().map(|name| agent_named(&snapshot, name));
    // Named twice, an agent dies once.
    let agents: BTreeSet<AgentId> = named.collect::<Result<_, _>>()?;
    let agents: Vec<AgentId> = agents.into_iter().collect();
    let foretold = match session.handle.query(Query::Drill(agents.clone())).await {
        Ok(Answer::Drilled(drill)) => *drill,
        Ok(_) => return Err(Failure::internal("the engine answered something else")),
        Err(error) => return Err(failed(error)),
    };
    let names = Of(&snapshot);
    if !args.for_real || !out.is_json() {
        print(&foretold, &snapshot, None, out);
    }
    if !args.for_real {
        return Ok(ExitCode::SUCCESS);
    }
    confirm(args, &agents, &names).await?;
    let actual = for_real(session, args, &agents, &foretold, out).await?;
    let (same, all) = (actual.iter().filter(|one| one.is_as_foretold).count(), actual.len());
    print(&foretold, &snapshot, Some(&actual), out);
    out.warn(format!("{same} of {all} tasks went as foretold"));
    Ok(ExitCode::SUCCESS)
}

fn failed(error: QueryError) -> Failure {
    match error {
        QueryError::Failed(cause) => Failure::new(1, "QUARTERDECK_ERR_DRILL", cause.to_string()),
        other => Failure::internal(other.to_string()),
    }
}

async fn confirm(args: &Drill, agents: &[AgentId], names: &Of<'_>) -> Result<(), Failure> {
    let expected = match agents {
        [one] => names.agent(*one),
        many => many.len().to_string(),
    };
    let typed = match &args.confirm {
        Some(text) => text.clone(),
        None if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => {
            let prompt = format!("they die for {}s; type {expected} to do it: ", args.time.as_secs());
            read_line(prompt).await
        }
        None => {
            let hint = format!("--confirm {}", crate::domain::shell_words::quoted(&expected));
            return Err(Failure::usage("nothing was done: nobody can be asked here").hint(hint));
        }
    };
    if typed.trim() == expected {
        return Ok(());
    }
    Err(Failure::new(1, "QUARTERDECK_ERR_NOTHING", format!("nothing was done: {expected} was not typed")))
}

async fn read_line(prompt: String) -> String {
    let asked = tokio::task::spawn_blocking(move || {
        let mut err = std::io::stderr();
        let _nobody_reads_it = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
        let mut line = String::new();
        let _nothing_was_typed = std::io::stdin().lock().read_line(&mut line);
        line
    });
    tokio::select! {
        line = asked => line.unwrap_or_default(),
        _ = shutdown::requested() => String::new(),
    }
}

/// What really became of a task.
struct Actual {
    attempt: AttemptId,
    fate: Fate,
    after: Option<Duration>,
    is_as_foretold: bool,
}

/// Lets the agents die, and watches until they are back.
async fn for_real(
    session: &Session,
    args: &Drill,
    agents: &[AgentId],
    foretold: &drill::Drill,
    out: &mut Printer,
) -> Result<Vec<Actual>, Failure> {
    for agent in agents {
        let text = format!("drill: it is dead for {}s, on purpose", args.time.as_secs()).into();
        let by = crate::domain::text::Untrusted::from("drill");
        let note = Intent::Note { problem: None, agent: Some(*agent), attempt: None, by, text };
        session.handle.submit(note).await.map_err(|refusal| Failure::from_refusal(&refusal))?;
    }
    let begun = session.handle.snapshot().at;
    let kill = Query::Kill { agents: agents.to_vec(), time: args.time };
    session.handle.query(kill).await.map_err(failed)?;
    let died = Instant::now();
    let interrupt = shutdown::requested();
    tokio::pin!(interrupt);
    let mut snapshots = session.handle.watch();
    // What became of them is asked while they are still dead: once they are back, what was given up is canceled there.
    let seen = died + args.time.saturating_sub(Duration::from_secs(1));
    loop {
        let open = open(&snapshots.borrow_and_update().clone(), foretold);
        let left = seen.saturating_duration_since(Instant::now()).as_secs();
        out.progress(format!("{open} of {} undecided, back in {left}s", foretold.tasks.len()));
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { break },
            () = tokio::time::sleep_until(seen) => break,
            _ = &mut interrupt => break,
        }
    }
    let actual = actual(&session.handle.snapshot(), begun, foretold);
    let until = died + args.time + BACK;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let is_up = |id: &AgentId| {
            let row = snapshot.agents.iter().find(|(_, agent)| agent.id == *id);
            row.is_some_and(|(_, agent)| agent.health == Health::Up)
        };
        // They come back by themselves, after the time that they were given.
        if Instant::now() >= died + args.time && agents.iter().all(is_up) {
            break;
        }
        out.progress("they come back");
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { break },
            () = tokio::time::sleep_until(until) => {
                out.warn("not all agents are back yet; quarterdeck agents shows how they stand");
                break;
            }
            _ = &mut interrupt => break,
        }
    }
    Ok(actual)
}

fn open(snapshot: &Snapshot, foretold: &drill::Drill) -> usize {
    let stays = |task: &&Foretold| {
        let fate = fate_of(snapshot, task.attempt);
        task.fate != Fate::Stays && fate.is_some_and(|(fate, _)| fate == Fate::Stays)
    };
    foretold.tasks.iter().filter(stays).count()
}

fn fate_of(snapshot: &Snapshot, id: AttemptId) -> Option<(Fate, Option<crate::domain::time::At>)> {
    let (key, _) = snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id)?;
    drill::fate(&snapshot.agents, &snapshot.jobs, &snapshot.attempts, key)
}

fn actual(snapshot: &Snapshot, begun: crate::domain::time::At, foretold: &drill::Drill) -> Vec<Actual> {
    let of = |task: &Foretold| {
        let (fate, at) = fate_of(snapshot, task.attempt)?;
        // Which agent gets it depends on what else has happened meanwhile.
        let is_as_foretold = std::mem::discriminant(&fate) == std::mem::discriminant(&task.fate);
        Some(Actual { attempt: task.attempt, fate, after: at.map(|at| at.since(begun)), is_as_foretold })
    };
    foretold.tasks.iter().filter_map(of).collect()
}

fn print(foretold: &drill::Drill, snapshot: &Snapshot, actual: Option<&[Actual]>, out: &mut Printer) {
    if out.is_json() {
        return out.document(&document(foretold, snapshot, actual));
    }
    let names = Of(snapshot);
    let Some(actual) = actual else {
        out.plain(&format!("{}:", foretold.title(&names)));
        for (tone, line) in foretold.lines(&names) {
            let line = crate::domain::text::Untrusted::from(line).line().into_string();
            out.plain(&if tone == Tone::Head { format!("\n{line}") } else { format!("  {line}") });
        }
        return;
    };
    let rows = foretold.tasks.iter().filter_map(|task| {
        let became = actual.iter().find(|one| one.attempt == task.attempt)?;
        let mark = if became.is_as_foretold { "as foretold" } else { "otherwise" };
        let (then, now) = (task.fate.words(&names), became.fate.words(&names));
        Some(vec![names.task(task.attempt), then, now, mark.to_owned()])
    });
    for line in table(&["TASK", "FORETOLD", "WHAT BECAME OF IT", ""], &rows.collect::<Vec<_>>()) {
        out.row(&line);
    }
}

fn fate_json(fate: &Fate, after: Option<Duration>, names: &Of<'_>) -> Value {
    let (to, why) = match fate {
        Fate::Moves(to) => (Some(names.agent(*to)), None),
        Fate::Waits(why) => (None, Some(why.as_str().to_owned())),
        Fate::Ends(why) => (None, Some(why.line().into_string())),
        Fate::Asked | Fate::Foreign | Fate::Stays => (None, None),
    };
    json!({ "fate": fate.as_str(), "to": to, "why": why, "afterSeconds": after.map(|after| after.as_secs()) })
}

fn document(foretold: &drill::Drill, snapshot: &Snapshot, actual: Option<&[Actual]>) -> Value {
    let names = Of(snapshot);
    let tasks = foretold.tasks.iter().map(|task| {
        let mut row = fate_json(&task.fate, task.after, &names);
        let found = actual.and_then(|all| all.iter().find(|one| one.attempt == task.attempt));
        if let Some(object) = row.as_object_mut() {
            object.insert("task".into(), json!(names.task(task.attempt)));
            object.insert("attempt".into(), json!(task.attempt.to_string()));
            object.insert("job".into(), json!(task.job.to_string()));
            object.insert("agent".into(), json!(names.agent(task.agent)));
            if let Some(one) = found {
                object.insert("actual".into(), fate_json(&one.fate, one.after, &names));
                object.insert("asForetold".into(), json!(one.is_as_foretold));
            }
        }
        row
    });
    let left = foretold.left.iter().map(|left| {
        let agents = left.named.iter().map(|(agent, (live, capacity))| {
            json!({ "agent": names.agent(*agent), "live": live, "accepts": capacity })
        });
        json!({
            "what": left.what.line().into_string(),
            "of": left.of,
            "left": left.agents,
            "free": left.free,
            "agents": agents.collect::<Vec<_>>(),
        })
    });
    json!({
        "agents": foretold.agents.iter().map(|agent| names.agent(*agent)).collect::<Vec<_>>(),
        "withinSeconds": foretold.within.as_secs(),
        "tasks": tasks.collect::<Vec<_>>(),
        "tasksNotListed": foretold.unlisted,
        "queue": foretold.queue.iter().map(|(why, (now, then))| {
            json!({ "waitsFor": why.as_str(), "now": now, "then": then })
        }).collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "problems": foretold.problems.iter().map(|(kind, text)| {
            json!({ "kind": kind.as_str(), "text": text.line().into_string() })
        }).collect::<Vec<_>>(),
        "moreAgents": foretold.more_agents,
        "complete": !foretold.is_cut,
        "forReal": actual.is_some(),
    })
}
