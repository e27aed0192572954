/** Whether somebody who asks wants a document or a page; both stand at one address. */

/** Types of documents that servers ask for. */
const DOCUMENTS = new Set(["application/activity+json", "application/ld+json", "application/json"]);

/** Types of pages that browsers ask for. */
const PAGES = new Set(["text/html", "application/xhtml+xml"]);

/** Types of one header that are looked at. */
const TYPES_MAX = 30;

/** True when a document is asked for, and not rather a page. Whoever takes anything gets the page. */
export function wantsDocument(accept: string | null): boolean {
  const wanted = (accept ?? "")
    .split(",")
    .slice(0, TYPES_MAX)
    .map((part) => {
      const [type = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
      const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
      return { type, quality: quality === undefined ? 1 : Number(quality) };
    })
    .filter(({ quality }) => quality > 0);
  const best = (types: ReadonlySet<string>) =>
    Math.max(0, ...wanted.filter(({ type }) => types.has(type)).map(({ quality }) => quality));
  const [document, page] = [best(DOCUMENTS), best(PAGES)];
  if (document !== page) return document > page;
  const first = wanted.find(({ type }) => DOCUMENTS.has(type) || PAGES.has(type));
  return first !== undefined && DOCUMENTS.has(first.type);
}
