/** A whole day with `megalodon`, which is used as its own documentation uses it. */

import generator, {
  detector,
  type Entity,
  type MegalodonInterface,
  type OAuth,
  type WebSocketInterface,
} from "megalodon";
import { expect, test } from "vitest";
import { allowApp, freshVisit } from "../support/browser.ts";
import { photograph } from "../support/pictures.ts";
import { type Day, type Home, MONTH, PASSWORD, soon } from "./homes.ts";

const SCOPES = ["read", "write", "follow", "push"];

/** The people of the day; their names are not those of the other day. */
export const MEGALODON_PEOPLE = {
  patron: "nora",
  budget: "3.00",
  creator: "carl",
  neighbour: "erik",
} as const;

type Status = Entity.Status;

/** What was heard on a stream. */
interface Stream {
  readonly updates: readonly Status[];
  readonly notifications: readonly Entity.Notification[];
  readonly deleted: readonly string[];
  stop(): void;
}

/** The steps, in order; each needs those before it. */
export function megalodonDay(dayOf: () => Day): void {
  const { patron, budget, creator, neighbour } = MEGALODON_PEOPLE;
  const state = {} as {
    harbour: Home;
    meadow: Home;
    app: OAuth.AppData;
    token: string;
    nora: MegalodonInterface;
    carl: MegalodonInterface;
    erik: MegalodonInterface;
    ids: { nora: string; carlAtHarbour: string; noraAtMeadow: string };
    first: Status;
    firstAtHarbour: Status;
    picture: Status;
    stream: Stream;
  };
  const byToken = async (home: Home, name: string) => {
    const said = await home.run("account", "token", name, "--scope", SCOPES.join(" "));
    return generator("mastodon", home.origin, String(said["access_token"]));
  };

  test("people come, and one of them sets a budget", async () => {
    const { harbour, meadow } = dayOf();
    Object.assign(state, { harbour, meadow });
    await Promise.all([
      harbour
        .settle(patron)
        .then(() => harbour.run("budget", "set", patron, budget))
        .then(() => harbour.run("fund", patron, "10.00")),
      harbour.settle(neighbour).then(async () => {
        state.erik = await byToken(harbour, neighbour);
      }),
      meadow.settle(creator).then(async () => {
        state.carl = await byToken(meadow, creator);
      }),
    ]);
    expect(await harbour.run("statement", patron)).toMatchObject({ gave: [] });
  });

  test("it takes the instance for a Mastodon, and reads it", async () => {
    const { harbour } = state;
    expect(await detector(harbour.origin)).toBe("mastodon");
    const { data } = await generator("mastodon", harbour.origin).getInstance();
    expect(data.uri).toBe(harbour.host);
    expect(data.urls?.streaming_api).toBe(harbour.origin.replace(/^http/, "ws"));
    expect(data.configuration.polls?.max_options).toBeGreaterThan(1);
  });

  test("an app registers, a person allows it in a browser, and types its code over", async () => {
    const { harbour } = state;
    const client = generator("mastodon", harbour.origin);
    state.app = await client.registerApp("A client by megalodon", { scopes: SCOPES });
    const { client_id, client_secret, url } = state.app;
    const visit = await freshVisit(dayOf().browser);
    const code = await allowApp(visit, url!, { name: patron, password: PASSWORD });
    await visit.close();
    expect(code).toBeTypeOf("string");
    const token = await client.fetchAccessToken(client_id, client_secret, code as string);
    expect(token).toMatchObject({ token_type: "Bearer", scope: SCOPES.join(" ") });
    state.token = token.access_token;
    state.nora = generator("mastodon", harbour.origin, token.access_token);
    const { data: me } = await state.nora.verifyAccountCredentials();
    expect(me).toMatchObject({ username: patron, acct: patron });
    state.ids = { ...state.ids, nora: me.id };
  });

  test("a post of the other instance is found by its address", async () => {
    const { nora, carl } = state;
    state.first = (await carl.postStatus("How to build a house for bees")).data as Status;
    const { data } = await nora.search(state.first.url!, { resolve: true });
    expect(data.statuses).toHaveLength(1);
    state.firstAtHarbour = data.statuses[0]!;
    expect(state.firstAtHarbour.uri).toBe(state.first.uri);
  });

  test("it is favourited twice and counted once, taken back, and favourited again", async () => {
    const { nora, carl, first, firstAtHarbour, harbour } = state;
    const { id } = firstAtHarbour;
    for (const { data } of [await nora.favouriteStatus(id), await nora.favouriteStatus(id)])
      expect(data).toMatchObject({ favourited: true, favourites_count: 1 });
    const favourites = async () => (await nora.getFavourites()).data.map((one) => one.id);
    expect(await favourites()).toEqual([id]);
    await soon("the author's instance has counted it", async () => {
      return (await carl.getStatus(first.id)).data.favourites_count === 1;
    });
    expect((await nora.unfavouriteStatus(id)).data).toMatchObject({
      favourited: false,
      favourites_count: 0,
    });
    expect(await favourites()).toEqual([]);
    expect((await nora.favouriteStatus(id)).data.favourited).toBe(true);
    const { gave } = await harbour.run("statement", patron);
    expect(gave).toHaveLength(1);
  });

  test("people follow each other, here and from instance to instance", async () => {
    const { nora, carl, erik, harbour, meadow, ids } = state;
    const find = async (who: MegalodonInterface, handle: string) =>
      (await who.search(handle, { resolve: true, type: "accounts" })).data.accounts[0]!.id;
    ids.carlAtHarbour = await find(nora, `@${creator}@${meadow.host}`);
    ids.noraAtMeadow = await find(carl, `@${patron}@${harbour.host}`);
    await Promise.all([
      nora.followAccount(ids.carlAtHarbour),
      carl.followAccount(ids.noraAtMeadow),
      erik.followAccount(ids.nora),
    ]);
    await soon("the follow is accepted, and so is the one back", async () => {
      const { data } = await nora.getRelationships([ids.carlAtHarbour]);
      return data[0]?.following && data[0].followed_by;
    });
    expect((await erik.getRelationships([ids.nora])).data[0]?.following).toBe(true);
  });

  test("home fills, and comes in pages by Link", async () => {
    const { nora, carl } = state;
    for (const n of [1, 2, 3, 4]) await carl.postStatus(`Morning ${n}`);
    await soon("the newest post is in the home", async () => {
      const { data } = await nora.getHomeTimeline({ limit: 1 });
      return data[0]?.content.includes("Morning 4");
    });
    const page = await nora.getHomeTimeline({ limit: 2 });
    const link = String((page.headers as Record<string, unknown>)["link"]);
    const next = /<([^>]+)>; rel="next"/.exec(link)![1]!;
    expect(next.startsWith(`${state.harbour.origin}/api/v1/timelines/home?`)).toBe(true);
    const older = await nora.getHomeTimeline({
      limit: 2,
      max_id: new URL(next).searchParams.get("max_id")!,
    });
    const mornings = [...page.data, ...older.data].map(
      ({ content }) => /Morning \d/.exec(content)?.[0],
    );
    expect(mornings).toEqual(["Morning 4", "Morning 3", "Morning 2", "Morning 1"]);
  });

  test("a post with a picture, a boost and a reply arrive at the other instance", async () => {
    const { nora, carl, first, firstAtHarbour, ids, meadow } = state;
    const { data: media } = await nora.uploadMedia(await photograph(), { description: "A boat" });
    state.picture = (await nora.postStatus("Look", { media_ids: [media.id] })).data as Status;
    expect(state.picture.media_attachments[0]?.description).toBe("A boat");
    const { data: boost } = await nora.reblogStatus(firstAtHarbour.id);
    expect(boost.reblog?.id).toBe(firstAtHarbour.id);
    const { data: reply } = await nora.postStatus(`@${creator}@${meadow.host} And for wasps?`, {
      in_reply_to_id: firstAtHarbour.id,
    });
    await soon("carl sees all of it", async () => {
      const [posts, context, post] = await Promise.all([
        carl.getAccountStatuses(ids.noraAtMeadow),
        carl.getStatusContext(first.id),
        carl.getStatus(first.id),
      ]);
      return (
        posts.data.some(({ media_attachments }) => media_attachments.length === 1) &&
        context.data.descendants.some(({ uri }) => uri === (reply as Status).uri) &&
        post.data.reblogs_count === 1
      );
    });
    const { data: thread } = await nora.getStatusContext((reply as Status).id);
    expect(thread.ancestors.map(({ id }) => id)).toEqual([firstAtHarbour.id]);
  });

  test("notifications on both sides, and markers", async () => {
    const { nora, carl, erik, picture } = state;
    await erik.favouriteStatus(picture.id);
    await erik.reblogStatus(picture.id);
    const kinds = async (who: MegalodonInterface) =>
      (await who.getNotifications()).data.map(({ type }) => type);
    for (const [who, wanted] of [
      [carl, ["favourite", "follow", "mention", "reblog"]],
      [nora, ["favourite", "follow", "reblog"]],
    ] as const)
      await soon("the notifications", async () => {
        const all = await kinds(who);
        return wanted.every((kind) => all.includes(kind));
      });
    const { data } = await carl.getNotifications({ limit: 1 });
    await carl.saveMarkers({ notifications: { last_read_id: data[0]!.id } });
    const { data: markers } = await carl.getMarkers(["notifications"]);
    expect((markers as Entity.Marker).notifications?.last_read_id).toBe(data[0]!.id);
  });

  test("filters of the first form, lists and bookmarks", async () => {
    const { nora, ids, firstAtHarbour } = state;
    const mornings = async () =>
      (await nora.getHomeTimeline()).data.filter(({ content }) => content.includes("Morning 2"))
        .length;
    expect(await mornings()).toBe(1);
    const { data: filter } = await nora.createFilter("morning 2", ["home"], { irreversible: true });
    expect(await mornings()).toBe(0);
    expect((await nora.getFilters()).data.map(({ phrase }) => phrase)).toEqual(["morning 2"]);
    await nora.deleteFilter(filter.id);

    const { data: list } = await nora.createList("Carpenters");
    await nora.addAccountsToList(list.id, [ids.carlAtHarbour]);
    const { data: members } = await nora.getAccountsInList(list.id);
    expect(members.map(({ id }) => id)).toEqual([ids.carlAtHarbour]);
    const { data: posts } = await nora.getListTimeline(list.id);
    expect(posts.length).toBeGreaterThan(0);

    await nora.bookmarkStatus(firstAtHarbour.id);
    expect((await nora.getBookmarks()).data.map(({ id }) => id)).toEqual([firstAtHarbour.id]);
  });

  test("a vote in a poll of the other instance counts there", async () => {
    const { nora, carl } = state;
    const { data } = await carl.postStatus("Which wood?", {
      poll: { options: ["Oak", "Larch"], expires_in: 3600 },
    });
    const asked = data as Status;
    const here = await soon("the poll has arrived", async () => {
      const home = await nora.getHomeTimeline();
      return home.data.find(({ uri }) => uri === asked.uri)?.poll ?? undefined;
    });
    const { data: voted } = await nora.votePoll(here.id, [0]);
    expect(voted.voted).toBe(true);
    await soon("the vote has arrived", async () => {
      const poll = (await carl.getPoll(asked.poll!.id)).data;
      return poll.options[0]?.votes_count === 1;
    });
  });

  test("the stream shows a new post, a notification and what is deleted", async () => {
    const { nora, carl, harbour } = state;
    state.stream = await openStream(nora);
    const { stream } = state;
    expect(stream.updates).toEqual([]);
    const { data } = await carl.postStatus(`@${patron}@${harbour.host} Good night`);
    const sent = data as Status;
    await soon("the update", async () => stream.updates.some(({ uri }) => uri === sent.uri));
    await soon("the notification", async () =>
      stream.notifications.some(
        ({ type, status }) => type === "mention" && status?.uri === sent.uri,
      ),
    );
    const seen = stream.updates.find(({ uri }) => uri === sent.uri)!;
    await carl.deleteStatus(sent.id);
    await soon("the end of it", async () => stream.deleted.includes(seen.id));
  });

  test("a push arrives at the phone, encrypted for it alone", async () => {
    const { nora, carl, harbour } = state;
    const { push } = dayOf();
    const { data } = await nora.subscribePushNotification(push.subscription, {
      alerts: { mention: true },
    });
    expect(data).toMatchObject({ server_key: expect.any(String) as string });
    expect(data.alerts.mention).toBe(true);
    await carl.postStatus(`@${patron}@${harbour.host} Are you asleep?`);
    const pushed = await soon("the push", async () =>
      push.heard.find(({ body }) => JSON.stringify(body).includes("asleep")),
    );
    expect(pushed.body["notification_type"]).toBe("mention");
    await nora.deletePushSubscription();
  });

  test("an edit arrives, and a revoked token is dead", async () => {
    const { nora, carl, app, token, picture, ids, stream } = state;
    const { data: edited } = await nora.editStatus(picture.id, { status: "Look there" });
    expect(edited.content).toContain("Look there");
    expect(edited.media_attachments).toHaveLength(1);
    await soon("the edit is there", async () => {
      const { data } = await carl.getAccountStatuses(ids.noraAtMeadow);
      return data.some(({ content }) => content.includes("Look there"));
    });
    stream.stop();
    await nora.revokeToken(app.client_id, app.client_secret, token);
    await expect(nora.verifyAccountCredentials()).rejects.toMatchObject({
      response: { status: 401 },
    });
  });
}

/** What the day left to be divided: the budget as a whole, for one post. */
export async function megalodonMoney({ harbour, meadow }: Day): Promise<void> {
  const { patron, creator } = MEGALODON_PEOPLE;
  const gave = await harbour.run("statement", patron, "--period", MONTH);
  expect(gave).toMatchObject({ settlement: "settled", spentMicro: "3000000" });
  const got = await meadow.run("statement", creator, "--period", MONTH);
  expect(got).toMatchObject({ promised: [{ host: harbour.host, amountMicro: "3000000" }] });
}

async function openStream(client: MegalodonInterface): Promise<Stream> {
  const stream: WebSocketInterface = await client.userStreaming();
  const heard = {
    updates: [] as Status[],
    notifications: [] as Entity.Notification[],
    deleted: [] as string[],
  };
  stream.on("update", (status: Status) => heard.updates.push(status));
  stream.on("notification", (one: Entity.Notification) => heard.notifications.push(one));
  stream.on("delete", (id: string) => heard.deleted.push(id));
  await new Promise<void>((resolve, reject) => {
    stream.once("connect", () => resolve());
    stream.once("error", reject);
  });
  return { ...heard, stop: () => stream.stop() };
}
