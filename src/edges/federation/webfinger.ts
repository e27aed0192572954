/** WebFinger for the instance itself, and host-meta. People are answered by Fedify. */

import { ACTIVITY_TYPE } from "../../rules/activity-streams.ts";
import { instanceActorUri } from "../../features/account/own.ts";
import { jsonAnswer } from "./answers.ts";

/** The media type of a WebFinger answer. @see https://www.rfc-editor.org/rfc/rfc7033#section-10.2 */
const JRD = "application/jrd+json";

/** Addresses hardly ever change. */
const CACHE_SECONDS = 3600;

/** How a server is found by its origin (FEP-d556). */
const SERVER_ACTOR = "https://www.w3.org/ns/activitystreams#Service";

/**
 * The answer for the instance: by its bare origin, with a slash or without, by the address of its actor, or by its
 * handle. Undefined when somebody else is asked for.
 */
export function webfingerOfInstance(origin: string, resource: string | null): Response | undefined {
  const { host } = new URL(origin);
  const actor = instanceActorUri(origin);
  const handle = `acct:${host}@${host}`;
  const isOrigin = resource === origin || resource === `${origin}/`;
  if (!isOrigin && resource !== actor && resource?.toLowerCase() !== handle) return undefined;
  return jsonAnswer(
    {
      subject: isOrigin ? `${origin}/` : handle,
      aliases: isOrigin ? [actor, handle] : [actor, `${origin}/`],
      links: [
        { rel: "self", type: ACTIVITY_TYPE, href: actor },
        { rel: SERVER_ACTOR, type: ACTIVITY_TYPE, href: actor },
      ],
    },
    JRD,
    CACHE_SECONDS,
  );
}

/**
 * The handle of somebody who is asked for, by his address or as people write it; undefined for anything else. Names
 * here are in small letters, and people do not care.
 */
export function personIn(origin: string, resource: string): string | undefined {
  const handle = /^acct:@?([^@]{1,64}@[^@]{1,255})$/i.exec(resource)?.[1];
  if (handle !== undefined) return `acct:${handle.toLowerCase()}`;
  if (!resource.startsWith(`${origin}/`)) return undefined;
  const name = /^\/(?:users\/|@)([a-z0-9_]{1,30})$/.exec(resource.slice(origin.length))?.[1];
  return name === undefined ? undefined : `acct:${name}@${new URL(origin).host}`;
}

/** Where WebFinger is, for servers that look here first. @see https://www.rfc-editor.org/rfc/rfc6415 */
export function hostMeta(origin: string, form: "xml" | "json"): Response {
  const template = `${origin}/.well-known/webfinger?resource={uri}`;
  if (form === "json")
    return jsonAnswer({ links: [{ rel: "lrdd", type: JRD, template }] }, JRD, CACHE_SECONDS);
  return new Response(
    `<?xml version="1.0" encoding="UTF-8"?>\n<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n  <Link rel="lrdd" type="${JRD}" template="${template}"/>\n</XRD>\n`,
    {
      headers: {
        "content-type": "application/xrd+xml; charset=utf-8",
        "cache-control": `public, max-age=${CACHE_SECONDS}`,
        "access-control-allow-origin": "*",
      },
    },
  );
}
