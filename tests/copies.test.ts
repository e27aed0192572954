import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const own = import.meta.dirname;
const shared = join(own, "../../shared");

// The project stands alone with its own copy; where the source of the vectors lies beside it, both must agree.
test.each(["vectors", "fixtures"])(
  "the own copy of the %s is that of the source, where there is one",
  (folder) => {
    const mine = globSync("**/*.{json,md}", { cwd: join(own, folder) }).sort();
    expect(mine.length).toBeGreaterThan(0);
    if (!existsSync(join(shared, folder))) return;
    expect(mine).toEqual(globSync("**/*.{json,md}", { cwd: join(shared, folder) }).sort());
    for (const file of mine)
      expect(readFileSync(join(own, folder, file), "utf8"), file).toBe(
        readFileSync(join(shared, folder, file), "utf8"),
      );
  },
);
