/** The names of the options that there are. */
export type OptionNames = ReadonlySet<string>

/** The names of the options of a type: one that is left out, or is not there, does not compile. */
export function optionNames<Options extends object>(
  names: Readonly<Record<keyof Options, true>>,
): OptionNames {
  return new Set(Object.keys(names))
}

/**
 * Throws `TypeError` for an option that there is not: passed over, a misspelt one would silently mean what is done without it.
 * `what` names the call, such as `event 'order.placed'`.
 */
export function checkOptionNames(what: string, options: object | undefined, names: OptionNames): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `${what}: the options must be an object, not ${options === null ? 'null' : typeof options}`,
    )
  }
  for (const name in options) {
    if (!names.has(name))
      throw new TypeError(`${what}: there is no option '${name}'; there are ${[...names].join(', ')}`)
  }
}

/** Throws `TypeError` for what is to be a list and is none. */
export function checkList(what: string, name: string, value: unknown): void {
  if (value === undefined || Array.isArray(value)) return
  throw new TypeError(`${what}: '${name}' must be a list`)
}

/** Throws `TypeError` for a duration that is none: a number of milliseconds, at least `least`. */
export function checkDuration(what: string, name: string, value: number | undefined, least: 0 | 1 = 1): void {
  if (value === undefined || (Number.isFinite(value) && value >= least)) return
  throw new TypeError(`${what}: '${name}' must be a number of milliseconds, at least ${least}`)
}
