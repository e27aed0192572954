import { defineConfig } from "drizzle-kit";

/** `npm run migration -- --name what_it_does` writes the next migration from the tables in `features/<name>/schema.ts`. */
export default defineConfig({
  dialect: "postgresql",
  schema: ["./src/store/schema.ts", "./src/features/*/schema.ts"],
  out: "./migrations",
});
