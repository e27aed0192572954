/** What there is beside timelines: notifications, markers, filters, lists, bookmarks, polls. */

import { expect, test } from "vitest";
import { type Day, soon } from "../homes.ts";
import { type Known, type Rest } from "./people.ts";

/** The steps, in order; each needs those before it. */
export function readingSteps(_dayOf: () => Day, state: Known): void {
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
      const home = await alice.v1.timelines.home.list();
      return home.find(({ uri }) => uri === asked.uri)?.poll ?? undefined;
    });
    const voted = await alice.v1.polls.$select(here.id).votes.create({ choices: [1] });
    expect(voted).toMatchObject({ voted: true, ownVotes: [1] });
    await soon("the vote has arrived", async () => {
      const { votesCount, options } = await bob.v1.polls.$select(asked.poll!.id).fetch();
      return votesCount === 1 && options[1]!.votesCount === 1;
    });
  });
}
