/** From what a person types to a thing: addresses and handles. Nothing here asks the network. */

import { and, desc, eq, isNull, sql } from "drizzle-orm";
import { canonicalAddress, parseHandle } from "../../rules/address.ts";
import { type Database, type Drizzle, retrying, type Tx } from "../../store/database.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Temporal } from "../../store/time.ts";
import type { ActorId } from "../account/actor.ts";
import { actorUri } from "../account/create.ts";
import { flattrActorUri } from "../account/own.ts";
import { account, actor } from "../account/schema.ts";
import { rememberThing, type ThingId, thingAt } from "./thing.ts";

/** Finds what people mean, and asks the network when nothing here knows it. Never inside a transaction. */
export interface Resolver {
  /**
   * The thing that an address or a handle means.
   *
   * @throws Refusal "no_payee", "url_invalid", "document_invalid", "unreachable"
   */
  thing(text: string): Promise<ThingId>;
  /**
   * The actor that an address or a handle means, with the inbox that its own server says it has.
   *
   * @throws Refusal "payee_unknown", "url_invalid", "document_invalid", "unreachable"
   */
  actor(text: string): Promise<ActorId>;
  /**
   * The post at an address, kept here from then on.
   *
   * @throws Refusal "not_found" for what is no post that everybody may read, and as for things
   */
  post(text: string): Promise<{ readonly id: bigint; readonly uri: string }>;
}

/**
 * The thing that an address or a handle means. People become things when they are first asked for.
 *
 * @throws Refusal "no_payee" for an address of which nobody is known who could be paid, "url_invalid" for no address
 */
export async function findThing(
  database: Database,
  text: string,
  at: Temporal.Instant,
): Promise<ThingId> {
  const known = await thingAt(database.drizzle, text);
  if (known !== undefined) return known.id;
  const payee = await findPayee(database, text);
  if (payee === undefined)
    throw new Refusal(
      isAddress(text) || parseHandle(text) !== undefined ? "no_payee" : "url_invalid",
      { url: text },
    );
  return retrying(() =>
    database.drizzle.transaction((tx) =>
      rememberThing(
        tx,
        database.settings,
        { uri: payee, kind: "Person", payees: [{ payee, weight: 1 }] },
        at,
      ),
    ),
  );
}

/** The URI of a known actor, by its URI or handle. Of those who had a handle one after the other, the newest. */
export async function findPayee(
  { drizzle, settings }: Database,
  text: string,
): Promise<string | undefined> {
  if (isAddress(text)) return knownUri(drizzle, text);
  const handle = parseHandle(text);
  if (handle === undefined) return undefined;
  if (handle.host === undefined || handle.host === new URL(settings.origin).host) {
    const [local] = await drizzle
      .select({ name: account.name })
      .from(account)
      .where(eq(account.name, handle.name.toLowerCase()));
    if (local !== undefined) return actorUri(settings.origin, local.name);
    // The bot can be spoken to like anybody; it is paid nothing, since it has no account.
    const bot = flattrActorUri(settings.origin);
    return actorUri(settings.origin, handle.name.toLowerCase()) === bot
      ? knownUri(drizzle, bot)
      : undefined;
  }
  const [remote] = await drizzle
    .select({ uri: actor.uri })
    .from(actor)
    .where(and(eq(actor.host, handle.host), eq(actor.name, handle.name), isNull(actor.deletedAt)))
    .orderBy(sql`${actor.fetchedAt} DESC NULLS LAST`, desc(actor.id))
    .limit(1);
  return remote?.uri;
}

/**
 * Like `findPayee`, and any address will do: whoever it is may be named before he is known.
 *
 * @throws Refusal "payee_unknown"
 */
export async function requirePayee(database: Database, text: string): Promise<string> {
  const found = await findPayee(database, text);
  if (found !== undefined) return found;
  if (canonicalAddress(text) !== undefined) return text;
  throw new Refusal("payee_unknown", { payee: text });
}

async function knownUri(drizzle: Drizzle | Tx, uri: string): Promise<string | undefined> {
  const [found] = await drizzle.select({ uri: actor.uri }).from(actor).where(eq(actor.uri, uri));
  return found?.uri;
}

function isAddress(text: string): boolean {
  return canonicalAddress(text) !== undefined;
}
