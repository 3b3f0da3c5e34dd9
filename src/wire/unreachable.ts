/**
 * The end of a `switch` over a union. The compiler refuses the call as long as a member has no case of its
 * own; at run time it is an assertion, for values that came from outside the type system.
 */
export function unreachable(value: never): never {
  throw new Error(`internal error: no case for ${JSON.stringify(value)}`);
}
