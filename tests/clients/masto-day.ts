/** A whole day with `masto`, which is used as its own documentation uses it. */

import { createHash, randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createOAuthAPIClient,
  createRestAPIClient,
  createStreamingAPIClient,
  type mastodon,
} from "masto";
import { expect, test } from "vitest";
import { allowApp, freshVisit, picture } from "../support/browser.ts";
import { photograph } from "../support/pictures.ts";
import { asSent, type Wire } from "../support/wire.ts";
import { type Day, type Home, MONTH, PASSWORD, soon } from "./homes.ts";

const SCOPES = "read write follow push";

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

type Rest = mastodon.rest.Client;
type Status = mastodon.v1.Status;

/** One person's app: its client, its socket, and what was heard there. */
interface Stream {
  readonly heard: readonly mastodon.streaming.Event[];
  /** By `performance.now()`; undefined while it is open. */
  closedAt(): number | undefined;
  close(): void;
}

/** The steps, in order; each needs those before it. */
export function mastoDay(dayOf: () => Day): void {
  const { patron, budget, creator, neighbour } = MASTO_PEOPLE;
  const state = {} as {
    harbour: Home;
    meadow: Home;
    app: mastodon.v1.Client;
    token: string;
    alice: Rest;
    bob: Rest;
    dora: Rest;
    ids: { alice: string; bob: string; bobAtHarbour: string; aliceAtMeadow: string; dora: string };
    /** The one that is flattred: at meadow, and as harbour knows it. */
    first: Status;
    firstAtHarbour: Status;
    picture: Status;
    stream: Stream;
  };
  const client = (home: Home, accessToken: string) =>
    createRestAPIClient({ url: home.origin, accessToken });
  const byToken = async (home: Home, name: string) => {
    const said = await home.run("account", "token", name, "--scope", SCOPES);
    return client(home, String(said["access_token"]));
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
    const sent = (await allowApp(visit, url.href, { name: patron, password: PASSWORD })) as URL;
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
    state.alice = client(harbour, token.accessToken);
    const me = await state.alice.v1.accounts.verifyCredentials();
    expect(me).toMatchObject({ username: patron, acct: patron });
    expect(me.source.fields).toEqual([]);
    // The box for amounts was left alone.
    expect(JSON.stringify(me)).not.toContain("5.00");
    state.ids = { ...state.ids, alice: me.id };
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
    for (const url of [media.url!, media.previewUrl!]) {
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

  test("notifications, one by one and in groups, on both sides", async () => {
    const { alice, bob, dora, picture: boat } = state;
    await dora.v1.statuses.$select(boat.id).favourite();
    await dora.v1.statuses.$select(boat.id).reblog();
    const kinds = async (who: Rest) =>
      (await who.v1.notifications.list()).map(({ type }) => type).toSorted();
    await soon("bob's notifications", async () => {
      const all = await kinds(bob);
      return ["favourite", "follow", "mention", "reblog"].every((kind) =>
        all.includes(kind as never),
      );
    });
    await soon("alice's notifications", async () => {
      const all = await kinds(alice);
      return all.filter((kind) => kind === "follow").length === 2 && all.includes("mention");
    });
    // The greeting of @flattr is a mention, too.
    const [bobs, alices] = [await kinds(bob), await kinds(alice)];
    expect(bobs.filter((kind) => kind !== "mention")).toEqual(["favourite", "follow", "reblog"]);
    expect(alices.filter((kind) => kind !== "mention")).toEqual([
      "favourite",
      "follow",
      "follow",
      "reblog",
    ]);
    const grouped = await alice.v2.notifications.list();
    const groups = grouped.notificationGroups;
    const follows = groups.filter(({ type }) => type === "follow");
    expect(follows.reduce((sum, { notificationsCount }) => sum + notificationsCount, 0)).toBe(2);
    for (const { sampleAccountIds } of groups)
      for (const id of sampleAccountIds)
        expect(grouped.accounts.map((account) => account.id)).toContain(id);
    const mentions = await bob.v1.notifications.list({ types: ["mention"] });
    expect(mentions.map(({ type }) => type)).toContain("mention");
    expect(mentions.every(({ type }) => type === "mention")).toBe(true);
    const unread = await bob.v2.notifications.unreadCount.fetch();
    expect(unread.count).toBeGreaterThanOrEqual(4);
  });

  test("markers remember what was read", async () => {
    const { bob } = state;
    const [newest] = await bob.v1.notifications.list({ limit: 1 });
    await bob.v1.markers.create({ notifications: { lastReadId: newest!.id } });
    const markers = await bob.v1.markers.fetch({ timeline: ["notifications"] });
    expect(markers.notifications.lastReadId).toBe(newest!.id);
    expect((await bob.v2.notifications.unreadCount.fetch()).count).toBe(0);
  });

  test("a filter hides a post until it is taken away", async () => {
    const { alice } = state;
    const evenings = async () =>
      (await alice.v1.timelines.home.list()).filter(({ content }) => content.includes("Evening 3"))
        .length;
    expect(await evenings()).toBe(1);
    const filter = await alice.v2.filters.create({
      title: "No third evening",
      context: ["home"],
      filterAction: "hide",
      keywordsAttributes: [{ keyword: "evening 3", wholeWord: true }],
    });
    expect(await evenings()).toBe(0);
    expect((await alice.v2.filters.list()).map(({ id }) => id)).toEqual([filter.id]);
    await alice.v2.filters.$select(filter.id).update({ filterAction: "warn" });
    const [warned] = (await alice.v1.timelines.home.list()).filter(({ content }) =>
      content.includes("Evening 3"),
    );
    expect(warned!.filtered?.[0]?.filter.title).toBe("No third evening");
    await alice.v2.filters.$select(filter.id).remove();
    expect(await alice.v2.filters.list()).toEqual([]);
  });

  test("a list shows the people in it", async () => {
    const { alice, ids } = state;
    const list = await alice.v1.lists.create({ title: "Astronomers" });
    await alice.v1.lists.$select(list.id).accounts.create({ accountIds: [ids.bobAtHarbour] });
    const members = await alice.v1.lists.$select(list.id).accounts.list();
    expect(members.map(({ id }) => id)).toEqual([ids.bobAtHarbour]);
    const posts = await alice.v1.timelines.list.$select(list.id).list();
    expect(posts.length).toBeGreaterThan(0);
    expect(posts.every(({ account }) => account.id === ids.bobAtHarbour)).toBe(true);
    await alice.v1.lists.$select(list.id).remove();
    expect(await alice.v1.lists.list()).toEqual([]);
  });

  test("bookmarks are kept", async () => {
    const { alice, firstAtHarbour } = state;
    const post = alice.v1.statuses.$select(firstAtHarbour.id);
    expect((await post.bookmark()).bookmarked).toBe(true);
    expect((await alice.v1.bookmarks.list()).map(({ id }) => id)).toEqual([firstAtHarbour.id]);
    expect((await post.unbookmark()).bookmarked).toBe(false);
    expect(await alice.v1.bookmarks.list()).toEqual([]);
  });

  test("a vote in a poll of the other instance counts there", async () => {
    const { alice, bob } = state;
    const asked = await bob.v1.statuses.create({
      status: "Which planet?",
      poll: { options: ["Mars", "Venus"], expiresIn: 3600 },
    });
    const here = await soon("the poll has arrived", async () => {
      const [post] = await alice.v1.timelines.home.list({ limit: 1 });
      return post?.poll ?? undefined;
    });
    const voted = await alice.v1.polls.$select(here.id).votes.create({ choices: [1] });
    expect(voted).toMatchObject({ voted: true, ownVotes: [1] });
    await soon("the vote has arrived", async () => {
      const { votesCount, options } = await bob.v1.polls.$select(asked.poll!.id).fetch();
      return votesCount === 1 && options[1]!.votesCount === 1;
    });
  });

  test("the stream shows a new post and a notification", async () => {
    const { alice, bob, dora, picture: boat, token } = state;
    const { wire } = dayOf();
    const { configuration } = await alice.v2.instance.fetch();
    state.stream = openStream(configuration.urls.streaming, token, wire);
    // The socket opens when it is first read from.
    await sleep(2000);
    const { stream } = state;
    const sent = await bob.v1.statuses.create({ status: "Good night" });
    await dora.v1.statuses.$select(boat.id).unfavourite();
    await dora.v1.statuses.$select(boat.id).favourite();
    await soon("the update", async () =>
      stream.heard.some(({ event, payload }) => event === "update" && payload.uri === sent.uri),
    );
    await soon("the notification", async () =>
      stream.heard.some(
        ({ event, payload }) => event === "notification" && payload.type === "favourite",
      ),
    );
    expect(stream.closedAt()).toBeUndefined();
  });

  test("a push arrives at the phone, encrypted for it alone", async () => {
    const { alice, bob, harbour } = state;
    const { push } = dayOf();
    const { endpoint, keys } = push.subscription;
    const subscribed = await alice.v1.push.subscription.create({
      subscription: { endpoint, keys },
      data: { alerts: { mention: true } },
      policy: "all",
    });
    expect(subscribed).toMatchObject({ endpoint, serverKey: expect.any(String) as string });
    const before = push.heard.length;
    await bob.v1.statuses.create({ status: `@${patron}@${harbour.host} Are you awake?` });
    const pushed = await soon("the push", async () =>
      push.heard.slice(before).find(({ body }) => JSON.stringify(body).includes("awake")),
    );
    expect(pushed.body).toMatchObject({ notification_type: "mention" });
    expect(pushed.authorization).toMatch(/^(vapid|WebPush) /);
    await alice.v1.push.subscription.remove();
  });

  test("what is edited and deleted here is so there, and in the stream", async () => {
    const { alice, bob, stream } = state;
    const post = await alice.v1.statuses.create({ status: "Teh end" });
    const seen = await soon("the post is there", async () =>
      (await bob.v1.timelines.home.list()).find(({ uri }) => uri === post.uri),
    );
    const edited = await alice.v1.statuses.$select(post.id).update({ status: "The end" });
    expect(edited.content).toContain("The end");
    expect(edited.editedAt).not.toBeNull();
    const there = () => bob.v1.statuses.$select(seen.id).fetch();
    await soon("the edit is there", async () => (await there()).content.includes("The end"));
    const source = await alice.v1.statuses.$select(post.id).source.fetch();
    expect(source.text).toBe("The end");
    expect(await alice.v1.statuses.$select(post.id).history.list()).toHaveLength(2);
    const deleted = await alice.v1.statuses.$select(post.id).remove();
    expect(deleted.text).toBe("The end");
    await expect(alice.v1.statuses.$select(post.id).fetch()).rejects.toMatchObject({
      statusCode: 404,
    });
    await soon("it is gone there", async () =>
      there().then(
        () => false,
        (error: unknown) => (error as { statusCode: number }).statusCode === 404,
      ),
    );
    await soon("the stream says so", async () =>
      stream.heard.some(({ event, payload }) => event === "delete" && payload === post.id),
    );
  });

  test("@flattr answers, without amounts, since this app may not see any", async () => {
    const { alice } = state;
    const newest = async () => (await alice.v1.notifications.list({ types: ["mention"] }))[0];
    const before = await newest();
    await alice.v1.statuses.create({ status: "@flattr status", visibility: "direct" });
    const answer = await soon("the answer", async () => {
      const found = await newest();
      return found?.id !== before?.id && found?.account.username === "flattr" && found;
    });
    expect(answer.status?.visibility).toBe("direct");
    expect(answer.status?.content).toContain("flattrs so far: 1");
    expect(answer.status?.content).not.toMatch(/\d\.\d\d/);
  });

  test("a revoked token is dead within a second, and its stream is closed", async () => {
    const { alice, app, harbour, stream, token } = state;
    const revokedAt = performance.now();
    await createOAuthAPIClient({ url: harbour.origin }).revoke({
      clientId: app.clientId!,
      clientSecret: app.clientSecret!,
      token,
    });
    await expect(alice.v1.accounts.verifyCredentials()).rejects.toMatchObject({ statusCode: 401 });
    await soon("the stream is closed", async () => stream.closedAt() !== undefined);
    expect(stream.closedAt()! - revokedAt).toBeLessThan(1000);
    stream.close();
  });
}

/** What the day left to be divided: the budget as a whole, for one post. */
export async function mastoMoney({ harbour, meadow }: Day): Promise<void> {
  const { patron, creator } = MASTO_PEOPLE;
  const gave = await harbour.run("statement", patron, "--period", MONTH);
  expect(gave).toMatchObject({ settlement: "settled", spentMicro: "5000000" });
  const got = await meadow.run("statement", creator, "--period", MONTH);
  expect(got).toMatchObject({ promised: [{ host: harbour.host, amountMicro: "5000000" }] });
}

function openStream(streamingApiUrl: string, accessToken: string, wire: Wire): Stream {
  let closedAt: number | undefined;
  class Heard extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      this.addEventListener("close", () => (closedAt ??= performance.now()));
    }
  }
  const client = createStreamingAPIClient({
    streamingApiUrl,
    accessToken,
    retry: false,
    implementation: Heard,
  });
  const heard: mastodon.streaming.Event[] = [];
  const listen = async () => {
    for await (const event of client.user.subscribe()) {
      heard.push(event);
      if (event.event === "update") wire.seeStreamed("status", asSent(event.payload));
      if (event.event === "notification") wire.seeStreamed("notification", asSent(event.payload));
    }
  };
  // It ends with an error when the socket does.
  void listen().catch(() => {});
  return { heard, closedAt: () => closedAt, close: () => client.close() };
}
