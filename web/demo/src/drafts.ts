/**
 * What is being done and not yet done: a stroke under the pen, a shape being pulled open, a selection being dragged.
 * It is shown here at once, told to others through `signal`s (ephemeral, so a drag stores nothing), and becomes one
 * durable op per object on release. Undo is then one step, and a lost signal costs a frame of somebody's preview.
 */

import { idsIn, isPlain, own } from "./presence";
import { changedGeometry, mapShape, round1, type Geometry, type Mapping } from "./geometry";
import type { Scene } from "./scene";
import { FAR, finite, toShape } from "./scene";
import type { Shape, Wire } from "./types";

/** Others see 20 positions a second; more would not look smoother after the relay's own tick. */
const SEND_EVERY_MS = 50;
/** A drag of more objects than this is shown to others on release only: the list of ids would fill every signal. */
const MAX_IDS = 100;
/** Points per signal; the rest follows in the next one. */
const MAX_POINTS = 200;
/** What is taken of others' signals: each, and a preview in all. It is painted anew with every one of them. */
const MAX_SIGNAL_NUMBERS = 4 * MAX_POINTS;
const MAX_GHOST_NUMBERS = 12_000;
/** After the end the preview stays until the durable change arrives, at most this long. */
const LINGER_MS = 800;
/** A preview whose author went silent without leaving is dropped. */
const SILENCE_MS = 4000;

type Draft =
  | { k: "map"; ids: string[]; f: number[]; t: number[] }
  | { k: "shape"; o: Wire }
  | { k: "stroke"; o: Wire; at: number; p: number[] }
  | { k: "end" };

interface RemoteDraft {
  /** What is being done to objects: each as it was shown at the beginning, and what is changed of it since. */
  objects: Map<string, { start: Shape | undefined; change: Geometry }>;
  ghost: string | undefined;
  origin: Wire | undefined;
  points: number[];
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Drafts {
  private readonly remote = new Map<string, RemoteDraft>();
  private readonly local = new Map<string, Geometry>();
  private ghostId: string | undefined;
  private queued: (() => Draft | undefined) | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private strokeSent = 0;

  constructor(private readonly scene: Scene, private readonly send: (draft: Draft) => void) {}

  get busy(): boolean {
    return this.local.size > 0 || this.ghostId !== undefined;
  }

  /** Shows objects mapped, from where they were shown when it began. Returns what changed, to be committed at the end. */
  map(starts: readonly Shape[], mapping: Mapping): ReadonlyMap<string, Geometry> {
    const changes = new Map<string, Geometry>();
    for (const start of starts) {
      if (this.scene.settled(start.id)) changes.set(start.id, this.change(start, mapShape(start, mapping)));
    }
    const { from, to } = mapping;
    const list = [...changes.keys()];
    if (list.length <= MAX_IDS) {
      this.queue(() => ({
        k: "map", ids: list, f: [from.x, from.y, from.w, from.h].map(round1), t: [to.x, to.y, to.w, to.h].map(round1),
      }));
    }
    return changes;
  }

  /** Shows an existing object in a new form; `start` is how it was shown when that began. Returns what changed. */
  reshape(start: Shape, wire: Wire): Geometry {
    this.queue(() => ({ k: "shape", o: wire }));
    return this.change(start, toShape(wire));
  }

  /** Shows an object that is being made. */
  shape(wire: Wire): void {
    this.showGhostOfOwn(wire);
    this.queue(() => ({ k: "shape", o: wire }));
  }

  /** Shows a stroke under the pen. `points` are absolute and only ever appended to. */
  stroke(wire: Wire, points: readonly number[]): void {
    this.showGhostOfOwn({ ...wire, ...relative(points) });
    this.queue(() => {
      const at = this.strokeSent;
      const p = points.slice(at, at + 2 * MAX_POINTS);
      this.strokeSent = at + p.length;
      return p.length > 0 ? { k: "stroke", o: wire, at, p } : undefined;
    });
  }

  /** Takes the previews away; call it after the durable ops were made, so that nothing flickers. */
  end(): void {
    const ids = [...this.local.keys()];
    this.local.clear();
    for (const id of ids) this.show(id);
    if (this.ghostId) this.scene.ghost(this.ghostId, undefined);
    this.ghostId = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.queued = undefined;
    this.strokeSent = 0;
    this.send({ k: "end" });
  }

  private showGhostOfOwn(wire: Wire): void {
    this.ghostId = wire.id;
    this.scene.ghost(wire.id, toShape(wire));
  }

  private change(start: Shape, after: Shape): Geometry {
    const change = changedGeometry(start, after);
    this.local.set(start.id, change);
    this.show(start.id);
    return change;
  }

  /** Lays what everybody is doing to an object over it; one's own on top, so that nothing jumps under one's pen. */
  private show(id: string): void {
    const theirs = [...this.remote.values()].map(({ objects }) => objects.get(id)?.change);
    const changes = [...theirs, this.local.get(id)].filter((change) => change !== undefined);
    this.scene.preview(id, changes.length > 0 ? Object.assign({}, ...changes) : undefined);
  }

  private queue(draft: () => Draft | undefined): void {
    this.queued = draft;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const ready = this.queued?.();
      this.queued = undefined;
      if (ready) this.send(ready);
    }, SEND_EVERY_MS);
  }

  /** A "draft" signal came in. Its content is another program's word: nothing in it is taken for granted. */
  receive(client: string, data: unknown): void {
    if (!isPlain(data)) return;
    const draft = { k: own(data, "k"), ids: own(data, "ids"), f: own(data, "f"), t: own(data, "t"), o: own(data, "o"), at: own(data, "at"), p: own(data, "p") };
    const state = this.remote.get(client) ?? { objects: new Map(), ghost: undefined, origin: undefined, points: [], timer: undefined };
    this.remote.set(client, state);
    clearTimeout(state.timer);
    state.timer = setTimeout(() => this.forget(client), draft.k === "end" ? LINGER_MS : SILENCE_MS);
    if (draft.k === "map") this.receiveMap(state, draft);
    else if (draft.k === "shape") this.receiveShape(state, draft.o);
    else if (draft.k === "stroke") this.receiveStroke(state, draft);
    else if (draft.k === "end") for (const object of state.objects.values()) object.start = undefined;
  }

  private receiveMap(state: RemoteDraft, draft: Partial<Record<string, unknown>>): void {
    const { ids, f, t } = draft;
    if (!isFour(f) || !isFour(t)) return;
    const [fx, fy, fw, fh] = f;
    const [tx, ty, tw, th] = t;
    const mapping = { from: { x: fx, y: fy, w: fw, h: fh }, to: { x: tx, y: ty, w: tw, h: th } };
    for (const id of idsIn(ids, MAX_IDS)) {
      if (this.scene.settled(id)) this.receiveChange(state, id, (start) => mapShape(start, mapping));
    }
  }

  private receiveChange(state: RemoteDraft, id: string, after: (start: Shape) => Shape): void {
    const start = state.objects.get(id)?.start ?? this.scene.get(id)!;
    state.objects.set(id, { start, change: changedGeometry(start, after(start)) });
    this.show(id);
  }

  private receiveShape(state: RemoteDraft, raw: unknown): void {
    if (!isWire(raw)) return;
    if (this.scene.settled(raw.id)) this.receiveChange(state, raw.id, () => toShape(raw));
    else this.showGhost(state, raw);
  }

  private receiveStroke(state: RemoteDraft, draft: Partial<Record<string, unknown>>): void {
    const { o, p, at } = draft;
    if (!isWire(o) || !Array.isArray(p) || this.scene.settled(o.id)) return;
    if (state.origin?.id !== o.id || at === 0) state.points = [];
    state.origin = o;
    // A lost signal leaves a straight piece in the preview; the finished stroke will be whole.
    const room = Math.min(MAX_SIGNAL_NUMBERS, MAX_GHOST_NUMBERS - state.points.length);
    for (const value of p.slice(0, room)) state.points.push(finite(value, 0));
    this.showGhost(state, { ...o, ...relative(state.points) });
  }

  private showGhost(state: RemoteDraft, wire: Wire): void {
    if (state.ghost && state.ghost !== wire.id) this.scene.ghost(state.ghost, undefined);
    state.ghost = wire.id;
    this.scene.ghost(wire.id, toShape(wire));
  }

  /**
   * The real thing arrived: it takes the place of its author's preview. Somebody else's preview of the same object lies
   * over it until they are done. After a snapshot nobody is the author (`client` is empty), and all previews go.
   */
  objectChanged(id: string, client: string): void {
    for (const [author, state] of this.remote) {
      if ((client === author || client === "") && state.objects.delete(id)) this.show(id);
      if (state.ghost === id) {
        this.scene.ghost(id, undefined);
        state.ghost = undefined;
      }
    }
  }

  /** Whoever is not here does nothing any more: a page that was reloaded in the middle of a drag never ends it. */
  forgetUnless(here: (client: string) => boolean): void {
    for (const client of [...this.remote.keys()]) if (!here(client)) this.forget(client);
  }

  forget(client: string): void {
    const state = this.remote.get(client);
    if (!state) return;
    clearTimeout(state.timer);
    this.remote.delete(client);
    for (const id of state.objects.keys()) this.show(id);
    if (state.ghost) this.scene.ghost(state.ghost, undefined);
  }
}

/** Absolute points as an object's x, y, w, h and relative points. */
export function relative(points: readonly number[]): { x: number; y: number; w: number; h: number; points: number[] } {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < points.length; i += 2) {
    left = Math.min(left, points[i]!);
    right = Math.max(right, points[i]!);
    top = Math.min(top, points[i + 1]!);
    bottom = Math.max(bottom, points[i + 1]!);
  }
  if (left === Infinity) return { x: 0, y: 0, w: 0, h: 0, points: [] };
  const out = points.map((value, i) => round1(value - (i % 2 === 0 ? left : top)));
  return { x: round1(left), y: round1(top), w: round1(right - left), h: round1(bottom - top), points: out };
}

const isFour = (value: unknown): value is [number, number, number, number] =>
  Array.isArray(value) && value.length === 4 && value.every((n) => Number.isFinite(n) && Math.abs(n) <= FAR);

const isWire = (value: unknown): value is Wire =>
  isPlain(value) && idsIn([own(value, "id")]).length === 1 && typeof own(value, "kind") === "string";
