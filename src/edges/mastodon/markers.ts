/** Markers. @see https://docs.joinmastodon.org/methods/markers/ */

import { Hono } from "hono";
import {
  MARKED_TIMELINES,
  type MarkedTimeline,
  type Marker,
  markersOf,
  setMarkers,
} from "../../features/notice/marker.ts";
import { Refusal } from "../../store/refusal.ts";
import { type Entity, instantText } from "./account.ts";
import { callerOf, type ClientEnv, type ClientParts, scope } from "./frame.ts";
import { idIn } from "./paging.ts";
import { type Params, paramsOf } from "./params.ts";

/** `/api/v1/markers`. */
export const markerRoutes = ({ database, clock }: ClientParts) =>
  new Hono<ClientEnv>()
    .get("/api/v1/markers", scope("read:statuses"), async (c) => {
      const wanted = (await paramsOf(c)).list("timeline") ?? [];
      const timelines = MARKED_TIMELINES.filter((timeline) => wanted.includes(timeline));
      return c.json(markersEntity(await markersOf(database, callerOf(c).account, timelines)));
    })
    .post("/api/v1/markers", scope("write:statuses"), async (c) => {
      const marks = marksIn(await paramsOf(c));
      const { account } = callerOf(c);
      return c.json(markersEntity(await setMarkers(database, { account, marks, at: clock.now() })));
    });

function markersEntity(markers: readonly Marker[]): Entity {
  return Object.fromEntries(
    markers.map(({ timeline, lastRead, version, at }) => [
      timeline,
      { last_read_id: String(lastRead), version, updated_at: instantText(at) },
    ]),
  );
}

function marksIn(params: Params): ReadonlyMap<MarkedTimeline, bigint> {
  const marks = new Map<MarkedTimeline, bigint>();
  for (const timeline of MARKED_TIMELINES) {
    const text = params.record(timeline)?.text("last_read_id");
    if (text === undefined) continue;
    const id = idIn(text);
    if (id === undefined) throw new Refusal("marker_invalid");
    marks.set(timeline, id);
  }
  return marks;
}
