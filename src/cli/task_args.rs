//! The arguments of the commands that end tasks or try jobs again, one or many.

use clap::Args;

use super::args::OptionalTarget;
use super::bulk::filter::Filter;
use crate::config::units;
use crate::domain::job::carry::{Carry, CarryContext, CarryHistory};

/// `task cancel`
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 all were seen to end, 1 refused, 5 not confirmed in time. With more than one task the plan is shown first, and
the number of tasks has to be typed, unless --yes is given.

Examples:
  quarterdeck task cancel 77d0-4c1e
  quarterdeck task cancel 77d0-4c1e --no-cascade
  quarterdeck task cancel --agent cashier-2 --older-than 10m --why 'stuck' --yes")]
pub struct Cancel {
    /// Task ids assigned by the agent.
    #[arg(value_name = "TASK")]
    pub task: Vec<String>,
    #[command(flatten)]
    pub target: OptionalTarget,
    /// Leave what the task delegated as it is.
    #[arg(long)]
    pub no_cascade: bool,
    #[command(flatten)]
    pub filter: Filter,
    /// Reason, recorded in the task's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Maximum time to wait for the end.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: std::time::Duration,
}

/// `task retry` and `task reroute`
#[derive(Args, Debug)]
#[command(after_help = "\
With more than one job the plan is shown first: which agent gets how many, and what stays and why. The number of jobs then
has to be typed, unless --yes is given.

Examples:
  quarterdeck task reroute 77d0-4c1e --to cashier-3
  quarterdeck task reroute --agent cashier-2 --state working --why 'fails on discounts'
  quarterdeck task retry --problem p-17 --yes")]
pub struct Again {
    /// Ids of jobs, of attempts of them, or of their tasks.
    #[arg(value_name = "ID")]
    pub attempt: Vec<String>,
    /// Agent to send to [default: the router chooses, agents that were not tried first].
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    #[command(flatten)]
    pub filter: Filter,
    /// Conversation of the new attempt: that of the earlier one, which other agents than its own and the replicas of
    /// that may not know, or a new one [default: the one that was given with the message, if any].
    #[arg(long, value_name = "CONTEXT", value_parser = ["same", "new"])]
    pub context: Option<String>,
    /// What to take along of the earlier attempt's conversation and artifacts: nothing, their ids, or their content, as
    /// far as it fits into 256 KiB.
    #[arg(long, value_name = "WHAT", value_parser = ["none", "references", "content"], default_value = "none")]
    pub carry: String,
    /// Reason, recorded in the job's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Maximum time to wait [default: no limit; 30s for many jobs].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

/// `task race`
#[derive(Args, Debug)]
pub struct Race {
    /// Id of the job, of an attempt of it, or of its task.
    #[arg(value_name = "ID")]
    pub attempt: String,
    /// Agent to send it to [default: the router chooses another one].
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Reason, recorded in the job's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Maximum time to wait [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

impl Again {
    /// What the new attempt takes along.
    pub fn carried(&self) -> Carry {
        Carry {
            context: match self.context.as_deref() {
                Some("same") => CarryContext::Same,
                Some(_) => CarryContext::New,
                None => CarryContext::Given,
            },
            history: match &*self.carry {
                "references" => CarryHistory::References,
                "content" => CarryHistory::Content,
                _ => CarryHistory::None,
            },
        }
    }
}
