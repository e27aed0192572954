#!/usr/bin/env node
// Plain JavaScript, so that an older Node can say what is missing instead of failing at the first type.
import { existsSync } from "node:fs";
import module from "node:module";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `Fediflattr needs Node 22.18 or newer and this is ${process.version}: run it with npm (npm start), which brings its own, or install Node 24.`,
  );
  process.exit(2);
}
module.enableCompileCache?.();

// A checkout runs from its sources, an installed package from its bundle.
const source = new URL("../src/main.ts", import.meta.url);
const bundle = new URL("../dist/main.js", import.meta.url);
const { main } = await import(
  (existsSync(source) && process.env.FEDIFLATTR_BUNDLE !== "1" ? source : bundle).href
);
await main(process.argv.slice(2));
