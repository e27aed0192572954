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

/** Signs in on the page that has nothing else. */
export async function signIn(
  visit: BrowserContext,
  origin: string,
  { name, password }: Person,
): Promise<void> {
  const page = await visit.newPage();
  await page.goto(`${origin}/sign-in`);
  await page.getByLabel("Name or e-mail address").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${origin}/`);
  await page.close();
}

/** Signs in with a wrong password, on a phone. @returns true when the reason is seen at once */
export async function seesRefusal(visit: BrowserContext, url: string): Promise<boolean> {
  const page = await visit.newPage();
  const [phone] = SIZES;
  await page.setViewportSize(phone);
  await page.goto(url);
  await page.getByLabel("Name or e-mail address").fill("nobody");
  await page.getByLabel("Password").fill("no password of anybody");
  await page.getByRole("button", { name: "Sign in" }).click();
  const alert = page.getByRole("alert");
  await alert.waitFor();
  const place = (await alert.boundingBox())!;
  await page.close();
  return place.y >= 0 && place.y + place.height <= phone.height;
}

/** How an app asks, and what is chosen. */
export interface Asking {
  /** A page of the app, which opens the other one in a window of its own. */
  readonly opener?: string;
  /** Labels of boxes that are set. */
  readonly boxes?: readonly string[];
}

/**
 * Signs in on the page that asks for consent, and allows.
 *
 * @returns where the browser was sent, or the code where it is shown
 * @throws Error when the app's page lost the window that it had opened: then it would never hear of the code
 */
export async function allowApp(
  visit: BrowserContext,
  url: string,
  { name, password }: Person,
  { opener, boxes = [] }: Asking = {},
): Promise<URL | string> {
  const first = await visit.newPage();
  let page = first;
  if (opener === undefined) await page.goto(url);
  else {
    await first.goto(opener);
    const opened = first.waitForEvent("popup");
    await first.evaluate(`void window.open(${JSON.stringify(url)})`);
    page = await opened;
  }
  await page.getByLabel("Name or e-mail address").fill(name);
  await page.getByLabel("Password").fill(password);
  for (const box of boxes) await page.getByLabel(box).check();
  await page.getByRole("button", { name: "Sign in and allow" }).click();
  const { origin } = new URL(url);
  const code = page.locator("code.code");
  await Promise.race([page.waitForURL((to) => to.origin !== origin), code.waitFor()]);
  const sent = new URL(page.url());
  const result = sent.origin === origin ? await code.innerText() : sent;
  if (opener !== undefined && (await page.evaluate("window.opener === null")))
    throw new Error("the window is cut off from the app that opened it");
  await page.close();
  await first.close();
  return result;
}

/**
 * Allows an app whose address has a scheme of its own, as phones do: this browser does not know it, so it stays where it is.
 *
 * @returns the address that it tried to open; undefined when the page's policy stopped it
 */
export async function allowPhoneApp(
  visit: BrowserContext,
  url: string,
  scheme: string,
): Promise<string | undefined> {
  const page = await visit.newPage();
  const tried = new Promise<string | undefined>((resolve) => {
    page.on("request", (request) => {
      if (request.url().startsWith(scheme)) resolve(request.url());
    });
    page.on("console", (message) => {
      if (message.text().includes("form-action")) resolve(undefined);
    });
  });
  await page.goto(url);
  await page.getByRole("button", { name: "Allow", exact: true }).click({ noWaitAfter: true });
  const result = await tried;
  await page.close();
  return result;
}

/** What an app in a browser can do with an instance that lives elsewhere. */
export interface BrowserApp {
  /** The width of a picture, in pixels; 0 when the browser does not show it. */
  widthOf(address: string): Promise<number>;
  /** Asks with a token, after the browser's own question whether it may. @returns the headers that it lets the app see */
  ask(address: string, token: string): Promise<Record<string, string>>;
  close(): Promise<void>;
}

/** Opens a page of an app. */
export async function openBrowserApp(browser: Browser, address: string): Promise<BrowserApp> {
  const visit = await freshVisit(browser);
  const page = await visit.newPage();
  await page.goto(address);
  return {
    widthOf: (picture) =>
      page.evaluate(`new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve(image.naturalWidth);
        image.onerror = () => resolve(0);
        image.src = ${JSON.stringify(picture)};
      })`),
    ask: (asked, token) =>
      page.evaluate(`fetch(${JSON.stringify(asked)}, {
        headers: { authorization: ${JSON.stringify(`Bearer ${token}`)}, "content-type": "application/json" },
      }).then(({ headers }) => Object.fromEntries(headers))`),
    close: () => visit.close(),
  };
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
