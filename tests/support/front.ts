/** A database that goes away and comes back, behind an address that takes every connection, as HAProxy does. */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { addressOf } from "../../src/store/database.ts";

/** An address in front of a database, as HAProxy is one, that can fail. */
export type Front = Awaited<ReturnType<typeof openFront>>;

/**
 * Opens it.
 *
 * @param whenOver takes what ends it
 */
export async function openFront(url: string, whenOver: (end: () => Promise<void>) => void) {
  const { host, port, path } = { path: undefined, ...addressOf(url) };
  const at = String(host);
  const state = {
    isAway: false,
    isDeaf: false,
    knocks: 0,
    deafFrom: undefined as string | undefined,
  };
  const open = new Set<Socket>();
  const server = createServer((client) => {
    state.knocks += 1;
    open.add(client);
    client.on("error", () => {}).on("close", () => open.delete(client));
    if (state.isAway) {
      client.resume();
      client.end();
      return;
    }
    const behind = at.startsWith("/")
      ? connect(path ?? `${at}/.s.PGSQL.5432`)
      : connect(typeof port === "number" ? port : 5432, at);
    open.add(behind);
    behind
      .on("error", () => {})
      .on("close", () => {
        open.delete(behind);
        client.destroy();
      });
    client.on("close", () => behind.destroy());
    client.on("data", (part) => {
      if (state.deafFrom !== undefined && part.includes(state.deafFrom)) state.isDeaf = true;
      behind.write(part);
    });
    client.on("end", () => behind.end());
    behind.on("data", (part) => {
      if (!state.isDeaf) client.write(part);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  whenOver(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = new URL(url);
  address.searchParams.delete("host");
  address.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: address.href,
    knocks: () => state.knocks,
    goAway: () => {
      state.isAway = true;
      for (const socket of open) socket.destroy();
    },
    swallowAnswers: () => {
      state.isDeaf = true;
    },
    /** The first question that holds these words, and what comes after it, is not answered. */
    swallowAnswersFrom: (words: string) => {
      state.deafFrom = words;
    },
    isDeaf: () => state.isDeaf,
    comeBack: () => {
      state.isAway = false;
      state.isDeaf = false;
    },
  };
}
