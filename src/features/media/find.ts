/** Pictures as they are served: by their names alone, which nobody can guess. */

import type { Database } from "../../store/database.ts";
import type { MediaSize } from "./address.ts";

/** What is known of a file before it is read. */
export interface MediaFile {
  readonly media: bigint;
  readonly mediaType: string;
  readonly bytes: number;
}

/** The file of this name and size; undefined when there is none. */
export async function findMediaFile(
  { sql }: Pick<Database, "sql">,
  name: string,
  size: MediaSize,
): Promise<MediaFile | undefined> {
  const [found] = await sql<{ media: bigint; media_type: string; bytes: number }[]>`
    SELECT f.media, f.media_type, octet_length(f.content) AS bytes
      FROM media m JOIN media_file f ON f.media = m.id
     WHERE m.name = ${name} AND f.size = ${size}`;
  return found === undefined
    ? undefined
    : { media: found.media, mediaType: found.media_type, bytes: found.bytes };
}

/** What is in it; undefined when it went meanwhile. */
export async function readMediaFile(
  { sql }: Pick<Database, "sql">,
  media: bigint,
  size: MediaSize,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const [found] = await sql<{ content: Uint8Array<ArrayBuffer> }[]>`
    SELECT content FROM media_file WHERE media = ${media} AND size = ${size}`;
  return found?.content;
}
