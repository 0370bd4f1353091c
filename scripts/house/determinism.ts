import { type Finding, findingAt, nameOf, type SourceFile, type SyntaxNode, walk } from './source.ts'

const rule = 'determinism'

/** Members of global objects that bring in time or chance. */
const bannedMembers: Readonly<Record<string, RegExp>> = {
  Date: /^now$/,
  performance: /./,
  Math: /^random$/,
  process: /^(nextTick|hrtime|uptime)$/,
  AbortSignal: /^timeout$/,
}
const bannedGlobals = /^(setTimeout|setInterval|setImmediate|WeakRef|FinalizationRegistry)$/
const bannedRandom = /^(randomUUID|randomBytes|randomInt|randomFill|randomFillSync|getRandomValues)$/
const bannedModules = /^(node:)?(timers|timers\/promises|perf_hooks)$/
const outsideModules =
  /^(node:)?(fs|net|zlib|worker_threads|http|http2|https|tls|dgram|dns|child_process|cluster)(\/|$)/

/** The files that turn real time and chance into the `Runtime`, each with the names that it may use, and their tests. */
const exempt: Readonly<Record<string, RegExp>> = {
  'src/core/real-runtime.ts': /./,
  'test/core/real-runtime.test.ts': /./,
  // A virtual clock lets pending promises run before it moves on, which takes a turn of the real event loop.
  'src/testing/turn.ts': /^setImmediate$/,
  // Who commits in groups waits for those who come by sockets. What they are answered does not depend on it.
  'src/engines/lmdb/turn.ts': /^setImmediate$/,
}

/** Benchmarks measure real time, and scripts are no part of the product. */
const ruledFolders = /^(src|test|examples|console)\//
const pureFloors =
  /^src\/(core|log|routing|rules|bus|eventstore|processing|functions|sources|monitoring|capacity)\//

/** Time and chance come from the injected `Runtime`, and below the application only engines reach the outside world. */
export function checkDeterminism(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const imports =
      pureFloors.test(file.path) && !file.path.endsWith('/real-runtime.ts') ? outsideImports(file) : []
    return ruledFolders.test(file.path) ? [...imports, ...usesOfTimeAndChance(file)] : imports
  })
}

function outsideImports(file: SourceFile): Finding[] {
  return file.references
    .filter((reference) => outsideModules.test(reference.specifier ?? ''))
    .map((reference) =>
      findingAt(file, reference.start, rule, `'${reference.specifier}' is for engines and the floors above`),
    )
}

function usesOfTimeAndChance(file: SourceFile): Finding[] {
  const findings: Finding[] = []
  const report = (start: number, name: string, what = name): void => {
    if (exempt[file.path]?.test(name)) return
    findings.push(findingAt(file, start, rule, `${what}: take time and chance from the Runtime`))
  }
  for (const { specifier = '', names, start } of file.references) {
    if (bannedModules.test(specifier)) report(start, specifier, `import of '${specifier}'`)
    for (const name of names.filter((each) => bannedRandom.test(each) || each === 'nextTick'))
      report(start, name)
  }
  walk(file.program, (node, parent) => {
    const banned = bannedUse(node, parent)
    if (banned !== undefined) report(node.start, banned.name, banned.what)
  })
  return findings
}

interface BannedUse {
  readonly name: string
  readonly what: string
}

function bannedUse(node: SyntaxNode, parent: SyntaxNode | undefined): BannedUse | undefined {
  if (node.type === 'MemberExpression') return bannedMember(node)
  if (node.type === 'Identifier') return bannedGlobal(node, parent)
  const makesDate = node.type === 'NewExpression' && nameOf(node.callee) === 'Date'
  const hasArguments = Array.isArray(node.arguments) && node.arguments.length > 0
  return makesDate && !hasArguments ? { name: 'Date', what: 'new Date()' } : undefined
}

function bannedMember(node: SyntaxNode): BannedUse | undefined {
  const object = nameOf(node.object)
  const property = nameOf(node.property)
  if (property === undefined) return undefined
  if (bannedRandom.test(property)) return { name: property, what: property }
  if (object === 'globalThis' && bannedGlobals.test(property)) return { name: property, what: property }
  const banned =
    object === undefined || !Object.hasOwn(bannedMembers, object) ? undefined : bannedMembers[object]
  return banned?.test(property) ? { name: property, what: `${object}.${property}` } : undefined
}

function bannedGlobal(node: SyntaxNode, parent: SyntaxNode | undefined): BannedUse | undefined {
  const name = nameOf(node) ?? ''
  if (!bannedGlobals.test(name)) return undefined
  const isMember = parent?.type === 'MemberExpression' && parent.property === node
  const isKey = parent?.key === node
  const isImport = parent?.type === 'ImportSpecifier'
  return isMember || isKey || isImport ? undefined : { name, what: name }
}
