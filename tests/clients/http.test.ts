import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { closeSteps } from "./close.ts";
import { type Day, openDay } from "./homes.ts";
import { mastoDay } from "./masto/day.ts";
import { megalodonDay } from "./megalodon-day.ts";

let day: Day;

beforeAll(async () => {
  day = await openDay("http");
});
afterEach(() => {
  expect(day.wire.faults()).toEqual([]);
});
afterAll(() => day?.close());

describe("http, masto", () => {
  mastoDay(() => day);
});
describe("http, megalodon", () => {
  megalodonDay(() => day);
});
describe("http, the month's end", () => {
  closeSteps(() => day);
});
