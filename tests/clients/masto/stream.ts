/** One person's socket, by `masto`. */

import { createStreamingAPIClient, type mastodon } from "masto";
import { asSent, type Wire } from "../../support/wire.ts";

/** What was heard there. */
export interface Stream {
  readonly heard: readonly mastodon.streaming.Event[];
  /** By `performance.now()`; undefined while it is open. */
  closedAt(): number | undefined;
  close(): void;
}

/** Listens to what concerns one person. It opens when it is first read from: within two seconds. */
export function openStream(streamingApiUrl: string, accessToken: string, wire: Wire): Stream {
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
