/** Who the day with `masto` is about, and what its steps know of each other. */

import { createRestAPIClient, type mastodon } from "masto";
import type { Home } from "../homes.ts";
import type { Stream } from "./stream.ts";

/** What the app of the day asks for. */
export const SCOPES = "read write follow push";

/** The people of the day. */
export const MASTO_PEOPLE = {
  /** Gives, at harbour. */
  patron: "alice",
  budget: "5.00",
  /** Writes, at meadow. */
  creator: "bob",
  /** Lives beside the patron. */
  neighbour: "dora",
} as const;

export type Rest = mastodon.rest.Client;
export type Status = mastodon.v1.Status;

/** What the steps before have left. */
export interface Known {
  harbour: Home;
  meadow: Home;
  app: mastodon.v1.Client;
  token: string;
  alice: Rest;
  /** Of the same person, by the app whose favourites are no flattrs. */
  reader: Rest;
  bob: Rest;
  dora: Rest;
  ids: { alice: string; bob: string; bobAtHarbour: string; aliceAtMeadow: string; dora: string };
  /** The one that is flattred: at meadow, and as harbour knows it. */
  first: Status;
  firstAtHarbour: Status;
  picture: Status;
  stream: Stream;
}

/** Somebody's client. */
export const clientOf = (home: Home, accessToken: string): Rest =>
  createRestAPIClient({ url: home.origin, accessToken });
