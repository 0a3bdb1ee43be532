/** The pictures that images show: loaded once each, by the names of their assets. */

import type { Room } from "./room";

/** An image may be there before its asset, which somebody uploads: it is asked for again, ever more seldom. */
const AGAIN_MS = 500;
const MAX_AGAIN_MS = 20_000;
const TRIES = 12;
/** Pictures in memory; of more, those that were not painted for longest go. */
const MOST = 300;
/** How long an export waits for pictures. */
const EXPORT_WITHIN_MS = 15_000;

interface Entry {
  picture: HTMLImageElement | undefined;
  readonly done: Promise<void>;
}

class Pictures {
  /** Called when there is something to be painted. */
  onChange: () => void = () => {};
  private room: Room | undefined;
  private readonly entries = new Map<string, Entry>();
  private readonly uploads = new Map<string, number>();

  start(room: Room): void {
    this.room = room;
  }

  /** The picture, once it is there. */
  get(src: string): HTMLImageElement | undefined {
    if (src === "" || !this.room) return undefined;
    const entry = this.entries.get(src) ?? this.load(src);
    // The one that was painted last comes last.
    this.entries.delete(src);
    this.entries.set(src, entry);
    if (this.entries.size > MOST) this.entries.delete(this.entries.keys().next().value!);
    return entry.picture;
  }

  /** How much of it is uploaded, from 0 to 1; undefined if it is not uploaded here and now. */
  progress(src: string): number | undefined {
    return this.uploads.get(src);
  }

  setProgress(src: string, share: number | undefined): void {
    if (share === undefined) this.uploads.delete(src);
    else this.uploads.set(src, share);
    this.onChange();
  }

  private load(src: string): Entry {
    const entry: Entry = { picture: undefined, done: this.tried(src).then((picture) => {
      entry.picture = picture;
      if (picture) this.onChange();
    }) };
    return entry;
  }

  private async tried(src: string): Promise<HTMLImageElement | undefined> {
    for (let n = 0; n < TRIES; n++) {
      try {
        const picture = new Image();
        // So that an export may read what was painted.
        picture.crossOrigin = "anonymous";
        picture.src = await this.room!.assets.url(src);
        await picture.decode();
        return picture;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, Math.min(MAX_AGAIN_MS, AGAIN_MS * 2 ** n)));
      }
    }
    return undefined;
  }

  /** Waits until these are there, but not for ever. Gives how many are not. */
  async loaded(sources: readonly string[]): Promise<number> {
    const once = [...new Set(sources)];
    const all = Promise.all(once.map((src) => (this.get(src), this.entries.get(src)?.done)));
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, EXPORT_WITHIN_MS))]);
    return once.filter((src) => !this.entries.get(src)?.picture).length;
  }

  /** The same as addresses that have everything in them, and how many are missing. */
  async embedded(sources: readonly string[]): Promise<{ all: Map<string, string>; missing: number }> {
    const all = new Map<string, string>();
    const signal = AbortSignal.timeout(EXPORT_WITHIN_MS);
    const embed = async (src: string): Promise<void> => {
      for (let n = 0; !signal.aborted; n++) {
        try {
          const response = await fetch(await this.room!.assets.url(src), { signal });
          if (!response.ok) throw new Error(response.statusText);
          all.set(src, await asDataUrl(await response.blob()));
          return;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, Math.min(EXPORT_WITHIN_MS / 4, AGAIN_MS * 2 ** n)));
        }
      }
    };
    const once = [...new Set(sources)];
    await Promise.all(once.map(embed));
    return { all, missing: once.length - all.size };
  }
}

function asDataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error("the picture can't be read"));
    reader.readAsDataURL(blob);
  });
}

export const pictures = new Pictures();
