/** Builds DOM nodes. Text is always text: nothing here parses HTML. */

type Child = Node | string | null | false | undefined;

interface Properties {
  readonly class?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string | boolean | undefined>>;
  readonly on?: Readonly<Record<string, (event: Event) => void>>;
}

/** An element with a class, attributes (false and undefined leave one out), listeners and children. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, properties: Properties = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (properties.class) element.className = properties.class;
  for (const [name, value] of Object.entries(properties.attributes ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (typeof value === "string") element.setAttribute(name, value);
  }
  for (const [type, listener] of Object.entries(properties.on ?? {})) element.addEventListener(type, listener);
  if (properties.text !== undefined) element.textContent = properties.text;
  element.append(...children.filter((child): child is Node | string => child !== null && child !== false && child !== undefined));
  return element;
}

/** Shows or hides an element, from sight and from assistive technology alike. */
export function show(element: HTMLElement, visible: boolean): void {
  element.hidden = !visible;
}

/** Puts `nodes` into `parent` in this order, moving only what is out of place. */
export function arrange(parent: Node, nodes: readonly Node[]): void {
  let next: ChildNode | null = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  while (next !== null) {
    const after: ChildNode | null = next.nextSibling;
    next.remove();
    next = after;
  }
}
