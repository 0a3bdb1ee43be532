/** Real processes over real lines as the ground of a play: what the relay's own log says decides. */

import { mergePatch } from "../client/src/json.js";
import { Room } from "../client/src/room.js";
import type { CanvasObject } from "../client/src/types.js";
import type { OpBody } from "../client/src/entry.js";
import { DurableStore } from "../client/test/harness.js";
import type { Committed, Ground, Seated } from "../client/test/simulation.js";
import { seeded } from "../client/test/world.js";
import { type Cluster, eventually } from "./cluster.js";
import type { Conditions, Line } from "./line.js";
import { NodePage } from "./node-page.js";
import type { Heard } from "./witness.js";

const NAMES = ["alpha", "bravo", "gamma", "delta"];
/** The canvas before the play: it takes seconds to come over a slow line. */
const FILLER = 24;
const FILLER_CHARS = 3_000;

interface Seat extends Seated {
  page: NodePage;
  room: Room;
  readonly line: Line;
}

export class LineGround implements Ground {
  readonly random: () => number;
  readonly ids = ["a", "b", "c", "d", "e"];
  readonly refusedForGood = new Set<string>();
  readonly refusedOps = new Set<string>();
  readonly seats: Seat[] = [];
  private readonly committed: Committed[] = [];
  private readonly states = new Map<string, readonly CanvasObject[]>();
  private current = new Map<string, CanvasObject>();
  private epoch = "";
  private head = 0;

  private constructor(seed: number, private readonly cluster: Cluster, private readonly canvas: string, private readonly bad: boolean) {
    this.random = seeded(seed);
  }

  /** A seat at each of four lines, two to each process. The last process of the cluster has the witness, and stays. */
  static async prepare(cluster: Cluster, seed: number, conditions?: Conditions): Promise<LineGround> {
    const canvas = `lines-${seed}-${conditions?.bytesPerS ?? "direct"}`;
    const ground = new LineGround(seed, cluster, canvas, conditions !== undefined);
    const witness = await cluster.witness(cluster.instances.length - 1, canvas);
    witness.onHeard = (message) => ground.heard(message);
    ground.epoch = witness.epoch;
    ground.states.set(`${ground.epoch}/0`, []);
    for (const [i, name] of NAMES.entries()) {
      const line = await cluster.line(i % 2, conditions && { ...conditions, random: ground.random });
      ground.seats.push({ line, ...ground.open(line, new DurableStore(`${name}-${canvas}`.slice(0, 64))) });
    }
    const [first] = ground.seats as [Seat];
    first.room.batch(() => {
      for (let i = 0; i < FILLER; i++) first.room.objects.create({ id: `f${i}`, kind: "image", pad: ground.noise(FILLER_CHARS) });
    });
    return ground;
  }

  private open(line: Line, store: DurableStore): { page: NodePage; room: Room; store: DurableStore } {
    store.keeps = () => this.random() < 0.2;
    const page = new NodePage();
    // Who comes back may speak another way than before.
    const encoding = this.random() < 0.5 ? "json" as const : "msgpack" as const;
    const transport = this.random() < 0.4 ? "sse" as const : "websocket" as const;
    const wire = { encoding, compress: this.random() < 0.5, transport };
    const options = { ...wire, socketUrl: `${line.url.replace("http", "ws")}/ws/${this.canvas}`, canvas: this.canvas, user: { name: store.client.slice(0, 5) }, token: undefined, ownIdentity: true };
    return { page, store, room: new Room(page, options, store, store.load()) };
  }

  private heard(message: Heard): void {
    const { seq, client, op, ...rest } = message;
    this.head = seq;
    this.committed.push({ client, op, body: rest as unknown as OpBody });
    const { current } = this;
    if (message.type === "object-create") current.set(message.object.id, message.object as CanvasObject);
    else if (message.type === "object-update") current.set(message.id, mergePatch(current.get(message.id), message.patch as never) as CanvasObject);
    else if (message.type === "object-delete") current.delete(message.id);
    this.states.set(`${this.epoch}/${seq}`, [...current.values()]);
  }

  /** Letters that nothing makes shorter on the way. */
  private noise(chars: number): string {
    return Array.from({ length: chars }, () => String.fromCharCode(40 + Math.floor(this.random() * 50))).join("").replaceAll("\\", "/");
  }

  padding(): string {
    return this.bad && this.random() < 0.1 ? this.noise(Math.floor(this.random() * 2_000)) : "";
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  disturb(index: number): void {
    const seat = this.seats[index]!;
    const dice = this.random();
    if (dice < 0.25) seat.line.reset();
    else if (dice < 0.4) this.reload(seat);
    else if (dice < 0.55) seat.line.stall(this.random() * 2_000);
    else if (dice < 0.7) {
      const to = this.random() < 0.5 ? 0 : 1;
      seat.line.leadTo(() => this.cluster.instances[to]!.url);
    }
    else if (dice < 0.8) seat.page.events?.offline();
    else {
      const { page } = seat;
      page.freeze();
      setTimeout(() => page.thaw(), this.random() * 1_500);
    }
  }

  /** The page goes without a word and another one comes with what the store kept. */
  private reload(seat: Seat): void {
    seat.page.kill();
    Object.assign(seat, this.open(seat.line, seat.store));
  }

  async settle(): Promise<void> {
    const state = (): string => this.seats.map(({ room, store }) =>
      `${room.status} ${room.sync} at ${room.seq} of ${this.head}, ${room.outbox.length} to send, ${store.ops.size} kept`).join("; ");
    await eventually(() => `everybody has everything: ${state()}`, () => this.seats.every(({ room, store }) =>
      room.status === "connected" && room.sync === "synchronized" && room.seq === this.head && room.outbox.length === 0 && store.ops.size === 0));
  }

  stateAt(epoch: string, seq: number): readonly CanvasObject[] | undefined {
    return this.states.get(`${epoch}/${seq}`);
  }

  objects(): readonly CanvasObject[] {
    return [...this.current.values()];
  }

  log(): readonly Committed[] {
    return this.committed;
  }

  leave(): void {
    for (const { room } of this.seats) room.close();
  }
}
