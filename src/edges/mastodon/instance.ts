/** What an instance says about itself. @see https://docs.joinmastodon.org/methods/instance/ */

import { Hono } from "hono";
import type { Context } from "hono";
import { countPeople, countPosts } from "../../features/post/count.ts";
import {
  POLL_OPTION_CHARS_MAX,
  POLL_OPTIONS_MAX,
  POLL_SECONDS_MAX,
  POLL_SECONDS_MIN,
} from "../../features/post/poll.ts";
import { FIELDS_MAX } from "../../features/post/profile.ts";
import { knownHosts } from "../../features/account/hosts.ts";
import {
  ATTACHMENTS_MAX,
  DESCRIPTION_CHARS_MAX,
  PICTURE_BYTES_MAX,
  PICTURE_PIXELS_MAX,
} from "../../features/media/limits.ts";
import { flattrActorUri } from "../../features/account/own.ts";
import { formatAmount } from "../../rules/amount.ts";
import type { Entity } from "./account.ts";
import type { ClientEnv, ClientParts } from "./frame.ts";

/** The version of the client API that is spoken, and whose program it is. */
const versionText = ({ version }: ClientParts) => `4.3.0 (compatible; Fediflattr ${version})`;

/** What clients must keep to. The figures are those of the features that hold them. */
const LIMITS = {
  statuses: {
    max_characters: 5000,
    max_media_attachments: ATTACHMENTS_MAX,
    characters_reserved_per_url: 23,
  },
  accounts: { max_featured_tags: 0, max_pinned_statuses: 5, max_profile_fields: FIELDS_MAX },
  media_attachments: {
    supported_mime_types: ["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"],
    description_limit: DESCRIPTION_CHARS_MAX,
    image_size_limit: PICTURE_BYTES_MAX,
    image_matrix_limit: PICTURE_PIXELS_MAX,
    video_size_limit: 0,
    video_frame_rate_limit: 0,
    video_matrix_limit: 0,
  },
  polls: {
    max_options: POLL_OPTIONS_MAX,
    max_characters_per_option: POLL_OPTION_CHARS_MAX,
    min_expiration: POLL_SECONDS_MIN,
    max_expiration: POLL_SECONDS_MAX,
  },
} as const;

const SOURCE = "https://www.gnu.org/licenses/agpl-3.0.html";

/** Both forms, what they are made of, and lists that are empty here. */
export const instanceRoutes = (parts: ClientParts) =>
  new Hono<ClientEnv>()
    .get("/api/v2/instance", async (c) => {
      const { database, vapidKey } = parts;
      const { origin } = database.settings;
      return cached(c, {
        domain: new URL(origin).host,
        title: "Fediflattr",
        version: versionText(parts),
        source_url: SOURCE,
        description: description(parts),
        usage: { users: { active_month: await countPeople(database) } },
        thumbnail: { url: `${origin}/headers/missing.png`, blurhash: null, versions: {} },
        icon: [],
        languages: ["en", "de", "nl"],
        configuration: {
          urls: { streaming: streamingAddress(origin), status: null },
          vapid: { public_key: await vapidKey() },
          ...LIMITS,
          translation: { enabled: false },
          limited_federation: false,
        },
        registrations: {
          // The operator makes accounts.
          enabled: false,
          approval_required: false,
          reason_required: false,
          message: null,
          min_age: null,
          url: null,
        },
        api_versions: { mastodon: 2 },
        contact: { email: "", account: null },
        rules: rules(),
        flattr: flattrOf(parts),
      });
    })
    .get("/api/v1/instance", async (c) => {
      const { database } = parts;
      const { origin } = database.settings;
      const [people, posts, hosts] = await Promise.all([
        countPeople(database),
        countPosts(database),
        knownHosts(database),
      ]);
      return cached(c, {
        uri: new URL(origin).host,
        title: "Fediflattr",
        short_description: description(parts),
        description: description(parts),
        email: "",
        version: versionText(parts),
        urls: { streaming_api: streamingAddress(origin) },
        stats: { user_count: people, status_count: posts, domain_count: hosts.length },
        thumbnail: `${origin}/headers/missing.png`,
        languages: ["en", "de", "nl"],
        registrations: false,
        approval_required: false,
        invites_enabled: false,
        configuration: LIMITS,
        contact_account: null,
        rules: rules(),
        flattr: flattrOf(parts),
      });
    })
    .get("/api/v1/instance/peers", async (c) => cached(c, await knownHosts(parts.database)))
    .get("/api/v1/custom_emojis", (c) => cached(c, []));

/** The rule that everybody should know before he clicks. */
function rules(): readonly Entity[] {
  return [
    {
      id: "1",
      text: "A favourite is a flattr: one equal share of your monthly budget.",
      hint: "Unless you choose in your settings, or for an app, that favourites do not count.",
    },
  ];
}

function description({ database: { settings } }: ClientParts): string {
  const minimum = formatAmount(settings.minimumBudget, settings.currency);
  return `Set a monthly budget of ${minimum} ${settings.currency} or more, and favourite what you like: at the end of the month your budget is divided equally over it.`;
}

function flattrOf({ database: { settings } }: ClientParts): Entity {
  return {
    currency: settings.currency,
    minimum_budget: String(settings.minimumBudget),
    bot: flattrActorUri(settings.origin),
  };
}

function streamingAddress(origin: string): string {
  return origin.replace(/^http/, "ws");
}

function cached(c: Context<ClientEnv>, body: Entity | readonly unknown[]) {
  c.header("cache-control", "public, max-age=60");
  return c.json(body);
}
