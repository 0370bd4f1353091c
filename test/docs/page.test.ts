import { describe, expect, test } from 'vitest'
import { edited, endOf, says } from './page.ts'

describe('what a command wrote', () => {
  test('is what the page shows when only ids, times and durations differ', () => {
    const shown = 'a 01a1fd95-e78b-7c19-82b1-b7071a2b0b05 at 2026-11-21T10:10:22.219Z in 0.6 s'
    expect(says('a 01a1fda0-dd67-7798-9282-5268415467fb at 2026-01-01T00:00:00Z in 12 ms\n', shown)).toBe(
      true,
    )
    expect(says('b 01a1fda0-dd67-7798-9282-5268415467fb at 2026-01-01T00:00:00Z in 12 ms\n', shown)).toBe(
      false,
    )
  })

  test('is anything where the page has a wildcard, and nothing else elsewhere', () => {
    expect(says('one 1 end\n', 'one … end')).toBe(true)
    expect(says('one 1\nend\n', 'one … end')).toBe(false)
    expect(says('one\n2\n3\nend\n', 'one\n…\nend')).toBe(true)
    expect(says('one\nend\n', 'one\n…\nend')).toBe(true)
    expect(says('one\nend\nmore\n', 'one\n…\nend')).toBe(false)
  })

  test('may have more around what an application is shown to say', () => {
    expect(endOf('before\nready\nafter\n', 'ready')).toBe('before\nready'.length)
    expect(endOf('before\nafter\n', 'ready')).toBeUndefined()
  })
})

describe('a snippet', () => {
  const file =
    "import { on } from 'millrace'\n\nexport const one = on(\n  1,\n)\n\nexport default app({\n  handlers: [one],\n})\n"

  test('replaces what has its name', () => {
    expect(edited(file, 'export const one = on(\n  2,\n)\n')).toBe(file.replace('1,', '2,'))
  })

  test('that is new goes before the default export, its imports to the top', () => {
    const after = edited(file, "import { two } from './two.ts'\n\nexport const both = on(\n  two,\n)\n")
    expect(after).toMatch(/^import \{ two \} from '\.\/two\.ts'\nimport \{ on \}/)
    expect(after).toMatch(/export const both = on\(\n {2}two,\n\)\n\nexport default/)
  })

  test('that is a property replaces the line that begins so', () => {
    expect(edited(file, '  handlers: [one, two],\n')).toBe(file.replace('[one]', '[one, two]'))
  })

  test('that begins with the import of a package is the whole file', () => {
    expect(edited(file, "import { app } from 'millrace'\n")).toBe("import { app } from 'millrace'\n")
  })
})
