import type { Argument, Command, Option } from 'commander'

/** What an argument or the value of an option is. */
export type Values = 'file' | 'folder' | 'other' | readonly string[]

/** A word with what it does. */
export interface Described {
  readonly word: string
  readonly description: string
}

/** An option as it is typed. */
export interface CompletedOption extends Described {
  /** What follows it; undefined for a flag. */
  readonly value: Values | undefined
}

/** One command of the command line. */
export interface CompletedCommand {
  /** The words that lead to it, each with a space before it; empty for the program itself. */
  readonly path: string
  readonly commands: readonly Described[]
  readonly options: readonly CompletedOption[]
  /** What is in each place behind it. */
  readonly places: readonly { readonly values: Values; readonly repeats: boolean }[]
}

/** The program and all its commands, as they are declared: what a completion offers can be nothing else. */
export function commandLineOf(command: Command, path = ''): readonly CompletedCommand[] {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  const itself: CompletedCommand = {
    path,
    commands: commands.map((each) => ({ word: each.name(), description: each.description() })),
    options: help.visibleOptions(command).flatMap(spellingsOf),
    places: command.registeredArguments.map((argument) => ({
      values: valuesOf(argument),
      repeats: argument.variadic,
    })),
  }
  const below = commands.flatMap((each) => {
    const found = commandLineOf(each, `${path} ${each.name()}`)
    return each.name() === 'help' ? found.map((one) => helpOf(one, itself)) : found
  })
  return [itself, ...below]
}

/** The command `help` takes the name of another. */
function helpOf(command: CompletedCommand, parent: CompletedCommand): CompletedCommand {
  const values = parent.commands.map(({ word }) => word).filter((word) => word !== 'help')
  return { ...command, places: [{ values, repeats: false }] }
}

function spellingsOf(option: Option): readonly CompletedOption[] {
  const { short, long, description } = option
  const value = option.required || option.optional ? valuesOf(option) : undefined
  return [long, short].flatMap((word) => (word === undefined ? [] : [{ word, description, value }]))
}

/** The name of a placeholder says what is meant: `<file>`, `[folder]`. */
function valuesOf(declared: Argument | Option): Values {
  if (declared.argChoices !== undefined) return declared.argChoices
  const name = 'flags' in declared ? (/[<[]([^>\].]+)/.exec(declared.flags)?.[1] ?? '') : declared.name()
  return name === 'file' || name === 'folder' ? name : 'other'
}
