/** People read, favourite, follow and write. */

import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { openBrowserApp } from "../../support/browser.ts";
import { photograph } from "../../support/pictures.ts";
import { type Day, soon } from "../homes.ts";
import { type Known, MASTO_PEOPLE, type Rest, type Status } from "./people.ts";

/** The steps, in order; each needs those before it. */
export function postSteps(dayOf: () => Day, state: Known): void {
  const { patron, creator, neighbour } = MASTO_PEOPLE;

  test("it reads the instance, in both forms, and what it offers", async () => {
    const { harbour, alice } = state;
    const [v1, v2] = await Promise.all([alice.v1.instance.fetch(), alice.v2.instance.fetch()]);
    expect(v2.domain).toBe(harbour.host);
    expect(v1.uri).toBe(harbour.host);
    expect(v2.configuration.urls.streaming).toBe(harbour.origin.replace(/^http/, "ws"));
    const meta = await fetch(`${harbour.origin}/.well-known/oauth-authorization-server`);
    expect(await meta.json()).toMatchObject({
      issuer: expect.stringContaining(harbour.origin) as string,
      code_challenge_methods_supported: ["S256"],
      authorization_endpoint: `${harbour.origin}/oauth/authorize`,
    });
    const [emojis, announcements, preferences] = await Promise.all([
      alice.v1.customEmojis.list(),
      alice.v1.announcements.list(),
      alice.v1.preferences.fetch(),
    ]);
    expect([emojis, announcements]).toEqual([[], []]);
    expect(preferences["posting:default:visibility"]).toBe("public");
  });

  test("a post of the other instance is found by its address", async () => {
    const { alice, bob } = state;
    state.first = await bob.v1.statuses.create({ status: "The night sky over the meadow #stars" });
    const found = await alice.v2.search.list({ q: state.first.url!, resolve: true });
    expect(found.statuses).toHaveLength(1);
    state.firstAtHarbour = found.statuses[0]!;
    expect(state.firstAtHarbour.uri).toBe(state.first.uri);
    expect(state.firstAtHarbour.account.acct).toBe(`${creator}@${state.meadow.host}`);
  });

  test("it is favourited twice and counted once, here and there", async () => {
    const { alice, bob, first, firstAtHarbour, harbour } = state;
    const post = alice.v1.statuses.$select(firstAtHarbour.id);
    for (const favourited of [await post.favourite(), await post.favourite()])
      expect(favourited).toMatchObject({ favourited: true, favouritesCount: 1 });
    await soon("the author's instance has counted it", async () => {
      const { favouritesCount } = await bob.v1.statuses.$select(first.id).fetch();
      return favouritesCount === 1;
    });
    const { gave } = await harbour.run("statement", patron);
    expect(gave).toHaveLength(1);
  });

  test("a favourite by the other app is none that gives", async () => {
    const { bob, reader, harbour } = state;
    const { url } = await bob.v1.statuses.create({ status: "Nice, but not for money" });
    const { statuses } = await reader.v2.search.list({ q: url!, resolve: true });
    const post = reader.v1.statuses.$select(statuses[0]!.id);
    expect(await post.favourite()).toMatchObject({ favourited: true });
    expect((await harbour.run("statement", patron))["gave"]).toHaveLength(1);
    expect(await post.unfavourite()).toMatchObject({ favourited: false });
  });

  test("it stands among the favourites; unfavourited and favourited again it is still one", async () => {
    const { alice, bob, first, firstAtHarbour, harbour } = state;
    const post = alice.v1.statuses.$select(firstAtHarbour.id);
    const ids = async () => (await alice.v1.favourites.list()).map(({ id }) => id);
    expect(await ids()).toEqual([firstAtHarbour.id]);
    expect(await post.unfavourite()).toMatchObject({ favourited: false, favouritesCount: 0 });
    expect(await ids()).toEqual([]);
    expect((await harbour.run("statement", patron))["gave"]).toEqual([]);
    expect(await post.favourite()).toMatchObject({ favourited: true, favouritesCount: 1 });
    expect(await ids()).toEqual([firstAtHarbour.id]);
    await soon("the author's instance has one favourite", async () => {
      const by = await bob.v1.statuses.$select(first.id).favouritedBy.list();
      return by.length === 1 && by[0]!.acct === `${patron}@${state.harbour.host}`;
    });
    expect((await harbour.run("statement", patron))["gave"]).toHaveLength(1);
  });

  test("people follow each other, here and from instance to instance", async () => {
    const { alice, bob, dora, harbour, meadow, ids } = state;
    const find = async (who: Rest, handle: string) =>
      (await who.v2.search.list({ q: handle, resolve: true, type: "accounts" })).accounts[0]!.id;
    ids.bobAtHarbour = await find(alice, `@${creator}@${meadow.host}`);
    ids.aliceAtMeadow = await find(bob, `@${patron}@${harbour.host}`);
    await Promise.all([
      alice.v1.accounts.$select(ids.bobAtHarbour).follow(),
      bob.v1.accounts.$select(ids.aliceAtMeadow).follow(),
      dora.v1.accounts.$select(ids.alice).follow(),
    ]);
    for (const [who, id] of [
      [alice, ids.bobAtHarbour],
      [bob, ids.aliceAtMeadow],
      [dora, ids.alice],
    ] as const)
      await soon("the follow is accepted", async () => {
        const [relation] = await who.v1.accounts.relationships.fetch({ id: [id] });
        return relation?.following;
      });
    const [back] = await alice.v1.accounts.relationships.fetch({ id: [ids.bobAtHarbour] });
    expect(back).toMatchObject({ following: true, followedBy: true });
    const followers = await alice.v1.accounts.$select(ids.alice).followers.list();
    expect(followers.map(({ acct }) => acct).toSorted()).toEqual([
      `${creator}@${meadow.host}`,
      neighbour,
    ]);
  });

  test("home fills, and comes in pages by Link", async () => {
    const { alice, bob } = state;
    for (const n of [1, 2, 3, 4, 5]) await bob.v1.statuses.create({ status: `Evening ${n}` });
    const newest = await soon("the newest post is in the home", async () => {
      const home = await alice.v1.timelines.home.list({ limit: 1 });
      return home[0]?.content.includes("Evening 5") && home[0];
    });
    const pages: Status[][] = [];
    for await (const page of alice.v1.timelines.home.list({ limit: 2 })) {
      pages.push(page);
      if (pages.length === 2) break;
    }
    const evenings = pages.flat().map(({ content }) => /Evening \d/.exec(content)?.[0]);
    expect(evenings).toEqual(["Evening 5", "Evening 4", "Evening 3", "Evening 2"]);
    expect(pages[0]![0]!.id).toBe(newest.id);
    const above: Status[] = await alice.v1.timelines.home.list({ minId: pages[1]![1]!.id });
    expect(above.map(({ id }) => id)).toEqual(
      pages
        .flat()
        .slice(0, 3)
        .map(({ id }) => id),
    );
  });

  test("a post with a picture arrives at the other instance", async () => {
    const { alice, bob, ids } = state;
    const file = new Blob([new Uint8Array(await photograph())], { type: "image/jpeg" });
    const media = await alice.v2.media.create({ file, description: "Somebody else's boat" });
    expect(media).toMatchObject({ type: "image", description: "Somebody else's boat" });
    expect(media.blurhash).toBeTypeOf("string");
    state.picture = await alice.v1.statuses.create(
      { status: "A boat", mediaIds: [media.id] },
      { requestInit: { headers: { "Idempotency-Key": randomUUID() } } },
    );
    for (const url of [media.url!, media.previewUrl]) {
      const answer = await fetch(url);
      expect([answer.status, answer.headers.get("cross-origin-resource-policy")]).toEqual([
        200,
        "cross-origin",
      ]);
      expect(answer.headers.get("content-type")).toMatch(/^image\//);
      expect((await answer.text()).includes("SECRET")).toBe(false);
    }
    await soon("bob sees it", async () => {
      const [post] = await bob.v1.accounts.$select(ids.aliceAtMeadow).statuses.list();
      return post?.mediaAttachments[0]?.description === "Somebody else's boat";
    });
  });

  test("an app in a browser shows pictures, and reads what other origins may", async () => {
    const { harbour, picture: boat, token } = state;
    const { browser, back } = dayOf();
    const app = await openBrowserApp(browser, back);
    const { url, previewUrl } = boat.mediaAttachments[0]!;
    for (const address of [url!, previewUrl, boat.account.avatar, boat.account.header])
      expect(await app.widthOf(address), address).toBeGreaterThan(0);
    const headers = await app.ask(`${harbour.origin}/api/v1/timelines/home?limit=1`, token);
    expect(headers["link"]).toContain(`<${harbour.origin}/`);
    expect(headers["x-ratelimit-limit"]).toBe("300");
    await app.close();
  });

  test("a profile is changed, and the other instance hears of it", async () => {
    const { alice, bob, ids } = state;
    const avatar = new Blob([new Uint8Array(await photograph())], { type: "image/jpeg" });
    const changed = await alice.v1.accounts.updateCredentials({
      displayName: "Alice of the harbour",
      note: "Looks at stars",
      avatar,
      fieldsAttributes: [{ name: "Boat", value: "A small one" }],
    });
    expect(changed.displayName).toBe("Alice of the harbour");
    expect(changed.source.fields).toMatchObject([{ name: "Boat", value: "A small one" }]);
    await soon("the other instance shows it", async () => {
      const there = await bob.v1.accounts.$select(ids.aliceAtMeadow).fetch();
      return there.displayName === "Alice of the harbour" && there.fields.length === 1;
    });
  });

  test("sending a post again with the same key makes no second one", async () => {
    const { alice, ids } = state;
    const init = { requestInit: { headers: { "Idempotency-Key": "a day's key" } } };
    const [one, again] = [
      await alice.v1.statuses.create({ status: "Only once" }, init),
      await alice.v1.statuses.create({ status: "Only once" }, init),
    ];
    expect(again.id).toBe(one.id);
    const own = await alice.v1.accounts.$select(ids.alice).statuses.list();
    expect(own.filter(({ content }) => content.includes("Only once"))).toHaveLength(1);
  });

  test("a boost and a reply reach the author, and the thread is whole on both sides", async () => {
    const { alice, bob, first, firstAtHarbour, harbour } = state;
    const boost = await alice.v1.statuses.$select(firstAtHarbour.id).reblog();
    expect(boost.reblog).toMatchObject({ id: firstAtHarbour.id, reblogged: true });
    expect(boost.id).not.toBe(firstAtHarbour.id);
    const reply = await alice.v1.statuses.create({
      status: `@${creator}@${state.meadow.host} Which star is the bright one?`,
      inReplyToId: firstAtHarbour.id,
    });
    expect(reply).toMatchObject({ inReplyToId: firstAtHarbour.id });
    expect(reply.mentions).toHaveLength(1);
    const answered = await soon("the reply is in bob's thread", async () => {
      const { descendants } = await bob.v1.statuses.$select(first.id).context.fetch();
      return descendants.find(({ uri }) => uri === reply.uri);
    });
    await bob.v1.statuses.create({
      status: `@${patron}@${harbour.host} Vega`,
      inReplyToId: answered.id,
    });
    await soon("the whole thread is at harbour", async () => {
      const { ancestors, descendants } = await alice.v1.statuses.$select(reply.id).context.fetch();
      return ancestors[0]?.id === firstAtHarbour.id && descendants[0]?.content.includes("Vega");
    });
    const seen = await bob.v1.statuses.$select(first.id).fetch();
    expect(seen).toMatchObject({ reblogsCount: 1, repliesCount: 1 });
  });
}
