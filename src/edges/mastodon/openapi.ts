/** The description of our own API. @see https://spec.openapis.org/oas/v3.1.0 */

type Json = Readonly<Record<string, unknown>>;

const text = { type: "string" };
const flag = { type: "boolean" };
const whole = { type: "integer", minimum: 0 };
const orNull = (type: string) => ({ type: [type, "null"] });
const object = (properties: Json, required = Object.keys(properties)): Json => ({
  type: "object",
  properties,
  required,
});
const listOf = (items: Json): Json => ({ type: "array", items });
const schema = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

const amount = schema("Amount");
const period = schema("Period");
const amountOrNull = { anyOf: [amount, { type: "null" }] };

const SCHEMAS = {
  Amount: {
    type: "string",
    pattern: "^-?\\d+$",
    description: 'Micro-units of the currency beside it, a decimal integer: 1 EUR is "1000000".',
  },
  Period: { type: "string", pattern: "^\\d{4}-(0[1-9]|1[0-2])$", description: "A month, UTC." },
  Error: object({
    error: { type: "string", description: "A code that never changes its meaning." },
    error_description: { type: "string", description: "A sentence for people." },
  }),
  Thing: object({ id: text, uri: text, kind: text, title: orNull("string") }),
  PublicThing: object({
    id: text,
    uri: text,
    kind: text,
    title: orNull("string"),
    payees: listOf(object({ uri: text, weight: { type: "integer", minimum: 1 } })),
    period,
    flattrs: { ...whole, description: "Public flattrs of the month by people of this instance." },
  }),
  Current: object(
    {
      period,
      count: { ...whole, description: "Flattrs that count." },
      closes_at: { type: "string", format: "date-time" },
      days_left: whole,
      currency: text,
      budget: amount,
      available: amount,
      value: {
        ...amountOrNull,
        description: "What each flattr would get if the month closed now, rounded down.",
      },
    },
    ["period", "count", "closes_at", "days_left"],
  ),
  Flattr: object({
    id: text,
    period,
    source: { enum: ["click", "favourite", "subscription"] },
    private: flag,
    at: { type: "string", format: "date-time" },
    thing: schema("Thing"),
  }),
  Given: object({
    id: text,
    period,
    again: { type: "boolean", description: "True: flattred this month before; nothing changed." },
    code: {
      enum: ["flattr_once", "no_means", null],
      description:
        "flattr_once: flattred this month before. no_means: nothing is there to pay it, so it counts once there is money, at the latest in the days after the close; told only with money:read.",
    },
    thing: schema("Thing"),
  }),
  TakenBack: object({ id: text, period }),
  Subscription: object({
    thing: schema("Thing"),
    since: { type: "string", format: "date-time" },
    months_left: {
      ...orNull("integer"),
      description: "Openings still to come; null: without end.",
    },
    paused_at: { ...orNull("string"), format: "date-time" },
  }),
  Statement: object({
    period,
    state: { enum: ["open", "frozen", "closed", "final"] },
    settlement: { enum: ["frozen", "settled", "unfunded", "late", "lapsed", null] },
    currency: text,
    budget: amount,
    available: amount,
    count: whole,
    spent: amount,
    fee: amount,
    fee_basis_points: whole,
    value: amountOrNull,
    gave: listOf(
      object({ thing: text, payee: text, amount: amountOrNull, state: orNull("string") }),
    ),
    received: listOf(object({ thing: text, flattrs: whole, amount })),
    promised: listOf(object({ host: text, amount, released: amount })),
    balance: object({ budget: amount, earnings: amount, pending: amount }),
  }),
  Receipt: object({
    period,
    kind: { enum: ["patron", "creator"] },
    receipt: { type: "string", description: "A signed receipt (JWS, EdDSA)." },
    keys: { type: "string", description: "Where the keys are that prove it." },
  }),
  Budget: object({
    currency: text,
    budget: amount,
    available: amount,
    minimum: amount,
    ceiling: { ...amount, description: "Up to which a message to @flattr may raise it." },
    pages: { type: "string", description: "Where it is set, with a browser." },
  }),
  Preferences: object({
    mode: {
      enum: ["all", "explicit"],
      description: "all: every favourite is a flattr. explicit: only what is flattred on purpose.",
    },
    private: { type: "boolean", description: "Flattrs are private unless one says otherwise." },
  }),
} as const;

const answer = (name: keyof typeof SCHEMAS | undefined, description: string): Json => ({
  description,
  ...(name === undefined ? {} : { content: { "application/json": { schema: schema(name) } } }),
});
const many = (name: keyof typeof SCHEMAS, description: string): Json => ({
  description,
  content: { "application/json": { schema: listOf(schema(name)) } },
});
/** Refusals by status, each with the codes that it has. */
const refusals = (codes: Readonly<Record<number, string>>): Json =>
  Object.fromEntries(
    Object.entries(codes).map(([status, text]) => [status, answer("Error", text)]),
  );
const query = (name: string, of: Json, description: string, required = false): Json => ({
  name,
  in: "query",
  required,
  schema: of,
  description,
});
const body = (properties: Json, required: readonly string[] = []): Json => {
  const content = { schema: { type: "object", properties, required } };
  return {
    required: true,
    content: {
      "application/json": content,
      "application/x-www-form-urlencoded": content,
      "multipart/form-data": content,
    },
  };
};
const needs = (...scopes: string[]): Json => ({ security: [{ oauth: scopes }] });

const NO_TOKEN = {
  401: "invalid_token",
  403: "insufficient_scope",
  422: "person_required",
} as const;
const NO_MONEY = { ...NO_TOKEN, 403: "insufficient_scope, money_hidden" } as const;
const NO_THING = { ...NO_TOKEN, 404: "not_found", 422: "url_invalid, person_required" } as const;
const GIVING = {
  401: "invalid_token",
  403: "insufficient_scope, flattr_owner, payee_declined, payee_blocked",
  404: "not_found",
  409: "period_closed",
  422: "no_payee, url_invalid, document_invalid, subscription_invalid, person_required",
  503: "unreachable",
} as const;

const NAMED = {
  url: { type: "string", description: "The address of what is meant." },
  acct: { type: "string", description: "Or somebody's handle, @name@host." },
};
const IN_QUERY = [
  query("url", text, "The address of what is meant."),
  query("acct", text, "Or somebody's handle, @name@host."),
];
const MONTH = query("period", period, "The running month unless named.");

/** Everything of `/api/flattr/v1`. Its servers are put in when it is served. */
export const OPENAPI = {
  openapi: "3.1.0",
  info: {
    title: "Fediflattr",
    version: "1.0.0",
    license: { name: "AGPL-3.0-or-later", identifier: "AGPL-3.0-or-later" },
    description:
      "What Mastodon's API has no word for: flattrs, months, subscriptions. A favourite by Mastodon's API is a flattr, too. Amounts are shown to tokens with money:read alone.",
  },
  paths: {
    "/api/flattr/v1/openapi.json": {
      get: {
        summary: "This description.",
        security: [],
        responses: { 200: answer(undefined, "OpenAPI 3.1.") },
      },
    },
    "/api/flattr/v1/flattrs/current": {
      get: {
        summary: "The running month: how many flattrs, and what each is worth so far.",
        description: "The four amounts and their currency only with money:read.",
        ...needs("flattr:read"),
        responses: { 200: answer("Current", "The running month."), ...refusals(NO_TOKEN) },
      },
    },
    "/api/flattr/v1/flattrs": {
      get: {
        summary: "One's own flattrs of a month, the newest first. Pages by Link.",
        ...needs("flattr:read"),
        parameters: [
          MONTH,
          query("max_id", text, "Below this id."),
          query("since_id", text, "Above this id, the newest."),
          query("min_id", text, "Directly above this id."),
          query("limit", { type: "integer", minimum: 1, maximum: 80, default: 40 }, "On one page."),
        ],
        responses: {
          200: many("Flattr", "Flattrs."),
          ...refusals({ ...NO_TOKEN, 422: "period_invalid, person_required" }),
        },
      },
      post: {
        summary: "Flattrs an address or somebody; once per month, again changes nothing.",
        ...needs("flattr:write"),
        requestBody: body({
          ...NAMED,
          private: {
            type: "boolean",
            description: "True: nobody is told. As the preference says, unless given.",
          },
        }),
        responses: { 200: answer("Given", "The flattr of this month."), ...refusals(GIVING) },
      },
      delete: {
        summary: "Takes a flattr back, as long as its month is open.",
        ...needs("flattr:write"),
        parameters: IN_QUERY,
        responses: {
          200: answer("TakenBack", "It was never made."),
          ...refusals({
            ...NO_THING,
            409: "period_closed: the favourite is withdrawn, the money stays given",
          }),
        },
      },
    },
    "/api/flattr/v1/statement": {
      get: {
        summary: "One's own month: what was given to whom, what came from whom.",
        ...needs("flattr:read", "money:read"),
        parameters: [MONTH],
        responses: {
          200: answer("Statement", "The month."),
          ...refusals({ ...NO_MONEY, 422: "period_invalid, person_required" }),
        },
      },
    },
    "/api/flattr/v1/receipt": {
      get: {
        summary: "The signed receipt of a month.",
        ...needs("flattr:read", "money:read"),
        parameters: [
          { ...MONTH, required: true, description: "Which month." },
          query("kind", { enum: ["patron", "creator"], default: "patron" }, "Given or received."),
        ],
        responses: {
          200: answer("Receipt", "The newest receipt."),
          ...refusals({
            ...NO_MONEY,
            404: "receipt_unknown",
            422: "period_invalid, person_required",
          }),
        },
      },
    },
    "/api/flattr/v1/subscriptions": {
      get: {
        summary: "What one flattrs each month anew.",
        ...needs("flattr:read"),
        responses: { 200: many("Subscription", "Subscriptions."), ...refusals(NO_TOKEN) },
      },
      post: {
        summary:
          "Subscribes from the next month on, or changes for how long; goes on after a pause.",
        ...needs("flattr:write"),
        requestBody: body({
          ...NAMED,
          months: { type: "integer", minimum: 1, maximum: 120, description: "Without: no end." },
        }),
        responses: { 200: answer("Subscription", "The subscription."), ...refusals(GIVING) },
      },
      delete: {
        summary: "Ends a subscription; the flattr of this month stays.",
        ...needs("flattr:write"),
        parameters: IN_QUERY,
        responses: { 200: answer(undefined, "It has ended."), ...refusals(NO_THING) },
      },
    },
    "/api/flattr/v1/subscriptions/pause": {
      post: {
        summary: "Pauses a subscription: it makes no flattrs and uses up no months.",
        ...needs("flattr:write"),
        requestBody: body(NAMED),
        responses: { 200: answer("Subscription", "It pauses."), ...refusals(NO_THING) },
      },
    },
    "/api/flattr/v1/budget": {
      get: {
        summary: "The monthly budget, and what is there.",
        ...needs("flattr:read", "money:read"),
        responses: { 200: answer("Budget", "The budget."), ...refusals(NO_MONEY) },
      },
      put: {
        summary: "Always refused: a budget is set in the browser.",
        ...needs("flattr:write"),
        responses: refusals({ ...NO_TOKEN, 403: "insufficient_scope, money_in_browser" }),
      },
    },
    "/api/flattr/v1/preferences": {
      get: {
        summary: "Whether favourites are flattrs, and whether flattrs are private.",
        ...needs("flattr:read"),
        responses: { 200: answer("Preferences", "Preferences."), ...refusals(NO_TOKEN) },
      },
      put: {
        summary: "Changes them; flattrs that exist stay as they are.",
        ...needs("flattr:write"),
        requestBody: body(SCHEMAS.Preferences["properties"] as Json),
        responses: {
          200: answer("Preferences", "As they are now."),
          ...refusals({ ...NO_TOKEN, 400: "invalid_request", 422: "account_invalid" }),
        },
      },
    },
    "/api/flattr/v1/things/lookup": {
      get: {
        summary:
          "Leads from an address or a handle to the thing, if it is known here. Changes nothing.",
        security: [],
        parameters: IN_QUERY,
        responses: {
          302: { description: "The thing.", headers: { location: { schema: text } } },
          ...refusals({ 404: "not_found", 422: "url_invalid" }),
        },
      },
    },
    "/api/flattr/v1/things/{id}": {
      get: {
        summary: "A thing, who is paid for it, and how many flattred it this month.",
        security: [],
        parameters: [{ name: "id", in: "path", required: true, schema: text }],
        responses: { 200: answer("PublicThing", "The thing."), ...refusals({ 404: "not_found" }) },
      },
    },
  },
  components: {
    schemas: SCHEMAS,
    securitySchemes: {
      oauth: {
        type: "oauth2",
        flows: {
          authorizationCode: {
            authorizationUrl: "/oauth/authorize",
            tokenUrl: "/oauth/token",
            scopes: {
              "flattr:read": "See what somebody flattrs, without amounts.",
              "flattr:write": "Flattr from his budget, and take back.",
              "money:read": "See his amounts.",
            },
          },
        },
      },
    },
  },
} as const;
