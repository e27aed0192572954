/** Messages of `@flattr`: direct posts to people of this instance. They never leave it. */

import type postgres from "postgres";
import type { Database, Sql } from "../../store/database.ts";
import { sqlTime, type Temporal } from "../../store/time.ts";
import type { AccountId } from "../account/create.ts";
import { ensureOwnActors, flattrActorUri } from "../account/own.ts";
import { NOTICE_STEPS, noticeHidden } from "../notice/noticing.ts";
import { renderText } from "../post/text.ts";
import type { Said } from "./words.ts";

/** A transaction of the raw client. */
export type RawTx = postgres.TransactionSql<{ bigint: bigint }>;

/** Who writes, and who is paid for what he writes: nobody. */
export interface Bot {
  readonly actor: bigint;
  readonly split: bigint;
}

/** A message to one person. */
export interface Message {
  readonly account: AccountId;
  /** His name, by which he is spoken to. */
  readonly name: string;
  readonly said: Said;
  /** What it is about: said once to one person. Undefined: an answer. */
  readonly about?: string | undefined;
  /** The address of the post that it answers. */
  readonly inReplyTo?: string | undefined;
}

/** The key of the split in which nobody is paid: what the instance says cannot be flattred. */
const NOBODY = "[]";

/** Makes what messages need, when it is missing. Outside of any transaction. */
export async function openBot(
  { drizzle, sql, settings }: Database,
  at: Temporal.Instant,
): Promise<Bot> {
  const { flattr } = await ensureOwnActors(drizzle, settings.origin, at);
  await sql`INSERT INTO split (id, key) VALUES (new_id(${sqlTime(at)}), ${NOBODY}) ON CONFLICT (key) DO NOTHING`;
  const [row] = await sql<[{ id: bigint }]>`SELECT id FROM split WHERE key = ${NOBODY}`;
  return { actor: flattr, split: row.id };
}

const HIDDEN = noticeHidden({
  account: "s.account",
  self: "s.actor",
  actor: "s.bot",
  post: "s.id",
  at: "s.at",
});

/**
 * Sends messages in one statement; what was said before is not said again. The words that everybody's apps may show
 * are the text of the post; the form with amounts stands beside it and is read by those apps alone that may show them.
 *
 * @returns how many were sent
 */
export async function sendMessages(
  tx: RawTx | Sql,
  { origin }: Pick<Database["settings"], "origin">,
  bot: Bot,
  { messages, at }: { readonly messages: readonly Message[]; readonly at: Temporal.Instant },
): Promise<number> {
  if (messages.length === 0) return 0;
  const { host } = new URL(origin);
  const now = sqlTime(at);
  const rows = messages.map(({ account, name, said, about, inReplyTo }) => ({
    account: String(account),
    about: about ?? null,
    text: said.text,
    html:
      said.full === undefined
        ? null
        : renderText(
            said.full,
            [{ name, host, uri: `${origin}/users/${name}`, url: null }],
            origin,
          ),
    language: said.language,
    in_reply_to: inReplyTo ?? null,
  }));
  const [row] = await tx<[{ sent: number }]>`
    WITH wanted AS MATERIALIZED (
      SELECT w.*, x.actor, ${bot.actor}::bigint AS bot, new_id(${now}) AS id, new_id(${now}) AS thing, ${now}::timestamptz AS at
        FROM jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
             AS w(account bigint, about text, text text, html text, language text, in_reply_to text)
        JOIN account x ON x.id = w.account),
    fresh AS (
      INSERT INTO bot_message (account, about, post, at)
      SELECT account, about, id, at FROM wanted WHERE about IS NOT NULL ORDER BY account, about
      ON CONFLICT DO NOTHING
      RETURNING post),
    said AS MATERIALIZED (
      SELECT * FROM wanted WHERE about IS NULL OR id IN (SELECT post FROM fresh)),
    things AS (
      INSERT INTO thing (id, uri, kind, split, found_at)
      SELECT thing, ${`${flattrActorUri(origin)}/posts/`} || id, 'Note', ${bot.split}, at FROM said),
    posts AS (
      INSERT INTO post (id, author, thing, text, html, language, visibility, in_reply_to, at)
      SELECT id, bot, thing, text, html, language, 'direct', in_reply_to, at FROM said),
    spoken AS (INSERT INTO post_mention (post, actor) SELECT id, actor FROM said),
    noticing AS MATERIALIZED (
      SELECT s.account, 'mention' AS kind, s.bot AS actor, s.id AS post, s.at FROM said s
       WHERE NOT ${tx.unsafe(HIDDEN)} ORDER BY s.account),
    ${tx.unsafe(NOTICE_STEPS)}
    SELECT (SELECT count(*)::int FROM said) AS sent, (SELECT count(*) FROM pushed) AS pushed`;
  return row.sent;
}
