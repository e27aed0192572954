/** A plain Hono route that answers one JSON, to compare with: `node bench/plain.ts PORT FILE`. */

import { readFile } from "node:fs/promises";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const [port, file] = process.argv.slice(2);
const body = JSON.parse(await readFile(file!, "utf8")) as object;
const app = new Hono()
  .get("/readyz", (c) => c.json({ status: "ok" }))
  .all("/plain", (c) => c.json(body));
serve({ fetch: app.fetch, port: Number(port), hostname: "127.0.0.1" });
