/** Following somebody: the camera glides to what they see, until one moves it oneself or they go. */

import type { Camera } from "./camera";
import { byId } from "./dom";
import { colorOf, nameOf, paintPerson, type FollowState } from "./people";
import { stateOf, type PersonState } from "./presence";
import type { Room } from "./room";

/** Share of the way gone per frame at 60 frames a second: arrives in about a third of a second. */
const GLIDE = 0.18;

export class Follow implements FollowState {
  client: string | undefined;
  onChange: () => void = () => {};
  private lastFrame = 0;

  constructor(private readonly room: Room, private readonly camera: Camera, private readonly announce: (text: string) => void) {
    byId("follow-stop").addEventListener("click", () => this.stop());
    room.on("others", () => {
      if (this.client && !room.others.some((other) => other.client === this.client)) this.stop();
    });
  }

  toggle(client: string): void {
    if (this.client === client) return this.stop();
    const other = this.room.others.find((candidate) => candidate.client === client);
    if (!other) return;
    this.client = client;
    const banner = byId("follow-banner");
    banner.hidden = false;
    paintPerson(banner, colorOf(other));
    byId("follow-name").textContent = `Following ${nameOf(other)}`;
    this.announce(`Following ${nameOf(other)}. Press Escape to stop.`);
    this.onChange();
  }

  stop(): void {
    if (!this.client) return;
    this.client = undefined;
    byId("follow-banner").hidden = true;
    this.announce("Stopped following");
    this.onChange();
  }

  /** One step towards them; true while there is way to go. */
  frame(now: number): boolean {
    const other = this.client && this.room.others.find((candidate) => candidate.client === this.client);
    if (!other) return false;
    const target = this.target(stateOf(other).view);
    const frames = Math.min(4, Math.max(0.5, (now - this.lastFrame) / 16.7));
    this.lastFrame = now;
    if (!target) return true;
    const { camera } = this;
    const share = 1 - (1 - GLIDE) ** frames;
    const centre = camera.toWorld({ x: camera.width / 2, y: camera.height / 2 });
    const zoom = camera.zoom * (target.zoom / camera.zoom) ** share;
    const x = centre.x + (target.x - centre.x) * share;
    const y = centre.y + (target.y - centre.y) * share;
    const still = Math.hypot(x - centre.x, y - centre.y) * zoom < 0.2 && Math.abs(zoom / camera.zoom - 1) < 0.001;
    if (!still) camera.moveTo({ x, y }, zoom);
    return true;
  }

  private target(view: PersonState["view"]): { x: number; y: number; zoom: number } | undefined {
    const { camera } = this;
    if (view) return { x: view.x, y: view.y, zoom: Math.min(camera.width / view.w, camera.height / view.h) };
    // Bots and other applications tell no view; their cursor is what there is to follow.
    const cursor = this.room.cursors.at(this.client!);
    return cursor && { x: cursor.x, y: cursor.y, zoom: camera.zoom };
  }
}
