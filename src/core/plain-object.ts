/**
 * A constructor of plain objects: what it makes is in every respect what an object literal makes. Two things are different for V8:
 * an object has room for all properties that the first ones came to have, where a literal keeps what is added to it apart;
 * and it does not come to take such objects for ones that live long, as it does with literals when many of them outlive a
 * collection of the few young objects that a process has while it starts.
 */
export function plainObjects<Made extends object, Parts extends unknown[]>(
  construct: (this: { -readonly [Name in keyof Made]: Made[Name] }, ...parts: Parts) => void,
): new (
  ...parts: Parts
) => Made {
  construct.prototype = Object.prototype
  return construct as unknown as new (
    ...parts: Parts
  ) => Made
}
