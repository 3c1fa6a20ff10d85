//! `drain`: takes an agent out of service, waits until nothing runs there, and puts it back.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use super::args::{Global, Login};
use super::output::{Failure, Printer};
use super::reroute::agent_named;
use super::session::{Session, Setup};
use crate::config::units;
use crate::domain::agent::Agent;
use crate::domain::agent::service::ServiceChange;
use crate::domain::id::AgentId;
use crate::domain::intent::{Intent, Refusal};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::protocol::timestamp;
use crate::shutdown;

/// `drain`
#[derive(Args, Debug)]
#[command(after_help = "\
Without --cordon the command waits until nothing runs there; its tasks are still watched, answered and canceled.

Examples:
  quarterdeck drain cashier-2 --why 'disk swap'
  quarterdeck drain cashier-2 --move-after 5m
  quarterdeck drain cashier-2 --cordon --for 2h
  quarterdeck drain cashier-2 --resume")]
pub struct Drain {
    /// The agent's name in the fleet.
    #[arg(value_name = "NAME")]
    pub agent: String,
    /// Give it no new work, and do not wait for what it has.
    #[arg(long, conflicts_with_all = ["resume", "move_after"])]
    pub cordon: bool,
    /// Put it back in service.
    #[arg(long, conflicts_with_all = ["window", "move_after"])]
    pub resume: bool,
    /// Put it back in service by itself after this time.
    #[arg(long = "for", value_name = "DURATION", value_parser = window)]
    pub window: Option<Duration>,
    /// Move what still runs after this time to other agents: each task is canceled first, and its job is sent elsewhere once
    /// it was seen to end.
    #[arg(long, value_name = "DURATION", value_parser = window)]
    pub move_after: Option<Duration>,
    /// Return at once.
    #[arg(long)]
    pub no_wait: bool,
    /// Reason, recorded in the agent's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Maximum time to wait [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<Duration>,
}

pub(super) async fn run(global: &Global, args: Drain, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let by = Untrusted::from(setup.config.operator.as_str());
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    let result = drain(&session, &args, by, out).await;
    session.close(true).await;
    result.map(|()| ExitCode::SUCCESS)
}

async fn drain(session: &Session, args: &Drain, by: Untrusted, out: &mut Printer) -> Result<(), Failure> {
    let agent = agent_named(&session.handle.snapshot(), &args.agent)?;
    let to = if args.resume {
        ServiceChange::Resume
    } else if args.cordon {
        ServiceChange::Cordon { window: args.window }
    } else {
        ServiceChange::Drain { window: args.window, move_after: args.move_after }
    };
    let intent = Intent::Service { agent, to, why: args.why.as_deref().map(Untrusted::from), by };
    session.handle.submit(intent).await.map_err(|refusal| Failure::from_refusal(&refusal))?;
    if matches!(to, ServiceChange::Drain { .. }) && !args.no_wait {
        let until = args.timeout.map(|limit| Instant::now() + limit);
        empty(session, agent, &args.agent, until, out).await?;
    }
    print(&session.handle.snapshot(), agent, out);
    Ok(())
}

fn row(snapshot: &Snapshot, id: AgentId) -> Option<&Agent> {
    snapshot.agents.iter().find(|(_, agent)| agent.id == id).map(|(_, agent)| agent)
}

/// Waits until nothing runs at the agent, or until somebody puts it back in service.
async fn empty(
    session: &Session,
    agent: AgentId,
    name: &str,
    until: Option<Instant>,
    out: &mut Printer,
) -> Result<(), Failure> {
    let mut snapshots = session.handle.watch();
    let timeout = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    let interrupt = shutdown::requested();
    tokio::pin!(timeout, interrupt);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let row = row(&snapshot, agent);
        let live = row.map_or(0, |agent| agent.counts.live);
        let is_over = row.and_then(|agent| agent.service.as_ref()).is_none_or(|out| out.word() == "drained");
        if is_over {
            return Ok(());
        }
        out.progress(match live {
            1 => "draining: 1 task left".to_owned(),
            live => format!("draining: {live} tasks left"),
        });
        let left = format!("{name} still has {live} live tasks, and takes no new work");
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() {
                return Err(Failure::internal("the engine has ended; the agent is still being drained"));
            },
            () = &mut timeout => {
                return Err(Failure::timeout(left).hint(format!("quarterdeck drain {name} --resume puts it back")));
            }
            reason = &mut interrupt => {
                let failure = Failure::new(reason.exit_code(), "QUARTERDECK_ERR_INTERRUPTED", left);
                return Err(failure.hint(format!("quarterdeck drain {name} --resume puts it back")));
            }
        }
    }
}

fn print(snapshot: &Snapshot, id: AgentId, out: &mut Printer) {
    let Some(agent) = row(snapshot, id) else { return };
    let name = agent.name.line().into_string();
    if !out.is_json() {
        let words = agent.service.as_ref().map_or_else(|| "in service".to_owned(), |out| out.in_words());
        return out.warn(format!("{name}: {words}"));
    }
    let service = agent.service.as_ref();
    let time = |at: Option<crate::domain::time::At>| at.map(timestamp::format_at);
    out.document(&json!({
        "agent": name,
        "service": service.map_or("in-service", |out| out.word()),
        "by": service.map(|out| out.by.line().to_string()),
        "why": service.and_then(|out| out.why.as_ref()).map(|why| why.line().to_string()),
        "since": service.map(|out| timestamp::format_at(out.since)),
        "until": time(service.and_then(|out| out.until)),
        "live": agent.counts.live,
    }));
}

/// The bounds of a window: shorter ones end before anybody looks, longer ones are forgotten.
fn window(text: &str) -> Result<Duration, String> {
    let time = units::duration(text)?;
    let most = Duration::from_secs(30 * 24 * 3600);
    if time > most { Err("is longer than 30 days".to_owned()) } else { Ok(time) }
}
