/** What the pages say, in every language. A missing key does not compile. */

const en = {
  title: "Fediflattr",
  lead: "Set a monthly budget. Favourite what you like. At the end of the month your budget is divided equally over it.",
  exampleTitle: "How it works",
  example:
    "2.00 EUR and 10 favourites give each creator 20 cents, 20 favourites give 10. One click is one share.",
  creatorsTitle: "Creators",
  creators:
    "Whoever wrote what you flattr needs no account here: the money waits until they prove who they are, and after {months} months it goes back to you.",
  feeTitle: "Fee",
  feeNone: "This instance takes no fee.",
  fee: "This instance takes {percent} % before the budget is divided. Nothing else is taken.",
  custodyTitle: "Where the money is",
  custody: "Money is paid in before it is given, and this instance holds it until then.",
  source: "Free software (AGPL 3.0 or later).",
  since: "Here since {date}",
  follow: "Follow this address from any server of the fediverse:",
  counts: "{posts} posts · {following} following · {followers} followers",
  noPosts: "Nothing has been written here yet.",
  older: "Older posts",
  inReplyTo: "In reply to",
  edited: "edited {date}",
  attachment: "Attachment",
  reactions: "Liked {favourites} times elsewhere, passed on {boosts} times",
  sensitive: "Sensitive",
  gone: "Gone",
  goneText: "What stood at this address was deleted.",
  nothing: "Nothing here",
  nothingText: "There is nothing at this address, or nothing that everybody may see.",
  tagged: "Posts of this instance with #{tag}",
};

export type Words = typeof en;

const de: Words = {
  title: "Fediflattr",
  lead: "Lege ein Monatsbudget fest. Favorisiere, was dir gefällt. Am Ende des Monats wird dein Budget zu gleichen Teilen darauf verteilt.",
  exampleTitle: "So geht es",
  example:
    "2,00 EUR und 10 Favoriten ergeben für jeden 20 Cent, 20 Favoriten ergeben 10. Ein Klick ist ein Anteil.",
  creatorsTitle: "Wer etwas schafft",
  creators:
    "Wer geschrieben hat, was du flattrst, braucht hier kein Konto: Das Geld wartet, bis sie zeigen, wer sie sind, und kommt nach {months} Monaten zu dir zurück.",
  feeTitle: "Gebühr",
  feeNone: "Diese Instanz nimmt keine Gebühr.",
  fee: "Diese Instanz nimmt {percent} %, bevor das Budget verteilt wird. Sonst nichts.",
  custodyTitle: "Wo das Geld ist",
  custody: "Geld wird eingezahlt, bevor es gegeben wird, und so lange verwahrt es diese Instanz.",
  source: "Freie Software (AGPL 3.0 oder neuer).",
  since: "Hier seit {date}",
  follow: "Von jedem Server des Fediverse aus kannst du dieser Adresse folgen:",
  counts: "{posts} Beiträge · folgt {following} · {followers} Folgende",
  noPosts: "Hier wurde noch nichts geschrieben.",
  older: "Ältere Beiträge",
  inReplyTo: "Antwort auf",
  edited: "bearbeitet {date}",
  attachment: "Anhang",
  reactions: "Anderswo {favourites} Mal favorisiert, {boosts} Mal geteilt",
  sensitive: "Heikel",
  gone: "Gelöscht",
  goneText: "Was an dieser Adresse stand, wurde gelöscht.",
  nothing: "Hier ist nichts",
  nothingText: "An dieser Adresse ist nichts, oder nichts, das alle sehen dürfen.",
  tagged: "Beiträge dieser Instanz mit #{tag}",
};

const nl: Words = {
  title: "Fediflattr",
  lead: "Kies een maandbudget. Markeer als favoriet wat je goed vindt. Aan het eind van de maand wordt je budget er gelijk over verdeeld.",
  exampleTitle: "Zo werkt het",
  example:
    "2,00 EUR en 10 favorieten geven iedere maker 20 cent, 20 favorieten geven er 10. Eén klik is één deel.",
  creatorsTitle: "Makers",
  creators:
    "Wie schreef wat jij flattrt, heeft hier geen account nodig: het geld wacht tot zij laten zien wie ze zijn, en komt na {months} maanden naar je terug.",
  feeTitle: "Kosten",
  feeNone: "Deze instantie houdt niets in.",
  fee: "Deze instantie houdt {percent} % in voordat het budget wordt verdeeld. Verder niets.",
  custodyTitle: "Waar het geld is",
  custody: "Geld wordt gestort voordat het wordt gegeven, en tot dan bewaart deze instantie het.",
  source: "Vrije software (AGPL 3.0 of nieuwer).",
  since: "Hier sinds {date}",
  follow: "Volg dit adres vanaf elke server van de fediverse:",
  counts: "{posts} berichten · volgt {following} · {followers} volgers",
  noPosts: "Hier is nog niets geschreven.",
  older: "Oudere berichten",
  inReplyTo: "Antwoord op",
  edited: "bewerkt {date}",
  attachment: "Bijlage",
  reactions: "Elders {favourites} keer favoriet, {boosts} keer gedeeld",
  sensitive: "Gevoelig",
  gone: "Verwijderd",
  goneText: "Wat op dit adres stond, is verwijderd.",
  nothing: "Hier is niets",
  nothingText: "Op dit adres staat niets, of niets dat iedereen mag zien.",
  tagged: "Berichten van deze instantie met #{tag}",
};

/** The languages of the pages; English is what the others are checked against. */
export const LANGUAGES = { en, de, nl } as const;
export type Language = keyof typeof LANGUAGES;

/** The language that a reader prefers among ours; English when none is named. @see https://www.rfc-editor.org/rfc/rfc9110#name-accept-language */
export function preferredLanguage(acceptLanguage: string | undefined): Language {
  const wanted = (acceptLanguage ?? "")
    .split(",")
    .slice(0, 20)
    .map((part) => {
      const [tag = "", ...parameters] = part.trim().split(";");
      const quality = parameters
        .map((parameter) => /^\s*q=([01](?:\.\d{0,3})?)\s*$/.exec(parameter)?.[1])
        .find((q) => q !== undefined);
      return {
        language: tag.split("-")[0]!.toLowerCase(),
        quality: quality === undefined ? 1 : Number(quality),
      };
    })
    .filter(({ language, quality }) => Object.hasOwn(LANGUAGES, language) && quality > 0)
    .sort((one, other) => other.quality - one.quality);
  return (wanted[0]?.language as Language | undefined) ?? "en";
}

/** Puts values into a sentence. */
export function fill(sentence: string, values: Readonly<Record<string, string>>): string {
  return sentence.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
