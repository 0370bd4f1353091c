/** Gives the address of a name, as a page links it; empty for one that has no place in the reference, undefined for none. */
export type Resolve = (name: string) => string | undefined

/** The first sentence of a docstring. */
export function firstSentence(docstring: string): string {
  const text = flow(docstring.split(/\n\n|\n[-*] |\n@/)[0] ?? '')
  return /^.*?[.!?](?=\s|$)/.exec(text)?.[0] ?? text
}

/** A docstring as Markdown: its links resolved, error codes and pages linked, the tags it has as a list. */
export function markdownOf(docstring: string, resolve: Resolve, codes: ReadonlySet<string>): string {
  const [text = '', ...tags] = docstring.split(/^@(?=\w)/m)
  const parameters = tags.map((tag) => {
    const [, name = '', words = ''] = /^param\s+(\w+)\s+(.*)$/s.exec(tag) ?? /^(\w+)\s+(.*)$/s.exec(tag) ?? []
    return `- \`${name}\`: ${flow(words)}`
  })
  const paragraphs = text.trim().split('\n\n').map(flow)
  return link(
    [...paragraphs, parameters.join('\n')].filter((each) => each !== '').join('\n\n'),
    resolve,
    codes,
  )
}

/** Lets the lines of a paragraph flow, so that they break where the page is narrow; items of a list stay apart. */
function flow(text: string): string {
  return text
    .trim()
    .replace(/\n(?![-*] )/g, ' ')
    .replace(/ {2,}/g, ' ')
}

/** Resolves links; everything that is linked is shown as code. */
function link(text: string, resolve: Resolve, codes: ReadonlySet<string>): string {
  return text
    .replace(/\{@link ([\w.]+)\}/g, (_, name: string) => linked(name, resolve(name)))
    .replace(/(?<!\[)`([A-Z][A-Z_]+)`/g, (whole, code: string) =>
      codes.has(code) ? linked(code, `../errors.md#${code.toLowerCase()}`) : whole,
    )
    .replace(/(?<!\[)`?\bdocs\/([\w-]+\.md)\b`?/g, '[$1](../$1)')
}

function linked(name: string, address: string | undefined): string {
  if (address === undefined) return `{@link ${name}}`
  return address === '' ? `\`${name}\`` : `[\`${name}\`](${address})`
}
