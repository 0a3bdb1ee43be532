/** Images and files of a canvas: what an application sees of them. */
/** An image or a file that the server has. */
export interface Asset {
    /** `asset:` and the SHA-256 of its bytes. As any string of an object it keeps the asset on the server. */
    readonly id: string;
    readonly bytes: number;
    /** Its MIME type. */
    readonly type: string;
}
/** How far an upload is. */
export interface AssetProgress {
    readonly sent: number;
    readonly total: number;
}
export interface UploadOptions {
    /** Its MIME type. Default: that of the blob. */
    readonly type?: string;
    /** Called as bytes go out; begins anew when the upload is tried again. */
    readonly onProgress?: (progress: AssetProgress) => void;
    /** Gives the upload up: it rejects with the signal's reason, and is not tried again. */
    readonly signal?: AbortSignal;
}
/** An upload that the server does not have yet. */
export interface WaitingUpload {
    readonly id: string;
    readonly bytes: number;
    readonly type: string;
}
/** The images and files of a canvas. */
export interface Assets {
    /** Uploads that the server does not have yet. A new array after every change: see the event `assets`. */
    readonly waiting: readonly WaitingUpload[];
    /** What an upload of this blob will be called: an object may name it before it is there. Rejects where there is no `crypto.subtle` (a page without HTTPS). */
    idOf(blob: Blob): Promise<string>;
    /**
     * Uploads a blob. Offline, or while the server can't take it, it waits and is tried again as long as the room lives; with
     * `persist: "indexeddb"` also after the page was loaded anew. Rejects with a {@link ScumbleError} whose message says what
     * would be right: `too-large`, `bad-type`, `forbidden`, `unauthorized`, `no-assets`, `no-space`, `full` (too much waits here
     * already), `insecure`, `closed`.
     */
    upload(blob: Blob, options?: UploadOptions): Promise<Asset>;
    /**
     * An address for `<img>` and the like: of the blob itself while it waits here, else on the server, where it is good for
     * some minutes at least. Ask again for each use: an address that is good still is given again. Rejects with `not-found`,
     * `forbidden`, `unauthorized` or `unreachable`.
     */
    url(id: string): Promise<string>;
}
