/** NodeInfo: what this server is, for statistics. Nothing is decided by it. @see https://nodeinfo.diaspora.software/protocol */

import { instanceActorUri } from "../../features/account/own.ts";
import { countPeople, countPosts } from "../../features/post/count.ts";
import type { Database } from "../../store/database.ts";
import type { Clock, Temporal } from "../../store/time.ts";
import { jsonAnswer } from "./answers.ts";
import { NAMESPACE } from "./like-document.ts";

/** What is said beyond the numbers. */
export interface NodeParts {
  readonly database: Database;
  readonly clock: Clock;
  /** Of this program. */
  readonly version: string;
  /** Where the money is: `none`, `transit` or `prepaid`. */
  readonly custody: string;
  /** True when anybody may make an account. */
  readonly isOpen: boolean;
}

type Version = "2.0" | "2.1";
const VERSIONS: readonly Version[] = ["2.0", "2.1"];

const schemaOf = (version: Version) => `http://nodeinfo.diaspora.software/ns/schema/${version}`;

/** The numbers are counted so often at most: they need a look at all posts of the house. */
const COUNT_SECONDS = 600;

/** Where the documents are. */
export function nodeInfoLinks(origin: string): Response {
  return jsonAnswer(
    {
      links: VERSIONS.map((version) => ({
        rel: schemaOf(version),
        href: `${origin}/nodeinfo/${version}`,
      })),
    },
    "application/json",
    COUNT_SECONDS,
  );
}

/** Answers with the document of one version; undefined for a version that there is not. */
export function nodeInfo({
  database,
  clock,
  version,
  custody,
  isOpen,
}: NodeParts): (wanted: string) => Promise<Response | undefined> {
  const { origin, currency } = database.settings;
  let counted: { readonly until: Temporal.Instant; readonly usage: Promise<object> } | undefined;
  const usage = () => {
    const now = clock.real();
    if (counted === undefined || now.epochMilliseconds >= counted.until.epochMilliseconds) {
      counted = { until: now.add({ seconds: COUNT_SECONDS }), usage: usageOf(database) };
      // What failed is counted again at the next request.
      counted.usage.catch(() => (counted = undefined));
    }
    return counted.usage;
  };
  return async (wanted) => {
    const which = VERSIONS.find((known) => known === wanted);
    if (which === undefined) return undefined;
    return jsonAnswer(
      {
        version: which,
        software: { name: "fediflattr", version },
        protocols: ["activitypub"],
        services: { inbound: [], outbound: [] },
        openRegistrations: isOpen,
        usage: await usage(),
        metadata: {
          nodeName: new URL(origin).host,
          // Clients ask how they may talk to us.
          upstream: { name: "mastodon" },
          custody,
          payments: {
            spec: NAMESPACE.slice(0, -1),
            actor: instanceActorUri(origin),
            currencies: [currency],
          },
        },
      },
      `application/json; profile="${schemaOf(which)}#"`,
      COUNT_SECONDS,
    );
  };
}

async function usageOf(database: Database): Promise<object> {
  const [total, localPosts] = await Promise.all([countPeople(database), countPosts(database)]);
  return { users: { total }, localPosts };
}
