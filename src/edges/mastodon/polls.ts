/** Polls. @see https://docs.joinmastodon.org/methods/polls/ */

import { type Context, Hono } from "hono";
import { votePoll } from "../../features/post/poll.ts";
import { seePosts } from "../../features/post/see.ts";
import { Refusal } from "../../store/refusal.ts";
import {
  callerOf,
  type ClientEnv,
  type ClientParts,
  scope,
  scopeIfAny,
  viewerOf,
} from "./frame.ts";
import { idOf } from "./paging.ts";
import { paramsOf } from "./params.ts";
import { pollEntity } from "./status.ts";

/** `/api/v1/polls/:id`. A poll has the id of its post. */
export const pollRoutes = ({ database, clock }: ClientParts) => {
  const shown = async (c: Context<ClientEnv>, id: bigint) => {
    const at = clock.now();
    const [seen] = await seePosts(database, viewerOf(c), [id], at);
    const poll = seen?.post.poll;
    if (seen === undefined || poll === null || poll === undefined) throw new Refusal("not_found");
    return pollEntity(seen.post, poll, at);
  };
  return new Hono<ClientEnv>()
    .get("/api/v1/polls/:id", scopeIfAny("read:statuses"), async (c) =>
      c.json(await shown(c, idOf(c.req.param("id")))),
    )
    .post("/api/v1/polls/:id/votes", scope("write:statuses"), async (c) => {
      const { account } = callerOf(c);
      const post = idOf(c.req.param("id"));
      await shown(c, post);
      const choices = ((await paramsOf(c)).list("choices") ?? []).map((text) => {
        if (!/^\d{1,3}$/.test(text))
          throw new Refusal("vote_invalid", { rule: "a choice is its place, counted from 0" });
        return Number(text);
      });
      await votePoll(database, { account, post, choices, at: clock.now() });
      return c.json(await shown(c, post));
    });
};
