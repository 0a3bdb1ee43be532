/** The model server in virtual time as the ground of a play: refusals, lost acks, gaps, reloads, and lines of all sorts. */

import type { OpBody } from "../src/entry.js";
import type { CanvasObject, TransportOption } from "../src/types.js";
import { Harness, type Seat } from "./harness.js";
import type { Logged } from "./model-server.js";
import { type Ground, tokenOf } from "./simulation.js";
import { seeded } from "./world.js";

/** A line, as its users would describe it. */
export interface Conditions {
  readonly bytesPerS: number;
  /** There and back, at least. */
  readonly roundTripMs: number;
  /** The share of messages that a lost packet holds up. */
  readonly loss: number;
  /** People look at other tabs: pages stand still for up to a minute, and are told when they are looked at again. */
  readonly tabs: boolean;
}

/** After a lost packet, ms: a retransmission, or two. */
const RESENT_MS = [200, 900] as const;
/** Everything is over by then, however slow the line. */
const SETTLED_MS = 600_000;
const PAD = "x".repeat(4_000);

export class ModelGround implements Ground {
  readonly random: () => number;
  readonly harness: Harness;
  readonly seats: Seat[];
  readonly ids = ["a", "b", "c", "d", "e"];
  readonly refusedForGood = new Set<string>();
  readonly refusedOps = new Set<string>();
  private faults = true;
  private commits = 0;

  constructor(seed: number, private readonly line?: Conditions, transport: TransportOption = "websocket") {
    const random = (this.random = seeded(seed));
    this.harness = new Harness(random);
    const { world, server } = this.harness;
    const base = (line?.roundTripMs ?? 2) / 2;
    world.latency = () => base + Math.floor(random() * 40) + this.resent();
    world.bytesPerS = line?.bytesPerS ?? Infinity;
    server.refuse = (op, client) => this.maybeRefuse(op, client);
    server.loseAck = () => this.faults && random() < 0.04;
    server.skip = () => this.faults && random() < 0.01;
    server.snapshotLag = () => Math.floor(random() * 4);
    server.bases = () => random() < 0.7;
    // A canvas that takes a while to come.
    const filler = line ? Math.ceil(line.bytesPerS / 4_000) : 0;
    for (let i = 0; i < filler; i++) server.commit("filler-0001", { type: "object-create", object: { id: `f${i}`, kind: "image", pad: PAD } });
    this.seats = ["alpha-0001", "bravo-0001", "gamma-0001"].map((client) => this.harness.open(client, { transport }));
    for (const { store } of this.seats) store.keeps = () => random() < 0.2;
  }

  private resent(): number {
    if (!this.line || this.random() >= this.line.loss) return 0;
    return RESENT_MS[0] + Math.floor(this.random() * RESENT_MS[1]);
  }

  private maybeRefuse(body: OpBody & { op: number }, client: string): { code: string; retry_after_ms?: number } | undefined {
    if (!this.faults) return undefined;
    const dice = this.random();
    if (dice < 0.08) return { code: this.random() < 0.5 ? "overloaded" : "rate-limited", retry_after_ms: Math.floor(this.random() * 200) };
    if (dice >= 0.1) return undefined;
    this.refusedForGood.add(tokenOf(body));
    this.refusedOps.add(`${client}/${body.op}`);
    return { code: "forbidden" };
  }

  padding(): string {
    return this.line && this.random() < 0.3 ? PAD.slice(0, Math.floor(this.random() * PAD.length)) : "";
  }

  wait(ms: number): Promise<void> {
    return this.harness.world.run(ms);
  }

  disturb(index: number): void {
    const { server } = this.harness;
    const seat = this.seats[index] as Seat;
    if (this.line?.tabs && this.random() < 0.4) return this.lookElsewhere(seat);
    const dice = this.random();
    if (dice < 0.3) seat.page.line?.cut();
    else if (dice < 0.45) this.harness.reload(seat);
    else if (dice < 0.6) server.forget(server.head - Math.floor(this.random() * 3));
    else if (dice < 0.7) server.resync(seat.room.client);
    else if (dice < 0.8) server.connOf(seat.room.client)?.line.closeAfter([4503, 4504, 4413, 1001][Math.floor(this.random() * 4)]!);
    else if (dice < 0.9) seat.room.outbox.filter((op) => op.state === "failed").forEach((op) => op.retry());
    else {
      const id = this.ids[Math.floor(this.random() * this.ids.length)]!;
      server.commit("somebody-else", { type: "object-update", id, patch: { x: `s${++this.commits}` } });
    }
  }

  private lookElsewhere({ page }: Seat): void {
    const { world } = this.harness;
    if (this.random() < 0.2) page.events?.offline();
    page.freeze();
    world.after(Math.floor(this.random() ** 3 * 60_000), () => {
      page.thaw();
      page.events?.wakened();
    });
  }

  async settle(): Promise<void> {
    this.faults = false;
    const { world, server } = this.harness;
    await world.run(60_000);
    // Whoever had the last message left out learns of it by the next.
    server.commit("somebody-else", { type: "broadcast", event: "end", data: "end" });
    await world.run(10_000);
    if (!this.line) return;
    const done = (): boolean => this.seats.every(({ room }) => room.sync === "synchronized" && room.status === "connected" && room.seq === this.harness.server.head &&
      room.outbox.every((op) => op.state === "failed"));
    for (let waited = 60_000; !done() && waited < SETTLED_MS; waited += 5_000) await world.run(5_000);
  }

  stateAt(epoch: string, seq: number): readonly CanvasObject[] | undefined {
    return this.harness.server.states.get(`${epoch}/${seq}`);
  }

  objects(): readonly CanvasObject[] {
    return [...this.harness.server.objects.values()];
  }

  log(): readonly Logged[] {
    return this.harness.server.history;
  }
}
