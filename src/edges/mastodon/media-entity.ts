/** Files beside posts, as clients read them. @see https://docs.joinmastodon.org/entities/MediaAttachment/ */

import { createHash } from "node:crypto";
import type { Attachment } from "../../features/post/schema.ts";
import { SMALL_PIXELS_MAX } from "../../features/media/limits.ts";
import { type PictureSize, sizeWithin } from "../../rules/picture.ts";

/** How clients show a file; what is `unknown` is a link. */
export type MediaKind = "image" | "video" | "audio" | "unknown";

/** One measured picture in `meta`. */
interface Measured extends PictureSize {
  /** Such as `640x360`. */
  readonly size: string;
  /** Width by height. */
  readonly aspect: number;
}

/** `MediaAttachment`. */
export interface MediaEntity {
  readonly id: string;
  readonly type: MediaKind;
  readonly url: string;
  readonly preview_url: string | null;
  /** The file on its own server; null for one of this instance. */
  readonly remote_url: string | null;
  readonly preview_remote_url: null;
  readonly text_url: null;
  readonly meta: {
    readonly original?: Measured;
    readonly small?: Measured;
    readonly focus?: { readonly x: number; readonly y: number };
  };
  readonly description: string | null;
  readonly blurhash: string | null;
}

/** The entity of a file: one that was uploaded here, or one of another server, which is shown by its link. */
export function mediaEntity(attachment: Attachment): MediaEntity {
  const { url, media, previewUrl, description, blurhash, focus } = attachment;
  const type = mediaKindOf(attachment);
  return {
    id: media ?? idOfAddress(url),
    type,
    url,
    preview_url: previewUrl ?? (type === "image" ? url : null),
    remote_url: media === undefined ? url : null,
    preview_remote_url: null,
    text_url: null,
    meta: {
      ...measured(attachment),
      ...(focus === undefined ? {} : { focus: { x: focus[0], y: focus[1] } }),
    },
    description,
    blurhash: blurhash ?? null,
  };
}

/** Pictures that programs show; SVG is a document with programs in it. */
const IMAGE = /^image\/(?!svg)/;

const IMAGE_NAME = /\.(?:jpe?g|png|webp|gif|avif)$/;
const VIDEO_NAME = /\.(?:mp4|m4v|webm|mov|ogv)$/;
const AUDIO_NAME = /\.(?:mp3|m4a|ogg|oga|opus|flac|wav)$/;

/** By the media type that its server gave; without one by its address. */
export function mediaKindOf({ url, mediaType }: Pick<Attachment, "url" | "mediaType">): MediaKind {
  const said = mediaType?.toLowerCase();
  const path = URL.canParse(url) ? new URL(url).pathname.toLowerCase() : "";
  if (said === undefined ? IMAGE_NAME.test(path) : IMAGE.test(said)) return "image";
  if (said === undefined ? VIDEO_NAME.test(path) : said.startsWith("video/")) return "video";
  if (said === undefined ? AUDIO_NAME.test(path) : said.startsWith("audio/")) return "audio";
  return "unknown";
}

function measured({ width, height, media }: Attachment): MediaEntity["meta"] {
  if (width === undefined || height === undefined || width < 1 || height < 1) return {};
  const original = measure({ width, height });
  return media === undefined
    ? { original }
    : { original, small: measure(sizeWithin({ width, height }, SMALL_PIXELS_MAX)) };
}

function measure({ width, height }: PictureSize): Measured {
  return { width, height, size: `${width}x${height}`, aspect: width / height };
}

/** Files of other servers have no number here; clients want one that stays. */
function idOfAddress(url: string): string {
  const digest = createHash("sha256").update(url).digest();
  return String(digest.readBigUInt64BE() >> 1n);
}
