import { type Finding, findingAt, type ModuleReference, resolveReference, type SourceFile } from './source.ts'

const below = {
  core: [],
  log: ['core'],
  engines: ['core', 'log'],
  routing: ['core'],
  rules: ['core'],
  bus: ['core', 'log', 'routing', 'rules'],
  capacity: ['core'],
} satisfies Record<string, readonly string[]>

const upToBus = [...below.bus, 'bus']
const fourthFloor = ['eventstore', 'processing', 'functions', 'sources', 'monitoring'] as const
const upToFourth = [...upToBus, ...fourthFloor, 'capacity']

/** Which folders of `src` each folder of `src` may import, besides itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  ...below,
  ...Object.fromEntries(fourthFloor.map((folder) => [folder, upToBus])),
  app: [...upToFourth, 'engines'],
  gateway: [...upToFourth, 'app'],
  cli: [...upToFourth, 'engines', 'app', 'gateway', 'testing'],
  testing: [...upToFourth, 'engines', 'app'],
  '(package)': [...upToFourth, 'engines', 'app'],
}

/** Client libraries, and the one engine that may import each; benchmarks may too, to stand beside them, and examples, as users do. */
const clients: readonly (readonly [RegExp, string])[] = [
  [/^lmdb(\/|$)/, 'lmdb'],
  [/^@nats-io\//, 'nats'],
  [/^(postgres|pg|pg-logical-replication)(\/|$)/, 'postgres'],
  [/^(@platformatic\/kafka|kafkajs)(\/|$)/, 'kafka'],
]

/** The engines that need no client and may be imported as they stand. */
const clientlessEngines = new Set(['memory'])

const publicOnly = new Set(['console', 'examples', 'template', 'bench'])

/** Who may import whom: floors, engines, client libraries and public exports. */
export function checkFloors(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => [
    ...checkPlace(file),
    ...file.references.flatMap((each) => check(file, each)),
  ])
}

function checkPlace(file: SourceFile): Finding[] {
  const { top, folder, engine } = placeOf(file.path)
  if (top !== 'src') return []
  if (mayImport[folder] === undefined) {
    return [findingAt(file, 0, 'floors', `src/${folder} is on no floor; see scripts/house/floors.ts`)]
  }
  if (folder === 'engines' && engine === undefined) {
    return [findingAt(file, 0, 'floors', 'a file of an engine belongs in src/engines/<name>/')]
  }
  return []
}

function check(file: SourceFile, reference: ModuleReference): Finding[] {
  const from = placeOf(file.path)
  const target = resolveReference(file, reference.specifier)
  const messages = [
    from.top === 'src' ? checkLiteral(from, reference) : undefined,
    checkClient(from, reference.specifier),
    target === undefined
      ? checkOwnName(from, reference.specifier)
      : checkTarget(from, placeOf(target), reference),
  ]
  return messages.flatMap((message) =>
    message === undefined ? [] : [findingAt(file, reference.start, 'floors', message)],
  )
}

interface PlaceInTree {
  readonly top: string
  readonly folder: string
  readonly engine: string | undefined
}

function placeOf(path: string): PlaceInTree {
  const [top = '', second, third, ...rest] = path.split('/')
  if (top !== 'src' && top !== 'test') return { top, folder: '', engine: undefined }
  const folder = third === undefined ? '(package)' : (second ?? '')
  return { top, folder, engine: folder === 'engines' && rest.length > 0 ? third : undefined }
}

function checkLiteral(from: PlaceInTree, reference: ModuleReference): string | undefined {
  if (reference.kind !== 'dynamic' || reference.specifier !== undefined || from.folder === 'cli')
    return undefined
  return 'import() takes a literal, so that bundlers and readers see what is loaded'
}

function checkClient(from: PlaceInTree, specifier = ''): string | undefined {
  const owner = clients.find(([pattern]) => pattern.test(specifier))?.[1]
  if (owner === undefined || from.engine === owner || from.top === 'bench' || from.top === 'examples') {
    return undefined
  }
  return `only src/engines/${owner} imports '${specifier}'`
}

function checkOwnName(from: PlaceInTree, specifier = ''): string | undefined {
  if (from.top !== 'src' || !/^millrace(\/|$)/.test(specifier)) return undefined
  return `inside src, import '${specifier}' by its relative path`
}

function checkTarget(from: PlaceInTree, to: PlaceInTree, reference: ModuleReference): string | undefined {
  if (publicOnly.has(from.top) && to.top !== from.top) {
    return `${from.top} imports only what the package exports, not '${reference.specifier}'`
  }
  if (from.top !== 'src') return undefined
  if (to.top !== 'src') return `src imports nothing outside src, not '${reference.specifier}'`
  if (from.folder !== to.folder) return checkFolders(from, to, reference)
  if (from.engine === to.engine) return undefined
  return `engines never import each other: '${from.engine}' imports '${to.engine}'`
}

function checkFolders(from: PlaceInTree, to: PlaceInTree, reference: ModuleReference): string | undefined {
  if (mayImport[from.folder]?.includes(to.folder) === false) {
    return `'${from.folder}' may not import '${to.folder}'`
  }
  const loadsClient = to.engine !== undefined && !clientlessEngines.has(to.engine)
  if (!loadsClient || reference.kind !== 'value') return undefined
  return `load engine '${to.engine}' by import(), so that its client is needed only where it is used`
}
