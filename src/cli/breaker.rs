//! `breaker`: an agent's breaker by hand.

use std::process::ExitCode;

use clap::Args;

use super::args::{Global, Login};
use super::output::{Failure, Printer};
use super::session::{Session, Setup};
use crate::config::nearest;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::intent::Intent;
use crate::domain::text::Untrusted;

/// `breaker`
#[derive(Args, Debug)]
pub struct Breaker {
    /// The agent's name in the fleet.
    #[arg(value_name = "NAME")]
    pub agent: String,
    /// open: send nothing to the agent; close: send everything; auto: let the breaker decide.
    #[arg(value_name = "open|close|auto", value_parser = ["open", "close", "auto"])]
    pub to: String,
    /// Reason, recorded in the audit.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

pub(super) async fn run(global: &Global, args: Breaker, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    let by = Untrusted::from(setup.config.operator.as_str());
    let why = args.why.as_deref().map(Untrusted::from);
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    let snapshot = session.handle.snapshot();
    let listed = || snapshot.agents.iter().filter(|(_, row)| row.listed);
    let named = listed().find(|(_, row)| *row.name.line() == *args.agent).map(|(_, row)| row.id);
    let (to, words) = match args.to.as_str() {
        "open" => (Some(BreakerState::Open), "is held open: nothing is sent there"),
        "close" => (Some(BreakerState::Closed), "is held closed: everything is let through"),
        _ => (None, "is closed, and moves by itself"),
    };
    let done = match named {
        Some(agent) => {
            let done = session.handle.submit(Intent::Breaker { agent, to, why, by }).await;
            done.map(|_| ()).map_err(|refusal| Failure::from_refusal(&refusal))
        }
        None => {
            let names: Vec<String> = listed().map(|(_, row)| row.name.line().into_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let failure = Failure::usage(format!("there is no agent {:?} in the fleet", args.agent));
            Err(match nearest(&args.agent, &names) {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => failure.hint("quarterdeck agents names them"),
            })
        }
    };
    if done.is_ok() && !out.is_json() {
        out.warn(format!("the breaker of {} {words}", args.agent));
    }
    session.close(true).await;
    done.map(|()| ExitCode::SUCCESS)
}
