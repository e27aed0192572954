/** Opens the instance, asks the database something and closes again, as often as it is told: a short command's life. */

import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "drizzle-orm";
import { readConfig } from "../../src/config.ts";
import { openInstance } from "../../src/instance.ts";
import { surviveVanishedDatabase } from "../../src/store/survive.ts";

surviveVanishedDatabase();
const [times = "1", seed = "1"] = process.argv.slice(2);
let state = Number(seed);

/** A small generator, so that a run can be repeated. */
function pauseMs(): number {
  state = (state * 48_271) % 2_147_483_647;
  return state % 300;
}

for (let time = 1; time <= Number(times); time += 1) {
  const instance = await openInstance(readConfig(process.env));
  await instance.database.drizzle.execute(sql`SELECT count(*) FROM account`);
  await instance.close();
  process.stdout.write(`${time}\n`);
  await sleep(pauseMs());
}
