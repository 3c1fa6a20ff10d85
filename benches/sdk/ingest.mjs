// The other side of P1: the official JavaScript SDK's client decodes the same streams and drops them.
// `node ingest.mjs FOLDER PORT STREAMS EVENTS` prints CPU nanoseconds per event; FOLDER holds the SDK.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, port, streams, events] = process.argv.slice(2);
const sdk = createRequire(`${folder}/package.json`).resolve('@a2a-js/sdk/client');
const { ClientFactory } = await import(pathToFileURL(sdk));

const client = await new ClientFactory().createFromUrl(`http://127.0.0.1:${port}/0`);
const spent = process.cpuUsage();
async function stream(number) {
  const message = { messageId: `m-${number}`, role: 1, parts: [{ content: { $case: 'text', value: 'write the report' } }] };
  let count = 0;
  for await (const event of client.sendMessageStream({ message })) {
    if (event) count += 1;
  }
  return count;
}
const counts = await Promise.all(Array.from({ length: Number(streams) }, (_, number) => stream(number)));
const wrong = counts.find((count) => count !== Number(events));
if (wrong !== undefined) throw new Error(`${wrong} events instead of ${events}`);
const { user, system } = process.cpuUsage(spent);
console.log((1000 * (user + system)) / (streams * events));
