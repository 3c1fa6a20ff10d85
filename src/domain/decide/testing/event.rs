//! What happens to a fleet of scripted agents.

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::service::ServiceChange;
use crate::domain::agent::shift::ShiftChange;
use crate::domain::input::Input;
use crate::domain::intent::Intent;
use crate::domain::job::carry::Carry;
use crate::domain::job::task::TaskState;

/// How an agent treats calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::domain) enum Conduct {
    /// It answers everything.
    #[default]
    Works,
    /// It answers everything but `GetTask`, which it does not know.
    Forgets,
    /// It refuses connections.
    Refuses,
    /// It accepts connections and answers nothing.
    Hangs,
    /// Its certificate has expired.
    CertificateExpired,
    /// It answers 401 to everything.
    WantsLogin,
    /// Its interface works, its card is not JSON.
    BadCard,
    /// Its card can be read, every call of its interface is answered 503.
    Answers503,
    /// Its card can be read, its interface refuses connections.
    InterfaceRefuses,
}

/// How an agent answers a cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::domain) enum OnCancel {
    /// It agrees, and returns the task as it is.
    #[default]
    Agrees,
    /// It answers that the task cannot be canceled.
    NotCancelable,
    /// It fails with 500.
    Fails,
    /// The answer never comes.
    NoAnswer,
}

/// One thing that happens to the fleet. The number is the agent's place, from 0.
#[derive(Clone, Debug)]
pub(in crate::domain) enum Event {
    /// From now on the agent treats calls like this.
    Conduct(usize, Conduct),
    /// From now on the agent answers cancels like this.
    OnCancel(usize, OnCancel),
    /// From now on the agent refuses all subscriptions.
    NoSubscriptions(usize),
    /// From now on its calls take this many milliseconds.
    Latency(usize, u64),
    /// From now on its card has this version.
    Version(usize, &'static str),
    /// From now on its certificate expires at this second of the script.
    CertificateUntil(usize, u64),
    /// An operator sends a task of the skill.
    Send(usize, &'static str),
    /// The agent's newest task sends a status text on its stream and keeps working.
    Says(usize, &'static str),
    /// The newest task brings one output for each of these numbers.
    Brings(usize, std::ops::Range<u32>),
    /// The same, with an agent's clock that is ahead by this many milliseconds.
    Clock(usize, i64),
    /// The newest task ends on its stream, and `GetTask` agrees.
    Ends(usize, TaskState),
    /// The newest task ends on its stream, and `GetTask` still reports it as working.
    EndsOnStreamOnly(usize, TaskState),
    /// The oldest task whose stream is open ends on it, completed.
    EndsOldest(usize),
    /// The same in this state.
    EndsOldestAs(usize, TaskState),
    /// The newest task ends without an event on its stream.
    EndsSilently(usize, TaskState),
    /// The newest task has ended without an event at this millisecond of the script, as `GetTask` then says.
    EndsUnseen(usize, TaskState, u64),
    /// The stream of the newest task is cut.
    Cut(usize),
    /// An operator follows a task of this id at an agent.
    Adopt(usize, &'static str),
    /// The task of this id delegates a task to an agent.
    Delegate(String, usize),
    /// An operator cancels the newest task, and what it delegated.
    CancelWithDelegated(usize),
    /// An operator cancels the newest task.
    Cancel(usize),
    /// An operator probes the agent.
    Probe(usize),
    /// An operator reads the newest task.
    Read(usize),
    /// An operator holds the breaker, or returns it to automatic.
    Breaker(usize, Option<BreakerState>),
    /// An operator tries the job of the agent's newest attempt again, or moves it; to the second agent, or anywhere.
    Retry(usize, Option<usize>),
    Reroute(usize, Option<usize>),
    /// The same with something taken along, at the second agent.
    RetryWith(usize, usize, Carry),
    RerouteWith(usize, usize, Carry),
    /// An operator races the agent's newest attempt, at the second agent or anywhere.
    Race(usize, Option<usize>),
    /// An operator tries the newest job again that has no attempt.
    Requeue(Option<usize>),
    /// An operator takes the agent's newest attempt as lost.
    PresumeLost(usize),
    /// An operator takes the agent out of service, or puts it back.
    Service(usize, ServiceChange),
    /// An operator moves the work of the first agent to the second; a step takes a minute and this many jobs.
    ShiftTo(usize, usize, u32),
    /// An operator changes the shift of the agent's work.
    Shift(usize, ShiftChange),
    /// An operator wants something.
    Intent(Intent),
    /// Something else goes into the core.
    Input(Input),
}
