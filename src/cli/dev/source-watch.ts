import { existsSync, type FSWatcher, watch } from 'node:fs'
import { dirname, join, sep } from 'node:path'

/** How the sources of an application are watched. */
export interface SourceWatchOptions {
  /** Source files that are saved in this folder count also when the application has not loaded them. */
  readonly folder: string
  /** A file was saved, made or removed. */
  onChange(file: string): void
  /** A folder cannot be watched; told once. */
  onProblem(folder: string, error: unknown): void
}

const sourcePattern = /^[^.].*\.[cm]?[jt]sx?$/

/**
 * Watches the files that an application has loaded, by their folders: editors save by putting a new file in the place of
 * the old one. A file that is missing is waited for in the nearest folder that is there.
 */
export class SourceWatch {
  readonly #options: SourceWatchOptions
  readonly #files = new Set<string>()
  readonly #watchers = new Map<string, FSWatcher>()
  #problemTold = false

  constructor(options: SourceWatchOptions) {
    this.#options = options
    this.#watch(options.folder)
  }

  /** Watches these files too. */
  follow(files: readonly string[]): void {
    for (const file of files) {
      this.#files.add(file)
      this.#watch(nearestFolder(file))
    }
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder)) return
    try {
      const watcher = watch(folder, (_kind, name) => this.#changed(folder, name))
      // A folder that is removed is watched again once a file of it is followed again.
      watcher.on('error', () => this.#forget(folder))
      this.#watchers.set(folder, watcher)
    } catch (error) {
      if (!this.#problemTold) this.#options.onProblem(folder, error)
      this.#problemTold = true
    }
  }

  #forget(folder: string): void {
    this.#watchers.get(folder)?.close()
    this.#watchers.delete(folder)
  }

  #changed(folder: string, name: string | null): void {
    if (!existsSync(folder)) this.#forget(folder)
    // Some systems do not say which file it was.
    const path = name === null ? folder : join(folder, name)
    if (this.#isSource(folder, name, path)) this.#options.onChange(path)
  }

  #isSource(folder: string, name: string | null, path: string): boolean {
    if (name === null || this.#files.has(path)) return true
    if (folder === this.#options.folder && sourcePattern.test(name)) return true
    return [...this.#files].some((file) => file.startsWith(path + sep))
  }
}

function nearestFolder(file: string): string {
  let folder = dirname(file)
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}
