import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A disk of its own that is soon full: a file system in memory, which only root may mount. */
export class SmallDisk {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Undefined where none can be mounted. */
  static mount(megabytes: number): SmallDisk | undefined {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
    const args = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]
    if (spawnSync('mount', args).status === 0) return new SmallDisk(folder)
    rmSync(folder, { recursive: true })
    return undefined
  }

  /** An empty folder on it. */
  newFolder(): string {
    return mkdtempSync(join(this.folder, 'data-'))
  }

  /** Leaves no room. */
  fill(): void {
    const file = openSync(this.#ballast, 'a')
    for (let chunk = 1 << 20; chunk >= 1 << 12; ) {
      try {
        writeSync(file, Buffer.alloc(chunk))
      } catch {
        chunk /= 2
      }
    }
    fsyncSync(file)
    closeSync(file)
  }

  /** Makes room again. */
  clear(): void {
    unlinkSync(this.#ballast)
  }

  remove(): void {
    spawnSync('umount', ['--lazy', this.folder])
    rmSync(this.folder, { recursive: true, force: true })
  }

  get #ballast(): string {
    return join(this.folder, 'ballast')
  }
}
