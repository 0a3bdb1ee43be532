// The generator's part for pg-boss, which is a library of Node: the modes, checks and output are those of jobload.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const number = (value) => ({ type: 'string', default: String(value) });
const { values } = parseArgs({
  options: {
    modules: { type: 'string' },
    target: { type: 'string' },
    mode: { type: 'string' },
    producers: number(10),
    consumers: number(10),
    batch: number(1),
    'pop-batch': number(1),
    rate: number(1000),
    window: number(20000),
    messages: number(50000),
    bytes: number(200),
    duration: number(3),
    warmup: number(1),
    'server-pid': { type: 'string', multiple: true, default: [] },
  },
});
const args = Object.fromEntries(
  Object.entries(values).map(([key, value]) => [key, /^[\d.]+$/.test(value) ? Number(value) : value]),
);
const QUEUE = 'jobs';
const FILL_BATCH = 500;
/** Milliseconds that consumers may take for what is left when the producers have ended. */
const REST = 15_000;

const { PgBoss } = await import(pathToFileURL(`${args.modules}/pg-boss/dist/index.js`));
const serverPids = values['server-pid'];
const [host, port] = values.target.split(':');
const boss = new PgBoss({
  host,
  port: Number(port),
  user: 'postgres',
  database: 'postgres',
  // A connection for each that uses it, as the other queues have.
  max: args.producers + args.consumers,
  // Its workers are woken, instead of polling every half second.
  useListenNotify: true,
});
boss.on('error', fail);
await boss.start();
await boss.createQueue(QUEUE, { notify: args.mode === 'paced' });

const began = performance.now();
const now = () => performance.now() - began;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const latencies = { push: [], delivery: [], ack: [] };
const seen = new Set();
const next = new Array(args.producers).fill(0);
let pushed = 0;
let delivered = 0;
let acked = 0;
let repeated = 0;
let measuring = false;
let stop = false;
let ended = false;

function fail(error) {
  console.error(String(error?.stack ?? error));
  process.exit(1);
}

/** Records the milliseconds since then. */
function record(list, since) {
  if (measuring) list.push(now() - since);
}

function payload(producer, due) {
  const message = { s: producer, n: next[producer]++, p: 0, due, x: '' };
  message.x = 'x'.repeat(Math.max(0, args.bytes - JSON.stringify(message).length));
  return message;
}

async function push(producer, count, due) {
  if (count === 1) {
    await boss.send(QUEUE, payload(producer, due));
  } else {
    await boss.insert(
      QUEUE,
      Array.from({ length: count }, () => ({ data: payload(producer, due) })),
    );
  }
  pushed += count;
}

function came(jobs) {
  for (const { data } of jobs) {
    const id = data.s * 1e9 + data.n;
    if (seen.has(id)) {
      repeated += 1;
      continue;
    }
    seen.add(id);
    delivered += 1;
    record(latencies.delivery, data.due);
  }
}

async function fill() {
  let left = args.messages;
  const one = async (producer) => {
    while (left > 0) {
      const count = Math.min(left, FILL_BATCH);
      left -= count;
      await push(producer, count, now());
    }
  };
  await Promise.all(next.map((_, producer) => one(producer)));
}

async function produce(producer) {
  const every = (1000 * args.batch * args.producers) / args.rate;
  let due = now() + (every * producer) / args.producers;
  while (!stop) {
    if (args.mode === 'paced') {
      const wait = due - now();
      if (wait > 0) await sleep(wait);
      if (stop) break;
    } else if (args.mode === 'through' && pushed >= acked + args.window) {
      await sleep(1);
      continue;
    } else {
      due = now();
    }
    await push(producer, args.batch, due);
    record(latencies.push, due);
    due += every;
  }
}

/** Fetches and completes by hand. */
async function consume() {
  while (!ended) {
    const jobs = await boss.fetch(QUEUE, { batchSize: args['pop-batch'] });
    if (jobs.length === 0) {
      await sleep(5);
      continue;
    }
    came(jobs);
    const asked = now();
    const ids = jobs.map((job) => job.id);
    await boss.complete(QUEUE, ids);
    record(latencies.ack, asked);
    acked += jobs.length;
  }
}

/** Workers as its users have them. They complete what the handler was given. */
async function work() {
  const options = {
    batchSize: Math.max(10, args['pop-batch']),
    localConcurrency: args.consumers,
    pollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
  };
  await boss.work(QUEUE, options, async (jobs) => {
    came(jobs);
    acked += jobs.length;
  });
}

/** These processes and their children, and theirs. */
function family(roots) {
  const found = [...roots];
  for (let i = 0; i < found.length; i++) {
    for (const thread of list(`/proc/${found[i]}/task`)) {
      found.push(...read(`/proc/${found[i]}/task/${thread}/children`).split(' ').filter(Boolean));
    }
  }
  return found;
}

function list(path) {
  try {
    return fs.readdirSync(path);
  } catch {
    return [];
  }
}

function read(path) {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** CPU seconds of the servers. */
function serverCpu() {
  let ticks = 0;
  for (const pid of family(serverPids)) {
    const fields = read(`/proc/${pid}/stat`).split(')').pop().trim().split(' ');
    if (fields.length > 13) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

function sample() {
  const { user, system } = process.cpuUsage();
  const stolen = Number(read('/proc/stat').split('\n')[0].split(/\s+/)[8] ?? 0) / 100;
  return { at: now(), pushed, acked, own: (user + system) / 1e6, servers: serverCpu(), steal: stolen };
}

function quantiles(list) {
  if (list.length === 0) return null;
  const sorted = Float64Array.from(list).sort();
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1), count: sorted.length };
}

const isComplete = () => delivered >= pushed && acked >= pushed;
const until = async (end, orComplete) => {
  while (now() < end && !(orComplete && isComplete())) await sleep(5);
};

async function run() {
  const drain = args.mode === 'drain';
  if (drain) await fill();
  const tasks = [];
  if (args.mode === 'paced') {
    await work();
  } else if (args.mode !== 'push') {
    for (let n = 0; n < args.consumers; n++) tasks.push(consume());
  }
  const pushing = drain ? [] : next.map((_, producer) => produce(producer));
  for (const task of [...tasks, ...pushing]) task.catch(fail);
  if (!drain) await until(now() + 1000 * args.warmup, false);
  measuring = true;
  const from = sample();
  await until(from.at + 1000 * args.duration, drain);
  const to = sample();
  measuring = false;
  stop = true;
  await Promise.all(pushing);
  if (args.mode === 'through' || args.mode === 'paced') await until(now() + REST, true);
  ended = true;
  await Promise.all(tasks);
  const span = (to.at - from.at) / 1000;
  const rate = (what) => (to[what] - from[what]) / span;
  const all = args.mode === 'through' || args.mode === 'paced';
  return {
    protocol: 'pg-boss',
    mode: args.mode,
    duration_s: span,
    pushed,
    acked,
    lost: all ? Math.max(0, pushed - delivered) : 0,
    duplicated: repeated,
    disordered: 0,
    pushed_per_s: rate('pushed'),
    acked_per_s: rate('acked'),
    latency_ms: Object.fromEntries(Object.entries(latencies).map(([key, list]) => [key, quantiles(list)])),
    generator_cpu: rate('own'),
    server_cpu: rate('servers'),
    steal: rate('steal'),
  };
}

console.log(JSON.stringify(await run().catch(fail)));
// Its pool and its timers would keep the process.
process.exit(0);
