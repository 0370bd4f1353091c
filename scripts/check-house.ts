// Holds the rules of CONTRIBUTING.md, "The house": node scripts/check-house.ts [folder]
import { checkHouse } from './house/check.ts'

const { files, findings } = checkHouse(process.argv[2] ?? '.')
for (const { file, line, rule, message } of findings) console.log(`${file}:${line} ${rule} ${message}`)
console.log(`${findings.length} findings in ${files} files`)
process.exitCode = findings.length === 0 ? 0 : 1
