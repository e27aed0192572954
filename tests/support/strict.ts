/** What typed clients need of the objects they read: where a field is missing or of another form, they refuse the whole. */

import { expect } from "vitest";

type Json = Record<string, unknown>;
type Form = "text" | "flag" | "number" | "list" | "object" | "address" | "id" | "time" | "any";

const ACCOUNT: Record<string, Form> = {
  id: "id",
  username: "text",
  acct: "text",
  url: "address",
  display_name: "text",
  note: "text",
  avatar: "address",
  avatar_static: "address",
  header: "address",
  header_static: "address",
  created_at: "time",
  locked: "flag",
  bot: "flag",
  emojis: "list",
  fields: "list",
  followers_count: "number",
  following_count: "number",
  statuses_count: "number",
};

const STATUS: Record<string, Form> = {
  id: "id",
  uri: "address",
  url: "address",
  created_at: "time",
  account: "object",
  content: "text",
  visibility: "text",
  sensitive: "flag",
  spoiler_text: "text",
  media_attachments: "list",
  mentions: "list",
  tags: "list",
  emojis: "list",
  reblogs_count: "number",
  favourites_count: "number",
  replies_count: "number",
  reblog: "any",
  poll: "any",
  card: "any",
  in_reply_to_id: "any",
  in_reply_to_account_id: "any",
  language: "any",
  edited_at: "any",
};

/** With a token. */
const OWN: Record<string, Form> = {
  favourited: "flag",
  reblogged: "flag",
  bookmarked: "flag",
  muted: "flag",
  pinned: "flag",
  filtered: "list",
};

const RELATIONSHIP: Record<string, Form> = {
  id: "id",
  following: "flag",
  followed_by: "flag",
  blocking: "flag",
  muting: "flag",
  muting_notifications: "flag",
  requested: "flag",
  showing_reblogs: "flag",
  domain_blocking: "flag",
  notifying: "flag",
  endorsed: "flag",
  blocked_by: "flag",
  note: "text",
};

const NOTIFICATION_TYPES = [
  "mention",
  "favourite",
  "reblog",
  "follow",
  "follow_request",
  "poll",
  "status",
  "update",
];

/** An account, as every client can read it. */
export function strictAccount(value: unknown): void {
  const account = has(value, ACCOUNT, "account");
  for (const field of account["fields"] as Json[])
    has(field, { name: "text", value: "text" }, "account.fields");
}

/** A post, with all that is in it. */
export function strictStatus(value: unknown, { isSignedIn = true } = {}): void {
  const status = has(value, isSignedIn ? { ...STATUS, ...OWN } : STATUS, "status");
  expect(["public", "unlisted", "private", "direct"]).toContain(status["visibility"]);
  strictAccount(status["account"]);
  for (const media of status["media_attachments"] as Json[]) {
    has(media, { id: "id", type: "text", url: "address", meta: "any" }, "media");
    expect(["image", "video", "gifv", "audio", "unknown"]).toContain(media["type"]);
  }
  for (const mention of status["mentions"] as Json[])
    has(mention, { id: "id", username: "text", acct: "text", url: "address" }, "mention");
  for (const tag of status["tags"] as Json[]) has(tag, { name: "text", url: "address" }, "tag");
  if (status["poll"] !== null)
    has(
      status["poll"],
      { id: "id", expired: "flag", multiple: "flag", votes_count: "number", options: "list" },
      "poll",
    );
  if (status["reblog"] !== null) strictStatus(status["reblog"], { isSignedIn });
}

/** How somebody stands to somebody. */
export function strictRelationship(value: unknown): void {
  has(value, RELATIONSHIP, "relationship");
}

/** A notification. */
export function strictNotification(value: unknown): void {
  const notification = has(
    value,
    { id: "id", type: "text", created_at: "time", account: "object" },
    "notification",
  );
  expect(NOTIFICATION_TYPES).toContain(notification["type"]);
  strictAccount(notification["account"]);
  if (notification["status"] !== undefined && notification["status"] !== null)
    strictStatus(notification["status"]);
}

/** `GET /api/v2/instance`. */
export function strictInstance(value: unknown): void {
  const instance = has(
    value,
    {
      domain: "text",
      title: "text",
      version: "text",
      description: "text",
      languages: "list",
      thumbnail: "object",
      registrations: "object",
      contact: "object",
      configuration: "object",
      rules: "list",
      api_versions: "object",
    },
    "instance",
  );
  expect(instance["version"]).toMatch(/^\d\.\d/);
  has(instance["thumbnail"], { url: "address" }, "thumbnail");
  has(instance["contact"], { email: "text", account: "any" }, "contact");
  has(
    instance["registrations"],
    { enabled: "flag", approval_required: "flag", message: "any" },
    "registrations",
  );
  const configuration = has(
    instance["configuration"],
    {
      urls: "object",
      accounts: "object",
      statuses: "object",
      media_attachments: "object",
      polls: "object",
      translation: "object",
    },
    "configuration",
  );
  has(configuration["urls"], { streaming: "text" }, "urls");
  has(configuration["accounts"], { max_featured_tags: "number" }, "accounts");
  has(
    configuration["statuses"],
    {
      max_characters: "number",
      max_media_attachments: "number",
      characters_reserved_per_url: "number",
    },
    "statuses",
  );
  has(configuration["media_attachments"], { supported_mime_types: "list" }, "media_attachments");
  has(
    configuration["polls"],
    {
      max_options: "number",
      max_characters_per_option: "number",
      min_expiration: "number",
      max_expiration: "number",
    },
    "polls",
  );
  has(configuration["translation"], { enabled: "flag" }, "translation");
}

function has(value: unknown, fields: Record<string, Form>, what: string): Json {
  expect(value, what).toBeTypeOf("object");
  expect(value, what).not.toBeNull();
  const json = value as Json;
  for (const [name, form] of Object.entries(fields)) {
    expect(Object.keys(json), `${what}.${name} is missing`).toContain(name);
    expect(isOf(json[name], form), `${what}.${name} is ${JSON.stringify(json[name])}`).toBe(true);
  }
  return json;
}

function isOf(value: unknown, form: Form): boolean {
  switch (form) {
    case "text":
      return typeof value === "string";
    case "flag":
      return typeof value === "boolean";
    case "number":
      return typeof value === "number" && Number.isInteger(value);
    case "list":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "address":
      return typeof value === "string" && /^https?:\/\//.test(value) && URL.canParse(value);
    case "id":
      return typeof value === "string" && /^\d{1,19}$/.test(value);
    case "time":
      return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
    default:
      return true;
  }
}
