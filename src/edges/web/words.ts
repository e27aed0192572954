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
  reactions: "Liked {favourites} times, passed on {boosts} times",
  sensitive: "Sensitive",
  gone: "Gone",
  goneText: "What stood at this address was deleted.",
  nothing: "Nothing here",
  nothingText: "There is nothing at this address, or nothing that everybody may see.",
  tagged: "Posts of this instance with #{tag}",
  notOurs: "Not sent from here",
  notOursText:
    "This did not come from a page of {origin}, or that page was too old. Nothing was changed. Please open the page again.",
  signIn: "Sign in",
  signInAt: "Sign in at {host}",
  signOut: "Sign out",
  signedInAs: "Signed in as {name}.",
  asSomebodyElse: "Sign in as somebody else",
  proveAgain:
    "Nothing was changed: money is set only shortly after you gave your password. Give it once more.",
  nameOrEmail: "Name or e-mail address",
  password: "Password",
  wrongPassword: "Nobody here has this name with this password.",
  waitToSignIn: "That was tried too often. Please try again in {wait}.",
  secondFactor:
    "The password is right, but this account asks for more ({factors}), which this page cannot take.",
  seconds: "{count} seconds",
  minutes: "{count} minutes",
  hours: "{count} hours",
  allowTitle: "Allow {app}?",
  allow: "Allow",
  signInAndAllow: "Sign in and allow",
  deny: "Deny",
  denied: "Denied",
  deniedText: "The app was allowed nothing.",
  namelessApp: "An app without a name",
  websiteOf: "Its website: {host}.",
  noWebsite: "It names no website.",
  goesTo: "You will be sent on to {place}.",
  showsCode: "You will be shown a code to type into it.",
  appMay: "This app wants to:",
  mayNever: "It never sees your password, and cannot pay money in or out.",
  maySpend:
    "It may flattr from your budget: each favourite in this app is a flattr, and at the end of the month your budget is divided equally among them.",
  showsMoney: "Show my money figures in this app",
  showsMoneyNote: "Budget and amounts. Without this it sees counts, never amounts.",
  notFlattrs: "Favourites from this app are not flattrs",
  notFlattrsNote: "Then they are favourites and nothing else.",
  codeTitle: "Your code",
  codeText: "Copy this code into {app}. It works once, within ten minutes. Give it to nobody else.",
  authorizeFault: "This app cannot be let in",
  authorizeUnknownApp:
    "Nobody knows this app here. Start again from the app; it registers itself anew.",
  authorizeRedirect:
    "The app wants you to be sent to an address that it did not register. For your safety you are not sent there.",
  authorizeRequest: "The app asked in a way that cannot be answered.",
  authorizeScope:
    "The app asks for more than it registered for, or for something that there is not.",
  authorizeProof: "The app protects its code in a way that is not safe. It must use S256.",
  scopeRead: "Read all that you can see: posts, notifications, lists, whom you follow. No amounts.",
  scopeReadOnly: "Read: {things}",
  scopeWrite: "Act for you: write posts, favourite, follow, change your profile and your settings",
  scopeWriteOnly: "Change: {things}",
  scopesAlone: {
    follow: "See and change whom you follow, mute and block",
    push: "Send you notifications",
    profile: "See who you are: name, picture and address",
    "flattr:read": "See what you flattr, without amounts",
    "flattr:write": "Flattr for you, and take flattrs back",
  },
  scopeThings: {
    accounts: "your profile",
    blocks: "blocks",
    bookmarks: "bookmarks",
    conversations: "conversations",
    favourites: "favourites",
    filters: "filters",
    follows: "follows",
    lists: "lists",
    media: "pictures",
    mutes: "mutes",
    notifications: "notifications",
    reports: "reports",
    search: "search",
    statuses: "posts",
  },
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
  reactions: "{favourites} Mal favorisiert, {boosts} Mal geteilt",
  sensitive: "Heikel",
  gone: "Gelöscht",
  goneText: "Was an dieser Adresse stand, wurde gelöscht.",
  nothing: "Hier ist nichts",
  nothingText: "An dieser Adresse ist nichts, oder nichts, das alle sehen dürfen.",
  tagged: "Beiträge dieser Instanz mit #{tag}",
  notOurs: "Nicht von hier gesendet",
  notOursText:
    "Das kam nicht von einer Seite von {origin}, oder die Seite war zu alt. Nichts wurde geändert. Bitte öffne die Seite noch einmal.",
  signIn: "Anmelden",
  signInAt: "Bei {host} anmelden",
  signOut: "Abmelden",
  signedInAs: "Angemeldet als {name}.",
  asSomebodyElse: "Mit anderem Konto anmelden",
  proveAgain:
    "Nichts wurde geändert: Geld wird nur kurz nach der Eingabe des Passworts eingestellt. Bitte noch einmal eingeben.",
  nameOrEmail: "Name oder E-Mail-Adresse",
  password: "Passwort",
  wrongPassword: "Niemand hier hat diesen Namen mit diesem Passwort.",
  waitToSignIn: "Das wurde zu oft versucht. Bitte versuche es in {wait} noch einmal.",
  secondFactor:
    "Das Passwort stimmt, aber dieses Konto verlangt mehr ({factors}), was diese Seite nicht annehmen kann.",
  seconds: "{count} Sekunden",
  minutes: "{count} Minuten",
  hours: "{count} Stunden",
  allowTitle: "{app} erlauben?",
  allow: "Erlauben",
  signInAndAllow: "Anmelden und erlauben",
  deny: "Ablehnen",
  denied: "Abgelehnt",
  deniedText: "Der App wurde nichts erlaubt.",
  namelessApp: "Eine App ohne Namen",
  websiteOf: "Ihre Website: {host}.",
  noWebsite: "Sie nennt keine Website.",
  goesTo: "Du wirst zu {place} weitergeleitet.",
  showsCode: "Dir wird ein Code gezeigt, den du in sie eingibst.",
  appMay: "Diese App möchte:",
  mayNever: "Sie sieht nie dein Passwort und kann kein Geld ein- oder auszahlen.",
  maySpend:
    "Sie darf aus deinem Budget flattrn: Jeder Favorit in dieser App ist ein Flattr, und am Ende des Monats wird dein Budget zu gleichen Teilen darauf verteilt.",
  showsMoney: "Meine Geldbeträge in dieser App zeigen",
  showsMoneyNote: "Budget und Beträge. Sonst sieht sie nur Anzahlen, nie Beträge.",
  notFlattrs: "Favoriten aus dieser App sind keine Flattrs",
  notFlattrsNote: "Dann sind es Favoriten und sonst nichts.",
  codeTitle: "Dein Code",
  codeText:
    "Übertrage diesen Code in {app}. Er gilt einmal, zehn Minuten lang. Gib ihn niemandem sonst.",
  authorizeFault: "Diese App kann nicht eingelassen werden",
  authorizeUnknownApp:
    "Diese App ist hier nicht bekannt. Beginne noch einmal in der App; sie meldet sich dann neu an.",
  authorizeRedirect:
    "Die App will dich zu einer Adresse schicken, die sie nicht angegeben hat. Zu deiner Sicherheit wirst du nicht weitergeleitet.",
  authorizeRequest: "Die App hat auf eine Weise gefragt, die nicht beantwortet werden kann.",
  authorizeScope: "Die App verlangt mehr, als sie angegeben hat, oder etwas, das es nicht gibt.",
  authorizeProof: "Die App schützt ihren Code auf unsichere Weise. Sie muss S256 verwenden.",
  scopeRead:
    "Alles lesen, was du siehst: Beiträge, Mitteilungen, Listen, wem du folgst. Keine Beträge.",
  scopeReadOnly: "Lesen: {things}",
  scopeWrite:
    "Für dich handeln: Beiträge schreiben, favorisieren, folgen, dein Profil und deine Einstellungen ändern",
  scopeWriteOnly: "Ändern: {things}",
  scopesAlone: {
    follow: "Sehen und ändern, wem du folgst, wen du stummschaltest und blockierst",
    push: "Dir Mitteilungen schicken",
    profile: "Sehen, wer du bist: Name, Bild und Adresse",
    "flattr:read": "Sehen, was du flattrst, ohne Beträge",
    "flattr:write": "Für dich flattrn und Flattrs zurücknehmen",
  },
  scopeThings: {
    accounts: "dein Profil",
    blocks: "Blockierungen",
    bookmarks: "Lesezeichen",
    conversations: "Unterhaltungen",
    favourites: "Favoriten",
    filters: "Filter",
    follows: "wem du folgst",
    lists: "Listen",
    media: "Bilder",
    mutes: "Stummschaltungen",
    notifications: "Mitteilungen",
    reports: "Meldungen",
    search: "Suche",
    statuses: "Beiträge",
  },
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
  reactions: "{favourites} keer favoriet, {boosts} keer gedeeld",
  sensitive: "Gevoelig",
  gone: "Verwijderd",
  goneText: "Wat op dit adres stond, is verwijderd.",
  nothing: "Hier is niets",
  nothingText: "Op dit adres staat niets, of niets dat iedereen mag zien.",
  tagged: "Berichten van deze instantie met #{tag}",
  notOurs: "Niet van hier verstuurd",
  notOursText:
    "Dit kwam niet van een pagina van {origin}, of die pagina was te oud. Er is niets gewijzigd. Open de pagina opnieuw.",
  signIn: "Inloggen",
  signInAt: "Inloggen bij {host}",
  signOut: "Uitloggen",
  signedInAs: "Ingelogd als {name}.",
  asSomebodyElse: "Inloggen als iemand anders",
  proveAgain:
    "Er is niets gewijzigd: geld wordt alleen ingesteld kort nadat je je wachtwoord hebt gegeven. Geef het nog een keer.",
  nameOrEmail: "Naam of e-mailadres",
  password: "Wachtwoord",
  wrongPassword: "Niemand hier heeft deze naam met dit wachtwoord.",
  waitToSignIn: "Dat is te vaak geprobeerd. Probeer het over {wait} opnieuw.",
  secondFactor:
    "Het wachtwoord klopt, maar dit account vraagt meer ({factors}), wat deze pagina niet kan aannemen.",
  seconds: "{count} seconden",
  minutes: "{count} minuten",
  hours: "{count} uur",
  allowTitle: "{app} toestaan?",
  allow: "Toestaan",
  signInAndAllow: "Inloggen en toestaan",
  deny: "Weigeren",
  denied: "Geweigerd",
  deniedText: "De app mag niets.",
  namelessApp: "Een app zonder naam",
  websiteOf: "De website: {host}.",
  noWebsite: "Er is geen website opgegeven.",
  goesTo: "Je wordt doorgestuurd naar {place}.",
  showsCode: "Je krijgt een code te zien om in de app in te voeren.",
  appMay: "Deze app wil:",
  mayNever: "De app ziet nooit je wachtwoord en kan geen geld storten of opnemen.",
  maySpend:
    "De app mag flattrn uit je budget: elke favoriet in deze app is een flattr, en aan het eind van de maand wordt je budget er gelijk over verdeeld.",
  showsMoney: "Mijn bedragen in deze app tonen",
  showsMoneyNote: "Budget en bedragen. Anders ziet de app alleen aantallen, nooit bedragen.",
  notFlattrs: "Favorieten uit deze app zijn geen flattrs",
  notFlattrsNote: "Dan zijn het favorieten en verder niets.",
  codeTitle: "Je code",
  codeText:
    "Neem deze code over in {app}. Hij werkt één keer, tien minuten lang. Geef hem aan niemand anders.",
  authorizeFault: "Deze app kan niet worden toegelaten",
  authorizeUnknownApp:
    "Deze app is hier niet bekend. Begin opnieuw in de app; die meldt zich dan opnieuw aan.",
  authorizeRedirect:
    "De app wil je naar een adres sturen dat niet is opgegeven. Voor je veiligheid word je niet doorgestuurd.",
  authorizeRequest: "De app vroeg iets op een manier die niet te beantwoorden is.",
  authorizeScope: "De app vraagt meer dan is opgegeven, of iets dat er niet is.",
  authorizeProof: "De app beschermt de code op een onveilige manier. S256 is verplicht.",
  scopeRead:
    "Alles lezen wat jij ziet: berichten, meldingen, lijsten, wie je volgt. Geen bedragen.",
  scopeReadOnly: "Lezen: {things}",
  scopeWrite:
    "Namens jou handelen: berichten schrijven, favorieten kiezen, volgen, je profiel en instellingen wijzigen",
  scopeWriteOnly: "Wijzigen: {things}",
  scopesAlone: {
    follow: "Zien en wijzigen wie je volgt, negeert en blokkeert",
    push: "Je meldingen sturen",
    profile: "Zien wie je bent: naam, afbeelding en adres",
    "flattr:read": "Zien wat je flattrt, zonder bedragen",
    "flattr:write": "Namens jou flattrn en flattrs terugnemen",
  },
  scopeThings: {
    accounts: "je profiel",
    blocks: "blokkades",
    bookmarks: "bladwijzers",
    conversations: "gesprekken",
    favourites: "favorieten",
    filters: "filters",
    follows: "wie je volgt",
    lists: "lijsten",
    media: "afbeeldingen",
    mutes: "genegeerden",
    notifications: "meldingen",
    reports: "rapportages",
    search: "zoeken",
    statuses: "berichten",
  },
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
