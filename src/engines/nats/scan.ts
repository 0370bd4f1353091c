import type { Connection, StoredMessage } from './connection.ts'
import { Cursor } from './cursor.ts'

const pulledAtOnce = 64
/** When nothing has come for so long, although there is more, the cursor is opened anew. */
const patienceMs = 5000

/** The messages of a subject from one sequence through another, which is there, in order. */
export async function* messagesThrough(
  connection: Connection,
  at: { readonly stream: string; readonly subject: string; readonly from: number },
  through: number,
): AsyncGenerator<StoredMessage> {
  const come: StoredMessage[] = []
  let next = at.from
  let isLost = true
  let wake = () => {}
  let cursor: Cursor | undefined
  try {
    while (next <= through) {
      if (isLost) {
        cursor?.close()
        come.length = 0
        isLost = false
        cursor = await Cursor.open(
          connection,
          { ...at, from: next },
          {
            message: (message) => {
              come.push(message)
              wake()
            },
            ended: () => wake(),
            lost: () => {
              isLost = true
              wake()
            },
          },
        )
      }
      if (come.length === 0) {
        const waiting = new AbortController()
        const woken = new Promise<void>((resolve) => {
          wake = resolve
        })
        if (cursor?.isPulling === false) cursor.pull(pulledAtOnce)
        const tired = connection.runtime.sleep(patienceMs, waiting.signal).then(
          () => {
            isLost = true
          },
          () => undefined,
        )
        await Promise.race([woken, tired])
        waiting.abort()
        wake = () => {}
        continue
      }
      for (const message of come.splice(0)) {
        if (message.sequence > through) return
        next = message.sequence + 1
        yield message
      }
    }
  } finally {
    cursor?.close()
  }
}
