/**
 * OAuth 2 for programs: registering an app, changing a code into a token, giving it back, and saying who one is. The
 * page where people allow an app is one of the pages.
 *
 * @see https://docs.joinmastodon.org/methods/oauth/
 */

import { type Context, Hono } from "hono";
import { type App, appOf, provenApp, registerApp } from "../../features/access/app.ts";
import { exchangeGrant } from "../../features/access/grant.ts";
import { revokeToken } from "../../features/access/revoke.ts";
import { createToken } from "../../features/access/token.ts";
import { cleanName } from "../../features/post/clean.ts";
import { allowsAll, parseScopes, SCOPES } from "../../rules/scope.ts";
import { countExact } from "../../store/rates.ts";
import { Refusal } from "../../store/refusal.ts";
import { senderOf } from "../../store/sender.ts";
import { accountOf } from "./account.ts";
import {
  AccessError,
  answerError,
  callerOf,
  type ClientEnv,
  type ClientParts,
  scope,
  signedIn,
} from "./frame.ts";
import { type Params, paramsOf } from "./params.ts";

/** Apps and tokens of apps alone, by one sender: each is a row that nobody has asked for yet. */
const MADE_MAX = { limit: 200, windowMs: 3_600_000 };

/** What OAuth calls an error. @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2 */
type Code =
  | "invalid_client"
  | "invalid_grant"
  | "invalid_request"
  | "invalid_scope"
  | "unauthorized_client"
  | "unsupported_grant_type";

/** An error as OAuth writes it. */
class OAuthError extends Error {
  readonly code: Code;
  readonly status: 400 | 401 | 403;

  constructor(code: Code, sentence: string, status: 400 | 401 | 403 = 400) {
    super(sentence);
    this.name = "OAuthError";
    this.code = code;
    this.status = status;
  }
}

/**
 * `/api/v1/apps`, `/oauth/token`, `/oauth/revoke`, `/oauth/userinfo` and the metadata. They read tokens themselves:
 * an app may show its secret where others show a token.
 */
export const oauthRoutes = (parts: ClientParts) => {
  const { database, clock } = parts;
  const { origin } = database.settings;
  const read = signedIn(parts);

  const limited = async (c: Context<ClientEnv>): Promise<Response | undefined> => {
    const { isOver, resetAt } = await countExact(database, {
      ...MADE_MAX,
      key: `oauth made ${senderOf(c.env?.remoteAddress ?? "")}`,
      now: clock.real(),
    });
    if (!isOver) return undefined;
    const seconds = Math.ceil(clock.real().until(resetAt).total({ unit: "seconds" }));
    c.header("retry-after", String(Math.max(1, seconds)));
    return c.json(
      { error: "Too many requests", error_description: "Too many apps. Try again later." },
      429,
    );
  };

  return new Hono<ClientEnv>()
    .post("/api/v1/apps", async (c) => {
      const params = await paramsOf(c);
      const late = await limited(c);
      if (late !== undefined) return late;
      const { app, secret } = await registerApp(database, {
        name: cleanName(params.text("client_name") ?? ""),
        website: params.text("website"),
        redirectUris: (params.list("redirect_uris") ?? []).flatMap((text) =>
          text.split(/\s+/).filter((uri) => uri !== ""),
        ),
        scopes: (params.list("scopes") ?? []).join(" "),
        at: clock.real(),
      });
      return c.json({
        ...appEntity(app),
        client_id: app.clientId,
        client_secret: secret,
        client_secret_expires_at: 0,
        vapid_key: await parts.vapidKey(),
      });
    })
    .get("/api/v1/apps/verify_credentials", read, async (c) => {
      const access = c.get("access");
      const app = access === undefined ? undefined : await appOf(database.drizzle, access.app);
      if (app === undefined) throw new AccessError(401, "The access token is invalid");
      return c.json({ ...appEntity(app), vapid_key: await parts.vapidKey() });
    })
    .post("/oauth/token", async (c) => {
      c.header("cache-control", "no-store");
      const params = await paramsOf(c);
      const app = await clientOf(c, params, parts);
      switch (required(params, "grant_type")) {
        case "authorization_code": {
          // Whatever scope is named here: what was allowed on the page is what there is.
          const { secret, scopes } = await exchangeGrant(database, {
            app: app.id,
            code: required(params, "code"),
            redirectUri: required(params, "redirect_uri"),
            verifier: params.text("code_verifier") || undefined,
            at: clock.now(),
            real: clock.real(),
          });
          return c.json(tokenEntity(secret, scopes, parts));
        }
        case "client_credentials": {
          const scopes = scopesForItself(app, params);
          const late = await limited(c);
          if (late !== undefined) return late;
          const { secret } = await createToken(database.drizzle, {
            app: app.id,
            account: undefined,
            scopes,
            countsFlattrs: false,
            at: clock.now(),
          });
          return c.json(tokenEntity(secret, scopes, parts));
        }
        default:
          throw new OAuthError(
            "unsupported_grant_type",
            "A token is given for an authorization_code or for client_credentials.",
          );
      }
    })
    .post("/oauth/revoke", async (c) => {
      const params = await paramsOf(c);
      const app = await clientOf(c, params, parts);
      const isOver = await revokeToken(database, {
        app: app.id,
        secret: required(params, "token"),
        at: clock.now(),
      });
      if (!isOver)
        throw new OAuthError("unauthorized_client", "This token belongs to another app.", 403);
      return c.json({});
    })
    .on(["GET", "POST"], "/oauth/userinfo", read, scope("profile", "read:accounts"), async (c) => {
      const { account } = callerOf(c);
      const entity = await accountOf(parts, account.actor);
      if (entity === undefined) throw new AccessError(401, "The access token is invalid");
      return c.json({
        iss: origin,
        sub: entity["uri"],
        name: entity["display_name"],
        preferred_username: entity["username"],
        profile: entity["url"],
        picture: entity["avatar"],
      });
    })
    .get("/.well-known/oauth-authorization-server", (c) => {
      c.header("cache-control", "public, max-age=300");
      return c.json(metadata(origin));
    })
    .onError((error, c) => {
      const told = asOAuth(error);
      if (told === undefined) return answerError(error, c);
      if (told.status === 401 && c.req.header("authorization") !== undefined)
        c.header("www-authenticate", `Basic realm="${new URL(origin).host}"`);
      c.header("cache-control", "no-store");
      return c.json({ error: told.code, error_description: told.message }, told.status);
    });
};

/**
 * What this server can do, for programs.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8414
 */
function metadata(origin: string) {
  const authentication = ["client_secret_basic", "client_secret_post"];
  return {
    issuer: origin,
    service_documentation: "https://docs.joinmastodon.org/",
    authorization_endpoint: `${origin}/oauth/authorize`,
    token_endpoint: `${origin}/oauth/token`,
    app_registration_endpoint: `${origin}/api/v1/apps`,
    revocation_endpoint: `${origin}/oauth/revoke`,
    userinfo_endpoint: `${origin}/oauth/userinfo`,
    scopes_supported: SCOPES,
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: ["authorization_code", "client_credentials"],
    token_endpoint_auth_methods_supported: authentication,
    revocation_endpoint_auth_methods_supported: authentication,
    code_challenge_methods_supported: ["S256"],
    ui_locales_supported: ["en", "de", "nl"],
  };
}

/** @see https://docs.joinmastodon.org/entities/Application/ */
function appEntity({ id, name, website, redirectUris, scopes }: App) {
  return {
    id: String(id),
    name,
    website,
    scopes,
    // One text: older clients insist on it.
    redirect_uri: redirectUris.join("\n"),
    redirect_uris: redirectUris,
  };
}

/** @see https://docs.joinmastodon.org/entities/Token/ */
function tokenEntity(secret: string, scopes: readonly string[], { clock }: ClientParts) {
  return {
    access_token: secret,
    token_type: "Bearer",
    scope: scopes.join(" "),
    created_at: Math.floor(clock.now().epochMilliseconds / 1000),
  };
}

/**
 * The app that asks, by its id and secret in the body or as HTTP Basic.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
 */
async function clientOf(
  c: Context<ClientEnv>,
  params: Params,
  { database }: ClientParts,
): Promise<App> {
  const basic = basicOf(c.req.header("authorization"));
  const clientId = params.text("client_id") ?? basic?.clientId;
  const secret = params.text("client_secret") ?? basic?.secret;
  const isTwofold = basic !== undefined && (clientId !== basic.clientId || secret !== basic.secret);
  if (clientId === undefined || secret === undefined || isTwofold)
    throw new Refusal("client_unknown");
  return provenApp(database, { clientId, secret });
}

function basicOf(
  header: string | undefined,
): { readonly clientId: string; readonly secret: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]{1,1000}={0,2})$/i.exec(header?.trim() ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const [clientId, ...rest] = Buffer.from(encoded, "base64").toString("utf8").split(":");
  try {
    return { clientId: decodeURIComponent(clientId!), secret: decodeURIComponent(rest.join(":")) };
  } catch {
    return undefined;
  }
}

/** What an app may do for itself. Amounts are somebody's, so they are not among it. */
function scopesForItself(app: App, params: Params): readonly string[] {
  const wanted = parseScopes(params.text("scope") ?? "");
  const scopes = wanted?.filter((one) => one !== "money:read") ?? [];
  if (wanted === undefined || scopes.length === 0 || !allowsAll(app.scopes, wanted))
    throw new OAuthError("invalid_scope", "The app did not register for these scopes.");
  return scopes;
}

/** @throws OAuthError "invalid_request" when it is missing, or there more than once */
function required(params: Params, name: string): string {
  const text = params.text(name);
  if (text === undefined || text === "")
    throw new OAuthError("invalid_request", `${name} is missing.`);
  return text;
}

function asOAuth(error: unknown): OAuthError | undefined {
  if (error instanceof OAuthError) return error;
  if (!(error instanceof Refusal)) return undefined;
  switch (error.reason) {
    case "client_unknown":
      return new OAuthError("invalid_client", "No app is known by this id and secret.", 401);
    case "grant_invalid":
      return new OAuthError("invalid_grant", "This code cannot be used, or was used before.");
    default:
      return undefined;
  }
}
