/** Something that must not be. */
export interface Finding {
  /** Which promise it breaks. */
  readonly promise: string;
  readonly detail: string;
}

/** Findings of one promise, from what is wrong in each of many things. */
export const findings = <Item>(promise: string, items: Iterable<Item>, faultOf: (item: Item) => string | undefined): readonly Finding[] =>
  [...items].flatMap((item) => {
    const detail = faultOf(item);
    return detail === undefined ? [] : [{ promise, detail }];
  });
