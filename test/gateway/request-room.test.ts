import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { RequestRoom, requestBounds } from '../../src/gateway/request-room.ts'

function enter(room: RequestRoom, headers: IncomingMessage['headers'] = {}): ServerResponse {
  const request = new IncomingMessage(new Socket())
  Object.assign(request.headers, headers)
  const response = new ServerResponse(request)
  room.enter(request, response)
  return response
}

describe('the room for requests', () => {
  test('is given back by whoever was answered, however many came and went before', () => {
    const room = new RequestRoom(1000)
    for (let n = 0; n < 3 * requestBounds.requests; n += 1) {
      const first = enter(room)
      const second = enter(room)
      first.emit('close')
      second.emit('close')
    }
    const inside = Array.from({ length: requestBounds.requests }, () => enter(room))
    expect(() => enter(room)).toThrow(expect.objectContaining({ code: 'OVERLOADED' }))
    inside[17]?.emit('close')
    enter(room)
    expect(() => enter(room)).toThrow(expect.objectContaining({ code: 'OVERLOADED' }))
  })

  test('has a bound on the bytes of all bodies together', () => {
    const half = requestBounds.bodyBytes / 2
    const room = new RequestRoom(half)
    const first = enter(room, { 'content-length': String(half) })
    enter(room, { 'transfer-encoding': 'chunked' })
    expect(() => enter(room, { 'content-length': '1' })).toThrow(
      expect.objectContaining({ code: 'OVERLOADED' }),
    )
    first.emit('close')
    enter(room, { 'content-length': '1' })
  })

  test('closing ends the connections of those inside, and of those that come later', () => {
    const room = new RequestRoom(1000)
    enter(room).emit('close')
    const [answered, inside] = [enter(room), enter(room)]
    answered.emit('close')
    room.beginClosing()
    expect(inside.shouldKeepAlive).toBe(false)
    expect(enter(room).shouldKeepAlive).toBe(false)
    room.cutOff()
    expect(inside.req.socket.destroyed).toBe(true)
    expect(answered.req.socket.destroyed).toBe(false)
  })
})
