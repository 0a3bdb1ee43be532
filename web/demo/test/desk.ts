/** Somebody at the page without a page: its parts that need no browser, on a library room over the model server. */

import { Harness, type Seat } from "../../client/test/harness.js";
import type { App } from "../src/app";
import { Camera } from "../src/camera";
import { Drafts } from "../src/drafts";
import type { Pointer } from "../src/gestures";
import { History } from "../src/history";
import { Scene } from "../src/scene";
import { Selection } from "../src/selection";
import type { Wire } from "../src/types";

/** A history on a library room, as the page has it. */
export function historyOf({ room }: Seat): History {
  return new History(room, () => true);
}

export interface Desk {
  seat: Seat;
  app: App;
  scene: Scene;
  drafts: Drafts;
  /** What drafts told the others. The model server carries no signals: hand them over by `receive`. */
  told: unknown[];
}

export function deskOf(seat: Seat): Desk {
  const { room } = seat;
  const scene = new Scene();
  const told: unknown[] = [];
  const drafts = new Drafts(scene, (draft) => told.push(structuredClone(draft)));
  room.on("objects", ({ changes }) => {
    for (const { id, own, client } of changes) {
      scene.set(id, room.objects.get(id));
      if (!own) drafts.objectChanged(id, client);
    }
  });
  const app = {
    room, scene, drafts,
    camera: new Camera(),
    selection: new Selection(),
    history: historyOf(seat),
    invalidate: () => {},
    announce: () => {},
  } as unknown as App;
  return { seat, app, scene, drafts, told };
}

/** Ann and Ben, who both see the objects. */
export async function annAndBen(...objects: Wire[]): Promise<{ h: Harness; ann: Desk; ben: Desk }> {
  const h = new Harness();
  const [ann, ben] = [h.open("ann-client"), h.open("ben-client")].map(deskOf) as [Desk, Desk];
  await h.world.run(100);
  for (const object of objects) ben.seat.room.objects.create(object as never);
  await h.world.run(100);
  return { h, ann, ben };
}

/** A mouse at a place; the camera of a desk shows one unit as one pixel. */
export function at(x: number, y: number): Pointer {
  return { screen: { x, y }, world: { x, y }, shift: false, alt: false, toggle: false, touch: false, trail: [{ x, y }] };
}
