/** Who has a partition now; null where nobody has it. */
export interface Owned {
  readonly partition: number
  readonly memberId: string | null
}

/**
 * What must change so that every member has its equal share, in the order of their ids: the partitions that change hands, and who
 * has each from then on. No partition moves that need not move.
 */
export function movesToShare(members: readonly string[], owned: readonly Owned[]): Owned[] {
  const room = new Map<string, number>()
  for (const [index, id] of [...members].sort().entries()) {
    room.set(id, Math.floor((owned.length + members.length - 1 - index) / members.length))
  }
  const free: Owned[] = []
  for (const each of owned) {
    const left = each.memberId === null ? 0 : (room.get(each.memberId) ?? 0)
    if (left === 0 || each.memberId === null) free.push(each)
    else room.set(each.memberId, left - 1)
  }
  const moves: Owned[] = []
  for (const { partition, memberId: before } of free) {
    const next = [...room].find(([, left]) => left > 0)
    const memberId = next?.[0] ?? null
    if (next !== undefined) room.set(next[0], next[1] - 1)
    if (memberId !== before) moves.push({ partition, memberId })
  }
  return moves
}
