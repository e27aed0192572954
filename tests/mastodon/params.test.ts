import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import type { Caller, ClientEnv } from "../../src/edges/mastodon/frame.ts";
import { paramsOf } from "../../src/edges/mastodon/params.ts";
import { cpuTimer } from "../support/cpu.ts";

/** Each part as it is written, with its head. */
async function readAs(parts: readonly string[]) {
  const app = new Hono<ClientEnv>().post("/", async (c) => {
    // Somebody who has signed in.
    c.set("caller", {} as Caller);
    const params = await paramsOf(c);
    const file = params.file("file");
    return c.json({
      file: file && { name: file.name, hex: Buffer.from(file.bytes).toString("hex") },
      text: params.text("description") ?? null,
    });
  });
  app.onError((error, c) => c.json({ error: error.message }, 400));
  const body = parts.map((part) => `--mark\r\n${part}\r\n`).join("") + "--mark--\r\n";
  const answer = await app.request("/", {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=mark" },
    body: Buffer.from(body, "latin1"),
  });
  return answer.json();
}

describe("a multipart body", () => {
  const bytes = "\u00ff\u00d8\u0000\r\n\u0080";
  const hex = "ffd8000d0a80";
  const said = `Content-Disposition: form-data; name="file"`;

  test("holds a file that has a kind and no name, as form-data of Node sends bytes", async () => {
    const parts = [
      `${said}\r\nContent-Type: application/octet-stream\r\n\r\n${bytes}`,
      `Content-Disposition: form-data; name="description"\r\n\r\nA boat`,
    ];
    expect(await readAs(parts)).toEqual({ file: { name: "file", hex }, text: "A boat" });
    expect(await readAs(parts.toReversed())).toMatchObject({ file: { hex }, text: "A boat" });
  });

  test("keeps the names that are given, and texts that name their kind", async () => {
    const parts = [
      `${said}; filename="boat.jpg"\r\nContent-Type: image/jpeg\r\n\r\n${bytes}`,
      `Content-Type: text/plain\r\nContent-Disposition: form-data; name="description"\r\n\r\nA boat`,
    ];
    expect(await readAs(parts)).toEqual({ file: { name: "boat.jpg", hex }, text: "A boat" });
  });

  test("with more parts than fields may be is refused before they are read", async () => {
    const parts = Array.from(
      { length: 200_000 },
      () => `Content-Disposition: form-data; name="a"\r\n\r\n`,
    );
    const spentMs = cpuTimer();
    expect(await readAs(parts)).toMatchObject({ error: expect.stringContaining("too many") });
    // Reading them takes seconds, in which nobody else is answered.
    expect(spentMs()).toBeLessThan(1_000);
  });
});
