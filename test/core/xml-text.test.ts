import { describe, expect, test } from 'vitest'
import { dataOfType, isXml } from '../../src/core/xml-text.ts'

test.each([
  'application/xml',
  'text/xml',
  'application/soap+xml',
  'TEXT/XML; charset=utf-8',
  'image/svg+xml;a=b',
])('%s is XML', (type) => expect(isXml(type)).toBe(true))

test.each([
  undefined,
  '',
  'application/json',
  'application/xmlish',
  'text/plain; a=b/xml',
  'application/xml+json',
])('%s is no XML', (type) => expect(isXml(type)).toBe(false))

test('what is not XML stays as it is', () => {
  const bytes = new Uint8Array([1])
  expect(dataOfType(bytes, 'application/octet-stream')).toBe(bytes)
  expect(dataOfType(bytes, undefined)).toBe(bytes)
  expect(dataOfType({ a: 1 }, 'application/json')).toEqual({ a: 1 })
})

test('text of XML stays as it is, and so does an event without data', () => {
  expect(dataOfType('<a>\r\n</a>', 'application/xml')).toBe('<a>\r\n</a>')
  expect(dataOfType(undefined, 'application/xml')).toBeUndefined()
})

describe('bytes of XML are decoded', () => {
  const latin = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
  const utf16 = (text: string) => new Uint8Array(Buffer.from(`\ufeff${text}`, 'utf16le'))

  test.each([
    ['as UTF-8 where nothing is said', new Uint8Array(Buffer.from('<a>é</a>')), 'text/xml', '<a>é</a>'],
    ['without the byte order mark', new Uint8Array(Buffer.from('\ufeff<a>é</a>')), 'text/xml', '<a>é</a>'],
    ['by the charset', latin('<a>é</a>'), 'text/xml; charset="iso-8859-1"', '<a>é</a>'],
    [
      'by what the document declares',
      latin('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'),
      'application/xml',
      '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>',
    ],
    ['by the byte order mark before the charset', utf16('<a>é</a>'), 'text/xml; charset=utf-8', '<a>é</a>'],
    [
      'as UTF-8 where ASCII says that it is UTF-16',
      latin('<?xml version="1.0" encoding="UTF-16"?><a/>'),
      'text/xml',
      '<?xml version="1.0" encoding="UTF-16"?><a/>',
    ],
  ])('%s', (_rule, bytes, type, text) => {
    expect(dataOfType(bytes, type)).toBe(text)
  })
})

test.each([
  ['bytes that are not of their encoding', new Uint8Array([0x3c, 0xff]), 'text/xml', 'XML_INVALID'],
  ['an encoding that is not known', new Uint8Array([0x3c]), 'text/xml; charset=klingon', 'XML_INVALID'],
  ['an object', { a: 1 }, 'text/xml', 'DATA_INVALID'],
  ['null', null, 'application/a+xml', 'DATA_INVALID'],
])('%s is refused, with what to do', (_what, data, type, code) => {
  expect(() => dataOfType(data, type)).toThrow(
    expect.objectContaining({ code, where: 'data', fix: expect.stringMatching(/\w/) }),
  )
})
