import type { Options } from "./options.ts";
export async function benchClick(_: Options): Promise<void> {}
