/** What a request asks for: one reader for the query and for bodies in JSON, urlencoded and multipart. */

import type { Context } from "hono";

/** A file in a multipart body. */
export interface Upload {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Value = string | Upload | readonly Value[] | { readonly [name: string]: Value } | null;
type Fields = Record<string, Value>;

/** Longest body without files, and with files. The largest honest post with a poll has some 20 kB. */
const BODY_BYTES_MAX = 256 * 1024;
const UPLOAD_BYTES_MAX = 20 * 1024 * 1024;

/** Fields of one request, and how deep their names may nest: `data[alerts][mention]` has three. */
const FIELDS_MAX = 500;
const DEPTH_MAX = 5;

/** The lines before the content of one part of a multipart body. */
const PART_HEAD_BYTES_MAX = 2_048;

/** A body that cannot be read; `status` says why. */
export class BodyError extends Error {
  readonly status: 400 | 413 | 415;

  constructor(status: 400 | 413 | 415, sentence: string) {
    super(sentence);
    this.name = "BodyError";
    this.status = status;
  }
}

/** The fields of a request by name. What is missing or of another form is undefined; nothing is guessed. */
export class Params {
  readonly #fields: Fields;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  /** True when the field is there, whatever it holds. */
  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  /** A text; numbers of JSON bodies are texts, too. */
  text(name: string): string | undefined {
    const value = this.#at(name);
    return typeof value === "string" ? value : undefined;
  }

  /** True for `true`, `1`, `on`, `t`; false for `false`, `0`, `off`, `f` and nothing. */
  flag(name: string): boolean | undefined {
    const text = this.text(name)?.toLowerCase();
    if (text === undefined) return undefined;
    if (["true", "1", "on", "t", "yes"].includes(text)) return true;
    return ["false", "0", "off", "f", "no", ""].includes(text) ? false : undefined;
  }

  /** A whole number that is not negative. */
  whole(name: string): number | undefined {
    const text = this.text(name);
    return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  }

  /** Texts of `name[]`, of a list in JSON, or of `name` given once or more often. */
  list(name: string): readonly string[] | undefined {
    const value = this.#at(name);
    if (value === undefined || value === null) return undefined;
    const values = isList(value)
      ? value
      : typeof value === "object" && !isUpload(value)
        ? Object.values(value)
        : [value];
    return values.filter((one) => typeof one === "string");
  }

  /** The fields of `name[...]`. */
  record(name: string): Params | undefined {
    const value = this.#at(name);
    return isFields(value) ? new Params(value) : undefined;
  }

  /** The records of a list: `name[][key]`, `name[0][key]`, or a list of objects in JSON. */
  records(name: string): readonly Params[] | undefined {
    const value = this.#at(name);
    if (value === undefined || value === null || isUpload(value)) return undefined;
    if (isList(value)) return value.filter(isFields).map((fields) => new Params(fields));
    if (!isFields(value)) return undefined;
    return Object.values(value)
      .filter(isFields)
      .map((fields) => new Params(fields));
  }

  /** A file. */
  file(name: string): Upload | undefined {
    const value = this.#at(name);
    return isUpload(value) ? value : undefined;
  }

  #at(name: string): Value | undefined {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }
}

const read = new WeakMap<Request, Promise<Params>>();

/**
 * The fields of a request; those of the body come before those of the query.
 *
 * @throws BodyError when the body is too large, of another kind, or not well formed
 */
export function paramsOf(c: Context): Promise<Params> {
  const known = read.get(c.req.raw);
  if (known !== undefined) return known;
  const made = readParams(c);
  read.set(c.req.raw, made);
  return made;
}

async function readParams(c: Context): Promise<Params> {
  const fields: Fields = Object.create(null) as Fields;
  fill(fields, new URL(c.req.url).searchParams);
  if (c.req.method === "GET" || c.req.method === "HEAD") return new Params(fields);
  const type = (c.req.header("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
  // Strangers have nothing to upload.
  const isUpload = type === "multipart/form-data" && c.get("caller") !== undefined;
  const bytesMax = isUpload ? UPLOAD_BYTES_MAX : BODY_BYTES_MAX;
  const bytes = await bodyOf(c.req.raw, bytesMax);
  if (bytes.length === 0) return new Params(fields);
  switch (type) {
    case "application/json": {
      const value = parseJson(bytes);
      if (value === null) break;
      if (!isFields(value)) throw new BodyError(400, "The body must be one JSON object.");
      Object.assign(fields, value);
      break;
    }
    case "application/x-www-form-urlencoded":
    case "":
      fill(fields, new URLSearchParams(new TextDecoder().decode(bytes)), true);
      break;
    case "multipart/form-data":
      fill(fields, await formOf(c.req.raw, bytes), true);
      break;
    default:
      throw new BodyError(
        415,
        "Send JSON, application/x-www-form-urlencoded or multipart/form-data.",
      );
  }
  return new Params(fields);
}

/** Counts what comes, whatever was announced. */
async function bodyOf(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new BodyError(413, `A body has at most ${bytesMax} bytes here.`);
  if (Number(request.headers.get("content-length") ?? "0") > bytesMax) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const part = await reader.read().catch((error: unknown) => {
      throw new BodyError(400, `The body broke off: ${String(error)}.`);
    });
    if (part.done) return new Uint8Array(Buffer.concat(parts, length));
    length += part.value.length;
    if (length > bytesMax) {
      reader.cancel().catch(() => {});
      throw tooLarge();
    }
    parts.push(part.value);
  }
}

async function formOf(
  request: Request,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<[string, string | Upload][]> {
  const broken = () => new BodyError(400, "The multipart body is not well formed.");
  const said = request.headers.get("content-type")!;
  const boundary = /;\s*boundary="?([^";]+)/i.exec(said)?.[1]?.trim();
  if (boundary === undefined) throw broken();
  const named = withFileNames(boundary, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  // The parser goes by the boundary by which the parts were counted, whatever else was said.
  const type = `multipart/form-data; boundary="${boundary}"`;
  const form = await new Response(named, { headers: { "content-type": type } })
    .formData()
    .catch(() => {
      throw broken();
    });
  return Promise.all(
    [...form].map(async ([name, value]): Promise<[string, string | Upload]> => [
      name,
      typeof value === "string"
        ? value
        : { name: value.name, bytes: new Uint8Array(await value.arrayBuffer()) },
    ]),
  );
}

/**
 * Gives a name to files that come without one, as `form-data` of Node sends bytes: their kind alone tells them from
 * texts, and the parser goes by the name.
 *
 * @throws BodyError when there are more parts than fields may be: the parser would read all of them, however many
 */
function withFileNames(boundary: string, body: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const mark = Buffer.from(`--${boundary}\r\n`);
  const parts: Buffer[] = [];
  let taken = 0;
  let from = body.indexOf(mark);
  for (let seen = 0; from !== -1; seen += 1) {
    if (seen === FIELDS_MAX) throw new BodyError(400, "The request holds too many fields.");
    const [head] = body.toString("latin1", from, from + PART_HEAD_BYTES_MAX).split("\r\n\r\n", 1);
    const said = /^content-disposition:.*$/im.exec(head!);
    const isFile = /^content-type:(?!\s*text\/)/im.test(head!);
    if (said !== null && isFile && !/;\s*filename\*?=/i.test(said[0])) {
      const place = from + said.index + said[0].length;
      parts.push(body.subarray(taken, place), Buffer.from(`; filename="file"`));
      taken = place;
    }
    from = body.indexOf(mark, from + mark.length);
  }
  return taken === 0 ? body : Buffer.concat([...parts, body.subarray(taken)]);
}

function parseJson(bytes: Uint8Array): Value {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new BodyError(400, "The body is not JSON.");
  }
  let left = FIELDS_MAX;
  const plain = (value: unknown, depth: number): Value => {
    if ((left -= 1) < 0 || depth > DEPTH_MAX) throw new BodyError(400, "The body holds too much.");
    if (value === null || typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    if (Array.isArray(value)) return value.map((one) => plain(one, depth + 1));
    const fields: Fields = Object.create(null) as Fields;
    for (const [name, one] of Object.entries(value as object)) fields[name] = plain(one, depth + 1);
    return fields;
  };
  return plain(value, 0);
}

/** Puts pairs into fields: `a[]` makes a list, `a[b]` a record; `a` given again is a list. */
function fill(fields: Fields, pairs: Iterable<[string, string | Upload]>, isInstead = false): void {
  let left = FIELDS_MAX;
  const named: Fields = Object.create(null) as Fields;
  for (const [name, value] of pairs) {
    if ((left -= 1) < 0) throw new BodyError(400, "The request holds too many fields.");
    const path = pathOf(name);
    if (path.length > DEPTH_MAX) throw new BodyError(400, "A field is named too deep.");
    put(named, path, value);
  }
  for (const [name, value] of Object.entries(named))
    if (isInstead || !Object.hasOwn(fields, name)) fields[name] = value;
}

function pathOf(name: string): string[] {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name);
  if (match === null) return [name];
  return [match[1]!, ...[...match[2]!.matchAll(/\[([^[\]]*)\]/g)].map(([, key]) => key!)];
}

function put(into: Fields, [key, ...path]: string[], value: string | Upload): void {
  const before = into[key!];
  if (path.length === 0) {
    into[key!] = before === undefined ? value : [...listed(before), value];
    return;
  }
  if (path[0] === "") {
    const list = [...listed(before)];
    if (path.length === 1) list.push(value);
    else {
      // `fields[][name]=…&fields[][value]=…`: a name that comes again begins the next record.
      const last = list.at(-1);
      const isNext = !isFields(last) || Object.hasOwn(last, path[1]!);
      const record: Fields = isNext ? (Object.create(null) as Fields) : last;
      put(record, path.slice(1), value);
      if (isNext) list.push(record);
    }
    into[key!] = list;
    return;
  }
  const record: Fields = isFields(before) ? before : (Object.create(null) as Fields);
  put(record, path, value);
  into[key!] = record;
}

function listed(value: Value | undefined): readonly Value[] {
  if (value === undefined) return [];
  return isList(value) ? value : [value];
}

const isList = (value: Value | undefined): value is readonly Value[] => Array.isArray(value);

const isUpload = (value: Value | undefined): value is Upload =>
  typeof value === "object" &&
  value !== null &&
  "bytes" in value &&
  value.bytes instanceof Uint8Array;

const isFields = (value: Value | undefined): value is Fields =>
  typeof value === "object" && value !== null && !isList(value) && !isUpload(value);
