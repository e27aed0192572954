/** Markup in whatever a client may write: it comes back as it was typed, and no page or client runs it (X01). */

import { expect, test } from "vitest";
import { SCOPES } from "../../src/rules/scope.ts";
import { person, testDatabase } from "../support/database.ts";
import { type Ask, clientHouse } from "../support/client.ts";
import { openHouse } from "../support/house.ts";
import { liveMarkup } from "../support/markup.ts";
import { canvas, formOf } from "../support/pictures.ts";

const PAYLOADS = [
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)' x='",
  '<a href="javascript:alert(1)">click</a>',
  "javascript:alert(1)",
  'https://a.example/"onmouseover="alert(1)',
  "https://a.example/'><svg/onload=alert(1)>",
  "@alice<svg onload=alert(1)> #tag<iframe src=javascript:alert(1)>",
  "&lt;script&gt;alert(1)&lt;/script&gt; &#106;avascript:alert(1)",
  "</title></textarea></style><script>alert(1)</script>",
];

/** Fields that clients show as HTML; all others are text. */
const HTML_FIELDS = new Set(["content", "note", "value"]);

/** Everything in an answer that a client takes for HTML. */
function htmlIn(value: unknown, name = "", isSource = false): readonly string[] {
  if (typeof value === "string") return HTML_FIELDS.has(name) && !isSource ? [value] : [];
  // What one notes down about somebody else is text.
  if (typeof value !== "object" || value === null || "followed_by" in value) return [];
  return Object.entries(value).flatMap(([member, inner]) =>
    htmlIn(inner, Array.isArray(value) ? name : member, isSource || member === "source"),
  );
}

async function town() {
  const database = await testDatabase();
  const api = clientHouse(database);
  const alice = await person(database, "alice");
  const bob = await person(database, "bob");
  const all = SCOPES.join(" ");
  const asked = async (ask: Ask, method: string, path: string, body?: unknown) => {
    const answer = await ask(method, path, body);
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBe(200);
    for (const html of htmlIn(answer.body)) expect(liveMarkup(html), html).toEqual([]);
    return answer.body;
  };
  const asAlice = await api.as(alice, all);
  return {
    database,
    api,
    alice,
    bob,
    /** Asks as Alice; whatever comes is looked through. */
    alone: (method: string, path: string, body?: unknown) => asked(asAlice, method, path, body),
    stranger: (path: string) => asked(api.ask, "GET", path),
    house: await openHouse(database, { at: "2026-11-10T12:00:00Z" }),
  };
}

test("the reader of markup finds what it is to find", () => {
  expect(liveMarkup("<p>fine <a href='https://a.example'>x</a></p>")).toEqual([]);
  for (const html of [
    "<script>x</script>",
    "<p onclick=x>",
    "<a href=' java\nscript:x'>",
    '"><img src=x onerror=alert(1)>',
    "<a href='data:text/html,x'>",
    "<p style='x'>",
  ])
    expect(liveMarkup(html), html).not.toEqual([]);
});

test("markup in a post, its poll and its picture is text, by the API, on pages and in documents", async () => {
  const { alone, stranger, house, alice } = await town();
  for (const payload of PAYLOADS) {
    const { id: media } = await alone(
      "POST",
      "/api/v2/media",
      formOf({ file: await canvas(8, 8).png().toBuffer(), description: payload }),
    );
    expect((await alone("GET", `/api/v1/media/${media}`)).description).toBe(payload);
    const post = await alone("POST", "/api/v1/statuses", {
      status: `${payload} #birds`,
      spoiler_text: payload,
      media_ids: [media],
    });
    const poll = await alone("POST", "/api/v1/statuses", {
      status: payload,
      poll: { options: [payload, "other"], expires_in: 3600 },
    });
    for (const read of [post, await stranger(`/api/v1/statuses/${post.id}`)]) {
      expect(read.spoiler_text).toBe(payload);
      expect(read.media_attachments[0].description).toBe(payload);
    }
    expect((await stranger(`/api/v1/polls/${poll.id}`)).options[0].title).toBe(payload);
    await alone("PUT", `/api/v1/statuses/${post.id}`, { status: payload, spoiler_text: payload });
    expect(await alone("GET", `/api/v1/statuses/${post.id}/source`)).toMatchObject({
      text: payload,
      spoiler_text: payload,
    });
    for (const path of ["history", "context"])
      await stranger(`/api/v1/statuses/${post.id}/${path}`);
    await stranger(`/api/v1/accounts/${alice.actor}/statuses`);
    await stranger("/api/v1/timelines/public");
    for (const path of ["/users/alice", "/tags/birds", ...[post, poll].map(({ uri }) => uri)]) {
      const { pathname } = new URL(path, "https://home.example");
      const page = await (await house.document(pathname, "text/html")).text();
      expect(liveMarkup(page), pathname).toEqual([]);
    }
    for (const { uri } of [post, poll]) {
      const { content } = (await (await house.document(new URL(uri).pathname)).json()) as {
        content: string;
      };
      expect(liveMarkup(content)).toEqual([]);
    }
  }
}, 60_000);

test("markup in a profile is text, by the API, on pages and in documents", async () => {
  const { alone, stranger, house, alice } = await town();
  for (const payload of PAYLOADS) {
    const changed = await alone("PATCH", "/api/v1/accounts/update_credentials", {
      display_name: payload,
      note: payload,
      fields_attributes: [{ name: payload, value: payload }],
    });
    expect(changed.source).toMatchObject({
      note: payload,
      fields: [{ name: payload, value: payload }],
    });
    for (const read of [changed, await stranger(`/api/v1/accounts/${alice.actor}`)]) {
      expect(read.display_name).toBe(payload);
      expect(read.fields[0].name).toBe(payload);
    }
    await alone("POST", "/api/v1/statuses", { status: "Hello" });
    await stranger("/api/v1/timelines/public");
    await stranger("/api/v1/accounts/lookup?acct=alice");
    expect(liveMarkup(await (await house.document("/users/alice", "text/html")).text())).toEqual(
      [],
    );
    const document = (await (await house.document("/users/alice")).json()) as {
      summary: string;
      attachment: { value: string }[];
    };
    for (const html of [document.summary, ...document.attachment.map(({ value }) => value)])
      expect(liveMarkup(html)).toEqual([]);
  }
}, 60_000);

test("markup in what is one's own comes back as it was typed", async () => {
  const { database, alone, bob } = await town();
  for (const payload of PAYLOADS) {
    const list = await alone("POST", "/api/v1/lists", { title: payload });
    expect((await alone("GET", `/api/v1/lists/${list.id}`)).title).toBe(payload);
    const filter = await alone("POST", "/api/v2/filters", {
      title: payload,
      context: ["home", "public"],
      keywords_attributes: [{ keyword: payload }],
    });
    expect(await alone("GET", `/api/v2/filters/${filter.id}`)).toMatchObject({
      title: payload,
      keywords: [{ keyword: payload }],
    });
    expect(await alone("GET", "/api/v1/filters")).toContainEqual(
      expect.objectContaining({ phrase: payload }),
    );
    expect(
      (await alone("POST", `/api/v1/accounts/${bob.actor}/note`, { comment: payload })).note,
    ).toBe(payload);
    const report = await alone("POST", "/api/v1/reports", {
      account_id: String(bob.actor),
      comment: payload,
    });
    expect(report.comment).toBe(payload);
    expect(await database.sql`SELECT FROM report WHERE comment = ${payload}`).toHaveLength(1);
  }
}, 60_000);

test("markup as the name of an app is text on the page that asks, and no app's page is a script", async () => {
  const { api, house } = await town();
  for (const payload of PAYLOADS) {
    const register = (website: string) =>
      api.ask("POST", "/api/v1/apps", {
        client_name: payload,
        redirect_uris: "https://app.example/back",
        scopes: "read",
        website,
      });
    const { status, body } = await register("https://app.example/");
    expect([status, body.name]).toEqual([200, payload]);
    const asked = new URLSearchParams({
      client_id: body.client_id,
      response_type: "code",
      scope: "read",
      redirect_uri: "https://app.example/back",
      state: payload,
      lang: payload,
    });
    for (const [name, value] of [
      ["state", payload],
      ["scope", payload],
      ["redirect_uri", payload],
      ["client_id", payload],
    ] as const) {
      const changed = new URLSearchParams(asked);
      changed.set(name, value);
      const answer = await house.document(`/oauth/authorize?${changed.toString()}`, "text/html");
      expect(answer.status).toBe(name === "state" ? 200 : 400);
      expect(liveMarkup(await answer.text())).toEqual([]);
    }
    const page = await house.document(
      `/sign-in?next=${encodeURIComponent(payload)}&again=${encodeURIComponent(payload)}`,
      "text/html",
    );
    expect(liveMarkup(await page.text())).toEqual([]);
    // An address of https may hold anything after its host, as long as no browser takes it for more.
    const website = await register(payload);
    if (website.status === 200)
      expect(liveMarkup(`<a href="${website.body.website as string}">`)).toEqual([]);
    else expect(website.body.error).toBe("app_invalid");
  }
}, 60_000);
