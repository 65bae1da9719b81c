/**
 * A sequenced UDP stream, run inside nodes by the node's own Node: `node - recv PORT` and `node - send HOST PORT INTERVAL_MS`.
 * Either runs until its standard input closes and then prints one JSON line. Owns measuring loss and gaps and nothing else.
 * A late timer sends what is due at once, so that the sender's own jitter is not taken for loss.
 */
import { createSocket } from 'node:dgram';

// Given by -e, the program has no place of its own in argv.
const [mode, ...args] = process.argv.slice(1);
const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
const untilInputEnds = new Promise((resolve) => {
  process.stdin.on('end', resolve);
  process.stdin.on('error', resolve);
  process.stdin.resume();
});

if (mode === 'recv') {
  const seen = new Set();
  let duplicated = 0;
  let highest = -1;
  let lowest = Number.POSITIVE_INFINITY;
  let lastAtMs = 0;
  let longestSilenceMs = 0;
  socket.on('message', (message) => {
    const sequence = message.readUInt32BE(0);
    if (seen.has(sequence)) {
      duplicated += 1;
      return;
    }
    seen.add(sequence);
    highest = Math.max(highest, sequence);
    lowest = Math.min(lowest, sequence);
    const nowMs = performance.now();
    if (lastAtMs !== 0) longestSilenceMs = Math.max(longestSilenceMs, nowMs - lastAtMs);
    lastAtMs = nowMs;
  });
  socket.bind(Number(args[0]), () => console.log(JSON.stringify({ ready: true })));
  await untilInputEnds;
  let lost = 0;
  let run = 0;
  let longestRun = 0;
  for (let sequence = lowest; sequence <= highest; sequence += 1) {
    if (seen.has(sequence)) run = 0;
    else {
      lost += 1;
      run += 1;
      longestRun = Math.max(longestRun, run);
    }
  }
  console.log(
    JSON.stringify({
      received: seen.size,
      duplicated,
      lost,
      longestRun,
      longestSilenceMs: Math.round(longestSilenceMs),
    }),
  );
} else {
  const [host, port, intervalMs] = [args[0], Number(args[1]), Number(args[2])];
  const startedAtMs = performance.now();
  let sent = 0;
  const packet = Buffer.alloc(64);
  const timer = setInterval(() => {
    const due = Math.floor((performance.now() - startedAtMs) / intervalMs);
    while (sent < due) {
      packet.writeUInt32BE(sent, 0);
      // An unreachable or full socket is the loss that is being measured.
      socket.send(Buffer.from(packet), port, host, () => undefined);
      sent += 1;
    }
  }, intervalMs);
  socket.on('error', () => undefined);
  await untilInputEnds;
  clearInterval(timer);
  console.log(JSON.stringify({ sent }));
}
socket.close();
process.exit(0);
