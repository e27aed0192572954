/** The page of one's own money: the month, the budget, and whether favourites count. Works without scripts. */

import { type Context, Hono } from "hono";
import { html } from "hono/html";
import { setPreferences } from "../../features/account/find.ts";
import { moneyText, monthText } from "../../features/bot/words.ts";
import { setBudget, setBudgetCeiling } from "../../features/budget/set.ts";
import { clickNow, type MonthReport, monthReport } from "../../features/settlement/report.ts";
import { formatAmount, type Micro, parseAmount } from "../../rules/amount.ts";
import { ownPages } from "../../rules/own-pages.ts";
import { parsePeriod, periodAfter, periodOf } from "../../rules/period.ts";
import { Refusal } from "../../store/refusal.ts";
import { fieldsOf, formTokenField, languageOf } from "./form.ts";
import { type Html, page } from "./page.ts";
import { SETTINGS_WORDS } from "./settings-words.ts";
import { type PageEnv, readSession, requireSession, type VisitParts } from "./visit.ts";
import { fill, type Language, LANGUAGES } from "./words.ts";

/** Money is set only so soon after the password was given: a browser left open sets none. */
const PROVED_MINUTES_MAX = 15;

/** The forms that take an amount. */
type AmountForm = "budget" | "ceiling";

/** `/settings`. */
export function settingsRoutes(parts: VisitParts): Hono<PageEnv> {
  const { database, clock } = parts;
  const read = readSession(parts);
  /** Sets money, if the password was given a short while ago; and shows the page with what came of it. */
  const setting =
    (what: AmountForm, work: (c: Context<PageEnv>, amount: Micro | undefined) => Promise<void>) =>
    async (c: Context<PageEnv>) => {
      const words = SETTINGS_WORDS[languageOf(c)];
      const { provedAt } = c.get("session")!;
      if (provedAt.until(clock.real()).total({ unit: "minutes" }) > PROVED_MINUTES_MAX)
        return c.redirect(`/sign-in?again=1&next=${encodeURIComponent("/settings")}`, 303);
      const typed = ((await fieldsOf(c)).get("amount") ?? "").trim();
      const amount = parseAmount(typed, database.settings.currency);
      const refused = (note: string) =>
        show(c, parts, { note, status: 422, typed: { [what]: typed } });
      if (amount === undefined && !(what === "ceiling" && typed === ""))
        return refused(words.notAnAmount);
      try {
        await work(c, amount);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const note =
          error.reason === "budget_too_low"
            ? fill(words.tooLow, {
                minimum: moneyText(
                  database.settings.minimumBudget,
                  database.settings.currency,
                  languageOf(c),
                ),
              })
            : words.notAnAmount;
        return refused(note);
      }
      return c.redirect("/settings?saved=1", 303);
    };
  return new Hono<PageEnv>()
    .get("/settings", read, requireSession, (c) =>
      show(c, parts, {
        note: c.req.query("saved") === "1" ? SETTINGS_WORDS[languageOf(c)].saved : undefined,
      }),
    )
    .post(
      "/settings/budget",
      requireSession,
      setting("budget", async (c, amount) => {
        const patron = c.get("session")!.account.id;
        await setBudget(database, { patron, amount: amount!, at: clock.now() });
      }),
    )
    .post(
      "/settings/ceiling",
      requireSession,
      setting("ceiling", async (c, ceiling) => {
        await setBudgetCeiling(database, { patron: c.get("session")!.account.id, ceiling });
      }),
    )
    .post("/settings/favourites", requireSession, async (c) => {
      const fields = await fieldsOf(c);
      await setPreferences(database, c.get("session")!.account.id, {
        flattrMode: fields.get("mode") === "explicit" ? "explicit" : "all",
        flattrsPrivate: fields.get("private") === "on",
      });
      return c.redirect("/settings?saved=1", 303);
    });
}

interface Showing {
  readonly note?: string | undefined;
  readonly status?: 200 | 422;
  /** What was typed and refused, to be corrected. */
  readonly typed?: Partial<Record<AmountForm, string>>;
}

async function show(
  c: Context<PageEnv>,
  { database, clock }: VisitParts,
  { note, status = 200, typed = {} }: Showing,
) {
  const { origin, currency, minimumBudget } = database.settings;
  const language = languageOf(c);
  const words = SETTINGS_WORDS[language];
  const { account } = c.get("session")!;
  const at = clock.now();
  const period = parsePeriod(c.req.query("period") ?? "") ?? periodOf(at);
  const now = await clickNow(database, account.id, at);
  const report = await monthReport(database, account.id, period);
  const money = (amount: Micro) => moneyText(amount, currency, language);
  const figure = (name: string, value: string) =>
    html`<dt>${name}</dt>
      <dd>${value}</dd>`;
  const amountForm = (
    what: AmountForm,
    labels: { readonly name: string; readonly help: string; readonly button: string },
    amount: Micro | null,
  ) =>
    html`<form method="post" action="/settings/${what}">
      ${formTokenField(c, origin)}
      <label for="${what}">${labels.name} (${currency})</label>
      <p class="meta" id="${what}-help">${labels.help}</p>
      <input
        id="${what}"
        name="amount"
        inputmode="decimal"
        autocomplete="off"
        aria-describedby="${what}-help"
        value="${typed[what] ?? (amount === null ? "" : formatAmount(amount, currency))}"
      />
      <button type="submit">${labels.button}</button>
    </form>`;
  const body = html`<h1>${words.title}</h1>
    <p class="host">@${account.name}@${new URL(origin).host}</p>
    ${note === undefined ? "" : status === 200 ? html`<p role="status"><strong>${note}</strong></p>` : html`<p class="alert" role="alert">${note}</p>`}
    <p class="lead">
      ${fill(words.month, {
        month: monthText(now.period, language),
        count: String(now.flattrs),
        closes: now.closes.toString({ smallestUnit: "minute" }).slice(0, 16).replace("T", " "),
      })}
    </p>
    <dl>
      ${figure(words.budget, money(now.budget))} ${figure(words.available, money(now.available))}
      ${now.value === undefined ? "" : figure(words.value, money(now.value))}
      ${report === undefined ? "" : figure(words.earnings, money(report.balance.earnings))}
      ${report === undefined ? "" : figure(words.pending, money(report.balance.pending))}
    </dl>
    <p class="meta">${words.topUp}</p>
    ${amountForm(
      "budget",
      {
        name: words.budget,
        help: fill(words.budgetHelp, { minimum: money(minimumBudget) }),
        button: words.setBudget,
      },
      now.budget,
    )}
    ${amountForm(
      "ceiling",
      { name: words.ceiling, help: words.ceilingHelp, button: words.setCeiling },
      account.budgetCeiling,
    )}
    <h2>${words.favourites}</h2>
    <form method="post" action="/settings/favourites">
      ${formTokenField(c, origin)}
      ${(["all", "explicit"] as const).map(
        (mode) =>
          html`<p class="box">
            <input
              type="radio"
              id="mode-${mode}"
              name="mode"
              value="${mode}"
              ${account.flattrMode === mode ? "checked" : ""}
            />
            <label for="mode-${mode}">${mode === "all" ? words.modeAll : words.modeExplicit}</label>
          </p>`,
      )}
      <p class="box">
        <input
          type="checkbox"
          id="private"
          name="private"
          ${account.flattrsPrivate ? "checked" : ""}
        />
        <label for="private">${words.private}</label>
      </p>
      <button type="submit">${words.save}</button>
    </form>
    ${report === undefined ? "" : monthOf(report, language, money)}
    <p>
      <a href="/settings?period=${periodAfter(period, -1)}">${words.earlier}</a>
      ${
        period < periodOf(at)
          ? html`· <a href="/settings?period=${periodAfter(period)}">${words.later}</a>`
          : ""
      }
    </p>
    <form method="post" action="/sign-out">
      ${formTokenField(c, origin)}
      <button type="submit" class="quiet">${LANGUAGES[language].signOut}</button>
    </form>`;
  c.header("content-language", language);
  c.header("vary", "Accept-Language, Cookie");
  return c.html(
    page({ language, host: new URL(ownPages(origin)).host, title: words.title, body }),
    status,
  );
}

/** What was given and received in one month. */
function monthOf(
  { period, gave, received }: MonthReport,
  language: Language,
  money: (amount: Micro) => string,
): Html {
  const words = SETTINGS_WORDS[language];
  const row = (thing: string, amount: Micro | undefined) =>
    html`<li>
      <a href="${thing}" rel="nofollow noopener">${thing}</a
      >${amount === undefined ? "" : `: ${money(amount)}`}
    </li>`;
  return html`<h2>${words.gave}: ${monthText(period, language)}</h2>
    ${
      gave.length === 0
        ? html`<p>${words.nothingGiven}</p>`
        : html`<ul>
            ${gave.map(({ thing, amount }) => row(thing, amount))}
          </ul>`
    }
    ${
      received.length === 0
        ? ""
        : html`<h2>${words.received}: ${monthText(period, language)}</h2>
            <ul>
              ${received.map(({ thing, amount }) => row(thing, amount))}
            </ul>`
    }`;
}
