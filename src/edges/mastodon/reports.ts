/** Complaints. @see https://docs.joinmastodon.org/methods/reports/ */

import { Hono } from "hono";
import { type Report, type ReportCategory, reportActor } from "../../features/report/report.ts";
import { report } from "../../features/report/schema.ts";
import { Refusal } from "../../store/refusal.ts";
import { accountOf, type Entity, instantText } from "./account.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { idOf } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";

const CATEGORIES: readonly string[] = report.category.enumValues;

/** `/api/v1/reports`. */
export const reportRoutes = (parts: ClientParts) => {
  const { database, clock, nudge } = parts;
  return new Hono<ClientEnv>().post("/api/v1/reports", scope("write:reports"), async (c) => {
    const params = await paramsOf(c);
    const target = idOf(params.text("account_id") ?? "");
    const made = await reportActor(database, {
      account: callerOf(c).account,
      target,
      posts: (params.list("status_ids") ?? []).map(idOf),
      comment: params.text("comment") ?? "",
      category: categoryIn(params),
      forwards: params.flag("forward") ?? false,
      at: clock.now(),
    });
    nudge();
    return c.json({ ...reportEntity(made), target_account: await accountOf(parts, target) });
  });
};

/** @see https://docs.joinmastodon.org/entities/Report/ */
function reportEntity({ id, at, comment, category, isForwarded, posts }: Report): Entity {
  return {
    id: String(id),
    action_taken: false,
    action_taken_at: null,
    category,
    comment,
    forwarded: isForwarded,
    created_at: instantText(at),
    status_ids: posts,
    rule_ids: [],
  };
}

function categoryIn(params: Params): ReportCategory {
  const category = params.text("category") ?? "other";
  if (!isCategory(category))
    throw new Refusal("report_invalid", {
      rule: `its category is one of ${CATEGORIES.join(", ")}`,
    });
  return category;
}

function isCategory(text: string): text is ReportCategory {
  return CATEGORIES.includes(text);
}
