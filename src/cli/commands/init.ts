import { relative } from 'node:path'
import type { Command } from 'commander'
import { type CommandContext, withCommonOptions } from '../command.ts'
import { writeNewApp } from '../new-app.ts'

interface InitOptions {
  readonly millrace?: string
}

/** Adds `millrace init`. */
export function addInit(program: Command, context: () => CommandContext): void {
  const command = program
    .command('init')
    .description('write a new application, with a test, into an empty folder')
    .argument('[folder]', 'the folder; it is made when it is missing', '.')
    .option(
      '--millrace <spec>',
      'what package.json asks npm for, such as a version or file:/PATH/TO/millrace.tgz (default: this version)',
    )
  withCommonOptions(command).action(
    async (folder: string, options: InitOptions) => await init(folder, options, context()),
  )
}

async function init(folder: string, options: InitOptions, { output }: CommandContext): Promise<void> {
  const created = await writeNewApp(folder, options.millrace)
  const next = [...enter(created.folder), 'npm install', 'npm test', 'npm run dev']
  if (output.json) {
    return output.printJson({ created: created.name, folder: created.folder, files: created.files, next })
  }
  await output.print(output.style('bold', `${created.name} is written`))
  await output.print(`  files  ${created.files.join(', ')}`)
  await output.print('Next, with Node.js 24 or later:')
  for (const line of next) await output.print(`  ${line}`)
  await output.print('README.md there says what to try while it runs.')
}

/** How to get to the folder from here, as a command of a shell. */
function enter(folder: string): string[] {
  const way = relative('', folder)
  if (way === '') return []
  const shown = way.startsWith('..') ? folder : way
  return [`cd ${/^[\w./-]+$/.test(shown) ? shown : JSON.stringify(shown)}`]
}
