/** `/oauth/authorize`: an app sends somebody here, who allows it something or does not, and is sent back. */

import { type Context, Hono } from "hono";
import { html } from "hono/html";
import { type App, findApp } from "../../features/access/app.ts";
import { makeGrant } from "../../features/access/grant.ts";
import type { Account } from "../../features/account/create.ts";
import { OUT_OF_BAND, redirectSource, withParameters } from "../../rules/redirect.ts";
import { allowsAll, parseScopes } from "../../rules/scope.ts";
import { codePage, consentPage, NOT_FLATTRS, plainPage, SHOWS_MONEY } from "./consent.ts";
import { fieldsOf, formTokenField, languageOf } from "./form.ts";
import { type Declined, declineHeaders, type DoorParts, takeSignIn } from "./sign-in.ts";
import { type PageEnv, readSession } from "./visit.ts";
import { type Language, LANGUAGES, preferredLanguage } from "./words.ts";

/** What an app may say; each at most once. */
const PARAMETERS = [
  "response_type",
  "client_id",
  "redirect_uri",
  "scope",
  "state",
  "code_challenge",
  "code_challenge_method",
  "force_login",
  "lang",
] as const;

/** Longest `state`, in characters: it is sent back as it came. */
const STATE_CHARS_MAX = 4_000;

/** What an app asks for, checked. */
interface Asked {
  readonly app: App;
  readonly redirectUri: string;
  readonly scopes: readonly string[];
  readonly state: string | undefined;
  readonly challenge: string | undefined;
  /** Name and password are asked even of those who have signed in. */
  readonly forcesSignIn: boolean;
}

/** What is wrong with it, by OAuth's codes. It is told to the person: nobody is sent on unasked. */
interface Fault {
  readonly error: "invalid_request" | "unsupported_response_type" | "invalid_scope";
  readonly sentence:
    | "authorizeUnknownApp"
    | "authorizeRedirect"
    | "authorizeRequest"
    | "authorizeScope"
    | "authorizeProof";
}

/** `/oauth/authorize`. */
export function authorizeRoutes(parts: DoorParts): Hono<PageEnv> {
  const { database, clock } = parts;
  const { origin } = database.settings;
  const { host } = new URL(origin);
  const read = readSession(parts);

  const refuse = (c: Context<PageEnv>, language: Language, { error, sentence }: Fault) => {
    const words = LANGUAGES[language];
    return c.html(plainPage(language, host, words.authorizeFault, words[sentence], error), 400);
  };

  const ask = (
    c: Context<PageEnv>,
    said: URLSearchParams,
    asked: Asked,
    account: Account | undefined,
    again?: { readonly before: URLSearchParams; readonly declined: Declined },
  ) => {
    const language = languageIn(c, said);
    const query = new URLSearchParams(named(said));
    query.set("force_login", "true");
    c.header("content-language", language);
    if (again !== undefined) declineHeaders(c, again.declined);
    return c.html(
      consentPage({
        language,
        host,
        app: asked.app,
        redirectUri: asked.redirectUri,
        scopes: asked.scopes,
        account: asked.forcesSignIn ? undefined : account,
        elsewise: `/oauth/authorize?${query.toString()}`,
        hidden: html`${formTokenField(c, origin)}
        ${named(said).map(
          ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
        )}`,
        // Never of the address: a link sets no box.
        before: again?.before ?? new URLSearchParams(),
        declined: again?.declined,
      }),
      again?.declined.status ?? 200,
    );
  };

  return new Hono<PageEnv>()
    .get("/oauth/authorize", read, async (c) => {
      // Whoever opened this window must stay able to hear of its end.
      c.set("openToApp", "");
      const said = new URL(c.req.url).searchParams;
      const asked = await readAsked(parts, said);
      if ("error" in asked) return refuse(c, languageIn(c, said), asked);
      openTo(c, asked);
      return ask(c, said, asked, c.get("session")?.account);
    })
    .post("/oauth/authorize", async (c) => {
      c.set("openToApp", "");
      const said = await fieldsOf(c);
      const language = languageIn(c, said);
      const words = LANGUAGES[language];
      const asked = await readAsked(parts, said);
      if ("error" in asked) return refuse(c, language, asked);
      openTo(c, asked);
      const { app, redirectUri, state, scopes, challenge } = asked;
      const decision = said.get("decision");
      if (decision === "deny") {
        if (redirectUri === OUT_OF_BAND)
          return c.html(plainPage(language, host, words.denied, words.deniedText));
        return c.redirect(withParameters(redirectUri, { error: "access_denied", state }), 303);
      }
      if (decision !== "approve")
        return refuse(c, language, { error: "invalid_request", sentence: "authorizeRequest" });
      const session = c.get("session");
      const account =
        session === undefined || asked.forcesSignIn
          ? await takeSignIn(c, parts, said, words)
          : session.account;
      if ("sentence" in account)
        return ask(c, said, asked, undefined, { before: said, declined: account });
      const code = await makeGrant(
        database.drizzle,
        {
          app: app.id,
          account: account.id,
          redirectUri,
          scopes: said.get(SHOWS_MONEY) === "1" ? [...scopes, "money:read"] : scopes,
          countsFlattrs: said.get(NOT_FLATTRS) !== "1",
          challenge,
        },
        clock.real(),
      );
      return redirectUri === OUT_OF_BAND
        ? c.html(codePage(language, host, app, code))
        : c.redirect(withParameters(redirectUri, { code, state }), 303);
    });
}

/** The form of this page may lead to the app, or the browser stops at the redirect. */
function openTo(c: Context<PageEnv>, { redirectUri }: Asked): void {
  c.set("openToApp", redirectUri === OUT_OF_BAND ? "" : redirectSource(redirectUri));
}

/** The parameters that are ours to read, as they were said. */
function named(said: URLSearchParams): [string, string][] {
  return PARAMETERS.flatMap((name): [string, string][] => {
    const value = said.get(name);
    return value === null ? [] : [[name, value]];
  });
}

/** What an app asks for. Nothing that it names is trusted before the address was found among its own, as a whole. */
async function readAsked({ database }: DoorParts, said: URLSearchParams): Promise<Asked | Fault> {
  if (PARAMETERS.some((name) => said.getAll(name).length > 1))
    return { error: "invalid_request", sentence: "authorizeRequest" };
  const app = await findApp(database, said.get("client_id") ?? "");
  if (app === undefined) return { error: "invalid_request", sentence: "authorizeUnknownApp" };
  const redirectUri = app.redirectUris.find((uri) => uri === said.get("redirect_uri"));
  if (redirectUri === undefined) return { error: "invalid_request", sentence: "authorizeRedirect" };
  if (said.get("response_type") !== "code")
    return { error: "unsupported_response_type", sentence: "authorizeRequest" };
  const state = said.get("state") ?? undefined;
  if (state !== undefined && state.length > STATE_CHARS_MAX)
    return { error: "invalid_request", sentence: "authorizeRequest" };
  const scopes = parseScopes(said.get("scope") ?? "");
  if (scopes === undefined || !allowsAll(app.scopes, scopes))
    return { error: "invalid_scope", sentence: "authorizeScope" };
  const challenge = said.get("code_challenge") || undefined;
  const method = said.get("code_challenge_method") || undefined;
  const isProof =
    challenge === undefined
      ? method === undefined
      : method === "S256" && /^[\w-]{43}$/.test(challenge);
  if (!isProof) return { error: "invalid_request", sentence: "authorizeProof" };
  return {
    app,
    redirectUri,
    // Amounts are shown to an app only where its user says so himself, by the box.
    scopes: scopes.filter((scope) => scope !== "money:read"),
    state,
    challenge,
    forcesSignIn: said.get("force_login") === "true",
  };
}

/** The language that the app asks for, else that of the browser. */
function languageIn(c: Context, said: URLSearchParams): Language {
  const wanted = said.get("lang")?.split(/[-_]/)[0]?.toLowerCase();
  return wanted !== undefined && Object.hasOwn(LANGUAGES, wanted)
    ? preferredLanguage(wanted)
    : languageOf(c);
}
