/** How large pictures may be, and what becomes of them. */

/** Bytes of one file: photographs of phones have up to some twelve million. */
export const PICTURE_BYTES_MAX = 16 * 1024 * 1024;

/** Pixels of one side, before it is made smaller. */
export const PICTURE_SIDE_MAX = 16_384;

/** Pixels in all, before it is made smaller: what decoding one costs, at four bytes each. */
export const PICTURE_PIXELS_MAX = 50_000_000;

/** Pixels that are kept: a whole screen of 3840 × 2160, whatever its form. */
export const ORIGINAL_PIXELS_MAX = 3840 * 2160;

/** Pixels of the smaller copy, as timelines show it. */
export const SMALL_PIXELS_MAX = 640 * 360;

/** The picture of a person: a square. */
export const AVATAR = { width: 400, height: 400 } as const;
export const AVATAR_SMALL = { width: 120, height: 120 } as const;

/** The wide picture above a profile. */
export const HEADER = { width: 1500, height: 500 } as const;
export const HEADER_SMALL = { width: 600, height: 200 } as const;

/** Frames of an animation; of a longer one the first frame is kept. */
export const FRAMES_MAX = 500;

/** Pixels of all frames together; an animation with more is kept as its first frame. */
export const FRAMES_PIXELS_MAX = 25_000_000;

/** Characters of the words for those who do not see it. */
export const DESCRIPTION_CHARS_MAX = 1_500;

/** Files beside one post. */
export const ATTACHMENTS_MAX = 4;

/** How long one picture may take to decode and encode, in seconds. */
export const PICTURE_SECONDS_MAX = 20;

/** Pictures that are worked on at once in a process, and how many may wait for that; each waits with its bytes. */
export const PICTURES_AT_ONCE = 2;
export const PICTURES_WAITING_MAX = 8;

/** How long a picture is kept that no post has, in hours. */
export const UNATTACHED_HOURS_MAX = 24;

/** Media types that may be uploaded, for those who ask before. */
export const PICTURE_TYPES = [
  "image/jpeg",
  "image/png",
  "image/webp",
  "image/gif",
  "image/avif",
] as const;
