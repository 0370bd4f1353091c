import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { isMillraceError, type MillraceError } from '../../src/core/errors.ts'
import { parseXml, type XmlElement, type XmlOptions, type XmlValue, xml } from '../../src/core/xml.ts'

/** A parsed document with ordinary prototypes, to be compared. */
const plain = (value: XmlElement): unknown => JSON.parse(JSON.stringify(value))

function refusal(text: string, options: XmlOptions = {}): MillraceError {
  try {
    parseXml(text, options)
  } catch (error) {
    if (isMillraceError(error)) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const order = `<?xml version="1.0"?>
<!-- from the till -->
<order id="7" xmlns:s="urn:s">
  <item sku="tea">2</item>
  <item sku="milk">1</item>
  <s:note>to the <![CDATA[<back> & door]]></s:note>
  <gift/>
</order>`

describe('a document', () => {
  test('has attributes, elements and text under predictable names', () => {
    expect(plain(parseXml(order))).toEqual({
      order: {
        '@id': '7',
        '@xmlns:s': 'urn:s',
        item: [
          { '@sku': 'tea', '#text': '2' },
          { '@sku': 'milk', '#text': '1' },
        ],
        's:note': 'to the <back> & door',
        gift: '',
      },
    })
  })

  test('is the same in one element as in many where an array is asked for', () => {
    const options = { arrays: ['order/item'] }
    expect(plain(parseXml('<order><item>a</item></order>', options))).toEqual({ order: { item: ['a'] } })
    expect(plain(parseXml('<order><item>a</item><item/></order>', options))).toEqual({
      order: { item: ['a', ''] },
    })
    expect(plain(parseXml('<cart><item>a</item></cart>', options))).toEqual({ cart: { item: 'a' } })
  })

  test('has numbers where they are asked for, and text everywhere else', () => {
    const text = '<order id="7"><total currency="CHF"> 12.50 </total><zip>08001</zip><count>3</count></order>'
    const numbers = ['order/@id', 'order/total', 'order/count']
    expect(plain(parseXml(text, { numbers }))).toEqual({
      order: { '@id': 7, total: { '@currency': 'CHF', '#text': 12.5 }, zip: '08001', count: 3 },
    })
    expect(plain(parseXml(text))).toMatchObject({ order: { '@id': '7', count: '3' } })
  })

  test('keeps text of one element character for character, and leaves out white space between elements', () => {
    expect(plain(parseXml('<a> <b>  x\n y </b> </a>'))).toEqual({ a: { b: '  x\n y ' } })
    expect(plain(parseXml('<a>one <b/> two</a>'))).toEqual({ a: { b: '', '#text': 'one  two' } })
    expect(plain(parseXml('<a> </a>'))).toEqual({ a: ' ' })
  })

  test('may use the names that objects of JavaScript have already', () => {
    const parsed = parseXml('<__proto__ constructor="1"><toString/><toString/></__proto__>')
    expect(Object.keys(parsed)).toEqual(['__proto__'])
    expect(plain(parsed)).toEqual(
      JSON.parse('{"__proto__":{"@constructor":"1","toString":["",""]}}') as unknown,
    )
    expect(({} as Record<string, unknown>)['@constructor']).toBeUndefined()
  })
})

/** Documents as they are parsed: the root has members, a member is text, an element or several of them. */
const name = fc.stringMatching(/^[A-Za-z_][\w.-]{0,8}$/)
const characters = fc.string({
  unit: fc.oneof(
    fc.constantFrom('<', '>', '&', '"', "'", ']]>', 'é', '𝄞', '\t', '\n'),
    fc.stringMatching(/^[ -~]$/),
  ),
})
const solid = characters.filter((text) => text.trim() !== '')
const { element } = fc.letrec<{ element: XmlValue }>((tie) => ({
  element: fc.oneof(
    { depthSize: 'small' },
    characters,
    fc
      .tuple(
        fc.dictionary(name, characters),
        fc.dictionary(
          name,
          fc.oneof(
            tie('element'),
            fc.array(tie('element') as fc.Arbitrary<XmlValue>, { minLength: 2, maxLength: 3 }),
          ),
        ),
        fc.option(solid, { nil: undefined }),
      )
      .filter(([attributes, elements]) => Object.keys({ ...attributes, ...elements }).length > 0)
      .map(([attributes, elements, text]) => ({
        ...Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`@${key}`, value])),
        ...elements,
        ...(text === undefined ? {} : { '#text': text }),
      })) as fc.Arbitrary<XmlValue>,
  ),
}))

const escaped = (text: string) => text.replace(/[<>&"'\t\n]/g, (character) => `&#${character.charCodeAt(0)};`)

function serialise(tag: string, value: XmlValue): string {
  if (Array.isArray(value)) return value.map((each) => serialise(tag, each as XmlValue)).join('')
  if (typeof value !== 'object') return `<${tag}>${escaped(String(value))}</${tag}>`
  const members = Object.entries(value as XmlElement)
  const attributes = members.filter(([key]) => key.startsWith('@'))
  const elements = members.filter(([key]) => !/^[@#]/.test(key))
  const written = attributes.map(([key, text]) => ` ${key.slice(1)}='${escaped(String(text))}'`).join('')
  const text = (value as XmlElement)['#text']
  return `<${tag}${written}>${elements.map(([key, each]) => serialise(key, each)).join('')}${
    text === undefined ? '' : escaped(String(text))
  }</${tag}>`
}

test('what is serialised as XML is parsed as it was', () => {
  fc.assert(
    fc.property(name, element, (root, value) => {
      expect(plain(parseXml(serialise(root, value)))).toEqual(JSON.parse(JSON.stringify({ [root]: value })))
    }),
  )
})

test('any text is either parsed or refused with a code, and two readings of it agree', () => {
  const piece = fc.constantFrom(
    ...['<a>', '</a>', '<a/>', '<a b="1">', '<!--', '-->', '<![CDATA[', ']]>', '<?p', '?>', '<!DOCTYPE a'],
    ...[
      '<!ENTITY x "y">',
      '[',
      ']>',
      '&x;',
      '&lt;',
      '&#0;',
      '&#x41;',
      '>',
      '<',
      '\ud800',
      ' ',
      'text',
      '\u0000',
    ],
  )
  const outcome = (text: string) => {
    try {
      return JSON.stringify(parseXml(text))
    } catch (error) {
      return isMillraceError(error, 'XML_INVALID') ? error.message : Promise.reject(error)
    }
  }
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const found = outcome(pieces.join(''))
      expect(typeof found).toBe('string')
      expect(outcome(pieces.join(''))).toBe(found)
    }),
    { numRuns: 1000 },
  )
})

describe('a refusal', () => {
  test.each([
    ['an element that is not closed', '<a>\n  <b>\n</a>', 'line 3, column 4'],
    ['a second root', '<a/>\n<b/>', 'line 2, column 3'],
    ['nothing', '', 'line 1, column 1'],
    ['an attribute that is there twice', '<a\nx="1"\nx="2"/>', 'line 3, column 7'],
    ['an entity that is not known', '<a>\n&nbsp;</a>', 'line 2, column 6'],
    ['a character that XML does not have', '<a>\u0000</a>', 'line 1, column 4'],
  ])('names the line and the column: %s', (_what, text, where) => {
    expect(refusal(text)).toMatchObject({ code: 'XML_INVALID', where, fix: expect.stringMatching(/\w/) })
  })

  test('is made of text with a lone surrogate', () => {
    expect(refusal('<a>\ud800</a>').code).toBe('XML_INVALID')
  })

  test('is made of text where a number was asked for, and of a number that cannot be kept exactly', () => {
    for (const text of ['', 'x', '1x', '0x10', 'Infinity', '1e999', '9007199254740993', '1 2']) {
      const error = refusal(`<a>\n<n>${text}</n></a>`, { numbers: ['a/n'] })
      expect(error, text).toMatchObject({
        code: 'XML_INVALID',
        where: expect.stringMatching(/^line 2, column \d+$/),
      })
    }
  })

  test('is a TypeError for what is no string', () => {
    expect(() => parseXml(new Uint8Array() as unknown as string)).toThrow(TypeError)
  })
})

describe('a hostile document', () => {
  const laughs = Array.from(
    { length: 9 },
    (_, level) => `<!ENTITY l${level + 1} "${`&l${level};`.repeat(10)}">`,
  )

  test.each([
    [
      'entities that expand without end',
      `<!DOCTYPE a [<!ENTITY l0 "ha">${laughs.join('')}]><a>&l9;</a>`,
      'line 1, column 1',
    ],
    [
      'an entity that reads a file',
      '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
      'line 2, column 1',
    ],
    [
      'a document type from elsewhere',
      '<!-- <!DOCTYPE b> -->\n <!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
      'line 2, column 2',
    ],
    [
      'an entity of parameters',
      '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/p"> %p;]><a/>',
      'line 1, column 1',
    ],
    ['a document type of nothing', '<!DOCTYPE a><a/>', 'line 1, column 1'],
  ])('is refused whole: %s', (_what, text, where) => {
    expect(refusal(text)).toMatchObject({
      code: 'XML_INVALID',
      message: expect.stringContaining('document type'),
      where,
    })
  })

  test('what looks like a document type in a comment or a CDATA section is none', () => {
    expect(plain(parseXml('<a><!-- <!DOCTYPE a> --><![CDATA[<!DOCTYPE a>]]></a>'))).toEqual({
      a: '<!DOCTYPE a>',
    })
  })

  test('nests no deeper than asked', () => {
    const nested = (depth: number) => '<a>'.repeat(depth) + '</a>'.repeat(depth)
    expect(refusal(nested(101))).toMatchObject({ code: 'XML_INVALID', where: 'line 1, column 303' })
    expect(refusal('<a>'.repeat(300_000))).toMatchObject({ code: 'XML_INVALID' })
    expect(parseXml(nested(100))).toBeDefined()
    expect(parseXml(nested(2000), { maxDepth: 2000 })).toBeDefined()
    expect(refusal('<a><b/></a>', { maxDepth: 1 }).code).toBe('XML_INVALID')
  })

  test('is no larger than asked, in bytes', () => {
    expect(refusal(`<a>${'x'.repeat(1024 * 1024)}</a>`)).toMatchObject({ code: 'XML_INVALID' })
    expect(refusal('<a>é</a>', { maxBytes: 8 }).message).toContain('9 bytes')
    expect(parseXml('<a>é</a>', { maxBytes: 9 })).toEqual(expect.objectContaining({ a: 'é' }))
  })

  test('costs no more for a long name above many elements', () => {
    const long = 'n'.repeat(400_000)
    const { [long]: root } = parseXml(`<${long}>${'<b/>'.repeat(50_000)}</${long}>`, { arrays: ['x/b'] })
    expect((root as XmlElement).b).toHaveLength(50_000)
  })
})

describe('a schema of XML', () => {
  const Order = xml(z.object({ order: z.object({ '@id': z.string(), item: z.array(z.string()).min(1) }) }), {
    arrays: ['order/item'],
  })
  const validate = (value: unknown) => Order['~standard'].validate(value)

  test('keeps the text, and gives the parsed form on request', () => {
    const text = '<order id="7"><item>tea</item></order>'
    expect(validate(text)).toEqual({ value: text })
    expect(Order.parse(text).order.item).toEqual(['tea'])
  })

  test('tells where the parsed form does not fit', () => {
    expect(validate('<order id="7"/>')).toMatchObject({ issues: [{ path: ['order', 'item'] }] })
    expect(() => Order.parse('<order id="7"/>')).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID', where: 'document.order.item' }),
    )
    expect(validate(7)).toMatchObject({ issues: [{ message: 'must be XML, as text' }] })
  })

  test('refuses what is no XML with its line and column', () => {
    expect(() => validate('<order>')).toThrow(expect.objectContaining({ code: 'XML_INVALID' }))
  })

  test('takes an asynchronous schema at the door only', async () => {
    const Later = xml(z.object({ a: z.string().refine(async (text) => text !== 'no') }))
    await expect(Later['~standard'].validate('<a>yes</a>')).resolves.toEqual({ value: '<a>yes</a>' })
    expect(await Later['~standard'].validate('<a>no</a>')).toMatchObject({ issues: [{ path: ['a'] }] })
    expect(() => Later.parse('<a>yes</a>')).toThrow(TypeError)
  })
})
