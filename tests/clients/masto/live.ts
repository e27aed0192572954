/** What comes by itself: streams, pushes, edits, answers of `@flattr`; and the end of a token. */

import { setTimeout as sleep } from "node:timers/promises";
import { createOAuthAPIClient } from "masto";
import { expect, test } from "vitest";
import { type Day, soon } from "../homes.ts";
import { type Known, MASTO_PEOPLE } from "./people.ts";
import { openStream } from "./stream.ts";

/** The steps, in order; each needs those before it. */
export function liveSteps(dayOf: () => Day, state: Known): void {
  const { patron } = MASTO_PEOPLE;

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
