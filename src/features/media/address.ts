/** Where pictures of this instance are. */

/** The sizes in which a picture is kept. */
export type MediaSize = "original" | "small";

/** The address of a picture. Its name cannot be guessed, and what is there never changes. */
export function mediaAddress(origin: string, name: string, size: MediaSize = "original"): string {
  return size === "original"
    ? `${origin}/media/${name}.webp`
    : `${origin}/media/${name}/small.webp`;
}

/** The picture that is meant by a path; undefined when it is no address of one. */
export function mediaIn(
  path: string,
): { readonly name: string; readonly size: MediaSize } | undefined {
  const match = /^\/media\/([0-9a-f]{32})(\/small)?\.webp$/.exec(path);
  return match === null
    ? undefined
    : { name: match[1]!, size: match[2] === undefined ? "original" : "small" };
}

/** What is shown for people without pictures of their own: programs want an address, never nothing. */
export const MISSING_AVATAR_PATH = "/avatars/missing.png";
export const MISSING_HEADER_PATH = "/headers/missing.png";

/** The picture of somebody, or the one for those who have none. */
export function avatarAddress(origin: string, icon: string | null): string {
  return icon ?? `${origin}${MISSING_AVATAR_PATH}`;
}

/** The wide picture above somebody's profile, or the one for those who have none. */
export function headerAddress(origin: string, header: string | null): string {
  return header ?? `${origin}${MISSING_HEADER_PATH}`;
}
