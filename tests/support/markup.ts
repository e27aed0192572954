/** What a browser would run of a text that it takes for HTML. */

import { createRequire } from "node:module";

/** The parser that comes with what cleans HTML here. */
const { Parser } = createRequire(createRequire(import.meta.url).resolve("sanitize-html"))(
  "htmlparser2",
) as {
  Parser: new (handler: {
    onopentag: (name: string, attributes: Readonly<Record<string, string>>) => void;
  }) => { end: (html: string) => void };
};

/** Elements that bring something of their own into a page. */
const LIVE =
  /^(?:script|style|iframe|frame|object|embed|img|svg|math|video|audio|source|base|template|portal)$/;

/** Attributes that hold addresses. */
const ADDRESSES = ["href", "src", "action", "formaction", "data", "poster", "background"];

/** The elements and attributes of a text that do something; empty is right. */
export function liveMarkup(html: string): readonly string[] {
  const found: string[] = [];
  new Parser({
    onopentag: (name, attributes) => {
      if (LIVE.test(name)) found.push(`<${name}>`);
      for (const [attribute, value] of Object.entries(attributes)) {
        if (attribute.startsWith("on") || attribute === "style" || attribute === "srcdoc")
          found.push(`<${name} ${attribute}>`);
        // As browsers read addresses: without what stands in between.
        const address = value.replaceAll(/[\u0000-\u0020]/g, "");
        const isAddress = ADDRESSES.includes(attribute);
        if (isAddress && /^(?!https?:)[a-z][a-z0-9+.-]*:/i.test(address))
          found.push(`<${name} ${attribute}="${value}">`);
      }
    },
  }).end(html);
  return found;
}
