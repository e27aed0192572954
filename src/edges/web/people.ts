/** Pages of people and posts, at the addresses of their documents. Only what everybody may see. */

import { type Context, Hono } from "hono";
import { html, raw } from "hono/html";
import { actorUri } from "../../features/account/create.ts";
import { type Person, personNamed } from "../../features/account/person.ts";
import { countFollows } from "../../features/follow/list.ts";
import { cleanHtml, cleanName, shownHandle } from "../../features/post/clean.ts";
import {
  countOpenPosts,
  openPostsOf,
  postAt,
  reactionsTo,
  taggedPosts,
} from "../../features/post/find.ts";
import { htmlOf, type Note } from "../../features/post/note.ts";
import type { Database } from "../../store/database.ts";
import type { Temporal } from "../../store/time.ts";
import { type Html, page } from "./page.ts";
import { fill, type Language, LANGUAGES, preferredLanguage } from "./words.ts";

/** How long a page may be kept: as long as its document. */
const CACHE = "public, max-age=60";

/** What these pages need. */
type Site = Pick<Database, "drizzle" | "settings">;

/** `/users/NAME`, `/@NAME`, `/users/NAME/posts/ID`, `/tags/TAG`. */
export function peoplePages(site: Site): Hono {
  const { drizzle, settings } = site;
  const { origin } = settings;
  return new Hono()
    .get("/:at{@[a-z0-9_]{1,30}}", (c) => c.redirect(`/users/${c.req.param("at").slice(1)}`, 301))
    .get("/users/:name{[a-z0-9_]{1,30}}", async (c) => {
      const person = await personNamed(drizzle, origin, c.req.param("name"));
      if (person === undefined) return missing(c, site, 404);
      if (person.deletedAt !== null) return missing(c, site, 410);
      const before = c.req.query("before");
      const from =
        before !== undefined && /^[1-9]\d{0,17}$/.test(before) ? BigInt(before) : undefined;
      return answer(c, await profilePage(site, person, from, languageOf(c)), languageOf(c));
    })
    .get("/users/:name{[a-z0-9_]{1,30}}/posts/:id{[1-9][0-9]{0,17}}", async (c) => {
      const { name, id } = c.req.param();
      const note = await postAt(drizzle, `${actorUri(origin, name)}/posts/${id}`);
      if (note === undefined || (note.visibility !== "public" && note.visibility !== "unlisted"))
        return missing(c, site, 404);
      if (note.deletedAt !== null) return missing(c, site, 410);
      const person = await personNamed(drizzle, origin, name);
      if (person === undefined) return missing(c, site, 404);
      return answer(c, await postPage(site, person, note, languageOf(c)), languageOf(c));
    })
    .get("/tags/:tag", async (c) => {
      const language = languageOf(c);
      const tag = c.req.param("tag").normalize("NFKC").toLowerCase();
      if (!/^[\p{L}\p{N}\p{M}_]{1,100}$/u.test(tag)) return missing(c, site, 404);
      const notes = await taggedPosts(drizzle, origin, tag);
      const title = fill(LANGUAGES[language].tagged, { tag });
      const body = html`<h1>#${tag}</h1>
        <p class="host">${title}</p>
        ${notes.length === 0 ? html`<p>${LANGUAGES[language].noPosts}</p>` : ""}
        ${notes.map((note) => article(note, origin, language))}`;
      return answer(c, page({ language, host: new URL(origin).host, title, body }), language);
    });
}

async function profilePage(
  site: Site,
  person: Person,
  before: bigint | undefined,
  language: Language,
): Promise<Html> {
  const { drizzle, settings } = site;
  const words = LANGUAGES[language];
  const { host } = new URL(settings.origin);
  const [{ notes, next }, posts, followers, following] = await Promise.all([
    openPostsOf(drizzle, person.id, before),
    countOpenPosts(drizzle, person.id),
    countFollows(site, "followers", person.id),
    countFollows(site, "following", person.id),
  ]);
  const handle = shownHandle(person.name, host);
  const shown = cleanName(person.displayName ?? "") || person.name;
  const numbers = {
    posts: posts.toLocaleString(language),
    followers: followers.toLocaleString(language),
    following: following.toLocaleString(language),
  };
  const body = html`<h1>${shown}</h1>
    <p class="host">${handle}</p>
    ${person.summary === null ? "" : raw(cleanHtml(person.summary))} ${fieldsOf(person)}
    <p class="meta">${fill(words.counts, numbers)}</p>
    <p class="meta">${fill(words.since, { date: day(person.since, language) })}</p>
    <p class="meta">${words.follow} <code>${handle}</code></p>
    ${notes.length === 0 ? html`<p>${words.noPosts}</p>` : ""}
    ${notes.map((note) => article(note, settings.origin, language))}
    ${
      next === undefined
        ? ""
        : html`<p>
            <a href="/users/${person.name}?before=${String(next)}" rel="next">${words.older}</a>
          </p>`
    }`;
  return page({ language, host, title: shown, body, document: person.uri });
}

async function postPage(
  { drizzle, settings }: Site,
  person: Person,
  note: Note,
  language: Language,
): Promise<Html> {
  const words = LANGUAGES[language];
  const { host } = new URL(settings.origin);
  const { favourites, boosts } = await reactionsTo(drizzle, note.id);
  const shown = cleanName(person.displayName ?? "") || person.name;
  const counts = { favourites: String(favourites), boosts: String(boosts) };
  const body = html`<h1><a href="/users/${person.name}">${shown}</a></h1>
    <p class="host">${shownHandle(person.name, host)}</p>
    ${article(note, settings.origin, language)}
    ${favourites + boosts === 0 ? "" : html`<p class="meta">${fill(words.reactions, counts)}</p>`}`;
  return page({ language, host, title: shown, body, document: note.uri });
}

/** One post. What is behind a warning is folded, which needs no script. */
function article(note: Note, origin: string, language: Language): Html {
  const words = LANGUAGES[language];
  const folded = note.summary !== null || note.isSensitive;
  const content = html`${raw(cleanHtml(htmlOf(note, origin)))}
  ${(note.attachments ?? []).map(
    ({ url, description }) =>
      html`<p>
        <a href="${webAddress(url)}" rel="nofollow noopener noreferrer"
          >${description ?? words.attachment}</a
        >
      </p>`,
  )}`;
  return html`<article${note.language === null ? "" : html` lang="${note.language}"`}>
    ${
      note.inReplyTo === null
        ? ""
        : html`<p class="meta">
            ${words.inReplyTo}
            <a href="${webAddress(note.inReplyTo)}" rel="nofollow noopener noreferrer"
              >${note.inReplyTo}</a
            >
          </p>`
    }
    ${
      folded
        ? html`<details>
            <summary>${note.summary ?? words.sensitive}</summary>
            ${content}
          </details>`
        : content
    }
    <p class="meta"><a href="${webAddress(note.url ?? note.uri)}"><time datetime="${note.at.toString({ smallestUnit: "second" })}">${day(note.at, language)}</time></a>
      ${note.editedAt === null ? "" : html`(${fill(words.edited, { date: day(note.editedAt, language) })})`}</p>
  </article>`;
}

function fieldsOf({ fields }: Person): Html | string {
  if (fields === null || fields.length === 0) return "";
  return html`<dl>
    ${fields.map(
      ({ name, value }) =>
        html`<dt>${cleanName(name)}</dt>
          <dd>${raw(cleanHtml(value))}</dd>`,
    )}
  </dl>`;
}

/** An address that a click may lead to; anything else leads nowhere. */
function webAddress(text: string): string {
  return /^https?:\/\//i.test(text) && URL.canParse(text) ? text : "";
}

/** As people of this language write a day; the clock's zone is nobody's, so it is UTC. */
function day(at: Temporal.Instant, language: Language): string {
  return at.toLocaleString(language, { dateStyle: "long", timeZone: "UTC" });
}

function languageOf(c: Context): Language {
  return preferredLanguage(c.req.header("accept-language"));
}

function answer(c: Context, body: Html, language: Language, status: 200 | 404 | 410 = 200) {
  c.header("vary", "Accept, Accept-Language");
  c.header("content-language", language);
  c.header("cache-control", status === 404 ? "no-store" : CACHE);
  return c.html(body, status);
}

/** Nothing, or nothing that everybody may see: the page does not say which. */
function missing(c: Context, { settings }: Site, status: 404 | 410) {
  const language = languageOf(c);
  const words = LANGUAGES[language];
  const [title, text] =
    status === 410 ? [words.gone, words.goneText] : [words.nothing, words.nothingText];
  const body = html`<h1>${title}</h1>
    <p>${text}</p>`;
  return answer(
    c,
    page({ language, host: new URL(settings.origin).host, title, body }),
    language,
    status,
  );
}
