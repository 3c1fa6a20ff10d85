//! Agents that refuse to stream although their card offers it.

use crate::domain::cause::{Cause, ErrorName, Failure};
use crate::domain::decide::live::SendCall;
use crate::domain::decide::turn::Turn;
use crate::domain::fact::AgentFact;
use crate::domain::id::AgentKey;

/// True if the agent rejected a streaming send because it does not stream: the plain call may work. An agent that took
/// the message does not answer like this, so that sending the message again cannot duplicate it.
pub(super) fn is_refused(send: &SendCall, failure: &Failure) -> bool {
    if !send.stream || send.stream_refused.is_some() {
        return false;
    }
    match &failure.cause {
        Cause::Rpc(error) => {
            matches!(error.name, ErrorName::UnsupportedOperation | ErrorName::MethodNotFound)
        }
        Cause::Status { status, .. } => matches!(status, 404 | 405 | 406 | 501),
        _ => false,
    }
}

/// The plain call has worked where the streaming one was refused: the agent is polled from now on.
pub(super) fn remember_refusal(turn: &mut Turn, agent: AgentKey, send: &SendCall) {
    let Some(cause) = send.stream_refused.clone() else { return };
    if turn.state().agent(agent).is_some_and(crate::domain::agent::Agent::streams) {
        turn.agent_fact(agent, AgentFact::StreamingRefused { cause });
    }
}
