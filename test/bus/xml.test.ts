import { expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'
import { parseXml, xml } from '../../src/core/xml.ts'
import { bench, Counted, Echoed } from './support.ts'

const Text = event('xml.text', { schema: z.string() })
const Checked = event('xml.checked', { schema: xml(z.object({ a: z.string() })) })
const Parsed = event('xml.parsed', { schema: z.string().transform((text) => parseXml(text)) })
const Bytes = event('xml.bytes', { schema: z.union([z.string(), z.instanceof(Uint8Array)]) })
const datacontenttype = 'application/xml'

it('keeps XML that a program publishes as text, and bytes of it too', async () => {
  const b = bench()
  const process = await b.start({ events: [Text, Bytes] })
  await process.publish(Text, '<a>\n</a>', { datacontenttype, subject: 's' })
  await process.publish(Bytes, new Uint8Array(Buffer.from('<a>é</a>')), { datacontenttype, subject: 's' })
  expect(await b.events()).toMatchObject([
    { data: '<a>\n</a>', datacontenttype },
    { data: '<a>é</a>', datacontenttype },
  ])
})

it('keeps XML that a handler emits as text, and refuses to emit what is no media type', async () => {
  const b = bench()
  const tell = on(Counted, { name: 'tell', from: 'start', retry: { attempts: 1 } }, ({ data }, ctx) => {
    ctx.emit(Text, '<a/>', { datacontenttype: data.n === 1 ? datacontenttype : 'xml' })
  })
  const process = await b.start({ handlers: [tell], events: [Counted, Echoed, Text] })
  await process.publish(Counted, { key: 'k', n: 1 })
  await b.drive(process.settled())
  expect((await b.events()).at(-1)).toMatchObject({ type: 'xml.text', data: '<a/>', datacontenttype })
  await process.publish(Counted, { key: 'k', n: 2 })
  await b.drive(process.settled())
  expect(await b.deadLetters()).toMatchObject([{ error: { code: 'EVENT_INVALID' } }])
})

it('refuses XML whose schema would store something else than text', async () => {
  const b = bench()
  const process = await b.start({ events: [Parsed] })
  await expect(process.publish(Parsed, '<a/>', { datacontenttype })).rejects.toMatchObject({
    code: 'DATA_INVALID',
    fix: expect.stringContaining('millrace/xml'),
  })
  expect(await b.events()).toEqual([])
})

it('holds XML to the schema of its parsed form', async () => {
  const b = bench()
  const process = await b.start({ events: [Checked] })
  await process.publish(Checked, '<a>1</a>', { datacontenttype })
  await expect(process.publish(Checked, '<b/>')).rejects.toMatchObject({
    code: 'DATA_INVALID',
    where: 'data.a',
  })
  await expect(process.publish(Checked, '<a>')).rejects.toMatchObject({ code: 'XML_INVALID' })
  expect(await b.events()).toMatchObject([{ data: '<a>1</a>' }])
})
