/**
 * Where the relay is, seen from this page: the folder this script came from. Behind a proxy that puts the relay below a
 * path, that path is in it; everything the page asks for is named from here.
 */
export const base = (): URL => new URL(".", import.meta.url);

/** Something of this relay's, such as `api/v1/demo`. */
export const fromBase = (path: string): string => new URL(path, base()).href;
