/** Rooms over a model server in virtual time. */

import type { Entry } from "../src/entry.js";
import { Room } from "../src/room.js";
import type { Ground, KeptCanvas, Loaded, Store } from "../src/store.js";
import type { Op, ScumbleError, TransportOption } from "../src/types.js";
import { ModelHttp } from "./model-http.js";
import { ModelServer } from "./model-server.js";
import { type Listen, type Page, seeded, World } from "./world.js";

/** A store that outlives the page, as IndexedDB does: what is in it is a copy. */
export class DurableStore implements Store {
  readonly durable: boolean = true;
  readonly ops = new Map<number, Entry>();
  nextOp = 1;
  constructor(public client: string) {}
  save(entry: Entry): void {
    this.ops.set(entry.key, structuredClone(entry));
  }
  forget(entry: Entry): void {
    this.ops.delete(entry.key);
  }
  numbered(nextOp: number): void {
    this.nextOp = nextOp;
  }
  async changeClient(client: string): Promise<void> {
    this.client = client;
    this.nextOp = 1;
  }
  leave(): void {}
  comeBack(): void {}
  close(): void {}
  /** Whether the confirmed canvas is kept now. */
  keeps: () => boolean = () => false;
  kept: KeptCanvas | undefined;
  private ground: Ground | undefined;
  follow(ground: Ground): void {
    this.ground = ground;
  }
  moved(): void {
    const position = this.ground?.position();
    if (!this.ground || !position || !this.keeps()) return;
    this.kept = structuredClone({ ...position, objects: [...this.ground.objects()], chat: this.ground.chat(), logs: this.ground.logs() });
  }
  refused(): void {
    this.kept = undefined;
  }
  load(): Loaded {
    const entries = [...this.ops.values()].sort((a, b) => a.key - b.key).map((entry) => structuredClone(entry));
    return { client: this.client, nextOp: this.nextOp + 1000, entries, ...(this.kept && { kept: structuredClone(this.kept) }) };
  }
}

export class MemoryOnly extends DurableStore {
  override readonly durable = false;
}

export interface Seat {
  page: Page;
  room: Room;
  store: DurableStore;
  transport: TransportOption;
}

export class Harness {
  readonly world: World;
  readonly server = new ModelServer();

  constructor(readonly random = seeded(1)) {
    this.world = new World(random);
    this.server.now = () => this.world.time;
  }

  /** A page with a room on it. */
  open(client: string, options: { store?: DurableStore; listen?: Listen; ownIdentity?: boolean; token?: string | (() => string); name?: string; transport?: TransportOption } = {}): Seat {
    const store = options.store ?? new DurableStore(client);
    const page = this.world.page(options.listen ?? this.server.listen);
    const { ownIdentity = true, token, name = client, transport = "websocket" } = options;
    if (transport !== "websocket") page.request = new ModelHttp(page, this.server.listen).request;
    const room = new Room(page, { socketUrl: "ws://x/ws/c", canvas: "c", user: { name }, token, ownIdentity, transport }, store, store.load());
    return { page, room, store, transport };
  }

  /** The page goes without a word and another one comes with what the store kept. */
  reload(seat: Seat): void {
    seat.page.kill();
    Object.assign(seat, this.open(seat.store.client, { store: seat.store, transport: seat.transport }));
  }
}

/** What an op says of itself: its state, the error's code, and how `done` ended, if it did. */
export async function fateOf(op: Op): Promise<unknown[]> {
  let end = "waits";
  op.done.then(({ status }) => (end = status), ({ code }: ScumbleError) => (end = code));
  await Promise.resolve();
  return [op.state, op.error?.code, end];
}
