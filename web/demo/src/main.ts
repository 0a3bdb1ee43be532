/** The page: makes the parts and ties them together. Started as a worker (no document) the same file runs the bots. */

import { connect } from "scumble-client";
import type { App } from "./app";
import { startBadge } from "./badge";
import { base } from "./base";
import { runBots } from "./bot-worker";
import { Bots } from "./bots";
import { Camera } from "./camera";
import { ChatPanel } from "./chat";
import { startClipboard } from "./clipboard";
import { CursorLayer } from "./cursors";
import { byId } from "./dom";
import { Drafts } from "./drafts";
import { Drawer } from "./drawer";
import { startExport } from "./export";
import { Follow } from "./follow";
import { freeArea } from "./free-area";
import { grow } from "./geometry";
import { History, type Step } from "./history";
import { canvasFromAddress, loadProfile, tokenFromAddress } from "./identity";
import { Latency } from "./latency";
import { Narrator } from "./narrator";
import { Overlay, type Outline } from "./overlay";
import { announcer, Panel, share, startHelp, startProfile, toast } from "./panels";
import { colorOf, nameOf, People } from "./people";
import { startPictures } from "./pictures-in";
import { stateOf } from "./presence";
import { Renderer } from "./render";
import type { Room } from "./room";
import { Scene } from "./scene";
import { Selection } from "./selection";
import { startShortcuts } from "./shortcuts";
import { Stage } from "./stage";
import { startTelling } from "./telling";
import { TextEditor } from "./text-editor";
import { cssColor, startTheme, toggleTheme } from "./theme";
import { buildToolbar, showTool, StyleBar } from "./toolbar";
import type { Style, ToolName } from "./types";

async function startPage(): Promise<void> {
  const { canvas, refused } = canvasFromAddress();
  document.title = `${canvas} – scumble`;
  byId("canvas-name").textContent = canvas;
  byId("canvas-name").title = canvas;
  const profile = loadProfile();
  const token = tokenFromAddress();
  startTheme(() => page?.themeChanged());
  const room = await connect({ url: base().href, canvas, user: { name: profile.name, color: profile.color }, persist: "indexeddb", ...(token ? { token } : {}) });
  const page = new Page(room, canvas, token);
  startProfile(room, profile, () => page.chat.render());
  page.start();
  if (refused !== undefined) {
    page.toast(`A canvas can't be named “${refused.slice(0, 40)}”: a name has letters, digits and . _ : - and begins with a letter or digit. This is a new one`);
  }
}

class Page implements App {
  readonly camera = new Camera();
  readonly scene = new Scene();
  readonly selection = new Selection();
  readonly style: Style = { color: "ink", fill: "tint", stroke: 4 };
  readonly announce = announcer();
  readonly history: History;
  readonly renderer: Renderer;
  readonly overlay: Overlay;
  readonly drafts: Drafts;
  readonly editor: TextEditor;
  readonly chat: ChatPanel;
  tool: ToolName = "select";
  private readonly stage: Stage;
  private readonly styleBar: StyleBar;
  private readonly cursors: CursorLayer;
  private readonly follow: Follow;
  private readonly people: People;
  private readonly chatPanel = new Panel("chat", "chat-button", "chat-close");
  private readonly drawerPanel = new Panel("drawer", "drawer-button", "drawer-close");
  private frameAsked = false;
  private ended = false;
  /** Nobody moved the view since everything was shown: it goes on showing it when a panel comes or goes. */
  private showsAll = false;

  constructor(readonly room: Room, readonly canvas: string, token: string | undefined) {
    this.history = new History(room, () => this.mayWrite());
    this.renderer = new Renderer(byId<HTMLCanvasElement>("scene"), this.scene, this.camera, () => this.invalidate());
    this.overlay = new Overlay(byId<HTMLCanvasElement>("overlay"), this.scene, this.camera, this.selection);
    this.drafts = new Drafts(this.scene, (draft) => void room.signal("draft", draft as never));
    this.editor = new TextEditor(byId("editor-layer"), () => this);
    this.stage = new Stage(this, byId("overlay"), this.overlay);
    buildToolbar(this);
    this.styleBar = new StyleBar(this);
    this.cursors = new CursorLayer(room, this.camera, byId("cursors"), this.invalidate);
    this.follow = new Follow(room, this.camera, this.announce);
    this.people = new People(room, byId("avatars"), byId("people-list"), this.follow, this.announce);
    this.chat = new ChatPanel(room, () => this.chatPanel.isOpen);
    this.startPanels(token);
  }

  private startPanels(token: string | undefined): void {
    const { room, chat } = this;
    Panel.onChange = () => this.showsAll && this.fitAll();
    this.chatPanel.onOpen = () => chat.opened();
    void room.whenSynced().then(() => chat.markAllSeen(), () => {});
    const socket = new URL(`ws/${encodeURIComponent(this.canvas)}`, base());
    socket.protocol = socket.protocol.replace("http", "ws");
    const area = () => grow(this.camera.view(), -Math.min(60, this.camera.width / 10));
    const drawer = new Drawer(room, new Latency(room), new Bots(socket.href, token), area, this.toast);
    this.drawerPanel.onOpen = () => drawer.opened();
    this.drawerPanel.onClose = () => drawer.closed();
    startBadge(room, this.announce, this.toast);
    byId("badge").addEventListener("click", () => {
      this.drawerPanel.open();
      drawer.showOutbox();
    });
    byId("share").addEventListener("click", () => void share(this.toast));
    byId("theme-button").addEventListener("click", this.toggleTheme);
    byId("theme-narrow").addEventListener("click", this.toggleTheme);
    byId("undo").addEventListener("click", this.undo);
    byId("redo").addEventListener("click", this.redo);
    byId("zoom-in").addEventListener("click", () => this.zoomTo(this.camera.zoom * 1.25));
    byId("zoom-out").addEventListener("click", () => this.zoomTo(this.camera.zoom * 0.8));
    byId("zoom-level").addEventListener("click", () => this.zoomTo(1));
    byId("fit").addEventListener("click", this.fitAll);
  }

  start(): void {
    const { room } = this;
    startTelling(this, this.follow);
    startClipboard(this);
    startExport(this);
    startPictures(this, byId("stage"));
    const narrator = new Narrator(this);
    room.on("objects", ({ changes }) => {
      for (const { id, own, client, type } of changes) if (!own) narrator.heardOf(client, type, id);
    });
    startShortcuts(this, {
      undo: this.undo,
      redo: this.redo,
      zoomTo: this.zoomTo,
      fitAll: this.fitAll,
      toggleChat: () => this.chatPanel.toggle(),
      toggleDrawer: () => this.drawerPanel.toggle(),
      toggleTheme: this.toggleTheme,
      help: startHelp(),
      escape: this.escape,
    }, (held) => this.holdSpace(held));
    this.scene.onDirty = this.invalidate;
    this.selection.onChange = () => this.selectionChanged();
    this.history.onChange = () => this.showHistory();
    this.camera.onChange(() => this.cameraChanged());
    this.stage.onManualCamera = () => {
      this.showsAll = false;
      this.follow.stop();
    };
    this.follow.onChange = () => {
      this.people.render();
      this.invalidate();
    };
    for (const object of room.objects) this.scene.set(object.id, object);
    this.listen();
    // The page may be gone in a moment. First of all listeners, so that the library leaves the next page all of it.
    addEventListener("pagehide", () => {
      this.stage.cancel();
      this.editor.flush(true);
    }, { capture: true });
    document.addEventListener("visibilitychange", () => document.hidden && this.editor.flush());
    new ResizeObserver(() => this.resized()).observe(byId("stage"));
    this.resized();
    this.themeChanged();
    this.people.render();
    this.setTool("select");
    this.showHistory();
    this.showFirst();
    window.scumbleDemo = { room, app: this, scene: this.scene, camera: this.camera, history: this.history, selection: this.selection };
    document.documentElement.dataset.ready = "true";
  }

  /**
   * Opening a canvas shows what is on it; an empty one starts with the origin in the middle. Whoever began to work before
   * the canvas came (offline, perhaps) keeps the view.
   */
  private showFirst(): void {
    let untouched = true;
    const touched = (): void => void (untouched = false);
    for (const type of ["pointerdown", "wheel", "keydown"]) addEventListener(type, touched, { once: true, capture: true });
    this.camera.moveTo({ x: 0, y: 0 }, 1);
    void this.room.whenSynced().then(() => untouched && this.scene.size > 0 && this.fitAll(), () => {});
  }

  private listen(): void {
    const { room } = this;
    room.on("objects", ({ changes, reset }) => {
      if (reset) for (const id of this.scene.ids()) if (!room.objects.has(id)) this.gone(id);
      for (const change of changes) {
        const object = room.objects.get(change.id);
        if (object) this.scene.set(change.id, object);
        else this.gone(change.id);
        if (!change.own) this.drafts.objectChanged(change.id, change.client);
      }
      if (reset) for (const object of room.objects) this.scene.set(object.id, object);
      byId("empty").hidden = this.scene.size > 0;
      this.styleBar.update();
    });
    room.on("signal", ({ client, event, data }) => event === "draft" && this.drafts.receive(client, data));
    room.on("others", (others) => {
      this.drafts.forgetUnless((client) => others.some((other) => other.client === client && !other.away));
      this.showOutlines();
    });
    room.on("error", (error) => {
      if (error.op) this.toast(`Not saved: ${error.message}`);
      else if (error.code === "storage") this.toast(error.message);
    });
    room.on("status", (status) => {
      if (status === "disconnected") this.endDrawing();
    });
    room.on("sync", () => (byId("empty").hidden = this.scene.size > 0));
  }

  private gone(id: string): void {
    this.scene.set(id, undefined);
    this.selection.drop(id);
    this.editor.objectGone(id);
  }

  private showOutlines(): void {
    this.overlay.outlines = outlinesOf(this.room);
    this.invalidate();
  }

  readonly invalidate = (): void => {
    if (this.frameAsked) return;
    this.frameAsked = true;
    requestAnimationFrame((now) => this.frame(now));
  };

  private frame(now: number): void {
    this.frameAsked = false;
    const following = this.follow.frame(now);
    this.renderer.frame(now);
    this.overlay.showHandles = this.tool === "select" && !this.editor.isOpen;
    this.overlay.frame();
    if (this.editor.isOpen) this.editor.place();
    if (this.cursors.frame(now) || following) this.invalidate();
  }

  setTool(tool: ToolName): void {
    this.stage.cancel();
    this.editor.close();
    this.tool = tool;
    if (tool !== "select") this.selection.clear();
    showTool(tool);
    this.styleBar.update();
    this.stage.updateCursor();
    this.invalidate();
  }

  readonly toast = (text: string): void => {
    toast(text);
    this.announce(text);
  };

  mayWrite(): boolean {
    if (!this.ended && this.room.role === "write") return true;
    this.toast(this.ended ? "Drawing is off: this page is not connected any more" : "You may look around here, but not draw");
    return false;
  }

  /** The connection is gone for good. What was typed is kept with the other unsaved changes; nothing new is begun. */
  private endDrawing(): void {
    this.stage.cancel();
    this.editor.close();
    this.ended = true;
  }

  private readonly undo = (): void => {
    this.editor.close();
    this.tellStep(this.history.undo(), "undo", "Undone");
  };

  private readonly redo = (): void => {
    this.editor.close();
    this.tellStep(this.history.redo(), "redo", "Redone");
  };

  /** A step that did nothing is said for eyes as well: they would look for what it did. */
  private tellStep(step: Step | undefined, verb: string, done: string): void {
    if (!step) this.announce(`Nothing left to ${verb}`);
    else if (step.done) this.announce(`${done}: ${step.label}`);
    else this.toast(`Nothing to ${verb}: others have changed that since (${step.label})`);
  }

  private readonly zoomTo = (zoom: number): void => {
    this.showsAll = false;
    this.camera.zoomAtCentre(zoom);
  };

  private readonly fitAll = (): void => {
    const box = this.scene.bounds(this.scene.ids());
    this.follow.stop();
    this.showsAll = true;
    if (box) this.camera.fit(box, freeArea());
    else this.camera.moveTo({ x: 0, y: 0 }, 1);
  };

  private readonly escape = (): void => {
    if (this.stage.cancel()) return;
    if (this.follow.client) return this.follow.stop();
    if (this.tool !== "select") return this.setTool("select");
    this.selection.clear();
  };

  private readonly toggleTheme = (): void => {
    this.announce(toggleTheme() ? "Dark" : "Light");
    this.themeChanged();
  };

  private holdSpace(held: boolean): void {
    this.stage.spaceHeld = held;
    this.stage.updateCursor();
  }

  private selectionChanged(): void {
    this.styleBar.update();
    this.invalidate();
  }

  private showHistory(): void {
    byId<HTMLButtonElement>("undo").disabled = !this.history.canUndo;
    byId<HTMLButtonElement>("redo").disabled = !this.history.canRedo;
  }

  private cameraChanged(): void {
    const { camera } = this;
    const { style } = byId("stage");
    // The dots thin out when zoomed away: a grid of one pixel would be a grey.
    let step = camera.zoom < 0.35 ? 96 : camera.zoom < 0.7 ? 48 : 24;
    while (step * camera.zoom < 7) step *= 2;
    style.setProperty("--grid", `${step * camera.zoom}px`);
    style.setProperty("--grid-x", `${-camera.x * camera.zoom}px`);
    style.setProperty("--grid-y", `${-camera.y * camera.zoom}px`);
    byId("zoom-level").textContent = `${Math.round(camera.zoom * 100)}%`;
    this.invalidate();
  }

  private resized(): void {
    const { clientWidth, clientHeight } = byId("stage");
    this.camera.resize(clientWidth, clientHeight);
    this.renderer.resize();
    this.overlay.resize();
    this.invalidate();
  }

  themeChanged(): void {
    this.overlay.accent = cssColor("--accent");
    this.overlay.surface = cssColor("--panel");
    this.styleBar.recolor();
    this.renderer.repaintAll();
    this.invalidate();
  }
}

function outlinesOf(room: Room): Outline[] {
  return room.others.flatMap((other) => {
    const { selection } = stateOf(other);
    return selection.length === 0 ? [] : [{ ids: selection, color: colorOf(other), name: nameOf(other) }];
  });
}

declare global {
  interface Window {
    /** For tests and the curious: the room and the parts of the page. */
    scumbleDemo?: { room: Room; app: App; scene: Scene; camera: Camera; history: History; selection: Selection };
  }
}

if (typeof document === "undefined") runBots(self as never);
else void startPage();
