/**
 * Requests one URL again and again, each over a connection of its own, run inside a node by the node's own Node:
 * `node - URL`. Runs until its standard input closes and then prints one JSON line: how many were asked, and what
 * those that failed said. Owns counting answers and nothing else.
 */
import { get } from 'node:http';

const [url] = process.argv.slice(1);
const TIMEOUT_MS = 5_000;

const ask = () =>
  new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      response.on('end', () =>
        resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`),
      );
      response.on('error', (error) => resolve(error.message));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.on('error', (error) => resolve(error.message));
  });

let ended = false;
process.stdin.on('end', () => (ended = true));
process.stdin.on('error', () => (ended = true));
process.stdin.resume();
console.log(JSON.stringify({ ready: true }));
let asked = 0;
const failures = [];
while (!ended) {
  asked += 1;
  const failure = await ask();
  if (failure !== undefined && failures.length < 20) failures.push(failure);
}
console.log(JSON.stringify({ asked, failures }));
