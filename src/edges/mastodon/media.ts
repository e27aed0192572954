/** `/api/v1/media`, `/api/v2/media`: pictures for posts. @see https://docs.joinmastodon.org/methods/media/ */

import { type Context, Hono } from "hono";
import { attachedMedia } from "../../features/media/attach.ts";
import {
  describeMedia,
  dropMedia,
  type Focus,
  keepImage,
  type Media,
  ownMedia,
} from "../../features/media/keep.ts";
import { focusIn } from "../../rules/picture.ts";
import { Refusal } from "../../store/refusal.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { type MediaEntity, mediaEntity } from "./media-entity.ts";
import { idOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";

/** The routes of uploaded pictures. Pictures of others are not there, whatever posts have them. */
export function mediaRoutes({ database, clock }: ClientParts): Hono<ClientEnv> {
  const entityOf = (kept: Media): MediaEntity =>
    mediaEntity(attachedMedia(kept, database.settings.origin));
  const upload = async (c: Context<ClientEnv>) => {
    const { account } = callerOf(c);
    const params = await paramsOf(c);
    const file = params.file("file");
    if (file === undefined)
      throw new Refusal("media_invalid", { rule: "it is sent as the file of a multipart form" });
    const kept = await keepImage(database, {
      account,
      purpose: "attachment",
      bytes: file.bytes,
      description: params.text("description"),
      focus: focusOf(params),
      at: clock.now(),
    });
    // It is ready when this is answered, so the second version has nothing to wait for either.
    return c.json(entityOf(kept));
  };
  return new Hono<ClientEnv>()
    .post("/api/v1/media", scope("write:media"), upload)
    .post("/api/v2/media", scope("write:media"), upload)
    .get("/api/v1/media/:id", scope("write:media"), async (c) =>
      c.json(entityOf(await ownMedia(database, callerOf(c).account, idOf(c.req.param("id"))))),
    )
    .put("/api/v1/media/:id", scope("write:media"), async (c) => {
      const { account } = callerOf(c);
      const params = await paramsOf(c);
      const changed = await describeMedia(database, {
        account,
        id: idOf(c.req.param("id")),
        description: params.text("description"),
        focus: focusOf(params),
      });
      return c.json(entityOf(changed));
    })
    .delete("/api/v1/media/:id", scope("write:media"), async (c) => {
      await dropMedia(database, callerOf(c).account, idOf(c.req.param("id")));
      return c.json({});
    });
}

function focusOf(params: Params): Focus | undefined {
  const text = params.text("focus");
  if (text === undefined || text === "") return undefined;
  const focus = focusIn(text);
  if (focus === undefined)
    throw new Refusal("media_invalid", { rule: "its focus is written as x,y, each from -1 to 1" });
  return focus;
}
