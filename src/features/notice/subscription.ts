/** Where apps want to be woken: one place for each token. @see https://docs.joinmastodon.org/methods/push/ */

import { createECDH } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import { type Database, retrying } from "../../store/database.ts";
import { EgressError, permitted } from "../../store/egress.ts";
import { Refusal } from "../../store/refusal.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import { NOTIFICATION_KINDS, pushSubscription } from "./schema.ts";

/** What wakes an app, as it is kept. */
export type PushSubscription = typeof pushSubscription.$inferSelect;

/** Of whom an app wants to be told. */
export type PushPolicy = PushSubscription["policy"];

/** All policies. */
export const PUSH_POLICIES = pushSubscription.policy.enumValues;

/** What an app asks for. */
export interface PushWish {
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
  readonly isStandard: boolean;
  readonly alerts: readonly string[];
  readonly policy: string;
}

/** Longest address of a push service; real ones have some 200 characters. */
const ENDPOINT_CHARS_MAX = 2_000;

/** Bytes of a point of P-256, not compressed, and of the secret beside it. @see https://www.rfc-editor.org/rfc/rfc8291 */
const POINT_BYTES = 65;
const SECRET_BYTES = 16;

/**
 * Wakes the app of a token there from now on, and nowhere else.
 *
 * @param isAllowedPrivate true for a `host:port` that may be asked although it is private
 * @throws Refusal "push_invalid" for an address that is not public and encrypted, or keys that are none
 */
export async function subscribePush(
  database: Database,
  {
    token,
    wish,
    isAllowedPrivate,
    at,
  }: {
    readonly token: bigint;
    readonly wish: PushWish;
    readonly isAllowedPrivate: (host: string) => boolean;
    readonly at: Temporal.Instant;
  },
): Promise<PushSubscription> {
  const values = {
    endpoint: endpointOf(wish.endpoint, isAllowedPrivate),
    p256dh: pointOf(wish.p256dh),
    auth: secretOf(wish.auth),
    isStandard: wish.isStandard,
    alerts: alertsOf(wish.alerts),
    policy: policyOf(wish.policy),
  };
  return retrying(async () => {
    const [made] = await database.drizzle
      .insert(pushSubscription)
      .values({ token, id: sql`new_id(${sqlTime(at)})`, ...values })
      .onConflictDoUpdate({
        target: pushSubscription.token,
        set: { id: sql`excluded.id`, ...values },
      })
      .returning();
    return made!;
  });
}

/** What wakes the app of a token. @throws Refusal "not_found" when nothing does */
export async function pushOf(
  { drizzle }: Pick<Database, "drizzle">,
  token: bigint,
): Promise<PushSubscription> {
  const [found] = await drizzle
    .select()
    .from(pushSubscription)
    .where(eq(pushSubscription.token, token));
  if (found === undefined) throw new Refusal("not_found");
  return found;
}

/** Changes what an app is woken for. @throws Refusal "not_found", "push_invalid" */
export async function changePush(
  { drizzle }: Pick<Database, "drizzle">,
  token: bigint,
  wish: { readonly alerts?: readonly string[] | undefined; readonly policy?: string | undefined },
): Promise<PushSubscription> {
  const [changed] = await drizzle
    .update(pushSubscription)
    .set({
      // Also when nothing is asked for, so that there is something to set.
      token,
      ...(wish.alerts === undefined ? {} : { alerts: alertsOf(wish.alerts) }),
      ...(wish.policy === undefined ? {} : { policy: policyOf(wish.policy) }),
    })
    .where(eq(pushSubscription.token, token))
    .returning();
  if (changed === undefined) throw new Refusal("not_found");
  return changed;
}

/** Wakes the app of a token no more. Again changes nothing. */
export async function unsubscribePush(
  { drizzle }: Pick<Database, "drizzle">,
  token: bigint,
): Promise<void> {
  await drizzle.delete(pushSubscription).where(eq(pushSubscription.token, token));
}

/** Names of kinds that are not known here are left out: clients name more than we have. */
function alertsOf(alerts: readonly string[]): readonly string[] {
  return NOTIFICATION_KINDS.filter((kind) => alerts.includes(kind));
}

function policyOf(policy: string): PushPolicy {
  const known = PUSH_POLICIES.find((one) => one === policy);
  if (known === undefined)
    throw new Refusal("push_invalid", {
      what: "policy",
      rule: `it is one of ${PUSH_POLICIES.join(", ")}`,
    });
  return known;
}

function endpointOf(text: string, isAllowedPrivate: (host: string) => boolean): string {
  const refused = (rule: string) => new Refusal("push_invalid", { what: "endpoint", rule });
  if (text.length > ENDPOINT_CHARS_MAX || !URL.canParse(text))
    throw refused("it is an address of https");
  const { protocol, hostname, port } = new URL(text);
  const host = `${hostname}:${port === "" ? (protocol === "https:" ? "443" : "80") : port}`;
  try {
    return permitted(text, new Set(isAllowedPrivate(host) ? [host] : [])).href;
  } catch (error) {
    if (error instanceof EgressError)
      throw refused("it is an address of https, in the public net and on its usual port");
    throw error;
  }
}

function pointOf(text: string): string {
  const bytes = bytesOf(text, POINT_BYTES);
  try {
    const own = createECDH("prime256v1");
    own.generateKeys();
    // Only what lies on the curve can be multiplied.
    own.computeSecret(bytes ?? Buffer.alloc(0));
  } catch {
    throw new Refusal("push_invalid", {
      what: "key p256dh",
      rule: "it is a point of P-256 as base64url",
    });
  }
  return bytes!.toString("base64url");
}

function secretOf(text: string): string {
  const bytes = bytesOf(text, SECRET_BYTES);
  if (bytes === undefined)
    throw new Refusal("push_invalid", {
      what: "key auth",
      rule: `it is ${SECRET_BYTES} bytes as base64url`,
    });
  return bytes.toString("base64url");
}

/** So many bytes in either kind of base64, with or without its padding. */
function bytesOf(text: string, many: number): Buffer | undefined {
  if (text.length > many * 2 || !/^[\w+/-]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  return bytes.length === many ? bytes : undefined;
}
