"""An A2A agent that knows nothing of telemetry: run by `opentelemetry-instrument`, with nothing configured but the endpoint.

    opentelemetry-instrument python traced.py PORT NAME [URL OF THE NEXT AGENT]

It answers a message after it has asked the next agent, if there is one, and logs what it does.
"""
import asyncio, json, logging, sys, uuid
import httpx, uvicorn
from fastapi import FastAPI
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from a2a.helpers.proto_helpers import get_message_text, new_task_from_user_message, new_text_part

port, name = int(sys.argv[1]), sys.argv[2]
following = sys.argv[3] if len(sys.argv) > 3 else None
logging.basicConfig(level=logging.INFO)
log = logging.getLogger(name)


async def ask(text):
    message = {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": [{"text": text}]}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(following, json=call, headers={"A2A-Version": "1.0"})
        log.info("the next agent answered with %d", answer.status_code)
        return json.dumps(answer.json().get("result", {}))[:200]


class Executor(AgentExecutor):
    async def execute(self, context: RequestContext, queue: EventQueue):
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await queue.enqueue_event(task)
        updater = TaskUpdater(queue, task.id, task.context_id)
        text = get_message_text(context.message)
        await updater.start_work()
        log.info("works on %s", text)
        await asyncio.sleep(0.3)
        said = await ask(text) if following else "done"
        if following is None:
            log.warning("this is the last agent")
        await updater.add_artifact([new_text_part(said)], artifact_id="a", name="out.txt", last_chunk=True)
        await updater.complete()

    async def cancel(self, context, queue):
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


url = f"http://127.0.0.1:{port}/"
card = AgentCard(
    name=name, description=name, version="1.0.0",
    supported_interfaces=[AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")],
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"], default_output_modes=["text/plain"],
    skills=[AgentSkill(id=name, name=name, description=name, tags=["t"])],
)
handler = DefaultRequestHandler(agent_executor=Executor(), task_store=InMemoryTaskStore(), agent_card=card)
app = FastAPI()
app.router.routes.extend(create_agent_card_routes(card) + create_jsonrpc_routes(handler, "/"))
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
