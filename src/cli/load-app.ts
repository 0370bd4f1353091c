import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type App, isApp } from '../app/app.ts'
import type { Main } from '../app/main.ts'
import { isMillraceError, MillraceError, messageOf } from '../core/errors.ts'
import { sourcePlace } from './source-place.ts'

/** What an application's file gives. */
export interface LoadedApp {
  readonly app: App
  readonly main: Main | undefined
}

/**
 * Loads the file of an application. `APP_LOAD_FAILED`, with the line where that is known, when it throws or when its default
 * export is no application; an error with a code of its own, such as `HANDLER_NAME_TAKEN`, stays what it is.
 */
export async function loadApp(file: string): Promise<LoadedApp> {
  const path = resolve(file)
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isFile()) {
    const what = found === undefined ? 'There is no such file.' : 'This is no file.'
    throw new MillraceError('APP_LOAD_FAILED', what, {
      where: file,
      fix: 'Give the path of the file whose default export is the application.',
    })
  }
  const module = await importFile(path, file)
  if (!isApp(module.default)) {
    const found = module.default === undefined ? 'It has no default export' : 'Its default export is none'
    throw new MillraceError('APP_LOAD_FAILED', `The file exports no application: ${found}.`, {
      where: file,
      fix: "Write `export default app({ … })`, with `app` from the installation of 'millrace' that this command belongs to.",
    })
  }
  if (module.main !== undefined && typeof module.main !== 'function') {
    throw new MillraceError('APP_LOAD_FAILED', 'The file exports a `main` that is no function.', {
      where: file,
      fix: 'Export a function (running, options), or give it another name.',
    })
  }
  return { app: module.default, main: module.main as Main | undefined }
}

async function importFile(path: string, file: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (cause) {
    const place = placeOf(cause)
    if (isMillraceError(cause)) {
      const where = [cause.where, place].filter((part) => part !== undefined).join(', ')
      throw new MillraceError(cause.code, cause.message, { where, fix: cause.fix, cause, facts: cause.facts })
    }
    throw new MillraceError('APP_LOAD_FAILED', `The file cannot be loaded: ${firstLine(messageOf(cause))}.`, {
      where: place ?? file,
      fix: fixOf(cause),
      cause,
    })
  }
}

/** What to do where Node.js itself refuses the file, which is what a first project meets. */
function fixOf(cause: unknown): string {
  const code = (cause as { readonly code?: unknown } | null)?.code
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && !process.features.typescript) {
    return `Run it with Node.js 24 or later: this is ${process.version}, which does not take TypeScript.`
  }
  if (cause instanceof SyntaxError && cause.message.includes('import statement outside a module')) {
    return `Write "type": "module" into the nearest package.json: npm pkg set type=module.`
  }
  return 'Correct it; --verbose shows the stack.'
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/\.$/, '')
}

/** Where an error comes from, with its line of source, on one line. */
function placeOf(error: unknown): string | undefined {
  const place = sourcePlace(error)
  return place && `${place.path}:${place.line}: ${place.text.trim().slice(0, 100)}`
}
