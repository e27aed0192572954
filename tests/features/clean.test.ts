import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cleanHtml, cleanName, plainText, shownHandle } from "../../src/features/post/clean.ts";
import { marksOf, renderText } from "../../src/features/post/text.ts";
import { cpuTimer } from "../support/cpu.ts";

/** Elements, attributes and classes that may stand in what is shown. */
const ELEMENT = /<(\/?)([a-z]+)((?: [a-z]+="[^"<>]*")*)( ?\/?)>/g;
const ALLOWED = new Set("p br a span em strong del code pre blockquote ul ol li".split(" "));

/** What is not harmless in HTML, found without the library that cleans it. */
function harmIn(html: string): string[] {
  const harm: string[] = [];
  const rest = html.replaceAll(ELEMENT, (_, __, name: string, attributes: string) => {
    if (!ALLOWED.has(name)) harm.push(`<${name}>`);
    for (const [, attribute, value] of attributes.matchAll(/ ([a-z]+)="([^"]*)"/g)) {
      if (!["href", "rel", "class"].includes(attribute!)) harm.push(`${name} ${attribute}`);
      if (attribute === "href" && !/^https?:\/\/[^/]/i.test(value!)) harm.push(`href ${value}`);
    }
    return "";
  });
  if (/[<>]/.test(rest)) harm.push(rest);
  return harm;
}

describe("HTML of other servers", () => {
  test.each([
    ["<img src=x onerror=alert(1)>", ""],
    ['<a href="javascript:alert(1)">x</a>', '<a rel="nofollow noopener noreferrer ugc">x</a>'],
    ['<a href=" java\nscript:alert(1)">x</a>', '<a rel="nofollow noopener noreferrer ugc">x</a>'],
    ['<a href="/settings">x</a>', '<a rel="nofollow noopener noreferrer ugc">x</a>'],
    ['<a href="//evil.example">x</a>', '<a rel="nofollow noopener noreferrer ugc">x</a>'],
    ['<a href="data:text/html,x">x</a>', '<a rel="nofollow noopener noreferrer ugc">x</a>'],
    ["<svg onload=alert(1)><p>x</p></svg>", "<p>x</p>"],
    ["<script>alert(1)</script><style>p{}</style>x", "x"],
    ['"><script>alert(1)</script>', '"&gt;'],
    ['<p style="background:url(https://evil.example)" class="card" id="main">x</p>', "<p>x</p>"],
    ["<h1>Title</h1><table><tr><td>x</td></tr></table>", "Titlex"],
    ["<form action=/x><input name=a><button>b</button></form>", "b"],
    ["<iframe src=https://evil.example></iframe>", ""],
    ["<p>open <b>bold", "<p>open bold</p>"],
    ["<!-- <script>x</script> --><p>x</p>", "<p>x</p>"],
  ])("%s becomes %s", (html, clean) => {
    expect(cleanHtml(html)).toBe(clean);
  });

  test("keeps what servers write", () => {
    const html =
      '<p>Hi <span class="h-card other"><a href="https://far.example/@ann" class="u-url mention big" target="_blank" rel="me">@<span>ann</span></a></span><br />' +
      "<strong>a</strong> <em>b</em> <del>c</del> <code>d</code></p><blockquote><ul><li>e</li></ul></blockquote><pre>f</pre>";
    expect(cleanHtml(html)).toBe(
      '<p>Hi <span class="h-card"><a href="https://far.example/@ann" class="u-url mention" rel="nofollow noopener noreferrer ugc">@<span>ann</span></a></span><br />' +
        "<strong>a</strong> <em>b</em> <del>c</del> <code>d</code></p><blockquote><ul><li>e</li></ul></blockquote><pre>f</pre>",
    );
    expect(plainText("<p>a<br>b</p><p>&lt;c&gt; &amp;amp;</p>")).toBe("a b <c> &amp;");
  });

  test("is harmless, whatever it was", () => {
    const piece = fc.constantFrom(
      ...'<p> </p> <a href=" https://x.example javascript: " \' > < / <script> <svg/onload= <img src=x <!-- --> &lt; &#x3c; &#106; <math> <style> url( \\ \0 \u2028 class=mention <span <a <b ]]> <![CDATA['.split(
        " ",
      ),
      "text",
      " ",
      "\n",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const clean = cleanHtml(pieces.join(""));
        expect(harmIn(clean), pieces.join("")).toEqual([]);
        expect(harmIn(cleanHtml(clean))).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test("is cleaned in time, however deep or long", () => {
    const spentMs = cpuTimer();
    for (const html of [
      "<blockquote>".repeat(8000),
      "<a href='".repeat(8000),
      "&".repeat(99_000),
      "<".repeat(99_000),
    ])
      cleanHtml(html);
    expect(spentMs()).toBeLessThan(5000);
  });
});

describe("names", () => {
  test.each([
    ["B\u202eob", "Bob"],
    ["a\u200bd\u2060m\ufeffin", "admin"],
    ["  two \n lines\t", "two lines"],
    ["\u0000\u0007x", "x"],
    ["Zoë 🎉 名", "Zoë 🎉 名"],
    ["x".repeat(500), "x".repeat(100)],
  ])("%j is shown as %j", (name, shown) => {
    expect(cleanName(name)).toBe(shown);
  });

  test.each([
    ["bob", "home.example", "@bob@home.example"],
    ["bob", "xn--hme-tna.example", "@bob@xn--hme-tna.example"],
    ["bob", "h\u043eme.example", "@bob@xn--hme-sed.example"],
    ["b<b>ob", "home.example:8443", "@b?b?ob@home.example:8443"],
    [null, "home.example", "@?@home.example"],
  ])("%s at %s is %s", (name, host, handle) => {
    expect(shownHandle(name, host)).toBe(handle);
  });
});

describe("what people type", () => {
  const ann = { uri: "https://far.example/users/ann", name: "ann", host: "far.example", url: null };
  const show = (text: string) => renderText(text, [ann], "https://home.example");

  test.each([
    ["a\nb\n\n\nc", "<p>a<br>b</p><p>c</p>"],
    ["a\r\nb", "<p>a<br>b</p>"],
    ["<b> & \"quotes\" 'n'", "<p>&lt;b&gt; &amp; &quot;quotes&quot; &#39;n&#39;</p>"],
    ["mail me@far.example", "<p>mail me@far.example</p>"],
    [
      "see http://x.example/a_(b).",
      '<p>see <a href="http://x.example/a_(b" rel="nofollow noopener noreferrer">http://x.example/a_(b</a>).</p>',
    ],
    ["javascript:alert(1) ftp://x.example", "<p>javascript:alert(1) ftp://x.example</p>"],
    [
      "#1 is no tag, #a1 is",
      '<p>#1 is no tag, <a href="https://home.example/tags/a1" class="mention hashtag" rel="tag">#<span>a1</span></a> is</p>',
    ],
    [
      "https://x.example/#frag @nobody",
      '<p><a href="https://x.example/#frag" rel="nofollow noopener noreferrer">https://x.example/#frag</a> @nobody</p>',
    ],
  ])("%j becomes %s", (text, html) => {
    expect(show(text)).toBe(html);
  });

  test("finds mentions and hashtags, each once", () => {
    expect(
      marksOf("@ann@far.example @Ann@far.example @bob #Über #über (#x) a#b @c@127.0.0.1:4101!"),
    ).toEqual({
      handles: [
        { name: "Ann", host: "far.example" },
        { name: "bob", host: undefined },
        { name: "c", host: "127.0.0.1:4101" },
      ],
      tags: ["über", "x"],
    });
  });

  test("is harmless, whatever it was, and loses nothing", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(..."<>&\"'@#/:.ah \n\u00fc😀"), maxLength: 200 }),
        (text) => {
          const html = show(text);
          expect(harmIn(html.replaceAll("<br>", "<br />")), text).toEqual([]);
          const words = (some: string) => some.replaceAll(/\s/g, "");
          expect(words(plainText(html).replaceAll("&#39;", "'"))).toBe(words(text));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("is read in time", () => {
    const spentMs = cpuTimer();
    for (const part of ["@a", "@a.", "#", "http://", "@a@b.", "@a@1:2"])
      show(part.repeat(5000 / part.length));
    expect(spentMs()).toBeLessThan(2000);
  });
});

test("punctuation without an end in an address is read in one pass", () => {
  const spentMs = cpuTimer();
  const text = `https://a.example/${".".repeat(200_000)}x, https://b.example/y).`;
  expect(marksOf(text)).toEqual({ handles: [], tags: [] });
  // One pass for each of its letters would take minutes.
  expect(spentMs()).toBeLessThan(1_000);
  expect(renderText("See https://b.example/y).", [], "https://home.example")).toContain(
    ">https://b.example/y</a>).",
  );
});
