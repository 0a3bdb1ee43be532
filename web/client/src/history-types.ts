/** Undo and redo as an application sees them. */

/** What a step back or forth came to. */
export interface UndoStep {
  /** What it was called when it was made; `Edit` where nothing was said. */
  readonly label: string;
  /** False when nothing of it was left to take back, since others changed all of it. */
  readonly done: boolean;
}

/** How a group of changes is undone. */
export interface StepOptions {
  /** What to call the step. */
  readonly label?: string;
  /** Steps with the same key within 0.9 s become one: nudges, strokes of typing. */
  readonly mergeKey?: string;
}

/**
 * Undo and redo of one's own changes of objects, of this page's life. What somebody else wrote later is never taken back,
 * and what they wrote at the same moment comes back when one's own later write is undone.
 */
export interface History {
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  /**
   * Takes back what is left of the newest step, as new ops. `undefined` when there is none, or where one may not write.
   * An open group is ended first.
   */
  undo(): UndoStep | undefined;
  redo(): UndoStep | undefined;
  /** Everything from here to {@link end} is one step: for what takes several turns, such as a drag. An open group is ended first. */
  begin(options?: StepOptions): void;
  end(): void;
  /** Forgets all steps. */
  clear(): void;
}

/** Whether there is something to undo or redo. */
export interface HistoryEvent {
  readonly canUndo: boolean;
  readonly canRedo: boolean;
}
