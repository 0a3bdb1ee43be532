/** What an application puts on the canvas, and how its own types for that are told: `connect<Shapes, Presence, Events>()`. */

/** A value JSON can hold. Numbers must be finite; at most 15 levels deep. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. Members that are `undefined` are left out when it is sent. */
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** What every object has. An application's own interfaces, a union of them, extend it without saying so. */
export interface Shape {
  /** 1–64 characters, unique on the canvas. */
  readonly id: string;
  /** 1–32 characters; the application's own word. */
  readonly kind: string;
}

/** An object on the canvas. Treat it as immutable: a change makes a new one, and what is unchanged stays identical. */
export interface CanvasObject extends JsonObject, Shape {
  readonly id: string;
  readonly kind: string;
}

/** An own event's data by its name, where no types are given. */
export interface AnyEvents {
  readonly [event: string]: Json;
}

/** Whether members of any name are allowed. */
type Open<T> = string extends keyof T ? true : false;
/** `null` deletes what may be missing. */
type Deleted<T, K extends keyof T> = undefined extends T[K] ? null : never;
type PatchValue<V> = V extends readonly unknown[] ? V : V extends object ? (Open<V> extends true ? JsonObject : Patch<V>) : V;

/** A merge patch (RFC 7396) for such a value: of a union, for any of its members. */
export type Patch<T> = T extends unknown
  ? Open<T> extends true
    ? JsonObject
    : { readonly [K in keyof T]?: PatchValue<Exclude<T[K], undefined>> | Deleted<T, K> | undefined }
  : never;

/** A new object: without an `id` a random one is made. */
export type NewObject<S extends Shape> = S extends unknown
  ? Open<S> extends true
    ? { readonly id?: string; readonly kind: string } & JsonObject
    : Omit<S, "id"> & { readonly id?: string }
  : never;

/** A presence state: any of its members may be missing, of others' always. */
export type State<P extends object> = Open<P> extends true ? JsonObject : { readonly [K in keyof P]?: P[K] | undefined };

/** The names of the events. */
export type EventName<E extends object> = keyof E & string;
/** The data of an event, which may be left out where it may be nothing. */
export type EventData<E extends object, K extends EventName<E>> = Open<E> extends true
  ? [data?: Json]
  : undefined extends E[K]
    ? [data?: E[K]]
    : null extends E[K]
      ? [data?: E[K]]
      : [data: E[K]];
