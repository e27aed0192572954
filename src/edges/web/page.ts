/** The frame of every page. */

import { html } from "hono/html";
import { type Language, LANGUAGES } from "./words.ts";

/** What a page is made of. */
export interface Page {
  readonly language: Language;
  readonly host: string;
  /** Plain text. */
  readonly title: string;
  readonly body: Html;
  /** The document that says the same to programs. */
  readonly document?: string | undefined;
}

/** HTML that was made by a template: everything in it is escaped. */
export type Html = ReturnType<typeof html>;

/** A whole page. */
export function page({ language, host, title, body, document }: Page): Html {
  return html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} - ${host}</title>
        <link rel="stylesheet" href="/style.css" />
        ${
          document === undefined
            ? ""
            : html`<link rel="alternate" type="application/activity+json" href="${document}" />`
        }
      </head>
      <body>
        <main>${body}</main>
        <footer><p>${LANGUAGES[language].source}</p></footer>
      </body>
    </html>`;
}
