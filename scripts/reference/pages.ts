import { type Declaration, Declarations } from './declarations.ts'
import { documentedMembers, formatAll, memberNames, signatureOf } from './signature.ts'
import { firstSentence, markdownOf, type Resolve } from './words.ts'

/** A way into the package: `millrace/testing`, say. */
export interface Entry {
  /** What programs import. */
  readonly specifier: string
  /** The declarations that the compiler has written for it. */
  readonly declarations: string
  /** What the module says of itself. */
  readonly about: string
}

/** A page of the reference. */
export interface Page {
  readonly file: string
  readonly text: string
}

const notExported = 'Types they mention'
const notExportedNote = 'These are not exported by name: they are here so that the types above can be read.'

interface Chapter {
  readonly title: string
  readonly declarations: readonly Declaration[]
}

interface Draft {
  readonly entry: Entry
  readonly file: string
  readonly chapters: readonly Chapter[]
  readonly anchors: ReadonlyMap<Declaration, string>
}

const note = '<!-- Written by `npm run docs:reference` from the docstrings in src: change them there. -->'

/** Writes a page for every entry, and one that lists them. */
export function referencePages(entries: readonly Entry[], codes: ReadonlySet<string>): readonly Page[] {
  const tree = new Declarations()
  const exported = new Map(entries.map((entry) => [entry, [...tree.exportsOf(entry.declarations).values()]]))
  const placed = new Set([...exported.values()].flat().map(keyOf))
  const drafts = [...exported].map(([entry, own]) => draftOf(entry, own, tree, placed))
  const declarations = drafts.flatMap(({ chapters }) => chapters.flatMap((chapter) => chapter.declarations))
  const formatted = formatAll(declarations.map(signatureOf))
  const signatures = new Map(declarations.map((each, index) => [each, formatted[index] ?? '']))
  const pages = drafts.map((draft) => pageOf(draft, { drafts, tree, codes, signatures }))
  return [indexOf(drafts), ...pages]
}

interface Book {
  readonly drafts: readonly Draft[]
  readonly tree: Declarations
  readonly codes: ReadonlySet<string>
  readonly signatures: ReadonlyMap<Declaration, string>
}

function draftOf(
  entry: Entry,
  exported: readonly Declaration[],
  tree: Declarations,
  placed: Set<string>,
): Draft {
  const values = exported.filter(
    ({ kind, isTypeOnly }) => !isTypeOnly && kind !== 'interface' && kind !== 'type',
  )
  const types = exported.filter((each) => !values.includes(each))
  const chapters = [
    { title: 'Functions and classes', declarations: byName(values) },
    { title: 'Types', declarations: byName(types) },
    { title: notExported, declarations: byName(mentioned(exported, tree, placed)) },
  ].filter(({ declarations }) => declarations.length > 0)
  return { entry, file: fileOf(entry.specifier), chapters, anchors: anchorsOf(chapters) }
}

/** What the declarations of an entry mention, at one remove or more, and has no place yet; it is given one. */
function mentioned(
  exported: readonly Declaration[],
  tree: Declarations,
  placed: Set<string>,
): readonly Declaration[] {
  const found: Declaration[] = []
  const queue = [...exported]
  for (let each = queue.pop(); each !== undefined; each = queue.pop()) {
    const news = tree.mentionedBy(each).filter((other) => !placed.has(keyOf(other)))
    for (const other of news) placed.add(keyOf(other))
    found.push(...news)
    queue.push(...news)
  }
  return found
}

/** Headings that differ in case only get a number, as GitHub counts them. */
function anchorsOf(chapters: readonly Chapter[]): ReadonlyMap<Declaration, string> {
  const taken = new Map<string, number>()
  const anchors = new Map<Declaration, string>()
  const anchorOf = (heading: string) => {
    const slug = heading.toLowerCase().replace(/ /g, '-')
    const count = taken.get(slug) ?? 0
    taken.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  }
  for (const { title, declarations } of chapters) {
    anchorOf(title)
    for (const each of declarations) anchors.set(each, anchorOf(each.name))
  }
  return anchors
}

function pageOf(draft: Draft, book: Book): Page {
  const { entry, file, chapters } = draft
  const parts = [note, `# ${entry.specifier}`, entry.about, importOf(entry, chapters)]
  for (const { title, declarations } of chapters) {
    parts.push(`## ${title}`, title === notExported ? notExportedNote : '', contents(draft, declarations))
    for (const each of declarations) parts.push(...sectionOf(each, draft, book))
  }
  return { file, text: `${parts.filter((part) => part !== '').join('\n\n')}\n` }
}

function importOf({ specifier }: Entry, [values]: readonly Chapter[]): string {
  const names = values?.declarations.map(({ name }) => name).join(', ') ?? ''
  return `\`\`\`ts\nimport { ${names} } from '${specifier}'\n\`\`\``
}

function contents({ anchors }: Draft, declarations: readonly Declaration[]): string {
  return declarations.map((each) => `[\`${each.name}\`](#${anchors.get(each)})`).join(' · ')
}

function sectionOf(declaration: Declaration, draft: Draft, book: Book): readonly string[] {
  const resolve: Resolve = (name) => addressOf(name, declaration, draft, book)
  const signature = book.signatures.get(declaration) ?? ''
  const words = (docstring: string) => markdownOf(docstring, resolve, book.codes)
  const members = documentedMembers(declaration)
  const mentions = book.tree.mentionedBy(declaration).map(({ name }) => `[\`${name}\`](${resolve(name)})`)
  return [
    `### ${declaration.name}`,
    `\`\`\`ts\n${signature}\n\`\`\``,
    words(declaration.docstring),
    members.map(({ name, docstring }) => `- **\`${name}\`** ${indented(words(docstring))}`).join('\n'),
    mentions.length === 0 ? '' : `Mentions ${mentions.join(', ')}.`,
  ]
}

/**
 * The address of a name, or of a member behind a dot: of what it means in the file that mentions it, else of whatever has
 * that name in the reference. A member of the declaration itself is found there. Empty for what has no place in it.
 */
function addressOf(name: string, by: Declaration, draft: Draft, book: Book): string | undefined {
  const [owner = ''] = name.split('.')
  const meant = book.tree.find(by.file.path, owner)
  const isMeant = (other: Declaration) =>
    meant === undefined ? other.name === owner : keyOf(other) === keyOf(meant)
  for (const each of [draft, ...book.drafts]) {
    for (const [declaration, anchor] of each.anchors) {
      if (isMeant(declaration)) return each === draft ? `#${anchor}` : `${each.file}#${anchor}`
    }
  }
  if (memberNames(by).includes(name)) return `#${draft.anchors.get(by)}`
  return meant === undefined ? undefined : ''
}

function indexOf(drafts: readonly Draft[]): Page {
  const lines = drafts.map(({ entry, file, chapters, anchors }) => {
    const values = chapters[0]?.declarations ?? []
    const listed = values.map(
      (each) =>
        `- [\`${each.name}\`](${file}#${anchors.get(each)}): ${firstSentence(each.docstring).replace(/\{@link ([\w.]+)\}/g, '`$1`')}`,
    )
    return `## [${entry.specifier}](${file})\n\n${entry.about}\n\n${listed.join('\n')}`
  })
  const intro = 'What the package exports, one page for each way into it.'
  return { file: 'README.md', text: `${[note, '# Reference', intro, ...lines].join('\n\n')}\n` }
}

function fileOf(specifier: string): string {
  return `${specifier.split('/').slice(1).join('-') || specifier}.md`
}

function byName(declarations: readonly Declaration[]): readonly Declaration[] {
  const plain = ({ name }: Declaration) => name.toLowerCase()
  return [...declarations].sort((a, b) => (plain(a) < plain(b) ? -1 : plain(a) > plain(b) ? 1 : 0))
}

function keyOf({ file, name }: Declaration): string {
  return `${file.path}#${name}`
}

function indented(text: string): string {
  return text.replace(/\n(?=.)/g, '\n  ')
}
