/** A real browser that signs in and allows apps, as a person does. */

import { access, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

/** Where pictures of pages are left to be looked at: SCREENSHOTS, else a folder among the temporary ones. */
export const SCREENSHOTS = process.env["SCREENSHOTS"] ?? join(tmpdir(), "fediflattr-screenshots");

/** A phone and a desk, in CSS pixels. */
const SIZES = [
  { width: 390, height: 844 },
  { width: 1280, height: 800 },
] as const;

/** Opens the machine's Chromium. @throws Error when it has none */
export async function openBrowser(): Promise<Browser> {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const places = folders.flatMap((folder) => [
    join(folder, "chromium"),
    join(folder, "chromium-browser"),
    join(folder, "google-chrome"),
  ]);
  for (const executablePath of places) {
    const isThere = await access(executablePath).then(
      () => true,
      () => false,
    );
    // A test as root, in a container, cannot have a sandbox of its own.
    if (isThere) return chromium.launch({ executablePath, args: ["--no-sandbox"] });
  }
  throw new Error("no Chromium in PATH: apt-get install chromium");
}

/** A fresh person before the browser: no cookies, English, and certificates of a test are believed. */
export function freshVisit(browser: Browser): Promise<BrowserContext> {
  return browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB" });
}

/** What somebody types. */
export interface Person {
  readonly name: string;
  readonly password: string;
}

/**
 * Signs in on the page that asks for consent, and allows.
 *
 * @returns where the browser was sent, or the code where it is shown
 */
export async function allowApp(
  visit: BrowserContext,
  url: string,
  { name, password }: Person,
): Promise<URL | string> {
  const page = await visit.newPage();
  await page.goto(url);
  await page.getByLabel("Name or e-mail address").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in and allow" }).click();
  const { origin } = new URL(url);
  const code = page.locator("code.code");
  await Promise.race([page.waitForURL((to) => to.origin !== origin), code.waitFor()]);
  const sent = new URL(page.url());
  const result = sent.origin === origin ? await code.innerText() : sent;
  await page.close();
  return result;
}

/**
 * Takes pictures of a page on a phone and on a desk, in SCREENSHOTS.
 *
 * @returns of each size what reaches beyond the right edge; empty is right
 */
export async function picture(visit: BrowserContext, url: string, name: string): Promise<string[]> {
  await mkdir(SCREENSHOTS, { recursive: true });
  const page = await visit.newPage();
  const beyond: string[] = [];
  for (const size of SIZES) {
    await page.setViewportSize(size);
    await page.goto(url);
    const path = join(SCREENSHOTS, `${name}-${size.width}.png`);
    await page.screenshot({ path, fullPage: true });
    beyond.push(...(await tooWide(page)).map((what) => `${size.width} px: ${what}`));
  }
  await page.close();
  return beyond;
}

/** Elements of a page that cannot be seen without moving it sideways. */
function tooWide(page: Page): Promise<string[]> {
  // In the browser's own words: the types of its world are not those of this one.
  return page.evaluate(`
    [...document.querySelectorAll("body *")]
      .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
      .map((one) => one.outerHTML.slice(0, 120))`);
}
