/** A push service on this machine, and the phone behind it, which alone can read what comes. */

import { createECDH, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** What push services decrypt by, in the words of RFC 8291. It comes with `web-push`, without types. */
const encryption = createRequire(import.meta.url)("http_ece") as {
  decrypt(
    body: Buffer,
    params: {
      version: "aes128gcm" | "aesgcm";
      privateKey: ReturnType<typeof createECDH>;
      authSecret: Buffer;
      dh?: string;
      salt?: string;
    },
  ): Buffer;
};

/** A message, decrypted. */
export interface Pushed {
  readonly authorization: string;
  readonly body: Record<string, unknown>;
}

/** A service that answers, and one phone's subscription to it. */
export interface PushService {
  /** `host:port`. */
  readonly host: string;
  readonly subscription: {
    readonly endpoint: string;
    readonly keys: { readonly p256dh: string; readonly auth: string };
  };
  readonly heard: readonly Pushed[];
  close(): Promise<void>;
}

/** Opens one. */
export async function openPushService(): Promise<PushService> {
  const privateKey = createECDH("prime256v1");
  const p256dh = privateKey.generateKeys("base64url");
  const authSecret = randomBytes(16);
  const heard: Pushed[] = [];
  const take = ({ headers }: IncomingMessage, body: Buffer): void => {
    const isOld = headers["content-encoding"] === "aesgcm";
    const member = (header: string | string[] | undefined, name: string) =>
      new RegExp(`(?:^|[;,\\s])${name}=([^;,]+)`).exec(String(header))?.[1];
    const plain = encryption.decrypt(body, {
      privateKey,
      authSecret,
      ...(isOld
        ? {
            version: "aesgcm",
            dh: member(headers["crypto-key"], "dh")!,
            salt: member(headers["encryption"], "salt")!,
          }
        : { version: "aes128gcm" }),
    });
    heard.push({
      authorization: headers.authorization ?? "",
      body: JSON.parse(plain.toString()) as Record<string, unknown>,
    });
  };
  const server = createServer((incoming, outgoing) => {
    void buffer(incoming)
      .then((body) => take(incoming, body))
      .then(() => outgoing.writeHead(201).end())
      // What cannot be read is refused, and never heard.
      .catch(() => outgoing.writeHead(400).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    subscription: {
      endpoint: `http://${host}/wake/phone`,
      keys: { p256dh, auth: authSecret.toString("base64url") },
    },
    heard,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
