/** Changing one's own profile. @see https://docs.joinmastodon.org/methods/accounts/#update_credentials */

import { type Context, Hono } from "hono";
import type { Account } from "../../features/account/create.ts";
import {
  type ProfileChange,
  type ProfileField,
  updateProfile,
} from "../../features/post/profile.ts";
import { Refusal } from "../../store/refusal.ts";
import { credentialAccount } from "./credentials.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { type Params, paramsOf } from "./params.ts";

/** The routes of one's own profile. */
export function profileRoutes(parts: ClientParts): Hono<ClientEnv> {
  const { database, clock, nudge } = parts;
  const change = async (c: Context<ClientEnv>, changes: Changes) => {
    const caller = callerOf(c);
    const account = await updateProfile(database, {
      ...changes,
      account: caller.account,
      at: clock.now(),
    });
    nudge();
    return c.json(await credentialAccount(parts, { ...caller, account }, { withMoney: false }));
  };
  return new Hono<ClientEnv>()
    .patch("/api/v1/accounts/update_credentials", scope("write:accounts"), async (c) =>
      change(c, changesIn(await paramsOf(c))),
    )
    .delete("/api/v1/profile/avatar", scope("write:accounts"), (c) => change(c, { avatar: null }))
    .delete("/api/v1/profile/header", scope("write:accounts"), (c) => change(c, { header: null }));
}

type Changes = Omit<ProfileChange, "account" | "at">;

/** How clients call who may see new posts, and how it is called here. */
const VISIBILITIES: Readonly<Record<string, Account["postVisibility"]>> = {
  public: "public",
  unlisted: "unlisted",
  private: "followers",
};

function changesIn(params: Params): Changes {
  const source = params.record("source");
  const privacy = source?.text("privacy") ?? "";
  return {
    displayName: params.text("display_name"),
    note: params.text("note"),
    fields: fieldsIn(params),
    // An address of a picture, as programs send back what they read, is no new picture.
    avatar: params.file("avatar")?.bytes,
    header: params.file("header")?.bytes,
    isLocked: params.flag("locked"),
    isBot: params.flag("bot"),
    isDiscoverable: params.flag("discoverable"),
    isIndexable: params.flag("indexable"),
    postVisibility: privacy === "" ? undefined : visibilityOf(privacy),
    postsSensitive: source?.flag("sensitive"),
    postLanguage: source?.text("language"),
  };
}

/** All fields, in their order; undefined when nothing is said of them. */
function fieldsIn(params: Params): readonly ProfileField[] | undefined {
  if (!params.has("fields_attributes")) return undefined;
  return params.records("fields_attributes")?.map((field) => ({
    name: field.text("name") ?? "",
    value: field.text("value") ?? "",
  }));
}

function visibilityOf(privacy: string): Account["postVisibility"] {
  if (!Object.hasOwn(VISIBILITIES, privacy))
    throw new Refusal("profile_invalid", {
      what: "privacy",
      rule: `it is one of ${Object.keys(VISIBILITIES).join(", ")}`,
    });
  return VISIBILITIES[privacy]!;
}
