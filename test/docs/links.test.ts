/**
 * Links between documents: each names a file or folder that exists, and each anchor a heading of its page. Anchors are
 * made from headings as GitHub makes them: lower case, punctuation removed, blanks as dashes. Links in code, and links
 * to other sites, are not checked.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { assert, suite } from "../harness.ts";

const test = suite("docs/links");
const root = join(import.meta.dirname, "../..");

const withoutCode = (markdown: string): string =>
  markdown.replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`]*\]\([^`]*`/g, "");

/** The anchors of a page's headings; the second of one name has `-1` behind it, the third `-2`. */
function anchorsOf(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutCode(markdown).matchAll(/^#+ (.*)$/gm)) {
    const name = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .trim()
      .toLowerCase();
    const anchor = name.replace(/[^\p{L}\p{N}_\- ]/gu, "").replaceAll(" ", "-");
    const count = seen.get(anchor) ?? 0;
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
    seen.set(anchor, count + 1);
  }
  return anchors;
}

/** The links of a page that lead nowhere; `read` returns the text of a file, "" for a folder, null for neither. */
function brokenLinks(page: string, markdown: string, read: (path: string) => string | null): string[] {
  const broken: string[] = [];
  for (const [, link = ""] of withoutCode(markdown).matchAll(/\]\(([^()\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [path = "", anchor] = link.split("#");
    const text = path === "" ? markdown : read(join(dirname(page), path));
    if (text === null) broken.push(`${page}: ${link}: no such file`);
    else if (anchor !== undefined && !anchorsOf(text).has(anchor))
      broken.push(`${page}: ${link}: no such heading`);
  }
  return broken;
}

function readHere(path: string): string | null {
  const file = join(root, path);
  if (!existsSync(file)) return null;
  return statSync(file).isDirectory() ? "" : readFileSync(file, "utf8");
}

const pages = ["", "docs", "pcaps"].flatMap(folder =>
  readdirSync(join(root, folder), { recursive: folder !== "", encoding: "utf8" })
    .filter(name => name.endsWith(".md"))
    .map(name => relative(root, join(root, folder, name))),
);

test("every link of a document leads somewhere", () => {
  assert.ok(pages.includes("README.md") && pages.includes("docs/verify.md"));
  assert.equal(
    pages.flatMap(page => brokenLinks(page, readHere(page)!, readHere)),
    [],
  );
});

test("a link to a missing file or heading is found, and others are not", () => {
  const files: Record<string, string> = {
    "docs/b.md": "# A `code`, twice\n\n## Same\n\n## Same\n",
    "docs/img": "",
  };
  const page = [
    "[fine](b.md) [fine](b.md#a-code-twice) [fine](b.md#same-1) [fine](#here) [fine](https://example.net/x#y) [folder](img)",
    "`[code](c.md)`",
    "[missing](c.md) [heading](b.md#same-2) [own](#there)",
    "## Here",
  ];
  const broken = brokenLinks("docs/a.md", page.join("\n\n"), path => files[path] ?? null);
  assert.equal(broken, [
    "docs/a.md: c.md: no such file",
    "docs/a.md: b.md#same-2: no such heading",
    "docs/a.md: #there: no such heading",
  ]);
});

test.run();
