/** Waking apps: each notification goes, encrypted for the app alone, to the push service that the app named. */

import { getLogger } from "@logtape/logtape";
import { sql } from "drizzle-orm";
import webPush from "web-push";
import type { Database } from "../../store/database.ts";
import { type Egress, EgressError } from "../../store/egress.ts";
import { addJob, handle, type JobHandler, type JobKind } from "../../store/jobs.ts";
import type { Vault } from "../../store/keys.ts";
import { type Clock, fromSqlTime } from "../../store/time.ts";
import { flattrActorUri } from "../account/own.ts";
import { type NoticeKind, noticePush } from "./notify.ts";
import { pushKeyOf } from "./push-key.ts";

/** What waking works with. */
export interface PushParts {
  readonly database: Database;
  readonly egress: Pick<Egress, "request">;
  readonly vault: Vault;
  readonly clock: Clock;
  /** HTML of others as one line of plain text. */
  readonly plainText: (html: string) => string;
  /** Whether the filters of somebody hide a post where he is told of things. */
  readonly isHidden: (
    viewer: { readonly id: bigint; readonly actor: bigint },
    post: bigint,
  ) => Promise<boolean>;
  /** A name that looks like nothing but itself. */
  readonly cleanName: (name: string) => string;
}

/** One app of somebody is to be woken. */
const pushOne: JobKind<{ readonly notification: string; readonly token: string }> = {
  name: "notice.push.one",
  // Within some minutes: what comes later is no news.
  attemptsMax: 6,
};

/** Apps of one account that are woken, the newest first: who names a thousand addresses of others attacks them. */
const APPS_MAX = 20;

/** A phone that was off for longer learns it when it asks. */
const KEPT_SECONDS = 2 * 24 * 3600;

/** Longest answer of a push service that is read, and longest wait for it: others want to be woken, too. */
const ANSWER_BYTES_MAX = 64 * 1024;
const ANSWER_MS_MAX = 5_000;

/** Characters that fit on a lock screen, and in the 4 kB that push services take. */
const TITLE_CHARS_MAX = 120;
const BODY_CHARS_MAX = 140;
const ICON_CHARS_MAX = 500;

const TITLES: Readonly<Record<NoticeKind, (name: string) => string>> = {
  mention: (name) => `${name} spoke to you`,
  favourite: (name) => `${name} likes your post`,
  reblog: (name) => `${name} boosted your post`,
  follow: (name) => `${name} follows you`,
  follow_request: (name) => `${name} wants to follow you`,
  poll: (name) => `A poll of ${name} has ended`,
  status: (name) => `${name} wrote a post`,
  update: (name) => `${name} changed a post`,
};

/** The work of waking: one job finds the apps, and one for each of them wakes it. */
export function pushJobs(parts: PushParts): JobHandler[] {
  return [
    handle(noticePush, async ({ notification }) => {
      if (!(await isHidden(parts, BigInt(notification))))
        await findApps(parts, BigInt(notification));
    }),
    handle(pushOne, ({ notification, token }) =>
      wake(parts, { notification: BigInt(notification), token: BigInt(token) }),
    ),
  ];
}

/** A filter of whom it concerns hides what it is about. */
async function isHidden(parts: PushParts, notification: bigint): Promise<boolean> {
  const [about] = await parts.database.sql<{ id: bigint; actor: bigint; post: bigint }[]>`
    SELECT x.id, x.actor, n.post FROM notification n JOIN account x ON x.id = n.account
     WHERE n.id = ${notification} AND n.post IS NOT NULL`;
  if (about === undefined) return false;
  return parts.isHidden(about, about.post);
}

/** Of the apps of whom it concerns those that want such a notification from somebody like this. */
async function findApps({ database }: PushParts, notification: bigint): Promise<void> {
  await database.drizzle.transaction(async (tx) => {
    const wanted = await tx.execute<{ token: string }>(sql`
      SELECT s.token
        FROM notification n
        JOIN account x ON x.id = n.account
        JOIN token k ON k.account = x.id
        JOIN push_subscription s ON s.token = k.id
       WHERE n.id = ${notification}::bigint AND s.alerts ? n.kind
         AND (s.policy = 'all'
              OR (s.policy = 'followed' AND EXISTS (
                    SELECT FROM follow f WHERE f.follower = x.actor AND f.followee = n.actor AND f.state = 'accepted'))
              OR (s.policy = 'follower' AND EXISTS (
                    SELECT FROM follow f WHERE f.follower = n.actor AND f.followee = x.actor AND f.state = 'accepted')))
       ORDER BY s.id DESC LIMIT ${APPS_MAX}`);
    for (const { token } of wanted) {
      const payload = { notification: String(notification), token };
      await addJob(tx, pushOne, payload, `push:${payload.notification}:${token}`);
    }
  });
}

interface Row {
  readonly kind: NoticeKind;
  readonly at: Date;
  readonly language: string | null;
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
  readonly is_standard: boolean;
  readonly actor_uri: string;
  readonly name: string | null;
  readonly display_name: string | null;
  readonly host: string;
  readonly icon: string | null;
  readonly summary: string | null;
  readonly text: string | null;
  readonly html: string | null;
}

interface Wake {
  readonly notification: bigint;
  readonly token: bigint;
}

/** Wakes one app. What has gone meanwhile wakes nobody. */
async function wake(parts: PushParts, { notification, token }: Wake): Promise<void> {
  const { database, egress, clock, vault } = parts;
  const [row] = await database.sql<Row[]>`
    SELECT n.kind, n.at, x.post_language AS language, s.endpoint, s.p256dh, s.auth, s.is_standard,
           a.uri AS actor_uri, a.name, a.display_name, a.host, a.icon, p.summary, p.text, p.html
      FROM notification n
      JOIN account x ON x.id = n.account
      JOIN token k ON k.account = x.id
      JOIN push_subscription s ON s.token = k.id
      JOIN actor a ON a.id = n.actor
      LEFT JOIN post p ON p.id = n.post AND p.deleted_at IS NULL
     WHERE n.id = ${notification} AND k.id = ${token}`;
  if (row === undefined) return;
  const ageSeconds = fromSqlTime(row.at).until(clock.now()).total({ unit: "seconds" });
  if (ageSeconds > KEPT_SECONDS) return;
  const key = await pushKeyOf(database, vault, clock.now());
  const { headers, body } = webPush.generateRequestDetails(
    { endpoint: row.endpoint, keys: { p256dh: row.p256dh, auth: row.auth } },
    contentOf(parts, row, notification),
    {
      vapidDetails: { subject: subjectOf(database.settings.origin), ...key },
      TTL: KEPT_SECONDS,
      contentEncoding: row.is_standard ? "aes128gcm" : "aesgcm",
      urgency: "normal",
    },
  );
  const { status } = await egress
    .request(row.endpoint, {
      method: "POST",
      headers,
      body,
      deadlineMs: ANSWER_MS_MAX,
      bytesMax: ANSWER_BYTES_MAX,
    })
    .catch((error: unknown) => {
      // The name means something private now: nobody is asked there again.
      if (error instanceof EgressError && error.code.endsWith("_refused")) return { status: 410 };
      throw error;
    });
  await settle(parts, { status, token, endpoint: row.endpoint });
}

async function settle(
  { database: { sql: raw } }: PushParts,
  { status, token, endpoint }: { status: number; token: bigint; endpoint: string },
): Promise<void> {
  if (status >= 200 && status < 300) return;
  const { host } = new URL(endpoint);
  if (status === 404 || status === 410) {
    // Unless the app has subscribed anew in the meantime.
    await raw`DELETE FROM push_subscription WHERE token = ${token} AND endpoint = ${endpoint}`;
    return;
  }
  if (status === 408 || status === 429 || status >= 500)
    throw new EgressError("unreachable", `${host} answered ${status}`);
  getLogger(["fediflattr", "push"]).info("{host} does not take what wakes an app: {status}", {
    host,
    status,
  });
}

/** What the app reads. The token is known to us by its digest alone, so apps find their account without it. */
function contentOf(parts: PushParts, row: Row, notification: bigint): string {
  const name = parts.cleanName(row.display_name ?? "") || parts.cleanName(row.name ?? row.host);
  const rest = JSON.stringify({
    notification_type: row.kind,
    access_token: "",
    preferred_locale: row.language ?? "en",
    icon: row.icon !== null && row.icon.length <= ICON_CHARS_MAX ? row.icon : "",
    title: cut(TITLES[row.kind](name), TITLE_CHARS_MAX),
    body: cut(wordsOf(parts, row), BODY_CHARS_MAX),
  });
  // Apps in Swift insist on a number, which here is larger than those that JavaScript can write.
  return `{"notification_id":${notification},${rest.slice(1)}`;
}

/** The first words; a warning stands for what is behind it. Of money nothing is said where others may read it. */
function wordsOf({ database, plainText }: PushParts, row: Row): string {
  if (row.actor_uri === flattrActorUri(database.settings.origin)) return "";
  if (row.summary !== null && row.summary !== "") return row.summary.replaceAll(/\s+/g, " ");
  return row.text?.replaceAll(/\s+/g, " ").trim() ?? plainText(row.html ?? "");
}

function cut(text: string, charsMax: number): string {
  const chars = [...text];
  return chars.length <= charsMax ? text : `${chars.slice(0, charsMax - 1).join("")}…`;
}

/** Whom a push service would write to. @see https://www.rfc-editor.org/rfc/rfc8292#section-2.1 */
function subjectOf(origin: string): string {
  return origin.startsWith("https:") ? origin : `mailto:operator@${new URL(origin).hostname}`;
}
