/** The page of this instance on which somebody looks after his own money, signed in with a browser. */
export function ownPages(origin: string): string {
  return `${origin}/settings`;
}
