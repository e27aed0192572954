/** Finding out whether a host is an instance of our kind: WebFinger, instance actor, ledger, all of one origin. */

import { getLogger } from "@logtape/logtape";
import { hostsToAsk, rememberSilence, rememberWay, wayWanted } from "../../features/peer/way.ts";
import type { FoundInstance } from "../../features/peer/peer.ts";
import { idOf, isDocument, listOf, typesOf } from "../../rules/activity-streams.ts";
import { sameOrigin } from "../../rules/address.ts";
import { fromBase58 } from "../../rules/base58.ts";
import { JsonFault, type JsonLimits, parseJson } from "../../rules/json.ts";
import { NAMESPACE } from "../../rules/statement.ts";
import type { Database } from "../../store/database.ts";
import { type Egress, EgressError } from "../../store/egress.ts";
import { handle, type JobHandler, type Schedule } from "../../store/jobs.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Clock } from "../../store/time.ts";
import { type Fetcher, StatusError } from "./fetch.ts";
import { isActivityType } from "./media.ts";

/** What discovery asks with. */
export interface DiscoveryParts {
  readonly egress: Egress;
  readonly fetcher: Pick<Fetcher, "document">;
}

/** The instance actor's link to where statements are taken. */
const LEDGER_REL = `${NAMESPACE}ledger`;

/** A WebFinger answer has some links and no more. */
const JRD_BYTES_MAX = 64 * 1024;
const JRD_LIMITS: JsonLimits = { depthMax: 8, valuesMax: 2_000, itemsMax: 200, textMax: 8 * 1024 };

/** From a host to the one that answers for it; the answer must be of the origin that was asked all the same. */
const REDIRECTS_MAX = 2;

/** An instance shows one key, or two while it changes them. */
const KEYS_MAX = 8;

/** Longest id of a key that is kept. */
const KEY_ID_CHARS_MAX = 500;

/**
 * The instance of our kind at an origin; undefined when that is something else, or says things of other origins.
 *
 * @throws EgressError, StatusError when it does not answer: then nothing is known
 * @see https://codeberg.org/fediverse/fep/src/branch/main/fep/d556/fep-d556.md
 */
export async function discoverInstance(
  { egress, fetcher }: DiscoveryParts,
  origin: string,
): Promise<FoundInstance | undefined> {
  const address = await instanceActorOf(egress, origin);
  if (address === undefined) return undefined;
  const actor = await documentOrNothing(fetcher, address);
  if (actor === undefined || actor["id"] !== address) return undefined;
  if (!typesOf(actor).includes("Application")) return undefined;
  const ledger = ledgerOf(actor, origin);
  const keys = keysOf(actor, address);
  if (ledger === undefined || keys.length === 0) return undefined;
  return { actor: address, host: new URL(origin).host, ledger, keys };
}

/** What WebFinger says about the bare origin. */
async function instanceActorOf(egress: Egress, origin: string): Promise<string | undefined> {
  const resource = encodeURIComponent(`${origin}/`);
  const { status, body, url } = await egress.request(
    `${origin}/.well-known/webfinger?resource=${resource}`,
    {
      headers: { accept: "application/jrd+json, application/json;q=0.9" },
      bytesMax: JRD_BYTES_MAX,
      redirectsMax: REDIRECTS_MAX,
    },
  );
  if (isPassing(status)) throw new StatusError(status, url);
  if (status !== 200 || !sameOrigin(url, origin)) return undefined;
  const found = jsonOf(body);
  if (!isDocument(found) || !isSubject(found["subject"], origin)) return undefined;
  const self = listOf(found["links"])
    .filter(isDocument)
    .find(({ rel, type }) => rel === "self" && typeof type === "string" && isActivityType(type))?.[
    "href"
  ];
  return typeof self === "string" && sameOrigin(self, origin) ? self : undefined;
}

/** Who was asked for, by his origin or his handle; an answer about somebody else is none. */
function isSubject(subject: unknown, origin: string): boolean {
  if (typeof subject !== "string") return false;
  const { host } = new URL(origin);
  return (
    sameOrigin(subject, origin) || (subject.startsWith("acct:") && subject.endsWith(`@${host}`))
  );
}

/** The document, or undefined when there is none; a redirect must not leave the address. */
async function documentOrNothing(
  fetcher: Pick<Fetcher, "document">,
  address: string,
): Promise<Record<string, unknown> | undefined> {
  try {
    const { document, url } = await fetcher.document(address);
    return sameOrigin(url, address) ? document : undefined;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    if (error instanceof StatusError && !isPassing(error.status)) return undefined;
    throw error;
  }
}

/** True for trouble that passes. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

function ledgerOf(actor: Record<string, unknown>, origin: string): string | undefined {
  const href = listOf(actor["attachment"])
    .filter(isDocument)
    .find((link) => typesOf(link).includes("Link") && listOf(link["rel"]).includes(LEDGER_REL))?.[
    "href"
  ];
  return typeof href === "string" && sameOrigin(href, origin) ? href : undefined;
}

/** Ed25519 keys that the actor holds itself. @see https://codeberg.org/fediverse/fep/src/branch/main/fep/521a/fep-521a.md */
function keysOf(actor: Record<string, unknown>, address: string): FoundInstance["keys"] {
  const keys = listOf(actor["assertionMethod"])
    .slice(0, KEYS_MAX)
    .filter(isDocument)
    .flatMap((key) => {
      const id = idOf(key);
      const { publicKeyMultibase } = key;
      const isOwn =
        id !== undefined &&
        id.length <= KEY_ID_CHARS_MAX &&
        sameOrigin(id, address) &&
        key["controller"] === address &&
        typesOf(key).includes("Multikey");
      return isOwn && isEd25519(publicKeyMultibase) ? [{ id, publicKeyMultibase }] : [];
    });
  // Two keys under one name are none.
  return new Set(keys.map(({ id }) => id)).size === keys.length ? keys : [];
}

/** @see https://www.w3.org/TR/cid-1.0/#Multikey */
function isEd25519(multibase: unknown): multibase is string {
  if (typeof multibase !== "string" || !/^z[1-9A-HJ-NP-Za-km-z]{40,60}$/.test(multibase))
    return false;
  const bytes = fromBase58(multibase.slice(1));
  return bytes !== undefined && bytes.length === 34 && bytes[0] === 0xed && bytes[1] === 0x01;
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body), JRD_LIMITS);
  } catch (error) {
    if (error instanceof JsonFault || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** What the jobs of discovery need. */
export interface WaysParts extends DiscoveryParts {
  readonly database: Database;
  readonly clock: Clock;
}

/** The job that asks one host. A host that does not answer is asked again, and until then what was known stays. */
export function waysJobs(parts: WaysParts): readonly JobHandler[] {
  const { database, clock } = parts;
  const logger = getLogger(["fediflattr", "ways"]);
  return [
    handle(wayWanted, async ({ origin }) => {
      const { host } = new URL(origin);
      try {
        const found = await discoverInstance(parts, origin);
        await rememberWay(database, { host, found, at: clock.now() });
      } catch (error) {
        await rememberSilence(database, { host, at: clock.now() });
        // It is not asked again because of what is written in our own rules.
        const isFinal =
          error instanceof EgressError &&
          (error.code === "address_refused" || error.code === "scheme_refused");
        if (!isFinal) throw error;
        logger.info("{host} is not asked: {code}", { host, code: error.code });
      }
    }),
  ];
}

/** Looks each minute which hosts are to be asked. */
export function waysSchedule({ database, clock }: WaysParts): Schedule {
  return {
    name: "ways",
    crontab: "* * * * *",
    run: async () => void (await hostsToAsk(database, clock.now())),
  };
}
