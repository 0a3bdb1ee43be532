/** `room.history` and `room.batch`: which calls are recorded, and which belong together. */

import type * as api from "./types.js";
import { onlyNames } from "./bounds.js";
import type { CanvasObject, JsonObject } from "./types.js";
import { objectIdOf, type OpBody } from "./entry.js";
import { History } from "./history.js";
import { isObject } from "./json.js";
import type { OpHandle } from "./op.js";

export interface StepsShell {
  get(id: string): CanvasObject | undefined;
  now(): number;
  /** Makes an op that is not recorded. */
  perform(body: OpBody): OpHandle;
  mayWrite(): boolean;
  /** Ops from here on go out and are told together, with the other one. False where they do already. */
  batch(): boolean;
  batched(): void;
  changed(event: api.HistoryEvent): void;
}

export class Steps implements api.History {
  private readonly history: History;
  /** Within a batch that is no step. */
  private unrecorded = false;

  constructor(private readonly shell: StepsShell) {
    this.history = new History({ get: shell.get, perform: shell.perform }, shell.now);
    this.history.onChange = () => shell.changed({ canUndo: this.canUndo, canRedo: this.canRedo });
  }

  get canUndo(): boolean {
    return this.history.canUndo;
  }

  get canRedo(): boolean {
    return this.history.canRedo;
  }

  undo(): api.UndoStep | undefined {
    return this.shell.mayWrite() ? this.together(() => this.history.undo()) : undefined;
  }

  redo(): api.UndoStep | undefined {
    return this.shell.mayWrite() ? this.together(() => this.history.redo()) : undefined;
  }

  begin(options: api.StepOptions = {}): void {
    const { label, mergeKey } = checked(options);
    this.history.begin(label, mergeKey);
  }

  end(): void {
    this.history.end();
  }

  clear(): void {
    this.history.clear();
  }

  batch<T>(changes: () => T, options: api.StepOptions & { readonly undo?: boolean }): T {
    if (typeof changes !== "function") throw new TypeError("batch needs a function");
    const { undo, label, mergeKey } = checked(options);
    const outer = this.unrecorded;
    const opens = undo !== false && !outer && !this.history.grouping;
    this.unrecorded ||= undo === false;
    if (opens) this.history.begin(label, mergeKey);
    try {
      return this.together(changes);
    } finally {
      this.unrecorded = outer;
      if (opens) this.history.end();
    }
  }

  private together<T>(changes: () => T): T {
    const first = this.shell.batch();
    try {
      return changes();
    } finally {
      if (first) this.shell.batched();
    }
  }

  /** A call that may be a step, or a part of one. `take` carries it out, and tells of the op before anybody hears of it. */
  recorded(body: OpBody, take: (record: (op: OpHandle) => void) => OpHandle): OpHandle {
    const id = objectIdOf(body);
    if (id === undefined || this.unrecorded) return take(() => {});
    const before = this.shell.get(id);
    return take((op) => this.history.record(body, before, op));
  }

  /** Somebody else's update was committed. */
  remote(id: string, patch: JsonObject): void {
    this.history.remote(id, patch);
  }

  /** Everything up to the canvas's head has come. */
  rebase(confirmed: (id: string) => CanvasObject | undefined): void {
    this.history.rebase(confirmed);
  }
}

function checked<O extends api.StepOptions>(options: O): O {
  if (!isObject(options)) throw new TypeError("options must be an object: { label?, mergeKey? }");
  onlyNames(options, ["label", "mergeKey", "undo"], "a step");
  for (const field of ["label", "mergeKey"] as const) {
    const text = options[field];
    if (text !== undefined && typeof text !== "string") throw new TypeError(`${field} must be a string`);
  }
  return options;
}
