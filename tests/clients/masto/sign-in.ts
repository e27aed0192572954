/** Apps register, and people let them in. */

import { createHash, randomBytes } from "node:crypto";
import { createOAuthAPIClient, createRestAPIClient } from "masto";
import { expect, test } from "vitest";
import {
  allowApp,
  allowPhoneApp,
  freshVisit,
  picture,
  seesRefusal,
  signIn,
} from "../../support/browser.ts";
import { type Day, type Home, PASSWORD } from "../homes.ts";
import { clientOf, type Known, MASTO_PEOPLE, SCOPES } from "./people.ts";

/** The steps, in order; each needs those before it. */
export function signInSteps(dayOf: () => Day, state: Known): void {
  const { patron, budget, creator, neighbour } = MASTO_PEOPLE;
  const byToken = async (home: Home, name: string) => {
    const said = await home.run("account", "token", name, "--scope", SCOPES);
    return clientOf(home, String(said["access_token"]));
  };

  test("people come, and one of them sets a budget", async () => {
    const { harbour, meadow } = dayOf();
    Object.assign(state, { harbour, meadow });
    await Promise.all([
      harbour
        .settle(patron)
        .then(() => harbour.run("budget", "set", patron, budget))
        .then(() => harbour.run("fund", patron, "10.00")),
      harbour.settle(neighbour),
      meadow.settle(creator),
    ]);
    expect(await harbour.run("statement", patron)).toMatchObject({ gave: [] });
  });

  test("an app registers by JSON, form and multipart", async () => {
    const { harbour } = state;
    const { back } = dayOf();
    state.app = await createRestAPIClient({ url: harbour.origin }).v1.apps.create({
      clientName: "A client by masto",
      redirectUris: back,
      scopes: SCOPES,
      website: "https://client.example",
    });
    expect(state.app.clientId).toBeTypeOf("string");
    const fields = { client_name: "Another", redirect_uris: back, scopes: SCOPES };
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    for (const body of [new URLSearchParams(fields), form]) {
      const answer = await fetch(`${harbour.origin}/api/v1/apps`, { method: "POST", body });
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({
        name: "Another",
        client_id: expect.any(String) as string,
        client_secret: expect.any(String) as string,
        redirect_uri: back,
        redirect_uris: [back],
        scopes: SCOPES.split(" "),
      });
    }
  });

  test("a person signs in and allows it on one page, in a browser, with PKCE", async () => {
    const { harbour, app } = state;
    const { browser, scheme, back } = dayOf();
    const verifier = randomBytes(32).toString("base64url");
    const url = new URL("/oauth/authorize", harbour.origin);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: app.clientId!,
      redirect_uri: back,
      scope: SCOPES,
      state: "state of this attempt",
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    }).toString();
    const visit = await freshVisit(browser);
    const beyond = [
      ...(await picture(visit, `${harbour.origin}/sign-in`, `${scheme}-sign-in`)),
      ...(await picture(visit, url.href, `${scheme}-consent`)),
    ];
    expect(await seesRefusal(visit, url.href)).toBe(true);
    const person = { name: patron, password: PASSWORD };
    const sent = (await allowApp(visit, url.href, person, { opener: back })) as URL;
    beyond.push(...(await picture(visit, url.href, `${scheme}-consent-signed-in`)));
    await visit.close();
    expect(beyond).toEqual([]);
    expect(`${sent.origin}${sent.pathname}`).toBe(back);
    expect(sent.searchParams.get("state")).toBe("state of this attempt");

    const oauth = createOAuthAPIClient({ url: harbour.origin });
    const wish = {
      grantType: "authorization_code" as const,
      clientId: app.clientId!,
      clientSecret: app.clientSecret!,
      redirectUri: back,
      code: sent.searchParams.get("code")!,
      codeVerifier: verifier,
    };
    const token = await oauth.token.create(wish);
    expect(token).toMatchObject({ tokenType: "Bearer", scope: SCOPES });
    state.token = token.accessToken;
    state.alice = clientOf(harbour, token.accessToken);
    const me = await state.alice.v1.accounts.verifyCredentials();
    expect(me).toMatchObject({ username: patron, acct: patron });
    expect(me.source.fields).toEqual([]);
    // The box for amounts was left alone.
    expect(JSON.stringify(me)).not.toContain("5.00");
    state.ids = { ...state.ids, alice: me.id };
  });

  test("an app that may show money, and whose favourites are no flattrs", async () => {
    const { harbour } = state;
    const { browser } = dayOf();
    const redirectUri = "urn:ietf:wg:oauth:2.0:oob";
    const app = await createRestAPIClient({ url: harbour.origin }).v1.apps.create({
      clientName: "A reader",
      redirectUris: redirectUri,
      scopes: "read write",
    });
    const url = new URL("/oauth/authorize", harbour.origin);
    const [clientId, clientSecret] = [app.clientId!, app.clientSecret!];
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: clientId,
      redirect_uri: redirectUri,
      scope: "read write",
    }).toString();
    const visit = await freshVisit(browser);
    const person = { name: patron, password: PASSWORD };
    const boxes = ["Show my money figures in this app", "Favourites from this app are not flattrs"];
    const code = (await allowApp(visit, url.href, person, { boxes })) as string;
    await visit.close();
    const token = await createOAuthAPIClient({ url: harbour.origin }).token.create({
      grantType: "authorization_code",
      clientId,
      clientSecret,
      redirectUri,
      code,
    });
    expect(token.scope.split(" ").toSorted()).toEqual(["money:read", "read", "write"]);
    const reader = clientOf(harbour, token.accessToken);
    const me = await reader.v1.accounts.verifyCredentials();
    expect(me.fields.map(({ value }) => value).join("\n")).toContain("5.00");
    expect(JSON.stringify(me.source)).not.toContain("5.00");
    const own = await reader.v1.statuses.create({ status: "Hello, harbour" });
    const seen = await reader.v1.statuses.$select(own.id).fetch();
    expect(JSON.stringify(seen.account)).not.toContain("5.00");
    state.reader = reader;
  });

  test("a phone's app is let in by a scheme of its own", async () => {
    const { harbour } = state;
    const redirectUri = "a-phone-app://signed-in";
    const app = await createRestAPIClient({ url: harbour.origin }).v1.apps.create({
      clientName: "On a phone",
      redirectUris: redirectUri,
      scopes: "read",
    });
    const url = new URL("/oauth/authorize", harbour.origin);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: app.clientId!,
      redirect_uri: redirectUri,
      scope: "read",
    }).toString();
    const visit = await freshVisit(dayOf().browser);
    await signIn(visit, harbour.origin, { name: patron, password: PASSWORD });
    const tried = await allowPhoneApp(visit, url.href, "a-phone-app:");
    await visit.close();
    expect(tried).toMatch(/^a-phone-app:\/\/signed-in\?code=./);
  });

  test("the others sign in by tokens for scripts", async () => {
    const { harbour, meadow } = state;
    [state.bob, state.dora] = await Promise.all([
      byToken(meadow, creator),
      byToken(harbour, neighbour),
    ]);
    const [bob, dora] = await Promise.all([
      state.bob.v1.accounts.verifyCredentials(),
      state.dora.v1.accounts.verifyCredentials(),
    ]);
    Object.assign(state.ids, { bob: bob.id, dora: dora.id });
    expect([bob.acct, dora.acct]).toEqual([creator, neighbour]);
  });
}
