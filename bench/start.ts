import type { Options } from "./options.ts";
export async function benchStart(_: Options): Promise<void> {}
