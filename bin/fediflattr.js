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

// Each time something is imported, Node parses the package.json around it again, to learn what kind of file it is. That
// of drizzle-orm has 180 kB and is needed two hundred times: measured, more than half of what a command takes.
const PACKAGE = "drizzle-orm";
const found = new Map();
module.registerHooks?.({
  resolve(specifier, context, next) {
    const isInside = context.parentURL?.includes(`/node_modules/${PACKAGE}/`);
    if (isInside && specifier.startsWith(".") && specifier.endsWith(".js"))
      return {
        url: new URL(specifier, context.parentURL).href,
        format: "module",
        shortCircuit: true,
      };
    if (specifier !== PACKAGE && !specifier.startsWith(`${PACKAGE}/`))
      return next(specifier, context);
    if (!found.has(specifier))
      found.set(specifier, { ...next(specifier, context), shortCircuit: true });
    return found.get(specifier);
  },
});

// A checkout runs from its sources, an installed package from its bundle.
const source = new URL("../src/main.ts", import.meta.url);
const bundle = new URL("../dist/main.js", import.meta.url);
const { main } = await import(
  (existsSync(source) && process.env.FEDIFLATTR_BUNDLE !== "1" ? source : bundle).href
);
await main(process.argv.slice(2));
