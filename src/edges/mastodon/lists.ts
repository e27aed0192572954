/** Lists. @see https://docs.joinmastodon.org/methods/lists/ */

import { type Context, Hono } from "hono";
import {
  addMembers,
  changeList,
  createList,
  deleteList,
  listsWith,
  type ListWish,
  membersOf,
  type OwnList,
  ownList,
  ownLists,
  removeMembers,
} from "../../features/follow/own-list.ts";
import { list } from "../../features/follow/schema.ts";
import { Refusal } from "../../store/refusal.ts";
import { accountList, type Entity } from "./account.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { cursorsOf, idOf, linkPages, pageOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";

type Ctx = Context<ClientEnv>;

/** People on one page. */
const PEOPLE = { usual: 40, most: 80 };

const REPLIES: readonly string[] = list.replies.enumValues;

/** `/api/v1/lists`, `/api/v1/accounts/:id/lists`. */
export const listRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;
  const { origin } = database.settings;
  const own = (c: Ctx) => ({ account: callerOf(c).account, list: idOf(c.req.param("id")!) });
  const members = async (c: Ctx) => ({
    ...own(c),
    actors: ((await paramsOf(c)).list("account_ids") ?? []).map(idOf),
  });

  return new Hono<ClientEnv>()
    .get("/api/v1/lists", scope("read:lists"), async (c) =>
      c.json((await ownLists(database, callerOf(c).account)).map(listEntity)),
    )
    .post("/api/v1/lists", scope("write:lists"), async (c) => {
      const { account } = callerOf(c);
      const { title = "", ...wish } = wishIn(await paramsOf(c));
      return c.json(
        listEntity(await createList(database, { account, title, ...wish, at: clock.now() })),
      );
    })
    .get("/api/v1/lists/:id", scope("read:lists"), async (c) => {
      const { account, list: id } = own(c);
      return c.json(listEntity(await ownList(database, account, id)));
    })
    .put("/api/v1/lists/:id", scope("write:lists"), async (c) => {
      const wish = wishIn(await paramsOf(c));
      return c.json(listEntity(await changeList(database, { ...own(c), ...wish })));
    })
    .delete("/api/v1/lists/:id", scope("write:lists"), async (c) => {
      await deleteList(database, own(c));
      return c.json({});
    })
    .get("/api/v1/lists/:id/accounts", scope("read:lists"), async (c) => {
      const { account, list: id } = own(c);
      const params = await paramsOf(c);
      const { limit, maxId, sinceId, minId } = pageOf(params, PEOPLE);
      const isAll = params.whole("limit") === 0;
      const page = { limit: isAll ? 0 : limit, maxId, minId: minId ?? sinceId };
      const ids = await membersOf(database, account, id, page);
      if (!isAll) linkPages(c, origin, cursorsOf(ids));
      return c.json(await accountList(parts, ids));
    })
    .post("/api/v1/lists/:id/accounts", scope("write:lists"), async (c) => {
      await addMembers(database, await members(c));
      return c.json({});
    })
    .delete("/api/v1/lists/:id/accounts", scope("write:lists"), async (c) => {
      await removeMembers(database, await members(c));
      return c.json({});
    })
    .get("/api/v1/accounts/:id/lists", scope("read:lists"), async (c) => {
      const { account, list: actor } = own(c);
      return c.json((await listsWith(database, account, actor)).map(listEntity));
    });
};

function listEntity({ id, title, replies, isExclusive }: OwnList): Entity {
  return { id: String(id), title, replies_policy: replies, exclusive: isExclusive };
}

function wishIn(params: Params): Partial<ListWish> {
  const replies = params.text("replies_policy");
  if (replies !== undefined && !isReplies(replies))
    throw new Refusal("list_invalid", { rule: `replies_policy is one of ${REPLIES.join(", ")}` });
  const title = params.text("title");
  return {
    ...(title === undefined ? {} : { title }),
    replies,
    isExclusive: params.flag("exclusive"),
  };
}

function isReplies(text: string): text is OwnList["replies"] {
  return REPLIES.includes(text);
}
