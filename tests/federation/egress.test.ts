/** The way out: what is never asked, however an address is written, and what is never read to its end. */

import { once } from "node:events";
import { createServer } from "node:net";
import { type AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type Egress,
  EgressError,
  isPublic,
  type Lookup,
  openEgress,
} from "../../src/store/egress.ts";
import { remoteHost } from "../support/hostile.ts";

/** A way out that may ask these, with names that mean what the test says. */
function wayOut(
  allowedPrivate: readonly string[],
  names: Readonly<Record<string, readonly string[]>> = {},
): Egress {
  const lookup: Lookup = async (name) => {
    const addresses = names[name] ?? [];
    if (addresses.length === 0) throw Object.assign(new Error(name), { code: "ENOTFOUND" });
    return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  };
  const egress = openEgress({
    allowedPrivate,
    userAgent: "Fediflattr/test (+https://home.example)",
    lookup,
  });
  onTestFinished(() => egress.close());
  return egress;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof EgressError ? error.code : `no EgressError: ${String(error)}`;
}

/** Counts connections to every address of this machine: nobody may ever come. */
async function canary(): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  server.listen(0, "::");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

/** One address of each range that belongs to nobody in the public net. */
const SPECIAL = [
  "0.0.0.0",
  "10.0.0.1",
  "100.64.0.1",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.1",
  "192.0.2.1",
  "192.168.0.1",
  "198.18.0.1",
  "198.51.100.1",
  "203.0.113.1",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:10.0.0.1",
  "64:ff9b::7f00:1",
  "64:ff9b:1::1",
  "100::1",
  "2001::1",
  "2001:db8::1",
  "2002:7f00:1::1",
  "3fff::1",
  "5f00::1",
  "fc00::1",
  "fd12:3456::1",
  "fe80::1",
  "fec0::1",
  "ff02::1",
];

describe("N06 private addresses", () => {
  test.each(SPECIAL)("%s is not public", (address) => {
    expect(isPublic(address)).toBe(false);
  });

  test.each(["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])(
    "%s is public",
    (address) => {
      expect(isPublic(address)).toBe(true);
    },
  );

  test.each(SPECIAL)("a literal %s is not asked", async (address) => {
    const literal = address.includes(":") ? `[${address}]` : address;
    expect(await codeOf(wayOut([]).request(`https://${literal}/`))).toBe("address_refused");
  });

  test.each(SPECIAL)("a name that means %s is not asked", async (address) => {
    const egress = wayOut([], { "e.example": [address] });
    expect(await codeOf(egress.request("https://e.example/"))).toBe("address_refused");
  });

  test("nothing connects to this machine, however its address is written", async () => {
    const { port, connections } = await canary();
    const spellings = [
      "127.0.0.1",
      "2130706433",
      "0x7f.1",
      "0177.0.0.1",
      "127.1",
      "127。0。0。1",
      "[::ffff:127.0.0.1]",
      "[::1]",
      "0.0.0.0",
      "[::]",
      "localhost",
      "rebind.example",
    ];
    const egress = wayOut([], { localhost: ["127.0.0.1"], "rebind.example": ["127.0.0.1"] });
    for (const spelling of spellings) {
      expect(await codeOf(egress.request(`https://${spelling}/`)), spelling).toBe(
        "address_refused",
      );
      for (const url of [`https://${spelling}:${port}/`, `http://${spelling}:${port}/`])
        expect(await codeOf(egress.request(url)), url).toMatch(/^(address|scheme)_refused$/);
    }
    expect(connections()).toBe(0);
    // The twin: the canary sings when somebody comes.
    await codeOf(wayOut([`127.0.0.1:${port}`]).request(`http://127.0.0.1:${port}/`));
    expect(connections()).toBe(1);
  });

  test("a name with one private address among public ones is refused as a whole", async () => {
    const egress = wayOut([], { "e.example": ["1.1.1.1", "10.0.0.1"] });
    expect(await codeOf(egress.request("https://e.example/"))).toBe("address_refused");
  });

  test("a name that means nothing is a server that cannot be reached", async () => {
    expect(await codeOf(wayOut([]).request("https://nowhere.example/"))).toBe("unreachable");
  });
});

describe("addresses", () => {
  test.each([
    ["file:///etc/passwd", "scheme_refused"],
    ["data:application/activity+json,{}", "scheme_refused"],
    ["ftp://e.example/", "scheme_refused"],
    ["http://e.example/", "scheme_refused"],
    ["no address", "scheme_refused"],
    ["https://v.example@e.example/", "address_refused"],
    ["https://v.example:secret@e.example/", "address_refused"],
    ["https://e.example:22/", "address_refused"],
    ["https://e.example:8443/", "address_refused"],
  ])("%s is refused", async (url, code) => {
    expect(await codeOf(wayOut([], { "e.example": ["1.1.1.1"] }).request(url))).toBe(code);
  });

  test("an allowed host:port is asked by http, and no other port of it", async () => {
    const [home, other] = [await remoteHost("127.0.0.2"), await remoteHost("127.0.0.2")];
    home.serve("/a", { hello: true });
    other.serve("/a", { hello: true });
    const egress = wayOut([home.host]);
    expect((await egress.request(`${home.origin}/a`)).status).toBe(200);
    expect(egress.isAllowedPrivate(home.host)).toBe(true);
    expect(egress.isAllowedPrivate(other.host)).toBe(false);
    expect(await codeOf(egress.request(`${other.origin}/a`))).toBe("scheme_refused");
    expect(other.connections()).toBe(0);
  });

  test("the sender says who he is and wants nothing folded", async () => {
    const host = await remoteHost();
    host.serve("/a", {});
    await wayOut([host.host]).request(`${host.origin}/a`, { headers: { accept: "text/x" } });
    expect(host.requests[0]!.headers).toMatchObject({
      "user-agent": "Fediflattr/test (+https://home.example)",
      "accept-encoding": "identity",
      accept: "text/x",
      host: host.host,
    });
  });

  test("a POST arrives as it was made", async () => {
    const host = await remoteHost();
    host.at("/inbox", (_, response) => void response.writeHead(202).end());
    const answer = await wayOut([host.host]).request(`${host.origin}/inbox`, {
      method: "POST",
      headers: { "content-type": "application/activity+json" },
      body: '{"type":"Like"}',
    });
    expect(answer.status).toBe(202);
    expect(host.requests[0]).toMatchObject({ method: "POST", path: "/inbox" });
    expect(host.requests[0]!.body.toString()).toBe('{"type":"Like"}');
    expect(host.requests[0]!.headers["content-type"]).toBe("application/activity+json");
  });
});

describe("N07 N09 redirects", () => {
  const redirect = (
    host: Awaited<ReturnType<typeof remoteHost>>,
    from: string,
    to: string,
    status = 302,
  ) => host.at(from, (_, response) => void response.writeHead(status, { location: to }).end());

  test.each([301, 302, 303, 307, 308])("%d is followed, each step signed anew", async (status) => {
    const host = await remoteHost();
    redirect(host, "/a", "/b", status);
    host.serve("/b", { at: "b" });
    const signed: string[] = [];
    const answer = await wayOut([host.host]).request(`${host.origin}/a`, {
      redirectsMax: 1,
      sign: async (request) => {
        signed.push(request.url);
        return new Request(request, {
          headers: { ...Object.fromEntries(request.headers), signature: `of ${request.url}` },
        });
      },
    });
    expect(answer).toMatchObject({ status: 200, url: `${host.origin}/b` });
    expect(signed).toEqual([`${host.origin}/a`, `${host.origin}/b`]);
    expect(host.requests.map(({ headers }) => headers["signature"])).toEqual([
      `of ${host.origin}/a`,
      `of ${host.origin}/b`,
    ]);
  });

  test("without being asked to, a redirect is an answer", async () => {
    const host = await remoteHost();
    redirect(host, "/a", "/b");
    const answer = await wayOut([host.host]).request(`${host.origin}/a`);
    expect(answer.status).toBe(302);
    expect(host.requests).toHaveLength(1);
  });

  test("a POST is never sent a second time", async () => {
    const host = await remoteHost();
    redirect(host, "/a", "/b", 307);
    const answer = await wayOut([host.host]).request(`${host.origin}/a`, {
      method: "POST",
      body: "{}",
      redirectsMax: 3,
    });
    expect(answer.status).toBe(307);
    expect(host.requests).toHaveLength(1);
  });

  test.each([301, 302, 303, 307, 308])(
    "%d does not lead into a private net or to another scheme",
    async (status) => {
      const host = await remoteHost();
      const { port, connections } = await canary();
      const targets = [
        "http://169.254.169.254/latest/meta-data",
        `http://127.0.0.1:${port}/`,
        `https://127.0.0.1:${port}/`,
        "https://[::1]/",
        "https://10.0.0.1/",
        "file:///etc/passwd",
        "data:application/activity+json,{}",
        "gopher://127.0.0.1/",
        "//[::ffff:127.0.0.1]/",
        "https://name:word@e.example/",
      ];
      for (const [place, target] of targets.entries()) {
        redirect(host, `/${place}`, target, status);
        const code = await codeOf(
          wayOut([host.host]).request(`${host.origin}/${place}`, { redirectsMax: 3 }),
        );
        expect(code, target).toMatch(/^(address|scheme)_refused$/);
      }
      expect(connections()).toBe(0);
      expect(host.requests).toHaveLength(targets.length);
    },
  );

  test("a signature never goes to another host, nor back with the next step", async () => {
    const [first, second] = [await remoteHost("127.0.0.2"), await remoteHost("127.0.0.3")];
    redirect(first, "/a", `${second.origin}/b`);
    redirect(second, "/b", `${first.origin}/c`);
    first.serve("/c", {});
    await wayOut([first.host, second.host]).request(`${first.origin}/a`, {
      redirectsMax: 3,
      sign: async (request) =>
        new Request(request, {
          headers: { ...Object.fromEntries(request.headers), signature: "ours" },
        }),
    });
    expect(first.requests.map(({ headers }) => headers["signature"])).toEqual(["ours", undefined]);
    expect(second.requests.map(({ headers }) => headers["signature"])).toEqual([undefined]);
  });

  test("a loop and a long chain end after as many steps as allowed", async () => {
    const host = await remoteHost();
    redirect(host, "/loop", "/loop");
    for (let step = 0; step < 9; step += 1) redirect(host, `/${step}`, `/${step + 1}`);
    const egress = wayOut([host.host]);
    expect(await codeOf(egress.request(`${host.origin}/loop`, { redirectsMax: 5 }))).toBe(
      "redirects",
    );
    expect(host.requests).toHaveLength(6);
    expect(await codeOf(egress.request(`${host.origin}/0`, { redirectsMax: 3 }))).toBe("redirects");
    expect(host.requests).toHaveLength(10);
  });
});

describe("N11 answers", () => {
  test("one that is too long is cut off, whatever was announced", async () => {
    const host = await remoteHost();
    let sent = 0;
    host.at("/endless", (_, response) => {
      response.writeHead(200);
      const part = Buffer.alloc(64 * 1024, "x");
      const pump = (): void => {
        while (!response.destroyed && response.write(part)) sent += part.length;
        response.once("drain", pump);
      };
      pump();
    });
    host.at("/announced", (_, response) => {
      response.writeHead(200, { "content-length": "300000000" });
      response.write("x");
    });
    const before = process.memoryUsage().rss;
    const egress = wayOut([host.host]);
    expect(await codeOf(egress.request(`${host.origin}/endless`))).toBe("too_large");
    expect(await codeOf(egress.request(`${host.origin}/announced`))).toBe("too_large");
    // Some megabytes stand in the sockets' buffers; the rest was never sent.
    expect(sent).toBeLessThan(16 * 1024 * 1024);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    // The twin: just not too long.
    host.at("/whole", (_, response) => void response.writeHead(200).end(Buffer.alloc(1000)));
    const whole = await egress.request(`${host.origin}/whole`, { bytesMax: 1000 });
    expect(whole.body).toHaveLength(1000);
    expect(await codeOf(egress.request(`${host.origin}/whole`, { bytesMax: 999 }))).toBe(
      "too_large",
    );
  });

  test.each(["gzip", "br", "deflate", "zstd", "x-unknown", "identity, gzip"])(
    "one folded by %s is not unfolded",
    async (encoding) => {
      const host = await remoteHost();
      const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
      host.at("/a", (_, response) => {
        response.writeHead(200, { "content-encoding": encoding }).end(bomb);
      });
      host.at("/plain", (_, response) => {
        response.writeHead(200, { "content-encoding": "identity" }).end("plain");
      });
      const egress = wayOut([host.host]);
      expect(await codeOf(egress.request(`${host.origin}/a`))).toBe("encoded");
      expect((await egress.request(`${host.origin}/plain`)).status).toBe(200);
    },
  );

  test("the deadline is for everything together: silence, slow headers, slow bytes", async () => {
    const host = await remoteHost();
    const timers: NodeJS.Timeout[] = [];
    onTestFinished(() => timers.forEach(clearInterval));
    host.at("/silent", () => {});
    host.at("/drip", (_, response) => {
      response.writeHead(200);
      timers.push(setInterval(() => response.write("x"), 20));
    });
    host.at("/hop", (_, response) => {
      timers.push(
        setTimeout(() => response.writeHead(302, { location: "/hop" }).end(), 80) as never,
      );
    });
    const egress = wayOut([host.host]);
    for (const path of ["/silent", "/drip", "/hop"]) {
      const begun = performance.now();
      const code = await codeOf(
        egress.request(`${host.origin}${path}`, { deadlineMs: 300, redirectsMax: 20 }),
      );
      expect(code, path).toBe("timeout");
      expect(performance.now() - begun, path).toBeLessThan(5_000);
    }
    // The twin: the same way out is free again.
    host.serve("/quick", {});
    expect((await egress.request(`${host.origin}/quick`, { deadlineMs: 3_000 })).status).toBe(200);
  });

  test("a server that hangs up is one that cannot be reached", async () => {
    const host = await remoteHost();
    host.at("/a", (incoming) => void incoming.socket.destroy());
    host.at("/half", (incoming, response) => {
      response.writeHead(200, { "content-length": "100" }).write("half");
      setTimeout(() => incoming.socket.destroy(), 20);
    });
    const egress = wayOut([host.host]);
    expect(await codeOf(egress.request(`${host.origin}/a`))).toBe("unreachable");
    expect(await codeOf(egress.request(`${host.origin}/half`))).toBe("unreachable");
  });
});
