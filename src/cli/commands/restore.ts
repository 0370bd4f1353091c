import { existsSync } from 'node:fs'
import { constants, copyFile, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { defaultLogUrl, parseLogUrl, shownLogUrl } from '../../app/open-engine.ts'
import { MillraceError, messageOf } from '../../core/errors.ts'
import { examine, firstOf } from '../backup/examine.ts'
import { backupInvalid, type Manifest, readManifest } from '../backup/manifest.ts'
import { type CommandContext, misuse, withCommonOptions } from '../command.ts'
import { VerificationView } from '../verification-view.ts'

/** Adds `millrace restore`. */
export function addRestore(program: Command, context: () => CommandContext): void {
  const command = program
    .command('restore')
    .description('make a log of a backup, in a folder that does not exist yet')
    .argument('<backup>', 'the folder that `millrace backup` has written')
    .option('--log <url>', 'the log to make (default: MILLRACE_LOG, or else lmdb:.millrace)')
  withCommonOptions(command).action(async (backup: string, options: { readonly log?: string }) => {
    const given = context()
    await restore(given, resolve(backup), options.log ?? given.environment.MILLRACE_LOG ?? defaultLogUrl)
  })
}

/** The log is made beside its place, verified there, and only then given its name: what is cut off leaves no log. */
async function restore(context: CommandContext, backup: string, location: string): Promise<void> {
  const { output, runtime } = context
  const target = targetOf(location)
  const manifest = await readManifest(backup)
  const beside = `${target}.restoring-${process.pid}`
  const view = new VerificationView(output, runtime)
  try {
    await copy(backup, beside)
    const { counts, damage } = await examine(beside, (now) => view.show(now)).finally(() => view.clear())
    checkEqual(backup, manifest, counts.hashes, firstOf(damage))
    await rm(join(beside, 'lock.mdb'), { force: true })
    checkFree(target, location)
    await rename(beside, target)
    await sync(dirname(target))
  } catch (error) {
    await rm(beside, { recursive: true, force: true })
    throw error instanceof MillraceError ? error : copyFailed(target, error)
  }
  const { records, stateValues, hashes, madeAt } = manifest
  if (output.json) return output.printJson({ location, ...manifest })
  await output.print(`${location}: ${records} records, ${stateValues} state values, as of ${madeAt}`)
  await output.print(`records  ${hashes.records}`)
  await output.print(`state    ${hashes.state}`)
}

function targetOf(location: string): string {
  const { engine, rest } = parseLogUrl(location)
  if (engine !== 'lmdb') {
    throw misuse(
      `A backup is restored into a folder, not into '${shownLogUrl(location)}'.`,
      '--log',
      "Name it by 'lmdb:FOLDER'.",
    )
  }
  const target = resolve(rest)
  checkFree(target, location)
  return target
}

function checkFree(target: string, location: string): void {
  if (!existsSync(target)) return
  throw new MillraceError('FOLDER_UNUSABLE', 'There is a folder already where the log is to be made.', {
    where: location,
    fix: 'Rename it, or name another log with --log.',
  })
}

async function copy(backup: string, target: string): Promise<void> {
  const source = join(backup, 'data.mdb')
  if (!existsSync(source)) throw backupInvalid(backup, 'It has no data.mdb.')
  await mkdir(target, { recursive: true })
  const copied = join(target, 'data.mdb')
  await copyFile(source, copied, constants.COPYFILE_EXCL)
  await sync(copied)
  await sync(target)
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}

function checkEqual(
  backup: string,
  { hashes }: Manifest,
  found: Manifest['hashes'] | undefined,
  damage: string,
): void {
  if (found?.records === hashes.records && found.state === hashes.state) return
  throw backupInvalid(backup, `It does not hold what it was made with. ${damage}`)
}

function copyFailed(target: string, cause: unknown): MillraceError {
  const code = (cause as { readonly code?: unknown }).code
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const fix = 'Make room, or restore into a folder on another disk.'
    return new MillraceError('LOG_FULL', 'There is no room for the log on that disk.', {
      where: target,
      fix,
      cause,
    })
  }
  return new MillraceError('FOLDER_UNUSABLE', `The log cannot be made there: ${messageOf(cause)}.`, {
    where: target,
    fix: 'Name a folder where this user may write.',
    cause,
  })
}
