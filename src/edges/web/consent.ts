/** The page where somebody allows an app what it asks for. It signs in, too, where nobody has signed in yet. */

import { html } from "hono/html";
import type { App } from "../../features/access/app.ts";
import type { Account } from "../../features/account/create.ts";
import { cleanName } from "../../features/post/clean.ts";
import { OUT_OF_BAND, redirectPlace } from "../../rules/redirect.ts";
import { allows, maySpend } from "../../rules/scope.ts";
import { type Html, page } from "./page.ts";
import { type Declined, signInFields } from "./sign-in.ts";
import { fill, type Language, LANGUAGES, type Words } from "./words.ts";

/** What is asked, and by whom. */
export interface Consent {
  readonly language: Language;
  /** Of this instance. */
  readonly host: string;
  readonly app: App;
  readonly redirectUri: string;
  readonly scopes: readonly string[];
  /** Who has signed in; undefined: name and password are asked on the same page. */
  readonly account: Account | undefined;
  /** Where somebody else can sign in. */
  readonly elsewise: string;
  /** The form's hidden fields. */
  readonly hidden: Html;
  /** What was typed and chosen before, where the page comes again. */
  readonly before: URLSearchParams;
  readonly declined: Declined | undefined;
}

/** The two boxes, by their fields. Both are off unless somebody sets them. */
export const SHOWS_MONEY = "shows_money";
export const NOT_FLATTRS = "not_flattrs";

/** The page. */
export function consentPage(consent: Consent): Html {
  const { language, host, app, redirectUri, scopes, account, before, declined } = consent;
  const words = LANGUAGES[language];
  const name = cleanName(app.name) || words.namelessApp;
  const title = fill(words.allowTitle, { app: name });
  const box = (field: string, label: string, note: string) =>
    html`<p class="box">
      <input
        type="checkbox"
        id="${field}"
        name="${field}"
        value="1"
        ${before.get(field) === "1" ? "checked" : ""}
      />
      <label for="${field}">${label} <span class="meta">${note}</span></label>
    </p>`;
  const body = html`<h1 class="asks">${title}</h1>
    <p class="host">
      ${app.website === null ? words.noWebsite : fill(words.websiteOf, { host: new URL(app.website).host })}
      ${redirectUri === OUT_OF_BAND ? words.showsCode : fill(words.goesTo, { place: redirectPlace(redirectUri) })}
    </p>
    <p>${words.appMay}</p>
    <ul>
      ${scopeSentences(scopes, words).map((sentence) => html`<li>${sentence}</li>`)}
    </ul>
    ${maySpend(scopes) ? html`<p class="spends"><strong>${words.maySpend}</strong></p>` : ""}
    <p class="meta">${words.mayNever}</p>
    <form method="post" action="/oauth/authorize">
      ${consent.hidden} ${box(SHOWS_MONEY, words.showsMoney, words.showsMoneyNote)}
      ${
        allows(scopes, "write:favourites")
          ? box(NOT_FLATTRS, words.notFlattrs, words.notFlattrsNote)
          : ""
      }
      ${
        account === undefined
          ? html`<h2>${fill(words.signInAt, { host })}</h2>
              ${signInFields(words, before.get("name") ?? "", declined)}`
          : html`<p>
              ${fill(words.signedInAs, { name: account.name })}
              <a href="${consent.elsewise}">${words.asSomebodyElse}</a>
            </p>`
      }
      <p class="buttons">
        <button type="submit" name="decision" value="approve">
          ${account === undefined ? words.signInAndAllow : words.allow}
        </button>
        <button type="submit" name="decision" value="deny" class="quiet" formnovalidate>
          ${words.deny}
        </button>
      </p>
    </form>`;
  return page({ language, host, title, body });
}

/** The page with a code that people carry over by hand. */
export function codePage(language: Language, host: string, app: App, code: string): Html {
  const words = LANGUAGES[language];
  const title = words.codeTitle;
  const body = html`<h1>${title}</h1>
    <p>${fill(words.codeText, { app: cleanName(app.name) || words.namelessApp })}</p>
    <p><code class="code">${code}</code></p>`;
  return page({ language, host, title, body });
}

/** A page of one sentence, where nobody can be sent anywhere. */
export function plainPage(
  language: Language,
  host: string,
  title: string,
  text: string,
  code?: string,
): Html {
  const body = html`<h1>${title}</h1>
    <p>${text}</p>
    ${code === undefined ? "" : html`<p class="meta"><code>${code}</code></p>`}`;
  return page({ language, host, title, body });
}

/** Scopes in plain words: what may be read and changed in one sentence each, and those that stand alone. */
export function scopeSentences(scopes: readonly string[], words: Words): readonly string[] {
  const parts = (verb: "read" | "write") =>
    scopes
      .filter((scope) => scope.startsWith(`${verb}:`))
      .map((scope) => words.scopeThings[scope.slice(verb.length + 1) as keyof Words["scopeThings"]])
      .join(", ");
  const sentences: string[] = [];
  if (scopes.includes("read")) sentences.push(words.scopeRead);
  else if (parts("read") !== "")
    sentences.push(fill(words.scopeReadOnly, { things: parts("read") }));
  if (scopes.includes("write")) sentences.push(words.scopeWrite);
  else if (parts("write") !== "")
    sentences.push(fill(words.scopeWriteOnly, { things: parts("write") }));
  for (const scope of ["follow", "push", "profile", "flattr:read", "flattr:write"] as const)
    if (scopes.includes(scope)) sentences.push(words.scopesAlone[scope]);
  return sentences;
}
