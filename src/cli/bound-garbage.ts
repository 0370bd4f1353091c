import { setFlagsFromString } from 'node:v8'

/**
 * Lets garbage take at most a third of what is alive in the old part of the heap, where V8 otherwise lets it take several times as
 * much for as long as the machine has memory. V8 reads this number anew at every collection, so it can be set while it runs;
 * a version that no longer knows it passes it over.
 */
export function boundGarbage(): void {
  setFlagsFromString('--heap-growing-percent=30')
}
