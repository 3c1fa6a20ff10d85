"""The other side of P1: the official Python SDK's client decodes the same streams and drops them.

`python ingest.py PORT STREAMS EVENTS` prints CPU nanoseconds per event.
"""

import asyncio
import resource
import sys

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.types import Message, Part, Role, SendMessageRequest


def spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def stream(client, number: int) -> int:
    message = Message(message_id=f"m-{number}", role=Role.ROLE_USER, parts=[Part(text="write the report")])
    count = 0
    async for event in client.send_message(SendMessageRequest(message=message)):
        if event is not None:
            count += 1
    return count


async def main() -> None:
    port, streams, events = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=None, limits=limits) as http:
        factory = ClientFactory(ClientConfig(httpx_client=http, streaming=True))
        client = await factory.create_from_url(f"http://127.0.0.1:{port}/0")
        begun = spent()
        counts = await asyncio.gather(*(stream(client, number) for number in range(streams)))
        for count in counts:
            if count != events:
                raise SystemExit(f"{count} events instead of {events}")
        print(1e9 * (spent() - begun) / (streams * events))


asyncio.run(main())
