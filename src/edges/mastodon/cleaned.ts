/** Cleaned HTML that is kept ready: cleaning is the dearest part of a page, and pages show the same posts and people again. */

import { cleanHtml } from "../../features/post/clean.ts";
import { recent } from "../../store/recent.ts";

/** Texts that are kept. */
const KEPT_MAX = 5_000;

/** Longer HTML is cleaned each time: strangers write it, and all that is kept must fit into memory. In characters. */
const CHARS_MAX = 4_000;

const kept = recent<string, string>(KEPT_MAX);

/** HTML of strangers, fit to be shown. @see cleanHtml */
export function cleaned(html: string): string {
  if (html === "") return "";
  const known = kept.get(html);
  if (known !== undefined) return known;
  const made = cleanHtml(html);
  if (html.length <= CHARS_MAX && made.length <= CHARS_MAX) kept.set(html, made);
  return made;
}
