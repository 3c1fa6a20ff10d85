//! Names of OpenTelemetry's semantic conventions (general, HTTP, GenAI and A2A) that we read and write.

/// The service that a resource belongs to.
pub const SERVICE_NAME: &str = "service.name";
/// Its version.
pub const SERVICE_VERSION: &str = "service.version";
/// What went wrong, as a class of errors.
pub const ERROR_TYPE: &str = "error.type";
/// The host that was called.
pub const SERVER_ADDRESS: &str = "server.address";
/// Its port.
pub const SERVER_PORT: &str = "server.port";
/// The method of A2A, `SendMessage`.
pub const A2A_METHOD: &str = "a2a.method.name";
/// The id of a task.
pub const A2A_TASK: &str = "a2a.task.id";
/// Its state.
pub const A2A_STATE: &str = "a2a.task.state";
/// The id of a message.
pub const A2A_MESSAGE: &str = "a2a.message.id";
/// The tasks that a message refers to.
pub const A2A_REFERENCES: &str = "a2a.message.reference_task_ids";
/// The version of the protocol.
pub const A2A_VERSION: &str = "a2a.protocol.version";
/// The name of an agent.
pub const AGENT_NAME: &str = "gen_ai.agent.name";
/// A conversation: the context of A2A.
pub const CONVERSATION: &str = "gen_ai.conversation.id";
/// What a span of GenAI does: `chat`, `execute_tool`, `invoke_agent`.
pub const OPERATION: &str = "gen_ai.operation.name";
/// The model that was asked.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The model that answered.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Tokens that went in.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens that came out.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// The tool that was called.
pub const TOOL_NAME: &str = "gen_ai.tool.name";
/// The method of MCP, `tools/call`.
pub const MCP_METHOD: &str = "mcp.method.name";
/// The requested skill of a task; the conventions have no name for it.
pub const SKILL: &str = "quarterdeck.skill";
/// The number of an attempt of its job, from 1.
pub const ATTEMPT: &str = "quarterdeck.attempt";
/// On an event of a span of ours: it was not told by the agent.
pub const UNTOLD: &str = "quarterdeck.untold";

/// The program that sent a request, as newer and older conventions name it.
pub const USER_AGENT: [&str; 2] = ["user_agent.original", "http.user_agent"];

/// Scopes whose spans say how a library works and not what an agent does. The Python SDK of A2A 1.3 has about sixty for
/// each message, some of which wait for the next event as long as the connection lives.
pub const PLUMBING: [&str; 1] = ["a2a-python-sdk"];
/// The same by the end of a name: instrumentation of ASGI has a span for each part of a body, and one that waits until its
/// client leaves.
pub const PLUMBING_NAMES: [&str; 2] = [" http send", " http receive"];

/// The attributes by which traces are found: each value of a trace is in the index of the store.
pub const SEARCHABLE: [&str; 8] =
    [A2A_TASK, CONVERSATION, A2A_STATE, SKILL, REQUEST_MODEL, TOOL_NAME, ERROR_TYPE, A2A_METHOD];
