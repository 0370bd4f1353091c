import { MillraceError } from './errors.ts'

/** Whether a `datacontenttype` is XML: its subtype is `xml` or ends in `+xml`. */
export function isXml(contentType: string | undefined): boolean {
  return contentType !== undefined && /^[^;]*\/(?:[^;]+\+)?xml\s*(?:;|$)/i.test(contentType)
}

/**
 * The data of an event as its content type keeps it: XML is text, so bytes of it are decoded; anything else stays as it
 * is. The encoding is that of a byte order mark, else the `charset` of the content type, else what the document declares,
 * else UTF-8. `XML_INVALID` for bytes that are not of their encoding, `DATA_INVALID` for XML that is neither text nor bytes.
 */
export function dataOfType(data: unknown, contentType: string | undefined): unknown {
  if (!isXml(contentType) || data === undefined || typeof data === 'string') return data
  if (data instanceof Uint8Array) return decode(data, contentType ?? '')
  throw new MillraceError('DATA_INVALID', `Data of the content type '${contentType}' must be text.`, {
    where: 'data',
    fix: 'Send the XML as a string; `parseXml` of millrace/xml parses it where it is read.',
  })
}

function decode(bytes: Uint8Array, contentType: string): string {
  const encoding = markOf(bytes) ?? charsetOf(contentType) ?? declaredBy(bytes) ?? 'utf-8'
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new MillraceError('XML_INVALID', `The data is not text of the encoding '${encoding}'.`, {
      where: 'data',
      fix: 'Send it as UTF-8, or name its encoding as the charset of its content type.',
      cause,
    })
  }
}

function markOf(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 'utf-8' : undefined
}

function charsetOf(contentType: string): string | undefined {
  return /;\s*charset\s*=\s*"?([^"\s;]+)/i.exec(contentType)?.[1]
}

/** What can be read as ASCII is not UTF-16, whatever it says. */
function declaredBy(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 128)).toString('latin1')
  const declared = /^<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)/.exec(head)?.[1]
  return declared === undefined || /^utf-?16/i.test(declared) ? undefined : declared
}
