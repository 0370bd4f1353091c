import { open, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { MillraceError } from '../../core/errors.ts'
import { examine, firstOf } from '../backup/examine.ts'
import { type Manifest, manifestFile } from '../backup/manifest.ts'
import {
  type AccessOptions,
  type CommandContext,
  withAccess,
  withAccessOptions,
  withCommonOptions,
} from '../command.ts'
import { VerificationView } from '../verification-view.ts'

/** Adds `millrace backup`. */
export function addBackup(program: Command, context: () => CommandContext): void {
  const command = program
    .command('backup')
    .description('copy a log, in use or not, into a new folder, and verify the copy')
    .argument('<folder>', 'the folder to make')
  withCommonOptions(withAccessOptions(command)).action(async (folder: string, options: AccessOptions) => {
    await backup(context(), resolve(folder), options)
  })
}

async function backup(context: CommandContext, folder: string, options: AccessOptions): Promise<void> {
  const { output, runtime } = context
  let location = ''
  await withAccess(context, options, async (access) => {
    location = access.location
    await access.backup(folder)
  })
  const madeAt = new Date(runtime.now()).toISOString()
  const view = new VerificationView(output, runtime)
  const { counts, damage } = await examine(folder, (now) => view.show(now)).finally(() => view.clear())
  const { records, stateValues, hashes } = counts
  if (damage.length > 0 || hashes === undefined) {
    await rm(folder, { recursive: true, force: true })
    throw new MillraceError('LOG_DAMAGED', `The log cannot be backed up whole. ${firstOf(damage)}`, {
      where: location,
      fix: 'Stop the application and run `millrace doctor`: it says all that is damaged and what to do.',
    })
  }
  const manifest: Manifest = { format: 1, madeAt, of: location, records, stateValues, hashes }
  await writeDurably(join(folder, manifestFile), `${JSON.stringify(manifest, undefined, 2)}\n`)
  if (output.json) return output.printJson({ folder, ...manifest })
  await output.print(`${folder}: ${records} records, ${stateValues} state values, verified`)
  await output.print(`records  ${hashes.records}`)
  await output.print(`state    ${hashes.state}`)
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
